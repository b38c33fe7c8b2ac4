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

static cdl_status scores(cdl_queue *queue, cdl_tensor out, cdl_tensor query, cdl_tensor key,
                         float scale)
{
  return queue->backend->table->gemm(queue->handle, CDL_ARGS(gemm, .out = out, .a = query, .b = key,
                                                             .transpose_b = true, .alpha = scale));
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

/* Makes scratch for `squares` tensors [heads, length, length] of the longest sequence and one
 * [heads, length]. */
static cdl_status attention_scratch(cdl_queue *queue, const cdl_packing *packing, int32_t heads,
                                    size_t squares, cdl_buffer **scratch)
{
  size_t longest = 0, elements, bytes;
  for (int32_t i = 0; i < packing->sequences; i++) {
    const size_t length = (size_t)(packing->host_offsets[i + 1] - packing->host_offsets[i]);
    longest = length > longest ? length : longest;
  }
  if (__builtin_mul_overflow(longest * (size_t)heads, squares * longest + 1, &elements) ||
      __builtin_mul_overflow(elements, sizeof(float), &bytes))
    return cdl_fail(CDL_STATUS_MEMORY, "%d heads of %zu tokens are too large", heads, longest);
  return core_scratch(queue, bytes, scratch);
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
                         cdl_buffer *scratch)
{
  const cdl_backend_table *table = queue->backend->table;
  const int64_t row = args->packing->host_offsets[sequence];
  const int64_t length = args->packing->host_offsets[sequence + 1] - row;
  const int64_t d = args->out.size[3] / args->heads, square = args->heads * length * length;
  if (length == 0)
    return CDL_STATUS_OK;
  const cdl_tensor p = cdl_tensor_3d(scratch, CDL_DTYPE_F32, 0, args->heads, length, length);
  CDL_TRY(scores(queue, p, heads_of(args->qkv, 0, args->heads, d, row, length),
                 heads_of(args->qkv, 1, args->heads, d, row, length), args->scale));
  if (cdl_tensor_present(args->log_sum)) {
    const cdl_tensor shifted =
        cdl_tensor_3d(scratch, CDL_DTYPE_F32, square, args->heads, length, length);
    const cdl_tensor maximum =
        cdl_tensor_3d(scratch, CDL_DTYPE_F32, 2 * square, args->heads, length, 1);
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
  cdl_buffer *scratch = NULL;
  CDL_TRY(attention_scratch(queue, args->packing, args->heads,
                            cdl_tensor_present(args->log_sum) ? 2 : 1, &scratch));
  for (int32_t i = 0; i < args->packing->sequences; i++)
    CDL_TRY(attend(queue, args, i, scratch));
  return clear_rest(queue, args->out, args->packing);
}

/* P is computed again, so log_sum is not needed. dV = dropout(P)ᵀ dO, dP = dropout(dO Vᵀ), dS by
 * softmax's gradient, dQ = dS K, dK = dSᵀ Q. */
static cdl_status attend_grad(cdl_queue *queue, const cdl_attention_grad_args *args,
                              int32_t sequence, cdl_buffer *scratch)
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
  const cdl_tensor p = cdl_tensor_3d(scratch, CDL_DTYPE_F32, 0, heads, length, length);
  const cdl_tensor other = cdl_tensor_3d(scratch, CDL_DTYPE_F32, square, heads, length, length);
  CDL_TRY(scores(queue, p, query, key, args->scale));
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
  CDL_TRY(table->softmax_grad(
      q, CDL_ARGS(softmax_grad, .d_x = other, .d_out = other, .out = p, .scale = args->scale)));
  CDL_TRY(table->gemm(q, CDL_ARGS(gemm, .out = heads_of(args->d_qkv, 0, heads, d, row, length),
                                  .a = other, .b = key, .alpha = 1)));
  return table->gemm(q, CDL_ARGS(gemm, .out = heads_of(args->d_qkv, 1, heads, d, row, length),
                                 .a = other, .b = query, .transpose_a = true, .alpha = 1));
}

cdl_status core_compose_attention_grad(cdl_queue *queue, const cdl_attention_grad_args *args)
{
  cdl_buffer *scratch = NULL;
  CDL_TRY(attention_scratch(queue, args->packing, args->heads, 2, &scratch));
  for (int32_t i = 0; i < args->packing->sequences; i++)
    CDL_TRY(attend_grad(queue, args, i, scratch));
  return clear_rest(queue, args->d_qkv, args->packing);
}
