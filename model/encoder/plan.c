/* The encoder's memory: which activations are kept, where each is for a given batch, and memory for
 * the batch's upload. */
#include <stdlib.h>
#include <string.h>

#include "model/encoder/layout.h"
#include "model/encoder/state.h"

static cdl_tensor take_typed(size_t *used, cdl_buffer *arena, cdl_dtype dtype, int64_t rows,
                             int64_t columns)
{
  const int64_t bytes = (int64_t)cdl_dtype_bytes(dtype), unit = (int64_t)sizeof(float);
  const cdl_tensor t = cdl_tensor_2d(arena, dtype, (int64_t)*used * (unit / bytes), rows, columns);
  *used += (size_t)encoder_aligned((rows * columns * bytes + unit - 1) / unit);
  return t;
}

static cdl_tensor take(size_t *used, cdl_buffer *arena, int64_t rows, int64_t columns)
{
  return take_typed(used, arena, CDL_DTYPE_F32, rows, columns);
}

static cdl_tensor take_vector(size_t *used, cdl_buffer *arena, int64_t columns)
{
  const cdl_tensor t = cdl_tensor_1d(arena, CDL_DTYPE_F32, (int64_t)*used, columns);
  *used += (size_t)encoder_aligned(columns);
  return t;
}

static encoder_batch_limits together(const encoder_batch_limits *batches, size_t count)
{
  encoder_batch_limits all = {0};
  for (size_t l = 0; l < count; l++) {
    all.tokens += batches[l].tokens;
    all.sequences += batches[l].sequences;
    all.longest = batches[l].longest > all.longest ? batches[l].longest : all.longest;
  }
  return all;
}

/* What is laid out: one batch for each member, and their sum. */
typedef struct {
  encoder_members members;
  const encoder_batch_limits *batches; /* [members] */
  encoder_batch_limits all;
  cdl_dtype dtype; /* of the body's activations */
  bool training;
  bool assign; /* otherwise only count */
} layout;

/* ---- Activations of frozen layers ---- */

/* Lays out the tensors of one block. Tensors that the backward pass does not read share memory with
 * the other blocks (`shared`). There `out` and `in` alternate between two places, because a block
 * reads one while it writes the other. */
static void lay_out_block(const layout *plan, block_activations *a, int layer, bool keep,
                          size_t *kept, size_t *shared_used)
{
  const encoder_members members = plan->members;
  const model_encoder *e = members.encoder[0];
  const int32_t tokens = plan->all.tokens,
                rows = layer == e->config.layers - 1 ? plan->all.sequences : tokens;
  cdl_buffer *m = e->memory->arena;
  const block_weights *w = &e->blocks[layer];
  const int64_t hidden = e->config.hidden_size, intermediate = e->config.intermediate_size;
  size_t *own = keep ? kept : shared_used;
  /* In scratch memory unless a trained layer or, in BF16, attention's gradient reads it. */
  size_t *context =
      keep && (projection_trained(members, &w->attention_out) || plan->dtype == CDL_DTYPE_BF16)
          ? kept
          : shared_used;
  size_t *normed = keep && projection_trained(members, &w->intermediate) ? kept : shared_used;
  size_t *activated = keep && projection_trained(members, &w->output) ? kept : shared_used;

  a->qkv = take_typed(own, m, plan->dtype, tokens, 3 * hidden);
  a->context = take_typed(context, m, plan->dtype, tokens, hidden);
  a->residual = rows == tokens ? a->in : take_typed(shared_used, m, plan->dtype, rows, hidden);
  a->selected = rows == tokens ? a->context : take_typed(context, m, plan->dtype, rows, hidden);
  a->attention_norm = (norm_activations){.sum = take_typed(own, m, plan->dtype, rows, hidden)};
  a->attention_norm.mean = take_vector(own, m, rows);
  a->attention_norm.rstd = take_vector(own, m, rows);
  a->normed = take_typed(normed, m, plan->dtype, rows, hidden);
  a->pre = take_typed(own, m, plan->dtype, rows, intermediate);
  a->activated = take_typed(activated, m, plan->dtype, rows, intermediate);
  a->output_norm = (norm_activations){.sum = take_typed(own, m, plan->dtype, rows, hidden)};
  a->output_norm.mean = take_vector(own, m, rows);
  a->output_norm.rstd = take_vector(own, m, rows);
}

static void lay_out_backward(const model_encoder *e, activations *a, int32_t tokens,
                             int32_t sequences, size_t *used)
{
  cdl_buffer *m = e->memory->arena;
  const cdl_dtype dtype = a->dtype;
  const int64_t hidden = e->config.hidden_size, intermediate = e->config.intermediate_size;
  a->d_first = take_typed(used, m, dtype, sequences, hidden);
  a->d_rows = take_typed(used, m, dtype, sequences, hidden);
  a->d_hidden = take_typed(used, m, dtype, tokens, hidden);
  a->d_branch = take_typed(used, m, dtype, tokens, hidden);
  /* Has room for both widths: see block_backward. */
  a->d_wide = take_typed(used, m, dtype, tokens, intermediate > hidden ? intermediate : hidden);
  a->d_qkv = take_typed(used, m, dtype, tokens, 3 * hidden);
  if (e->project_reached)
    a->d_embedded = take_typed(used, m, dtype, tokens, e->config.embedding_size);
}

/* ---- Activations of each member ---- */

static bool is_dropped(const encoder_module *module)
{
  return module_adapted(module) && module->delta.dropout > 0;
}

/* Returns the widest input of the modules of all members for which `holds` is true. */
static int64_t widest_input(encoder_members members, module_predicate *holds)
{
  int64_t widest = 0;
  for (size_t l = 0; l < members.count; l++)
    for (size_t i = 0; i < members.encoder[l]->module_count; i++) {
      const encoder_module *module = &members.encoder[l]->modules[i];
      if (holds(module) && module->weight.size[3] > widest)
        widest = module->weight.size[3];
    }
  return widest;
}

/* Returns the widest output of a projection with a gain. */
static int64_t widest_gained_output(encoder_members members)
{
  int64_t widest = 0;
  for (size_t l = 0; l < members.count; l++)
    for (size_t i = 0; i < members.encoder[l]->module_count; i++) {
      const encoder_module *module = &members.encoder[l]->modules[i];
      const int64_t layers = module->layer >= 0 && module->kind <= MODEL_VALUE ? 3 : 1;
      if (module_gained(module) && layers * module->weight.size[2] > widest)
        widest = layers * module->weight.size[2];
    }
  return widest;
}

bool encoder_paired(const model_encoder *e)
{
  for (size_t i = 0; i < e->module_count; i++)
    if (module_paired(&e->modules[i]))
      return true;
  return false;
}

static adapter_scratch take_scratch(encoder_members members, cdl_dtype dtype, int32_t tokens,
                                    bool training, size_t *used)
{
  cdl_buffer *m = members.encoder[0]->memory->arena;
  const int64_t dropped = widest_input(members, is_dropped), gained = widest_gained_output(members),
                paired = widest_input(members, module_paired);
  adapter_scratch s = {0};
  if (training && dropped > 0) {
    s.dropped = take_typed(used, m, dtype, tokens, dropped);
    s.d_dropped = take_typed(used, m, dtype, tokens, dropped);
  }
  if (training && gained > 0)
    s.gained = take(used, m, tokens, gained);
  if (paired > 0)
    s.spread = take(used, m, tokens, paired);
  return s;
}

static module_activations take_module(size_t *used, cdl_buffer *m, const encoder_module *module,
                                      int64_t rows)
{
  module_activations a = {0};
  if (!module_adapted(module))
    return a;
  const encoder_delta *d = &module->delta;
  a.hidden = take(used, m, rows, d->low_rank.a.size[2]);
  if (cdl_tensor_present(d->gain.value))
    a.ungained = take(used, m, rows, module->weight.size[2]);
  if (cdl_tensor_present(d->pair.value))
    a.products = take(used, m, rows, 1);
  return a;
}

/* Lays out attention's sums and the adapter's part of one block. */
static void lay_out_member_block(model_encoder *member, int layer,
                                 const encoder_batch_limits *batch, bool assign, size_t *used)
{
  cdl_buffer *m = member->memory->arena;
  const bool last = layer == member->config.layers - 1;
  const cdl_tensor log_sum = take(used, m, member->config.heads, batch->tokens);
  if (assign)
    member->own.log_sum[layer] = log_sum;
  for (int kind = 0; kind < MODEL_MODULES_PER_BLOCK; kind++) {
    const int index = layer * MODEL_MODULES_PER_BLOCK + kind;
    const int64_t rows = last && kind > MODEL_VALUE ? batch->sequences : batch->tokens;
    const module_activations a = take_module(used, m, &member->modules[index], rows);
    if (assign)
      member->own.module[index] = a;
  }
}

static void lay_out_outside(model_encoder *member, const encoder_module *module, int64_t rows,
                            bool assign, size_t *used)
{
  const module_activations a = take_module(used, member->memory->arena, module, rows);
  if (assign && module != NULL)
    member->own.module[module - member->modules] = a;
}

/* Lays out everything else that belongs to one member. */
static void lay_out_member(model_encoder *member, const encoder_batch_limits *batch,
                           cdl_dtype dtype, bool training, bool assign, size_t *used)
{
  cdl_buffer *m = member->memory->arena;
  const int64_t hidden = member->config.hidden_size, sequences = batch->sequences;
  own_activations a = {.log_sum = member->own.log_sum, .module = member->own.module};
  lay_out_outside(member, member->project.module[0], batch->tokens, assign, used);
  a.head_input = take(used, m, sequences, hidden);
  a.pooled_pre = take(used, m, sequences, hidden);
  a.pooled = take(used, m, sequences, hidden);
  a.logits = take(used, m, sequences, member->labels);
  lay_out_outside(member, member->head_dense.module[0], sequences, assign, used);
  if (training) {
    a.d_logits = take(used, m, sequences, member->labels);
    a.d_pooled = take(used, m, sequences, hidden);
    if (dtype != CDL_DTYPE_F32)
      a.d_head_input = take(used, m, sequences, hidden);
  }
  if (assign)
    member->own = a;
}

/* ---- All activations ---- */

/* Lays out all blocks: kept tensors from `*used` on, scratch from `shared` on. Returns the end of
 * the scratch. */
static size_t lay_out_blocks(const layout *plan, cdl_tensor in, const cdl_tensor alternating[2],
                             size_t *used, size_t shared)
{
  const encoder_members members = plan->members;
  model_encoder *e = members.encoder[0];
  const int layers = (int)e->config.layers;
  size_t scratch_end = shared;
  for (int l = 0; l < layers; l++) {
    const bool last = l == layers - 1, keep = plan->training && e->blocks[l].reached;
    const int32_t rows = last ? plan->all.sequences : plan->all.tokens;
    size_t scratch = shared;
    block_activations a = {.in = in};
    lay_out_block(plan, &a, l, keep, used, &scratch);
    for (size_t k = 0; k < members.count; k++)
      lay_out_member_block(members.encoder[k], l, &plan->batches[k], plan->assign,
                           keep ? used : &scratch);
    if (!last && plan->training && projection_trained(members, &e->blocks[l + 1].qkv))
      a.out = take_typed(used, e->memory->arena, plan->dtype, rows, e->config.hidden_size);
    else
      a.out = cdl_tensor_rows(alternating[(l + 1) % 2], 0, rows);
    if (plan->assign)
      e->act.block[l] = a;
    if (scratch > scratch_end)
      scratch_end = scratch;
    in = a.out;
  }
  return scratch_end;
}

size_t encoder_lay_out(encoder_members members, const encoder_batch_limits *batches, bool training,
                       bool assign)
{
  model_encoder *e = members.encoder[0];
  const encoder_batch_limits all = together(batches, members.count);
  const int64_t hidden = e->config.hidden_size;
  cdl_buffer *m = e->memory->arena;
  const cdl_dtype dtype = encoder_activation_type(members);
  activations a = {.dtype = dtype, .block = e->act.block};
  size_t used = 0;

  a.embedded_sum = take_typed(&used, m, dtype, all.tokens, e->config.embedding_size);
  if (e->project.module_count > 0)
    a.embedded = take_typed(&used, m, dtype, all.tokens, e->config.embedding_size);
  a.mean = take_vector(&used, m, all.tokens);
  a.rstd = take_vector(&used, m, all.tokens);
  if (e->distance_table != NULL) {
    a.distance_rows = take(&used, m, ENCODER_DISTANCES, e->config.heads);
    a.distance_bias = take(&used, m, e->config.heads, ENCODER_DISTANCES);
    if (training && distance_bias_trained(e))
      a.d_distance_bias = take(&used, m, e->config.heads, ENCODER_DISTANCES);
  }
  for (size_t k = 0; k < members.count; k++)
    lay_out_member(members.encoder[k], &batches[k], dtype, training, assign, &used);
  const adapter_scratch scratch = take_scratch(members, dtype, all.tokens, training, &used);
  for (size_t k = 0; assign && k < members.count; k++)
    members.encoder[k]->own.scratch = scratch;

  /* `in` of a block is `out` of the previous one. If q, k and v of a block are frozen and have no
   * adapter, nothing reads it later. */
  const cdl_tensor alternating[2] = {take_typed(&used, m, dtype, all.tokens, hidden),
                                     take_typed(&used, m, dtype, all.tokens, hidden)};
  const cdl_tensor in = training && projection_trained(members, &e->blocks[0].qkv)
                            ? take_typed(&used, m, dtype, all.tokens, hidden)
                            : alternating[0];
  /* Scratch memory begins after all kept tensors; the first pass over the blocks finds their
   * end. */
  size_t kept_end = used;
  const layout counted = {members, batches, all, dtype, training, false};
  const layout placed = {members, batches, all, dtype, training, assign};
  lay_out_blocks(&counted, in, alternating, &kept_end, 0);
  used = lay_out_blocks(&placed, in, alternating, &used, kept_end);
  if (training && e->body_reached)
    lay_out_backward(e, &a, all.tokens, all.sequences, &used);
  if (assign)
    e->act = a;
  return used;
}

/* ---- What the backward pass reaches ---- */

void encoder_find_reach(encoder_members members)
{
  model_encoder *e = members.encoder[0];
  bool below = norm_trained(e->embedding_norm);
  for (int t = 0; t < EMBEDDING_TABLES; t++)
    below = below || (e->tables[t] != NULL && e->tables[t]->trained);
  e->embeddings_trained = below;
  below = below || projection_trained(members, &e->project);
  e->project_reached = e->project.module_count > 0 && below;
  for (int l = 0; l < e->config.layers; l++) {
    block_weights *w = &e->blocks[l];
    w->below_qkv = below;
    w->below_attention_out = below =
        below || projection_trained(members, &w->qkv) || distance_bias_trained(e);
    w->below_attention_norm = below = below || projection_trained(members, &w->attention_out);
    w->below_intermediate = below = below || norm_trained(w->attention_norm);
    w->below_output = below = below || projection_trained(members, &w->intermediate);
    w->below_output_norm = below = below || projection_trained(members, &w->output);
    w->reached = below = below || norm_trained(w->output_norm);
  }
  e->body_reached = below;
}

int encoder_frozen_blocks(const model_encoder *encoder)
{
  model_encoder copy = *encoder, *const member = &copy;
  int frozen = 0;
  encoder_find_reach((encoder_members){&member, 1});
  while (frozen < copy.config.layers && !copy.blocks[frozen].reached)
    frozen++;
  return frozen;
}

void encoder_begin_at(model_encoder *encoder, int block)
{
  encoder->first_block = block;
}

int encoder_first_block(const model_encoder *encoder)
{
  return encoder->first_block;
}

bool encoder_is_below(const model_encoder *e, const encoder_parameter *p)
{
  /* Embeddings and blocks come in this order; the table of distances follows them. */
  const encoder_parameter *end = e->first_block < e->config.layers
                                     ? e->blocks[e->first_block].qkv.weight[0]
                                     : &e->parameters[e->head_parameter];
  return p < end || p == e->distance_table;
}

/* ---- Memory ---- */

static cdl_status make_single_weights(cdl_queue *q, projection *p)
{
  bool any = false;
  for (int i = 0; i < p->module_count; i++)
    any = any || needs_single(p->module[i]);
  for (int i = 0; any && i < p->module_count; i++)
    if (p->packed->single[i] == NULL)
      CDL_TRY(cdl_weight_create(q, &p->weight[i]->value, 1, &p->packed->single[i]));
  return CDL_STATUS_OK;
}

static cdl_status make_all_single_weights(model_encoder *e, cdl_queue *q)
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

static void release_single_weights(projection *p)
{
  for (int i = 0; i < MODULES_PER_PROJECTION; i++) {
    cdl_weight_destroy(p->own.single[i]);
    p->own.single[i] = NULL;
  }
}

void encoder_release_memory(pass_memory *m)
{
  cdl_buffer_destroy(m->arena);
  cdl_buffer_destroy(m->batch_buffer);
  cdl_buffer_destroy(m->merge_buffer);
  free(m->staging);
  free(m->keys);
  *m = (pass_memory){0};
}

void encoder_release_plan(model_encoder *e)
{
  encoder_release_memory(&e->own_memory);
  encoder_drop_copies(e);
  e->first_block = 0;
  for (int l = 0; l < e->config.layers; l++) {
    release_single_weights(&e->blocks[l].qkv);
    release_single_weights(&e->blocks[l].attention_out);
    release_single_weights(&e->blocks[l].intermediate);
    release_single_weights(&e->blocks[l].output);
  }
  release_single_weights(&e->project);
  release_single_weights(&e->head_dense);
}

/* Returns the number of int32 that the largest batch uploads, with scatter plans if the embeddings
 * are trained, and rows if there are pairs. */
static size_t staging_elements(const model_encoder *e, encoder_batch_limits limits)
{
  const size_t tokens = (size_t)limits.tokens, sequences = (size_t)limits.sequences;
  size_t elements = 3 * tokens + 3 * sequences + 2;
  if (e->embeddings_trained)
    elements += EMBEDDING_TABLES * (3 * tokens + 1);
  if (encoder_paired(e))
    elements += 2 * tokens;
  if (distance_bias_trained(e)) /* a shard without sequences has an offset, too */
    elements += sequences + ENCODER_SHARDS_MAX;
  return elements;
}

static int32_t larger(int32_t a, int32_t b)
{
  return a > b ? a : b;
}

static size_t larger_size(size_t a, size_t b)
{
  return a > b ? a : b;
}

size_t encoder_activation_bytes(const model_encoder *encoder, encoder_batch_limits limits,
                                bool training)
{
  model_encoder copy = *encoder, *const member = &copy;
  const encoder_members alone = {&member, 1};
  encoder_find_reach(alone); /* the set of trained tensors may have changed since the last plan */
  return encoder_lay_out(alone, &limits, training, false) * sizeof(float);
}

/* Of passes over the batches of one encoder, beside those of joint training. */
static size_t elements_alone(encoder_members alone, encoder_batch_limits training,
                             encoder_batch_limits evaluation)
{
  size_t elements = 0;
  if (evaluation.tokens > 0)
    elements = encoder_lay_out(alone, &evaluation, false, false);
  /* States of a training batch are computed by a pass of the batch's size. */
  if (alone.encoder[0]->first_block > 0 && training.tokens > 0)
    elements = larger_size(elements, encoder_lay_out(alone, &training, false, false));
  return elements;
}

size_t encoder_planned_bytes(const model_encoder *encoder, encoder_batch_limits training,
                             encoder_batch_limits evaluation)
{
  model_encoder copy = *encoder, *const member = &copy;
  const encoder_members alone = {&member, 1};
  encoder_find_reach(alone);
  return larger_size(elements_alone(alone, training, evaluation),
                     encoder_lay_out(alone, &training, true, false)) *
         sizeof(float);
}

size_t encoder_reached_bytes(const model_encoder *encoder, encoder_batch_limits limits)
{
  model_encoder copy = *encoder, *const member = &copy;
  const encoder_members alone = {&member, 1};
  encoder_find_reach(alone);
  for (int l = 0; l < copy.config.layers; l++)
    copy.blocks[l].reached = true; /* shared with the original, and found anew by each plan */
  copy.body_reached = true;
  return encoder_lay_out(alone, &limits, true, false) * sizeof(float);
}

cdl_status encoder_check_room(const model_encoder *encoder, size_t bytes,
                              encoder_batch_limits limits, bool training)
{
  cdl_memory_info memory = {.size = sizeof memory};
  CDL_TRY(cdl_backend_memory(encoder->backend, &memory));
  if (memory.free_bytes == 0 || bytes <= memory.free_bytes) /* 0: it cannot say */
    return CDL_STATUS_OK;
  return cdl_fail(
      CDL_STATUS_MEMORY,
      "the device is too small: the activations of a batch of %d tokens need %zu bytes, "
      "and %zu of its %zu are free beside the model's %zu; %s or another device",
      limits.tokens, bytes, memory.free_bytes, memory.total_bytes, memory.used_bytes,
      training ? "take a smaller --batch-size (with --accumulate), a smaller "
                 "--max-length"
               : "take a smaller --max-length");
}

cdl_dtype encoder_activation_dtype(const model_encoder *encoder)
{
  model_encoder copy = *encoder, *const member = &copy;
  return encoder_activation_type((encoder_members){&member, 1});
}

/* Makes each part of the memory at least this large; a part that is large enough stays. */
static cdl_status reserve(model_encoder *e, size_t elements, size_t staging, size_t keys)
{
  pass_memory *m = e->memory;
  if (elements > m->arena_elements) {
    cdl_buffer_destroy(m->arena);
    m->arena = NULL;
    m->arena_elements = 0;
    CDL_TRY(cdl_buffer_create(e->backend, elements * sizeof(float), &m->arena));
    m->arena_elements = elements;
  }
  if (staging > m->staging_count) {
    cdl_buffer_destroy(m->batch_buffer);
    free(m->staging);
    m->batch_buffer = NULL;
    m->staging_count = 0;
    m->staging = malloc(staging * sizeof *m->staging);
    if (m->staging == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a batch of %d tokens", e->limits.tokens);
    CDL_TRY(cdl_buffer_create(e->backend, staging * sizeof(int32_t), &m->batch_buffer));
    m->staging_count = staging;
  }
  if (keys > m->key_count) {
    free(m->keys);
    m->key_count = 0;
    m->keys = malloc(keys * sizeof *m->keys);
    if (m->keys == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a batch of %d tokens", e->limits.tokens);
    m->key_count = keys;
  }
  return CDL_STATUS_OK;
}

cdl_status encoder_reserve_merge(pass_memory *m, cdl_backend *backend, size_t elements)
{
  if (elements <= m->merge_elements)
    return CDL_STATUS_OK;
  cdl_buffer_destroy(m->merge_buffer);
  m->merge_buffer = NULL;
  m->merge_elements = 0;
  CDL_TRY(cdl_buffer_create(backend, elements * sizeof(float), &m->merge_buffer));
  m->merge_elements = elements;
  return CDL_STATUS_OK;
}

cdl_status encoder_plan_joint(model_encoder *const *encoders, size_t count, cdl_queue *queue,
                              const encoder_batch_limits *training,
                              const encoder_batch_limits *evaluation)
{
  size_t elements = 0, staging = 0, together_staged = 0, keys = 0;
  for (size_t k = count; k-- > 0;) {
    model_encoder *e = encoders[k];
    const encoder_members alone = {&encoders[k], 1};
    encoder_find_reach(alone);
    CDL_TRY(make_all_single_weights(e, queue));
    e->limits =
        (encoder_batch_limits){.tokens = larger(training[k].tokens, evaluation[k].tokens),
                               .sequences = larger(training[k].sequences, evaluation[k].sequences),
                               .longest = larger(training[k].longest, evaluation[k].longest)};
    elements = larger_size(elements, elements_alone(alone, training[k], evaluation[k]));
    staging = larger_size(staging, staging_elements(e, e->limits));
    together_staged += staging_elements(e, training[k]);
    if (e->embeddings_trained)
      keys = larger_size(keys, (size_t)e->limits.tokens);
  }
  const encoder_members members = {encoders, count};
  encoder_find_reach(members);
  if (together(training, count).tokens > 0)
    elements = larger_size(elements, encoder_lay_out(members, training, true, false));
  return reserve(encoders[0], elements, larger_size(staging, together_staged), keys);
}

cdl_status encoder_plan(model_encoder *e, cdl_queue *queue, encoder_batch_limits training,
                        encoder_batch_limits evaluation)
{
  return encoder_plan_joint(&e, 1, queue, &training, &evaluation);
}
