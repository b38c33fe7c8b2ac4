/* map_weights and its gradient: on BF16 weights by kernels of their own, on float32 as products of
 * all matrices. */
#include "backends/kernels/tiling.h"

/* ---- Float32: the products that the core composes too, in as many launches; but it would have
 * memory of its own for those of the gradient, where here all ops of a queue share theirs ---- */

static cdl_status multiply_floats(kernel_queue *queue, const cdl_map_weights_args *args)
{
  CDL_TRY(kernel_op_gemm(queue, CDL_ARGS(gemm, .out = args->a, .a = args->theta_a,
                                         .b = args->weight, .transpose_b = args->transposed,
                                         .alpha = 1.0f, .beta = args->accumulate ? 1.0f : 0.0f)));
  return kernel_op_gemm(queue, CDL_ARGS(gemm, .out = args->b, .a = args->weight, .b = args->theta_b,
                                        .transpose_b = true, .alpha = 1.0f));
}

/* out += Σ of the products over dimension 1. */
static cdl_status add_products(kernel_queue *queue, cdl_tensor out, const cdl_gemm_args *product)
{
  const int64_t *n = out.size, count = product->b.size[1];
  if (cdl_tensor_elements(out) == 0 || cdl_tensor_elements(product->b) == 0)
    return CDL_STATUS_OK;
  const cdl_buffer *scratch;
  CDL_TRY(kernel_scratch(queue, SCRATCH_OP, (size_t)(n[0] * count * n[2] * n[3]) * sizeof(float),
                         &scratch));
  cdl_gemm_args each = *product;
  each.out = cdl_tensor_4d(&queue->scratch[SCRATCH_OP], CDL_DTYPE_F32, 0, n[0], count, n[2], n[3]);
  each.alpha = 1.0f;
  CDL_TRY(kernel_op_gemm(queue, &each));
  return kernel_op_reduce(queue,
                          CDL_ARGS(reduce, .out = out, .x = each.out, .function = CDL_REDUCE_SUM,
                                   .axis = 1, .accumulate = true));
}

static cdl_status add_float_gradients(kernel_queue *queue, const cdl_map_weights_grad_args *args)
{
  if (cdl_tensor_present(args->d_theta_a))
    CDL_TRY(add_products(
        queue, args->d_theta_a,
        CDL_ARGS(gemm, .a = args->d_a, .b = args->weight, .transpose_b = !args->transposed)));
  return add_products(queue, args->d_theta_b,
                      CDL_ARGS(gemm, .a = args->d_b, .b = args->weight, .transpose_a = true));
}

/* ---- BF16: a job is one of a call's two products ---- */

/* A matrix of ranks: [rank, length], or [length, rank] if `by_columns`. */
typedef struct {
  const cdl_tensor *matrix;
  bool by_columns;
} rank_rows;

static void set_steps(i64 step[4], rank_rows m)
{
  const int64_t *stride = m.matrix->stride;
  step[0] = m.matrix->size[0] > 1 ? stride[0] : 0;
  step[1] = m.matrix->size[1] > 1 ? stride[1] : 0;
  step[2] = m.by_columns ? 1 : stride[2];
  step[3] = m.by_columns ? stride[2] : 1;
}

static map_parameters parameters_of(const cdl_tensor *weight, int64_t rank, bool adds_layers)
{
  map_parameters p = {.weight = weight->offset,
                      .weight_step = {weight->stride[0], weight->stride[1], weight->stride[2]},
                      .rows = weight->size[2],
                      .columns = weight->size[3],
                      .targets = weight->size[0],
                      .layers = weight->size[1],
                      .rank = (int)rank,
                      .adds_layers = adds_layers};
  p.wide = is_in_eights(weight, weight->size[3]) && weight->stride[0] % 8 == 0 &&
           weight->stride[1] % 8 == 0;
  return p;
}

/* Adds a job; its sums follow those of the last one in scratch memory. */
static void add_job(map_parameters *p, rank_rows x, rank_rows out, bool over_rows, bool accumulate,
                    int64_t *floats)
{
  map_job *job = &p->job[p->jobs++];
  *job = (map_job){
      .x = x.matrix->offset,
      .out = out.matrix->offset,
      .sums = *floats,
      .parts = divide_up(over_rows ? p->rows : p->columns, over_rows ? MAP_ROWS : MAP_COLUMNS),
      .length = over_rows ? p->columns : p->rows,
      .over_rows = over_rows,
      .accumulate = accumulate};
  set_steps(job->x_step, x);
  set_steps(job->out_step, out);
  *floats += p->targets * p->layers * job->parts * p->rank * job->length;
}

static cdl_status run(kernel_queue *queue, const map_parameters *p, int64_t floats,
                      const cdl_buffer *weight, const cdl_buffer *const x[MAP_JOBS],
                      const cdl_buffer *const out[MAP_JOBS])
{
  enum { MOST_MATRICES = 65535 }; /* of the grid's last dimension */
  if (p->targets * p->layers > MOST_MATRICES || divide_up(p->rows, MAP_ROWS) > MOST_MATRICES)
    return queue->device->driver->host()->fail(
        CDL_STATUS_UNSUPPORTED, "map_weights of more than %d matrices", MOST_MATRICES);
  const cdl_buffer *sums;
  CDL_TRY(kernel_scratch(queue, SCRATCH_OP, (size_t)floats * sizeof(float), &sums));
  CDL_TRY(queue->device->driver->launch(
      queue,
      &(const kernel_launch){.kernel = KERNEL_map_weights_bf16,
                             .groups = {divide_up(p->columns, MAP_COLUMNS),
                                        divide_up(p->rows, MAP_ROWS), p->targets * p->layers},
                             .buffers = {sums, weight, x[0], x[1]},
                             .parameters = p}));
  const int64_t length = at_least(p->job[0].length, p->job[1].length),
                rows = p->rank * p->targets * (p->adds_layers ? 1 : p->layers);
  return queue->device->driver->launch(
      queue, &(const kernel_launch){.kernel = KERNEL_map_weights_finish,
                                    .groups = {divide_up(length, queue->device->group_size),
                                               at_most(rows, MOST_MATRICES), p->jobs},
                                    .buffers = {out[0], out[1], sums},
                                    .parameters = p});
}

/* A sum over nothing. */
static cdl_status clear(void *queue, const cdl_tensor *out)
{
  return cdl_tensor_elements(*out) == 0
             ? CDL_STATUS_OK
             : kernel_op_fill(queue, CDL_ARGS(fill, .out = *out, .value = 0.0));
}

cdl_status kernel_op_map_weights(void *queue, const cdl_map_weights_args *args)
{
  int64_t floats = 0;
  if (args->weight.dtype == CDL_DTYPE_F32)
    return multiply_floats(queue, args);
  if (cdl_tensor_elements(args->weight) == 0) {
    if (!args->accumulate)
      CDL_TRY(clear(queue, &args->a));
    return clear(queue, &args->b);
  }
  if (args->b.size[3] == 0)
    return CDL_STATUS_OK;
  map_parameters p = parameters_of(&args->weight, args->b.size[3], false);
  add_job(&p, (rank_rows){&args->theta_b, false}, (rank_rows){&args->b, true}, false, false,
          &floats);
  add_job(&p, (rank_rows){&args->theta_a, false}, (rank_rows){&args->a, false}, !args->transposed,
          args->accumulate, &floats);
  return run(queue, &p, floats, args->weight.buffer,
             (const cdl_buffer *const[]){args->theta_b.buffer, args->theta_a.buffer},
             (const cdl_buffer *const[]){args->b.buffer, args->a.buffer});
}

cdl_status kernel_op_map_weights_grad(void *queue, const cdl_map_weights_grad_args *args)
{
  int64_t floats = 0;
  if (args->weight.dtype == CDL_DTYPE_F32)
    return add_float_gradients(queue, args);
  if (cdl_tensor_elements(args->weight) == 0 || args->d_b.size[3] == 0)
    return CDL_STATUS_OK;
  map_parameters p = parameters_of(&args->weight, args->d_b.size[3], true);
  add_job(&p, (rank_rows){&args->d_b, true}, (rank_rows){&args->d_theta_b, false}, true, true,
          &floats);
  if (cdl_tensor_present(args->d_theta_a))
    add_job(&p, (rank_rows){&args->d_a, false}, (rank_rows){&args->d_theta_a, false},
            args->transposed, true, &floats);
  return run(queue, &p, floats, args->weight.buffer,
             (const cdl_buffer *const[]){args->d_b.buffer, args->d_a.buffer},
             (const cdl_buffer *const[]){args->d_theta_b.buffer, args->d_theta_a.buffer});
}
