/* attention and attention_grad: see source/attention.cl, and for BF16 source/tensor/. */
#include "backends/kernels/attention.h"

#include <limits.h>

#include "backends/kernels/dropout.h"
#include "backends/kernels/tiling.h"

/* Groups take tiles in turn, so this may differ from a kernel's number of tiles. */
enum { TILE_ROWS = 32, ALONE_TILE_ROWS = 64 };
/* The fewest and the most queries of a tile of grad_queries: see source/attention_grad.cl. */
enum { LEAST_QUERIES = 16, MOST_QUERIES = 64 };

typedef struct {
  kernel_id forward, grad_queries, grad_keys, grad_bias;
} head_kernels;

static head_kernels kernels_for(int64_t depth)
{
#define HEAD_KERNELS(width)                                                    \
  {                                                                            \
    KERNEL_attention_##width, KERNEL_attention_grad_queries_##width,           \
        KERNEL_attention_grad_keys_##width, KERNEL_attention_grad_bias_##width \
  }
  static const head_kernels of_32 = HEAD_KERNELS(32), of_64 = HEAD_KERNELS(64),
                            of_128 = HEAD_KERNELS(128);
#undef HEAD_KERNELS
  return depth <= 32 ? of_32 : depth <= 64 ? of_64 : of_128;
}

/* Of BF16: by head size, in steps of 32. */
static kernel_id tensor_kernel(kernel_id narrowest, int64_t depth)
{
  return (kernel_id)((int)narrowest + (int)((depth - 1) / 32));
}

bool attention_fits(const cdl_tensor *out, int32_t heads)
{
  enum { MOST_DEPTH = 128 };
  return out->size[3] / heads <= MOST_DEPTH && 3 * out->size[3] <= INT_MAX;
}

static attention_parameters parameters_of(const cdl_packing *packing, const cdl_tensor *qkv,
                                          const cdl_tensor *log_sum, const cdl_tensor *bias,
                                          int32_t heads, float scale, const cdl_dropout_mask *mask)
{
  const bool drops = mask->probability != 0.0f;
  return (attention_parameters){.mask = mask_parameters_of(mask),
                                .qkv = qkv->offset,
                                .qkv_stride = qkv->stride[2],
                                .log_sum = offset_of(log_sum),
                                .log_sum_stride = log_sum->stride[2],
                                .bias = offset_of(bias),
                                .bias_stride = bias->stride[2],
                                .radius = (int)(bias->size[3] / 2),
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

/* Of BF16: rows of a job, and slots in which rows past the last sequence are cleared. */
enum { TENSOR_ROWS = 64, REST_SLOTS = 4 };

/* Lays out the jobs of BF16 kernels, `rows` rows of a head each: see source/tensor/tiles.h. */
static cdl_status tensor_groups(kernel_queue *q, attention_parameters *p, int64_t rows,
                                int64_t *groups)
{
  const int64_t each = at_least(divide_up(p->longest, rows), 1), all = p->sequences * each;
  const int64_t by_offset = p->tokens / rows + p->sequences;
  p->slots = all <= by_offset ? (int)each : 0;
  *groups = (at_most(all, by_offset) + REST_SLOTS) * p->heads;
  if (*groups > INT_MAX)
    return q->device->driver->host()->fail(CDL_STATUS_UNSUPPORTED,
                                           "attention of BF16 takes %d tiles, not %lld", INT_MAX,
                                           (long long)*groups);
  return CDL_STATUS_OK;
}

/* One per tile, up to the largest grid. */
static int64_t group_count(const kernel_device *device, const attention_parameters *p)
{
  const int64_t rows = device->group_size == 1 ? ALONE_TILE_ROWS : TILE_ROWS;
  const int64_t tiles = at_least(divide_up(p->longest, rows), 1);
  return at_most(tiles * p->heads * (p->sequences + 1), INT_MAX / device->group_size);
}

/* Of the sums by distance that grad_queries leaves, whatever its tiles are. */
static int64_t part_elements(const kernel_device *device, const attention_parameters *p,
                             const cdl_attention_grad_args *a)
{
  if (!cdl_tensor_present(a->d_bias))
    return 0;
  const int64_t rows = device->group_size == 1 ? MOST_QUERIES : LEAST_QUERIES;
  const int64_t tiles = at_least(divide_up(p->longest, rows), 1);
  return tiles * p->heads * (p->sequences + 1) * (p->longest + MOST_QUERIES);
}

cdl_status kernel_op_attention(void *queue, const cdl_attention_args *a)
{
  kernel_queue *q = queue;
  if (cdl_tensor_elements(a->out) == 0)
    return CDL_STATUS_OK;
  attention_parameters p =
      parameters_of(a->packing, &a->qkv, &a->log_sum, &a->bias, a->heads, a->scale, &a->mask);
  p.out = a->out.offset;
  p.out_stride = a->out.stride[2];
  const bool narrow = a->qkv.dtype == CDL_DTYPE_BF16;
  int64_t groups = group_count(q->device, &p);
  if (narrow) {
    p.wide = is_in_eights(&a->qkv, p.depth) && is_in_eights(&a->out, p.depth);
    CDL_TRY(tensor_groups(q, &p, TENSOR_ROWS, &groups));
  }
  const kernel_launch launch = {.kernel = narrow ? tensor_kernel(KERNEL_attention_bf16_32, p.depth)
                                                 : kernels_for(p.depth).forward,
                                .groups = {groups, 1, 1},
                                .buffers = {a->out.buffer, a->qkv.buffer, a->log_sum.buffer,
                                            a->packing->offsets.buffer,
                                            p.drops ? a->packing->examples.buffer : NULL,
                                            p.drops ? a->mask.step.buffer : NULL, a->bias.buffer},
                                .parameters = &p};
  return q->device->driver->launch(q, &launch);
}

static cdl_status add_bias_parts(kernel_queue *q, kernel_id kernel, const attention_parameters *p,
                                 const cdl_tensor *d_bias, const cdl_buffer *scratch,
                                 const cdl_packing *packing)
{
  const int64_t places = p->heads * (2 * (int64_t)p->radius + 1);
  const kernel_launch launch = {.kernel = kernel,
                                .groups = {at_most(places, INT_MAX / q->device->group_size), 1, 1},
                                .buffers = {d_bias->buffer, scratch, packing->offsets.buffer},
                                .parameters = p};
  return q->device->driver->launch(q, &launch);
}

/* Tiles of keys that a group of the gradient takes: all of a sequence's, unless there are too few
 * sequences to keep a large device busy. The sequences are taken to be equally long, or one as long
 * as all the rest. */
static int chunk_of(const attention_parameters *p, int64_t keys)
{
  enum { BUSY_GROUPS = 128, MOST_CHUNKS = 8 };
  const int64_t tiles = at_least(divide_up(p->longest, keys), 1);
  const double tokens = (double)p->tokens, longest = (double)at_least(p->longest, 1);
  const double equal = p->sequences > 0 ? tokens * tokens / p->sequences : 0;
  const double pairs = equal > longest * longest ? equal : longest * longest;
  const double most = pairs * p->heads / (longest * BUSY_GROUPS * (double)keys);
  const int64_t least = divide_up(tiles, MOST_CHUNKS);
  const int64_t chunk =
      at_most(at_least(most < (double)tiles ? (int64_t)most : tiles, least), tiles);
  return (int)divide_up(tiles, divide_up(tiles, chunk));
}

/* Sums of several tiles of keys, or of several groups, are in scratch memory: D, dQ of sequences
 * with more than one tile, and the parts of d_bias. */
static cdl_status tensor_scratch(kernel_queue *q, attention_parameters *p, int64_t keys,
                                 int64_t parts, const cdl_buffer **scratch)
{
  enum { WIDTHS = 32 };
  const int64_t width = divide_up(p->depth, WIDTHS) * WIDTHS;
  const int64_t chunks = at_least(divide_up(p->longest, keys * p->chunk), 1);
  const int64_t rows = p->longest > keys ? chunks * p->heads * p->tokens : 0;
  p->sums = divide_up(rows, WIDTHS) * WIDTHS;
  p->parts = p->sums + rows * width;
  const int64_t elements = at_least(p->parts + parts, 1);
  return kernel_scratch(q, SCRATCH_OP, (size_t)elements * sizeof(float), scratch);
}

static cdl_status tensor_gradient(kernel_queue *q, const cdl_attention_grad_args *a,
                                  attention_parameters *p)
{
  enum { NARROW_KEYS = 128, WIDE_KEYS = 64, NARROW_WIDTH = 64 }; /* GRAD_KEYS */
  const int64_t keys = p->depth <= NARROW_WIDTH ? NARROW_KEYS : WIDE_KEYS;
  const bool summed = cdl_tensor_present(a->d_bias);
  int64_t groups;
  p->result = a->out.offset;
  p->result_stride = a->out.stride[2];
  p->wide = is_in_eights(&a->qkv, p->depth) && is_in_eights(&a->out, p->depth) &&
            is_in_eights(&a->d_out, p->depth) && is_in_eights(&a->d_qkv, p->depth);
  p->chunk = chunk_of(p, keys);
  CDL_TRY(tensor_groups(q, p, keys * p->chunk, &groups));
  const cdl_buffer *scratch;
  CDL_TRY(
      tensor_scratch(q, p, keys, summed ? groups * (p->longest + keys * p->chunk) : 0, &scratch));
  const kernel_launch launch = {
      .kernel = tensor_kernel(KERNEL_attention_grad_bf16_32, p->depth),
      .groups = {groups, 1, 1},
      .buffers = {a->d_qkv.buffer, a->d_out.buffer, a->qkv.buffer, a->out.buffer, a->log_sum.buffer,
                  scratch, a->packing->offsets.buffer,
                  p->drops ? a->packing->examples.buffer : NULL,
                  p->drops ? a->mask.step.buffer : NULL, a->bias.buffer, summed ? scratch : NULL},
      .parameters = p};
  CDL_TRY(q->device->driver->launch(q, &launch));
  if (p->longest > keys * p->chunk)
    CDL_TRY(LAUNCH(q, attention_grad_sum_bf16, groups, p, a->d_qkv.buffer, scratch,
                   a->packing->offsets.buffer));
  if (!summed)
    return CDL_STATUS_OK;
  return add_bias_parts(q, KERNEL_attention_grad_bias_bf16, p, &a->d_bias, scratch, a->packing);
}

cdl_status kernel_op_attention_grad(void *queue, const cdl_attention_grad_args *a)
{
  kernel_queue *q = queue;
  if (cdl_tensor_elements(a->d_out) == 0)
    return CDL_STATUS_OK;
  attention_parameters p =
      parameters_of(a->packing, &a->qkv, &a->log_sum, &a->bias, a->heads, a->scale, &a->mask);
  p.out = a->d_qkv.offset;
  p.out_stride = a->d_qkv.stride[2];
  p.d_out = a->d_out.offset;
  p.d_out_stride = a->d_out.stride[2];
  p.d_bias = offset_of(&a->d_bias);
  p.d_bias_stride = a->d_bias.stride[2];
  if (a->qkv.dtype == CDL_DTYPE_BF16)
    return tensor_gradient(q, a, &p);
  p.parts = 2 * p.heads * p.tokens;
  const cdl_buffer *scratch; /* the state of each row, and the parts of d_bias */
  CDL_TRY(kernel_scratch(q, SCRATCH_OP,
                         (size_t)(p.parts + part_elements(q->device, &p, a)) * sizeof(float),
                         &scratch));
  const head_kernels kernels = kernels_for(p.depth);
  const bool summed = cdl_tensor_present(a->d_bias);
  kernel_launch launch = {
      .kernel = kernels.grad_queries,
      .groups = {group_count(q->device, &p), 1, 1},
      .buffers = {a->d_qkv.buffer, a->d_out.buffer, a->qkv.buffer, a->log_sum.buffer, scratch,
                  a->packing->offsets.buffer, p.drops ? a->packing->examples.buffer : NULL,
                  p.drops ? a->mask.step.buffer : NULL, a->bias.buffer, summed ? scratch : NULL},
      .parameters = &p};
  CDL_TRY(q->device->driver->launch(q, &launch));
  launch.kernel = kernels.grad_keys;
  launch.buffers[9] = NULL;
  CDL_TRY(q->device->driver->launch(q, &launch));
  if (!summed)
    return CDL_STATUS_OK;
  return add_bias_parts(q, kernels.grad_bias, &p, &a->d_bias, scratch, a->packing);
}
