#include "tools/analysis/similarity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/log.h"

const char *cdl_similarity_name(cdl_similarity_kind kind)
{
  static const char *const names[] = {"A", "B", "BA"};
  return names[kind];
}

static cdl_side side_of(cdl_similarity_kind kind)
{
  return kind == CDL_SIMILARITY_A ? CDL_SIDE_RIGHT : CDL_SIDE_LEFT;
}

/* ---- One layer ---- */

static cdl_status spectrum_of(cdl_queue *queue, const cdl_adapted_layer *l,
                              cdl_similarity_kind kind, cdl_spectrum *s)
{
  return kind == CDL_SIMILARITY_DELTA
             ? cdl_spectrum_of_product(queue, &l->b, &l->a, s)
             : cdl_spectrum_of(queue, kind == CDL_SIMILARITY_A ? &l->a : &l->b, s);
}

typedef struct {
  cdl_queue *queue;
  const cdl_similarity_settings *settings;
  const char *target;
  uint32_t number; /* of the target */
} work;

/* The leading vectors of one adapter's matrix, with the warnings that are due. */
static cdl_status vectors_of(const work *w, const cdl_adapted_layer *l, cdl_similarity_kind kind,
                             int64_t count, bool second, cdl_matrix *vectors)
{
  const cdl_side side = side_of(kind);
  cdl_spectrum s;
  char what[CDL_NAME_BYTES + 64];
  snprintf(what, sizeof what, "layer %d, %s: %s of the %s adapter", l->number, w->target,
           cdl_similarity_name(kind), second ? "second" : "first");
  CDL_TRY(spectrum_of(w->queue, l, kind, &s));
  cdl_random random =
      cdl_random_start(w->settings->seed, CDL_RANDOM_ANALYSIS, (uint32_t)l->number,
                       w->number << 8 | (uint32_t)kind << 4 | (uint32_t)second << 1);
  const int64_t n = side == CDL_SIDE_LEFT ? s.rows : s.columns;
  cdl_status status =
      count <= n
          ? cdl_spectrum_extend(w->queue, &s, side, count, &random)
          : cdl_fail(CDL_USAGE, "--%c %lld: %s is [%lld, %lld] and has %lld %s singular vectors",
                     second ? 'j' : 'i', (long long)count, what, (long long)s.rows,
                     (long long)s.columns, (long long)n, cdl_side_name(side));
  if (status == CDL_OK) {
    (void)cdl_spectrum_check(&s, count, what);
    *vectors = s.vectors[side];
    s.vectors[side] = (cdl_matrix){0};
  }
  cdl_spectrum_free(&s);
  return status;
}

/* φ of one matrix of both adapters, and of the first one's and random vectors. */
static cdl_status compare(const work *w, const cdl_adapted_layer *first,
                          const cdl_adapted_layer *second, cdl_similarity_kind kind,
                          cdl_similarity_layer *result)
{
  const int64_t i = w->settings->i, j = w->settings->j;
  cdl_matrix x = {0}, y = {0}, z = {0};
  cdl_random random =
      cdl_random_start(w->settings->seed, CDL_RANDOM_ANALYSIS, (uint32_t)first->number,
                       w->number << 8 | (uint32_t)kind << 4 | 1u);
  cdl_status status = vectors_of(w, first, kind, i, false, &x);
  if (status == CDL_OK)
    status = vectors_of(w, second, kind, j, true, &y);
  if (status == CDL_OK)
    status = cdl_random_vectors(w->queue, j, x.columns, &random, &z);
  if (status == CDL_OK) {
    result->phi[kind] = cdl_phi(&x, i, &y, j);
    result->random[kind] = cdl_phi(&x, i, &z, j);
  }
  cdl_matrix_free(&x);
  cdl_matrix_free(&y);
  cdl_matrix_free(&z);
  return status;
}

/* ---- All of them ---- */

static const cdl_adapted_target *target_named(const cdl_adapted *a, const char *name)
{
  for (size_t t = 0; t < a->count; t++)
    if (strcmp(a->targets[t].name, name) == 0)
      return &a->targets[t];
  return NULL;
}

static const cdl_adapted_layer *layer_numbered(const cdl_adapted_target *target, int number)
{
  for (int l = 0; target != NULL && l < target->count; l++)
    if (target->layers[l].number == number)
      return &target->layers[l];
  return NULL;
}

static cdl_status compute_target(work *w, const cdl_adapted_target *first,
                                 const cdl_adapted_target *second, cdl_similarity_target *result)
{
  const int64_t most = w->settings->i > w->settings->j ? w->settings->i : w->settings->j;
  w->target = first->name;
  memcpy(result->name, first->name, sizeof result->name);
  if (second->rows != first->rows || second->columns != first->columns)
    return cdl_fail(CDL_DATA, "%s is [%lld, %lld] for one adapter, [%lld, %lld] for the other",
                    first->name, (long long)first->rows, (long long)first->columns,
                    (long long)second->rows, (long long)second->columns);
  result->layers = calloc((size_t)first->count, sizeof *result->layers);
  if (result->layers == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: %d layers", first->count);
  for (int l = 0; l < first->count; l++) {
    const cdl_adapted_layer *x = &first->layers[l], *y = layer_numbered(second, x->number);
    if (y == NULL)
      continue;
    cdl_similarity_layer *layer = &result->layers[result->count++];
    layer->number = x->number;
    for (cdl_similarity_kind k = 0; k < CDL_SIMILARITY_COUNT; k++)
      CDL_TRY(compare(w, x, y, k, layer));
  }
  for (cdl_similarity_kind k = 0; k < CDL_SIMILARITY_COUNT; k++) {
    result->expected[k] =
        (double)most / (double)(side_of(k) == CDL_SIDE_LEFT ? first->rows : first->columns);
    for (int l = 0; l < result->count; l++) {
      result->phi[k] += result->layers[l].phi[k] / result->count;
      result->random[k] += result->layers[l].random[k] / result->count;
    }
  }
  return CDL_OK;
}

/* Means over the layers of all targets. */
static int average(cdl_similarity *result)
{
  int layers = 0;
  for (size_t t = 0; t < result->count; t++)
    layers += result->targets[t].count;
  for (size_t t = 0; t < result->count; t++)
    for (cdl_similarity_kind k = 0; k < CDL_SIMILARITY_COUNT; k++)
      for (int l = 0; l < result->targets[t].count; l++) {
        result->phi[k] += result->targets[t].layers[l].phi[k] / layers;
        result->random[k] += result->targets[t].layers[l].random[k] / layers;
      }
  return layers;
}

static int layers_of(const cdl_adapted *a)
{
  int layers = 0;
  for (size_t t = 0; t < a->count; t++)
    layers += a->targets[t].count;
  return layers;
}

static cdl_status compute(cdl_queue *queue, const cdl_adapted *first, const cdl_adapted *second,
                          const cdl_similarity_settings *settings, cdl_similarity *result)
{
  result->targets = calloc(first->count + 1, sizeof *result->targets);
  if (result->targets == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: %zu targets", first->count);
  for (size_t t = 0; t < first->count; t++) {
    const cdl_adapted_target *other = target_named(second, first->targets[t].name);
    work w = {.queue = queue, .settings = settings, .number = (uint32_t)t};
    if (other == NULL)
      continue;
    result->count++;
    CDL_TRY(compute_target(&w, &first->targets[t], other, &result->targets[result->count - 1]));
    if (result->targets[result->count - 1].count == 0) {
      free(result->targets[--result->count].layers);
      result->targets[result->count] = (cdl_similarity_target){0};
    }
  }
  const int layers = average(result);
  if (layers == 0)
    return cdl_fail(CDL_DATA, "the adapters have no layer in common");
  if (layers < layers_of(first) || layers < layers_of(second))
    cdl_log(CDL_LOG_NOTICE,
            "%d layers are adapted by both and compared, %d by the first, %d by "
            "the second",
            layers, layers_of(first), layers_of(second));
  return CDL_OK;
}

cdl_status cdl_similarity_compute(cdl_queue *queue, const cdl_adapted *first,
                                  const cdl_adapted *second,
                                  const cdl_similarity_settings *settings, cdl_similarity *result)
{
  *result = (cdl_similarity){0};
  const cdl_status status = compute(queue, first, second, settings, result);
  if (status != CDL_OK)
    cdl_similarity_free(result);
  return status;
}

void cdl_similarity_free(cdl_similarity *result)
{
  for (size_t t = 0; t < result->count; t++)
    free(result->targets[t].layers);
  free(result->targets);
  *result = (cdl_similarity){0};
}
