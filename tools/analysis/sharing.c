#include "tools/analysis/sharing.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
  cdl_queue *queue;
  adapter_orientation form;
  analysis_sharing_target *result;
  analysis_conversion_matrices *matrices; /* [layers] */
} work;

/* ---- One layer ---- */

static double effective_rank(const analysis_matrix *sigma)
{
  double sum = 0, entropy = 0;
  for (int64_t k = 0; k < sigma->columns; k++)
    sum += sigma->values[k];
  for (int64_t k = 0; k < sigma->columns; k++) {
    const double p = sum > 0 ? sigma->values[k] / sum : 0;
    entropy -= p > 0 ? p * log(p) : 0;
  }
  return sum > 0 ? exp(entropy) : 0;
}

static cdl_status describe(const work *w, int layer, analysis_conversion_kind kind)
{
  analysis_sharing_layer *l = &w->result->figures[kind].layers[layer];
  analysis_spectrum s;
  CDL_TRY(analysis_conversion_spectrum(w->queue, &w->matrices[layer],
                                       &w->result->target->layers[layer].a, kind, &s));
  l->sigma = s.sigma;
  s.sigma = (analysis_matrix){0};
  l->rank = s.rank;
  l->effective_rank = effective_rank(&l->sigma);
  l->norm = sqrt(analysis_matrix_dot(&l->sigma, &l->sigma));
  analysis_spectrum_free(&s);
  return CDL_STATUS_OK;
}

/* ---- All layers ---- */

/* Computes ⟨M_l, M_k⟩; NaN for different shapes. For products X Y it is Σ (X_lᵀ X_k) ∘ (Y_l
 * Y_kᵀ). */
static cdl_status inner_product(const work *w, analysis_conversion_kind kind, int l, int k,
                                double *product)
{
  const analysis_conversion_matrices *x = &w->matrices[l], *y = &w->matrices[k];
  const analysis_adapted_layer *layers = w->result->target->layers;
  if (kind == ANALYSIS_CONVERSION_BA) {
    analysis_matrix left = {0}, right = {0};
    cdl_status status = analysis_matrix_multiply(w->queue, &x->b, true, &y->b, false, &left);
    if (status == CDL_STATUS_OK)
      status = analysis_matrix_multiply(w->queue, &layers[l].a, false, &layers[k].a, true, &right);
    *product = status == CDL_STATUS_OK ? analysis_matrix_dot(&left, &right) : 0;
    analysis_matrix_free(&left);
    analysis_matrix_free(&right);
    return status;
  }
  const analysis_matrix *a = kind == ANALYSIS_CONVERSION_A ? &x->a : &x->b,
                        *b = kind == ANALYSIS_CONVERSION_A ? &y->a : &y->b;
  *product = a->columns == b->columns ? analysis_matrix_dot(a, b) : NAN;
  return CDL_STATUS_OK;
}

static cdl_status gram_of(const work *w, analysis_conversion_kind kind, analysis_matrix *gram)
{
  const int count = w->result->target->count;
  CDL_TRY(analysis_matrix_create(count, count, gram));
  for (int l = 0; l < count; l++)
    for (int k = l; k < count; k++) {
      double product;
      const cdl_status status = inner_product(w, kind, l, k, &product);
      if (status != CDL_STATUS_OK) {
        analysis_matrix_free(gram);
        return status;
      }
      analysis_matrix_row(gram, l)[k] = analysis_matrix_row(gram, k)[l] = product;
    }
  return CDL_STATUS_OK;
}

/* Computes the largest eigenvalue of the cosines divided by the number of layers. */
static cdl_status share_with_factors(const work *w, analysis_sharing_figure *figure)
{
  const int count = figure->cosines.layers;
  const analysis_matrix cosines = {count, count, figure->cosines.values};
  analysis_matrix values;
  CDL_TRY(analysis_matrix_eigenvalues(w->queue, &cosines, &values));
  figure->scaled = values.values[count - 1] / count;
  analysis_matrix_free(&values);
  return CDL_STATUS_OK;
}

/* Computes the shares. The best M is the mean, which takes 1ᵀ G 1 / L from the trace of G = [⟨M_l,
 * M_k⟩]. */
static cdl_status share(const work *w, analysis_conversion_kind kind)
{
  analysis_sharing_figure *figure = &w->result->figures[kind];
  const int count = w->result->target->count;
  analysis_matrix gram;
  double sum = 0, trace = 0;
  bool all = true; /* all cosines are defined */
  CDL_TRY(analysis_grid_create(count, &figure->cosines));
  CDL_TRY(gram_of(w, kind, &gram));
  for (int l = 0; l < count; l++) {
    const double *row = analysis_matrix_row(&gram, l);
    trace += row[l];
    for (int k = 0; k < count; k++) {
      const double lengths = sqrt(row[l] * analysis_matrix_row(&gram, k)[k]);
      figure->cosines.values[l * count + k] = lengths > 0 ? row[k] / lengths : NAN;
      all = all && isfinite(figure->cosines.values[l * count + k]);
      sum += row[k];
    }
  }
  analysis_matrix_free(&gram);
  analysis_grid_average(&figure->cosines);
  figure->same = trace > 0 ? sum / (count * trace) : NAN;
  figure->scaled = NAN;
  figure->expected = 1.0 / count;
  return all ? share_with_factors(w, figure) : CDL_STATUS_OK;
}

static cdl_status compute_layers(const work *w)
{
  const int count = w->result->target->count;
  for (int l = 0; l < count; l++) {
    CDL_TRY(analysis_conversion_layer(w->queue, w->result->target, l, w->form, &w->matrices[l]));
    w->result->conditions[l] = w->matrices[l].condition;
    for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT; k++)
      CDL_TRY(describe(w, l, k));
  }
  for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT; k++)
    CDL_TRY(share(w, k));
  return CDL_STATUS_OK;
}

static cdl_status compute_target(void *user, const analysis_adapted_target *target, size_t number,
                                 void *result)
{
  work *w = user;
  (void)number;
  w->result = result;
  w->result->target = target;
  const int count = target->count;
  w->matrices = calloc((size_t)count, sizeof *w->matrices);
  w->result->conditions = calloc((size_t)count, sizeof *w->result->conditions);
  bool room = w->matrices != NULL && w->result->conditions != NULL;
  for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT; k++) {
    analysis_sharing_figure *figure = &w->result->figures[k];
    figure->layers = calloc((size_t)count, sizeof *figure->layers);
    room = room && figure->layers != NULL;
  }
  const cdl_status status =
      room ? compute_layers(w) : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d layers", count);
  for (int l = 0; l < count && w->matrices != NULL; l++)
    analysis_conversion_matrices_free(&w->matrices[l]);
  free(w->matrices);
  return status;
}

cdl_status analysis_sharing_compute(cdl_queue *queue, const analysis_adapted *adapted,
                                    adapter_orientation form, analysis_sharing *result)
{
  *result = (analysis_sharing){.count = adapted->count,
                               .targets = calloc(adapted->count + 1, sizeof *result->targets)};
  work w = {.queue = queue, .form = form};
  const cdl_status status =
      analysis_each_target(adapted, result->targets, sizeof *result->targets, compute_target, &w);
  if (status != CDL_STATUS_OK)
    analysis_sharing_free(result);
  return status;
}

void analysis_sharing_free(analysis_sharing *result)
{
  for (size_t t = 0; t < result->count && result->targets != NULL; t++) {
    analysis_sharing_target *target = &result->targets[t];
    for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT; k++) {
      analysis_sharing_figure *figure = &target->figures[k];
      for (int l = 0; figure->layers != NULL && l < target->target->count; l++)
        analysis_matrix_free(&figure->layers[l].sigma);
      free(figure->layers);
      analysis_grid_free(&figure->cosines);
    }
    free(target->conditions);
  }
  free(result->targets);
  *result = (analysis_sharing){0};
}
