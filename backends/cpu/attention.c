/* Attention, with a tile for each sequence and head. Scores of a block of query rows are computed,
 * used and dropped while they are in cache; the gradient computes them again from log_sum. */
#include "backends/cpu/activation.h"
#include "backends/cpu/dropout.h"
#include "backends/cpu/product.h"

#include <math.h>
#include <string.h>

/* A block of query rows has about so many multiply-adds, so that its scores stay in cache. */
enum { BLOCK_WORK = 1000000, LEAST_ROWS = 16, MOST_ROWS = 128, LANES = 16 };

/* Shared by both directions. Rows of scores are padded to whole vectors. */
typedef struct {
  cpu_device *device;
  cpu_rows bias; /* a row of 2 · radius + 1 for each head; data NULL without one */
  int64_t radius;
  const int32_t *offsets, *examples;
  cdl_tensor qkv;
  int64_t heads, width; /* d, of one head */
  int64_t longest;
  float scale;
  bool drops;
  cpu_mask mask;
} attention_shape;

typedef struct {
  int64_t first, length, padded, block; /* `block`: query rows at a time */
  cpu_rows q, k, v;
  cpu_mask mask;
  int64_t head;
} attention_tile;

static int64_t padded_length(int64_t length)
{
  return cpu_divide_up(length, LANES) * LANES;
}

static int64_t block_rows(int64_t padded, int64_t width)
{
  return cpu_min(MOST_ROWS, cpu_max(LEAST_ROWS, BLOCK_WORK / (padded * width) / 8 * 8));
}

static attention_shape shape_of(void *queue, const cdl_packing *packing, cdl_tensor qkv,
                                cdl_tensor bias, int64_t heads, float scale,
                                const cdl_dropout_mask *mask)
{
  attention_shape shape = {.device = cpu_device_of(queue),
                           .bias = cpu_rows_at(bias, 0, 0),
                           .radius = bias.size[3] / 2,
                           .offsets = cpu_ints(packing->offsets),
                           .qkv = qkv,
                           .heads = heads,
                           .width = qkv.size[3] / (3 * heads),
                           .scale = scale,
                           .drops = mask->probability != 0.0f,
                           .mask = cpu_mask_from(mask)};
  shape.examples = shape.drops ? cpu_ints(packing->examples) : NULL;
  for (int32_t i = 0; i < packing->sequences; i++)
    shape.longest = cpu_max(shape.longest, shape.offsets[i + 1] - shape.offsets[i]);
  return shape;
}

/* ---- Blocks of a sequence and head, which BF16 is widened into ---- */

/* Returns the bytes of the longest sequence's. */
static size_t head_bytes(const attention_shape *shape)
{
  return cpu_block_bytes(shape->qkv, shape->longest, shape->width);
}

/* Takes the memory of one block. */
static float *next_block(const attention_shape *shape, float **memory)
{
  return cpu_next_block(memory, shape->qkv, shape->longest, shape->width);
}

/* Returns the place of a tile's query (part 0), key or value; part 0 of an output too. */
static cpu_block block_of(const attention_shape *shape, const attention_tile *t, int part)
{
  return (cpu_block){t->first, (part * shape->heads + t->head) * shape->width, t->length,
                     shape->width};
}

static cpu_rows rows_from(cpu_rows x, int64_t row)
{
  return (cpu_rows){x.data + row * x.stride, x.stride};
}

/* Widens into three blocks of *memory, and moves it past them. */
static attention_tile tile_of(const attention_shape *shape, int64_t tile, float **memory)
{
  const int64_t sequence = tile / shape->heads, head = tile % shape->heads;
  attention_tile t = {.first = shape->offsets[sequence], .head = head, .mask = shape->mask};
  t.length = shape->offsets[sequence + 1] - t.first;
  t.padded = padded_length(t.length);
  t.block = t.length > 0 ? block_rows(t.padded, shape->width) : 0;
  cpu_rows *parts[] = {&t.q, &t.k, &t.v};
  for (int part = 0; part < 3; part++)
    *parts[part] = cpu_widen(shape->device->kernels, shape->qkv, block_of(shape, &t, part),
                             next_block(shape, memory));
  if (shape->drops)
    t.mask.example = (uint32_t)shape->examples[sequence];
  return t;
}

/* Returns the size of a block's scores. Shorter sequences take more rows at a time, and at most so
 * many scores. */
static size_t scores_bytes(const attention_shape *shape)
{
  const int64_t padded = padded_length(shape->longest),
                small = BLOCK_WORK / cpu_max(1, shape->width);
  return cpu_float_bytes(cpu_min(MOST_ROWS * padded, cpu_max(LEAST_ROWS * padded, small)));
}

/* Computes factor · x yᵀ for a block of `rows` rows of x and all of y, of one head each: scores, or
 * d_out Vᵀ. */
static void multiply_rows(const attention_shape *shape, const attention_tile *t, void *memory,
                          int64_t rows, float factor, cpu_rows x, cpu_rows y, float *products)
{
  cpu_sgemm(shape->device->kernels, memory, false, true, rows, t->length, shape->width, factor,
            x.data, x.stride, y.data, y.stride, 0.0f, products, t->padded);
}

static void drop(const attention_shape *shape, const attention_tile *t, int64_t row, float *out,
                 const float *x)
{
  const uint64_t first = (uint64_t)((t->head * t->length + row) * t->length);
  shape->device->kernels->dropout(&t->mask, out, x, first, t->length);
}

/* Sets a row's padding, so that the whole row can be computed at once. */
static void pad_row(const attention_tile *t, float *row, float value)
{
  for (int64_t j = t->length; j < t->padded; j++)
    row[j] = value;
}

/* ---- The bias ---- */

/* Returns the size of a line: a value for each distance in a sequence. */
static size_t line_bytes(const attention_shape *shape)
{
  return shape->bias.data != NULL ? cpu_float_bytes(2 * shape->longest) : 0;
}

/* Writes a head's bias for the distances 1 − length to length − 1. */
static void spread_bias(const attention_shape *shape, const attention_tile *t, float *line)
{
  if (shape->bias.data == NULL || t->length == 0)
    return;
  const float *bias = shape->bias.data + t->head * shape->bias.stride;
  const int64_t reach = cpu_min(shape->radius, t->length - 1), outer = t->length - 1 - reach;
  for (int64_t k = 0; k < outer; k++) {
    line[k] = bias[0];
    line[outer + 2 * reach + 1 + k] = bias[2 * shape->radius];
  }
  memcpy(line + outer, bias + shape->radius - reach, (size_t)(2 * reach + 1) * sizeof *line);
}

/* Returns the distances of the keys from a query, in a line. */
static float *line_at(const attention_tile *t, float *line, int64_t row)
{
  return line + t->length - 1 - row;
}

static void add_bias(const attention_shape *shape, const attention_tile *t, int64_t row,
                     float *scores, float *line)
{
  if (shape->bias.data != NULL)
    shape->device->kernels->axpby(scores, line_at(t, line, row), 1.0f, 1.0f, t->length);
}

/* Rows that belong to no sequence are zero. */
static void clear_rest(const attention_shape *shape, const cdl_packing *packing, cdl_tensor out)
{
  const size_t element = cdl_dtype_bytes(out.dtype);
  for (int64_t row = shape->offsets[packing->sequences]; row < out.size[2]; row++)
    memset(cpu_bytes(out) + (size_t)(row * cpu_row_stride(out)) * element, 0,
           (size_t)out.size[3] * element);
}

/* ---- attention ---- */

typedef struct {
  attention_shape shape;
  cdl_tensor out;
  cpu_rows log_sum;
} attention_job;

static void attention_forward_tile(const void *context, int64_t tile, void *scratch)
{
  const attention_job *job = context;
  const attention_shape *shape = &job->shape;
  const cpu_kernels *kernels = shape->device->kernels;
  float *memory = (float *)(void *)((char *)scratch + CPU_PRODUCT_BYTES);
  const attention_tile t = tile_of(shape, tile, &memory);
  const cpu_block place = block_of(shape, &t, 0);
  const cpu_rows out = cpu_place(job->out, place, next_block(shape, &memory));
  float *line = memory, *scores = line + line_bytes(shape) / sizeof *line;
  spread_bias(shape, &t, line);
  for (int64_t row = 0; row < t.length; row += t.block) {
    const int64_t rows = cpu_min(t.block, t.length - row);
    multiply_rows(shape, &t, scratch, rows, shape->scale, rows_from(t.q, row), t.k, scores);
    for (int64_t i = 0; i < rows; i++) {
      float *p = scores + i * t.padded;
      add_bias(shape, &t, row + i, p, line);
      pad_row(&t, p, -INFINITY);
      const float log_sum = kernels->softmax(p, p, 1.0f, t.padded);
      if (job->log_sum.data != NULL)
        job->log_sum.data[t.head * job->log_sum.stride + t.first + row + i] = log_sum;
      if (shape->drops)
        drop(shape, &t, row + i, p, p);
    }
    cpu_sgemm(kernels, scratch, false, false, rows, shape->width, t.length, 1.0f, scores, t.padded,
              t.v.data, t.v.stride, 0.0f, rows_from(out, row).data, out.stride);
  }
  cpu_store(kernels, job->out, place, out);
}

cdl_status cpu_attention(void *queue, const cdl_attention_args *a)
{
  const attention_job job = {
      shape_of(queue, a->packing, a->qkv, a->bias, a->heads, a->scale, &a->mask), a->out,
      cpu_rows_at(a->log_sum, 0, 0)};
  const attention_shape *shape = &job.shape;
  clear_rest(shape, a->packing, a->out);
  const size_t scratch =
      CPU_PRODUCT_BYTES + 4 * head_bytes(shape) + line_bytes(shape) + scores_bytes(shape);
  return cpu_pool_run(shape->device->pool, a->packing->sequences * shape->heads, scratch,
                      attention_forward_tile, &job);
}

/* ---- attention_grad ---- */

/* `sums`: by tile, what it adds to the bias's gradient: a row of 2 · reach + 1 distances, `reach`
 * the radius or what the longest sequence has of it. NULL: not wanted. */
typedef struct {
  attention_shape shape;
  cdl_tensor d_qkv, d_out;
  cpu_rows log_sum, d_bias;
  float *sums;
  int64_t reach, sequences;
} attention_grad_job;

typedef struct {
  void *memory;
  float *line, *d_line; /* the bias and its gradient by distance */
  float *p, *d_p, *kept;
  cpu_rows d_q, d_k, d_v, d_out;
} grad_scratch;

/* The bias's gradient is without the scale. If it is wanted, the scale is left to the products. */
static float softmax_scale(const attention_grad_job *job)
{
  return job->sums != NULL ? 1.0f : job->shape.scale;
}

static float product_scale(const attention_grad_job *job)
{
  return job->sums != NULL ? job->shape.scale : 1.0f;
}

/* From the scores in s->p and d_out Vᵀ in s->d_p: computes P after dropout in s->p (or s->kept),
 * and d_scores in s->d_p. */
static void differentiate_rows(const attention_grad_job *job, const attention_tile *t, int64_t row,
                               int64_t rows, const grad_scratch *s)
{
  const attention_shape *shape = &job->shape;
  const cpu_kernels *kernels = shape->device->kernels;
  for (int64_t i = 0; i < rows; i++) {
    float *p = s->p + i * t->padded, *d_p = s->d_p + i * t->padded;
    add_bias(shape, t, row + i, p, s->line);
    pad_row(t, p, -INFINITY);
    pad_row(t, d_p, 0.0f);
    if (job->log_sum.data != NULL)
      kernels->softmax_again(p, 1.0f,
                             job->log_sum.data[t->head * job->log_sum.stride + t->first + row + i],
                             t->padded);
    else
      kernels->softmax(p, p, 1.0f, t->padded);
    if (shape->drops) {
      drop(shape, t, row + i, s->kept + i * t->padded, p);
      drop(shape, t, row + i, d_p, d_p);
    }
    kernels->softmax_grad(d_p, d_p, p, softmax_scale(job), t->padded);
    if (job->sums != NULL)
      kernels->axpby(line_at(t, s->d_line, row + i), d_p, 1.0f, 1.0f, t->length);
  }
}

/* d_v (+)= Pᵀ d_out, d_k (+)= d_scoresᵀ Q, d_q = d_scores K for query rows [row, row + rows). */
static void multiply_back(const attention_grad_job *job, const attention_tile *t, int64_t row,
                          int64_t rows, const grad_scratch *s)
{
  const attention_shape *shape = &job->shape;
  const cpu_kernels *kernels = shape->device->kernels;
  const int64_t width = shape->width;
  const float beta = row > 0 ? 1.0f : 0.0f;
  const float *p = shape->drops ? s->kept : s->p;
  const cpu_rows q = rows_from(t->q, row), d_out = rows_from(s->d_out, row);
  cpu_sgemm(kernels, s->memory, true, false, t->length, width, rows, 1.0f, p, t->padded, d_out.data,
            d_out.stride, beta, s->d_v.data, s->d_v.stride);
  const float scale = product_scale(job);
  cpu_sgemm(kernels, s->memory, true, false, t->length, width, rows, scale, s->d_p, t->padded,
            q.data, q.stride, beta, s->d_k.data, s->d_k.stride);
  cpu_sgemm(kernels, s->memory, false, false, rows, width, t->length, scale, s->d_p, t->padded,
            t->k.data, t->k.stride, 0.0f, rows_from(s->d_q, row).data, s->d_q.stride);
}

/* Writes a tile's row of sums: those of the line, with what lies beyond the radius at the ends. */
static void keep_sums(const attention_grad_job *job, const attention_tile *t, const float *d_line,
                      float *sums)
{
  const cpu_kernels *kernels = job->shape.device->kernels;
  const int64_t reach = cpu_min(job->reach, t->length - 1), outer = t->length - 1 - reach;
  memset(sums, 0, (size_t)(2 * job->reach + 1) * sizeof *sums);
  if (t->length == 0)
    return;
  float *inner = sums + job->reach - reach;
  memcpy(inner, d_line + outer, (size_t)(2 * reach + 1) * sizeof *sums);
  inner[0] += kernels->sum(d_line, outer);
  inner[2 * reach] += kernels->sum(d_line + outer + 2 * reach + 1, outer);
}

/* d_bias of a head += the sums of all sequences, in their order. */
static void add_sums(const void *context, int64_t head, void *scratch)
{
  (void)scratch;
  const attention_grad_job *job = context;
  const attention_shape *shape = &job->shape;
  const int64_t wide = 2 * job->reach + 1;
  float *d_bias = job->d_bias.data + head * job->d_bias.stride + shape->radius - job->reach;
  for (int64_t i = 0; i < job->sequences; i++)
    shape->device->kernels->axpby(d_bias, job->sums + (i * shape->heads + head) * wide, 1.0f, 1.0f,
                                  wide);
}

static void attention_grad_tile(const void *context, int64_t tile, void *scratch)
{
  const attention_grad_job *job = context;
  const attention_shape *shape = &job->shape;
  const cpu_kernels *kernels = shape->device->kernels;
  float *memory = (float *)(void *)((char *)scratch + CPU_PRODUCT_BYTES);
  const attention_tile t = tile_of(shape, tile, &memory);
  const int64_t block_floats = t.block * t.padded;
  grad_scratch s = {.memory = scratch};
  s.d_out = cpu_widen(kernels, job->d_out, block_of(shape, &t, 0), next_block(shape, &memory));
  cpu_rows *parts[] = {&s.d_q, &s.d_k, &s.d_v};
  for (int part = 0; part < 3; part++)
    *parts[part] = cpu_place(job->d_qkv, block_of(shape, &t, part), next_block(shape, &memory));
  s.line = memory;
  s.d_line = s.line + line_bytes(shape) / sizeof *s.line;
  s.p = s.d_line + line_bytes(shape) / sizeof *s.line;
  s.d_p = s.p + block_floats;
  s.kept = s.d_p + block_floats;
  spread_bias(shape, &t, s.line);
  if (job->sums != NULL)
    memset(s.d_line, 0, line_bytes(shape));
  for (int64_t row = 0; row < t.length; row += t.block) {
    const int64_t rows = cpu_min(t.block, t.length - row);
    multiply_rows(shape, &t, scratch, rows, shape->scale, rows_from(t.q, row), t.k, s.p);
    multiply_rows(shape, &t, scratch, rows, 1.0f, rows_from(s.d_out, row), t.v, s.d_p);
    differentiate_rows(job, &t, row, rows, &s);
    multiply_back(job, &t, row, rows, &s);
  }
  for (int part = 0; part < 3; part++)
    cpu_store(kernels, job->d_qkv, block_of(shape, &t, part), *parts[part]);
  if (job->sums != NULL)
    keep_sums(job, &t, s.d_line, job->sums + tile * (2 * job->reach + 1));
}

cdl_status cpu_attention_grad(void *queue, const cdl_attention_grad_args *a)
{
  attention_grad_job job = {
      .shape = shape_of(queue, a->packing, a->qkv, a->bias, a->heads, a->scale, &a->mask),
      .d_qkv = a->d_qkv,
      .d_out = a->d_out,
      .log_sum = cpu_rows_at(a->log_sum, 0, 0),
      .d_bias = cpu_rows_at(a->d_bias, 0, 0),
      .sequences = a->packing->sequences};
  const attention_shape *shape = &job.shape;
  const bool summed = job.d_bias.data != NULL && shape->longest > 0;
  clear_rest(shape, a->packing, a->d_qkv);
  const size_t scratch = CPU_PRODUCT_BYTES + 7 * head_bytes(shape) + 2 * line_bytes(shape) +
                         (shape->drops ? 3 : 2) * scores_bytes(shape);
  const int64_t tiles = job.sequences * shape->heads;
  job.reach = cpu_max(0, cpu_min(shape->radius, shape->longest - 1));
  void *shared;
  CDL_TRY(cpu_pool_enter(shape->device->pool, scratch,
                         summed ? cpu_float_bytes(tiles * (2 * job.reach + 1)) : 0, &shared));
  job.sums = summed ? shared : NULL;
  cpu_pool_for(shape->device->pool, tiles, attention_grad_tile, &job);
  if (summed)
    cpu_pool_for(shape->device->pool, shape->heads, add_sums, &job);
  cpu_pool_leave(shape->device->pool);
  return CDL_STATUS_OK;
}
