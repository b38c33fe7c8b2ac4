/* The gain of a layer's output: y = x Wᵀ + b becomes y = g ∘ v + b, with v = x Wᵀ + scale (x Aᵀ)
 * Bᵀ. If the dropout applies only to the adapter, v uses the dropped input x̃, and y = x Wᵀ + b −
 * x̃ Wᵀ + g ∘ v. */
#include "model/encoder/delta.h"
#include "model/encoder/shards.h"

static void parted_forward(const encoder_module_pass *m, cdl_queue *q, cdl_tensor y, cdl_tensor x)
{
  const cdl_tensor v = m->act->ungained,
                   gained = encoder_scratch_like(m->member->own.scratch.gained, y);
  cdl_linear(q, CDL_ARGS(linear, .out = v, .x = x, .weight = m->single));
  encoder_add(q, y, v, -1);
  encoder_low_rank_forward(m, q, v, x);
  encoder_binary(q, gained, v, m->module->delta.gain.value, CDL_BINARY_MULTIPLY);
  encoder_add(q, y, gained, 1);
}

void encoder_gain_forward(const encoder_module_pass *m, cdl_queue *q, cdl_tensor y, cdl_tensor x)
{
  const cdl_tensor v = m->act->ungained;
  if (m->member->training && gain_is_parted(m->module)) {
    parted_forward(m, q, y, x);
    return;
  }
  encoder_binary(q, v, y, m->bias, CDL_BINARY_SUBTRACT);
  encoder_low_rank_forward(m, q, v, x);
  encoder_binary(q, y, v, m->module->delta.gain.value, CDL_BINARY_MULTIPLY);
  encoder_binary(q, y, y, m->bias, CDL_BINARY_ADD);
}

/* dg += Σ d_y ∘ v. Overwrites v, which is not read later. */
void encoder_gain_backward(const encoder_module_pass *m, cdl_queue *q, cdl_tensor d_y)
{
  const cdl_tensor v = m->act->ungained;
  encoder_binary(q, v, v, d_y, CDL_BINARY_MULTIPLY);
  encoder_shard shard = {.member = m->member};
  while (encoder_next_shard(&shard, m->rows, v.size[2]))
    cdl_reduce(q, CDL_ARGS(reduce,
                           .out = encoder_shard_gradient(&shard, m->module->delta.gain.gradient),
                           .x = encoder_shard_rows(&shard, v), .function = CDL_REDUCE_SUM,
                           .axis = 2, .accumulate = true));
}

cdl_tensor encoder_gain_d_v(encoder_members members, cdl_queue *q, const projection *p,
                            cdl_tensor d_out, encoder_rows rows)
{
  if (!any_module(members, p, module_gained))
    return d_out;
  const cdl_tensor d_v = encoder_scratch_like(members.encoder[0]->own.scratch.gained, d_out);
  int64_t first = 0;
  for (size_t k = 0; k < members.count; k++) {
    const model_encoder *member = members.encoder[k];
    const int64_t count = encoder_row_count(member, rows);
    for (int i = 0; i < p->module_count; i++) {
      const encoder_module *module = encoder_member_module(members.encoder[0], member, p, i);
      const cdl_tensor d_y = encoder_own_columns(p, cdl_tensor_rows(d_out, first, count), i),
                       own = encoder_own_columns(p, cdl_tensor_rows(d_v, first, count), i);
      if (module_gained(module))
        encoder_binary(q, own, d_y, module->delta.gain.value, CDL_BINARY_MULTIPLY);
      else
        cdl_copy(q, CDL_ARGS(copy, .out = own, .x = d_y));
    }
    first += count;
  }
  return d_v;
}

/* W = diag(g) W; rows are outputs. */
void encoder_gain_merge(const encoder_module *module, cdl_queue *q)
{
  const cdl_tensor g = module->delta.gain.value,
                   column =
                       cdl_tensor_2d(g.buffer, CDL_DTYPE_F32, g.offset, cdl_tensor_elements(g), 1);
  encoder_binary(q, module->weight, module->weight, column, CDL_BINARY_MULTIPLY);
}
