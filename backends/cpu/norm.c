#include "backends/cpu/activation.h"
#include "backends/cpu/dropout.h"
#include "backends/cpu/walk.h"

enum { TILE_ELEMENTS = 16384 };

static int64_t row_count(cdl_tensor t)
{
  return t.size[0] * t.size[1] * t.size[2];
}

static int64_t row_tiles(int64_t rows, int64_t columns)
{
  return cpu_min(rows, cpu_divide_up(rows * columns, TILE_ELEMENTS));
}

static float *values_from(cdl_tensor t, int64_t first)
{
  return cdl_tensor_present(t) ? cpu_floats(t) + first : NULL;
}

/* ---- softmax ---- */

typedef struct {
  const cpu_kernels *kernels;
  const cdl_softmax_args *args;
  int64_t rows, tiles;
} softmax_job;

static void softmax_tile(const void *context, int64_t tile, void *scratch)
{
  (void)scratch;
  const softmax_job *job = context;
  const cdl_softmax_args *a = job->args;
  const cpu_range rows = cpu_part(job->rows, job->tiles, tile, 1);
  for (int64_t row = rows.first; row < rows.first + rows.count; row++)
    job->kernels->softmax(cpu_floats(a->out) + cpu_row_start(&a->out, row),
                          cpu_floats(a->x) + cpu_row_start(&a->x, row), a->scale, a->x.size[3]);
}

cdl_status cpu_softmax(void *queue, const cdl_softmax_args *a)
{
  cpu_device *device = cpu_device_of(queue);
  const int64_t rows = row_count(a->out);
  const softmax_job job = {device->kernels, a, rows, row_tiles(rows, a->out.size[3])};
  return cpu_pool_run(device->pool, job.tiles, 0, softmax_tile, &job);
}

typedef struct {
  const cpu_kernels *kernels;
  const cdl_softmax_grad_args *args;
  int64_t rows, tiles;
} softmax_grad_job;

static void softmax_grad_tile(const void *context, int64_t tile, void *scratch)
{
  (void)scratch;
  const softmax_grad_job *job = context;
  const cdl_softmax_grad_args *a = job->args;
  const cpu_range rows = cpu_part(job->rows, job->tiles, tile, 1);
  for (int64_t row = rows.first; row < rows.first + rows.count; row++)
    job->kernels->softmax_grad(cpu_floats(a->d_x) + cpu_row_start(&a->d_x, row),
                               cpu_floats(a->d_out) + cpu_row_start(&a->d_out, row),
                               cpu_floats(a->out) + cpu_row_start(&a->out, row), a->scale,
                               a->out.size[3]);
}

cdl_status cpu_softmax_grad(void *queue, const cdl_softmax_grad_args *a)
{
  cpu_device *device = cpu_device_of(queue);
  const int64_t rows = row_count(a->out);
  const softmax_grad_job job = {device->kernels, a, rows, row_tiles(rows, a->out.size[3])};
  return cpu_pool_run(device->pool, job.tiles, 0, softmax_grad_tile, &job);
}

/* ---- layer norm ---- */

static size_t blocks_bytes(cdl_tensor t, int64_t count)
{
  return (size_t)count * cpu_block_bytes(t, cpu_block_rows(t, t.size[2]), t.size[3]);
}

typedef struct {
  const cpu_kernels *kernels;
  const cdl_add_layer_norm_args *args; /* residual absent: plain layer norm */
  cpu_dropping dropping;
  int64_t tiles;
} layer_norm_job;

static void layer_norm_block(const layer_norm_job *job, cpu_block block, float *memory)
{
  const cdl_add_layer_norm_args *a = job->args;
  const cpu_kernels *kernels = job->kernels;
  const int64_t rows = block.rows, columns = block.columns;
  cpu_layer_norm_rows part = {
      .rows = rows,
      .columns = columns,
      .x = cpu_widen(kernels, a->x, block, cpu_next_block(&memory, a->x, rows, columns)),
      .gain = cpu_floats(a->gain),
      .bias = cpu_floats(a->bias),
      .mean = values_from(a->mean, block.row),
      .rstd = values_from(a->rstd, block.row),
      .epsilon = a->epsilon,
  };
  part.out = cpu_place(a->out, block, cpu_next_block(&memory, a->out, rows, columns));
  if (cdl_tensor_present(a->residual)) {
    part.residual =
        cpu_widen(kernels, a->residual, block, cpu_next_block(&memory, a->x, rows, columns));
    part.sum = cpu_place(a->sum, block, cpu_next_block(&memory, a->x, rows, columns));
  }
  if (a->mask.probability > 0) { /* with the bits of the op dropout */
    cpu_drop_rows(kernels, &job->dropping, block.row, rows, columns, part.sum, part.x);
    part.x = part.sum;
  }
  kernels->layer_norm(&part);
  cpu_store(kernels, a->sum, block, part.sum);
  cpu_store(kernels, a->out, block, part.out);
}

static void layer_norm_tile(const void *context, int64_t tile, void *scratch)
{
  const layer_norm_job *job = context;
  const cdl_tensor out = job->args->out;
  const cpu_range range = cpu_part(out.size[2], job->tiles, tile, 1);
  const int64_t end = range.first + range.count, step = cpu_block_rows(out, range.count);
  for (int64_t row = range.first; row < end; row += step)
    layer_norm_block(job, (cpu_block){row, 0, cpu_min(step, end - row), out.size[3]}, scratch);
}

cdl_status cpu_add_layer_norm(void *queue, const cdl_add_layer_norm_args *a)
{
  cpu_device *device = cpu_device_of(queue);
  const layer_norm_job job = {device->kernels,
                              a,
                              {cpu_mask_from(&a->mask), a->packing, a->per_sequence},
                              row_tiles(a->out.size[2], a->out.size[3])};
  return cpu_pool_run(device->pool, job.tiles, blocks_bytes(a->out, 4), layer_norm_tile, &job);
}

cdl_status cpu_layer_norm(void *queue, const cdl_layer_norm_args *a)
{
  return cpu_add_layer_norm(queue, CDL_ARGS(add_layer_norm, .out = a->out, .x = a->x,
                                            .gain = a->gain, .bias = a->bias, .mean = a->mean,
                                            .rstd = a->rstd, .epsilon = a->epsilon));
}

/* Each tile sums its rows' gradients of gain and bias; these sums are added in order. */
typedef struct {
  const cpu_kernels *kernels;
  const cdl_add_layer_norm_grad_args *args; /* d_x absent: plain layer norm, and d_sum optional */
  cpu_dropping dropping;
  int64_t tiles;
  float *partial; /* [tiles, 2, columns], NULL: not wanted */
} layer_norm_grad_job;

static void layer_norm_grad_block(const layer_norm_grad_job *job, cpu_block block, float *d_gain,
                                  float *memory)
{
  const cdl_add_layer_norm_grad_args *a = job->args;
  const cpu_kernels *kernels = job->kernels;
  const int64_t rows = block.rows, columns = block.columns;
  cpu_layer_norm_grad_rows part = {
      .rows = rows,
      .columns = columns,
      .x = cpu_widen(kernels, a->sum, block, cpu_next_block(&memory, a->sum, rows, columns)),
      .gain = cpu_floats(a->gain),
      .mean = cpu_floats(a->mean) + block.row,
      .rstd = cpu_floats(a->rstd) + block.row,
      .d_gain = d_gain,
      .d_bias = d_gain != NULL ? d_gain + columns : NULL,
  };
  float *d_sum = cpu_next_block(&memory, a->sum, rows, columns);
  part.d_out = cpu_widen(kernels, a->d_out, block, d_sum);
  part.d_x = cpu_place(a->d_sum, block, d_sum);
  kernels->layer_norm_grad(&part);
  cpu_store(kernels, a->d_sum, block, part.d_x);
  if (!cdl_tensor_present(a->d_x))
    return;
  cpu_rows d_x = part.d_x;
  if (a->mask.probability > 0) {
    d_x = cpu_place(a->d_x, block, memory);
    cpu_drop_rows(kernels, &job->dropping, block.row, rows, columns, d_x, part.d_x);
  }
  cpu_store(kernels, a->d_x, block, d_x);
}

static void layer_norm_grad_tile(const void *context, int64_t tile, void *scratch)
{
  const layer_norm_grad_job *job = context;
  const cdl_tensor sum = job->args->sum;
  const int64_t columns = sum.size[3];
  const cpu_range range = cpu_part(sum.size[2], job->tiles, tile, 1);
  float *d_gain = job->partial != NULL ? job->partial + 2 * tile * columns : NULL;
  for (int64_t j = 0; d_gain != NULL && j < 2 * columns; j++)
    d_gain[j] = 0.0f;
  const int64_t end = range.first + range.count, step = cpu_block_rows(sum, range.count);
  for (int64_t row = range.first; row < end; row += step)
    layer_norm_grad_block(job, (cpu_block){row, 0, cpu_min(step, end - row), columns}, d_gain,
                          scratch);
}

cdl_status cpu_add_layer_norm_grad(void *queue, const cdl_add_layer_norm_grad_args *a)
{
  cpu_device *device = cpu_device_of(queue);
  const int64_t columns = a->sum.size[3];
  const bool parameters = cdl_tensor_present(a->d_gain) || cdl_tensor_present(a->d_bias);
  layer_norm_grad_job job = {device->kernels,
                             a,
                             {cpu_mask_from(&a->mask), a->packing, a->per_sequence},
                             row_tiles(a->sum.size[2], columns),
                             NULL};
  const size_t memory = blocks_bytes(a->sum, 3);
  if (!parameters)
    return cpu_pool_run(device->pool, job.tiles, memory, layer_norm_grad_tile, &job);
  void *shared;
  CDL_TRY(cpu_pool_enter(device->pool, memory, cpu_float_bytes(2 * job.tiles * columns), &shared));
  job.partial = shared;
  cpu_pool_for(device->pool, job.tiles, layer_norm_grad_tile, &job);
  for (int64_t tile = 0; tile < job.tiles; tile++) {
    const float *d_gain = job.partial + 2 * tile * columns;
    if (cdl_tensor_present(a->d_gain))
      device->kernels->add_row(CDL_REDUCE_SUM, cpu_floats(a->d_gain), d_gain, columns);
    if (cdl_tensor_present(a->d_bias))
      device->kernels->add_row(CDL_REDUCE_SUM, cpu_floats(a->d_bias), d_gain + columns, columns);
  }
  cpu_pool_leave(device->pool);
  return CDL_STATUS_OK;
}

cdl_status cpu_layer_norm_grad(void *queue, const cdl_layer_norm_grad_args *a)
{
  return cpu_add_layer_norm_grad(queue,
                                 CDL_ARGS(add_layer_norm_grad, .d_sum = a->d_x, .d_gain = a->d_gain,
                                          .d_bias = a->d_bias, .d_out = a->d_out, .sum = a->x,
                                          .gain = a->gain, .mean = a->mean, .rstd = a->rstd));
}
