/* Validation of every op's arguments: done here once, so that no backend has to. */
#ifndef CONDLORA_BACKENDS_CORE_CHECK_H
#define CONDLORA_BACKENDS_CORE_CHECK_H

#include "backends/core/check_call.h"

/* The op's operands and checks. */
const core_op_spec *core_spec(cdl_op op);

/* Checks a call. *nothing: valid, and there is nothing to do. */
cdl_status core_check(const cdl_backend *backend, cdl_op op, const void *args, bool *nothing);

/* One tensor by itself: present, its strides, its extent, its backend. `what` and `name` begin the
 * message. */
cdl_status core_check_tensor(const cdl_backend *backend, const char *what, const char *name,
                             const cdl_tensor *tensor);

/* "gemm(out F32 [2, 3], a …)" */
void core_describe(cdl_op op, const void *args, char *text, size_t bytes);

#endif
