#include "tools/analysis/similarity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/log.h"

const char *analysis_similarity_name(analysis_similarity_kind kind)
{
  static const char *const names[] = {"A", "B", "BA"};
  return names[kind];
}

static analysis_side side_of(analysis_similarity_kind kind)
{
  return kind == ANALYSIS_SIMILARITY_A ? ANALYSIS_SIDE_RIGHT : ANALYSIS_SIDE_LEFT;
}

/* ---- One layer ---- */

static cdl_status spectrum_of(cdl_queue *queue, const analysis_adapted_layer *l,
                              analysis_similarity_kind kind, analysis_spectrum *s)
{
  return kind == ANALYSIS_SIMILARITY_DELTA
             ? analysis_spectrum_of_product(queue, &l->b, &l->a, s)
             : analysis_spectrum_of(queue, kind == ANALYSIS_SIMILARITY_A ? &l->a : &l->b, s);
}

typedef struct {
  cdl_queue *queue;
  const analysis_similarity_settings *settings;
  const char *target;
  uint32_t number; /* of the target */
} work;

/* Computes the leading vectors of one adapter's matrix, and logs warnings. */
static cdl_status vectors_of(const work *w, const analysis_adapted_layer *l,
                             analysis_similarity_kind kind, int64_t count, bool second,
                             analysis_matrix *vectors)
{
  const analysis_side side = side_of(kind);
  analysis_spectrum s;
  char what[MODEL_NAME_BYTES + 64];
  snprintf(what, sizeof what, "layer %d, %s: %s of the %s adapter", l->number, w->target,
           analysis_similarity_name(kind), second ? "second" : "first");
  CDL_TRY(spectrum_of(w->queue, l, kind, &s));
  cdl_random random =
      cdl_random_start(w->settings->seed, CDL_RANDOM_ANALYSIS, (uint32_t)l->number,
                       w->number << 8 | (uint32_t)kind << 4 | (uint32_t)second << 1);
  cdl_status status =
      analysis_check_counts(second ? 0 : count, second ? count : 0, what, s.rows, s.columns, side);
  if (status == CDL_STATUS_OK)
    status = analysis_spectrum_extend(w->queue, &s, side, count, &random);
  if (status == CDL_STATUS_OK) {
    (void)analysis_spectrum_check(&s, count, what);
    *vectors = s.vectors[side];
    s.vectors[side] = (analysis_matrix){0};
  }
  analysis_spectrum_free(&s);
  return status;
}

/* Computes φ of one matrix of both adapters, and φ of the first adapter's and random vectors. */
static cdl_status compare(const work *w, const analysis_adapted_layer *first,
                          const analysis_adapted_layer *second, analysis_similarity_kind kind,
                          analysis_similarity_layer *result)
{
  const int64_t i = w->settings->i, j = w->settings->j;
  analysis_matrix x = {0}, y = {0}, z = {0};
  cdl_random random =
      cdl_random_start(w->settings->seed, CDL_RANDOM_ANALYSIS, (uint32_t)first->number,
                       w->number << 8 | (uint32_t)kind << 4 | 1u);
  cdl_status status = vectors_of(w, first, kind, i, false, &x);
  if (status == CDL_STATUS_OK)
    status = vectors_of(w, second, kind, j, true, &y);
  if (status == CDL_STATUS_OK)
    status = analysis_random_vectors(w->queue, j, x.columns, &random, &z);
  if (status == CDL_STATUS_OK) {
    result->phi[kind] = analysis_phi(&x, i, &y, j);
    result->random[kind] = analysis_phi(&x, i, &z, j);
  }
  analysis_matrix_free(&x);
  analysis_matrix_free(&y);
  analysis_matrix_free(&z);
  return status;
}

/* ---- All layers ---- */

static const analysis_adapted_target *target_named(const analysis_adapted *a, const char *name)
{
  for (size_t t = 0; t < a->count; t++)
    if (strcmp(a->targets[t].name, name) == 0)
      return &a->targets[t];
  return NULL;
}

static const analysis_adapted_layer *layer_numbered(const analysis_adapted_target *target,
                                                    int number)
{
  for (int l = 0; target != NULL && l < target->count; l++)
    if (target->layers[l].number == number)
      return &target->layers[l];
  return NULL;
}

static cdl_status compute_target(work *w, const analysis_adapted_target *first,
                                 const analysis_adapted_target *second,
                                 analysis_similarity_target *result)
{
  const int64_t most = w->settings->i > w->settings->j ? w->settings->i : w->settings->j;
  w->target = first->name;
  memcpy(result->name, first->name, sizeof result->name);
  if (second->rows != first->rows || second->columns != first->columns)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s is [%lld, %lld] for one adapter, [%lld, %lld] for the other", first->name,
                    (long long)first->rows, (long long)first->columns, (long long)second->rows,
                    (long long)second->columns);
  result->layers = calloc((size_t)first->count, sizeof *result->layers);
  if (result->layers == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d layers", first->count);
  for (int l = 0; l < first->count; l++) {
    const analysis_adapted_layer *x = &first->layers[l], *y = layer_numbered(second, x->number);
    if (y == NULL)
      continue;
    analysis_similarity_layer *layer = &result->layers[result->count++];
    layer->number = x->number;
    for (analysis_similarity_kind k = 0; k < ANALYSIS_SIMILARITY_COUNT; k++)
      CDL_TRY(compare(w, x, y, k, layer));
  }
  for (analysis_similarity_kind k = 0; k < ANALYSIS_SIMILARITY_COUNT; k++) {
    result->expected[k] =
        (double)most / (double)(side_of(k) == ANALYSIS_SIDE_LEFT ? first->rows : first->columns);
    for (int l = 0; l < result->count; l++) {
      result->phi[k] += result->layers[l].phi[k] / result->count;
      result->random[k] += result->layers[l].random[k] / result->count;
    }
  }
  return CDL_STATUS_OK;
}

/* Averages over the layers of all targets and returns their number. */
static int average(analysis_similarity *result)
{
  int layers = 0;
  for (size_t t = 0; t < result->count; t++)
    layers += result->targets[t].count;
  for (size_t t = 0; t < result->count; t++)
    for (analysis_similarity_kind k = 0; k < ANALYSIS_SIMILARITY_COUNT; k++)
      for (int l = 0; l < result->targets[t].count; l++) {
        result->phi[k] += result->targets[t].layers[l].phi[k] / layers;
        result->random[k] += result->targets[t].layers[l].random[k] / layers;
      }
  return layers;
}

static int layers_of(const analysis_adapted *a)
{
  int layers = 0;
  for (size_t t = 0; t < a->count; t++)
    layers += a->targets[t].count;
  return layers;
}

static cdl_status compute(cdl_queue *queue, const analysis_adapted *first,
                          const analysis_adapted *second,
                          const analysis_similarity_settings *settings, analysis_similarity *result)
{
  result->targets = calloc(first->count + 1, sizeof *result->targets);
  if (result->targets == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu targets", first->count);
  for (size_t t = 0; t < first->count; t++) {
    const analysis_adapted_target *other = target_named(second, first->targets[t].name);
    work w = {.queue = queue, .settings = settings, .number = (uint32_t)t};
    if (other == NULL)
      continue;
    result->count++;
    CDL_TRY(compute_target(&w, &first->targets[t], other, &result->targets[result->count - 1]));
    if (result->targets[result->count - 1].count == 0) {
      free(result->targets[--result->count].layers);
      result->targets[result->count] = (analysis_similarity_target){0};
    }
  }
  const int layers = average(result);
  if (layers == 0)
    return cdl_fail(CDL_STATUS_DATA, "the adapters have no layer in common");
  if (layers < layers_of(first) || layers < layers_of(second))
    cdl_log(CDL_LOG_NOTICE,
            "%d layers are adapted by both and compared, %d by the first, %d by "
            "the second",
            layers, layers_of(first), layers_of(second));
  return CDL_STATUS_OK;
}

cdl_status analysis_similarity_compute(cdl_queue *queue, const analysis_adapted *first,
                                       const analysis_adapted *second,
                                       const analysis_similarity_settings *settings,
                                       analysis_similarity *result)
{
  *result = (analysis_similarity){0};
  const cdl_status status = compute(queue, first, second, settings, result);
  if (status != CDL_STATUS_OK)
    analysis_similarity_free(result);
  return status;
}

void analysis_similarity_free(analysis_similarity *result)
{
  for (size_t t = 0; t < result->count; t++)
    free(result->targets[t].layers);
  free(result->targets);
  *result = (analysis_similarity){0};
}
