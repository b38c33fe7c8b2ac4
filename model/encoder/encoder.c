/* The encoder's computation. Below each part's forward pass is its backward pass, in reverse order,
 * with d_ names. */
#include "model/encoder/linear.h"
#include "model/encoder/shards.h"

/* ---- Layer norms ---- */

/* A layer norm of a sum of which one part is dropped: the places of the members' masks, and the
 * weights. */
typedef struct {
  encoder_dropout_mask_fn *mask_of;
  int number;
  encoder_rows rows;
  norm_weights weights;
} dropped_norm;

/* Rows [first, first + count) with one mask; packing is that of the member whose rows these are. */
static void add_norm_rows(const model_encoder *e, cdl_queue *q, cdl_tensor out,
                          const norm_activations *a, cdl_tensor residual, const dropped_norm *n,
                          const model_encoder *member, int64_t first, int64_t count)
{
  const cdl_dropout_mask mask = n->mask_of(member, n->number);
  const bool drops = mask.probability > 0;
  const cdl_tensor sum = cdl_tensor_rows(a->sum, first, count);
  cdl_add_layer_norm(q,
                     CDL_ARGS(add_layer_norm, .out = cdl_tensor_rows(out, first, count), .sum = sum,
                              .x = sum, .residual = cdl_tensor_rows(residual, first, count),
                              .gain = n->weights.gain->value, .bias = n->weights.bias->value,
                              .mean = cdl_tensor_columns(a->mean, first, count),
                              .rstd = cdl_tensor_columns(a->rstd, first, count),
                              .epsilon = (float)e->config.layer_norm_epsilon,
                              .mask = drops ? mask : (cdl_dropout_mask){0},
                              .packing = drops ? &member->batch.packing : NULL,
                              .per_sequence = drops && n->rows == ROWS_SEQUENCES));
}

/* out = LN(dropout(x) + residual); x is where the sum will be. Members that drop nothing share a
 * pass; else each has its own, with its own mask. */
static void add_norm_forward(const model_encoder *e, cdl_queue *q, cdl_tensor out,
                             const norm_activations *a, cdl_tensor residual, const dropped_norm *n)
{
  if (!encoder_drops(encoder_all_members(e), n->mask_of, n->number)) {
    add_norm_rows(e, q, out, a, residual, n, e->members[0], 0, out.size[2]);
    return;
  }
  int64_t first = 0;
  for (size_t k = 0; k < e->member_count; k++) {
    const int64_t count = encoder_row_count(e->members[k], n->rows);
    add_norm_rows(e, q, out, a, residual, n, e->members[k], first, count);
    first += count;
  }
}

/* Gradients of a norm's gain and bias. */
typedef struct {
  cdl_tensor gain, bias; /* absent: not wanted */
} norm_gradients;

/* Returns where the norm's backward pass adds them. With shards they are added here, before that
 * pass overwrites d_h, and nothing is left to it. */
static norm_gradients norm_sums(const model_encoder *member, cdl_queue *q, cdl_tensor d_h,
                                const norm_activations *a, norm_weights w, encoder_rows rows)
{
  const cdl_tensor none = {0};
  const norm_gradients wanted = {w.gain->trained ? w.gain->gradient : none,
                                 w.bias->trained ? w.bias->gradient : none};
  if (member->shards.count == 0 || !(w.gain->trained || w.bias->trained))
    return wanted;
  encoder_shard shard = {.member = member};
  while (encoder_next_shard(&shard, rows, d_h.size[2]))
    cdl_layer_norm_grad(q, CDL_ARGS(layer_norm_grad,
                                    .d_gain = encoder_shard_gradient(&shard, wanted.gain),
                                    .d_bias = encoder_shard_gradient(&shard, wanted.bias),
                                    .d_out = encoder_shard_rows(&shard, d_h),
                                    .x = encoder_shard_rows(&shard, a->sum), .gain = w.gain->value,
                                    .mean = encoder_shard_columns(&shard, a->mean),
                                    .rstd = encoder_shard_columns(&shard, a->rstd)));
  return (norm_gradients){none, none};
}

/* In place: the gradient of the sum replaces that of the output. `wanted`: something before the
 * norm is trained. */
static void norm_backward(const model_encoder *e, cdl_queue *q, cdl_tensor d_h, bool wanted,
                          const norm_activations *a, norm_weights w, encoder_rows rows)
{
  const norm_gradients sums = norm_sums(e, q, d_h, a, w, rows);
  cdl_layer_norm_grad(q,
                      CDL_ARGS(layer_norm_grad, .d_x = wanted ? d_h : (cdl_tensor){0},
                               .d_gain = sums.gain, .d_bias = sums.bias, .d_out = d_h, .x = a->sum,
                               .gain = w.gain->value, .mean = a->mean, .rstd = a->rstd));
}

/* The gradient of a sum, in place, and of the part that was dropped. Returns the latter, in `part`
 * unless nothing was dropped. */
static cdl_tensor add_norm_backward(const model_encoder *e, cdl_queue *q, cdl_tensor d_h,
                                    cdl_tensor part, const norm_activations *a,
                                    const dropped_norm *n)
{
  const norm_weights w = n->weights;
  if (!encoder_drops(encoder_all_members(e), n->mask_of, n->number)) {
    norm_backward(e, q, d_h, true, a, w, n->rows);
    return d_h;
  }
  int64_t first = 0;
  for (size_t k = 0; k < e->member_count; k++) {
    const model_encoder *member = e->members[k];
    const int64_t count = encoder_row_count(member, n->rows);
    const cdl_tensor d_sum = cdl_tensor_rows(d_h, first, count);
    const norm_activations own = {.sum = cdl_tensor_rows(a->sum, first, count),
                                  .mean = cdl_tensor_columns(a->mean, first, count),
                                  .rstd = cdl_tensor_columns(a->rstd, first, count)};
    const norm_gradients sums = norm_sums(member, q, d_sum, &own, w, n->rows);
    cdl_add_layer_norm_grad(
        q, CDL_ARGS(add_layer_norm_grad, .d_x = cdl_tensor_rows(part, first, count), .d_sum = d_sum,
                    .d_gain = sums.gain, .d_bias = sums.bias, .d_out = d_sum, .sum = own.sum,
                    .gain = w.gain->value, .mean = own.mean, .rstd = own.rstd,
                    .mask = n->mask_of(member, n->number), .packing = &member->batch.packing,
                    .per_sequence = n->rows == ROWS_SEQUENCES));
    first += count;
  }
  return part;
}

/* ---- Embeddings ---- */

static cdl_dropout_mask embedding_dropout(const model_encoder *member, int number)
{
  return encoder_mask(member, member->dropout.from_block == 0 ? member->dropout.hidden : 0,
                      CDL_RANDOM_DROPOUT_EMBEDDING, number);
}

/* h = drop(LN(word + position + type)), then projected if the embeddings have another width. */
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
  encoder_drop(encoder_all_members(e), q, out, out, embedding_dropout, 0, ROWS_TOKENS);
  if (projected)
    encoder_linear_forward(
        q, &(encoder_linear_pass){
               .members = encoder_all_members(e), .p = &e->project, .x = out, .out = h});
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
  if (e->project_reached) {
    const cdl_tensor d_embedded = e->embeddings_trained ? e->act.d_embedded : (cdl_tensor){0};
    encoder_linear_backward(q, &(encoder_linear_gradients){.members = encoder_all_members(e),
                                                           .p = &e->project,
                                                           .x = e->act.embedded,
                                                           .d_out = d_h,
                                                           .d_x = d_embedded});
    d_h = d_embedded;
  }
  if (!e->embeddings_trained)
    return;
  encoder_drop(encoder_all_members(e), q, d_h, d_h, embedding_dropout, 0, ROWS_TOKENS);
  norm_backward(e, q, d_h, true, &norm, e->embedding_norm, ROWS_TOKENS);
  for (int t = 0; t < EMBEDDING_TABLES; t++)
    if (e->tables[t] != NULL && e->tables[t]->trained && e->batch.table[t].target.size[3] > 0)
      scatter(q, encoder_table_sums_of(e, e->tables[t]).rows, d_h, &e->batch.table[t]);
}

/* ---- Blocks ---- */

/* Returns the rate in a block, which is 0 below the first block that drops. */
static float block_rate(const model_encoder *member, float rate, int layer)
{
  return layer >= member->dropout.from_block ? rate : 0;
}

static cdl_dropout_mask attention_dropout(const model_encoder *member, int layer)
{
  return encoder_mask(member, block_rate(member, member->dropout.attention, layer),
                      CDL_RANDOM_DROPOUT_ATTENTION, layer);
}

static cdl_dropout_mask attention_out_dropout(const model_encoder *member, int layer)
{
  return encoder_mask(
      member,
      member->family->drops_attended ? block_rate(member, member->dropout.hidden, layer) : 0,
      CDL_RANDOM_DROPOUT_ATTENTION_OUT, layer);
}

static cdl_dropout_mask feed_forward_dropout(const model_encoder *member, int layer)
{
  return encoder_mask(member, block_rate(member, member->dropout.hidden, layer),
                      CDL_RANDOM_DROPOUT_FEED_FORWARD, layer);
}

static float attention_scale(const model_encoder *e)
{
  const double head_size = (double)(e->config.hidden_size / e->config.heads);
  return (float)(1 / __builtin_sqrt(head_size));
}

/* Members share no sequence, so each computes attention on its own rows. */
static void attention_forward(const model_encoder *e, cdl_queue *q, int layer)
{
  const block_activations *a = &e->act.block[layer];
  int64_t first = 0;
  for (size_t l = 0; l < e->member_count; l++) {
    const model_encoder *member = e->members[l];
    const int64_t count = encoder_row_count(member, ROWS_TOKENS);
    cdl_attention(q, CDL_ARGS(attention, .out = cdl_tensor_rows(a->context, first, count),
                              .qkv = cdl_tensor_rows(a->qkv, first, count),
                              .log_sum = e->training ? member->own.log_sum[layer] : (cdl_tensor){0},
                              .packing = &member->batch.packing, .heads = (int32_t)e->config.heads,
                              .scale = attention_scale(e), .mask = attention_dropout(member, layer),
                              .bias = e->act.distance_bias));
    first += count;
  }
}

/* Gradients of attention's input and output in a block; the members' rows are end to end. */
typedef struct {
  int layer;
  cdl_tensor d_qkv, d_context;
} attention_gradients;

/* The rows of a packing, `first` among all rows and `own` among the member's. */
static void attention_backward_rows(const model_encoder *e, cdl_queue *q,
                                    const attention_gradients *g, const model_encoder *member,
                                    const cdl_packing *packing, int64_t first, int64_t own)
{
  const block_activations *a = &e->act.block[g->layer];
  const bool narrow = e->act.dtype != CDL_DTYPE_F32; /* the output was kept */
  const int64_t count = packing->tokens;
  cdl_attention_grad(
      q, CDL_ARGS(attention_grad, .d_qkv = cdl_tensor_rows(g->d_qkv, first, count),
                  .d_out = cdl_tensor_rows(g->d_context, first, count),
                  .qkv = cdl_tensor_rows(a->qkv, first, count),
                  .log_sum = cdl_tensor_columns(member->own.log_sum[g->layer], own, count),
                  .packing = packing, .heads = (int32_t)e->config.heads,
                  .scale = attention_scale(e), .mask = attention_dropout(member, g->layer),
                  .bias = e->act.distance_bias, .d_bias = e->act.d_distance_bias,
                  .out = narrow ? cdl_tensor_rows(a->context, first, count) : (cdl_tensor){0}));
}

static void attention_backward(const model_encoder *e, cdl_queue *q, const attention_gradients *g)
{
  const cdl_tensor d_bias = e->act.d_distance_bias;
  int64_t first = 0;
  for (size_t l = 0; l < e->member_count; l++) {
    const model_encoder *member = e->members[l];
    const int64_t count = encoder_row_count(member, ROWS_TOKENS);
    encoder_shard shard = {.member = member};
    if (!cdl_tensor_present(d_bias)) /* each row is its own: shards need not be apart */
      attention_backward_rows(e, q, g, member, &member->batch.packing, first, 0);
    while (cdl_tensor_present(d_bias) && encoder_next_shard(&shard, ROWS_TOKENS, count)) {
      const cdl_packing packing = encoder_shard_packing(&shard);
      cdl_fill(q, CDL_ARGS(fill, .out = d_bias));
      attention_backward_rows(e, q, g, member, &packing, first + shard.first, shard.first);
      encoder_distance_bias_grad(q, &e->distances,
                                 encoder_shard_gradient(&shard, e->distance_table->gradient),
                                 e->act.distance_rows, d_bias);
    }
    first += count;
  }
}

/* out [sequences, n] = the rows of first tokens in x [tokens, n]. */
static void gather_firsts(const model_encoder *e, cdl_queue *q, cdl_tensor out, cdl_tensor x)
{
  int64_t token = 0, sequence = 0;
  for (size_t l = 0; l < e->member_count; l++) {
    const model_encoder *member = e->members[l];
    const int64_t tokens = encoder_row_count(member, ROWS_TOKENS),
                  sequences = encoder_row_count(member, ROWS_SEQUENCES);
    cdl_gather_rows(q, CDL_ARGS(gather_rows, .out = cdl_tensor_rows(out, sequence, sequences),
                                .table = cdl_tensor_rows(x, token, tokens),
                                .index = member->batch.first_rows));
    token += tokens;
    sequence += sequences;
  }
}

/* x [tokens, n] += d [sequences, n] in the rows of first tokens. */
static void scatter_firsts(const model_encoder *e, cdl_queue *q, cdl_tensor x, cdl_tensor d)
{
  int64_t token = 0, sequence = 0;
  for (size_t l = 0; l < e->member_count; l++) {
    const model_encoder *member = e->members[l];
    const int64_t tokens = encoder_row_count(member, ROWS_TOKENS),
                  sequences = encoder_row_count(member, ROWS_SEQUENCES);
    scatter(q, cdl_tensor_rows(x, token, tokens), cdl_tensor_rows(d, sequence, sequences),
            &member->batch.firsts);
    token += tokens;
    sequence += sequences;
  }
}

/* One post-norm Transformer block: h ← LN(h + SelfAttention(h)), h ← LN(h + FFN(h)). In the last
 * block everything after the attention is computed only for the first token of each sequence. */
static void block_forward(const model_encoder *e, cdl_queue *q, int layer)
{
  const block_weights *w = &e->blocks[layer];
  const block_activations *a = &e->act.block[layer];
  const encoder_rows rows = layer == e->config.layers - 1 ? ROWS_SEQUENCES : ROWS_TOKENS;
  const encoder_members members = encoder_all_members(e);

  encoder_linear_forward(
      q, &(encoder_linear_pass){.members = members, .p = &w->qkv, .x = a->in, .out = a->qkv});
  attention_forward(e, q, layer);
  if (rows == ROWS_SEQUENCES) {
    gather_firsts(e, q, a->selected, a->context);
    gather_firsts(e, q, a->residual, a->in);
  }

  const cdl_tensor attended = a->attention_norm.sum;
  encoder_linear_forward(q, &(encoder_linear_pass){.members = members,
                                                   .p = &w->attention_out,
                                                   .rows = rows,
                                                   .x = a->selected,
                                                   .out = attended});
  add_norm_forward(e, q, a->normed, &a->attention_norm, a->residual,
                   &(dropped_norm){attention_out_dropout, layer, rows, w->attention_norm});

  encoder_linear_forward(q, &(encoder_linear_pass){.members = members,
                                                   .p = &w->intermediate,
                                                   .rows = rows,
                                                   .activation = e->config.activation,
                                                   .x = a->normed,
                                                   .pre = a->pre,
                                                   .out = a->activated});
  const cdl_tensor y = a->output_norm.sum;
  encoder_linear_forward(
      q, &(encoder_linear_pass){
             .members = members, .p = &w->output, .rows = rows, .x = a->activated, .out = y});
  add_norm_forward(e, q, a->out, &a->output_norm, a->normed,
                   &(dropped_norm){feed_forward_dropout, layer, rows, w->output_norm});
}

/* d_h [rows, hidden] is the gradient of `out`; the gradient of the block's input replaces it.
 * Returns where that gradient is, [tokens, hidden]. Stops as soon as nothing below is trained. */
static cdl_tensor block_backward(const model_encoder *e, cdl_queue *q, int layer, cdl_tensor d_h)
{
  const block_weights *w = &e->blocks[layer];
  const block_activations *a = &e->act.block[layer];
  const activations *s = &e->act;
  const encoder_rows rows = layer == e->config.layers - 1 ? ROWS_SEQUENCES : ROWS_TOKENS;
  const int64_t row_count = d_h.size[2];
  const encoder_members members = encoder_all_members(e);
  const cdl_tensor none = {0};

  const cdl_tensor part = cdl_tensor_rows(s->d_branch, 0, row_count);
  if (!w->below_output_norm) {
    norm_backward(e, q, d_h, false, &a->output_norm, w->output_norm, rows);
    return d_h;
  }
  cdl_tensor d_y =
      add_norm_backward(e, q, d_h, part, &a->output_norm,
                        &(dropped_norm){feed_forward_dropout, layer, rows, w->output_norm});
  const cdl_tensor d_pre = w->below_output ? encoder_scratch_like(s->d_wide, a->pre) : none;
  encoder_linear_backward(q, &(encoder_linear_gradients){.members = members,
                                                         .p = &w->output,
                                                         .rows = rows,
                                                         .activation = e->config.activation,
                                                         .x = a->activated,
                                                         .pre = a->pre,
                                                         .d_out = d_y,
                                                         .d_x = d_pre});
  if (!w->below_output)
    return d_h;
  encoder_linear_backward(q, &(encoder_linear_gradients){.members = members,
                                                         .p = &w->intermediate,
                                                         .rows = rows,
                                                         .x = a->normed,
                                                         .d_out = d_pre,
                                                         .d_x = w->below_intermediate ? d_h : none,
                                                         .accumulate = true});
  if (!w->below_intermediate)
    return d_h;

  if (!w->below_attention_norm) {
    norm_backward(e, q, d_h, false, &a->attention_norm, w->attention_norm, rows);
    return d_h;
  }
  d_y = add_norm_backward(e, q, d_h, part, &a->attention_norm,
                          &(dropped_norm){attention_out_dropout, layer, rows, w->attention_norm});
  /* The wide scratch is free again and takes the gradient of the attention's output. */
  const cdl_tensor d_context = encoder_scratch_like(s->d_wide, a->context);
  const cdl_tensor d_selected = rows == ROWS_TOKENS ? d_context : s->d_rows;
  encoder_linear_backward(
      q, &(encoder_linear_gradients){.members = members,
                                     .p = &w->attention_out,
                                     .rows = rows,
                                     .x = a->selected,
                                     .d_out = d_y,
                                     .d_x = w->below_attention_out ? d_selected : none});
  if (!w->below_attention_out)
    return d_h;
  if (rows == ROWS_SEQUENCES) {
    cdl_fill(q, CDL_ARGS(fill, .out = d_context));
    scatter_firsts(e, q, d_context, d_selected);
  }
  attention_backward(e, q, &(attention_gradients){layer, s->d_qkv, d_context});

  const bool scattered = rows == ROWS_SEQUENCES;
  const cdl_tensor d_in = scattered ? s->d_hidden : d_h;
  encoder_linear_backward(q, &(encoder_linear_gradients){.members = members,
                                                         .p = &w->qkv,
                                                         .x = a->in,
                                                         .d_out = s->d_qkv,
                                                         .d_x = w->below_qkv ? d_in : none,
                                                         .accumulate = !scattered});
  if (scattered && w->below_qkv)
    scatter_firsts(e, q, d_in, d_h);
  return d_in;
}

/* ---- The head, separate for each member ---- */

static cdl_dropout_mask head_dropout(const model_encoder *member, int number)
{
  return encoder_mask(member, member->dropout.classifier, CDL_RANDOM_DROPOUT_CLASSIFIER, number);
}

/* out(drop(f(dense(h)))). The family decides f, the layers, and whether h has dropout too. The head
 * is computed in F32, whatever the type of h. */
static void head_forward(model_encoder *e, cdl_queue *q, cdl_tensor h)
{
  own_activations *a = &e->own;
  const encoder_members alone = {&e, 1};
  if (h.dtype != CDL_DTYPE_F32) {
    cdl_cast(q, CDL_ARGS(cast, .out = a->head_input, .x = h));
    h = a->head_input;
  }
  if (e->family->head_drops_input)
    h = encoder_drop(alone, q, a->head_input, h, head_dropout, 0, ROWS_SEQUENCES);
  a->head_input = h;
  encoder_linear_forward(q, &(encoder_linear_pass){.members = alone,
                                                   .p = &e->head_dense,
                                                   .rows = ROWS_SEQUENCES,
                                                   .activation = e->family->head_activation,
                                                   .x = h,
                                                   .pre = a->pooled_pre,
                                                   .out = a->pooled});
  encoder_drop(alone, q, a->pooled, a->pooled, head_dropout, 1, ROWS_SEQUENCES);
  encoder_linear_forward(q, &(encoder_linear_pass){.members = alone,
                                                   .p = &e->head_out,
                                                   .rows = ROWS_SEQUENCES,
                                                   .x = a->pooled,
                                                   .out = a->logits});
}

/* d_body, the gradient of the body's output, may be absent; it is not computed then. */
static void head_backward(model_encoder *e, cdl_queue *q, cdl_tensor d_body)
{
  const own_activations *a = &e->own;
  const bool converts = cdl_tensor_present(d_body) && d_body.dtype != CDL_DTYPE_F32;
  const cdl_tensor d_h = converts ? a->d_head_input : d_body;
  const encoder_members alone = {&e, 1};
  const cdl_tensor none = {0};
  const cdl_activation activation = e->family->head_activation;
  const bool dropped = head_dropout(e, 1).probability > 0;
  const bool below_out = cdl_tensor_present(d_h) || projection_trained(alone, &e->head_dense);
  encoder_linear_backward(
      q, &(encoder_linear_gradients){.members = alone,
                                     .p = &e->head_out,
                                     .rows = ROWS_SEQUENCES,
                                     .activation = dropped ? CDL_ACTIVATION_NONE : activation,
                                     .x = a->pooled,
                                     .pre = dropped ? none : a->pooled_pre,
                                     .d_out = a->d_logits,
                                     .d_x = below_out ? a->d_pooled : none});
  if (!below_out)
    return;
  if (dropped) {
    encoder_drop(alone, q, a->d_pooled, a->d_pooled, head_dropout, 1, ROWS_SEQUENCES);
    cdl_unary_grad(q, CDL_ARGS(unary_grad, .d_x = a->d_pooled, .d_out = a->d_pooled,
                               .x = a->pooled_pre, .activation = activation));
  }
  encoder_linear_backward(q, &(encoder_linear_gradients){.members = alone,
                                                         .p = &e->head_dense,
                                                         .rows = ROWS_SEQUENCES,
                                                         .x = a->head_input,
                                                         .d_out = a->d_pooled,
                                                         .d_x = d_h});
  if (cdl_tensor_present(d_h) && e->family->head_drops_input)
    encoder_drop(alone, q, d_h, d_h, head_dropout, 0, ROWS_SEQUENCES);
  if (converts)
    cdl_cast(q, CDL_ARGS(cast, .out = d_body, .x = d_h));
}

/* ---- The whole model ---- */

void encoder_capture_hidden(model_encoder *e, cdl_tensor states)
{
  e->states = states;
}

static void keep_states(const model_encoder *e, cdl_queue *q, int layer)
{
  const cdl_tensor out = e->act.block[layer].out, all = e->states;
  const cdl_tensor kept =
      cdl_tensor_2d(all.buffer, all.dtype, all.offset + layer * all.stride[1],
                    encoder_row_count(e, ROWS_SEQUENCES), e->config.hidden_size);
  if (layer == e->config.layers - 1)
    cdl_cast(q, CDL_ARGS(cast, .out = kept, .x = out));
  else
    gather_firsts(e, q, kept, out);
}

/* Runs blocks [first, end), from 0 on with the embeddings. */
static void body_forward(const model_encoder *e, cdl_queue *q, int first, int end)
{
  if (first == 0)
    embeddings_forward(e, q, e->act.block[0].in);
  if (e->distance_table != NULL && first < end)
    encoder_distance_bias(q, &e->distances, e->distance_table->value, e->act.distance_rows,
                          e->act.distance_bias);
  for (int l = first; l < end; l++) {
    block_forward(e, q, l);
    if (cdl_tensor_present(e->states) && !e->training)
      keep_states(e, q, l);
  }
}

static void forward(model_encoder *e, cdl_queue *q)
{
  body_forward(e, q, e->first_block, (int)e->config.layers);
  int64_t first = 0;
  for (size_t k = 0; k < e->member_count; k++) {
    const int64_t count = encoder_row_count(e->members[k], ROWS_SEQUENCES);
    head_forward(e->members[k], q,
                 cdl_tensor_rows(e->act.block[e->config.layers - 1].out, first, count));
    first += count;
  }
}

cdl_tensor encoder_forward(model_encoder *e, cdl_queue *q, const encoder_dropout_rates *dropout,
                           cdl_tensor step)
{
  e->dropout = *dropout;
  e->step = step;
  forward(e, q);
  return e->own.logits;
}

cdl_tensor encoder_forward_below(model_encoder *e, cdl_queue *q)
{
  body_forward(e, q, 0, e->first_block);
  return encoder_states(e);
}

void encoder_forward_joint(model_encoder *e, cdl_queue *q, const encoder_dropout_rates *dropout,
                           const cdl_tensor *step)
{
  for (size_t k = 0; k < e->member_count; k++) {
    e->members[k]->dropout = dropout[k];
    e->members[k]->step = step[k];
  }
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
  for (size_t l = 0; l < e->member_count; l++) {
    const int64_t count = encoder_row_count(e->members[l], ROWS_SEQUENCES);
    head_backward(e->members[l], q, e->body_reached ? cdl_tensor_rows(d_h, first, count) : d_h);
    first += count;
  }
  for (int l = (int)e->config.layers - 1; l >= 0 && e->blocks[l].reached; l--)
    d_h = block_backward(e, q, l, d_h);
  if (e->embeddings_trained || e->project_reached)
    embeddings_backward(e, q, d_h);
}
