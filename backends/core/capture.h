/* Which work may be recorded. */
#ifndef CONDLORA_BACKENDS_CORE_CAPTURE_H
#define CONDLORA_BACKENDS_CORE_CAPTURE_H

#include "condlora/backend.h"

/* Fails with UNSUPPORTED if the queue records and the path of the op cannot be recorded. */
cdl_status core_check_recordable(const cdl_queue *queue, cdl_op op, cdl_path path);

#endif
