#include "model/adapter/methods/triplets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "condlora/log.h"
#include "model/encoder/layout.h"
#include "model/files/family.h"

#define RANK(name, usual, least, ...)                                                   \
  BASE_OPTION(INT, name, NULL, NULL, __VA_ARGS__, .default_value = usual, .low = least, \
              .high = 65536)
#define STEPS(name, usual, least, ...)                                                  \
  BASE_OPTION(INT, name, NULL, NULL, __VA_ARGS__, .default_value = usual, .low = least, \
              .high = 1e12)
#define SMOOTHING(name, ...)                                                            \
  BASE_OPTION(FLOAT, name, NULL, NULL, __VA_ARGS__, .default_value = 0.85, .low = 1e-9, \
              .high = 0.999999999)

const base_option triplet_options[] = {
    RANK("init_r", 12, 1, "rank of every layer at the start"),
    RANK("target_r", 8, 0, "mean rank of the layers at the end"),
    STEPS("tinit", 0, 0, "steps before ranks fall"),
    STEPS("tfinal", 0, 0, "steps at the end with settled ranks"),
    STEPS("delta_t", 1, 1, "steps between two choices of ranks", .key = "deltaT"),
    SMOOTHING("beta1", "smoothing of a weight's sensitivity"),
    SMOOTHING("beta2", "smoothing of the sensitivity's uncertainty"),
    BASE_OPTION(FLOAT, "orth_reg_weight", NULL, NULL,
                "weight of the penalty that keeps P and Q orthonormal", .high = 1e9,
                .default_value = 0.5),
    {.name = NULL}};

static const char pattern_key[] = "rank_pattern", steps_key[] = "total_step";
const char *const triplet_extra_keys[] = {pattern_key, steps_key, NULL};

const char triplet_lack_reason[] =
    "--init-r and --target-r say its ranks, and its scale is alpha / init_r";
const adapter_keys triplet_keys = {.rank = "r",
                                   .alpha = "lora_alpha",
                                   .dropout = "lora_dropout",
                                   .initial_values = "init_lora_weights",
                                   .adapted_bias = "lora_only"};

static int64_t initial_rank(const model_adapter *a)
{
  return (int64_t)adapter_option_value(a, TRIPLET_INIT_R);
}

static float weight_of_penalty(const model_adapter *a)
{
  return (float)(adapter_option_value(a, TRIPLET_ORTH_REG_WEIGHT) /
                 (2.0 * (double)a->module_count));
}

/* ---- Preparing ---- */

static cdl_status pattern_name(const triplets *t, const char *path, char *name, size_t bytes)
{
  const int n = snprintf(name, bytes, "%s%s", path, t->pattern_ending);
  return n >= 0 && (size_t)n < bytes ? CDL_STATUS_OK
                                     : cdl_fail(CDL_STATUS_ARGUMENT, "%s: too long a path", path);
}

/* PEFT's scale: it uses the initial rank, whatever is left of it; a missing alpha equals that
 * rank. */
static float own_scale(double alpha, int64_t rank)
{
  return (float)((alpha > 0 ? alpha : (double)rank) / ((double)rank + 1e-5));
}

float triplets_scale(const adapter_settings *settings, double alpha)
{
  return own_scale(alpha, (int64_t)settings->options[TRIPLET_INIT_R]);
}

/* Reads one layer's list of init_r booleans; without a list, every rank. */
static cdl_status read_layer(const model_adapter *a, const json_t *pattern, size_t module,
                             triplets *t, size_t *named)
{
  char name[2 * MODEL_NAME_BYTES];
  const size_t rank = (size_t)initial_rank(a);
  CDL_TRY(pattern_name(t, a->modules[module]->path, name, sizeof name));
  const json_t *list = json_object_get(pattern, name);
  *named += list != NULL;
  if (list != NULL && json_array_size(list) != rank)
    return cdl_fail(CDL_STATUS_USAGE, "rank_pattern: %s: expected a list of %zu booleans", name,
                    rank);
  for (size_t i = 0; i < rank; i++) {
    const json_t *item = list != NULL ? json_array_get(list, i) : NULL;
    if (list != NULL && !json_is_boolean(item))
      return cdl_fail(CDL_STATUS_USAGE, "rank_pattern: %s: expected a list of booleans", name);
    t->stored[module * rank + i] = list == NULL || json_is_true(item);
  }
  return CDL_STATUS_OK;
}

static cdl_status read_extra(const model_adapter *a, triplets *t)
{
  const json_t *pattern =
                   a->config_extra != NULL ? json_object_get(a->config_extra, pattern_key) : NULL,
               *steps =
                   a->config_extra != NULL ? json_object_get(a->config_extra, steps_key) : NULL;
  size_t named = 0;
  if (pattern != NULL && !json_is_null(pattern) && !json_is_object(pattern))
    return cdl_fail(CDL_STATUS_USAGE, "rank_pattern: expected an object of lists of booleans");
  if (steps != NULL && !json_is_null(steps)) {
    if (!json_is_integer(steps) || json_integer_value(steps) < 1)
      return cdl_fail(CDL_STATUS_USAGE, "total_step: expected a whole number above 0");
    t->total_steps = json_integer_value(steps);
  }
  t->has_pattern = json_object_size(pattern) > 0;
  for (size_t i = 0; i < a->module_count; i++)
    CDL_TRY(read_layer(a, pattern, i, t, &named));
  for (size_t i = 0; i < a->folded_count; i++) {
    char name[2 * MODEL_NAME_BYTES];
    CDL_TRY(pattern_name(t, a->folded[i].path, name, sizeof name));
    named += json_object_get(pattern, name) != NULL;
  }
  if (named == json_object_size(pattern))
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_USAGE, "rank_pattern: %zu of its %zu entries name no adapted layer",
                  json_object_size(pattern) - named, json_object_size(pattern));
}

cdl_status triplets_prepare(model_adapter *a, triplets *t)
{
  const int64_t rank = initial_rank(a), target = (int64_t)a->options[TRIPLET_TARGET_R];
  if (target > rank)
    return cdl_fail(CDL_STATUS_USAGE, "target_r %lld is above init_r %lld: ranks only fall",
                    (long long)target, (long long)rank);
  t->stored = calloc(a->module_count * (size_t)rank + 1, sizeof *t->stored);
  t->batches = calloc(a->module_count + 1, sizeof *t->batches);
  t->batch_modules = calloc(a->module_count + 1, sizeof *t->batch_modules);
  if (t->stored == NULL || t->batches == NULL || t->batch_modules == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the ranks of %zu layers", a->module_count);
  for (size_t i = 0; i < a->module_count; i++) {
    module_settings *s = &a->per_module[i];
    s->rank = rank;
    s->scale = own_scale(s->alpha, rank);
  }
  for (size_t i = 0; i < a->folded_count; i++) {
    module_settings *s = &a->folded[i].settings;
    *s = (module_settings){rank, s->alpha, own_scale(s->alpha, rank)};
  }
  return read_extra(a, t);
}

/* ---- Memory ---- */

typedef struct {
  cdl_buffer *buffer;
  int64_t used;
} region;

static cdl_tensor take(region *r, int64_t count, int64_t rows, int64_t columns)
{
  const cdl_tensor t = cdl_tensor_3d(r->buffer, CDL_DTYPE_F32, r->used, count, rows, columns);
  r->used += encoder_aligned(cdl_tensor_elements(t));
  return t;
}

static int64_t larger(int64_t a, int64_t b)
{
  return a > b ? a : b;
}

static void part_shape(const model_adapter *a, const triplet_batch *b, triplet_part part,
                       int64_t *rows, int64_t *columns)
{
  const cdl_tensor weight = a->modules[b->modules[0]]->weight;
  *rows = part == TRIPLET_P ? weight.size[2] : b->rank;
  *columns = part == TRIPLET_P ? b->rank : part == TRIPLET_Q ? weight.size[3] : 1;
}

static int64_t lay_out(const model_adapter *a, triplets *t, cdl_buffer *buffer)
{
  region r = {.buffer = buffer};
  int64_t work = 1, ranks = 1, gram = 1, rank = 1, layers = 1;
  t->mask_count = 0;
  for (size_t i = 0; i < t->batch_count; i++) {
    triplet_batch *b = &t->batches[i];
    for (triplet_part p = TRIPLET_P; p < TRIPLET_PARTS; p++) {
      int64_t rows, columns;
      part_shape(a, b, p, &rows, &columns);
      b->sensitivity[p] = take(&r, b->count, rows, columns);
      b->uncertainty[p] = take(&r, b->count, rows, columns);
      work = larger(work, b->count * rows * columns);
    }
    b->first_mask = t->mask_count;
    t->mask_count += (size_t)(b->count * b->rank);
    ranks = larger(ranks, b->count * b->rank);
    gram = larger(gram, b->count * b->rank * b->rank);
    rank = larger(rank, b->rank);
    layers = larger(layers, b->count);
  }
  t->first_mask = r.used;
  for (size_t i = 0; i < t->batch_count; i++) {
    triplet_batch *b = &t->batches[i];
    b->mask = cdl_tensor_3d(buffer, CDL_DTYPE_F32, t->first_mask + (int64_t)b->first_mask, b->count,
                            b->rank, 1);
  }
  r.used += (int64_t)t->mask_count + 1;
  t->state = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, r.used);
  r.used = encoder_aligned(r.used);
  t->work = take(&r, 1, 1, work);
  t->work_rows = take(&r, 1, 1, ranks);
  t->scores = take(&r, 1, 1, (int64_t)t->mask_count);
  t->gram = take(&r, 1, 1, gram);
  t->identity = take(&r, 1, rank, rank);
  t->norm = take(&r, 1, 1, layers);
  t->least_norm = take(&r, 1, 1, 1);
  return r.used;
}

/* All state before the masks is zero. Masks are one, except where the folder's pattern drops ranks
 * that the file still has. */
static cdl_status fill_state(const model_adapter *a, triplets *t, cdl_queue *q)
{
  const int64_t rank = initial_rank(a), identity = t->identity.size[2];
  const size_t masks = t->mask_count + 1, ones = (size_t)(identity * identity);
  float *values = calloc(masks + ones, sizeof *values), *diagonal = values + masks;
  if (values == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu ranks", masks);
  for (size_t i = 0; i < t->batch_count; i++) {
    const triplet_batch *b = &t->batches[i];
    for (int layer = 0; layer < b->count; layer++)
      for (int64_t k = 0; k < b->rank; k++)
        values[b->first_mask + (size_t)(layer * b->rank + k)] =
            b->rank < rank || t->stored[(int64_t)b->modules[layer] * rank + k] ? 1 : 0;
  }
  values[t->mask_count] = t->has_pattern ? 1 : 0;
  for (int64_t i = 0; i < identity; i++)
    diagonal[i * identity + i] = 1;
  cdl_fill(q, CDL_ARGS(fill, .out = t->state));
  cdl_queue_upload(q, cdl_tensor_1d(t->buffer, CDL_DTYPE_F32, t->first_mask, (int64_t)masks),
                   values, masks * sizeof *values);
  cdl_queue_upload(q, t->identity, diagonal, ones * sizeof *values);
  free(values);
  /* A lower bound for the norm of an orthonormal matrix: its gradient is then zero. */
  cdl_fill(q, CDL_ARGS(fill, .out = t->least_norm, .value = 1e-19));
  return cdl_queue_status(q);
}

cdl_status triplets_allocate(model_adapter *a, cdl_queue *q, triplets *t)
{
  const int64_t elements = lay_out(a, t, NULL);
  CDL_TRY(cdl_buffer_create(cdl_queue_backend(q), (size_t)elements * sizeof(float), &t->buffer));
  lay_out(a, t, t->buffer);
  return fill_state(a, t, q);
}

void triplets_release(triplets *t)
{
  cdl_buffer_destroy(t->buffer);
  free(t->stored);
  free(t->batch_modules);
  free(t->batches);
}

/* ---- Arithmetic ---- */

/* Returns scratch memory in the shape of x. */
static cdl_tensor as(cdl_tensor scratch, cdl_tensor x)
{
  return cdl_tensor_3d(scratch.buffer, CDL_DTYPE_F32, scratch.offset, x.size[1], x.size[2],
                       x.size[3]);
}

static void multiply(cdl_queue *q, cdl_tensor out, cdl_tensor x, cdl_tensor y)
{
  cdl_binary(q, CDL_ARGS(binary, .out = out, .x = x, .y = y, .function = CDL_BINARY_MULTIPLY));
}

static void absolute(cdl_queue *q, cdl_tensor x)
{
  cdl_unary(q, CDL_ARGS(unary, .out = x, .x = x, .function = CDL_UNARY_ABSOLUTE));
}

/* out = α x + β out */
static void blend(cdl_queue *q, cdl_tensor out, cdl_tensor x, double alpha, double beta)
{
  cdl_axpby(q, CDL_ARGS(axpby, .out = out, .x = x, .alpha = (float)alpha, .beta = (float)beta));
}

void triplets_row_dots(const triplets *t, cdl_queue *q, cdl_tensor out, cdl_tensor x, cdl_tensor y,
                       bool accumulate)
{
  const cdl_tensor products = as(t->work, x);
  multiply(q, products, x, y);
  cdl_reduce(q, CDL_ARGS(reduce, .out = out, .x = products, .function = CDL_REDUCE_SUM, .axis = 3,
                         .accumulate = accumulate));
}

void triplets_scale_rows(const triplets *t, cdl_queue *q, cdl_tensor out, cdl_tensor x,
                         cdl_tensor scale, bool accumulate)
{
  const cdl_tensor products = accumulate ? as(t->work, x) : out;
  multiply(q, products, x, scale);
  if (accumulate)
    blend(q, out, products, 1, 1);
}

/* gram = Xᵀ X − I (P) or X Xᵀ − I (Q), and norm = ‖gram‖_F of each layer. */
static void measure_gram(const triplets *t, cdl_queue *q, cdl_tensor x, triplet_part part,
                         cdl_tensor gram, cdl_tensor norm)
{
  const int64_t rank = gram.size[3];
  const cdl_tensor identity = cdl_tensor_columns(cdl_tensor_rows(t->identity, 0, rank), 0, rank);
  const cdl_tensor rows =
      cdl_tensor_3d(t->work_rows.buffer, CDL_DTYPE_F32, t->work_rows.offset, gram.size[1], rank, 1);
  cdl_gemm(q, CDL_ARGS(gemm, .out = gram, .a = x, .b = x, .transpose_a = part == TRIPLET_P,
                       .transpose_b = part == TRIPLET_Q, .alpha = 1));
  cdl_binary(
      q, CDL_ARGS(binary, .out = gram, .x = gram, .y = identity, .function = CDL_BINARY_SUBTRACT));
  cdl_reduce(
      q, CDL_ARGS(reduce, .out = rows, .x = gram, .function = CDL_REDUCE_SUM_SQUARES, .axis = 3));
  cdl_reduce(q, CDL_ARGS(reduce, .out = norm, .x = rows, .function = CDL_REDUCE_SUM, .axis = 2));
  cdl_unary(q, CDL_ARGS(unary, .out = norm, .x = norm, .function = CDL_UNARY_SQUARE_ROOT));
}

/* ∂‖X Xᵀ − I‖_F / ∂X = 2 (X Xᵀ − I) X / ‖X Xᵀ − I‖_F, and with Xᵀ X: 2 X (Xᵀ X − I) / … */
static void add_gradient(const triplets *t, cdl_queue *q, const triplet_batch *b, triplet_part part,
                         cdl_tensor gram, cdl_tensor norm, float weight)
{
  const bool left = part == TRIPLET_Q;
  cdl_binary(q, CDL_ARGS(binary, .out = norm, .x = norm, .y = t->least_norm,
                         .function = CDL_BINARY_MAXIMUM));
  cdl_unary(q, CDL_ARGS(unary, .out = norm, .x = norm, .function = CDL_UNARY_RECIPROCAL));
  multiply(q, gram, gram, norm);
  cdl_gemm(q, CDL_ARGS(gemm, .out = b->gradient[part], .a = left ? gram : b->value[part],
                       .b = left ? b->value[part] : gram, .alpha = 2 * weight, .beta = 1));
}

void triplets_penalty(const model_adapter *a, triplets *t, cdl_queue *q, cdl_tensor loss,
                      bool gradients)
{
  static const triplet_part parts[] = {TRIPLET_P, TRIPLET_Q};
  const float weight = weight_of_penalty(a);
  for (size_t i = 0; i < 2 * t->batch_count && weight > 0; i++) {
    const triplet_batch *b = &t->batches[i / 2];
    if (b->rank == 0)
      continue;
    const cdl_tensor gram =
        cdl_tensor_3d(t->gram.buffer, CDL_DTYPE_F32, t->gram.offset, b->count, b->rank, b->rank);
    const cdl_tensor norm =
        cdl_tensor_3d(t->norm.buffer, CDL_DTYPE_F32, t->norm.offset, b->count, 1, 1);
    measure_gram(t, q, b->value[parts[i % 2]], parts[i % 2], gram, norm);
    if (cdl_tensor_present(loss)) {
      const cdl_tensor weighted = as(t->work_rows, norm);
      blend(q, weighted, norm, (double)weight, 0);
      cdl_reduce(q, CDL_ARGS(reduce, .out = loss, .x = weighted, .function = CDL_REDUCE_SUM,
                             .axis = 1, .accumulate = true));
    }
    if (gradients)
      add_gradient(t, q, b, parts[i % 2], gram, norm, weight);
  }
}

/* ---- Importance (Zhang et al. 2023, eq. 8 to 11) ---- */

/* I = |p ∂L/∂p|;  Ī ← β1 Ī + (1 − β1) I;  Ū ← β2 Ū + (1 − β2) |I − Ī| */
static void measure(const model_adapter *a, const triplets *t, cdl_queue *q, const triplet_batch *b,
                    triplet_part part, cdl_tensor factor)
{
  const double beta1 = adapter_option_value(a, TRIPLET_BETA1),
               beta2 = adapter_option_value(a, TRIPLET_BETA2);
  const cdl_tensor now = as(t->work, b->value[part]);
  multiply(q, now, b->value[part], b->gradient[part]);
  multiply(q, now, now, factor);
  absolute(q, now);
  blend(q, b->sensitivity[part], now, 1 - beta1, beta1);
  blend(q, now, b->sensitivity[part], -1, 1);
  absolute(q, now);
  blend(q, b->uncertainty[part], now, 1 - beta2, beta2);
}

/* The score of a triplet: s(Λ_i) + the mean of s over row i of Q + the mean over column i of P, s =
 * Ī Ū. */
static void score(const triplets *t, cdl_queue *q, const triplet_batch *b)
{
  cdl_tensor scores =
      cdl_tensor_3d(t->scores.buffer, CDL_DTYPE_F32, t->scores.offset + (int64_t)b->first_mask,
                    b->count, b->rank, 1);
  multiply(q, scores, b->sensitivity[TRIPLET_LAMBDA], b->uncertainty[TRIPLET_LAMBDA]);
  const cdl_tensor row = b->sensitivity[TRIPLET_Q], column = b->sensitivity[TRIPLET_P];
  cdl_tensor sums = as(t->work_rows, scores);
  triplets_row_dots(t, q, sums, row, b->uncertainty[TRIPLET_Q], false);
  blend(q, scores, sums, 1 / (double)row.size[3], 1);

  const cdl_tensor products = as(t->work, column);
  multiply(q, products, column, b->uncertainty[TRIPLET_P]);
  sums = cdl_tensor_3d(sums.buffer, CDL_DTYPE_F32, sums.offset, b->count, 1, b->rank);
  scores = cdl_tensor_3d(scores.buffer, CDL_DTYPE_F32, scores.offset, b->count, 1, b->rank);
  cdl_reduce(q,
             CDL_ARGS(reduce, .out = sums, .x = products, .function = CDL_REDUCE_SUM, .axis = 2));
  blend(q, scores, sums, 1 / (double)column.size[2], 1);
}

static cdl_status choose(triplets *t, cdl_queue *q, int64_t kept)
{
  const size_t count = t->mask_count;
  float *scores = calloc(2 * count + 1, sizeof *scores), *keep = scores + count;
  if (scores == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the scores of %zu ranks", count);
  for (size_t i = 0; i < t->batch_count; i++)
    if (t->batches[i].rank > 0)
      score(t, q, &t->batches[i]);
  cdl_queue_download(q, scores, t->scores, count * sizeof *scores);
  cdl_status status = cdl_queue_sync(q);
  if (status == CDL_STATUS_OK)
    status = rank_choose(scores, count, kept, keep);
  if (status == CDL_STATUS_OK) {
    keep[count] = 1; /* a choice was made */
    cdl_queue_upload(q, cdl_tensor_1d(t->buffer, CDL_DTYPE_F32, t->first_mask, (int64_t)count + 1),
                     keep, (count + 1) * sizeof *keep);
    status = cdl_queue_status(q);
  }
  free(scores);
  return status;
}

/* ---- Result of a run ---- */

static const char *name_in_block(const model_adapter *a, const encoder_module *module)
{
  return module->layer >= 0
             ? model_family_of(encoder_config(a->encoder)->family)->block->paths[module->kind]
             : module->path;
}

/* Logs one line for all layers of a kind. */
static void log_kind(const model_adapter *a, const int64_t *ranks, size_t first)
{
  const char *name = name_in_block(a, a->modules[first]);
  char line[1024];
  int used = snprintf(line, sizeof line, "ranks of %s:", name);
  for (size_t i = first; i < a->module_count && used > 0 && (size_t)used < sizeof line; i++)
    if (strcmp(name_in_block(a, a->modules[i]), name) == 0)
      used += snprintf(line + used, sizeof line - (size_t)used, " %lld", (long long)ranks[i]);
  cdl_log(CDL_LOG_NOTICE, "%s", line);
}

static cdl_status log_ranks(const model_adapter *a, const triplets *t, cdl_queue *q)
{
  float *masks = calloc(t->mask_count + 1, sizeof *masks);
  int64_t *ranks = calloc(a->module_count, sizeof *ranks);
  cdl_status status = masks != NULL && ranks != NULL
                          ? CDL_STATUS_OK
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: the ranks of the layers");
  if (status == CDL_STATUS_OK) {
    cdl_queue_download(
        q, masks, cdl_tensor_1d(t->buffer, CDL_DTYPE_F32, t->first_mask, (int64_t)t->mask_count),
        t->mask_count * sizeof *masks);
    status = cdl_queue_sync(q);
  }
  for (size_t i = 0; status == CDL_STATUS_OK && i < t->batch_count; i++)
    for (int64_t k = 0; k < t->batches[i].count * t->batches[i].rank; k++)
      ranks[t->batches[i].modules[k / t->batches[i].rank]] +=
          masks[t->batches[i].first_mask + (size_t)k] != 0;
  for (size_t i = 0; status == CDL_STATUS_OK && i < a->module_count; i++) {
    bool before = false;
    for (size_t j = 0; j < i && !before; j++)
      before = strcmp(name_in_block(a, a->modules[j]), name_in_block(a, a->modules[i])) == 0;
    if (!before)
      log_kind(a, ranks, i);
  }
  free(ranks);
  free(masks);
  return status;
}

/* ---- Training ---- */

cdl_status triplets_begin_run(model_adapter *a, cdl_queue *q, int64_t steps)
{
  triplets *t = a->own_state;
  t->total_steps = steps;
  if (a->reference_compat)
    return CDL_STATUS_OK; /* the reference never calls its allocator */
  const rank_budget budget = {.initial = (int64_t)t->mask_count,
                              .target =
                                  (int64_t)a->options[TRIPLET_TARGET_R] * (int64_t)a->module_count,
                              .first = (int64_t)a->options[TRIPLET_TINIT],
                              .last = (int64_t)a->options[TRIPLET_TFINAL],
                              .interval = (int64_t)a->options[TRIPLET_DELTA_T],
                              .steps = steps};
  CDL_TRY(rank_budget_check(&budget));
  t->budget = budget;
  cdl_fill(q, CDL_ARGS(fill, .out = cdl_tensor_1d(t->buffer, CDL_DTYPE_F32, 0, t->first_mask)));
  return cdl_queue_status(q);
}

cdl_status triplets_after_step(model_adapter *a, triplets *t, cdl_queue *q, int64_t step,
                               cdl_tensor factor, bool *masked)
{
  *masked = false;
  if (t->budget.steps == 0)
    return CDL_STATUS_OK;
  const rank_plan plan = rank_plan_at(&t->budget, step);
  for (size_t i = 0; i < t->batch_count && plan.measures; i++)
    for (triplet_part p = TRIPLET_P; p < TRIPLET_PARTS && t->batches[i].rank > 0; p++)
      measure(a, t, q, &t->batches[i], p, factor);
  if (plan.chooses)
    CDL_TRY(choose(t, q, plan.kept));
  *masked = plan.chooses || plan.repeats;
  if (step == t->budget.steps - 1)
    CDL_TRY(log_ranks(a, t, q));
  return cdl_queue_status(q);
}

cdl_tensor triplets_state(model_adapter *a, size_t index)
{
  const triplets *t = a->own_state;
  return index == 0 ? t->state : (cdl_tensor){0};
}

/* ---- Files ---- */

bool triplets_chosen(const triplets *t, const adapter_snapshot *snapshot)
{
  return snapshot->state[t->first_mask + (int64_t)t->mask_count] != 0;
}

bool triplets_kept(const triplets *t, const adapter_snapshot *snapshot, const triplet_batch *b,
                   int layer, int64_t rank)
{
  const int64_t place = layer * b->rank + rank;
  return snapshot->state[t->first_mask + (int64_t)b->first_mask + place] != 0 ||
         (b->stored_lambda >= 0 && snapshot->values[b->stored_lambda + place] != 0);
}

/* Returns a layer's list over init_r ranks: true for ranks that are parameters and were kept. */
static json_t *layer_json(const model_adapter *a, const triplets *t,
                          const adapter_snapshot *snapshot, const triplet_batch *b, int layer)
{
  const int64_t initial = initial_rank(a);
  json_t *list = json_array();
  int64_t next = 0;
  for (int64_t k = 0; k < initial; k++) {
    const bool there = b->rank == initial || t->stored[(int64_t)b->modules[layer] * initial + k];
    const bool kept = there && triplets_kept(t, snapshot, b, layer, next);
    next += there;
    base_json_append(&list, json_boolean(kept));
  }
  return list;
}

json_t *triplets_extra(const model_adapter *a, const adapter_snapshot *snapshot)
{
  const triplets *t = a->own_state;
  json_t *extra = json_object(), *pattern = json_object();
  if (t->total_steps > 0) /* PEFT cannot read an adapter without it */
    base_json_set(&extra, steps_key, json_integer(t->total_steps));
  const bool chosen = triplets_chosen(t, snapshot);
  for (size_t i = 0; i < t->batch_count && chosen; i++)
    for (int layer = 0; layer < t->batches[i].count; layer++) {
      const triplet_batch *b = &t->batches[i];
      char name[2 * MODEL_NAME_BYTES];
      const cdl_status named =
          pattern_name(t, a->modules[b->modules[layer]]->path, name, sizeof name);
      base_json_set(&pattern, name,
                    named == CDL_STATUS_OK ? layer_json(a, t, snapshot, b, layer) : NULL);
    }
  if (chosen)
    base_json_set(&extra, pattern_key, pattern);
  else
    json_decref(pattern);
  return extra;
}
