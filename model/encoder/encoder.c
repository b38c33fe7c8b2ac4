/* The encoder's mathematics: forward, and below each part its backward pass, in reverse order,
 * with d_ names. */
#include "model/encoder/linear.h"

/* ---- Layer norms ---- */

/* out = LN(x + residual) */
static void add_norm_forward(const model_encoder *e, cdl_queue *q, cdl_tensor out,
                             const norm_activations *a, cdl_tensor x, cdl_tensor residual,
                             norm_weights w)
{
  cdl_add_layer_norm(q, CDL_ARGS(add_layer_norm, .out = out, .sum = a->sum, .x = x,
                                 .residual = residual, .gain = w.gain->value, .bias = w.bias->value,
                                 .mean = a->mean, .rstd = a->rstd,
                                 .epsilon = (float)e->config.layer_norm_epsilon));
}

/* In place: the gradient of the sum replaces that of the output. `wanted`: something before it is
 * trained. */
static void norm_backward(cdl_queue *q, cdl_tensor d_h, bool wanted, const norm_activations *a,
                          norm_weights w)
{
  cdl_layer_norm_grad(q, CDL_ARGS(layer_norm_grad, .d_x = wanted ? d_h : (cdl_tensor){0},
                                  .d_gain = w.gain->trained ? w.gain->gradient : (cdl_tensor){0},
                                  .d_bias = w.bias->trained ? w.bias->gradient : (cdl_tensor){0},
                                  .d_out = d_h, .x = a->sum, .gain = w.gain->value, .mean = a->mean,
                                  .rstd = a->rstd));
}

/* ---- Embeddings ---- */

static cdl_dropout_mask embedded_place(const model_encoder *lane, int number)
{
  return encoder_mask(lane, lane->dropout.hidden, CDL_RANDOM_DROPOUT_EMBEDDING, number);
}

/* h = drop(LN(word + position + type)), then projected where the embeddings' width is another. */
static void embeddings_forward(const model_encoder *e, cdl_queue *q, cdl_tensor h)
{
  const activations *a = &e->act;
  const bool projected = e->project.module_count > 0;
  const cdl_tensor out = projected ? a->embedded : h;
  for (int t = 0; t < EMBEDDING_TABLES; t++)
    if (e->tables[t] != NULL)
      cdl_gather_rows(q, CDL_ARGS(gather_rows, .out = a->embedded_sum, .table = e->tables[t]->value,
                                  .index = e->indices[t], .accumulate = t > 0));
  cdl_layer_norm(q, CDL_ARGS(layer_norm, .out = out, .x = a->embedded_sum,
                             .gain = e->embedding_norm.gain->value,
                             .bias = e->embedding_norm.bias->value, .mean = a->mean,
                             .rstd = a->rstd, .epsilon = (float)e->config.layer_norm_epsilon));
  encoder_drop(all_lanes(e), q, out, out, embedded_place, 0, ROWS_TOKENS);
  if (projected)
    linear_forward(all_lanes(e), q, &e->project, h, (cdl_tensor){0}, out, CDL_ACTIVATION_NONE,
                   ROWS_TOKENS);
}

static void scatter(cdl_queue *q, cdl_tensor table, cdl_tensor rows, const scatter_plan *plan)
{
  cdl_scatter_add_rows(q,
                       CDL_ARGS(scatter_add_rows, .table = table, .x = rows, .order = plan->order,
                                .segment = plan->segment, .target = plan->target));
}

static void embeddings_backward(const model_encoder *e, cdl_queue *q, cdl_tensor d_h)
{
  const norm_activations norm = {
      .sum = e->act.embedded_sum, .mean = e->act.mean, .rstd = e->act.rstd};
  const scatter_plan *plans[EMBEDDING_TABLES] = {&e->batch.words, &e->batch.places,
                                                 &e->batch.kinds};
  if (e->project_reached) {
    const cdl_tensor none = {0}, d_embedded = e->embeddings_trained ? e->act.d_embedded : none;
    linear_backward(all_lanes(e), q, &e->project, d_embedded, false, d_h, e->act.embedded, none,
                    CDL_ACTIVATION_NONE, ROWS_TOKENS);
    d_h = d_embedded;
  }
  if (!e->embeddings_trained)
    return;
  encoder_drop(all_lanes(e), q, d_h, d_h, embedded_place, 0, ROWS_TOKENS);
  norm_backward(q, d_h, true, &norm, e->embedding_norm);
  for (int t = 0; t < EMBEDDING_TABLES; t++)
    if (e->tables[t] != NULL && e->tables[t]->trained && plans[t]->target.size[3] > 0)
      scatter(q, e->tables[t]->gradient, d_h, plans[t]);
}

/* ---- Blocks ---- */

static cdl_dropout_mask attention_place(const model_encoder *lane, int layer)
{
  return encoder_mask(lane, lane->dropout.attention, CDL_RANDOM_DROPOUT_ATTENTION, layer);
}

static cdl_dropout_mask attended_place(const model_encoder *lane, int layer)
{
  return encoder_mask(lane, lane->family->drops_attended ? lane->dropout.hidden : 0,
                      CDL_RANDOM_DROPOUT_ATTENTION_OUT, layer);
}

static cdl_dropout_mask feed_forward_place(const model_encoder *lane, int layer)
{
  return encoder_mask(lane, lane->dropout.hidden, CDL_RANDOM_DROPOUT_FEED_FORWARD, layer);
}

static float attention_scale(const model_encoder *e)
{
  const double head_size = (double)(e->config.hidden_size / e->config.heads);
  return (float)(1 / __builtin_sqrt(head_size));
}

/* Lanes share no sequence: each attends by itself. */
static void attention_forward(const model_encoder *e, cdl_queue *q, int layer)
{
  const block_activations *a = &e->act.block[layer];
  int64_t first = 0;
  for (size_t l = 0; l < e->lane_count; l++) {
    const model_encoder *lane = e->lanes[l];
    const int64_t count = lane_row_count(lane, ROWS_TOKENS);
    cdl_attention(q, CDL_ARGS(attention, .out = cdl_tensor_rows(a->context, first, count),
                              .qkv = cdl_tensor_rows(a->qkv, first, count),
                              .log_sum = e->training ? lane->own.log_sum[layer] : (cdl_tensor){0},
                              .packing = &lane->batch.packing, .heads = (int32_t)e->config.heads,
                              .scale = attention_scale(e), .mask = attention_place(lane, layer)));
    first += count;
  }
}

static void attention_backward(const model_encoder *e, cdl_queue *q, int layer, cdl_tensor d_qkv,
                               cdl_tensor d_context)
{
  const block_activations *a = &e->act.block[layer];
  int64_t first = 0;
  for (size_t l = 0; l < e->lane_count; l++) {
    const model_encoder *lane = e->lanes[l];
    const int64_t count = lane_row_count(lane, ROWS_TOKENS);
    cdl_attention_grad(q,
                       CDL_ARGS(attention_grad, .d_qkv = cdl_tensor_rows(d_qkv, first, count),
                                .d_out = cdl_tensor_rows(d_context, first, count),
                                .qkv = cdl_tensor_rows(a->qkv, first, count),
                                .log_sum = lane->own.log_sum[layer],
                                .packing = &lane->batch.packing, .heads = (int32_t)e->config.heads,
                                .scale = attention_scale(e), .mask = attention_place(lane, layer)));
    first += count;
  }
}

/* out [sequences, n]: the first tokens of x [tokens, n]. */
static void gather_firsts(const model_encoder *e, cdl_queue *q, cdl_tensor out, cdl_tensor x)
{
  int64_t token = 0, sequence = 0;
  for (size_t l = 0; l < e->lane_count; l++) {
    const model_encoder *lane = e->lanes[l];
    const int64_t tokens = lane_row_count(lane, ROWS_TOKENS),
                  sequences = lane_row_count(lane, ROWS_SEQUENCES);
    cdl_gather_rows(q, CDL_ARGS(gather_rows, .out = cdl_tensor_rows(out, sequence, sequences),
                                .table = cdl_tensor_rows(x, token, tokens),
                                .index = lane->batch.first_rows));
    token += tokens;
    sequence += sequences;
  }
}

/* x [tokens, n] += d [sequences, n] in the rows of first tokens. */
static void scatter_firsts(const model_encoder *e, cdl_queue *q, cdl_tensor x, cdl_tensor d)
{
  int64_t token = 0, sequence = 0;
  for (size_t l = 0; l < e->lane_count; l++) {
    const model_encoder *lane = e->lanes[l];
    const int64_t tokens = lane_row_count(lane, ROWS_TOKENS),
                  sequences = lane_row_count(lane, ROWS_SEQUENCES);
    scatter(q, cdl_tensor_rows(x, token, tokens), cdl_tensor_rows(d, sequence, sequences),
            &lane->batch.firsts);
    token += tokens;
    sequence += sequences;
  }
}

/* One post-norm Transformer block: h ← LN(h + SelfAttention(h)), h ← LN(h + FFN(h)). In the last,
 * everything after the attention is computed for each sequence's first token alone. */
static void block_forward(const model_encoder *e, cdl_queue *q, int layer)
{
  const block_weights *w = &e->blocks[layer];
  const block_activations *a = &e->act.block[layer];
  const row_kind rows = layer == e->config.layers - 1 ? ROWS_SEQUENCES : ROWS_TOKENS;
  const lane_list lanes = all_lanes(e);
  const cdl_tensor none = {0};

  linear_forward(lanes, q, &w->qkv, a->qkv, none, a->in, CDL_ACTIVATION_NONE, ROWS_TOKENS);
  attention_forward(e, q, layer);
  if (rows == ROWS_SEQUENCES) {
    gather_firsts(e, q, a->selected, a->context);
    gather_firsts(e, q, a->residual, a->in);
  }

  const cdl_tensor attended = a->attention_norm.sum;
  linear_forward(lanes, q, &w->attention_out, attended, none, a->selected, CDL_ACTIVATION_NONE,
                 rows);
  encoder_drop(lanes, q, attended, attended, attended_place, layer, rows);
  add_norm_forward(e, q, a->normed, &a->attention_norm, attended, a->residual, w->attention_norm);

  linear_forward(lanes, q, &w->intermediate, a->activated, a->pre, a->normed, e->config.activation,
                 rows);
  const cdl_tensor y = a->output_norm.sum;
  linear_forward(lanes, q, &w->output, y, none, a->activated, CDL_ACTIVATION_NONE, rows);
  encoder_drop(lanes, q, y, y, feed_forward_place, layer, rows);
  add_norm_forward(e, q, a->out, &a->output_norm, y, a->normed, w->output_norm);
}

/* d_h [rows, hidden]: the gradient of `out`, replaced by that of the block's input; returns where
 * that is, [tokens, hidden]. Stops as soon as nothing below is trained. */
static cdl_tensor block_backward(const model_encoder *e, cdl_queue *q, int layer, cdl_tensor d_h)
{
  const block_weights *w = &e->blocks[layer];
  const block_activations *a = &e->act.block[layer];
  const activations *s = &e->act;
  const row_kind rows = layer == e->config.layers - 1 ? ROWS_SEQUENCES : ROWS_TOKENS;
  const int64_t row_count = d_h.size[2];
  const lane_list lanes = all_lanes(e);
  const cdl_tensor none = {0};

  norm_backward(q, d_h, w->below_output_norm, &a->output_norm, w->output_norm);
  if (!w->below_output_norm)
    return d_h;
  cdl_tensor d_y = encoder_drop(lanes, q, cdl_tensor_rows(s->d_branch, 0, row_count), d_h,
                                feed_forward_place, layer, rows);
  const cdl_tensor d_pre = w->below_output ? scratch_like(s->d_wide, a->pre) : none;
  linear_backward(lanes, q, &w->output, d_pre, false, d_y, a->activated, a->pre,
                  e->config.activation, rows);
  if (!w->below_output)
    return d_h;
  linear_backward(lanes, q, &w->intermediate, w->below_intermediate ? d_h : none, true, d_pre,
                  a->normed, none, CDL_ACTIVATION_NONE, rows);
  if (!w->below_intermediate)
    return d_h;

  norm_backward(q, d_h, w->below_attention_norm, &a->attention_norm, w->attention_norm);
  if (!w->below_attention_norm)
    return d_h;
  d_y = encoder_drop(lanes, q, cdl_tensor_rows(s->d_branch, 0, row_count), d_h, attended_place,
                     layer, rows);
  /* The wide scratch is free again: the gradient of the attention's output takes its place. */
  const cdl_tensor d_context = scratch_like(s->d_wide, a->context);
  const cdl_tensor d_selected = rows == ROWS_TOKENS ? d_context : s->d_rows;
  linear_backward(lanes, q, &w->attention_out, w->below_attention_out ? d_selected : none, false,
                  d_y, a->selected, none, CDL_ACTIVATION_NONE, rows);
  if (!w->below_attention_out)
    return d_h;
  if (rows == ROWS_SEQUENCES) {
    cdl_fill(q, CDL_ARGS(fill, .out = d_context));
    scatter_firsts(e, q, d_context, d_selected);
  }
  attention_backward(e, q, layer, s->d_qkv, d_context);

  const bool scattered = rows == ROWS_SEQUENCES;
  const cdl_tensor d_in = scattered ? s->d_hidden : d_h;
  linear_backward(lanes, q, &w->qkv, w->below_qkv ? d_in : none, !scattered, s->d_qkv, a->in, none,
                  CDL_ACTIVATION_NONE, ROWS_TOKENS);
  if (scattered && w->below_qkv)
    scatter_firsts(e, q, d_in, d_h);
  return d_in;
}

/* ---- The head, every lane's its own ---- */

static cdl_dropout_mask head_place(const model_encoder *lane, int number)
{
  return encoder_mask(lane, lane->dropout.classifier, CDL_RANDOM_DROPOUT_CLASSIFIER, number);
}

/* out(drop(f(dense(h)))): f and the layers are the family's, and whether h is dropped from too. */
static void head_forward(model_encoder *e, cdl_queue *q, cdl_tensor h)
{
  own_activations *a = &e->own;
  const lane_list alone = {&e, 1};
  if (e->family->head_drops_input)
    h = encoder_drop(alone, q, a->head_input, h, head_place, 0, ROWS_SEQUENCES);
  a->head_input = h;
  linear_forward(alone, q, &e->head_dense, a->pooled, a->pooled_pre, h, e->family->head_activation,
                 ROWS_SEQUENCES);
  encoder_drop(alone, q, a->pooled, a->pooled, head_place, 1, ROWS_SEQUENCES);
  linear_forward(alone, q, &e->head_out, a->logits, (cdl_tensor){0}, a->pooled, CDL_ACTIVATION_NONE,
                 ROWS_SEQUENCES);
}

/* An absent d_h is not wanted. */
static void head_backward(model_encoder *e, cdl_queue *q, cdl_tensor d_h)
{
  const own_activations *a = &e->own;
  const lane_list alone = {&e, 1};
  const cdl_tensor none = {0};
  const cdl_activation activation = e->family->head_activation;
  const bool dropped = head_place(e, 1).probability > 0;
  const bool below_out = cdl_tensor_present(d_h) || projection_trained(alone, &e->head_dense);
  linear_backward(alone, q, &e->head_out, below_out ? a->d_pooled : none, false, a->d_logits,
                  a->pooled, dropped ? none : a->pooled_pre,
                  dropped ? CDL_ACTIVATION_NONE : activation, ROWS_SEQUENCES);
  if (!below_out)
    return;
  if (dropped) {
    encoder_drop(alone, q, a->d_pooled, a->d_pooled, head_place, 1, ROWS_SEQUENCES);
    cdl_unary_grad(q, CDL_ARGS(unary_grad, .d_x = a->d_pooled, .d_out = a->d_pooled,
                               .x = a->pooled_pre, .activation = activation));
  }
  linear_backward(alone, q, &e->head_dense, d_h, false, a->d_pooled, a->head_input, none,
                  CDL_ACTIVATION_NONE, ROWS_SEQUENCES);
  if (cdl_tensor_present(d_h) && e->family->head_drops_input)
    encoder_drop(alone, q, d_h, d_h, head_place, 0, ROWS_SEQUENCES);
}

/* ---- The whole ---- */

void encoder_capture_hidden(model_encoder *e, cdl_tensor states)
{
  e->states = states;
}

static void keep_states(const model_encoder *e, cdl_queue *q, int layer)
{
  const cdl_tensor out = e->act.block[layer].out, all = e->states;
  const cdl_tensor kept = cdl_tensor_2d(all.buffer, all.dtype, all.offset + layer * all.stride[1],
                                        lane_row_count(e, ROWS_SEQUENCES), e->config.hidden_size);
  if (layer == e->config.layers - 1)
    cdl_copy(q, CDL_ARGS(copy, .out = kept, .x = out));
  else
    gather_firsts(e, q, kept, out);
}

static void forward(model_encoder *e, cdl_queue *q)
{
  encoder_batch_limits batches[ENCODER_JOINT_MAX];
  for (size_t l = 0; l < e->lane_count; l++) {
    const cdl_packing *p = &e->lanes[l]->batch.packing;
    batches[l] = (encoder_batch_limits){
        .tokens = p->tokens, .sequences = p->sequences, .longest = p->longest};
  }
  encoder_lay_out(all_lanes(e), batches, e->training, true);

  embeddings_forward(e, q, e->act.block[0].in);
  for (int l = 0; l < e->config.layers; l++) {
    block_forward(e, q, l);
    if (cdl_tensor_present(e->states) && !e->training)
      keep_states(e, q, l);
  }
  int64_t first = 0;
  for (size_t l = 0; l < e->lane_count; l++) {
    const int64_t count = lane_row_count(e->lanes[l], ROWS_SEQUENCES);
    head_forward(e->lanes[l], q,
                 cdl_tensor_rows(e->act.block[e->config.layers - 1].out, first, count));
    first += count;
  }
}

static void prepare(model_encoder *lane, const encoder_dropout_rates *dropout, cdl_tensor step,
                    bool training)
{
  lane->training = training;
  lane->dropout = *dropout;
  lane->step = step;
}

cdl_tensor encoder_forward(model_encoder *e, cdl_queue *q, const encoder_dropout_rates *dropout,
                           cdl_tensor step, bool training)
{
  prepare(e, dropout, step, training);
  forward(e, q);
  return e->own.logits;
}

void encoder_forward_joint(model_encoder *e, cdl_queue *q, const encoder_dropout_rates *dropout,
                           const cdl_tensor *step)
{
  for (size_t l = 0; l < e->lane_count; l++)
    prepare(e->lanes[l], &dropout[l], step[l], true);
  forward(e, q);
}

cdl_tensor encoder_logits(const model_encoder *e)
{
  return e->own.logits;
}

cdl_tensor encoder_d_logits(const model_encoder *encoder)
{
  return encoder->own.d_logits;
}

void encoder_backward(model_encoder *e, cdl_queue *q)
{
  cdl_tensor d_h = e->body_reached ? e->act.d_first : (cdl_tensor){0};
  int64_t first = 0;
  for (size_t l = 0; l < e->lane_count; l++) {
    const int64_t count = lane_row_count(e->lanes[l], ROWS_SEQUENCES);
    head_backward(e->lanes[l], q, e->body_reached ? cdl_tensor_rows(d_h, first, count) : d_h);
    first += count;
  }
  for (int l = (int)e->config.layers - 1; l >= 0 && e->blocks[l].reached; l--)
    d_h = block_backward(e, q, l, d_h);
  if (e->embeddings_trained || e->project_reached)
    embeddings_backward(e, q, d_h);
}
