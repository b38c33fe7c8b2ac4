/* What may be recorded. */
#ifndef CONDLORA_BACKENDS_CORE_CAPTURE_H
#define CONDLORA_BACKENDS_CORE_CAPTURE_H

#include "condlora/backend.h"

/* Errors: UNSUPPORTED while the queue records, when the path of an op cannot be recorded. */
cdl_status core_check_recordable(const cdl_queue *queue, cdl_op op, cdl_path path);

#endif
