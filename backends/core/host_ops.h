/* Ops that a device leaves to LAPACK on the host. */
#ifndef CONDLORA_BACKENDS_CORE_HOST_OPS_H
#define CONDLORA_BACKENDS_CORE_HOST_OPS_H

#include "condlora/backend.h"

/* Brings the operands to the built-in backend, runs the op there and takes the results back. */
cdl_status core_run_on_host(cdl_queue *queue, cdl_op op, const void *args);

#endif
