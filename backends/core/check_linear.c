/* Checks of linear layers and their low-rank updates. */
#include "backends/core/check_call.h"
#include "backends/core/check_views.h"
#include "backends/core/weight.h"

static cdl_status bind_weight(core_call *call, const cdl_weight *weight)
{
  if (weight == NULL)
    return core_refuse(call, "weight is NULL");
  if (weight->owner != call->backend)
    return core_refuse(call, "weight belongs to another backend (%s) than the queue's (%s)",
                       cdl_backend_name(weight->owner), cdl_backend_name(call->backend));
  core_bind(call, 'o', weight->rows, "weight's rows");
  core_bind(call, 'i', weight->columns, "weight's columns");
  return CDL_STATUS_OK;
}

/* An output must not overlap the memory that the weight is read from. */
static cdl_status check_weight_alias(const core_call *call, const cdl_weight *weight)
{
  const core_weight *kept = core_weight_of(weight);
  for (int k = 0; k < call->count; k++) {
    if (!(call->operands[k]->role & OUT) || call->end_byte[k] == 0)
      continue;
    for (size_t s = 0; s < kept->source_count; s++)
      if (kept->sources[s].buffer == call->tensors[k]->buffer &&
          core_overlap(&kept->sources[s], call->tensors[k]))
        return core_refuse(call, "%s overlaps a source of weight", call->operands[k]->name);
  }
  return CDL_STATUS_OK;
}

static const core_operand linear_operands[] = {
    CORE_OPERAND(linear, out, "no", F32 | BF16, OUT | ACTIVATION, 0),
    CORE_OPERAND(linear, pre, "no", F32 | BF16, OUT | OPTIONAL | ACTIVATION, 0),
    CORE_OPERAND(linear, x, "ni", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(linear, bias, "o", F32 | BF16, IN | OPTIONAL, 0),
};

static cdl_status prepare_linear(core_call *call)
{
  const cdl_linear_args *args = call->args;
  CDL_TRY(core_want_activation(call, args->activation));
  return bind_weight(call, args->weight);
}

static cdl_status finish_linear(core_call *call)
{
  const cdl_linear_args *args = call->args;
  if (cdl_tensor_present(args->bias) && args->bias.dtype == CDL_DTYPE_BF16 &&
      args->out.dtype != CDL_DTYPE_BF16)
    return core_refuse(call, "bias is BF16 but out is F32; they must be the same");
  return check_weight_alias(call, args->weight);
}

CORE_SPEC(linear, prepare_linear, finish_linear);

static const core_operand linear_grad_operands[] = {
    CORE_OPERAND(linear_grad, d_x, "ni", F32 | BF16, OUT | ACTIVATION, 0),
    CORE_OPERAND(linear_grad, d_out, "no", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(linear_grad, pre, "ni", F32 | BF16, OPTIONAL | ACTIVATION, 0),
};

static cdl_status prepare_linear_grad(core_call *call)
{
  const cdl_linear_grad_args *args = call->args;
  CDL_TRY(core_want_activation(call, args->activation));
  const bool active = args->activation != CDL_ACTIVATION_NONE;
  if (active && args->accumulate)
    return core_refuse(call, "accumulate and an activation exclude each other");
  if (active && !cdl_tensor_present(args->pre))
    return core_refuse(call, "pre is absent; the activation's gradient wants it");
  if (!active && cdl_tensor_present(args->pre))
    return core_refuse(call, "pre is given without an activation");
  return bind_weight(call, args->weight);
}

static cdl_status finish_linear_grad(core_call *call)
{
  return check_weight_alias(call, ((const cdl_linear_grad_args *)call->args)->weight);
}

CORE_SPEC(linear_grad, prepare_linear_grad, finish_linear_grad);

/* ---- Low-rank updates ---- */

/* The further terms. In the list of operands each is a series that begins with the tensor whose
 * absence makes the term absent; the tensors after the first four may be absent from a term. */
typedef struct {
  int first, count; /* of a term's operands */
  float scale[2];
} terms;

enum { TERM_NEEDS = 4 };

static cdl_status check_term(const core_call *call, int first, int count)
{
  const char *leads = call->operands[first]->name;
  const bool given = cdl_tensor_present(*call->tensors[first]);
  for (int k = first + 1; k < first + count; k++) {
    const bool present = cdl_tensor_present(*call->tensors[k]);
    if (present && !given)
      return core_refuse(call, "%s is given but %s is absent", call->operands[k]->name, leads);
    if (given && !present && k < first + TERM_NEEDS)
      return core_refuse(call, "%s is absent but %s is given", call->operands[k]->name, leads);
  }
  return CDL_STATUS_OK;
}

static cdl_status want_whole_terms(const core_call *call, terms t)
{
  static const char *const scale_names[] = {"more[0].scale", "more[1].scale"};
  for (int i = 0; i < 2; i++) {
    const int first = t.first + i * t.count;
    CDL_TRY(check_term(call, first, t.count));
    CDL_TRY(core_want_finite(call, scale_names[i], (double)t.scale[i]));
  }
  const int first = t.first, second = t.first + t.count;
  return cdl_tensor_present(*call->tensors[second]) && !cdl_tensor_present(*call->tensors[first])
             ? core_refuse(call, "%s is given but %s is absent", call->operands[second]->name,
                           call->operands[first]->name)
             : CDL_STATUS_OK;
}

static const core_operand low_rank_operands[] = {
    CORE_OPERAND(low_rank, out, "no", F32 | BF16, OUT | ACTIVATION, 0),
    CORE_OPERAND(low_rank, x, "ni", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(low_rank, a, "ri", F32, IN, 0),
    CORE_OPERAND(low_rank, b, "or", F32, IN, 0),
    CORE_OPERAND(low_rank, hidden, "nr", F32, OUT, 0),
    CORE_OPERAND(low_rank, more[0].out, "np", F32 | BF16, OUT | OPTIONAL | ACTIVATION, 0),
    CORE_OPERAND(low_rank, more[0].a, "si", F32, OPTIONAL, 0),
    CORE_OPERAND(low_rank, more[0].b, "ps", F32, OPTIONAL, 0),
    CORE_OPERAND(low_rank, more[0].hidden, "ns", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(low_rank, more[1].out, "nq", F32 | BF16, OUT | OPTIONAL | ACTIVATION, 0),
    CORE_OPERAND(low_rank, more[1].a, "ti", F32, OPTIONAL, 0),
    CORE_OPERAND(low_rank, more[1].b, "qt", F32, OPTIONAL, 0),
    CORE_OPERAND(low_rank, more[1].hidden, "nt", F32, OUT | OPTIONAL, 0),
};
static const core_addition low_rank_additions[] = {{offsetof(cdl_low_rank_args, more), 4, false}};

static cdl_status prepare_low_rank(core_call *call)
{
  const cdl_low_rank_args *args = call->args;
  CDL_TRY(core_want_finite(call, "scale", (double)args->scale));
  return want_whole_terms(call, (terms){5, 4, {args->more[0].scale, args->more[1].scale}});
}

CORE_GROWN_SPEC(low_rank, prepare_low_rank, NULL, low_rank_additions, 1);

static const core_operand low_rank_grad_operands[] = {
    CORE_OPERAND(low_rank_grad, d_out, "no", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(low_rank_grad, x, "ni", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(low_rank_grad, a, "ri", F32, IN, 0),
    CORE_OPERAND(low_rank_grad, b, "or", F32, IN, 0),
    CORE_OPERAND(low_rank_grad, hidden, "nr", F32, IN, 0),
    CORE_OPERAND(low_rank_grad, d_x, "ni", F32 | BF16, OUT | OPTIONAL | ACTIVATION, 0),
    CORE_OPERAND(low_rank_grad, d_a, "ri", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(low_rank_grad, d_b, "or", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(low_rank_grad, more[0].d_out, "np", F32 | BF16, OPTIONAL | ACTIVATION, 0),
    CORE_OPERAND(low_rank_grad, more[0].a, "si", F32, OPTIONAL, 0),
    CORE_OPERAND(low_rank_grad, more[0].b, "ps", F32, OPTIONAL, 0),
    CORE_OPERAND(low_rank_grad, more[0].hidden, "ns", F32, OPTIONAL, 0),
    CORE_OPERAND(low_rank_grad, more[0].d_a, "si", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(low_rank_grad, more[0].d_b, "ps", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(low_rank_grad, more[1].d_out, "nq", F32 | BF16, OPTIONAL | ACTIVATION, 0),
    CORE_OPERAND(low_rank_grad, more[1].a, "ti", F32, OPTIONAL, 0),
    CORE_OPERAND(low_rank_grad, more[1].b, "qt", F32, OPTIONAL, 0),
    CORE_OPERAND(low_rank_grad, more[1].hidden, "nt", F32, OPTIONAL, 0),
    CORE_OPERAND(low_rank_grad, more[1].d_a, "ti", F32, OUT | OPTIONAL, 0),
    CORE_OPERAND(low_rank_grad, more[1].d_b, "qt", F32, OUT | OPTIONAL, 0),
};
static const core_addition low_rank_grad_additions[] = {
    {offsetof(cdl_low_rank_grad_args, more), 4, false}};

static cdl_status prepare_low_rank_grad(core_call *call)
{
  const cdl_low_rank_grad_args *args = call->args;
  CDL_TRY(core_want_finite(call, "scale", (double)args->scale));
  return want_whole_terms(call, (terms){8, 6, {args->more[0].scale, args->more[1].scale}});
}

CORE_GROWN_SPEC(low_rank_grad, prepare_low_rank_grad, NULL, low_rank_grad_additions, 1);

/* ---- Maps of weights: some shapes depend on `transposed` ---- */

static const core_operand map_weights_operands[] = {
    CORE_OPERAND(map_weights, weight, "xyoi", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(map_weights, theta_b, "xyri", F32, IN, 0),
    CORE_OPERAND(map_weights, b, "xyor", F32, OUT, 0),
    CORE_OPERAND(map_weights, theta_a, "xyro", F32, IN, 0),
    CORE_OPERAND(map_weights, a, "xyri", F32, OUT, 0),
};
static const core_operand transposed_theta_a =
    CORE_OPERAND(map_weights, theta_a, "xyri", F32, IN, 0);
static const core_operand transposed_a = CORE_OPERAND(map_weights, a, "xyro", F32, OUT, 0);

static cdl_status prepare_map_weights(core_call *call)
{
  const cdl_map_weights_args *args = call->args;
  if (!args->transposed)
    return CDL_STATUS_OK;
  call->count -= 2;
  core_add_operand(call, &transposed_theta_a, &args->theta_a);
  core_add_operand(call, &transposed_a, &args->a);
  return CDL_STATUS_OK;
}

CORE_SPEC(map_weights, prepare_map_weights, NULL);

static const core_operand map_weights_grad_operands[] = {
    CORE_OPERAND(map_weights_grad, weight, "xyoi", F32 | BF16, ACTIVATION, 0),
    CORE_OPERAND(map_weights_grad, d_b, "xyor", F32, IN, 0),
    CORE_OPERAND(map_weights_grad, d_theta_b, "x1ri", F32, OUT, 0),
    CORE_OPERAND(map_weights_grad, d_a, "xyri", F32, IN, 0),
    CORE_OPERAND(map_weights_grad, d_theta_a, "x1ro", F32, OUT | OPTIONAL, 0),
};
static const core_operand transposed_d_a = CORE_OPERAND(map_weights_grad, d_a, "xyro", F32, IN, 0);
static const core_operand transposed_d_theta_a =
    CORE_OPERAND(map_weights_grad, d_theta_a, "x1ri", F32, OUT | OPTIONAL, 0);

static cdl_status prepare_map_weights_grad(core_call *call)
{
  const cdl_map_weights_grad_args *args = call->args;
  if (!args->transposed)
    return CDL_STATUS_OK;
  call->count -= 2;
  core_add_operand(call, &transposed_d_a, &args->d_a);
  core_add_operand(call, &transposed_d_theta_a, &args->d_theta_a);
  return CDL_STATUS_OK;
}

CORE_SPEC(map_weights_grad, prepare_map_weights_grad, NULL);
