/* The encoder's memory: which activations are kept, where each lies for a given batch, and the
 * batch's own upload. */
#include <stdlib.h>
#include <string.h>

#include "model/encoder_state.h"
#include "model/layout.h"

static cdl_tensor take(size_t *used, cdl_buffer *arena, int64_t rows, int64_t columns)
{
  const cdl_tensor t = cdl_tensor_2d(arena, CDL_F32, (int64_t)*used, rows, columns);
  *used += (size_t)cdl_aligned(rows * columns);
  return t;
}

static cdl_tensor take_vector(size_t *used, cdl_buffer *arena, int64_t columns)
{
  const cdl_tensor t = cdl_tensor_1d(arena, CDL_F32, (int64_t)*used, columns);
  *used += (size_t)cdl_aligned(columns);
  return t;
}

static site_activations take_site(size_t *used, cdl_buffer *m, const cdl_site *site, int64_t rows)
{
  site_activations a = {0};
  if (!site_adapted(site))
    return a;
  const cdl_delta *d = &site->delta;
  a.hidden = take(used, m, rows, d->a.size[2]);
  if (cdl_present(d->gain))
    a.ungained = take(used, m, rows, site->weight.size[2]);
  if (cdl_present(d->pair))
    a.products = take(used, m, rows, 1);
  return a;
}

/* Tensors of one block. What the backward pass will not read shares memory with the other blocks
 * (`shared`); `out` and `in` alternate between two places there, since one is written while the
 * other is read. */
static void lay_out_block(const cdl_encoder *e, block_activations *a, int layer, int32_t tokens,
                          int32_t rows, bool keep, size_t *kept, size_t *shared_used)
{
  cdl_buffer *m = e->arena;
  const block_weights *w = &e->blocks[layer];
  const int64_t hidden = e->config.hidden_size, intermediate = e->config.intermediate_size;
  size_t *own = keep ? kept : shared_used;
  /* Scratch in any case where nothing trained reads it. */
  size_t *context = keep && projection_trained(&w->attention_out) ? kept : shared_used;
  size_t *normed = keep && projection_trained(&w->intermediate) ? kept : shared_used;
  size_t *activated = keep && projection_trained(&w->output) ? kept : shared_used;

  a->qkv = take(own, m, tokens, 3 * hidden);
  a->log_sum = take(own, m, e->config.heads, tokens);
  a->context = take(context, m, tokens, hidden);
  a->residual = rows == tokens ? a->in : take(shared_used, m, rows, hidden);
  a->selected = rows == tokens ? a->context : take(context, m, rows, hidden);
  a->attention_norm = (norm_activations){.sum = take(own, m, rows, hidden)};
  a->attention_norm.mean = take_vector(own, m, rows);
  a->attention_norm.rstd = take_vector(own, m, rows);
  a->normed = take(normed, m, rows, hidden);
  a->pre = take(own, m, rows, intermediate);
  a->activated = take(activated, m, rows, intermediate);
  a->output_norm = (norm_activations){.sum = take(own, m, rows, hidden)};
  a->output_norm.mean = take_vector(own, m, rows);
  a->output_norm.rstd = take_vector(own, m, rows);

  const projection *projections[] = {&w->qkv, &w->attention_out, &w->intermediate, &w->output};
  int site = 0;
  for (size_t p = 0; p < sizeof projections / sizeof projections[0]; p++)
    for (int i = 0; i < projections[p]->site_count; i++)
      a->site[site++] =
          take_site(own, m, projections[p]->site[i], projections[p] == &w->qkv ? tokens : rows);
}

static int64_t widest_dropped_input(const cdl_encoder *e)
{
  int64_t widest = 0;
  for (size_t i = 0; i < e->site_count; i++) {
    const cdl_site *site = &e->sites[i];
    if (site_adapted(site) && site->delta.dropout > 0 && site->weight.size[3] > widest)
      widest = site->weight.size[3];
  }
  return widest;
}

/* Of one projection's layers together. */
static int64_t widest_gained_output(const cdl_encoder *e)
{
  int64_t widest = 0;
  for (size_t i = 0; i < e->site_count; i++) {
    const cdl_site *site = &e->sites[i];
    const int64_t layers = site->layer >= 0 && site->kind <= CDL_SITE_VALUE ? 3 : 1;
    if (site_gained(site) && layers * site->weight.size[2] > widest)
      widest = layers * site->weight.size[2];
  }
  return widest;
}

static int64_t widest_paired_input(const cdl_encoder *e)
{
  int64_t widest = 0;
  for (size_t i = 0; i < e->site_count; i++)
    if (cdl_present(e->sites[i].delta.pair) && e->sites[i].weight.size[3] > widest)
      widest = e->sites[i].weight.size[3];
  return widest;
}

static void lay_out_backward(const cdl_encoder *e, activations *a, int32_t tokens,
                             int32_t sequences, size_t *used)
{
  cdl_buffer *m = e->arena;
  const int64_t hidden = e->config.hidden_size, intermediate = e->config.intermediate_size;
  a->d_logits = take(used, m, sequences, e->labels);
  a->d_pooled = take(used, m, sequences, hidden);
  if (!e->body_reached)
    return;
  a->d_first = take(used, m, sequences, hidden);
  a->d_rows = take(used, m, sequences, hidden);
  a->d_hidden = take(used, m, tokens, hidden);
  a->d_branch = take(used, m, tokens, hidden);
  /* Serves both widths: see block_backward. */
  a->d_wide = take(used, m, tokens, intermediate > hidden ? intermediate : hidden);
  a->d_qkv = take(used, m, tokens, 3 * hidden);
  if (e->project_reached)
    a->d_embedded = take(used, m, tokens, e->config.embedding_size);
  const int64_t widest = widest_dropped_input(e);
  if (widest > 0)
    a->d_dropped = take(used, m, tokens, widest);
}

/* One walk over the blocks, kept tensors from `*used` on, scratch from `shared` on; the end of the
 * scratch. */
static size_t lay_out_blocks(const cdl_encoder *e, cdl_batch_limits batch, bool training,
                             cdl_tensor in, const cdl_tensor alternating[2], size_t *used,
                             size_t shared, block_activations *blocks)
{
  const int layers = (int)e->config.layers;
  size_t scratch_end = shared;
  for (int l = 0; l < layers; l++) {
    const bool last = l == layers - 1;
    const int32_t rows = last ? batch.sequences : batch.tokens;
    size_t scratch = shared;
    block_activations a = {.in = in};
    lay_out_block(e, &a, l, batch.tokens, rows, training && e->blocks[l].reached, used, &scratch);
    if (!last && training && projection_trained(&e->blocks[l + 1].qkv))
      a.out = take(used, e->arena, rows, e->config.hidden_size);
    else
      a.out = cdl_rows(alternating[(l + 1) % 2], 0, rows);
    if (blocks != NULL)
      blocks[l] = a;
    if (scratch > scratch_end)
      scratch_end = scratch;
    in = a.out;
  }
  return scratch_end;
}

size_t encoder_lay_out(cdl_encoder *e, cdl_batch_limits batch, bool training, bool assign)
{
  const int64_t hidden = e->config.hidden_size;
  cdl_buffer *m = e->arena;
  activations a = {.block = e->act.block};
  size_t used = 0;

  a.embedded_sum = take(&used, m, batch.tokens, e->config.embedding_size);
  if (e->project.site_count > 0)
    a.embedded = take(&used, m, batch.tokens, e->config.embedding_size);
  a.project = take_site(&used, m, e->project.site[0], batch.tokens);
  a.mean = take_vector(&used, m, batch.tokens);
  a.rstd = take_vector(&used, m, batch.tokens);
  a.head_input = take(&used, m, batch.sequences, hidden);
  a.pooled_pre = take(&used, m, batch.sequences, hidden);
  a.pooled = take(&used, m, batch.sequences, hidden);
  a.logits = take(&used, m, batch.sequences, e->labels);
  a.head_dense = take_site(&used, m, e->head_dense.site[0], batch.sequences);
  if (training && widest_dropped_input(e) > 0)
    a.dropped = take(&used, m, batch.tokens, widest_dropped_input(e));
  if (training && widest_gained_output(e) > 0)
    a.gained = take(&used, m, batch.tokens, widest_gained_output(e));
  if (widest_paired_input(e) > 0)
    a.spread = take(&used, m, batch.tokens, widest_paired_input(e));

  /* `in` of a block is `out` of the one before; where a block's q, k and v are frozen and bare,
   * nothing reads it later. */
  const cdl_tensor alternating[2] = {take(&used, m, batch.tokens, hidden),
                                     take(&used, m, batch.tokens, hidden)};
  const cdl_tensor in = training && projection_trained(&e->blocks[0].qkv)
                            ? take(&used, m, batch.tokens, hidden)
                            : alternating[0];
  /* Scratch lies behind everything kept, whose end the first walk finds. */
  size_t kept_end = used;
  lay_out_blocks(e, batch, training, in, alternating, &kept_end, 0, NULL);
  used =
      lay_out_blocks(e, batch, training, in, alternating, &used, kept_end, assign ? a.block : NULL);
  if (training)
    lay_out_backward(e, &a, batch.tokens, batch.sequences, &used);
  if (assign)
    e->act = a;
  return used;
}

/* ---- What the backward pass reaches ---- */

static void find_reach(cdl_encoder *e)
{
  bool below = norm_trained(e->embedding_norm);
  for (int t = 0; t < EMBEDDING_TABLES; t++)
    below = below || (e->tables[t] != NULL && e->tables[t]->trained);
  e->embeddings_trained = below;
  below = below || projection_trained(&e->project);
  e->project_reached = e->project.site_count > 0 && below;
  for (int l = 0; l < e->config.layers; l++) {
    block_weights *w = &e->blocks[l];
    w->below_qkv = below;
    w->below_attention_out = below = below || projection_trained(&w->qkv);
    w->below_attention_norm = below = below || projection_trained(&w->attention_out);
    w->below_intermediate = below = below || norm_trained(w->attention_norm);
    w->below_output = below = below || projection_trained(&w->intermediate);
    w->below_output_norm = below = below || projection_trained(&w->output);
    w->reached = below = below || norm_trained(w->output_norm);
  }
  e->body_reached = below;
  e->paired = widest_paired_input(e) > 0;
}

static cdl_status make_single_weights(cdl_queue *q, projection *p)
{
  bool any = false;
  for (int i = 0; i < p->site_count; i++)
    any = any || needs_single(p->site[i]);
  for (int i = 0; any && i < p->site_count; i++)
    if (p->single[i] == NULL)
      CDL_TRY(cdl_weight_create(q, &p->weight[i]->value, 1, &p->single[i]));
  return CDL_OK;
}

static cdl_status make_all_single_weights(cdl_encoder *e, cdl_queue *q)
{
  for (int l = 0; l < e->config.layers; l++) {
    CDL_TRY(make_single_weights(q, &e->blocks[l].qkv));
    CDL_TRY(make_single_weights(q, &e->blocks[l].attention_out));
    CDL_TRY(make_single_weights(q, &e->blocks[l].intermediate));
    CDL_TRY(make_single_weights(q, &e->blocks[l].output));
  }
  CDL_TRY(make_single_weights(q, &e->project));
  return make_single_weights(q, &e->head_dense);
}

/* int32 elements that the largest batch uploads: scatter plans where the embeddings are trained, rows
 * where there are pairs. */
static size_t staging_elements(const cdl_encoder *e, cdl_batch_limits limits)
{
  const size_t tokens = (size_t)limits.tokens, sequences = (size_t)limits.sequences;
  size_t elements = 3 * tokens + 3 * sequences + 2;
  if (e->embeddings_trained)
    elements += EMBEDDING_TABLES * (3 * tokens + 1);
  if (e->paired)
    elements += 2 * tokens;
  return elements;
}

static int32_t larger(int32_t a, int32_t b)
{
  return a > b ? a : b;
}

size_t cdl_encoder_activation_bytes(const cdl_encoder *encoder, cdl_batch_limits limits,
                                    bool training)
{
  cdl_encoder copy = *encoder;
  find_reach(&copy); /* what is trained may have changed since the last plan */
  return encoder_lay_out(&copy, limits, training, false) * sizeof(float);
}

cdl_status cdl_encoder_plan(cdl_encoder *e, cdl_queue *queue, cdl_batch_limits training,
                            cdl_batch_limits evaluation)
{
  find_reach(e);
  CDL_TRY(make_all_single_weights(e, queue));
  const size_t train_elements = training.tokens > 0 ? encoder_lay_out(e, training, true, false) : 0;
  const size_t eval_elements =
      evaluation.tokens > 0 ? encoder_lay_out(e, evaluation, false, false) : 0;
  const size_t elements = train_elements > eval_elements ? train_elements : eval_elements;

  cdl_buffer_destroy(e->arena);
  cdl_buffer_destroy(e->batch_buffer);
  free(e->staging);
  free(e->keys);
  e->arena = NULL;
  e->batch_buffer = NULL;
  e->staging = NULL;
  e->keys = NULL;

  e->limits = (cdl_batch_limits){.tokens = larger(training.tokens, evaluation.tokens),
                                 .sequences = larger(training.sequences, evaluation.sequences),
                                 .longest = larger(training.longest, evaluation.longest)};
  e->staging_count = staging_elements(e, e->limits);
  e->staging = malloc(e->staging_count * sizeof *e->staging);
  if (e->embeddings_trained)
    e->keys = malloc((size_t)e->limits.tokens * sizeof *e->keys);
  if (e->staging == NULL || (e->embeddings_trained && e->keys == NULL))
    return cdl_fail(CDL_MEMORY, "out of memory: a batch of %d tokens", e->limits.tokens);
  CDL_TRY(cdl_buffer_create(e->backend, e->staging_count * sizeof(int32_t), &e->batch_buffer));
  return cdl_buffer_create(e->backend, elements * sizeof(float), &e->arena);
}
