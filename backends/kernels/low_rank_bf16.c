/* Products with the activations have BF16 operands and float32 sums: A, B and `hidden`, which are
 * small, are rounded in scratch. What is added to an activation is a kernel of its own, because a
 * library's product of a small depth reads and writes no less and would need more operands
 * rounded. */
#include "backends/kernels/low_rank.h"

#include "backends/kernels/tiling.h"

enum { ALIGNMENT = 128 }; /* elements of scratch, 256 bytes */

/* Matrices of BF16 one after the other in scratch. */
typedef struct {
  cdl_tensor at[3];
} operands;

/* Lays out `count` matrices [rows, columns], with rows at multiples of 16 bytes. */
static cdl_status make_operands(kernel_queue *queue, int count, const int64_t size[][2],
                                operands *made)
{
  int64_t elements = 0;
  for (int i = 0; i < count; i++) {
    const int64_t stride = divide_up(size[i][1], 8) * 8;
    made->at[i] = cdl_tensor_2d(&queue->scratch[SCRATCH_OP], CDL_DTYPE_BF16, elements, size[i][0],
                                size[i][1]);
    made->at[i].stride[2] = stride;
    elements += divide_up(size[i][0] * stride, ALIGNMENT) * ALIGNMENT;
  }
  const cdl_buffer *scratch;
  return kernel_scratch(queue, SCRATCH_OP, (size_t)elements * cdl_dtype_bytes(CDL_DTYPE_BF16),
                        &scratch);
}

static rounded_matrix rounded(const cdl_tensor *out, const cdl_tensor *x)
{
  return (rounded_matrix){.out = out->offset,
                          .out_stride = out->stride[2],
                          .x = x->offset,
                          .x_stride = x->stride[2],
                          .rows = x->size[2],
                          .columns = x->size[3]};
}

/* Rounds x, and y unless it is NULL. */
static cdl_status round_operands(kernel_queue *queue, const cdl_tensor *x_out, const cdl_tensor *x,
                                 const cdl_tensor *y_out, const cdl_tensor *y)
{
  low_rank_round_parameters p = {.matrix = {rounded(x_out, x)}};
  if (y != NULL)
    p.matrix[1] = rounded(y_out, y);
  const int64_t eights =
      (p.matrix[0].rows * p.matrix[0].columns + p.matrix[1].rows * p.matrix[1].columns) / 8;
  return LAUNCH(
      queue, low_rank_round,
      groups_for(queue->device, divide_up(at_least(eights, 1), queue->device->group_size)), &p,
      x_out->buffer, x->buffer, y != NULL ? y->buffer : NULL);
}

static cdl_status multiply(kernel_queue *queue, const cdl_tensor *out, const cdl_tensor *a,
                           bool transpose_a, const cdl_tensor *b, bool transpose_b, float alpha,
                           float beta)
{
  return kernel_op_gemm(queue,
                        CDL_ARGS(gemm, .out = *out, .a = *a, .b = *b, .transpose_a = transpose_a,
                                 .transpose_b = transpose_b, .alpha = alpha, .beta = beta));
}

/* out += scale · x w, where w(r, j) is a [rank, columns] or, by columns, [columns, rank]. */
static cdl_status add_product(kernel_queue *queue, const cdl_tensor *out, const cdl_tensor *x,
                              const cdl_tensor *w, bool by_rows, float scale)
{
  const int64_t rows = out->size[2], columns = out->size[3], stride = w->stride[2];
  const int64_t tile_rows = queue->device->group_size / LOW_RANK_TILE_LANES * LOW_RANK_ITEM_ROWS;
  const low_rank_parameters p = {.out = out->offset,
                                 .out_stride = out->stride[2],
                                 .x = x->offset,
                                 .x_stride = x->stride[2],
                                 .w = w->offset,
                                 .w_rank_step = by_rows ? stride : 1,
                                 .w_step = by_rows ? 1 : stride,
                                 .rows = rows,
                                 .columns = columns,
                                 .rank = (int)x->size[3],
                                 .factor = scale};
  const int64_t groups = groups_for(queue->device, divide_up(rows, tile_rows) *
                                                       divide_up(columns, LOW_RANK_TILE_COLUMNS));
  return x->dtype == CDL_DTYPE_BF16
             ? LAUNCH(queue, low_rank_add_bf16, groups, &p, out->buffer, x->buffer, w->buffer)
             : LAUNCH(queue, low_rank_add_float, groups, &p, out->buffer, x->buffer, w->buffer);
}

cdl_status low_rank_bf16(kernel_queue *queue, const cdl_low_rank_args *g)
{
  operands o;
  CDL_TRY(make_operands(queue, 1, (const int64_t[][2]){{g->a.size[2], g->a.size[3]}}, &o));
  CDL_TRY(round_operands(queue, &o.at[0], &g->a, NULL, NULL));
  CDL_TRY(multiply(queue, &g->hidden, &g->x, false, &o.at[0], true, 1.0f, 0.0f));
  return add_product(queue, &g->out, &g->hidden, &g->b, false, g->scale);
}

cdl_status low_rank_grad_bf16(kernel_queue *queue, const cdl_low_rank_grad_args *g)
{
  enum { B, HIDDEN, DU };
  const int64_t rows = g->d_out.size[2], rank = g->a.size[2];
  const bool with_b = cdl_tensor_present(g->d_b), with_a = cdl_tensor_present(g->d_a),
             with_x = cdl_tensor_present(g->d_x);
  operands o;
  CDL_TRY(make_operands(
      queue, 3, (const int64_t[][2]){{g->b.size[2], rank}, {rows, rank}, {rows, rank}}, &o));
  const bool with_du = with_a || with_x;
  if (with_du && with_b)
    CDL_TRY(round_operands(queue, &o.at[B], &g->b, &o.at[HIDDEN], &g->hidden));
  else if (with_du)
    CDL_TRY(round_operands(queue, &o.at[B], &g->b, NULL, NULL));
  else if (with_b)
    CDL_TRY(round_operands(queue, &o.at[HIDDEN], &g->hidden, NULL, NULL));
  if (with_b)
    CDL_TRY(multiply(queue, &g->d_b, &g->d_out, true, &o.at[HIDDEN], false, g->scale, 1.0f));
  if (with_du)
    CDL_TRY(multiply(queue, &o.at[DU], &g->d_out, false, &o.at[B], false, g->scale, 0.0f));
  if (with_a)
    CDL_TRY(multiply(queue, &g->d_a, &o.at[DU], true, &g->x, false, 1.0f, 1.0f));
  return with_x ? add_product(queue, &g->d_x, &o.at[DU], &g->a, true, 1.0f) : CDL_STATUS_OK;
}
