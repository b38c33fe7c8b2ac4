#include "backends/kernels/dropout.h"

#include "backends/kernels/tiling.h"
#include "condlora/random.h"

_Static_assert(offsetof(cdl_step_record, loss_scale) == STEP_LOSS_SCALE * sizeof(float) &&
                   offsetof(cdl_step_record, correction2) == STEP_CORRECTION2 * sizeof(float) &&
                   offsetof(cdl_step_record, step) == STEP_STEP * sizeof(float) &&
                   offsetof(cdl_step_record, seed) == STEP_SEED * sizeof(float),
               "the kernels read the record as words");

int64_t step_offset_of(const cdl_tensor *step)
{
  return step->offset / (int64_t)sizeof(uint32_t);
}

mask_parameters mask_parameters_of(const cdl_dropout_mask *mask)
{
  if (mask->probability == 0.0f)
    return (mask_parameters){.scale = 1.0f};
  return (mask_parameters){.step_offset = step_offset_of(&mask->step),
                           .place = mask->purpose << 24 | mask->layer,
                           .threshold = cdl_random_threshold((double)mask->probability),
                           .scale = (float)(1.0 / (1.0 - (double)mask->probability))};
}

static bool same_place(const cdl_tensor *a, const cdl_tensor *b)
{
  return a->buffer == b->buffer && a->offset == b->offset;
}

/* Of Philox blocks of four columns. The parts of a row that does not start with a block have one
 * block more. */
static row_tiling tiling_of_blocks(const kernel_device *device, const cdl_tensor *out)
{
  const int64_t columns = out->size[3], blocks = (columns + 6) / 4;
  const int64_t size[4] = {1, 1, out->size[2], columns % 4 == 0 ? columns / 4 : blocks};
  return tiling_of(device, size, size[2], device->group_size == 1 ? 1024 : device->group_size);
}

cdl_status kernel_op_dropout(void *queue, const cdl_dropout_args *a)
{
  kernel_queue *q = queue;
  if (a->mask.probability == 0.0f)
    return same_place(&a->out, &a->x)
               ? CDL_STATUS_OK
               : kernel_op_copy(queue, CDL_ARGS(copy, .out = a->out, .x = a->x));
  const bool narrow = a->x.dtype == CDL_DTYPE_BF16;
  const int64_t columns = a->out.size[3];
  const dropout_parameters p = {
      .tiling = narrow ? tiling_of_eights(q->device, a->out.size, a->out.size[2])
                       : tiling_of_blocks(q->device, &a->out),
      .mask = mask_parameters_of(&a->mask),
      .columns = columns,
      .out = a->out.offset,
      .out_stride = a->out.stride[2],
      .x = a->x.offset,
      .x_stride = a->x.stride[2],
      .offsets = a->per_sequence ? 0 : a->packing->offsets.offset,
      .examples = a->packing->examples.offset,
      .sequences = a->packing->sequences,
      .per_sequence = a->per_sequence};
  const int64_t groups = groups_for(q->device, p.tiling.tiles);
  return narrow
             ? LAUNCH(q, dropout_bf16, groups, &p, a->out.buffer, a->x.buffer, a->mask.step.buffer,
                      a->packing->offsets.buffer, a->packing->examples.buffer)
             : LAUNCH(q, dropout, groups, &p, a->out.buffer, a->x.buffer, a->mask.step.buffer,
                      a->packing->offsets.buffer, a->packing->examples.buffer);
}
