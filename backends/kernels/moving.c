#include <math.h>
#include <string.h>

#include "backends/kernels/tiling.h"

/* The kernels of a family are numbered by the size of an element. */
static kernel_id by_size(kernel_id of_one_byte, size_t bytes)
{
  _Static_assert(KERNEL_copy_u64 == KERNEL_copy_u8 + 3 &&
                     KERNEL_copy_strided_u64 == KERNEL_copy_strided_u8 + 3,
                 "kernels.def has the sizes 1, 2, 4, 8 in this order");
  return of_one_byte + (bytes == 1 ? 0u : bytes == 2 ? 1u : bytes == 4 ? 2u : 3u);
}

static cdl_status launch_move(kernel_queue *queue, kernel_id kernel, const cdl_tensor *out,
                              const cdl_tensor *x, const copy_parameters *p)
{
  return queue->device->driver->launch(
      queue, &(const kernel_launch){.kernel = kernel,
                                    .groups = {groups_for(queue->device, p->tiling.tiles), 1, 1},
                                    .buffers = {out->buffer, x->buffer},
                                    .parameters = p});
}

static cdl_status move(kernel_queue *queue, kernel_id kernel, const cdl_tensor *out,
                       const cdl_tensor *x)
{
  view views[2];
  const row_tiling tiling = tiling_over(queue->device, (cdl_tensor[]){*out, *x}, 2, false, views);
  return launch_move(queue, kernel, out, x,
                     &(copy_parameters){.tiling = tiling, .out = views[0], .x = views[1]});
}

cdl_status kernel_op_copy(void *queue, const cdl_copy_args *a)
{
  return move(queue, by_size(KERNEL_copy_u8, cdl_dtype_bytes(a->out.dtype)), &a->out, &a->x);
}

cdl_status kernel_op_cast(void *queue, const cdl_cast_args *a)
{
  static const kernel_id kernels[CDL_DTYPE_BF16 + 1][CDL_DTYPE_BF16 + 1] = {
      /* [to][from] */
      [CDL_DTYPE_F32] = {[CDL_DTYPE_F32] = KERNEL_copy_u32,
                         [CDL_DTYPE_F64] = KERNEL_cast_f64_f32,
                         [CDL_DTYPE_BF16] = KERNEL_cast_bf16_f32},
      [CDL_DTYPE_F64] = {[CDL_DTYPE_F32] = KERNEL_cast_f32_f64,
                         [CDL_DTYPE_F64] = KERNEL_copy_u64,
                         [CDL_DTYPE_BF16] = KERNEL_cast_bf16_f64},
      [CDL_DTYPE_BF16] = {[CDL_DTYPE_F32] = KERNEL_cast_f32_bf16,
                          [CDL_DTYPE_F64] = KERNEL_cast_f64_bf16,
                          [CDL_DTYPE_BF16] = KERNEL_copy_u16},
  };
  return move(queue, kernels[a->out.dtype][a->x.dtype], &a->out, &a->x);
}

cdl_status kernel_op_permute(void *queue, const cdl_permute_args *a)
{
  kernel_queue *q = queue;
  const size_t bytes = cdl_dtype_bytes(a->out.dtype);
  cdl_tensor x = a->x;
  for (int d = 0; d < 4; d++) {
    x.size[d] = a->x.size[a->order[d]];
    x.stride[d] = a->x.stride[a->order[d]];
  }
  if (x.size[3] == 1 || x.stride[3] == 1)
    return move(q, by_size(KERNEL_copy_u8, bytes), &a->out, &x);
  copy_parameters p = {.out = view_of(&a->out), .x = view_of(&x)};
  p.tiling = tiling_of(q->device, x.size, x.size[0] * x.size[1] * x.size[2],
                       4 * (int64_t)q->device->group_size);
  return launch_move(q, by_size(KERNEL_copy_strided_u8, bytes), &a->out, &x, &p);
}

/* To nearest, ties to even, by way of a float rounded to odd: see bf16_of_f64 of the kernels. */
static uint32_t bf16_of(double value)
{
  const float nearest = (float)value;
  uint32_t bits;
  memcpy(&bits, &nearest, sizeof bits);
  if (isnan(nearest))
    return bits >> 16 | 0x40u;
  if (isfinite(nearest) && (double)nearest != value) {
    if (fabs((double)nearest) > fabs(value))
      bits--;
    bits |= 1u;
  }
  return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

static cdl_status fill_bf16(kernel_queue *queue, const cdl_fill_args *a)
{
  fill_parameters p = {0};
  p.tiling = tiling_over_eights(queue->device, &a->out, 1, &p.out);
  const uint32_t value = bf16_of(a->value);
  p.value[0] = value | value << 16;
  return LAUNCH(queue, fill_bf16, groups_for(queue->device, p.tiling.tiles), &p, a->out.buffer);
}

cdl_status kernel_op_fill(void *queue, const cdl_fill_args *a)
{
  kernel_queue *q = queue;
  if (a->out.dtype == CDL_DTYPE_BF16)
    return fill_bf16(q, a);
  fill_parameters p = {0};
  p.tiling = tiling_over(q->device, &a->out, 1, false, &p.out);
  const float f32 = (float)a->value;
  const int32_t i32 = a->out.dtype == CDL_DTYPE_I32 ? (int32_t)a->value : 0;
  uint64_t bits = 0;
  if (a->out.dtype == CDL_DTYPE_F64)
    memcpy(&bits, &a->value, sizeof bits);
  p.value[0] = (uint32_t)bits;
  p.value[1] = (uint32_t)(bits >> 32);
  if (a->out.dtype == CDL_DTYPE_F32)
    memcpy(p.value, &f32, sizeof f32);
  else if (a->out.dtype == CDL_DTYPE_I32)
    memcpy(p.value, &i32, sizeof i32);
  const int64_t groups = groups_for(q->device, p.tiling.tiles);
  return a->out.dtype == CDL_DTYPE_F64 ? LAUNCH(q, fill_u64, groups, &p, a->out.buffer)
                                       : LAUNCH(q, fill_u32, groups, &p, a->out.buffer);
}

/* ---- Rows ---- */

/* By whether the output and the input are BF16. */
static const kernel_id gather[2][2] = {{KERNEL_gather_rows, KERNEL_gather_rows_from_bf16},
                                       {KERNEL_gather_rows_to_bf16, KERNEL_gather_rows_bf16}};
static const kernel_id scatter[2][2] = {
    {KERNEL_scatter_add_rows, KERNEL_scatter_add_rows_from_bf16},
    {KERNEL_scatter_add_rows_to_bf16, KERNEL_scatter_add_rows_bf16}};

static bool is_narrow(const cdl_tensor *out, const cdl_tensor *x)
{
  return out->dtype == CDL_DTYPE_BF16 || x->dtype == CDL_DTYPE_BF16;
}

static cdl_status launch_rows(kernel_queue *queue, const kernel_id kernels[2][2],
                              const cdl_tensor *out, const cdl_tensor *x, const row_tiling *tiling,
                              kernel_launch *launch)
{
  launch->kernel = kernels[out->dtype == CDL_DTYPE_BF16][x->dtype == CDL_DTYPE_BF16];
  launch->groups[0] = groups_for(queue->device, tiling->tiles);
  launch->groups[1] = launch->groups[2] = 1;
  return queue->device->driver->launch(queue, launch);
}

static int64_t row_span(const kernel_device *device)
{
  return device->group_size == 1 ? 4096 : 4 * (int64_t)device->group_size;
}

cdl_status kernel_op_gather_rows(void *queue, const cdl_gather_rows_args *a)
{
  kernel_queue *q = queue;
  const gather_rows_parameters p = {
      .tiling = is_narrow(&a->out, &a->table)
                    ? tiling_of_eights(q->device, a->out.size, a->out.size[2])
                    : tiling_of(q->device, a->out.size, a->out.size[2], row_span(q->device)),
      .out = view_of(&a->out),
      .table = a->table.offset,
      .table_stride = a->table.stride[2],
      .index = a->index.offset,
      .accumulate = a->accumulate};
  return launch_rows(q, gather, &a->out, &a->table, &p.tiling,
                     &(kernel_launch){.buffers = {a->out.buffer, a->table.buffer, a->index.buffer},
                                      .parameters = &p});
}

cdl_status kernel_op_scatter_add_rows(void *queue, const cdl_scatter_add_rows_args *a)
{
  kernel_queue *q = queue;
  const int64_t segments = a->target.size[3];
  if (segments == 0 || cdl_tensor_elements(a->x) == 0)
    return CDL_STATUS_OK;
  const int64_t size[4] = {1, 1, segments, a->x.size[3]};
  const int64_t span = q->device->group_size == 1 ? 4096 : q->device->group_size;
  const scatter_add_rows_parameters p = {.tiling = is_narrow(&a->table, &a->x)
                                                       ? tiling_of_eights(q->device, size, segments)
                                                       : tiling_of(q->device, size, segments, span),
                                         .table = a->table.offset,
                                         .table_stride = a->table.stride[2],
                                         .x = a->x.offset,
                                         .x_stride = a->x.stride[2],
                                         .order = a->order.offset,
                                         .segment = a->segment.offset,
                                         .target = a->target.offset};
  return launch_rows(q, scatter, &a->table, &a->x, &p.tiling,
                     &(kernel_launch){.buffers = {a->table.buffer, a->x.buffer, a->order.buffer,
                                                  a->segment.buffer, a->target.buffer},
                                      .parameters = &p});
}
