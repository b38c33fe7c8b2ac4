#include "backends/cpu/dropout.h"

#include "backends/cpu/activation.h"
#include "condlora/random.h"

#include <string.h>

cpu_mask cpu_mask_from(const cdl_dropout_mask *mask)
{
  if (mask->probability == 0.0f)
    return (cpu_mask){.scale = 1.0f};
  const cdl_step_record *step = cpu_step(mask->step);
  return (cpu_mask){
      .key = {step->seed[0], step->seed[1]},
      .step = step->step,
      .place = mask->purpose << 24 | mask->layer,
      .threshold = cdl_random_threshold((double)mask->probability),
      .scale = (float)(1.0 / (1.0 - (double)mask->probability)),
  };
}

/* Returns the last sequence that starts at or before `row`. */
static int32_t sequence_of(const int32_t *offsets, int32_t sequences, int64_t row)
{
  int32_t low = 0, high = sequences;
  while (high - low > 1) {
    const int32_t middle = low + (high - low) / 2;
    if (offsets[middle] <= row)
      low = middle;
    else
      high = middle;
  }
  return low;
}

void cpu_drop_rows(const cpu_kernels *kernels, const cpu_dropping *dropping, int64_t row,
                   int64_t rows, int64_t columns, cpu_rows out, cpu_rows x)
{
  const cdl_packing *packing = dropping->packing;
  const int32_t *offsets = cpu_ints(packing->offsets), *examples = cpu_ints(packing->examples);
  const bool per_sequence = dropping->per_sequence;
  cpu_mask mask = dropping->mask;
  int32_t sequence = per_sequence ? 0 : sequence_of(offsets, packing->sequences, row);
  for (int64_t i = 0; i < rows; i++, row++) {
    if (per_sequence)
      sequence = (int32_t)row;
    while (!per_sequence && sequence + 1 < packing->sequences && offsets[sequence + 1] <= row)
      sequence++;
    const int64_t within = per_sequence ? 0 : row - offsets[sequence];
    mask.example = (uint32_t)examples[sequence];
    kernels->dropout(&mask, out.data + i * out.stride, x.data + i * x.stride,
                     (uint64_t)(within * columns), columns);
  }
}

typedef struct {
  const cpu_kernels *kernels;
  const cdl_dropout_args *args;
  cpu_dropping dropping;
  int64_t tiles;
} dropout_job;

static void dropout_tile(const void *context, int64_t tile, void *scratch)
{
  const dropout_job *job = context;
  const cdl_dropout_args *a = job->args;
  const int64_t columns = a->out.size[3];
  const cpu_range range = cpu_part(a->out.size[2], job->tiles, tile, 1);
  const int64_t end = range.first + range.count, step = cpu_block_rows(a->x, range.count);
  for (int64_t row = range.first; row < end; row += step) {
    const cpu_block block = {row, 0, cpu_min(step, end - row), columns};
    const cpu_rows x = cpu_widen(job->kernels, a->x, block, scratch),
                   out = cpu_place(a->out, block, scratch);
    cpu_drop_rows(job->kernels, &job->dropping, row, block.rows, columns, out, x);
    cpu_store(job->kernels, a->out, block, out);
  }
}

cdl_status cpu_dropout(void *queue, const cdl_dropout_args *a)
{
  cpu_device *device = cpu_device_of(queue);
  const int64_t rows = a->out.size[2], columns = a->out.size[3];
  if (cdl_tensor_elements(a->out) == 0)
    return CDL_STATUS_OK;
  if (a->mask.probability == 0.0f) {
    const bool in_place = cpu_bytes(a->out) == cpu_bytes(a->x);
    return in_place ? CDL_STATUS_OK : cpu_copy(queue, CDL_ARGS(copy, .out = a->out, .x = a->x));
  }
  const dropout_job job = {device->kernels,
                           a,
                           {cpu_mask_from(&a->mask), a->packing, a->per_sequence},
                           cpu_min(rows, cpu_divide_up(rows * columns, 8192))};
  return cpu_pool_run(device->pool, job.tiles,
                      cpu_block_bytes(a->x, cpu_block_rows(a->x, rows), columns), dropout_tile,
                      &job);
}
