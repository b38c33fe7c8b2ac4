#include "backends/kernels/tiling.h"

_Static_assert((int)FUNCTION_MISH == (int)CDL_ACTIVATION_MISH &&
                   (int)FUNCTION_GELU_QUICK == (int)CDL_ACTIVATION_GELU_QUICK &&
                   FUNCTION_RECIPROCAL - FUNCTION_ABSOLUTE ==
                       CDL_UNARY_RECIPROCAL - CDL_UNARY_ABSOLUTE,
               "the kernels' numbers of functions are those of ops.h");
_Static_assert((int)BINARY_MINIMUM == (int)CDL_BINARY_MINIMUM &&
                   (int)BINARY_DIVIDE == (int)CDL_BINARY_DIVIDE,
               "the kernels' numbers of functions are those of ops.h");

static bool is_bf16(const cdl_tensor *t)
{
  return t->dtype == CDL_DTYPE_BF16;
}

/* Elementwise over tensors of one type: each kernel has a form for BF16. */
static row_tiling tiling_for(const kernel_device *device, const cdl_tensor *tensors, int count,
                             view *views)
{
  return is_bf16(tensors) ? tiling_over_eights(device, tensors, count, views)
                          : tiling_over(device, tensors, count, false, views);
}

cdl_status kernel_op_unary(void *queue, const cdl_unary_args *a)
{
  kernel_queue *q = queue;
  view views[2];
  unary_parameters p = {0};
  p.tiling = tiling_for(q->device, (cdl_tensor[]){a->out, a->x}, 2, views);
  p.out = views[0];
  p.x = views[1];
  p.function = a->function == CDL_UNARY_ACTIVATION
                   ? (int)a->activation
                   : FUNCTION_ABSOLUTE + (int)a->function - (int)CDL_UNARY_ABSOLUTE;
  const int64_t groups = groups_for(q->device, p.tiling.tiles);
  return is_bf16(&a->x) ? LAUNCH(q, unary_bf16, groups, &p, a->out.buffer, a->x.buffer)
                        : LAUNCH(q, unary, groups, &p, a->out.buffer, a->x.buffer);
}

cdl_status kernel_op_unary_grad(void *queue, const cdl_unary_grad_args *a)
{
  kernel_queue *q = queue;
  view views[3];
  unary_grad_parameters p = {.function = (int)a->activation};
  p.tiling = tiling_for(q->device, (cdl_tensor[]){a->d_x, a->d_out, a->x}, 3, views);
  p.d_x = views[0];
  p.d_out = views[1];
  p.x = views[2];
  const int64_t groups = groups_for(q->device, p.tiling.tiles);
  return is_bf16(&a->x)
             ? LAUNCH(q, unary_grad_bf16, groups, &p, a->d_x.buffer, a->d_out.buffer, a->x.buffer)
             : LAUNCH(q, unary_grad, groups, &p, a->d_x.buffer, a->d_out.buffer, a->x.buffer);
}

cdl_status kernel_op_binary(void *queue, const cdl_binary_args *a)
{
  kernel_queue *q = queue;
  view views[3];
  binary_parameters p = {.function = (int)a->function};
  p.tiling = tiling_over(q->device, (cdl_tensor[]){a->out, a->x, a->y}, 3, true, views);
  p.out = views[0];
  p.x = views[1];
  p.y = views[2];
  return LAUNCH(q, binary, groups_for(q->device, p.tiling.tiles), &p, a->out.buffer, a->x.buffer,
                a->y.buffer);
}

cdl_status kernel_op_axpby(void *queue, const cdl_axpby_args *a)
{
  kernel_queue *q = queue;
  view views[2];
  axpby_parameters p = {.alpha = a->alpha, .beta = a->beta};
  p.tiling = tiling_for(q->device, (cdl_tensor[]){a->out, a->x}, 2, views);
  p.out = views[0];
  p.x = views[1];
  const int64_t groups = groups_for(q->device, p.tiling.tiles);
  return is_bf16(&a->x) ? LAUNCH(q, axpby_bf16, groups, &p, a->out.buffer, a->x.buffer)
                        : LAUNCH(q, axpby, groups, &p, a->out.buffer, a->x.buffer);
}
