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

typedef struct {
  const cpu_kernels *kernels;
  const cdl_add_layer_norm_args *args; /* residual absent: plain layer norm */
  int64_t tiles;
} layer_norm_job;

static void layer_norm_tile(const void *context, int64_t tile, void *scratch)
{
  (void)scratch;
  const layer_norm_job *job = context;
  const cdl_add_layer_norm_args *a = job->args;
  const cpu_range rows = cpu_part(a->out.size[2], job->tiles, tile, 1);
  const cpu_layer_norm_rows part = {
      .rows = rows.count,
      .columns = a->out.size[3],
      .out = cpu_rows_at(a->out, rows.first, 0),
      .sum = cpu_rows_at(a->sum, rows.first, 0),
      .x = cpu_rows_at(a->x, rows.first, 0),
      .residual = cpu_rows_at(a->residual, rows.first, 0),
      .gain = cpu_floats(a->gain),
      .bias = cpu_floats(a->bias),
      .mean = values_from(a->mean, rows.first),
      .rstd = values_from(a->rstd, rows.first),
      .epsilon = a->epsilon,
  };
  job->kernels->layer_norm(&part);
}

cdl_status cpu_add_layer_norm(void *queue, const cdl_add_layer_norm_args *a)
{
  cpu_device *device = cpu_device_of(queue);
  cdl_add_layer_norm_args args = *a;
  if (a->mask.probability > 0) { /* a pass of its own, with the bits of the op dropout */
    CDL_TRY(cpu_dropout(queue, CDL_ARGS(dropout, .out = a->sum, .x = a->x, .mask = a->mask,
                                        .packing = a->packing, .per_sequence = a->per_sequence)));
    args.x = a->sum;
  }
  const layer_norm_job job = {device->kernels, &args, row_tiles(a->out.size[2], a->out.size[3])};
  return cpu_pool_run(device->pool, job.tiles, 0, layer_norm_tile, &job);
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
  const cdl_layer_norm_grad_args *args;
  int64_t tiles;
  float *partial; /* [tiles, 2, columns], NULL: not wanted */
} layer_norm_grad_job;

static void layer_norm_grad_tile(const void *context, int64_t tile, void *scratch)
{
  (void)scratch;
  const layer_norm_grad_job *job = context;
  const cdl_layer_norm_grad_args *a = job->args;
  const int64_t columns = a->x.size[3];
  const cpu_range rows = cpu_part(a->x.size[2], job->tiles, tile, 1);
  float *d_gain = job->partial != NULL ? job->partial + 2 * tile * columns : NULL;
  float *d_bias = d_gain != NULL ? d_gain + columns : NULL;
  for (int64_t j = 0; d_gain != NULL && j < 2 * columns; j++)
    d_gain[j] = 0.0f;
  const cpu_layer_norm_grad_rows part = {
      .rows = rows.count,
      .columns = columns,
      .d_x = cpu_rows_at(a->d_x, rows.first, 0),
      .d_out = cpu_rows_at(a->d_out, rows.first, 0),
      .x = cpu_rows_at(a->x, rows.first, 0),
      .gain = cpu_floats(a->gain),
      .mean = values_from(a->mean, rows.first),
      .rstd = values_from(a->rstd, rows.first),
      .d_gain = d_gain,
      .d_bias = d_bias,
  };
  job->kernels->layer_norm_grad(&part);
}

cdl_status cpu_layer_norm_grad(void *queue, const cdl_layer_norm_grad_args *a)
{
  cpu_device *device = cpu_device_of(queue);
  const int64_t columns = a->x.size[3];
  const bool parameters = cdl_tensor_present(a->d_gain) || cdl_tensor_present(a->d_bias);
  layer_norm_grad_job job = {device->kernels, a, row_tiles(a->x.size[2], columns), NULL};
  if (!parameters)
    return cpu_pool_run(device->pool, job.tiles, 0, layer_norm_grad_tile, &job);
  void *shared;
  CDL_TRY(cpu_pool_enter(device->pool, 0, cpu_float_bytes(2 * job.tiles * columns), &shared));
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

cdl_status cpu_add_layer_norm_grad(void *queue, const cdl_add_layer_norm_grad_args *a)
{
  CDL_TRY(cpu_layer_norm_grad(queue, CDL_ARGS(layer_norm_grad, .d_x = a->d_sum, .d_gain = a->d_gain,
                                              .d_bias = a->d_bias, .d_out = a->d_out, .x = a->sum,
                                              .gain = a->gain, .mean = a->mean, .rstd = a->rstd)));
  if (cdl_tensor_elements(a->d_x) == 0)
    return CDL_STATUS_OK;
  return cpu_dropout(queue, CDL_ARGS(dropout, .out = a->d_x, .x = a->d_sum, .mask = a->mask,
                                     .packing = a->packing, .per_sequence = a->per_sequence));
}
