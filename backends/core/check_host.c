/* Checks of the decompositions. */
#include "backends/core/check_call.h"

enum { REAL = F32 | F64 };

/* k = min(m, n) of a [m, n]. */
static void bind_thin(core_call *call, const cdl_tensor *a)
{
  core_bind(call, 'k', a->size[2] < a->size[3] ? a->size[2] : a->size[3], "the smaller size of a");
}

static const core_operand svd_operands[] = {
    CORE_OPERAND(svd, a, "mn", REAL, IN, 0),
    CORE_OPERAND(svd, sigma, "k", REAL, OUT, 0),
    CORE_OPERAND(svd, u, "mk", REAL, OUT | OPTIONAL, 0),
    CORE_OPERAND(svd, vt, "kn", REAL, OUT | OPTIONAL, 0),
};

static cdl_status prepare_svd(core_call *call)
{
  const cdl_svd_args *args = call->args;
  if (cdl_tensor_present(args->u) != cdl_tensor_present(args->vt))
    return core_refuse(call, "u and vt must be both present or both absent");
  bind_thin(call, &args->a);
  return CDL_STATUS_OK;
}

CORE_SPEC(svd, prepare_svd, core_want_same_dtypes);

static const core_operand lu_solve_operands[] = {
    CORE_OPERAND(lu_solve, a, "nn", REAL, IN, 0),
    CORE_OPERAND(lu_solve, b, "nk", REAL, IN, 0),
    CORE_OPERAND(lu_solve, x, "nk", REAL, OUT, 0),
};

CORE_SPEC(lu_solve, NULL, core_want_same_dtypes);

static const core_operand lu_inverse_operands[] = {
    CORE_OPERAND(lu_inverse, a, "nn", REAL, IN, 0),
    CORE_OPERAND(lu_inverse, out, "nn", REAL, OUT, 0),
};

CORE_SPEC(lu_inverse, NULL, core_want_same_dtypes);

static const core_operand qr_operands[] = {
    CORE_OPERAND(qr, a, "mn", REAL, IN, 0),
    CORE_OPERAND(qr, q, "mk", REAL, OUT, 0),
    CORE_OPERAND(qr, r, "kn", REAL, OUT, 0),
};

static cdl_status prepare_qr(core_call *call)
{
  bind_thin(call, &((const cdl_qr_args *)call->args)->a);
  return CDL_STATUS_OK;
}

CORE_SPEC(qr, prepare_qr, core_want_same_dtypes);

static const core_operand eigh_operands[] = {
    CORE_OPERAND(eigh, a, "nn", REAL, IN, 0),
    CORE_OPERAND(eigh, values, "n", REAL, OUT, 0),
    CORE_OPERAND(eigh, vectors, "nn", REAL, OUT | OPTIONAL, 0),
};

CORE_SPEC(eigh, NULL, core_want_same_dtypes);
