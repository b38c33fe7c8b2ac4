/* Checks of GEMM, maps, reductions and normalizations. */
#include "backends/core/check_call.h"
#include "backends/core/check_views.h"

/* ---- gemm: its shapes depend on its flags ---- */

static const core_operand gemm_operands[] = {
    CORE_OPERAND(gemm, out, "xymn", F32 | F64, OUT, 0),
    CORE_OPERAND(gemm, a, "xymk", F32 | F64 | BF16, IN, 0),
    CORE_OPERAND(gemm, b, "xykn", F32 | F64 | BF16, IN, 0),
};
static const core_operand gemm_transposed_a =
    CORE_OPERAND(gemm, a, "xykm", F32 | F64 | BF16, IN, 0);
static const core_operand gemm_transposed_b =
    CORE_OPERAND(gemm, b, "xynk", F32 | F64 | BF16, IN, 0);

static cdl_status prepare_gemm(core_call *call)
{
  const cdl_gemm_args *args = call->args;
  /* a and b come before out: if sizes differ, the message should blame out. */
  call->count = 0;
  core_add_operand(call, args->transpose_a ? &gemm_transposed_a : &gemm_operands[1], &args->a);
  core_add_operand(call, args->transpose_b ? &gemm_transposed_b : &gemm_operands[2], &args->b);
  core_add_operand(call, &gemm_operands[0], &args->out);
  CDL_TRY(core_want_finite(call, "alpha", (double)args->alpha));
  return core_want_finite(call, "beta", (double)args->beta);
}

static cdl_status finish_gemm(core_call *call)
{
  const cdl_gemm_args *args = call->args;
  const bool narrow = args->a.dtype == CDL_DTYPE_BF16 && args->b.dtype == CDL_DTYPE_BF16 &&
                      args->out.dtype == CDL_DTYPE_F32;
  if (!narrow && (args->a.dtype != args->b.dtype || args->a.dtype != args->out.dtype))
    return core_refuse(call,
                       "out, a, b are %s, %s, %s, expected all F32, all F64, or F32, BF16, BF16",
                       cdl_dtype_name(args->out.dtype), cdl_dtype_name(args->a.dtype),
                       cdl_dtype_name(args->b.dtype));
  return CDL_STATUS_OK;
}

CORE_SPEC(gemm, prepare_gemm, finish_gemm);

/* ---- Maps ---- */

static const core_operand unary_operands[] = {
    CORE_OPERAND(unary, out, "abcd", F32 | BF16, OUT | ACTIVATION, 1 << 1),
    CORE_OPERAND(unary, x, "abcd", F32 | BF16, ACTIVATION, 0),
};

static cdl_status prepare_unary(core_call *call)
{
  const cdl_unary_args *args = call->args;
  if ((unsigned)args->function > CDL_UNARY_RECIPROCAL)
    return core_refuse(call, "function is %d, expected one of cdl_unary_function",
                       (int)args->function);
  return args->function == CDL_UNARY_ACTIVATION ? core_want_activation(call, args->activation)
                                                : CDL_STATUS_OK;
}

CORE_SPEC(unary, prepare_unary, NULL);

static const core_operand unary_grad_operands[] = {
    CORE_OPERAND(unary_grad, d_x, "abcd", F32 | BF16, OUT | ACTIVATION, 1 << 1),
    CORE_OPERAND(unary_grad, d_out, "abcd", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(unary_grad, x, "abcd", F32 | BF16, ACTIVATION, 0),
};

static cdl_status prepare_unary_grad(core_call *call)
{
  return core_want_activation(call, ((const cdl_unary_grad_args *)call->args)->activation);
}

CORE_SPEC(unary_grad, prepare_unary_grad, NULL);

static const core_operand binary_operands[] = {
    CORE_OPERAND(binary, out, "abcd", F32, OUT, 1 << 1),
    CORE_OPERAND(binary, x, "abcd", F32, IN, 0),
    CORE_OPERAND(binary, y, "*", F32, IN, 0),
};

static cdl_status prepare_binary(core_call *call)
{
  const cdl_binary_args *args = call->args;
  return (unsigned)args->function <= CDL_BINARY_MINIMUM
             ? CDL_STATUS_OK
             : core_refuse(call, "function is %d, expected one of cdl_binary_function",
                           (int)args->function);
}

static cdl_status finish_binary(core_call *call)
{
  const cdl_binary_args *args = call->args;
  for (int d = 0; d < 4; d++)
    if (args->y.size[d] != args->out.size[d] && args->y.size[d] != 1) {
      char x[CORE_SHAPE_BYTES], y[CORE_SHAPE_BYTES];
      return core_refuse(call, "y is %s but x %s wants each size to be x's or 1",
                         core_shape(&args->y, y), core_shape(&args->x, x));
    }
  return CDL_STATUS_OK;
}

CORE_SPEC(binary, prepare_binary, finish_binary);

static const core_operand axpby_operands[] = {
    CORE_OPERAND(axpby, out, "abcd", F32 | BF16, OUT | ACTIVATION, 0),
    CORE_OPERAND(axpby, x, "abcd", F32 | BF16, ACTIVATION, 0),
};

static cdl_status prepare_axpby(core_call *call)
{
  const cdl_axpby_args *args = call->args;
  CDL_TRY(core_want_finite(call, "alpha", (double)args->alpha));
  return core_want_finite(call, "beta", (double)args->beta);
}

CORE_SPEC(axpby, prepare_axpby, NULL);

/* ---- Reductions ---- */

static const core_operand reduce_operands[] = {
    CORE_OPERAND(reduce, out, "*", F32, OUT, 0),
    CORE_OPERAND(reduce, x, "*", F32, IN, 0),
};

static cdl_status prepare_reduce(core_call *call)
{
  const cdl_reduce_args *args = call->args;
  if ((unsigned)args->function > CDL_REDUCE_MAXIMUM)
    return core_refuse(call, "function is %d, expected one of cdl_reduce_function",
                       (int)args->function);
  if (args->axis > 3)
    return core_refuse(call, "axis is %d, expected 0 to 3", args->axis);
  if (args->accumulate && args->function == CDL_REDUCE_MAXIMUM)
    return core_refuse(call, "accumulate goes with sums only, not with a maximum");
  return CDL_STATUS_OK;
}

static cdl_status finish_reduce(core_call *call)
{
  const cdl_reduce_args *args = call->args;
  for (int d = 0; d < 4; d++)
    if (args->out.size[d] != (d == args->axis ? 1 : args->x.size[d])) {
      char out[CORE_SHAPE_BYTES], x[CORE_SHAPE_BYTES];
      return core_refuse(call,
                         "out is %s but x %s over axis %d wants x's sizes with 1 in that axis",
                         core_shape(&args->out, out), core_shape(&args->x, x), args->axis);
    }
  return CDL_STATUS_OK;
}

CORE_SPEC(reduce, prepare_reduce, finish_reduce);

/* ---- softmax: "row-wise" is over the last dimension of any shape ---- */

static const core_operand softmax_operands[] = {
    CORE_OPERAND(softmax, out, "abcd", F32, OUT, 1 << 1),
    CORE_OPERAND(softmax, x, "abcd", F32, IN, 0),
};

static cdl_status prepare_softmax(core_call *call)
{
  return core_want_finite(call, "scale", (double)((const cdl_softmax_args *)call->args)->scale);
}

CORE_SPEC(softmax, prepare_softmax, NULL);

static const core_operand softmax_grad_operands[] = {
    CORE_OPERAND(softmax_grad, d_x, "abcd", F32, OUT, 1 << 1),
    CORE_OPERAND(softmax_grad, d_out, "abcd", F32, IN, 0),
    CORE_OPERAND(softmax_grad, out, "abcd", F32, IN, 0),
};

static cdl_status prepare_softmax_grad(core_call *call)
{
  return core_want_finite(call, "scale",
                          (double)((const cdl_softmax_grad_args *)call->args)->scale);
}

CORE_SPEC(softmax_grad, prepare_softmax_grad, NULL);

/* ---- Layer norm ---- */

static const core_operand layer_norm_operands[] = {
    CORE_OPERAND(layer_norm, out, "rc", F32 | BF16, OUT | ACTIVATION, 1 << 1),
    CORE_OPERAND(layer_norm, x, "rc", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(layer_norm, gain, "c", F32, IN, 0),
    CORE_OPERAND(layer_norm, bias, "c", F32, IN, 0),
    CORE_OPERAND(layer_norm, mean, "r", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(layer_norm, rstd, "r", F32, OUT | OPTIONAL, 0),
};

static cdl_status prepare_layer_norm(core_call *call)
{
  return core_want_not_negative(call, "epsilon",
                                (double)((const cdl_layer_norm_args *)call->args)->epsilon);
}

CORE_SPEC(layer_norm, prepare_layer_norm, NULL);

static const core_operand layer_norm_grad_operands[] = {
    CORE_OPERAND(layer_norm_grad, d_x, "rc", F32 | BF16, OUT | OPTIONAL | ACTIVATION, 1 << 3),
    CORE_OPERAND(layer_norm_grad, d_gain, "c", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(layer_norm_grad, d_bias, "c", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(layer_norm_grad, d_out, "rc", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(layer_norm_grad, x, "rc", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(layer_norm_grad, gain, "c", F32, IN, 0),
    CORE_OPERAND(layer_norm_grad, mean, "r", F32, IN, 0),
    CORE_OPERAND(layer_norm_grad, rstd, "r", F32, IN, 0),
};

CORE_SPEC(layer_norm_grad, NULL, NULL);

static const core_operand add_layer_norm_operands[] = {
    CORE_OPERAND(add_layer_norm, out, "rc", F32 | BF16, OUT | ACTIVATION, 1 << 1 | 1 << 2 | 1 << 3),
    CORE_OPERAND(add_layer_norm, sum, "rc", F32 | BF16, OUT | ACTIVATION, 1 << 2 | 1 << 3),
    CORE_OPERAND(add_layer_norm, x, "rc", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(add_layer_norm, residual, "rc", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(add_layer_norm, gain, "c", F32, IN, 0),
    CORE_OPERAND(add_layer_norm, bias, "c", F32, IN, 0),
    CORE_OPERAND(add_layer_norm, mean, "r", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(add_layer_norm, rstd, "r", F32, OUT | OPTIONAL, 0),
};

static const core_addition add_layer_norm_additions[] = {
    {offsetof(cdl_add_layer_norm_args, mask), 5, false}};

static cdl_status prepare_add_layer_norm(core_call *call)
{
  const cdl_add_layer_norm_args *args = call->args;
  CDL_TRY(core_want_not_negative(call, "epsilon", (double)args->epsilon));
  return args->mask.probability == 0
             ? CDL_STATUS_OK
             : core_want_dropped_rows(call, args->packing, &args->mask, args->per_sequence);
}

/* out may take an input's place only through sum. */
static cdl_status finish_add_layer_norm(core_call *call)
{
  const cdl_add_layer_norm_args *args = call->args;
  const bool over_x = core_same_view(&args->out, &args->x),
             over_residual = core_same_view(&args->out, &args->residual);
  if ((over_x || over_residual) && !core_same_view(&args->out, &args->sum) &&
      cdl_tensor_elements(args->out) > 0)
    return core_refuse(call, "out is the same view as %s, which is allowed only where sum is too",
                       over_x ? "x" : "residual");
  if (args->mask.probability > 0 && core_same_view(&args->sum, &args->residual) &&
      cdl_tensor_elements(args->sum) > 0)
    return core_refuse(call, "sum is the same view as residual, which dropout does not allow");
  return CDL_STATUS_OK;
}

CORE_GROWN_SPEC(add_layer_norm, prepare_add_layer_norm, finish_add_layer_norm,
                add_layer_norm_additions, 1);

static const core_operand add_layer_norm_grad_operands[] = {
    CORE_OPERAND(add_layer_norm_grad, d_x, "rc", F32 | BF16, OUT | ACTIVATION, 0),
    CORE_OPERAND(add_layer_norm_grad, d_sum, "rc", F32 | BF16, OUT | ACTIVATION, 1 << 4),
    CORE_OPERAND(add_layer_norm_grad, d_gain, "c", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(add_layer_norm_grad, d_bias, "c", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(add_layer_norm_grad, d_out, "rc", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(add_layer_norm_grad, sum, "rc", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(add_layer_norm_grad, gain, "c", F32, IN, 0),
    CORE_OPERAND(add_layer_norm_grad, mean, "r", F32, IN, 0),
    CORE_OPERAND(add_layer_norm_grad, rstd, "r", F32, IN, 0),
};

static cdl_status prepare_add_layer_norm_grad(core_call *call)
{
  const cdl_add_layer_norm_grad_args *args = call->args;
  return core_want_dropped_rows(call, args->packing, &args->mask, args->per_sequence);
}

CORE_SPEC(add_layer_norm_grad, prepare_add_layer_norm_grad, NULL);
