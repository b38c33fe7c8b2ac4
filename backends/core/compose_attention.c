/* Attention from GEMMs over the heads of one sequence at a time. Each head is a matrix of a batch,
 * by strides. */
#include "backends/core/compose_attention.h"
#include "backends/core/queue.h"

/* Views columns [part · heads · d, …) of a sequence's rows as [heads, length, d]. */
static cdl_tensor heads_of(cdl_tensor x, int32_t part, int32_t heads, int64_t d, int64_t row,
                           int64_t length)
{
  const int64_t stride = x.stride[2];
  return (cdl_tensor){x.buffer,
                      x.offset + row * stride + part * heads * d,
                      {1, heads, length, d},
                      {0, d, stride, 1},
                      x.dtype};
}

/* The mask's elements are numbered through all heads: they are one row of a packing whose rows are
 * sequences. Such a dropout reads the sequence's example and no offsets. */
static cdl_status drop(cdl_queue *queue, cdl_tensor out, cdl_tensor x, const cdl_dropout_mask *mask,
                       const cdl_packing *packing, int32_t sequence)
{
  const int64_t elements = cdl_tensor_elements(x);
  const int32_t row[2] = {0, 1};
  cdl_packing one = {
      .offsets = packing->offsets,
      .examples = cdl_tensor_columns(packing->examples, sequence, 1),
      .host_offsets = row,
      .host_examples = packing->host_examples + sequence,
      .sequences = 1,
      .tokens = 1,
      .longest = 1,
  };
  one.offsets.size[3] = 2;
  return queue->backend->table->dropout(
      queue->handle,
      CDL_ARGS(dropout, .out = cdl_tensor_2d(out.buffer, CDL_DTYPE_F32, out.offset, 1, elements),
               .x = cdl_tensor_2d(x.buffer, CDL_DTYPE_F32, x.offset, 1, elements), .mask = *mask,
               .packing = &one, .per_sequence = true));
}

/* ---- Scratch ---- */

/* A call's scratch. It begins with tensors [heads, length, length] of one sequence after the other,
 * and one [heads, length]; the rest is there only with a bias. */
typedef struct {
  cdl_buffer *buffer;
  int64_t longest;
  cdl_tensor line, sums; /* [heads, 2 · longest − 1]: by distance, 0 in the middle */
  int64_t skewed;        /* the offset of a [heads, length, 2 · length − 1] */
} attention_scratch;

static cdl_status make_scratch(cdl_queue *queue, const cdl_packing *packing, int32_t heads,
                               size_t squares, bool biased, attention_scratch *scratch)
{
  size_t longest = 0, row, elements, bytes;
  for (int32_t i = 0; i < packing->sequences; i++) {
    const size_t length = (size_t)(packing->host_offsets[i + 1] - packing->host_offsets[i]);
    longest = length > longest ? length : longest;
  }
  const size_t rows = longest * (size_t)heads, line = 2 * rows;
  if (__builtin_mul_overflow(longest, squares + (biased ? 2 : 0), &row) ||
      __builtin_mul_overflow(rows, row + 1 + (biased ? 4 : 0), &elements) ||
      __builtin_mul_overflow(elements, sizeof(float), &bytes))
    return cdl_fail(CDL_STATUS_MEMORY, "%d heads of %zu tokens are too large", heads, longest);
  *scratch = (attention_scratch){.longest = (int64_t)longest};
  CDL_TRY(core_scratch(queue, bytes, &scratch->buffer));
  if (!biased || longest == 0)
    return CDL_STATUS_OK;
  const int64_t lines = (int64_t)(rows * (squares * longest + 1));
  scratch->line =
      cdl_tensor_2d(scratch->buffer, CDL_DTYPE_F32, lines, heads, 2 * scratch->longest - 1);
  scratch->sums = cdl_tensor_2d(scratch->buffer, CDL_DTYPE_F32, lines + (int64_t)line, heads,
                                2 * scratch->longest - 1);
  scratch->skewed = lines + 2 * (int64_t)line;
  return CDL_STATUS_OK;
}

/* ---- The bias ---- */

/* Columns [first, first + count) of x [heads, n] as [heads, 1, count]. */
static cdl_tensor distances(cdl_tensor x, int64_t first, int64_t count)
{
  return (cdl_tensor){x.buffer,
                      x.offset + first,
                      {1, x.size[2], 1, count},
                      {0, x.stride[2], count, 1},
                      CDL_DTYPE_F32};
}

/* Where the distances of a bias [heads, 2 r + 1] are in a line of 2 · length − 1: the middle
 * `inner` have their own, and the `outer` ones at each end have the bias's last. */
typedef struct {
  int64_t inner, outer, first; /* first: of the inner ones, in the bias */
} distance_parts;

static distance_parts parts_of(cdl_tensor bias, int64_t length)
{
  const int64_t line = 2 * length - 1, inner = bias.size[3] < line ? bias.size[3] : line;
  return (distance_parts){inner, (line - inner) / 2, (bias.size[3] - inner) / 2};
}

/* line = the bias of each distance in the longest sequence. */
static cdl_status spread_bias(cdl_queue *queue, const attention_scratch *s, cdl_tensor bias)
{
  const cdl_backend_table *table = queue->backend->table;
  if (!cdl_tensor_present(s->line))
    return CDL_STATUS_OK;
  const distance_parts p = parts_of(bias, s->longest);
  CDL_TRY(table->copy(queue->handle, CDL_ARGS(copy, .out = distances(s->line, p.outer, p.inner),
                                              .x = distances(bias, p.first, p.inner))));
  for (int end = 0; end < 2 && p.outer > 0; end++) {
    /* Distances are rows here, because only rows can repeat. */
    cdl_tensor out = distances(s->line, end == 0 ? 0 : p.outer + p.inner, 1);
    cdl_tensor x = distances(bias, end == 0 ? 0 : bias.size[3] - 1, 1);
    out.size[2] = x.size[2] = p.outer;
    x.stride[2] = 0;
    CDL_TRY(table->copy(queue->handle, CDL_ARGS(copy, .out = out, .x = x)));
  }
  return CDL_STATUS_OK;
}

/* [heads, length, 2 · length − 1]: row i has the distances of query i. */
static cdl_tensor by_distance(const attention_scratch *s, int64_t heads, int64_t length)
{
  return cdl_tensor_3d(s->buffer, CDL_DTYPE_F32, s->skewed, heads, length, 2 * length - 1);
}

/* The same memory by key, [heads, length, length]: key j of query i is at distance j − i, in column
 * length − 1 + j − i. */
static cdl_tensor by_key(const attention_scratch *s, int64_t heads, int64_t length)
{
  cdl_tensor view = by_distance(s, heads, length);
  view.offset += length - 1;
  view.size[3] = length;
  view.stride[2]--;
  return view;
}

static cdl_status add_bias(cdl_queue *queue, const attention_scratch *s, cdl_tensor scores)
{
  const cdl_backend_table *table = queue->backend->table;
  const int64_t heads = scores.size[1], length = scores.size[2];
  cdl_tensor line = distances(s->line, s->longest - length, 2 * length - 1);
  line.size[2] = length;
  line.stride[2] = 0;
  CDL_TRY(
      table->copy(queue->handle, CDL_ARGS(copy, .out = by_distance(s, heads, length), .x = line)));
  return table->binary(queue->handle,
                       CDL_ARGS(binary, .out = scores, .x = scores, .y = by_key(s, heads, length),
                                .function = CDL_BINARY_ADD));
}

/* d_bias += the sums of d_scores [heads, length, length] by distance. */
static cdl_status sum_distances(cdl_queue *queue, const attention_scratch *s, cdl_tensor d_bias,
                                cdl_tensor d_scores)
{
  const cdl_backend_table *table = queue->backend->table;
  void *q = queue->handle;
  const int64_t heads = d_scores.size[1], length = d_scores.size[2];
  const cdl_tensor skewed = by_distance(s, heads, length);
  const distance_parts p = parts_of(d_bias, length);
  CDL_TRY(table->fill(q, CDL_ARGS(fill, .out = skewed)));
  CDL_TRY(table->copy(q, CDL_ARGS(copy, .out = by_key(s, heads, length), .x = d_scores)));
  CDL_TRY(table->reduce(q, CDL_ARGS(reduce, .out = distances(s->sums, 0, 2 * length - 1),
                                    .x = skewed, .function = CDL_REDUCE_SUM, .axis = 2)));
  for (int end = 0; end < 2 && p.outer > 0; end++)
    CDL_TRY(table->reduce(
        q, CDL_ARGS(reduce, .out = distances(d_bias, end == 0 ? 0 : d_bias.size[3] - 1, 1),
                    .x = distances(s->sums, end == 0 ? 0 : p.outer + p.inner, p.outer),
                    .function = CDL_REDUCE_SUM, .axis = 3, .accumulate = true)));
  return table->axpby(q,
                      CDL_ARGS(axpby, .out = distances(d_bias, p.first, p.inner),
                               .x = distances(s->sums, p.outer, p.inner), .alpha = 1, .beta = 1));
}

/* ---- Both directions ---- */

/* out [heads, length, length] = scale · query keyᵀ, and the bias if there is one. */
static cdl_status scores(cdl_queue *queue, const attention_scratch *s, cdl_tensor out,
                         cdl_tensor query, cdl_tensor key, float scale)
{
  CDL_TRY(
      queue->backend->table->gemm(queue->handle, CDL_ARGS(gemm, .out = out, .a = query, .b = key,
                                                          .transpose_b = true, .alpha = scale)));
  return cdl_tensor_present(s->line) ? add_bias(queue, s, out) : CDL_STATUS_OK;
}

/* out[head, row] = log Σ exp(scores[head, row, :]), by the row's maximum. */
static cdl_status log_sum_exp(cdl_queue *queue, cdl_tensor out, cdl_tensor scores,
                              cdl_tensor maximum, cdl_tensor shifted)
{
  const cdl_backend_table *table = queue->backend->table;
  void *q = queue->handle;
  CDL_TRY(table->reduce(
      q, CDL_ARGS(reduce, .out = maximum, .x = scores, .function = CDL_REDUCE_MAXIMUM, .axis = 3)));
  CDL_TRY(table->binary(q, CDL_ARGS(binary, .out = shifted, .x = scores, .y = maximum,
                                    .function = CDL_BINARY_SUBTRACT)));
  CDL_TRY(
      table->unary(q, CDL_ARGS(unary, .out = shifted, .x = shifted, .function = CDL_UNARY_EXP)));
  CDL_TRY(table->reduce(
      q, CDL_ARGS(reduce, .out = out, .x = shifted, .function = CDL_REDUCE_SUM, .axis = 3)));
  CDL_TRY(table->unary(q, CDL_ARGS(unary, .out = out, .x = out, .function = CDL_UNARY_LOG)));
  return table->binary(
      q, CDL_ARGS(binary, .out = out, .x = out, .y = maximum, .function = CDL_BINARY_ADD));
}

/* Rows that belong to no sequence are zero. */
static cdl_status clear_rest(cdl_queue *queue, cdl_tensor out, const cdl_packing *packing)
{
  const int64_t first = packing->host_offsets[packing->sequences];
  if (first == out.size[2])
    return CDL_STATUS_OK;
  return queue->backend->table->fill(
      queue->handle, CDL_ARGS(fill, .out = cdl_tensor_rows(out, first, out.size[2] - first)));
}

static cdl_status attend(cdl_queue *queue, const cdl_attention_args *args, int32_t sequence,
                         const attention_scratch *s)
{
  const cdl_backend_table *table = queue->backend->table;
  const int64_t row = args->packing->host_offsets[sequence];
  const int64_t length = args->packing->host_offsets[sequence + 1] - row;
  const int64_t d = args->out.size[3] / args->heads, square = args->heads * length * length;
  if (length == 0)
    return CDL_STATUS_OK;
  const cdl_tensor p = cdl_tensor_3d(s->buffer, CDL_DTYPE_F32, 0, args->heads, length, length);
  CDL_TRY(scores(queue, s, p, heads_of(args->qkv, 0, args->heads, d, row, length),
                 heads_of(args->qkv, 1, args->heads, d, row, length), args->scale));
  if (cdl_tensor_present(args->log_sum)) {
    const cdl_tensor shifted =
        cdl_tensor_3d(s->buffer, CDL_DTYPE_F32, square, args->heads, length, length);
    const cdl_tensor maximum =
        cdl_tensor_3d(s->buffer, CDL_DTYPE_F32, 2 * square, args->heads, length, 1);
    const cdl_tensor kept = {args->log_sum.buffer,
                             args->log_sum.offset + row,
                             {1, args->heads, length, 1},
                             {0, args->log_sum.stride[2], 1, 1},
                             CDL_DTYPE_F32};
    CDL_TRY(log_sum_exp(queue, kept, p, maximum, shifted));
  }
  CDL_TRY(table->softmax(queue->handle, CDL_ARGS(softmax, .out = p, .x = p, .scale = 1)));
  if (args->mask.probability > 0)
    CDL_TRY(drop(queue, p, p, &args->mask, args->packing, sequence));
  return table->gemm(queue->handle,
                     CDL_ARGS(gemm, .out = heads_of(args->out, 0, args->heads, d, row, length),
                              .a = p, .b = heads_of(args->qkv, 2, args->heads, d, row, length),
                              .alpha = 1));
}

cdl_status core_compose_attention(cdl_queue *queue, const cdl_attention_args *args)
{
  attention_scratch s;
  CDL_TRY(make_scratch(queue, args->packing, args->heads, cdl_tensor_present(args->log_sum) ? 2 : 1,
                       cdl_tensor_present(args->bias), &s));
  CDL_TRY(spread_bias(queue, &s, args->bias));
  for (int32_t i = 0; i < args->packing->sequences; i++)
    CDL_TRY(attend(queue, args, i, &s));
  return clear_rest(queue, args->out, args->packing);
}

/* P is computed again, so log_sum is not needed. dV = dropout(P)ᵀ dO, dP = dropout(dO Vᵀ), dS by
 * softmax's gradient, dQ = dS K, dK = dSᵀ Q. */
static cdl_status attend_grad(cdl_queue *queue, const cdl_attention_grad_args *args,
                              int32_t sequence, const attention_scratch *s)
{
  const cdl_backend_table *table = queue->backend->table;
  void *q = queue->handle;
  const int32_t heads = args->heads;
  const int64_t row = args->packing->host_offsets[sequence];
  const int64_t length = args->packing->host_offsets[sequence + 1] - row;
  const int64_t d = args->d_out.size[3] / heads, square = heads * length * length;
  if (length == 0)
    return CDL_STATUS_OK;
  const bool dropped = args->mask.probability > 0;
  const cdl_tensor query = heads_of(args->qkv, 0, heads, d, row, length);
  const cdl_tensor key = heads_of(args->qkv, 1, heads, d, row, length);
  const cdl_tensor value = heads_of(args->qkv, 2, heads, d, row, length);
  const cdl_tensor d_out = heads_of(args->d_out, 0, heads, d, row, length);
  const cdl_tensor p = cdl_tensor_3d(s->buffer, CDL_DTYPE_F32, 0, heads, length, length);
  const cdl_tensor other = cdl_tensor_3d(s->buffer, CDL_DTYPE_F32, square, heads, length, length);
  CDL_TRY(scores(queue, s, p, query, key, args->scale));
  CDL_TRY(table->softmax(q, CDL_ARGS(softmax, .out = p, .x = p, .scale = 1)));
  if (dropped)
    CDL_TRY(drop(queue, other, p, &args->mask, args->packing, sequence));
  CDL_TRY(table->gemm(q, CDL_ARGS(gemm, .out = heads_of(args->d_qkv, 2, heads, d, row, length),
                                  .a = dropped ? other : p, .b = d_out, .transpose_a = true,
                                  .alpha = 1)));
  CDL_TRY(table->gemm(
      q, CDL_ARGS(gemm, .out = other, .a = d_out, .b = value, .transpose_b = true, .alpha = 1)));
  if (dropped)
    CDL_TRY(drop(queue, other, other, &args->mask, args->packing, sequence));
  /* The bias's gradient is without the scale, which the products apply then. */
  const bool summed = cdl_tensor_present(args->d_bias);
  const float alpha = summed ? args->scale : 1;
  CDL_TRY(table->softmax_grad(q, CDL_ARGS(softmax_grad, .d_x = other, .d_out = other, .out = p,
                                          .scale = summed ? 1 : args->scale)));
  if (summed)
    CDL_TRY(sum_distances(queue, s, args->d_bias, other));
  CDL_TRY(table->gemm(q, CDL_ARGS(gemm, .out = heads_of(args->d_qkv, 0, heads, d, row, length),
                                  .a = other, .b = key, .alpha = alpha)));
  return table->gemm(q, CDL_ARGS(gemm, .out = heads_of(args->d_qkv, 1, heads, d, row, length),
                                 .a = other, .b = query, .transpose_a = true, .alpha = alpha));
}

cdl_status core_compose_attention_grad(cdl_queue *queue, const cdl_attention_grad_args *args)
{
  attention_scratch s;
  CDL_TRY(make_scratch(queue, args->packing, args->heads, 2, cdl_tensor_present(args->bias), &s));
  CDL_TRY(spread_bias(queue, &s, args->bias));
  for (int32_t i = 0; i < args->packing->sequences; i++)
    CDL_TRY(attend_grad(queue, args, i, &s));
  return clear_rest(queue, args->d_qkv, args->packing);
}
