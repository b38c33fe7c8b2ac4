/* attention and attention_grad: see source/attention.cl. */
#include "backends/kernels/attention.h"

#include <limits.h>

#include "backends/kernels/dropout.h"
#include "backends/kernels/tiling.h"

/* Groups take tiles in turn, so this may differ from a kernel's number of tiles. */
enum { TILE_ROWS = 32, ALONE_TILE_ROWS = 64 };

typedef struct {
  kernel_id forward, grad_queries, grad_keys;
} head_kernels;

static head_kernels kernels_for(int64_t depth)
{
  return depth <= 32   ? (head_kernels){KERNEL_attention_32, KERNEL_attention_grad_queries_32,
                                        KERNEL_attention_grad_keys_32}
         : depth <= 64 ? (head_kernels){KERNEL_attention_64, KERNEL_attention_grad_queries_64,
                                        KERNEL_attention_grad_keys_64}
                       : (head_kernels){KERNEL_attention_128, KERNEL_attention_grad_queries_128,
                                        KERNEL_attention_grad_keys_128};
}

bool attention_fits(const cdl_tensor *out, int32_t heads)
{
  enum { MOST_DEPTH = 128 };
  return out->size[3] / heads <= MOST_DEPTH && 3 * out->size[3] <= INT_MAX;
}

static attention_parameters parameters_of(const cdl_packing *packing, const cdl_tensor *qkv,
                                          const cdl_tensor *log_sum, int32_t heads, float scale,
                                          const cdl_dropout_mask *mask)
{
  const bool drops = mask->probability != 0.0f;
  return (attention_parameters){.mask = mask_parameters_of(mask),
                                .qkv = qkv->offset,
                                .qkv_stride = qkv->stride[2],
                                .log_sum = offset_of(log_sum),
                                .log_sum_stride = log_sum->stride[2],
                                .offsets = packing->offsets.offset,
                                .examples = drops ? packing->examples.offset : 0,
                                .tokens = qkv->size[2],
                                .sequences = packing->sequences,
                                .longest = packing->longest,
                                .heads = heads,
                                .depth = (int)(qkv->size[3] / (3 * heads)),
                                .drops = drops,
                                .scale = scale};
}

/* One per tile, up to the largest grid. */
static int64_t group_count(const kernel_device *device, const attention_parameters *p)
{
  const int64_t rows = device->group_size == 1 ? ALONE_TILE_ROWS : TILE_ROWS;
  const int64_t tiles = at_least(divide_up(p->longest, rows), 1);
  return at_most(tiles * p->heads * (p->sequences + 1), INT_MAX / device->group_size);
}

cdl_status kernel_op_attention(void *queue, const cdl_attention_args *a)
{
  kernel_queue *q = queue;
  if (cdl_tensor_elements(a->out) == 0)
    return CDL_STATUS_OK;
  attention_parameters p =
      parameters_of(a->packing, &a->qkv, &a->log_sum, a->heads, a->scale, &a->mask);
  p.out = a->out.offset;
  p.out_stride = a->out.stride[2];
  const kernel_launch launch = {.kernel = kernels_for(p.depth).forward,
                                .groups = {group_count(q->device, &p), 1, 1},
                                .buffers = {a->out.buffer, a->qkv.buffer, a->log_sum.buffer,
                                            a->packing->offsets.buffer,
                                            p.drops ? a->packing->examples.buffer : NULL,
                                            p.drops ? a->mask.step.buffer : NULL},
                                .parameters = &p};
  return q->device->driver->launch(q, &launch);
}

cdl_status kernel_op_attention_grad(void *queue, const cdl_attention_grad_args *a)
{
  kernel_queue *q = queue;
  if (cdl_tensor_elements(a->d_out) == 0)
    return CDL_STATUS_OK;
  attention_parameters p =
      parameters_of(a->packing, &a->qkv, &a->log_sum, a->heads, a->scale, &a->mask);
  p.out = a->d_qkv.offset;
  p.out_stride = a->d_qkv.stride[2];
  p.d_out = a->d_out.offset;
  p.d_out_stride = a->d_out.stride[2];
  const cdl_buffer *row_state;
  CDL_TRY(
      kernel_scratch(q, SCRATCH_OP, (size_t)(2 * p.heads * p.tokens) * sizeof(float), &row_state));
  const head_kernels kernels = kernels_for(p.depth);
  kernel_launch launch = {.kernel = kernels.grad_queries,
                          .groups = {group_count(q->device, &p), 1, 1},
                          .buffers = {a->d_qkv.buffer, a->d_out.buffer, a->qkv.buffer,
                                      a->log_sum.buffer, row_state, a->packing->offsets.buffer,
                                      p.drops ? a->packing->examples.buffer : NULL,
                                      p.drops ? a->mask.step.buffer : NULL},
                          .parameters = &p};
  CDL_TRY(q->device->driver->launch(q, &launch));
  launch.kernel = kernels.grad_keys;
  return q->device->driver->launch(q, &launch);
}
