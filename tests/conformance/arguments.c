/* Wrong calls. Each starts from the op's sample, breaks one thing, and must leave ARGUMENT and the
 * op's name on its own queue, and every byte as it was. The sample unbroken must pass, or nothing
 * here would say anything. */
#include <string.h>

#include "tests/conformance/suite.h"

enum { OUT = 1, IN = 2, OPTIONAL = 4, ANY_SIZE = 8, INTEGER = 16, BYTES = 32 };

typedef struct {
  cdl_op op;
  const char *name;
  size_t at;
  unsigned flags;
} member;

#define M(op, field, flags) {CDL_OP_##op, #field, offsetof(cdl_##op##_args, field), flags},

/* clang-format off */
static const member members[] = {
    M(copy, out, OUT) M(copy, x, IN)
    M(cast, out, OUT) M(cast, x, IN)
    M(permute, out, OUT) M(permute, x, IN)
    M(fill, out, OUT | ANY_SIZE)
    M(gather_rows, out, OUT) M(gather_rows, table, IN) M(gather_rows, index, IN | INTEGER)
    M(scatter_add_rows, table, OUT) M(scatter_add_rows, x, IN) M(scatter_add_rows, order, IN | INTEGER)
    M(scatter_add_rows, segment, IN | INTEGER) M(scatter_add_rows, target, IN | INTEGER)
    M(gemm, out, OUT) M(gemm, a, IN) M(gemm, b, IN)
    M(unary, out, OUT) M(unary, x, IN)
    M(unary_grad, d_x, OUT) M(unary_grad, d_out, IN) M(unary_grad, x, IN)
    M(binary, out, OUT) M(binary, x, IN) M(binary, y, IN)
    M(axpby, out, OUT) M(axpby, x, IN)
    M(reduce, out, OUT) M(reduce, x, IN | ANY_SIZE) /* one column more is summed like the others */
    M(softmax, out, OUT) M(softmax, x, IN)
    M(softmax_grad, d_x, OUT) M(softmax_grad, d_out, IN) M(softmax_grad, out, IN)
    M(layer_norm, out, OUT) M(layer_norm, x, IN) M(layer_norm, gain, IN) M(layer_norm, bias, IN)
    M(layer_norm, mean, OUT | OPTIONAL) M(layer_norm, rstd, OUT | OPTIONAL)
    M(layer_norm_grad, d_x, OUT | OPTIONAL) M(layer_norm_grad, d_gain, OUT | OPTIONAL) M(layer_norm_grad, d_bias, OUT | OPTIONAL)
    M(layer_norm_grad, d_out, IN) M(layer_norm_grad, x, IN) M(layer_norm_grad, gain, IN) M(layer_norm_grad, mean, IN)
    M(layer_norm_grad, rstd, IN)
    M(dropout, out, OUT) M(dropout, x, IN) M(dropout, mask.step, IN | BYTES | ANY_SIZE)
    M(cross_entropy, loss, OUT | OPTIONAL) M(cross_entropy, d_logits, OUT | OPTIONAL) M(cross_entropy, logits, IN)
    M(cross_entropy, labels, IN | INTEGER) M(cross_entropy, class_weight, IN | OPTIONAL) M(cross_entropy, step, IN | BYTES | ANY_SIZE)
    M(squared_error, loss, OUT | OPTIONAL) M(squared_error, d_out, OUT | OPTIONAL) M(squared_error, out, IN) M(squared_error, target, IN)
    M(squared_error, step, IN | BYTES | ANY_SIZE)
    M(binary_cross_entropy, loss, OUT | OPTIONAL) M(binary_cross_entropy, d_logits, OUT | OPTIONAL)
    M(binary_cross_entropy, logits, IN) M(binary_cross_entropy, targets, IN)
    M(binary_cross_entropy, pos_weight, IN | OPTIONAL)
    M(binary_cross_entropy, step, IN | BYTES | ANY_SIZE)
    M(adamw, parameter, OUT) M(adamw, moment1, OUT) M(adamw, moment2, OUT) M(adamw, gradient, IN) M(adamw, grad_scale, IN | OPTIONAL)
    M(adamw, step, IN | BYTES | ANY_SIZE)
    M(any_non_finite, flag, OUT | INTEGER) M(any_non_finite, x, IN | ANY_SIZE)
    M(linear, out, OUT) M(linear, pre, OUT | OPTIONAL) M(linear, x, IN) M(linear, bias, IN | OPTIONAL)
    M(linear_grad, d_x, OUT) M(linear_grad, d_out, IN) M(linear_grad, pre, IN)
    M(low_rank, out, OUT) M(low_rank, hidden, OUT) M(low_rank, x, IN) M(low_rank, a, IN) M(low_rank, b, IN)
    M(low_rank, more[0].out, OUT) M(low_rank, more[0].hidden, OUT) M(low_rank, more[0].a, IN) M(low_rank, more[0].b, IN)
    M(low_rank, more[1].out, OUT) M(low_rank, more[1].hidden, OUT) M(low_rank, more[1].a, IN) M(low_rank, more[1].b, IN)
    M(low_rank_grad, d_x, OUT | OPTIONAL) M(low_rank_grad, d_a, OUT | OPTIONAL) M(low_rank_grad, d_b, OUT | OPTIONAL)
    M(low_rank_grad, d_out, IN) M(low_rank_grad, hidden, IN) M(low_rank_grad, x, IN) M(low_rank_grad, a, IN) M(low_rank_grad, b, IN)
    M(low_rank_grad, more[0].d_a, OUT | OPTIONAL) M(low_rank_grad, more[0].d_b, OUT | OPTIONAL) M(low_rank_grad, more[0].d_out, IN)
    M(low_rank_grad, more[0].hidden, IN) M(low_rank_grad, more[0].a, IN) M(low_rank_grad, more[0].b, IN)
    M(low_rank_grad, more[1].d_a, OUT | OPTIONAL) M(low_rank_grad, more[1].d_b, OUT | OPTIONAL) M(low_rank_grad, more[1].d_out, IN)
    M(low_rank_grad, more[1].hidden, IN) M(low_rank_grad, more[1].a, IN) M(low_rank_grad, more[1].b, IN)
    M(add_layer_norm, out, OUT) M(add_layer_norm, sum, OUT) M(add_layer_norm, x, IN) M(add_layer_norm, residual, IN)
    M(add_layer_norm, gain, IN) M(add_layer_norm, bias, IN) M(add_layer_norm, mean, OUT | OPTIONAL) M(add_layer_norm, rstd, OUT | OPTIONAL)
    M(attention, out, OUT) M(attention, qkv, IN) M(attention, log_sum, OUT | OPTIONAL) M(attention, mask.step, IN | BYTES | ANY_SIZE)
    M(attention, bias, IN | OPTIONAL)
    M(attention_grad, d_qkv, OUT) M(attention_grad, d_out, IN) M(attention_grad, qkv, IN) M(attention_grad, log_sum, IN)
    M(attention_grad, mask.step, IN | BYTES | ANY_SIZE) M(attention_grad, bias, IN) M(attention_grad, d_bias, OUT | OPTIONAL)
    M(clip_norm, norm, OUT) M(clip_norm, factor, OUT) M(clip_norm, gradient, IN | ANY_SIZE)
    M(svd, u, OUT | OPTIONAL) M(svd, sigma, OUT) M(svd, vt, OUT | OPTIONAL) M(svd, a, IN)
    M(lu_solve, x, OUT) M(lu_solve, a, IN) M(lu_solve, b, IN)
    M(lu_inverse, out, OUT) M(lu_inverse, a, IN)
    M(qr, q, OUT) M(qr, r, OUT) M(qr, a, IN)
    M(eigh, values, OUT) M(eigh, vectors, OUT | OPTIONAL) M(eigh, a, IN)
    M(map_weights, a, OUT) M(map_weights, b, OUT) M(map_weights, theta_a, IN) M(map_weights, theta_b, IN) M(map_weights, weight, IN)
    M(map_weights_grad, d_theta_a, OUT | OPTIONAL) M(map_weights_grad, d_theta_b, OUT) M(map_weights_grad, d_a, IN)
    M(map_weights_grad, d_b, IN) M(map_weights_grad, weight, IN)
    M(add_layer_norm_grad, d_x, OUT) M(add_layer_norm_grad, d_sum, OUT) M(add_layer_norm_grad, d_gain, OUT | OPTIONAL)
    M(add_layer_norm_grad, d_bias, OUT | OPTIONAL) M(add_layer_norm_grad, d_out, IN) M(add_layer_norm_grad, sum, IN)
    M(add_layer_norm_grad, gain, IN) M(add_layer_norm_grad, mean, IN) M(add_layer_norm_grad, rstd, IN)
    M(add_layer_norm_grad, mask.step, IN | BYTES | ANY_SIZE)
};
/* clang-format on */
enum { MEMBERS = sizeof members / sizeof *members };

/* Pairs that ops.h lets be the very same view. */
static const struct {
  cdl_op op;
  const char *out, *in;
} in_place[] = {
    {CDL_OP_unary, "out", "x"},
    {CDL_OP_unary_grad, "d_x", "d_out"},
    {CDL_OP_binary, "out", "x"},
    {CDL_OP_softmax, "out", "x"},
    {CDL_OP_softmax_grad, "d_x", "d_out"},
    {CDL_OP_layer_norm, "out", "x"},
    {CDL_OP_layer_norm_grad, "d_x", "d_out"},
    {CDL_OP_dropout, "out", "x"},
    {CDL_OP_add_layer_norm, "sum", "x"},
    {CDL_OP_add_layer_norm, "sum", "residual"},
    {CDL_OP_add_layer_norm_grad, "d_sum", "d_out"},
};

typedef enum {
  WHOLE,
  DTYPE,
  SIZE,
  EXTENT,
  PAST_END,
  NEGATIVE,
  HUGE_SIZE,
  STRIDE,
  REPEATED_OUT,
  ABSENT,
  OVERLAP,
  SAME_VIEW
} defect;

typedef struct {
  defect kind;
  int of, with; /* members */
} breakage;

static cdl_tensor *tensor_of(void *args, int index)
{
  return (cdl_tensor *)((char *)args + members[index].at);
}

static int64_t span(const cdl_tensor *v)
{
  int64_t last = 0;
  for (int d = 0; d < 4; d++)
    last += (v->size[d] - 1) * v->stride[d];
  return last + 1;
}

static int64_t buffer_elements(const cdl_tensor *v)
{
  return (int64_t)(cdl_buffer_bytes(v->buffer) / cdl_dtype_bytes(v->dtype));
}

static void apply(const breakage *b, void *args)
{
  cdl_tensor *v = b->kind == WHOLE ? NULL : tensor_of(args, b->of);
  const unsigned flags = b->kind == WHOLE ? 0 : members[b->of].flags;
  switch (b->kind) {
  case WHOLE:
    break;
  case DTYPE:
    v->dtype = (flags & (INTEGER | BYTES)) != 0 ? CDL_DTYPE_F32 : CDL_DTYPE_U8;
    if ((flags & BYTES) != 0)
      v->size[3] /= 4; /* the same bytes */
    break;
  case SIZE:
    v->size[3]++;
    v->stride[3] = 1;
    break;
  case EXTENT:
    v->offset = buffer_elements(v) - span(v) + 1;
    break;
  case PAST_END:
    v->offset = buffer_elements(v);
    break;
  case NEGATIVE:
    v->offset = -1;
    break;
  case HUGE_SIZE:
    v->size[2] = INT64_MAX / 2;
    v->stride[2] = INT64_MAX / 4;
    break;
  case STRIDE:
    v->stride[3] = 2;
    break;
  case REPEATED_OUT:
    v->stride[v->size[2] > 1 ? 2 : 3] = 0;
    break;
  case ABSENT:
    *v = (cdl_tensor){0};
    break;
  case OVERLAP:
  case SAME_VIEW: {
    const cdl_tensor *other = tensor_of(args, b->with);
    v->buffer = other->buffer;
    v->offset = other->offset + (span(other) > 1 ? 1 : 0);
    if (b->kind == SAME_VIEW)
      *v = *other;
    break;
  }
  }
}

/* The queue must be failed with ARGUMENT, in words that name the op. */
static void expect_refusal(trial *t, const void *args)
{
  const op_info *op = op_find((cdl_op)t->self->op);
  if (!trial_upload(t))
    return;
  cdl_status status = cdl_queue_sync(t->queue);
  if (status != CDL_STATUS_OK) {
    trial_fail(t, "upload: %s: %s", cdl_status_name(status), cdl_error_message());
    return;
  }
  op->call(t->queue, args);
  status = cdl_queue_sync(t->queue);
  if (status != CDL_STATUS_ARGUMENT)
    trial_fail(t, "%s, not ARGUMENT%s%s", cdl_status_name(status),
               status == CDL_STATUS_OK ? "" : ": ",
               status == CDL_STATUS_OK ? "" : cdl_error_message());
  else if (strstr(cdl_error_message(), op->name) == NULL)
    trial_fail(t, "the message does not name the op: %s", cdl_error_message());
  else if (strchr(cdl_error_message(), '\n') != NULL)
    trial_fail(t, "the message is not one line");
  cdl_queue *fresh = NULL;
  if (t->outcome == OUTCOME_FAIL || cdl_queue_create(t->backend, &fresh) != CDL_STATUS_OK)
    return;
  for (int i = 0; i < t->operand_count; i++) {
    const operand *o = t->operands[i];
    cdl_queue_download(fresh, o->found,
                       cdl_tensor_1d(o->buffer, CDL_DTYPE_U8, 0, (int64_t)o->bytes), o->bytes);
  }
  status = cdl_queue_sync(fresh);
  cdl_queue_destroy(fresh);
  if (status != CDL_STATUS_OK)
    trial_fail(t, "a fresh queue fails after it: %s", cdl_error_message());
  for (int i = 0; i < t->operand_count && status == CDL_STATUS_OK; i++)
    if (memcmp(t->operands[i]->found, t->operands[i]->image, t->operands[i]->bytes) != 0)
      trial_fail(t, "%s was changed by a refused call", t->operands[i]->name);
}

static void broken_case(trial *t, const void *parameters)
{
  const breakage *b = parameters;
  void *args = trial_memory(t, 1, op_find((cdl_op)t->self->op)->args_bytes);
  sample_of((cdl_op)t->self->op)(t, args);
  if (t->outcome == OUTCOME_FAIL)
    return;
  apply(b, args);
  if (b->kind == WHOLE)
    trial_run(t, args);
  else
    expect_refusal(t, args);
}

/* ---- What is particular to an op ---- */

typedef struct {
  const char *what;
  void (*change)(trial *t, void *args);
  cdl_op op;
} particular;

static void particular_case(trial *t, const void *parameters)
{
  const particular *p = parameters;
  void *args = trial_memory(t, 1, op_find(p->op)->args_bytes);
  sample_of(p->op)(t, args);
  if (t->outcome == OUTCOME_FAIL)
    return;
  p->change(t, args);
  expect_refusal(t, args);
}

#define CHANGE(name, op, ...)                \
  static void name(trial *t, void *anything) \
  {                                          \
    cdl_##op##_args *args = anything;        \
    (void)t;                                 \
    __VA_ARGS__                              \
  }

CHANGE(reduce_axis, reduce, args->axis = 4;)
CHANGE(reduce_maximum_added, reduce, args->function = CDL_REDUCE_MAXIMUM; args->accumulate = true;)
CHANGE(reduce_function, reduce, args->function = (cdl_reduce_function)99;)
CHANGE(permute_twice, permute, args->order[0] = 1;)
CHANGE(permute_range, permute, args->order[0] = 4;)
CHANGE(unary_function, unary, args->function = (cdl_unary_function)99;)
CHANGE(unary_activation, unary_grad, args->activation = (cdl_activation)99;)
CHANGE(binary_function, binary, args->function = (cdl_binary_function)99;)
CHANGE(dropout_one, dropout, args->mask.probability = 1;)
CHANGE(dropout_negative, dropout, args->mask.probability = -0.1F;)
CHANGE(dropout_layer, dropout, args->mask.layer = 1u << 24;)
CHANGE(dropout_no_packing, dropout, args->packing = NULL;)
CHANGE(dropout_step_short, dropout, args->mask.step.size[3] = 8;)
CHANGE(dropout_no_step, dropout, args->mask.step = (cdl_tensor){0};)
CHANGE(dropout_rows, dropout, cdl_packing *p = trial_memory(t, 1, sizeof *p); *p = *args->packing;
       p->tokens = 6; args->packing = p;)
CHANGE(attention_no_packing, attention, args->packing = NULL;)
CHANGE(attention_no_heads, attention, args->heads = 0;)
CHANGE(attention_odd_heads, attention, args->heads = 5;)
CHANGE(attention_one, attention, args->mask.probability = 1;)
CHANGE(attention_grad_heads, attention_grad, args->heads = -1;)
CHANGE(attention_even_bias, attention, args->bias.size[3] = 4;)
CHANGE(linear_no_weight, linear, args->weight = NULL;)
CHANGE(linear_grad_no_weight, linear_grad, args->weight = NULL;)
CHANGE(linear_grad_both, linear_grad, args->accumulate = true;)
CHANGE(cross_entropy_short_step, cross_entropy, args->step.size[3] = 8;)
CHANGE(svd_only_u, svd, args->vt = (cdl_tensor){0};)
CHANGE(svd_only_vt, svd, args->u = (cdl_tensor){0};)
CHANGE(gemm_mixed, gemm, args->b.dtype = CDL_DTYPE_BF16;)
CHANGE(gemm_transposed, gemm, args->transpose_a = true; args->a.size[2] = 5;)
CHANGE(axpby_batch, axpby, args->x.size[0] = 0;)

static const particular particulars[] = {
    {"axis 4", reduce_axis, CDL_OP_reduce},
    {"the maximum accumulated", reduce_maximum_added, CDL_OP_reduce},
    {"an unknown function", reduce_function, CDL_OP_reduce},
    {"a dimension twice", permute_twice, CDL_OP_permute},
    {"dimension 4", permute_range, CDL_OP_permute},
    {"an unknown function", unary_function, CDL_OP_unary},
    {"an unknown activation", unary_activation, CDL_OP_unary_grad},
    {"an unknown function", binary_function, CDL_OP_binary},
    {"probability 1", dropout_one, CDL_OP_dropout},
    {"probability below 0", dropout_negative, CDL_OP_dropout},
    {"layer 2^24", dropout_layer, CDL_OP_dropout},
    {"no packing", dropout_no_packing, CDL_OP_dropout},
    {"a step record cut short", dropout_step_short, CDL_OP_dropout},
    {"no step record", dropout_no_step, CDL_OP_dropout},
    {"more rows than tokens", dropout_rows, CDL_OP_dropout},
    {"no packing", attention_no_packing, CDL_OP_attention},
    {"0 heads", attention_no_heads, CDL_OP_attention},
    {"heads that do not divide the columns", attention_odd_heads, CDL_OP_attention},
    {"probability 1", attention_one, CDL_OP_attention},
    {"-1 heads", attention_grad_heads, CDL_OP_attention_grad},
    {"a bias without a middle", attention_even_bias, CDL_OP_attention},
    {"no weight", linear_no_weight, CDL_OP_linear},
    {"no weight", linear_grad_no_weight, CDL_OP_linear_grad},
    {"an activation and accumulate", linear_grad_both, CDL_OP_linear_grad},
    {"a step record cut short", cross_entropy_short_step, CDL_OP_cross_entropy},
    {"u without vt", svd_only_u, CDL_OP_svd},
    {"vt without u", svd_only_vt, CDL_OP_svd},
    {"F32 times BF16", gemm_mixed, CDL_OP_gemm},
    {"inner sizes that differ", gemm_transposed, CDL_OP_gemm},
    {"an empty input for an output that is not", axpby_batch, CDL_OP_axpby},
};

/* ---- Registration ---- */

static void add_broken(suite *s, const breakage *b, const char *what)
{
  const member *m = &members[b->of];
  const bool pair = b->kind == OVERLAP || b->kind == SAME_VIEW;
  suite_add(s, (int)m->op, NULL, CDL_DTYPE_F32, CASE_DEFECT, broken_case, b, sizeof *b,
            "wrong call: %s %s%s%s", m->name, what, pair ? " " : "",
            pair ? members[b->with].name : "");
}

/* Of one element in its sample: strides do not matter there. */
static bool is_single(const member *m)
{
  static const char *const names[] = {"loss", "norm", "factor", "flag", "grad_scale"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(m->name, names[i]) == 0)
      return true;
  return false;
}

static bool may_be_same(const member *out, const member *in)
{
  for (size_t i = 0; i < sizeof in_place / sizeof *in_place; i++)
    if (in_place[i].op == out->op && strcmp(in_place[i].out, out->name) == 0 &&
        strcmp(in_place[i].in, in->name) == 0)
      return true;
  return out->op == CDL_OP_add_layer_norm && strcmp(out->name, "out") == 0 &&
         strcmp(in->name, "sum") == 0;
}

static void register_pairs(suite *s, int of)
{
  const unsigned kind = INTEGER | BYTES;
  for (int with = 0; with < MEMBERS; with++) {
    if (with == of || members[with].op != members[of].op ||
        ((members[with].flags ^ members[of].flags) & kind) != 0)
      continue;
    if ((members[with].flags & OUT) != 0 && with < of)
      continue; /* each pair of outputs once */
    if (members[of].op == CDL_OP_cast)
      continue; /* of different dtypes by nature */
    add_broken(s, &(breakage){OVERLAP, of, with}, "a little beside");
    if (!may_be_same(&members[of], &members[with]))
      add_broken(s, &(breakage){SAME_VIEW, of, with}, "the same as");
  }
}

void register_arguments(suite *s)
{
  for (int op = 0; op < CDL_OP_COUNT; op++) {
    const breakage whole = {WHOLE, 0, 0};
    suite_add(s, op, NULL, CDL_DTYPE_F32, CASE_DEFECT, broken_case, &whole, sizeof whole,
              "the call that wrong ones are made from");
  }
  for (int i = 0; i < MEMBERS; i++) {
    const unsigned flags = members[i].flags;
    add_broken(s, &(breakage){DTYPE, i, 0}, "of a wrong dtype");
    if ((flags & ANY_SIZE) == 0)
      add_broken(s, &(breakage){SIZE, i, 0}, "a column too wide");
    add_broken(s, &(breakage){EXTENT, i, 0}, "one element beyond its buffer");
    add_broken(s, &(breakage){PAST_END, i, 0}, "past its buffer");
    add_broken(s, &(breakage){NEGATIVE, i, 0}, "at a negative offset");
    add_broken(s, &(breakage){HUGE_SIZE, i, 0}, "of sizes whose product overflows");
    if (!is_single(&members[i]) && strcmp(members[i].name, "mask.step") != 0 &&
        !(members[i].op == CDL_OP_reduce && (flags & OUT) != 0))
      add_broken(s, &(breakage){STRIDE, i, 0}, "with gaps between columns");
    if (!is_single(&members[i]) && (flags & OUT) != 0)
      add_broken(s, &(breakage){REPEATED_OUT, i, 0}, "with stride 0");
    if ((flags & OPTIONAL) == 0)
      add_broken(s, &(breakage){ABSENT, i, 0}, "absent");
    if ((flags & OUT) != 0)
      register_pairs(s, i);
  }
  for (size_t i = 0; i < sizeof particulars / sizeof *particulars; i++)
    suite_add(s, (int)particulars[i].op, NULL, CDL_DTYPE_F32, CASE_DEFECT, particular_case,
              &particulars[i], sizeof particulars[i], "wrong call: %s", particulars[i].what);
}
