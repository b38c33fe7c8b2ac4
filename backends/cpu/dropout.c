#include "backends/cpu/dropout.h"

#include "backends/cpu/walk.h"
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

typedef struct {
  const cpu_kernels *kernels;
  const cdl_dropout_args *args;
  cpu_mask mask;
  int64_t tiles;
} dropout_job;

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

static void dropout_tile(const void *context, int64_t tile, void *scratch)
{
  (void)scratch;
  const dropout_job *job = context;
  const cdl_dropout_args *a = job->args;
  const cdl_packing *packing = a->packing;
  const int64_t columns = a->out.size[3];
  const int32_t *offsets = cpu_ints(packing->offsets), *examples = cpu_ints(packing->examples);
  const cpu_range rows = cpu_part(a->out.size[2], job->tiles, tile, 1);
  cpu_mask mask = job->mask;
  int32_t sequence = a->per_sequence ? 0 : sequence_of(offsets, packing->sequences, rows.first);
  for (int64_t row = rows.first; row < rows.first + rows.count; row++) {
    if (a->per_sequence)
      sequence = (int32_t)row;
    while (!a->per_sequence && sequence + 1 < packing->sequences && offsets[sequence + 1] <= row)
      sequence++;
    const int64_t within = a->per_sequence ? 0 : row - offsets[sequence];
    mask.example = (uint32_t)examples[sequence];
    job->kernels->dropout(&mask, cpu_floats(a->out) + row * a->out.stride[2],
                          cpu_floats(a->x) + row * a->x.stride[2], (uint64_t)(within * columns),
                          columns);
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
  const dropout_job job = {device->kernels, a, cpu_mask_from(&a->mask),
                           cpu_min(rows, cpu_divide_up(rows * columns, 8192))};
  return cpu_pool_run(device->pool, job.tiles, 0, dropout_tile, &job);
}
