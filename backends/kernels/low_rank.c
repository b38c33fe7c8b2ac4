/* low_rank and its gradient. If a group is one work-item, as on CPUs, a small rank has special
 * kernels, because libraries' products are made for larger matrices: at 512 x 768 and rank 8,
 * CLBlast's took several times as long on PoCL. */
#include "backends/kernels/low_rank.h"

#include "backends/kernels/tiling.h"

static bool has_kernels(const kernel_queue *queue, int64_t rank)
{
  return queue->device->group_size == 1 && rank <= LOW_RANK_MOST;
}

/* A matrix read as w(r, k); its rank is its number of rows or of columns. */
typedef struct {
  cdl_tensor matrix;
  bool by_rows;
} factor;

static low_rank_parameters parameters_of(cdl_tensor out, cdl_tensor x, factor w, float scale)
{
  const int64_t stride = w.matrix.stride[2];
  return (low_rank_parameters){.out = out.offset,
                               .out_stride = out.stride[2],
                               .x = x.offset,
                               .x_stride = x.stride[2],
                               .w = w.matrix.offset,
                               .w_rank_step = w.by_rows ? stride : 1,
                               .w_step = w.by_rows ? 1 : stride,
                               .rows = out.size[2],
                               .columns = w.matrix.size[w.by_rows ? 3 : 2],
                               .rank = (int)w.matrix.size[w.by_rows ? 2 : 3],
                               .factor = scale};
}

/* out [n, rank] = scale · x w. */
static cdl_status project(kernel_queue *q, cdl_tensor out, cdl_tensor x, factor w, float scale)
{
  if (!has_kernels(q, out.size[3]))
    return kernel_op_gemm(q, CDL_ARGS(gemm, .out = out, .a = x, .b = w.matrix,
                                      .transpose_b = w.by_rows, .alpha = scale));
  const low_rank_parameters p = parameters_of(out, x, w, scale);
  return LAUNCH(q, low_rank_project, groups_for(q->device, divide_up(p.rows, LOW_RANK_ROWS)), &p,
                out.buffer, x.buffer, w.matrix.buffer);
}

/* out [n, columns] += scale · x w. */
static cdl_status expand(kernel_queue *q, cdl_tensor out, cdl_tensor x, factor w, float scale)
{
  if (!has_kernels(q, x.size[3]))
    return kernel_op_gemm(q, CDL_ARGS(gemm, .out = out, .a = x, .b = w.matrix,
                                      .transpose_b = !w.by_rows, .alpha = scale, .beta = 1.0f));
  const low_rank_parameters p = parameters_of(out, x, w, scale);
  return LAUNCH(q, low_rank_expand, groups_for(q->device, divide_up(p.rows * p.columns, 512)), &p,
                out.buffer, x.buffer, w.matrix.buffer);
}

/* w += scale · Σ of the products of the rows of hidden [n, rank] and x. */
static cdl_status add_outer(kernel_queue *q, factor w, cdl_tensor hidden, cdl_tensor x, float scale)
{
  if (!has_kernels(q, hidden.size[3]))
    return kernel_op_gemm(q, CDL_ARGS(gemm, .out = w.matrix, .a = w.by_rows ? hidden : x,
                                      .b = w.by_rows ? x : hidden, .transpose_a = true,
                                      .alpha = scale, .beta = 1.0f));
  const low_rank_parameters p = parameters_of(hidden, x, w, scale);
  return LAUNCH(q, low_rank_outer, groups_for(q->device, divide_up(p.rank * p.columns, 64)), &p,
                w.matrix.buffer, hidden.buffer, x.buffer);
}

static cdl_status run_term(kernel_queue *queue, const cdl_low_rank_args *g)
{
  if (cdl_tensor_elements(g->hidden) == 0)
    return CDL_STATUS_OK;
  if (g->x.dtype == CDL_DTYPE_BF16)
    return low_rank_bf16(queue, g);
  CDL_TRY(project(queue, g->hidden, g->x, (factor){g->a, true}, 1.0f));
  return expand(queue, g->out, g->hidden, (factor){g->b, false}, g->scale);
}

cdl_status kernel_op_low_rank(void *queue, const cdl_low_rank_args *args)
{
  if (low_rank_fits_tensor(args))
    return low_rank_tensor(queue, args);
  for (int i = 0; i < cdl_low_rank_terms(args); i++) {
    const cdl_low_rank_args one = cdl_low_rank_alone(args, i);
    CDL_TRY(run_term(queue, &one));
  }
  return CDL_STATUS_OK;
}

static cdl_status run_grad_term(kernel_queue *q, const cdl_low_rank_grad_args *g)
{
  const int64_t rows = g->d_out.size[2], rank = g->a.size[2];
  if (rows == 0 || rank == 0)
    return CDL_STATUS_OK;
  if (g->x.dtype == CDL_DTYPE_BF16)
    return low_rank_grad_bf16(q, g);
  if (cdl_tensor_present(g->d_b))
    CDL_TRY(add_outer(q, (factor){g->d_b, false}, g->hidden, g->d_out, g->scale));
  if (!cdl_tensor_present(g->d_a) && !cdl_tensor_present(g->d_x))
    return CDL_STATUS_OK;
  const cdl_buffer *scratch;
  CDL_TRY(kernel_scratch(q, SCRATCH_OP, (size_t)(rows * rank) * sizeof(float), &scratch));
  const cdl_tensor du = cdl_tensor_2d(&q->scratch[SCRATCH_OP], CDL_DTYPE_F32, 0, rows, rank);
  CDL_TRY(project(q, du, g->d_out, (factor){g->b, false}, g->scale));
  if (cdl_tensor_present(g->d_a))
    CDL_TRY(add_outer(q, (factor){g->d_a, true}, du, g->x, 1.0f));
  return cdl_tensor_present(g->d_x) ? expand(q, g->d_x, du, (factor){g->a, true}, 1.0f)
                                    : CDL_STATUS_OK;
}

cdl_status kernel_op_low_rank_grad(void *queue, const cdl_low_rank_grad_args *args)
{
  if (low_rank_grad_fits_tensor(args))
    return low_rank_grad_tensor(queue, args);
  for (int i = 0; i < cdl_low_rank_grad_terms(args); i++) {
    const cdl_low_rank_grad_args one = cdl_low_rank_grad_alone(args, i);
    CDL_TRY(run_grad_term(queue, &one));
  }
  return CDL_STATUS_OK;
}
