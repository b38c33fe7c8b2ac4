#include "backends/kernels/tiling.h"

cdl_status kernel_op_softmax(void *queue, const cdl_softmax_args *a)
{
  kernel_queue *q = queue;
  const softmax_parameters p = {.tiling = tiling_of_rows(q->device, a->out.size),
                                .out = view_of(&a->out),
                                .x = view_of(&a->x),
                                .scale = a->scale};
  return LAUNCH(q, softmax, groups_for(q->device, p.tiling.tiles), &p, a->out.buffer, a->x.buffer);
}

cdl_status kernel_op_softmax_grad(void *queue, const cdl_softmax_grad_args *a)
{
  kernel_queue *q = queue;
  const softmax_grad_parameters p = {.tiling = tiling_of_rows(q->device, a->out.size),
                                     .d_x = view_of(&a->d_x),
                                     .d_out = view_of(&a->d_out),
                                     .out = view_of(&a->out),
                                     .scale = a->scale};
  return LAUNCH(q, softmax_grad, groups_for(q->device, p.tiling.tiles), &p, a->d_x.buffer,
                a->d_out.buffer, a->out.buffer);
}
