/* The list of ops: names, tiers, and each op's function in a backend's table. */
#ifndef CONDLORA_BACKENDS_CORE_OP_H
#define CONDLORA_BACKENDS_CORE_OP_H

#include "condlora/plugin.h"

typedef enum { CORE_REQUIRED, CORE_COMPOSED, CORE_HOST } core_tier;

core_tier core_op_tier(cdl_op op);
/* Whether the table has a function for `op`. */
bool core_has_op(const cdl_backend_table *table, cdl_op op);
/* Calls that function. */
cdl_status core_run_native(const cdl_backend_table *table, void *queue, cdl_op op,
                           const void *args);

#endif
