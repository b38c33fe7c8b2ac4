#include "backends/cpu/walk.h"

#include <math.h>

typedef struct {
  const cpu_kernels *kernels;
  cpu_adamw_scalars scalars;
} adamw_context;

static void adamw_run(const void *context, char *const *pointers, int64_t n)
{
  const adamw_context *adamw = context;
  adamw->kernels->adamw(&adamw->scalars, (float *)(void *)pointers[0], (float *)(void *)pointers[1],
                        (float *)(void *)pointers[2], (const float *)(const void *)pointers[3], n);
}

cdl_status cpu_adamw(void *queue, const cdl_adamw_args *a)
{
  cpu_device *device = cpu_device_of(queue);
  const cdl_step_record *step = cpu_step(a->step);
  const double rate = (double)step->learning_rate * a->rate;
  const adamw_context context = {
      device->kernels,
      {.beta1 = (float)a->beta1,
       .beta2 = (float)a->beta2,
       .rest1 = (float)(1.0 - a->beta1),
       .rest2 = (float)(1.0 - a->beta2),
       .epsilon = (float)a->epsilon,
       .decay_factor = (float)(1.0 - rate * a->decay),
       .rate = (float)rate,
       .correction1 = step->correction1,
       .root_correction2 = sqrtf(step->correction2),
       .grad_scale = cdl_tensor_present(a->grad_scale) ? *cpu_floats(a->grad_scale) : 1.0f}};
  const cpu_walk walk =
      cpu_walk_over((cdl_tensor[]){a->parameter, a->moment1, a->moment2, a->gradient}, 4, false);
  return cpu_walk_run(device, &walk, adamw_run, &context);
}
