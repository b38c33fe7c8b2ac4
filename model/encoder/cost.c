/* The cost of a pass. The functions mirror the computation. */
#include "model/encoder/state.h"

/* Returns multiplications and additions of one linear layer with its adapter, for `rows` rows. */
static double linear_operations(const projection *p, double rows, bool training, bool below)
{
  double operations = 0;
  for (int i = 0; i < p->module_count; i++) {
    const cdl_tensor w = p->weight[i]->value;
    const double out = (double)w.size[2], in = (double)w.size[3], product = 2 * rows * out * in;
    operations += product;
    if (training && below)
      operations += product;
    if (training && p->weight[i]->trained)
      operations += product;
    if (training && module_adapted(p->module[i])) {
      const double rank = (double)p->module[i]->delta.low_rank.a.size[2];
      operations += 2 * rows * rank * (in + out) * (below ? 3 : 2.5);
      if (gain_is_parted(p->module[i])) /* x̃ Wᵀ in addition to x Wᵀ */
        operations += below ? 2 * product : product;
    }
  }
  return operations;
}

double encoder_gemm_operations(const model_encoder *e, const encoder_token_batch *batch,
                               bool training)
{
  const double tokens = batch->tokens, sequences = batch->sequences,
               hidden = (double)e->config.hidden_size;
  double pairs = 0, operations = 0;
  for (int32_t s = 0; s < batch->sequences; s++) {
    const double length = batch->offsets[s + 1] - batch->offsets[s];
    pairs += length * length;
  }
  for (int l = e->first_block; l < e->config.layers; l++) {
    const block_weights *w = &e->blocks[l];
    const double rows = l == e->config.layers - 1 ? sequences : tokens;
    const bool back = training && w->reached;
    operations += linear_operations(&w->qkv, tokens, back, w->below_qkv);
    operations += linear_operations(&w->attention_out, rows, back, w->below_attention_out);
    operations += linear_operations(&w->intermediate, rows, back, w->below_intermediate);
    operations += linear_operations(&w->output, rows, back, w->below_output);
    /* Q Kᵀ and P V; in the backward pass P again, dP, dV, dQ, dK. */
    operations += 2 * pairs * hidden * (2 + (back && w->below_attention_out ? 5 : 0));
  }
  if (e->first_block == 0)
    operations += linear_operations(&e->project, tokens, training && e->project_reached,
                                    e->embeddings_trained);
  operations += linear_operations(&e->head_dense, sequences, training, e->body_reached);
  return operations + linear_operations(&e->head_out, sequences, training, true);
}
