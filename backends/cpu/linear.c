#include "backends/cpu/gemm.h"
#include "backends/cpu/narrow.h"
#include "backends/cpu/product.h"
#include "backends/cpu/weight.h"

#include <stdlib.h>

/* ---- Weights ---- */

static void describe_parts(cpu_weight *weight, const cdl_tensor *sources, size_t count)
{
  int64_t first = 0;
  weight->count = count;
  for (size_t i = 0; i < count; i++) {
    weight->parts[i] = (cpu_weight_part){cpu_floats(sources[i]), sources[i].size[2], first,
                                         cpu_row_stride(sources[i])};
    first += sources[i].size[2];
  }
}

cdl_status cpu_weight_create(void *queue, const cdl_tensor *sources, size_t count, void **handle,
                             size_t *bytes)
{
  const cpu_device *device = cpu_device_of(queue);
  cpu_weight *weight = malloc(sizeof *weight + count * sizeof weight->parts[0]);
  if (weight == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "cpu: no memory for a weight of %zu parts", count);
  weight->narrow = NULL;
  weight->columns = sources[0].size[3];
  describe_parts(weight, sources, count);
  *bytes = 0;
  if (device->narrow != NULL) {
    const cpu_weight_part *last = &weight->parts[weight->count - 1];
    const cdl_status status =
        cpu_narrow_create(device, last->first + last->rows, weight->columns, &weight->narrow);
    if (status != CDL_STATUS_OK) {
      free(weight);
      return status;
    }
    *bytes = cpu_narrow_bytes(weight->narrow);
  }
  *handle = weight;
  return CDL_STATUS_OK;
}

cdl_status cpu_weight_update(void *queue, void *handle, const cdl_tensor *sources, size_t count)
{
  (void)queue;
  cpu_weight *weight = handle;
  describe_parts(weight, sources, count);
  if (weight->narrow != NULL)
    cpu_narrow_changed(weight->narrow);
  return CDL_STATUS_OK;
}

void cpu_weight_destroy(void *device, void *handle)
{
  (void)device;
  cpu_weight *weight = handle;
  cpu_narrow_destroy(weight->narrow);
  free(weight);
}

/* ---- linear ---- */

typedef struct {
  cpu_device *device;
  const cdl_linear_args *args;
  const cpu_weight *weight;
  cpu_grid grid; /* `columns` of each part of the weight */
  int64_t x_stride;
} linear_job;

/* Adds the bias and applies the activation while the tile is in cache. */
static void linear_tile(const void *context, int64_t tile, void *scratch)
{
  const linear_job *job = context;
  const cdl_linear_args *a = job->args;
  const int64_t columns = job->grid.columns;
  const cpu_weight_part *part = &job->weight->parts[tile / (columns * job->grid.rows)];
  const cpu_range m =
      cpu_part(a->out.size[2], job->grid.rows, tile / columns % job->grid.rows, CPU_GRID_ROWS);
  const cpu_range n = cpu_part(part->rows, columns, tile % columns, CPU_GRID_COLUMNS);
  if (m.count == 0 || n.count == 0)
    return;
  const int64_t column = part->first + n.first, k = a->x.size[3];
  const cpu_rows out = cpu_rows_at(a->out, m.first, column),
                 pre = cpu_rows_at(a->pre, m.first, column);
  const cpu_rows product = pre.data != NULL ? pre : out;
  cpu_sgemm(job->device->kernels, scratch, false, true, m.count, n.count, k, 1.0f,
            cpu_floats(a->x) + m.first * job->x_stride, job->x_stride,
            part->data + n.first * part->stride, part->stride, 0.0f, product.data, product.stride);
  const float *bias = cdl_tensor_present(a->bias) ? cpu_floats(a->bias) + column : NULL;
  if (bias != NULL || pre.data != NULL || a->activation != CDL_ACTIVATION_NONE)
    job->device->kernels->bias_activation(a->activation, out, pre, product, bias, m.count, n.count);
}

/* Returns the grid of the whole product, with its columns divided among the weight's parts. */
static cpu_grid grid_of_parts(int64_t m, int64_t n, int64_t k, size_t parts, int threads)
{
  cpu_grid grid = cpu_gemm_grid(m, n, k, threads);
  grid.columns = cpu_divide_up(grid.columns, (int64_t)parts);
  return grid;
}

cdl_status cpu_linear(void *queue, const cdl_linear_args *a)
{
  const cpu_weight *weight = a->weight->handle;
  const int64_t m = a->out.size[2], n = a->out.size[3], k = a->x.size[3];
  if (m == 0 || n == 0)
    return CDL_STATUS_OK;
  if (weight->narrow != NULL)
    return cpu_narrow_linear(cpu_device_of(queue), a);
  cpu_device *device = cpu_device_of(queue);
  const linear_job job = {device, a, weight,
                          grid_of_parts(m, n, k, weight->count, cpu_pool_threads(device->pool)),
                          cpu_row_stride(a->x)};
  return cpu_pool_run(job.device->pool, (int64_t)weight->count * job.grid.rows * job.grid.columns,
                      CPU_PRODUCT_BYTES, linear_tile, &job);
}

/* ---- linear_grad ---- */

typedef struct {
  cpu_device *device;
  const cdl_linear_grad_args *args;
  const cpu_weight *weight;
  cpu_grid grid;
} linear_grad_job;

/* Multiplies by f'(pre) while the tile is in cache. */
static void linear_grad_tile(const void *context, int64_t tile, void *scratch)
{
  const linear_grad_job *job = context;
  const cdl_linear_grad_args *a = job->args;
  const cpu_range m =
      cpu_part(a->d_x.size[2], job->grid.rows, tile / job->grid.columns, CPU_GRID_ROWS);
  const cpu_range n =
      cpu_part(a->d_x.size[3], job->grid.columns, tile % job->grid.columns, CPU_GRID_COLUMNS);
  if (m.count == 0 || n.count == 0)
    return;
  const cpu_rows d_x = cpu_rows_at(a->d_x, m.first, n.first);
  for (size_t i = 0; i < job->weight->count; i++) {
    const cpu_weight_part *part = &job->weight->parts[i];
    const cpu_rows d_out = cpu_rows_at(a->d_out, m.first, part->first);
    cpu_sgemm(job->device->kernels, scratch, false, false, m.count, n.count, part->rows, 1.0f,
              d_out.data, d_out.stride, part->data + n.first, part->stride,
              a->accumulate || i > 0 ? 1.0f : 0.0f, d_x.data, d_x.stride);
  }
  if (a->activation == CDL_ACTIVATION_NONE)
    return;
  const cpu_rows pre = cpu_rows_at(a->pre, m.first, n.first);
  for (int64_t i = 0; i < m.count; i++) {
    float *row = d_x.data + i * d_x.stride;
    job->device->kernels->activation_grad(a->activation, row, row, pre.data + i * pre.stride,
                                          n.count);
  }
}

cdl_status cpu_linear_grad(void *queue, const cdl_linear_grad_args *a)
{
  const cpu_weight *weight = a->weight->handle;
  const int64_t m = a->d_x.size[2], n = a->d_x.size[3], k = a->d_out.size[3];
  if (m == 0 || n == 0)
    return CDL_STATUS_OK;
  if (weight->narrow != NULL)
    return cpu_narrow_linear_grad(cpu_device_of(queue), a);
  cpu_device *device = cpu_device_of(queue);
  const linear_grad_job job = {device, a, weight,
                               cpu_gemm_grid(m, n, k, cpu_pool_threads(device->pool))};
  return cpu_pool_run(job.device->pool, job.grid.rows * job.grid.columns, CPU_PRODUCT_BYTES,
                      linear_grad_tile, &job);
}
