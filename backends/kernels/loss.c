#include <string.h>

#include "backends/kernels/dropout.h"
#include "backends/kernels/tiling.h"

/* loss += loss_scale · Σ of the `count` numbers in `parts`. */
static cdl_status add_loss(kernel_queue *queue, const cdl_tensor *loss, const cdl_buffer *parts,
                           int64_t count, const cdl_tensor *step)
{
  const add_loss_parameters p = {
      .count = count, .loss = loss->offset, .step = step_offset_of(step)};
  return LAUNCH(queue, add_loss, 1, &p, loss->buffer, parts, step->buffer);
}

cdl_status kernel_op_cross_entropy(void *queue, const cdl_cross_entropy_args *a)
{
  kernel_queue *q = queue;
  const int64_t rows = a->logits.size[2];
  if (rows == 0)
    return CDL_STATUS_OK;
  const cdl_buffer *losses = NULL;
  if (cdl_tensor_present(a->loss))
    CDL_TRY(kernel_scratch(q, SCRATCH_OP, (size_t)rows * sizeof(float), &losses));
  const cross_entropy_parameters p = {.tiling = tiling_of_rows(q->device, a->logits.size),
                                      .d_logits = offset_of(&a->d_logits),
                                      .d_logits_stride = a->d_logits.stride[2],
                                      .logits = a->logits.offset,
                                      .logits_stride = a->logits.stride[2],
                                      .labels = a->labels.offset,
                                      .class_weight = offset_of(&a->class_weight),
                                      .step = step_offset_of(&a->step),
                                      .label_smoothing = a->label_smoothing};
  CDL_TRY(LAUNCH(q, cross_entropy, groups_for(q->device, p.tiling.tiles), &p, losses,
                 a->d_logits.buffer, a->logits.buffer, a->labels.buffer, a->class_weight.buffer,
                 a->step.buffer));
  return losses != NULL ? add_loss(q, &a->loss, losses, rows, &a->step) : CDL_STATUS_OK;
}

cdl_status kernel_op_binary_cross_entropy(void *queue, const cdl_binary_cross_entropy_args *a)
{
  kernel_queue *q = queue;
  const binary_cross_entropy_parameters p = {.count = cdl_tensor_elements(a->logits),
                                             .labels = a->logits.size[3],
                                             .d_logits = offset_of(&a->d_logits),
                                             .d_logits_stride = a->d_logits.stride[2],
                                             .logits = a->logits.offset,
                                             .logits_stride = a->logits.stride[2],
                                             .targets = a->targets.offset,
                                             .targets_stride = a->targets.stride[2],
                                             .pos_weight = offset_of(&a->pos_weight),
                                             .step = step_offset_of(&a->step)};
  if (p.count == 0)
    return CDL_STATUS_OK;
  const int64_t groups = groups_for(q->device, divide_up(p.count, q->device->group_size));
  const cdl_buffer *parts = NULL;
  if (cdl_tensor_present(a->loss))
    CDL_TRY(kernel_scratch(q, SCRATCH_OP, (size_t)groups * sizeof(float), &parts));
  CDL_TRY(LAUNCH(q, binary_cross_entropy, groups, &p, parts, a->d_logits.buffer, a->logits.buffer,
                 a->targets.buffer, a->pos_weight.buffer, a->step.buffer));
  return parts != NULL ? add_loss(q, &a->loss, parts, groups, &a->step) : CDL_STATUS_OK;
}

cdl_status kernel_op_squared_error(void *queue, const cdl_squared_error_args *a)
{
  kernel_queue *q = queue;
  squared_error_parameters p = {.d_out = view_of(&a->d_out),
                                .out = view_of(&a->out),
                                .target = view_of(&a->target),
                                .count = cdl_tensor_elements(a->out),
                                .step = step_offset_of(&a->step)};
  if (p.count == 0)
    return CDL_STATUS_OK;
  memcpy(p.d_out_size, a->d_out.size, sizeof p.d_out_size);
  memcpy(p.out_size, a->out.size, sizeof p.out_size);
  memcpy(p.target_size, a->target.size, sizeof p.target_size);
  const int64_t groups = groups_for(q->device, divide_up(p.count, q->device->group_size));
  const cdl_buffer *parts = NULL;
  if (cdl_tensor_present(a->loss))
    CDL_TRY(kernel_scratch(q, SCRATCH_OP, (size_t)groups * sizeof(float), &parts));
  CDL_TRY(LAUNCH(q, squared_error, groups, &p, parts, a->d_out.buffer, a->out.buffer,
                 a->target.buffer, a->step.buffer));
  return parts != NULL ? add_loss(q, &a->loss, parts, groups, &a->step) : CDL_STATUS_OK;
}
