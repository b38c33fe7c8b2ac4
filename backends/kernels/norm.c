#include "backends/kernels/dropout.h"
#include "backends/kernels/reduce.h"
#include "backends/kernels/tiling.h"

static row_tiling tiling_for(const kernel_device *device, const cdl_tensor *x)
{
  return x->dtype == CDL_DTYPE_BF16 ? tiling_of_eight_rows(device, x->size)
                                    : tiling_of_rows(device, x->size);
}

static row_mask row_mask_of(const cdl_dropout_mask *mask, const cdl_packing *packing,
                            bool per_sequence)
{
  return (row_mask){.mask = mask_parameters_of(mask),
                    .offsets = packing->offsets.offset,
                    .examples = packing->examples.offset,
                    .drops = mask->probability > 0,
                    .sequences = packing->sequences,
                    .per_sequence = per_sequence};
}

static cdl_status add_layer_norm(kernel_queue *q, const cdl_add_layer_norm_args *a)
{
  const bool narrow = a->x.dtype == CDL_DTYPE_BF16, drops = a->mask.probability > 0;
  const cdl_packing none = {0}, *packing = drops ? a->packing : &none;
  const layer_norm_parameters p = {.tiling = tiling_for(q->device, &a->x),
                                   .out = a->out.offset,
                                   .out_stride = a->out.stride[2],
                                   .sum = offset_of(&a->sum),
                                   .sum_stride = a->sum.stride[2],
                                   .x = a->x.offset,
                                   .x_stride = a->x.stride[2],
                                   .residual = offset_of(&a->residual),
                                   .residual_stride = a->residual.stride[2],
                                   .gain = a->gain.offset,
                                   .bias = a->bias.offset,
                                   .mean = offset_of(&a->mean),
                                   .rstd = offset_of(&a->rstd),
                                   .mask = row_mask_of(&a->mask, packing, a->per_sequence),
                                   .epsilon = a->epsilon};
  const int64_t groups = groups_for(q->device, p.tiling.tiles);
  return narrow ? LAUNCH(q, layer_norm_bf16, groups, &p, a->out.buffer, a->sum.buffer, a->x.buffer,
                         a->residual.buffer, a->gain.buffer, a->bias.buffer, a->mean.buffer,
                         a->rstd.buffer, a->mask.step.buffer, packing->offsets.buffer,
                         packing->examples.buffer)
                : LAUNCH(q, layer_norm, groups, &p, a->out.buffer, a->sum.buffer, a->x.buffer,
                         a->residual.buffer, a->gain.buffer, a->bias.buffer, a->mean.buffer,
                         a->rstd.buffer);
}

/* Float32 has dropout as a pass of its own, whose result takes the place of the sum. */
cdl_status kernel_op_add_layer_norm(void *queue, const cdl_add_layer_norm_args *a)
{
  if (a->x.dtype == CDL_DTYPE_BF16 || a->mask.probability == 0)
    return add_layer_norm(queue, a);
  cdl_add_layer_norm_args rest = *a;
  CDL_TRY(
      kernel_op_dropout(queue, CDL_ARGS(dropout, .out = a->sum, .x = a->x, .mask = a->mask,
                                        .packing = a->packing, .per_sequence = a->per_sequence)));
  rest.x = a->sum;
  rest.mask = (cdl_dropout_mask){0};
  return add_layer_norm(queue, &rest);
}

cdl_status kernel_op_layer_norm(void *queue, const cdl_layer_norm_args *a)
{
  return kernel_op_add_layer_norm(queue, CDL_ARGS(add_layer_norm, .out = a->out, .x = a->x,
                                                  .gain = a->gain, .bias = a->bias, .mean = a->mean,
                                                  .rstd = a->rstd, .epsilon = a->epsilon));
}

/* ---- Gradient ---- */

static cdl_status add_parameter_gradients(kernel_queue *queue, const cdl_layer_norm_grad_args *a,
                                          layer_norm_grad_parameters p)
{
  enum { PIECE_ROWS = 16 };
  const kernel_device *device = queue->device;
  const int64_t rows = a->x.size[2], columns = a->x.size[3], group = device->group_size;
  const int64_t wanted = divide_up(2 * device->preferred_groups * group, columns);
  const int64_t pieces = at_least(at_most(rows / PIECE_ROWS, wanted), 1);
  const int64_t size[4] = {1, 1, pieces, columns};
  const cdl_buffer *parts;
  CDL_TRY(
      kernel_scratch(queue, SCRATCH_OP, (size_t)(2 * pieces * columns) * sizeof(float), &parts));
  const bool narrow = a->x.dtype == CDL_DTYPE_BF16;
  p.tiling = narrow ? tiling_of_eights(device, size, pieces)
                    : tiling_of(device, size, pieces, group == 1 ? 1024 : group);
  p.rows = rows;
  p.piece_rows = divide_up(rows, pieces);
  const int64_t groups = groups_for(device, p.tiling.tiles);
  CDL_TRY(narrow ? LAUNCH(queue, layer_norm_grad_parts_bf16, groups, &p, parts, a->d_out.buffer,
                          a->x.buffer, a->mean.buffer, a->rstd.buffer)
                 : LAUNCH(queue, layer_norm_grad_parts, groups, &p, parts, a->d_out.buffer,
                          a->x.buffer, a->mean.buffer, a->rstd.buffer));
  if (cdl_tensor_present(a->d_gain))
    CDL_TRY(reduce_add_rows(queue, &a->d_gain, parts, 0, pieces));
  return cdl_tensor_present(a->d_bias)
             ? reduce_add_rows(queue, &a->d_bias, parts, pieces * columns, pieces)
             : CDL_STATUS_OK;
}

/* `dropped` is absent without a mask. */
static cdl_status layer_norm_grad(kernel_queue *q, const cdl_layer_norm_grad_args *a,
                                  const cdl_tensor *dropped, const cdl_dropout_mask *drop,
                                  const cdl_packing *packing, bool per_sequence)
{
  if (cdl_tensor_elements(a->x) == 0)
    return CDL_STATUS_OK;
  const layer_norm_grad_parameters p = {.tiling = tiling_for(q->device, &a->x),
                                        .d_x = offset_of(&a->d_x),
                                        .d_x_stride = a->d_x.stride[2],
                                        .d_out = a->d_out.offset,
                                        .d_out_stride = a->d_out.stride[2],
                                        .x = a->x.offset,
                                        .x_stride = a->x.stride[2],
                                        .gain = a->gain.offset,
                                        .mean = a->mean.offset,
                                        .rstd = a->rstd.offset,
                                        .dropped = offset_of(dropped),
                                        .dropped_stride = dropped->stride[2],
                                        .mask = row_mask_of(drop, packing, per_sequence)};
  /* First, because d_x may overwrite d_out. */
  if (cdl_tensor_present(a->d_gain) || cdl_tensor_present(a->d_bias))
    CDL_TRY(add_parameter_gradients(q, a, p));
  if (!cdl_tensor_present(a->d_x))
    return CDL_STATUS_OK;
  const int64_t groups = groups_for(q->device, p.tiling.tiles);
  return a->x.dtype == CDL_DTYPE_BF16
             ? LAUNCH(q, layer_norm_grad_bf16, groups, &p, a->d_x.buffer, a->d_out.buffer,
                      a->x.buffer, a->gain.buffer, a->mean.buffer, a->rstd.buffer, dropped->buffer,
                      drop->step.buffer, packing->offsets.buffer, packing->examples.buffer)
             : LAUNCH(q, layer_norm_grad, groups, &p, a->d_x.buffer, a->d_out.buffer, a->x.buffer,
                      a->gain.buffer, a->mean.buffer, a->rstd.buffer);
}

cdl_status kernel_op_layer_norm_grad(void *queue, const cdl_layer_norm_grad_args *a)
{
  static const cdl_tensor none;
  static const cdl_dropout_mask no_mask;
  static const cdl_packing no_packing;
  return layer_norm_grad(queue, a, &none, &no_mask, &no_packing, false);
}

/* Float32 has dropout as a pass of its own. */
cdl_status kernel_op_add_layer_norm_grad(void *queue, const cdl_add_layer_norm_grad_args *a)
{
  const cdl_layer_norm_grad_args norm = {.size = sizeof norm,
                                         .d_x = a->d_sum,
                                         .d_gain = a->d_gain,
                                         .d_bias = a->d_bias,
                                         .d_out = a->d_out,
                                         .x = a->sum,
                                         .gain = a->gain,
                                         .mean = a->mean,
                                         .rstd = a->rstd};
  if (a->sum.dtype == CDL_DTYPE_BF16 && a->mask.probability > 0)
    return layer_norm_grad(queue, &norm, &a->d_x, &a->mask, a->packing, a->per_sequence);
  CDL_TRY(kernel_op_layer_norm_grad(queue, &norm));
  return cdl_tensor_elements(a->d_x) == 0
             ? CDL_STATUS_OK
             : kernel_op_dropout(queue,
                                 CDL_ARGS(dropout, .out = a->d_x, .x = a->d_sum, .mask = a->mask,
                                          .packing = a->packing, .per_sequence = a->per_sequence));
}
