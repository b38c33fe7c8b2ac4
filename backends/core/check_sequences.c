/* Checks of the ops on packed sequences. */
#include "backends/core/check_call.h"
#include "backends/core/check_views.h"

/* The step record is a struct on the device, so it must be aligned for its members. */
static const core_operand packing_operands[] = {
    {"packing->offsets", "s+", 0, I32, IN, 0},
    {"packing->examples", "s", 0, I32, IN, 0},
};
static const core_operand mask_step = {"mask.step", "*", 0, U8, IN, 0};

static cdl_status check_mask(core_call *call, const cdl_dropout_mask *mask)
{
  if (!(mask->probability >= 0 && mask->probability < 1))
    return core_refuse(call, "mask.probability is %g, expected at least 0 and below 1",
                       (double)mask->probability);
  if (mask->probability == 0)
    return CDL_STATUS_OK;
  if (mask->purpose > 0xff || mask->layer > 0xffffff)
    return core_refuse(call, "mask.purpose is %u and mask.layer %u, expected below 256 and 2^24",
                       mask->purpose, mask->layer);
  core_add_operand(call, &mask_step, &mask->step);
  return core_want_step(call, "mask.step", &mask->step);
}

/* Adds the packing's tensors, and the mask's if it draws. */
static cdl_status want_packing(core_call *call, const cdl_packing *packing,
                               const cdl_dropout_mask *mask)
{
  if (packing == NULL)
    return core_refuse(call, "packing is NULL");
  if (packing->sequences < 0 || packing->tokens < 0)
    return core_refuse(call, "packing has %d sequences and %d tokens", packing->sequences,
                       packing->tokens);
  const int32_t *offsets = packing->host_offsets;
  if (offsets == NULL)
    return core_refuse(call, "packing->host_offsets is NULL");
  if (offsets[0] != 0)
    return core_refuse(call, "packing->host_offsets[0] is %d, expected 0", offsets[0]);
  int32_t longest = 0;
  for (int32_t i = 0; i < packing->sequences; i++) {
    if (offsets[i + 1] < offsets[i])
      return core_refuse(call, "packing->host_offsets[%d] is %d after %d; they must ascend", i + 1,
                         offsets[i + 1], offsets[i]);
    if (offsets[i + 1] - offsets[i] > longest)
      longest = offsets[i + 1] - offsets[i];
  }
  if (offsets[packing->sequences] > packing->tokens)
    return core_refuse(call, "packing->host_offsets ends at %d but packing->tokens is %d",
                       offsets[packing->sequences], packing->tokens);
  if (packing->sequences == 0 && packing->tokens > 0)
    return core_refuse(call, "packing has %d tokens and no sequence", packing->tokens);
  if (packing->longest < longest)
    return core_refuse(call, "packing->longest is %d but a sequence has %d tokens",
                       packing->longest, longest);
  core_bind(call, 's', packing->sequences, "packing->sequences");
  CDL_TRY(check_mask(call, mask));
  core_add_operand(call, &packing_operands[0], &packing->offsets);
  if (mask->probability == 0)
    return CDL_STATUS_OK;
  if (packing->host_examples == NULL)
    return core_refuse(call, "packing->host_examples is NULL; dropout wants it");
  core_add_operand(call, &packing_operands[1], &packing->examples);
  return CDL_STATUS_OK;
}

/* ---- dropout ---- */

static const core_operand dropout_operands[] = {
    CORE_OPERAND(dropout, out, "rc", F32 | BF16, OUT | ACTIVATION, 1 << 1),
    CORE_OPERAND(dropout, x, "rc", F32 | BF16, ACTIVATION, 0),
};

cdl_status core_want_dropped_rows(core_call *call, const cdl_packing *packing,
                                  const cdl_dropout_mask *mask, bool per_sequence)
{
  CDL_TRY(want_packing(call, packing, mask));
  if (per_sequence)
    core_bind(call, 'r', packing->sequences, "packing->sequences");
  else
    core_bind(call, 'r', packing->tokens, "packing->tokens");
  return CDL_STATUS_OK;
}

static cdl_status prepare_dropout(core_call *call)
{
  const cdl_dropout_args *args = call->args;
  return core_want_dropped_rows(call, args->packing, &args->mask, args->per_sequence);
}

CORE_SPEC(dropout, prepare_dropout, NULL);

/* ---- attention ---- */

static const core_operand attention_operands[] = {
    CORE_OPERAND(attention, out, "th", F32 | BF16, OUT | ACTIVATION, 0),
    CORE_OPERAND(attention, qkv, "tg", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(attention, log_sum, "kt", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(attention, bias, "kw", F32, IN | OPTIONAL, 0),
};
static const core_addition attention_additions[] = {{offsetof(cdl_attention_args, bias), 3, false}};

static const core_operand attention_grad_operands[] = {
    CORE_OPERAND(attention_grad, d_qkv, "tg", F32 | BF16, OUT | ACTIVATION, 0),
    CORE_OPERAND(attention_grad, d_out, "th", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(attention_grad, qkv, "tg", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(attention_grad, log_sum, "kt", F32, IN, 0),
    CORE_OPERAND(attention_grad, bias, "kw", F32, IN | OPTIONAL, 0),
    CORE_OPERAND(attention_grad, d_bias, "kw", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(attention_grad, out, "th", F32 | BF16, OPTIONAL | ACTIVATION, 0),
};
static const core_addition attention_grad_additions[] = {
    {offsetof(cdl_attention_grad_args, bias), 3, false},
    {offsetof(cdl_attention_grad_args, out), 4, true}};

static cdl_status prepare_heads(core_call *call, const cdl_packing *packing,
                                const cdl_dropout_mask *mask, int32_t heads, float scale,
                                const cdl_tensor *out)
{
  char shape[CORE_SHAPE_BYTES];
  const int64_t hidden = out->size[3];
  CDL_TRY(core_want_finite(call, "scale", (double)scale));
  if (heads < 1)
    return core_refuse(call, "heads is %d, expected at least 1", heads);
  if (hidden % heads != 0)
    return core_refuse(call, "%d heads cannot share the %lld columns of %s evenly", heads,
                       (long long)hidden, core_shape(out, shape));
  CDL_TRY(want_packing(call, packing, mask));
  core_bind(call, 't', packing->tokens, "packing->tokens");
  core_bind(call, 'k', heads, "heads");
  if (hidden >= 0 && hidden <= INT64_MAX / 3)
    core_bind(call, 'g', 3 * hidden, "three times the columns of an output");
  return CDL_STATUS_OK;
}

static cdl_status prepare_attention(core_call *call)
{
  const cdl_attention_args *args = call->args;
  return prepare_heads(call, args->packing, &args->mask, args->heads, args->scale, &args->out);
}

static cdl_status prepare_attention_grad(core_call *call)
{
  const cdl_attention_grad_args *args = call->args;
  return prepare_heads(call, args->packing, &args->mask, args->heads, args->scale, &args->d_out);
}

static cdl_status want_distances(const core_call *call, const cdl_tensor *bias)
{
  char shape[CORE_SHAPE_BYTES];
  if (cdl_tensor_present(*bias) && bias->size[3] % 2 == 0)
    return core_refuse(call, "bias is %s, expected an odd number of distances, from -r to r",
                       core_shape(bias, shape));
  return CDL_STATUS_OK;
}

static cdl_status finish_attention(core_call *call)
{
  const cdl_attention_args *args = call->args;
  return want_distances(call, &args->bias);
}

static cdl_status finish_attention_grad(core_call *call)
{
  const cdl_attention_grad_args *args = call->args;
  if (cdl_tensor_present(args->d_bias) && !cdl_tensor_present(args->bias))
    return core_refuse(call, "d_bias is there but bias is absent");
  if (args->qkv.dtype == CDL_DTYPE_BF16 && !cdl_tensor_present(args->out))
    return core_refuse(call, "out is absent; the gradient of BF16 needs it");
  return want_distances(call, &args->bias);
}

CORE_GROWN_SPEC(attention, prepare_attention, finish_attention, attention_additions, 1);
CORE_GROWN_SPEC(attention_grad, prepare_attention_grad, finish_attention_grad,
                attention_grad_additions, 2);
