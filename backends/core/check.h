/* Checks every op's arguments, once and here, so that no backend has to. */
#ifndef CONDLORA_BACKENDS_CORE_CHECK_H
#define CONDLORA_BACKENDS_CORE_CHECK_H

#include "backends/core/check_call.h"

/* Returns the op's operands and checks. */
const core_op_spec *core_spec(cdl_op op);

/* Returns the tensor of operand k in the op's arguments. */
static inline const cdl_tensor *core_operand_of(const core_op_spec *spec, int k, const void *args)
{
  return (const cdl_tensor *)(const void *)((const char *)args + spec->operands[k].offset);
}

/* Room for any op's arguments. */
typedef union {
#define CDL_OP(name, tier) cdl_##name##_args name;
#include "condlora/ops.def"
#undef CDL_OP
} core_args;

/* Returns the arguments as long as this version has them: `args` itself, or a copy in `room` if the
 * caller was compiled when the op had fewer members. What is missing is zero. */
const void *core_complete_args(cdl_op op, const void *args, core_args *room);

/* Returns whether the arguments set a member that is younger than the backend's table. */
bool core_sets_additions(const cdl_backend *backend, cdl_op op, const void *args);

/* Returns whether an activation of the call is BF16. */
bool core_has_narrow_activations(cdl_op op, const void *args);

/* Checks a call. *nothing is set if the call is valid and has no work. */
cdl_status core_check(const cdl_backend *backend, cdl_op op, const void *args, bool *nothing);

/* Checks one tensor alone: that it is present, its strides, extent and backend. `what` and `name`
 * begin the message. */
cdl_status core_check_tensor(const cdl_backend *backend, const char *what, const char *name,
                             const cdl_tensor *tensor);

/* Writes the call as text: "gemm(out F32 [2, 3], a …)". */
void core_describe(cdl_op op, const void *args, char *text, size_t bytes);

#endif
