/* Composed ops, built from required ones on the same device. */
#ifndef CONDLORA_BACKENDS_CORE_COMPOSE_H
#define CONDLORA_BACKENDS_CORE_COMPOSE_H

#include "condlora/backend.h"

/* Runs a composed op as required ops on the same queue. */
cdl_status core_run_composed(cdl_queue *queue, cdl_op op, const void *args);

#endif
