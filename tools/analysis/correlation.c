#include "tools/analysis/correlation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
  cdl_queue *queue;
  const analysis_correlation_settings *settings;
  analysis_correlation_target *result;
  uint32_t number; /* of the target */
} work;

static cdl_status check_counts(const work *w)
{
  const analysis_adapted_target *t = w->result->target;
  const analysis_correlation_settings *s = w->settings;
  for (analysis_side side = 0; side < ANALYSIS_SIDE_COUNT; side++)
    if (s->sides[side])
      CDL_TRY(analysis_check_counts(s->i, s->j, t->name, t->rows, t->columns, side));
  return CDL_STATUS_OK;
}

static cdl_random stream(const work *w, int number, analysis_side side, uint32_t purpose)
{
  return cdl_random_start(w->settings->seed, CDL_RANDOM_ANALYSIS, (uint32_t)number,
                          w->number << 8 | (uint32_t)side << 4 | purpose);
}

/* Compares, on one side, W's first i vectors with ΔW's first j and with j random ones. */
static cdl_status compare(const work *w, int number, analysis_side side, analysis_spectrum *weight,
                          analysis_spectrum *update, analysis_correlation_value *value)
{
  const analysis_correlation_settings *s = w->settings;
  const int64_t n = side == ANALYSIS_SIDE_LEFT ? weight->rows : weight->columns;
  cdl_random of_weight = stream(w, number, side, 0), of_update = stream(w, number, side, 1),
             baseline = stream(w, number, side, 2);
  analysis_matrix random;
  CDL_TRY(analysis_spectrum_extend(w->queue, weight, side, s->i, &of_weight));
  CDL_TRY(analysis_spectrum_extend(w->queue, update, side, s->j, &of_update));
  CDL_TRY(analysis_random_vectors(w->queue, s->j, n, &baseline, &random));
  *value = (analysis_correlation_value){
      .phi = analysis_phi(&weight->vectors[side], s->i, &update->vectors[side], s->j),
      .random = analysis_phi(&weight->vectors[side], s->i, &random, s->j),
      .expected = analysis_phi_expected(s->i, s->j, n)};
  analysis_matrix_free(&random);
  return CDL_STATUS_OK;
}

static cdl_status compute_layer(const work *w, int layer, analysis_spectrum *weight,
                                analysis_spectrum *update)
{
  const analysis_adapted_target *target = w->result->target;
  const analysis_adapted_layer *l = &target->layers[layer];
  char what[MODEL_NAME_BYTES + 64];
  analysis_matrix values;
  CDL_TRY(analysis_adapted_weight(w->queue, l, &values));
  const cdl_status status = analysis_spectrum_of(w->queue, &values, weight);
  analysis_matrix_free(&values);
  CDL_TRY(status);
  CDL_TRY(analysis_spectrum_of_product(w->queue, &l->b, &l->a, update));
  snprintf(what, sizeof what, "layer %d, %s: the weight", l->number, target->name);
  (void)analysis_spectrum_check(weight, w->settings->i, what);
  snprintf(what, sizeof what, "layer %d, %s: the update", l->number, target->name);
  (void)analysis_spectrum_check(update, w->settings->j, what);
  for (analysis_side side = 0; side < ANALYSIS_SIDE_COUNT; side++) {
    analysis_correlation_value *value = &w->result->layers[layer][side];
    if (w->settings->sides[side])
      CDL_TRY(compare(w, l->number, side, weight, update, value));
    else
      *value = (analysis_correlation_value){NAN, NAN, NAN};
  }
  return CDL_STATUS_OK;
}

static cdl_status compute_target(void *user, const analysis_adapted_target *target, size_t number,
                                 void *result)
{
  work *w = user;
  analysis_correlation_target *r = w->result = result;
  const int count = target->count;
  w->number = (uint32_t)number;
  r->target = target;
  CDL_TRY(check_counts(w));
  r->layers = calloc((size_t)count, sizeof *r->layers);
  if (r->layers == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d layers", count);
  for (int l = 0; l < count; l++) {
    analysis_spectrum weight = {0}, update = {0};
    const cdl_status status = compute_layer(w, l, &weight, &update);
    analysis_spectrum_free(&weight);
    analysis_spectrum_free(&update);
    CDL_TRY(status);
    for (analysis_side side = 0; side < ANALYSIS_SIDE_COUNT; side++) {
      const analysis_correlation_value *value = &r->layers[l][side];
      r->mean[side].phi += value->phi / count;
      r->mean[side].random += value->random / count;
      r->mean[side].expected = value->expected;
    }
  }
  return CDL_STATUS_OK;
}

cdl_status analysis_correlation_compute(cdl_queue *queue, const analysis_adapted *adapted,
                                        const analysis_correlation_settings *settings,
                                        analysis_correlation *result)
{
  *result = (analysis_correlation){.count = adapted->count,
                                   .targets = calloc(adapted->count + 1, sizeof *result->targets)};
  work w = {.queue = queue, .settings = settings};
  const cdl_status status =
      analysis_each_target(adapted, result->targets, sizeof *result->targets, compute_target, &w);
  if (status != CDL_STATUS_OK)
    analysis_correlation_free(result);
  return status;
}

void analysis_correlation_free(analysis_correlation *result)
{
  for (size_t t = 0; t < result->count && result->targets != NULL; t++)
    free(result->targets[t].layers);
  free(result->targets);
  *result = (analysis_correlation){0};
}
