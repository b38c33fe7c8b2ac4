/* Composed ops, built from required ones on the same queue. Arguments have been checked, so the
 * table's ops are called directly. Everything here is F32, which required ops take in any shape and
 * with any strides. An empty output is not passed on: backends never see one. */
#include "backends/core/compose.h"
#include "backends/core/compose_attention.h"
#include "backends/core/queue.h"
#include "backends/core/weight.h"

static cdl_status gemm(cdl_queue *queue, const cdl_gemm_args *args)
{
  return cdl_tensor_elements(args->out) == 0 ? CDL_STATUS_OK
                                             : queue->backend->table->gemm(queue->handle, args);
}

static cdl_status binary(cdl_queue *queue, const cdl_binary_args *args)
{
  return cdl_tensor_elements(args->out) == 0 ? CDL_STATUS_OK
                                             : queue->backend->table->binary(queue->handle, args);
}

/* ---- Linear layers ---- */

static cdl_status linear(cdl_queue *queue, const cdl_linear_args *args)
{
  const cdl_backend_table *table = queue->backend->table;
  const core_weight *weight = core_weight_of(args->weight);
  const cdl_tensor before = cdl_tensor_present(args->pre) ? args->pre : args->out;
  int64_t row = 0;
  for (size_t i = 0; i < weight->part_count; i++) {
    const int64_t rows = weight->parts[i].size[2];
    CDL_TRY(gemm(queue, CDL_ARGS(gemm, .out = cdl_tensor_columns(before, row, rows), .a = args->x,
                                 .b = weight->parts[i], .transpose_b = true, .alpha = 1)));
    row += rows;
  }
  if (cdl_tensor_present(args->bias))
    CDL_TRY(binary(queue, CDL_ARGS(binary, .out = before, .x = before, .y = args->bias,
                                   .function = CDL_BINARY_ADD)));
  if (args->activation == CDL_ACTIVATION_NONE)
    return cdl_tensor_present(args->pre)
               ? table->copy(queue->handle, CDL_ARGS(copy, .out = args->out, .x = before))
               : CDL_STATUS_OK;
  return table->unary(queue->handle,
                      CDL_ARGS(unary, .out = args->out, .x = before,
                               .function = CDL_UNARY_ACTIVATION, .activation = args->activation));
}

static cdl_status linear_grad(cdl_queue *queue, const cdl_linear_grad_args *args)
{
  const core_weight *weight = core_weight_of(args->weight);
  int64_t row = 0;
  for (size_t i = 0; i < weight->part_count; i++) {
    const int64_t rows = weight->parts[i].size[2];
    CDL_TRY(
        gemm(queue, CDL_ARGS(gemm, .out = args->d_x,
                             .a = cdl_tensor_columns(args->d_out, row, rows), .b = weight->parts[i],
                             .alpha = 1, .beta = i > 0 || args->accumulate ? 1 : 0)));
    row += rows;
  }
  if (args->activation == CDL_ACTIVATION_NONE)
    return CDL_STATUS_OK;
  return queue->backend->table->unary_grad(
      queue->handle, CDL_ARGS(unary_grad, .d_x = args->d_x, .d_out = args->d_x, .x = args->pre,
                              .activation = args->activation));
}

static cdl_status low_rank_term(cdl_queue *queue, const cdl_low_rank_args *args)
{
  CDL_TRY(gemm(queue, CDL_ARGS(gemm, .out = args->hidden, .a = args->x, .b = args->a,
                               .transpose_b = true, .alpha = 1)));
  return gemm(queue, CDL_ARGS(gemm, .out = args->out, .a = args->hidden, .b = args->b,
                              .transpose_b = true, .alpha = args->scale, .beta = 1));
}

/* A backend that is older than calls of several terms has them one by one. */
static cdl_status low_rank(cdl_queue *queue, const cdl_low_rank_args *args)
{
  for (int i = 0; i < cdl_low_rank_terms(args); i++) {
    const cdl_low_rank_args one = cdl_low_rank_alone(args, i);
    if (cdl_op_path(queue->backend, CDL_OP_low_rank, &one) == CDL_PATH_NATIVE)
      CDL_TRY(queue->backend->table->low_rank(queue->handle, &one));
    else
      CDL_TRY(low_rank_term(queue, &one));
  }
  return CDL_STATUS_OK;
}

static cdl_status low_rank_grad_term(cdl_queue *queue, const cdl_low_rank_grad_args *args)
{
  if (cdl_tensor_present(args->d_b))
    CDL_TRY(gemm(queue, CDL_ARGS(gemm, .out = args->d_b, .a = args->d_out, .b = args->hidden,
                                 .transpose_a = true, .alpha = args->scale, .beta = 1)));
  if (!cdl_tensor_present(args->d_a) && !cdl_tensor_present(args->d_x))
    return CDL_STATUS_OK;
  const int64_t rows = args->d_out.size[2], rank = args->b.size[3];
  cdl_buffer *scratch = NULL;
  CDL_TRY(core_scratch(queue, (size_t)(rows * rank) * sizeof(float), &scratch));
  const cdl_tensor d_hidden = cdl_tensor_2d(scratch, CDL_DTYPE_F32, 0, rows, rank);
  CDL_TRY(gemm(queue, CDL_ARGS(gemm, .out = d_hidden, .a = args->d_out, .b = args->b,
                               .alpha = args->scale)));
  if (cdl_tensor_present(args->d_a))
    CDL_TRY(gemm(queue, CDL_ARGS(gemm, .out = args->d_a, .a = d_hidden, .b = args->x,
                                 .transpose_a = true, .alpha = 1, .beta = 1)));
  if (cdl_tensor_present(args->d_x))
    CDL_TRY(gemm(queue, CDL_ARGS(gemm, .out = args->d_x, .a = d_hidden, .b = args->a, .alpha = 1,
                                 .beta = 1)));
  return CDL_STATUS_OK;
}

static cdl_status low_rank_grad(cdl_queue *queue, const cdl_low_rank_grad_args *args)
{
  for (int i = 0; i < cdl_low_rank_grad_terms(args); i++) {
    const cdl_low_rank_grad_args one = cdl_low_rank_grad_alone(args, i);
    if (cdl_op_path(queue->backend, CDL_OP_low_rank_grad, &one) == CDL_PATH_NATIVE)
      CDL_TRY(queue->backend->table->low_rank_grad(queue->handle, &one));
    else
      CDL_TRY(low_rank_grad_term(queue, &one));
  }
  return CDL_STATUS_OK;
}

/* ---- Maps of weights ---- */

static cdl_status map_weights(cdl_queue *queue, const cdl_map_weights_args *args)
{
  CDL_TRY(gemm(queue, CDL_ARGS(gemm, .out = args->a, .a = args->theta_a, .b = args->weight,
                               .transpose_b = args->transposed, .alpha = 1,
                               .beta = args->accumulate ? 1 : 0)));
  return gemm(queue, CDL_ARGS(gemm, .out = args->b, .a = args->weight, .b = args->theta_b,
                              .transpose_b = true, .alpha = 1));
}

/* out += Σ of the products op(x) op(W) over dimension 1. */
static cdl_status add_products(cdl_queue *queue, cdl_tensor out, const cdl_gemm_args *product)
{
  const int64_t *n = out.size;
  const int64_t count = product->b.size[1];
  if (cdl_tensor_elements(product->b) == 0)
    return CDL_STATUS_OK;
  cdl_buffer *scratch = NULL;
  CDL_TRY(core_scratch(queue, (size_t)(n[0] * count * n[2] * n[3]) * sizeof(float), &scratch));
  cdl_gemm_args each = *product;
  each.out = cdl_tensor_4d(scratch, CDL_DTYPE_F32, 0, n[0], count, n[2], n[3]);
  each.alpha = 1;
  CDL_TRY(gemm(queue, &each));
  return queue->backend->table->reduce(queue->handle, CDL_ARGS(reduce, .out = out, .x = each.out,
                                                               .function = CDL_REDUCE_SUM,
                                                               .axis = 1, .accumulate = true));
}

static cdl_status map_weights_grad(cdl_queue *queue, const cdl_map_weights_grad_args *args)
{
  if (cdl_tensor_present(args->d_theta_a) && cdl_tensor_elements(args->d_theta_a) > 0)
    CDL_TRY(add_products(
        queue, args->d_theta_a,
        CDL_ARGS(gemm, .a = args->d_a, .b = args->weight, .transpose_b = !args->transposed)));
  if (cdl_tensor_elements(args->d_theta_b) == 0)
    return CDL_STATUS_OK;
  return add_products(queue, args->d_theta_b,
                      CDL_ARGS(gemm, .a = args->d_b, .b = args->weight, .transpose_a = true));
}

/* ---- Layer norm ---- */

static cdl_status add_and_norm(cdl_queue *queue, const cdl_add_layer_norm_args *args)
{
  /* The map may run in place only on its first argument. */
  const bool over_residual =
      args->sum.buffer == args->residual.buffer && args->sum.offset == args->residual.offset;
  CDL_TRY(binary(
      queue, CDL_ARGS(binary, .out = args->sum, .x = over_residual ? args->residual : args->x,
                      .y = over_residual ? args->x : args->residual, .function = CDL_BINARY_ADD)));
  return queue->backend->table->layer_norm(
      queue->handle,
      CDL_ARGS(layer_norm, .out = args->out, .x = args->sum, .gain = args->gain, .bias = args->bias,
               .mean = args->mean, .rstd = args->rstd, .epsilon = args->epsilon));
}

/* The dropped x takes the place of the sum. A backend that is older than dropout here has its own
 * op for the rest. */
static cdl_status add_layer_norm(cdl_queue *queue, const cdl_add_layer_norm_args *args)
{
  const cdl_backend_table *table = queue->backend->table;
  if (args->mask.probability == 0)
    return add_and_norm(queue, args);
  cdl_add_layer_norm_args rest = *args;
  CDL_TRY(table->dropout(queue->handle,
                         CDL_ARGS(dropout, .out = args->sum, .x = args->x, .mask = args->mask,
                                  .packing = args->packing, .per_sequence = args->per_sequence)));
  rest.x = args->sum;
  rest.mask = (cdl_dropout_mask){0};
  rest.packing = NULL;
  rest.per_sequence = false;
  return cdl_op_path(queue->backend, CDL_OP_add_layer_norm, &rest) == CDL_PATH_NATIVE
             ? table->add_layer_norm(queue->handle, &rest)
             : add_and_norm(queue, &rest);
}

static cdl_status add_layer_norm_grad(cdl_queue *queue, const cdl_add_layer_norm_grad_args *args)
{
  const cdl_backend_table *table = queue->backend->table;
  CDL_TRY(table->layer_norm_grad(
      queue->handle, CDL_ARGS(layer_norm_grad, .d_x = args->d_sum, .d_gain = args->d_gain,
                              .d_bias = args->d_bias, .d_out = args->d_out, .x = args->sum,
                              .gain = args->gain, .mean = args->mean, .rstd = args->rstd)));
  if (cdl_tensor_elements(args->d_x) == 0)
    return CDL_STATUS_OK;
  return table->dropout(queue->handle,
                        CDL_ARGS(dropout, .out = args->d_x, .x = args->d_sum, .mask = args->mask,
                                 .packing = args->packing, .per_sequence = args->per_sequence));
}

/* ---- The norm of a gradient ---- */

/* Σ x² for any shape: squares along the last dimension, then sums along the others, the last of
 * them into `out`. */
static cdl_status sum_squares(cdl_queue *queue, cdl_tensor out, cdl_tensor x, cdl_buffer *scratch)
{
  const cdl_backend_table *table = queue->backend->table;
  int64_t offset = 1; /* element 0 is a constant's */
  cdl_reduce_function function = CDL_REDUCE_SUM_SQUARES;
  for (int axis = 3; axis >= 0; axis--) {
    if (axis < 3 && x.size[axis] == 1)
      continue;
    int64_t size[4] = {x.size[0], x.size[1], x.size[2], x.size[3]};
    size[axis] = 1;
    cdl_tensor sums =
        cdl_tensor_4d(scratch, CDL_DTYPE_F32, offset, size[0], size[1], size[2], size[3]);
    offset += cdl_tensor_elements(sums);
    if (cdl_tensor_elements(sums) == 1)
      sums = out;
    CDL_TRY(table->reduce(queue->handle, CDL_ARGS(reduce, .out = sums, .x = x, .function = function,
                                                  .axis = (uint8_t)axis)));
    function = CDL_REDUCE_SUM;
    x = sums;
  }
  return CDL_STATUS_OK;
}

static cdl_status clip_norm(cdl_queue *queue, const cdl_clip_norm_args *args)
{
  const cdl_backend_table *table = queue->backend->table;
  const cdl_tensor x = args->gradient;
  cdl_buffer *scratch = NULL;
  if (cdl_tensor_elements(x) == 0)
    CDL_TRY(table->fill(queue->handle, CDL_ARGS(fill, .out = args->norm, .value = 0)));
  const int64_t rows = x.size[0] * x.size[1] * x.size[2];
  CDL_TRY(core_scratch(
      queue, (size_t)(1 + rows + x.size[0] * x.size[1] + x.size[0] + 1) * sizeof(float), &scratch));
  if (cdl_tensor_elements(x) > 0) {
    CDL_TRY(sum_squares(queue, args->norm, x, scratch));
    CDL_TRY(table->unary(queue->handle, CDL_ARGS(unary, .out = args->norm, .x = args->norm,
                                                 .function = CDL_UNARY_SQUARE_ROOT)));
  }
  if (args->max_norm == 0)
    return table->fill(queue->handle, CDL_ARGS(fill, .out = args->factor, .value = 1));
  const cdl_tensor constant = cdl_tensor_1d(scratch, CDL_DTYPE_F32, 0, 1), factor = args->factor;
  CDL_TRY(table->fill(queue->handle, CDL_ARGS(fill, .out = constant, .value = 1e-6)));
  CDL_TRY(binary(queue, CDL_ARGS(binary, .out = constant, .x = constant, .y = args->norm,
                                 .function = CDL_BINARY_ADD)));
  CDL_TRY(
      table->fill(queue->handle, CDL_ARGS(fill, .out = factor, .value = (double)args->max_norm)));
  CDL_TRY(binary(queue, CDL_ARGS(binary, .out = factor, .x = factor, .y = constant,
                                 .function = CDL_BINARY_DIVIDE)));
  CDL_TRY(table->fill(queue->handle, CDL_ARGS(fill, .out = constant, .value = 1)));
  return binary(queue, CDL_ARGS(binary, .out = factor, .x = factor, .y = constant,
                                .function = CDL_BINARY_MINIMUM));
}

/* ---- The loss of several labels ---- */

/* out = out f y, in place; y is repeated. */
static cdl_status combine(cdl_queue *queue, cdl_tensor out, cdl_binary_function function,
                          cdl_tensor y)
{
  return binary(queue, CDL_ARGS(binary, .out = out, .x = out, .y = y, .function = function));
}

static cdl_status map(cdl_queue *queue, cdl_tensor out, cdl_tensor x, cdl_unary_function function,
                      cdl_activation activation)
{
  return queue->backend->table->unary(
      queue->handle,
      CDL_ARGS(unary, .out = out, .x = x, .function = function, .activation = activation));
}

/* Working memory [rows, labels] of the loss of several labels. `hits` is w y, `all` is
 * (1 − y) + w y; `scale` is the step record's loss_scale, `one` a number. */
typedef struct {
  cdl_tensor hits, all, part, other, one, scale;
} label_terms;

static cdl_status prepare_terms(cdl_queue *queue, const cdl_binary_cross_entropy_args *args,
                                label_terms *t)
{
  const cdl_backend_table *table = queue->backend->table;
  const int64_t rows = args->logits.size[2], labels = args->logits.size[3], n = rows * labels;
  cdl_buffer *scratch = NULL;
  CDL_TRY(core_scratch(queue, (size_t)(4 * n + 1) * sizeof(float), &scratch));
  *t = (label_terms){.hits = cdl_tensor_2d(scratch, CDL_DTYPE_F32, 0, rows, labels),
                     .all = cdl_tensor_2d(scratch, CDL_DTYPE_F32, n, rows, labels),
                     .part = cdl_tensor_2d(scratch, CDL_DTYPE_F32, 2 * n, rows, labels),
                     .other = cdl_tensor_2d(scratch, CDL_DTYPE_F32, 3 * n, rows, labels),
                     .one = cdl_tensor_1d(scratch, CDL_DTYPE_F32, 4 * n, 1),
                     .scale = cdl_tensor_1d(
                         args->step.buffer, CDL_DTYPE_F32,
                         (args->step.offset + (int64_t)offsetof(cdl_step_record, loss_scale)) / 4,
                         1)};
  CDL_TRY(table->copy(queue->handle, CDL_ARGS(copy, .out = t->hits, .x = args->targets)));
  if (cdl_tensor_present(args->pos_weight))
    CDL_TRY(combine(queue, t->hits, CDL_BINARY_MULTIPLY, args->pos_weight));
  CDL_TRY(table->fill(queue->handle, CDL_ARGS(fill, .out = t->all, .value = 1)));
  CDL_TRY(combine(queue, t->all, CDL_BINARY_SUBTRACT, args->targets));
  return combine(queue, t->all, CDL_BINARY_ADD, t->hits);
}

/* scale ((1 − y + w y) σ(x) − w y) */
static cdl_status label_gradient(cdl_queue *queue, const cdl_binary_cross_entropy_args *args,
                                 const label_terms *t)
{
  CDL_TRY(map(queue, t->part, args->logits, CDL_UNARY_ACTIVATION, CDL_ACTIVATION_SIGMOID));
  CDL_TRY(combine(queue, t->part, CDL_BINARY_MULTIPLY, t->all));
  CDL_TRY(combine(queue, t->part, CDL_BINARY_SUBTRACT, t->hits));
  return binary(queue, CDL_ARGS(binary, .out = args->d_logits, .x = t->part, .y = t->scale,
                                .function = CDL_BINARY_MULTIPLY));
}

/* Adds scale Σ ((1 − y + w y) (max(x, 0) + ln(1 + e^−|x|)) − w y x). */
static cdl_status label_loss(cdl_queue *queue, const cdl_binary_cross_entropy_args *args,
                             const label_terms *t)
{
  const cdl_backend_table *table = queue->backend->table;
  CDL_TRY(
      table->axpby(queue->handle, CDL_ARGS(axpby, .out = t->part, .x = args->logits, .alpha = -1)));
  CDL_TRY(combine(queue, t->part, CDL_BINARY_MINIMUM, args->logits));
  CDL_TRY(map(queue, t->part, t->part, CDL_UNARY_EXP, CDL_ACTIVATION_NONE));
  CDL_TRY(table->fill(queue->handle, CDL_ARGS(fill, .out = t->one, .value = 1)));
  CDL_TRY(combine(queue, t->part, CDL_BINARY_ADD, t->one));
  CDL_TRY(map(queue, t->part, t->part, CDL_UNARY_LOG, CDL_ACTIVATION_NONE));
  CDL_TRY(map(queue, t->other, args->logits, CDL_UNARY_ACTIVATION, CDL_ACTIVATION_RELU));
  CDL_TRY(combine(queue, t->part, CDL_BINARY_ADD, t->other));
  CDL_TRY(combine(queue, t->part, CDL_BINARY_MULTIPLY, t->all));
  CDL_TRY(binary(queue, CDL_ARGS(binary, .out = t->other, .x = args->logits, .y = t->hits,
                                 .function = CDL_BINARY_MULTIPLY)));
  CDL_TRY(combine(queue, t->part, CDL_BINARY_SUBTRACT, t->other));
  const cdl_tensor all =
      cdl_tensor_1d(t->part.buffer, CDL_DTYPE_F32, t->part.offset, cdl_tensor_elements(t->part));
  CDL_TRY(table->reduce(queue->handle, CDL_ARGS(reduce, .out = t->one, .x = all, .axis = 3)));
  CDL_TRY(combine(queue, t->one, CDL_BINARY_MULTIPLY, t->scale));
  return combine(queue, args->loss, CDL_BINARY_ADD, t->one);
}

static cdl_status binary_cross_entropy(cdl_queue *queue, const cdl_binary_cross_entropy_args *args)
{
  label_terms t;
  if (cdl_tensor_elements(args->logits) == 0)
    return CDL_STATUS_OK;
  CDL_TRY(prepare_terms(queue, args, &t));
  if (cdl_tensor_present(args->d_logits))
    CDL_TRY(label_gradient(queue, args, &t));
  return cdl_tensor_present(args->loss) ? label_loss(queue, args, &t) : CDL_STATUS_OK;
}

cdl_status core_run_composed(cdl_queue *queue, cdl_op op, const void *args)
{
  switch (op) {
  case CDL_OP_linear:
    return linear(queue, args);
  case CDL_OP_linear_grad:
    return linear_grad(queue, args);
  case CDL_OP_low_rank:
    return low_rank(queue, args);
  case CDL_OP_low_rank_grad:
    return low_rank_grad(queue, args);
  case CDL_OP_add_layer_norm:
    return add_layer_norm(queue, args);
  case CDL_OP_attention:
    return core_compose_attention(queue, args);
  case CDL_OP_attention_grad:
    return core_compose_attention_grad(queue, args);
  case CDL_OP_clip_norm:
    return clip_norm(queue, args);
  case CDL_OP_binary_cross_entropy:
    return binary_cross_entropy(queue, args);
  case CDL_OP_map_weights:
    return map_weights(queue, args);
  case CDL_OP_map_weights_grad:
    return map_weights_grad(queue, args);
  case CDL_OP_add_layer_norm_grad:
    return add_layer_norm_grad(queue, args);
  default:
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "no composition");
  }
}
