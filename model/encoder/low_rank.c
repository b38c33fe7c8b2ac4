/* The low-rank term: y += scale (x Aᵀ) Bᵀ. */
#include "model/encoder/delta.h"

enum { TERMS_MOST = 3 }; /* of a call */

static bool same_rows(cdl_tensor a, cdl_tensor b)
{
  return a.buffer == b.buffer && a.offset == b.offset;
}

/* ---- Forward ---- */

void encoder_low_rank_flush(encoder_low_rank_terms *terms, cdl_queue *q)
{
  if (terms->count > 0)
    cdl_low_rank(q, &terms->args);
  *terms = (encoder_low_rank_terms){0};
}

void encoder_low_rank_add(encoder_low_rank_terms *terms, const encoder_module_pass *m, cdl_queue *q,
                          cdl_tensor y, cdl_tensor x)
{
  const encoder_low_rank_term *t = &m->module->delta.low_rank;
  cdl_low_rank_args *args = &terms->args;
  if (terms->count == TERMS_MOST || (terms->count > 0 && !same_rows(args->x, x)))
    encoder_low_rank_flush(terms, q);
  if (terms->count++ == 0)
    *args = (cdl_low_rank_args){.size = sizeof *args,
                                .out = y,
                                .hidden = m->act->hidden,
                                .x = x,
                                .a = t->a,
                                .b = t->b,
                                .scale = t->scale};
  else
    args->more[terms->count - 2] = (cdl_low_rank_term){y, m->act->hidden, t->a, t->b, t->scale};
}

void encoder_low_rank_forward(const encoder_module_pass *m, cdl_queue *q, cdl_tensor y,
                              cdl_tensor x)
{
  encoder_low_rank_terms terms = {0};
  encoder_low_rank_add(&terms, m, q, y, x);
  encoder_low_rank_flush(&terms, q);
}

/* ---- Backward ---- */

void encoder_low_rank_flush_grad(encoder_low_rank_grad_terms *terms, cdl_queue *q)
{
  if (terms->count > 0)
    cdl_low_rank_grad(q, &terms->args);
  *terms = (encoder_low_rank_grad_terms){0};
}

void encoder_low_rank_add_grad(encoder_low_rank_grad_terms *terms, const encoder_module_pass *m,
                               cdl_queue *q, cdl_tensor d_x, cdl_tensor d_y, cdl_tensor x)
{
  const encoder_low_rank_term *t = &m->module->delta.low_rank;
  cdl_low_rank_grad_args *args = &terms->args;
  if (terms->count == TERMS_MOST || (terms->count > 0 && !same_rows(args->x, x)))
    encoder_low_rank_flush_grad(terms, q);
  if (terms->count++ == 0)
    *args = (cdl_low_rank_grad_args){.size = sizeof *args,
                                     .d_x = d_x,
                                     .d_a = t->d_a,
                                     .d_b = t->d_b,
                                     .d_out = d_y,
                                     .hidden = m->act->hidden,
                                     .x = x,
                                     .a = t->a,
                                     .b = t->b,
                                     .scale = t->scale};
  else
    args->more[terms->count - 2] =
        (cdl_low_rank_grad_term){t->d_a, t->d_b, d_y, m->act->hidden, t->a, t->b, t->scale};
}

/* ---- Merging ---- */

/* W += scale B A */
void encoder_low_rank_merge(const encoder_module *module, cdl_queue *q)
{
  const encoder_low_rank_term *t = &module->delta.low_rank;
  cdl_gemm(
      q, CDL_ARGS(gemm, .out = module->weight, .a = t->b, .b = t->a, .alpha = t->scale, .beta = 1));
}
