#include "tests/conformance/bounds.h"

#include <float.h>
#include <math.h>

typedef struct {
  double constant;
  const char *reason;
} bound_row;

#define ROUNDING "one or two operations; OpenCL's division may err by 2.5 ulp, 5 u"
#define SUM                                                                                       \
  "a rounding's deviation is at most u/√3; five of them for a million elements, times 2.7 for " \
  "orders whose partial sums are the largest of a thousand (of a Brownian bridge's), make 8 u √…"
#define SUM_AND_FUNCTION "a sum as in gemm, then functions of 4 ulp at most"
#define EXACT "no arithmetic"
#define FACTORIZATION \
  "backward stable, with the modest polynomial of the sizes as growth (Higham 2002, 9, 19)"

static const bound_row rows[CDL_OP_COUNT] = {
    [CDL_OP_copy] = {0, EXACT},
    [CDL_OP_cast] = {0, "ops.h: to nearest, ties to even, hence one right answer"},
    [CDL_OP_permute] = {0, EXACT},
    [CDL_OP_fill] = {0, EXACT},
    [CDL_OP_gather_rows] = {2, "at most one addition"},
    [CDL_OP_scatter_add_rows] = {8, SUM},
    [CDL_OP_gemm] = {8, SUM},
    [CDL_OP_unary] = {8, "a function of 4 ulp, or a gate of that error times x"},
    [CDL_OP_unary_grad] = {8, "as unary"},
    [CDL_OP_binary] = {6, ROUNDING},
    [CDL_OP_axpby] = {4, "two products and an addition"},
    [CDL_OP_reduce] = {8, SUM},
    [CDL_OP_softmax] = {8, SUM_AND_FUNCTION},
    [CDL_OP_softmax_grad] = {8, SUM},
    [CDL_OP_layer_norm] = {8, SUM_AND_FUNCTION},
    [CDL_OP_layer_norm_grad] = {8, SUM},
    [CDL_OP_dropout] = {6, ROUNDING},
    [CDL_OP_cross_entropy] = {8, SUM_AND_FUNCTION},
    [CDL_OP_squared_error] = {8, SUM},
    [CDL_OP_adamw] = {8, "a root, two divisions and four products in a row"},
    [CDL_OP_any_non_finite] = {0, EXACT},
    [CDL_OP_linear] = {10, SUM_AND_FUNCTION},
    [CDL_OP_linear_grad] = {10, SUM_AND_FUNCTION},
    [CDL_OP_low_rank] = {8, SUM},
    [CDL_OP_low_rank_grad] = {8, SUM},
    [CDL_OP_add_layer_norm] = {8, SUM_AND_FUNCTION},
    [CDL_OP_attention] = {8, SUM_AND_FUNCTION},
    [CDL_OP_attention_grad] = {8, SUM_AND_FUNCTION},
    [CDL_OP_clip_norm] = {8, SUM},
    [CDL_OP_svd] = {12, FACTORIZATION},
    [CDL_OP_lu_solve] = {12, FACTORIZATION},
    [CDL_OP_lu_inverse] = {12, FACTORIZATION},
    [CDL_OP_qr] = {12, FACTORIZATION},
    [CDL_OP_eigh] = {12, FACTORIZATION},
    [CDL_OP_binary_cross_entropy] = {8, SUM_AND_FUNCTION},
    [CDL_OP_map_weights] = {8, SUM},
    [CDL_OP_map_weights_grad] = {8, SUM},
    [CDL_OP_add_layer_norm_grad] = {8, SUM},
};

double bound_constant(cdl_op op)
{
  return rows[op].constant;
}

const char *bound_reason(cdl_op op)
{
  return rows[op].reason;
}

double unit_roundoff(cdl_dtype dtype)
{
  switch (dtype) {
  case CDL_DTYPE_F32:
    return FLT_EPSILON / 2;
  case CDL_DTYPE_F64:
    return DBL_EPSILON;
  case CDL_DTYPE_BF16:
    return 0x1p-8;
  case CDL_DTYPE_I32:
  case CDL_DTYPE_U8:
  case CDL_DTYPE_COUNT:
    break;
  }
  return 0;
}

double storing_error(cdl_dtype dtype, double value)
{
  return dtype == CDL_DTYPE_BF16 ? unit_roundoff(dtype) * fabs(value) + smallest_normal(dtype) : 0;
}

double smallest_normal(cdl_dtype dtype)
{
  switch (dtype) {
  case CDL_DTYPE_F32:
  case CDL_DTYPE_BF16:
    return FLT_MIN;
  case CDL_DTYPE_F64:
    return DBL_MIN;
  case CDL_DTYPE_I32:
  case CDL_DTYPE_U8:
  case CDL_DTYPE_COUNT:
    break;
  }
  return 0;
}

bool may_be_flushed(cdl_op op, cdl_dtype dtype, double want)
{
  if (op == CDL_OP_copy || op == CDL_OP_permute || op == CDL_OP_fill)
    return false;
  if (dtype == CDL_DTYPE_F64 && op != CDL_OP_cast)
    return false;
  return fabs(want) < (double)FLT_MIN;
}

double sum_growth(double n, double squares, double sum)
{
  return sqrt(squares + n * (squares / 6 + sum * sum / 3));
}

/* ---- Precision ---- */

static cdl_precision precision = CDL_PRECISION_FP32;

void bound_precision(cdl_precision chosen)
{
  precision = chosen;
}

/* v; 0 where factors are taken as they are. */
static double factor_roundoff(cdl_op op)
{
  if (precision == CDL_PRECISION_FP32)
    return 0;
  switch (op) {
  case CDL_OP_linear:
  case CDL_OP_linear_grad:
    return precision == CDL_PRECISION_BF16 ? 0x1p-8 : 0x1p-11;
  case CDL_OP_gemm:
  case CDL_OP_low_rank:
  case CDL_OP_low_rank_grad:
  case CDL_OP_map_weights:
  case CDL_OP_map_weights_grad:
  case CDL_OP_attention:
  case CDL_OP_attention_grad:
    return 0x1p-11;
  default:
    return 0;
  }
}

double product_growth(cdl_op op, double n, double squares, double sum)
{
  return sum_growth(n, squares, sum) +
         factor_roundoff(op) / unit_roundoff(CDL_DTYPE_F32) * sqrt(squares + sum * sum);
}

double product_roundoff(cdl_op op)
{
  return fmax(unit_roundoff(CDL_DTYPE_F32), factor_roundoff(op));
}
