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

cdl_status kernel_op_fill(void *queue, const cdl_fill_args *a)
{
  kernel_queue *q = queue;
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

static int64_t row_span(const kernel_device *device)
{
  return device->group_size == 1 ? 4096 : 4 * (int64_t)device->group_size;
}

cdl_status kernel_op_gather_rows(void *queue, const cdl_gather_rows_args *a)
{
  kernel_queue *q = queue;
  const gather_rows_parameters p = {
      .tiling = tiling_of(q->device, a->out.size, a->out.size[2], row_span(q->device)),
      .out = view_of(&a->out),
      .table = a->table.offset,
      .table_stride = a->table.stride[2],
      .index = a->index.offset,
      .accumulate = a->accumulate};
  return LAUNCH(q, gather_rows, groups_for(q->device, p.tiling.tiles), &p, a->out.buffer,
                a->table.buffer, a->index.buffer);
}

cdl_status kernel_op_scatter_add_rows(void *queue, const cdl_scatter_add_rows_args *a)
{
  kernel_queue *q = queue;
  const int64_t segments = a->target.size[3];
  if (segments == 0 || cdl_tensor_elements(a->x) == 0)
    return CDL_STATUS_OK;
  const int64_t size[4] = {1, 1, segments, a->x.size[3]};
  const int64_t span = q->device->group_size == 1 ? 4096 : q->device->group_size;
  const scatter_add_rows_parameters p = {.tiling = tiling_of(q->device, size, segments, span),
                                         .table = a->table.offset,
                                         .table_stride = a->table.stride[2],
                                         .x = a->x.offset,
                                         .x_stride = a->x.stride[2],
                                         .order = a->order.offset,
                                         .segment = a->segment.offset,
                                         .target = a->target.offset};
  return LAUNCH(q, scatter_add_rows, groups_for(q->device, p.tiling.tiles), &p, a->table.buffer,
                a->x.buffer, a->order.buffer, a->segment.buffer, a->target.buffer);
}
