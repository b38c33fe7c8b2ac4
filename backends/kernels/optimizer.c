#include "backends/kernels/dropout.h"
#include "backends/kernels/tiling.h"

cdl_status kernel_op_adamw(void *queue, const cdl_adamw_args *a)
{
  kernel_queue *q = queue;
  view views[4];
  adamw_parameters p = {.grad_scale = offset_of(&a->grad_scale),
                        .step = step_offset_of(&a->step),
                        .beta1 = (float)a->beta1,
                        .beta2 = (float)a->beta2,
                        .rest1 = (float)(1.0 - a->beta1),
                        .rest2 = (float)(1.0 - a->beta2),
                        .epsilon = (float)a->epsilon,
                        .rate = (float)a->rate,
                        .decay_rate = (float)(a->decay * a->rate)};
  p.tiling =
      tiling_over(q->device, (cdl_tensor[]){a->parameter, a->moment1, a->moment2, a->gradient}, 4,
                  false, views);
  p.parameter = views[0];
  p.moment1 = views[1];
  p.moment2 = views[2];
  p.gradient = views[3];
  return LAUNCH(q, adamw, groups_for(q->device, p.tiling.tiles), &p, a->parameter.buffer,
                a->moment1.buffer, a->moment2.buffer, a->gradient.buffer, a->grad_scale.buffer,
                a->step.buffer);
}
