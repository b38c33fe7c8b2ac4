/* The term of a sequence's first token: y_t += scale ⟨x_t, x_0⟩ w. x_0 is the input of that
 * token. */
#include "model/encoder/delta.h"
#include "model/encoder/shards.h"

/* Returns a vector [n] as a matrix [1, n]. */
static cdl_tensor as_row(cdl_tensor t)
{
  return cdl_tensor_2d(t.buffer, CDL_DTYPE_F32, t.offset, 1, cdl_tensor_elements(t));
}

/* Returns a matrix whose row t is the input of the first token in t's sequence. */
static cdl_tensor first_inputs(const model_encoder *member, cdl_queue *q, cdl_tensor x)
{
  const cdl_tensor out = encoder_scratch_like(member->own.scratch.spread, x);
  cdl_gather_rows(
      q, CDL_ARGS(gather_rows, .out = out, .table = x, .index = member->batch.own_first_rows));
  return out;
}

/* Keeps the products for the backward pass. */
void encoder_pair_forward(const encoder_module_pass *m, cdl_queue *q, cdl_tensor y, cdl_tensor x)
{
  const encoder_pair_term *t = &m->module->delta.pair;
  const cdl_tensor products = m->act->products;
  if (m->rows == ROWS_SEQUENCES)
    cdl_reduce(q, CDL_ARGS(reduce, .out = products, .x = x, .function = CDL_REDUCE_SUM_SQUARES,
                           .axis = 3));
  else {
    const cdl_tensor firsts = first_inputs(m->member, q, x);
    encoder_binary(q, firsts, firsts, x, CDL_BINARY_MULTIPLY);
    cdl_reduce(
        q, CDL_ARGS(reduce, .out = products, .x = firsts, .function = CDL_REDUCE_SUM, .axis = 3));
  }
  cdl_gemm(q, CDL_ARGS(gemm, .out = y, .a = products, .b = as_row(t->value), .alpha = t->scale,
                       .beta = 1));
}

/* With g_t = scale ⟨dy_t, w⟩:  dw += scale Σ_t ⟨x_t, x_0⟩ dy_t,  dx_t += g_t x_0, dx_0 += Σ_t g_t
 * x_t. Overwrites the products with g. */
void encoder_pair_backward(const encoder_module_pass *m, cdl_queue *q, cdl_tensor d_x,
                           cdl_tensor d_y, cdl_tensor x)
{
  const model_encoder *member = m->member;
  const encoder_pair_term *t = &m->module->delta.pair;
  const cdl_tensor products = m->act->products;
  encoder_shard shard = {.member = member};
  while (encoder_next_shard(&shard, m->rows, d_y.size[2]))
    cdl_gemm(q, CDL_ARGS(gemm, .out = as_row(encoder_shard_gradient(&shard, t->gradient)),
                         .a = encoder_shard_rows(&shard, products),
                         .b = encoder_shard_rows(&shard, d_y), .transpose_a = true,
                         .alpha = t->scale, .beta = 1));
  if (!cdl_tensor_present(d_x))
    return;
  const cdl_tensor g = products;
  cdl_gemm(q, CDL_ARGS(gemm, .out = g, .a = d_y, .b = as_row(t->value), .transpose_b = true,
                       .alpha = t->scale));
  const cdl_tensor spread = encoder_scratch_like(member->own.scratch.spread, x);
  if (m->rows == ROWS_SEQUENCES) { /* every x_t is x_0 */
    encoder_binary(q, spread, x, g, CDL_BINARY_MULTIPLY);
    encoder_add(q, d_x, spread, 2);
    return;
  }
  first_inputs(member, q, x);
  encoder_binary(q, spread, spread, g, CDL_BINARY_MULTIPLY);
  encoder_add(q, d_x, spread, 1);
  encoder_binary(q, spread, x, g, CDL_BINARY_MULTIPLY);
  const cdl_tensor order = member->batch.own_rows;
  cdl_scatter_add_rows(q, CDL_ARGS(scatter_add_rows, .table = d_x,
                                   .x = cdl_tensor_rows(spread, 0, order.size[3]), .order = order,
                                   .segment = member->batch.packing.offsets,
                                   .target = member->batch.first_rows));
}
