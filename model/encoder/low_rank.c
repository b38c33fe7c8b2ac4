/* The low-rank term: y += scale (x Aᵀ) Bᵀ. */
#include "model/encoder/delta.h"
#include "model/encoder/shards.h"

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

/* The part of a call for one shard. */
static cdl_low_rank_grad_args part_of(const encoder_low_rank_grad_terms *terms,
                                      const encoder_shard *shard)
{
  cdl_low_rank_grad_args part = terms->args;
  part.d_x = encoder_shard_rows(shard, part.d_x);
  part.x = encoder_shard_rows(shard, part.x);
  part.d_out = encoder_shard_rows(shard, part.d_out);
  part.hidden = encoder_shard_rows(shard, part.hidden);
  part.d_a = encoder_shard_gradient(shard, part.d_a);
  part.d_b = encoder_shard_gradient(shard, part.d_b);
  for (int i = 0; i < terms->count - 1; i++) {
    cdl_low_rank_grad_term *more = &part.more[i];
    more->d_out = encoder_shard_rows(shard, more->d_out);
    more->hidden = encoder_shard_rows(shard, more->hidden);
    more->d_a = encoder_shard_gradient(shard, more->d_a);
    more->d_b = encoder_shard_gradient(shard, more->d_b);
  }
  return part;
}

void encoder_low_rank_flush_grad(encoder_low_rank_grad_terms *terms, cdl_queue *q)
{
  encoder_shard shard = {.member = terms->member};
  while (terms->count > 0 && encoder_next_shard(&shard, terms->rows, terms->args.d_out.size[2])) {
    const cdl_low_rank_grad_args part = part_of(terms, &shard);
    cdl_low_rank_grad(q, &part);
  }
  *terms = (encoder_low_rank_grad_terms){0};
}

void encoder_low_rank_add_grad(encoder_low_rank_grad_terms *terms, const encoder_module_pass *m,
                               cdl_queue *q, cdl_tensor d_x, cdl_tensor d_y, cdl_tensor x)
{
  const encoder_low_rank_term *t = &m->module->delta.low_rank;
  cdl_low_rank_grad_args *args = &terms->args;
  if (terms->count == TERMS_MOST || (terms->count > 0 && !same_rows(args->x, x)))
    encoder_low_rank_flush_grad(terms, q);
  terms->member = m->member;
  terms->rows = m->rows;
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
