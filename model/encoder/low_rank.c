/* The low-rank term: y += scale (x Aᵀ) Bᵀ. */
#include "model/encoder/delta.h"

void encoder_low_rank_forward(const encoder_module_pass *m, cdl_queue *q, cdl_tensor y,
                              cdl_tensor x)
{
  const encoder_low_rank_term *t = &m->module->delta.low_rank;
  cdl_low_rank(q, CDL_ARGS(low_rank, .out = y, .hidden = m->act->hidden, .x = x, .a = t->a,
                           .b = t->b, .scale = t->scale));
}

void encoder_low_rank_backward(const encoder_module_pass *m, cdl_queue *q, cdl_tensor d_x,
                               cdl_tensor d_y, cdl_tensor x)
{
  const encoder_low_rank_term *t = &m->module->delta.low_rank;
  cdl_low_rank_grad(q, CDL_ARGS(low_rank_grad, .d_x = d_x, .d_a = t->d_a, .d_b = t->d_b,
                                .d_out = d_y, .hidden = m->act->hidden, .x = x, .a = t->a,
                                .b = t->b, .scale = t->scale));
}

/* W += scale B A */
void encoder_low_rank_merge(const encoder_module *module, cdl_queue *q)
{
  const encoder_low_rank_term *t = &module->delta.low_rank;
  cdl_gemm(
      q, CDL_ARGS(gemm, .out = module->weight, .a = t->b, .b = t->a, .alpha = t->scale, .beta = 1));
}
