/* Loads batches onto the device: checks them, then uploads all of their data in one piece. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "model/encoder/shards.h"

static cdl_status check_range(const encoder_token_batch *b, const char *what, const int32_t *values,
                              int64_t limit)
{
  for (int32_t s = 0; s < b->sequences; s++)
    for (int32_t t = b->offsets[s]; t < b->offsets[s + 1]; t++)
      if (values[t] < 0 || values[t] >= limit)
        return cdl_fail(CDL_STATUS_DATA,
                        "example %d: %s %d of token %d is outside the model's table of %lld",
                        b->examples != NULL ? b->examples[s] : s, what, values[t],
                        t - b->offsets[s], (long long)limit);
  return CDL_STATUS_OK;
}

static cdl_status check_batch(const model_encoder *e, const encoder_token_batch *b)
{
  if (b->sequences < 1 || b->offsets[0] != 0 || b->offsets[b->sequences] > b->tokens)
    return cdl_fail(CDL_STATUS_ARGUMENT, "a batch of %d sequences does not cover its %d tokens",
                    b->sequences, b->tokens);
  for (int32_t s = 0; s < b->sequences; s++) {
    const int32_t length = b->offsets[s + 1] - b->offsets[s];
    if (length < 1 || length > b->longest)
      return cdl_fail(CDL_STATUS_ARGUMENT, "sequence %d of a batch has %d tokens, not 1 to %d", s,
                      length, b->longest);
  }
  if (b->tokens > e->limits.tokens || b->sequences > e->limits.sequences ||
      b->longest > e->limits.longest)
    return cdl_fail(
        CDL_STATUS_ARGUMENT,
        "a batch of %d tokens in %d sequences, the longest %d, is above the plan's %d, %d, %d",
        b->tokens, b->sequences, b->longest, e->limits.tokens, e->limits.sequences,
        e->limits.longest);
  CDL_TRY(check_range(b, "id", b->ids, e->config.vocabulary_size));
  CDL_TRY(check_range(b, "position", b->positions, e->config.position_count));
  return e->family->types ? check_range(b, "token type", b->types, e->config.type_count)
                          : CDL_STATUS_OK;
}

/* Takes the next `count` int32 of the staging area; `device` becomes their place on the device. */
static int32_t *stage(model_encoder *e, size_t *used, int32_t count, cdl_tensor *device)
{
  int32_t *host = e->memory->staging + *used;
  *device = cdl_tensor_1d(e->memory->batch_buffer, CDL_DTYPE_I32, (int64_t)*used, count);
  *used += (size_t)count;
  return host;
}

static void stage_copy(model_encoder *e, size_t *used, const int32_t *values, int32_t count,
                       cdl_tensor *device)
{
  memcpy(stage(e, used, count, device), values, (size_t)count * sizeof *values);
}

static const int32_t *token_numbers(const encoder_token_batch *b, int table)
{
  return table == EMBEDDING_WORD ? b->ids : table == EMBEDDING_POSITION ? b->positions : b->types;
}

/* Stages one number per token of all batches. Rows of no sequence get 0, which is in every
 * table. */
static void stage_tokens(model_encoder *e, size_t *used, const encoder_token_batch *batches,
                         size_t count, int table)
{
  int32_t tokens = 0;
  for (size_t l = 0; l < count; l++)
    tokens += batches[l].tokens;
  int32_t *staged = stage(e, used, tokens, &e->indices[table]);
  for (size_t l = 0; l < count; l++) {
    const encoder_token_batch *b = &batches[l];
    const size_t given = (size_t)b->offsets[b->sequences];
    memcpy(staged, token_numbers(b, table), given * sizeof *staged);
    memset(staged + given, 0, ((size_t)b->tokens - given) * sizeof *staged);
    staged += b->tokens;
  }
}

static int compare_keys(const void *a, const void *b)
{
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* Returns the table row of padding, which never gets a gradient (padding_idx in PyTorch); -1 if
 * there is none. Words have one, and so do positions that count from padding. */
static int64_t padding_row(const model_encoder *e, int table)
{
  const int64_t pad = e->config.pad_id, rows = e->tables[table]->value.size[2];
  if (pad == MODEL_NO_PAD || table == EMBEDDING_TYPE ||
      (table == EMBEDDING_POSITION && !e->family->after_padding))
    return -1;
  return pad < 0 ? rows + pad : pad;
}

/* Returns the shard of each next token of a batch. */
typedef struct {
  const encoder_token_batch *batch;
  const encoder_shards *shards;
  int shard;
} shard_walk;

static int shard_of(shard_walk *walk, int32_t token)
{
  while (walk->shard + 1 < walk->shards->count &&
         walk->batch->offsets[walk->shards->sequence[walk->shard + 1]] <= token)
    walk->shard++;
  return walk->shard;
}

/* Stages rows in stable order of the table row that they came from: key · 2³² + row sorts by both.
 * So a shard's rows of one table row are neighbours too. Rows of `skipped` come after all others,
 * where no segment reaches them. */
static void stage_scatter(model_encoder *e, size_t *used, const encoder_token_batch *b, int table,
                          scatter_plan *plan)
{
  const int32_t *ids = token_numbers(b, table), tokens = b->offsets[b->sequences];
  const encoder_table_sums sums = encoder_table_sums_of(e, e->tables[table]);
  const int64_t skipped = padding_row(e, table);
  uint64_t *keys = e->memory->keys;
  int32_t kept = 0;
  for (int32_t t = 0; t < tokens; t++) {
    const uint32_t row = ids[t] == skipped ? UINT32_MAX : (uint32_t)ids[t];
    kept += row != UINT32_MAX;
    keys[t] = (uint64_t)row << 32 | (uint32_t)t;
  }
  qsort(keys, (size_t)tokens, sizeof *keys, compare_keys);

  int32_t *order = stage(e, used, tokens, &plan->order);
  int32_t *segment = stage(e, used, tokens + 1, &plan->segment);
  int32_t *target = stage(e, used, tokens, &plan->target);
  int32_t segments = 0, last_id = -1, last_shard = -1;
  shard_walk walk = {b, &e->shards, 0};
  for (int32_t t = 0; t < tokens; t++) {
    const int32_t id = (int32_t)(keys[t] >> 32);
    order[t] = (int32_t)(uint32_t)keys[t];
    if (t >= kept)
      continue;
    if (id != last_id)
      walk.shard = 0;
    const int shard = shard_of(&walk, order[t]);
    assert(sums.place == NULL || sums.place[id] >= 0);
    if (id != last_id || shard != last_shard) {
      segment[segments] = t;
      target[segments++] =
          (int32_t)(shard * sums.rows_apart) + (sums.place != NULL ? sums.place[id] : id);
    }
    last_id = id;
    last_shard = shard;
  }
  segment[segments] = kept;
  /* not read, but uploaded with the rest, so it must be defined */
  for (int32_t t = segments; t < tokens; t++) {
    segment[t + 1] = kept;
    target[t] = 0;
  }
  plan->segment.size[3] = segments + 1;
  plan->target.size[3] = segments;
}

static void stage_shard_offsets(model_encoder *e, size_t *used, const encoder_token_batch *b,
                                loaded_batch *loaded)
{
  const int shards = e->shards.count;
  int32_t *to = stage(e, used, b->sequences + shards, &loaded->shard_offsets);
  loaded->host_shard_offsets = to;
  for (int i = 0; i < shards; i++)
    for (int32_t s = e->shards.sequence[i]; s <= e->shards.sequence[i + 1]; s++)
      *to++ = b->offsets[s] - b->offsets[e->shards.sequence[i]];
}

static void stage_pairs(model_encoder *e, size_t *used, const encoder_token_batch *b,
                        loaded_batch *loaded)
{
  const int32_t given = b->offsets[b->sequences];
  int32_t *first = stage(e, used, b->tokens, &loaded->own_first_rows);
  for (int32_t s = 0; s < b->sequences; s++)
    for (int32_t t = b->offsets[s]; t < b->offsets[s + 1]; t++)
      first[t] = b->offsets[s];
  memset(first + given, 0, (size_t)(b->tokens - given) * sizeof *first);
  int32_t *rows = stage(e, used, given, &loaded->own_rows);
  for (int32_t t = 0; t < given; t++)
    rows[t] = t;
}

bool encoder_recordable(const model_encoder *e)
{
  /* Gradients of embeddings depend on a batch's ids, and those of pairs on its number of tokens. */
  return !e->embeddings_trained && !encoder_paired(e);
}

/* Stages data that belongs to the encoder of one batch. */
static void stage_own(model_encoder *e, size_t *used, const encoder_token_batch *b)
{
  loaded_batch loaded = {
      .packing = {.sequences = b->sequences, .tokens = b->tokens, .longest = b->longest}};
  cdl_packing *p = &loaded.packing;
  p->host_offsets = e->memory->staging + *used;
  stage_copy(e, used, b->offsets, b->sequences + 1, &p->offsets);
  p->host_examples = e->memory->staging + *used;
  if (b->examples != NULL)
    stage_copy(e, used, b->examples, b->sequences, &p->examples);
  else
    p->host_examples = NULL;
  loaded.first_rows = p->offsets;
  loaded.first_rows.size[3] = b->sequences;

  /* For scattering first tokens back: sequence s is segment s. */
  int32_t *count_up = stage(e, used, b->sequences + 1, &loaded.firsts.segment);
  for (int32_t s = 0; s <= b->sequences; s++)
    count_up[s] = s;
  loaded.firsts.order = loaded.firsts.segment;
  loaded.firsts.order.size[3] = b->sequences;
  loaded.firsts.target = loaded.first_rows;

  if (encoder_paired(e))
    stage_pairs(e, used, b, &loaded);
  if (e->training && e->embeddings_trained) {
    for (int t = 0; t < EMBEDDING_TABLES; t++)
      if (e->tables[t] != NULL && e->tables[t]->trained)
        stage_scatter(e, used, b, t, &loaded.table[t]);
  }
  if (e->training && distance_bias_trained(e) && e->shards.count > 0)
    stage_shard_offsets(e, used, b, &loaded);
  e->batch = loaded;
}

/* Uploads the states with which the passes begin. Rows of no sequence become 0. */
static void upload_states(const model_encoder *e, cdl_queue *q, const encoder_token_batch *batches)
{
  const cdl_tensor states = encoder_states(e);
  const bool firsts = e->first_block == e->config.layers;
  int64_t first = 0;
  for (size_t k = 0; k < e->member_count; k++) {
    const encoder_token_batch *b = &batches[k];
    const int64_t rows = firsts ? b->sequences : b->tokens,
                  given = firsts ? b->sequences : b->offsets[b->sequences];
    const cdl_tensor to = cdl_tensor_rows(states, first, given);
    cdl_queue_upload(q, to, b->states,
                     (size_t)cdl_tensor_elements(to) * cdl_dtype_bytes(states.dtype));
    if (rows > given)
      cdl_fill(q, CDL_ARGS(fill, .out = cdl_tensor_rows(states, first + given, rows - given)));
    first += rows;
  }
}

/* Checks the batches and makes their encoders members; the first one leads. */
static cdl_status join(model_encoder *const *encoders, size_t count,
                       const encoder_token_batch *batches, encoder_pass_kind kind)
{
  model_encoder *e = encoders[0];
  if (count < 1 || count > ENCODER_JOINT_MAX)
    return cdl_fail(CDL_STATUS_ARGUMENT, "1 to %d encoders run together, not %zu",
                    ENCODER_JOINT_MAX, count);
  for (size_t k = 0; k < count; k++) {
    if (count > 1 && (encoders[k]->base == NULL || encoders[k]->base != e->base))
      return cdl_fail(CDL_STATUS_ARGUMENT, "encoders that run together share one base");
    if (encoders[k]->first_block != e->first_block)
      return cdl_fail(CDL_STATUS_ARGUMENT, "encoders that run together begin at one block");
    CDL_TRY(check_batch(encoders[k], &batches[k]));
    if (e->first_block > 0 && kind != ENCODER_BELOW && batches[k].states == NULL)
      return cdl_fail(CDL_STATUS_ARGUMENT, "a pass from block %d on has no states to begin with",
                      e->first_block);
  }
  e->member_count = count;
  for (size_t k = 0; k < count; k++) {
    e->members[k] = encoders[k];
    encoders[k]->training = kind == ENCODER_TRAINING;
  }
  return CDL_STATUS_OK;
}

static cdl_status load(model_encoder *const *encoders, size_t count, cdl_queue *q,
                       const encoder_token_batch *batches, encoder_pass_kind kind)
{
  CDL_TRY(join(encoders, count, batches, kind));
  model_encoder *e = encoders[0];
  const encoder_members members = encoder_all_members(e);
  encoder_batch_limits sizes[ENCODER_JOINT_MAX];
  size_t used = 0;
  encoder_find_reach(members);
  for (int table = 0; table < EMBEDDING_TABLES; table++)
    stage_tokens(e, &used, batches, count, table);
  for (size_t k = 0; k < count; k++) {
    stage_own(encoders[k], &used, &batches[k]);
    sizes[k] = (encoder_batch_limits){.tokens = batches[k].tokens,
                                      .sequences = batches[k].sequences,
                                      .longest = batches[k].longest};
  }
  encoder_lay_out(members, sizes, kind == ENCODER_TRAINING, true);
  cdl_queue_upload(q, cdl_tensor_1d(e->memory->batch_buffer, CDL_DTYPE_I32, 0, (int64_t)used),
                   e->memory->staging, used * sizeof *e->memory->staging);
  if (e->first_block > 0 && kind != ENCODER_BELOW)
    upload_states(e, q, batches);
  return CDL_STATUS_OK;
}

cdl_status encoder_load_joint(model_encoder *const *encoders, size_t count, cdl_queue *q,
                              const encoder_token_batch *batches)
{
  return load(encoders, count, q, batches, ENCODER_TRAINING);
}

cdl_status encoder_load_batch(model_encoder *e, cdl_queue *q, const encoder_token_batch *b,
                              encoder_pass_kind kind)
{
  return load(&e, 1, q, b, kind);
}
