/* Checks of losses, the optimizer and the checks of a step's numbers. */
#include "backends/core/check_call.h"
#include "backends/core/check_views.h"

static const core_operand cross_entropy_operands[] = {
    CORE_OPERAND(cross_entropy, loss, "1", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(cross_entropy, logits, "rc", F32, IN, 0),
    CORE_OPERAND(cross_entropy, d_logits, "rc", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(cross_entropy, labels, "r", I32, IN, 0),
    CORE_OPERAND(cross_entropy, class_weight, "c", F32, IN | OPTIONAL, 0),
    CORE_OPERAND(cross_entropy, step, "*", U8, IN, 0),
};

static cdl_status prepare_cross_entropy(core_call *call)
{
  const cdl_cross_entropy_args *args = call->args;
  if (!(args->label_smoothing >= 0 && args->label_smoothing <= 1))
    return core_refuse(call, "label_smoothing is %g, expected 0 to 1",
                       (double)args->label_smoothing);
  return core_want_step(call, "step", &args->step);
}

static cdl_status finish_cross_entropy(core_call *call)
{
  const cdl_cross_entropy_args *args = call->args;
  if (args->logits.size[3] == 0 && args->logits.size[2] > 0)
    return core_refuse(call, "logits has %lld rows of no classes", (long long)args->logits.size[2]);
  return CDL_STATUS_OK;
}

CORE_SPEC(cross_entropy, prepare_cross_entropy, finish_cross_entropy);

static const core_operand binary_cross_entropy_operands[] = {
    CORE_OPERAND(binary_cross_entropy, loss, "1", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(binary_cross_entropy, logits, "rc", F32, IN, 0),
    CORE_OPERAND(binary_cross_entropy, d_logits, "rc", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(binary_cross_entropy, targets, "rc", F32, IN, 0),
    CORE_OPERAND(binary_cross_entropy, pos_weight, "c", F32, IN | OPTIONAL, 0),
    CORE_OPERAND(binary_cross_entropy, step, "*", U8, IN, 0),
};

static cdl_status prepare_binary_cross_entropy(core_call *call)
{
  return core_want_step(call, "step", &((const cdl_binary_cross_entropy_args *)call->args)->step);
}

CORE_SPEC(binary_cross_entropy, prepare_binary_cross_entropy, NULL);

static const core_operand squared_error_operands[] = {
    CORE_OPERAND(squared_error, loss, "1", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(squared_error, d_out, "*", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(squared_error, out, "*", F32, IN, 0),
    CORE_OPERAND(squared_error, target, "*", F32, IN, 0),
    CORE_OPERAND(squared_error, step, "*", U8, IN, 0),
};

static cdl_status prepare_squared_error(core_call *call)
{
  return core_want_step(call, "step", &((const cdl_squared_error_args *)call->args)->step);
}

static cdl_status finish_squared_error(core_call *call)
{
  const cdl_squared_error_args *args = call->args;
  char got[CORE_SHAPE_BYTES], out[CORE_SHAPE_BYTES];
  const int64_t rows = cdl_tensor_elements(args->out);
  if (cdl_tensor_elements(args->target) != rows)
    return core_refuse(call, "target is %s but out %s wants %lld elements",
                       core_shape(&args->target, got), core_shape(&args->out, out),
                       (long long)rows);
  if (cdl_tensor_present(args->d_out) && cdl_tensor_elements(args->d_out) != rows)
    return core_refuse(call, "d_out is %s but out %s wants %lld elements",
                       core_shape(&args->d_out, got), core_shape(&args->out, out), (long long)rows);
  return CDL_STATUS_OK;
}

CORE_SPEC(squared_error, prepare_squared_error, finish_squared_error);

static const core_operand adamw_operands[] = {
    CORE_OPERAND(adamw, parameter, "abcd", F32, OUT, 0),
    CORE_OPERAND(adamw, moment1, "abcd", F32, OUT, 0),
    CORE_OPERAND(adamw, moment2, "abcd", F32, OUT, 0),
    CORE_OPERAND(adamw, gradient, "abcd", F32, IN, 0),
    CORE_OPERAND(adamw, grad_scale, "1", F32, IN | OPTIONAL, 0),
    CORE_OPERAND(adamw, step, "*", U8, IN, 0),
};

static cdl_status prepare_adamw(core_call *call)
{
  const cdl_adamw_args *args = call->args;
  if (!(args->beta1 >= 0 && args->beta1 < 1 && args->beta2 >= 0 && args->beta2 < 1))
    return core_refuse(call, "beta1 is %g and beta2 %g, expected at least 0 and below 1",
                       args->beta1, args->beta2);
  CDL_TRY(core_want_not_negative(call, "epsilon", args->epsilon));
  CDL_TRY(core_want_not_negative(call, "decay", args->decay));
  CDL_TRY(core_want_finite(call, "rate", args->rate));
  return core_want_step(call, "step", &args->step);
}

CORE_SPEC(adamw, prepare_adamw, NULL);

static const core_operand any_non_finite_operands[] = {
    CORE_OPERAND(any_non_finite, flag, "1", I32, OUT, 0),
    CORE_OPERAND(any_non_finite, x, "abcd", F32 | F64, IN, 0),
};

CORE_SPEC(any_non_finite, NULL, NULL);

static const core_operand clip_norm_operands[] = {
    CORE_OPERAND(clip_norm, norm, "1", F32, OUT, 0),
    CORE_OPERAND(clip_norm, factor, "1", F32, OUT, 0),
    CORE_OPERAND(clip_norm, gradient, "abcd", F32, IN, 0),
};

static cdl_status prepare_clip_norm(core_call *call)
{
  return core_want_not_negative(call, "max_norm",
                                (double)((const cdl_clip_norm_args *)call->args)->max_norm);
}

CORE_SPEC(clip_norm, prepare_clip_norm, NULL);
