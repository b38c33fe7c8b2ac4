#include "tools/analysis/layer_similarity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/analysis/cka.h"
#include "tools/analysis/conversion.h"

/* ---- The matrices ---- */

typedef enum { BASE, TUNED, UPDATE, CONVERSION, SETS } matrix_set;

typedef struct {
  cdl_queue *queue;
  const analysis_adapted *all_tuned;
  const analysis_adapted_target *base, *tuned;
  int64_t i, j;
  analysis_layer_similarity_target *result;
  analysis_matrix *matrices; /* [layers] of the current set */
} work;

static cdl_status subtract(analysis_matrix *from, const analysis_matrix *m)
{
  double largest = 0;
  for (int64_t i = 0; i < from->rows * from->columns; i++) {
    from->values[i] -= m->values[i];
    largest = fmax(largest, fabs(from->values[i]));
  }
  return largest > 0 ? CDL_STATUS_OK
                     : cdl_fail(CDL_STATUS_DATA, "the fine-tuned weight is the base's");
}

/* Computes W⁺ ΔW in `update`. */
static cdl_status convert(cdl_queue *queue, const analysis_matrix *weight, analysis_matrix *update)
{
  analysis_conversion_matrices m = {0};
  analysis_matrix no_a;
  CDL_TRY(analysis_matrix_create(0, weight->columns, &no_a));
  const cdl_status status =
      analysis_conversion_matrices_of(queue, weight, &no_a, update, ADAPTER_ORIENTATION_PAPER, &m);
  analysis_matrix_free(&no_a);
  CDL_TRY(status);
  analysis_matrix_free(update);
  *update = m.b;
  analysis_matrix_free(&m.a);
  return CDL_STATUS_OK;
}

static cdl_status read_matrix(const work *w, matrix_set set, int l, analysis_matrix *m)
{
  analysis_matrix weight;
  if (set == BASE)
    return analysis_adapted_weight(w->queue, &w->base->layers[l], m);
  CDL_TRY(analysis_adapted_weight(w->queue, &w->tuned->layers[l], m));
  if (set == TUNED)
    return CDL_STATUS_OK;
  CDL_TRY(analysis_adapted_weight(w->queue, &w->base->layers[l], &weight));
  cdl_status status = subtract(m, &weight);
  if (status == CDL_STATUS_OK && set == CONVERSION)
    status = convert(w->queue, &weight, m);
  analysis_matrix_free(&weight);
  return cdl_context(status, "layer %d, %s", w->base->layers[l].number, w->base->name);
}

static cdl_status check_counts(const work *w)
{
  char what[MODEL_NAME_BYTES + 64];
  const int64_t n = w->base->columns;
  snprintf(what, sizeof what, "a conversion matrix of %s", w->base->name);
  return analysis_check_counts(w->i, w->j, what, n, n, ANALYSIS_SIDE_LEFT);
}

/* Computes φ of the leading left singular vectors of all pairs. */
static cdl_status phi(const work *w)
{
  const int count = w->base->count;
  analysis_spectrum *spectra = calloc((size_t)count, sizeof *spectra);
  const analysis_matrix **vectors = calloc((size_t)count, sizeof *vectors);
  cdl_status status = spectra != NULL && vectors != NULL
                          ? CDL_STATUS_OK
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d layers", count);
  for (int l = 0; l < count && status == CDL_STATUS_OK; l++) {
    char what[MODEL_NAME_BYTES + 64];
    status = analysis_spectrum_of(w->queue, &w->matrices[l], &spectra[l]);
    if (status != CDL_STATUS_OK)
      break;
    snprintf(what, sizeof what, "layer %d, %s: the conversion matrix", w->base->layers[l].number,
             w->base->name);
    if (analysis_spectrum_check(&spectra[l], w->i, what) && w->j != w->i)
      (void)analysis_spectrum_check(&spectra[l], w->j, what);
    vectors[l] = &spectra[l].vectors[ANALYSIS_SIDE_LEFT];
  }
  if (status == CDL_STATUS_OK)
    status = analysis_grid_of(vectors, count, w->i, w->j, &w->result->conversion_phi);
  for (int l = 0; l < count && spectra != NULL; l++)
    analysis_spectrum_free(&spectra[l]);
  free(spectra);
  free(vectors);
  return status;
}

static cdl_status compute_set(const work *w, matrix_set set)
{
  analysis_layer_similarity_target *r = w->result;
  analysis_grid *const grids[SETS] = {&r->base, &r->tuned, &r->update, &r->conversion};
  for (int l = 0; l < w->base->count; l++) {
    analysis_matrix_free(&w->matrices[l]);
    CDL_TRY(read_matrix(w, set, l, &w->matrices[l]));
  }
  if (set == CONVERSION)
    CDL_TRY(phi(w));
  return analysis_cka(w->queue, w->matrices, w->base->count, grids[set]);
}

static cdl_status compute_target(void *user, const analysis_adapted_target *target, size_t number,
                                 void *result)
{
  work *w = user;
  const int count = target->count;
  w->base = target;
  w->tuned = &w->all_tuned->targets[number];
  w->result = result;
  w->result->target = target;
  CDL_TRY(check_counts(w));
  w->matrices = calloc((size_t)count, sizeof *w->matrices);
  cdl_status status = w->matrices != NULL
                          ? CDL_STATUS_OK
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d layers", count);
  for (matrix_set set = 0; set < SETS && status == CDL_STATUS_OK; set++)
    status = compute_set(w, set);
  for (int l = 0; l < count && w->matrices != NULL; l++)
    analysis_matrix_free(&w->matrices[l]);
  free(w->matrices);
  return status;
}

static cdl_status check_alike(const analysis_adapted *base, const analysis_adapted *tuned)
{
  bool same = base->count == tuned->count;
  for (size_t t = 0; same && t < base->count; t++) {
    const analysis_adapted_target *x = &base->targets[t], *y = &tuned->targets[t];
    same = x->count == y->count && x->rows == y->rows && x->columns == y->columns;
  }
  return same ? CDL_STATUS_OK
              : cdl_fail(CDL_STATUS_DATA, "the models have layers of different number or shape");
}

cdl_status analysis_layer_similarity_compute(cdl_queue *queue, const analysis_adapted *base,
                                             const analysis_adapted *tuned, int64_t i, int64_t j,
                                             analysis_layer_similarity *result)
{
  *result = (analysis_layer_similarity){0};
  CDL_TRY(check_alike(base, tuned));
  *result = (analysis_layer_similarity){
      .count = base->count, .targets = calloc(base->count + 1, sizeof *result->targets)};
  work w = {.queue = queue, .all_tuned = tuned, .i = i, .j = j};
  const cdl_status status =
      analysis_each_target(base, result->targets, sizeof *result->targets, compute_target, &w);
  if (status != CDL_STATUS_OK)
    analysis_layer_similarity_free(result);
  return status;
}

void analysis_layer_similarity_free(analysis_layer_similarity *result)
{
  for (size_t t = 0; t < result->count && result->targets != NULL; t++) {
    analysis_layer_similarity_target *target = &result->targets[t];
    analysis_grid *const grids[] = {&target->base, &target->tuned, &target->update,
                                    &target->conversion, &target->conversion_phi};
    for (size_t g = 0; g < sizeof grids / sizeof grids[0]; g++)
      analysis_grid_free(grids[g]);
  }
  free(result->targets);
  *result = (analysis_layer_similarity){0};
}

/* ---- States ---- */

static cdl_status take_rows(const float *states, int64_t hidden, const uint32_t *rows, size_t count,
                            analysis_matrix *m)
{
  CDL_TRY(analysis_matrix_create((int64_t)count, hidden, m));
  for (size_t i = 0; i < count; i++)
    for (int64_t j = 0; j < hidden; j++)
      analysis_matrix_row(m, (int64_t)i)[j] = (double)states[(int64_t)rows[i] * hidden + j];
  return CDL_STATUS_OK;
}

cdl_status analysis_state_similarity(cdl_queue *queue, const float *states, int layers,
                                     size_t total, int64_t hidden, const uint32_t *rows,
                                     size_t count, analysis_grid *grid)
{
  if (count < 2)
    return cdl_fail(CDL_STATUS_DATA, "%zu example; at least two can be compared", count);
  analysis_matrix *matrices = calloc((size_t)layers, sizeof *matrices);
  cdl_status status = matrices != NULL
                          ? CDL_STATUS_OK
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d layers", layers);
  for (int l = 0; l < layers && status == CDL_STATUS_OK; l++)
    status =
        take_rows(states + (size_t)l * total * (size_t)hidden, hidden, rows, count, &matrices[l]);
  if (status == CDL_STATUS_OK)
    status = analysis_cka(queue, matrices, layers, grid);
  for (int l = 0; l < layers && matrices != NULL; l++)
    analysis_matrix_free(&matrices[l]);
  free(matrices);
  return status;
}
