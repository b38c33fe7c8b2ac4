#include "tools/analysis/conversion.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/analysis/extreme.h"

const char *analysis_conversion_name(analysis_conversion_kind kind)
{
  static const char *const names[] = {"A", "B", "BA"};
  return names[kind];
}

/* ---- The matrices of one layer ---- */

/* Computes W⁻¹ B and W⁻¹ Aᵀ. */
static cdl_status by_inverse(const analysis_inverted *w, const analysis_matrix *at,
                             const analysis_matrix *b, analysis_conversion_matrices *m)
{
  CDL_TRY(analysis_inverted_solve(w, false, b, &m->b));
  return analysis_inverted_solve(w, false, at, &m->a);
}

/* T = Q R, where T is W or, if W is wide, Wᵀ. */
typedef struct {
  bool wide;
  analysis_matrix q;
  analysis_inverted r;
} tall_factors;

/* Computes T⁺ z = R⁻¹ Qᵀ z. */
static cdl_status solve_tall(cdl_queue *queue, const tall_factors *t, const analysis_matrix *z,
                             analysis_matrix *x)
{
  analysis_matrix product;
  CDL_TRY(analysis_matrix_multiply(queue, &t->q, true, z, false, &product));
  const cdl_status status = analysis_inverted_solve(&t->r, false, &product, x);
  analysis_matrix_free(&product);
  return status;
}

/* Computes (Tᵀ)⁺ z = Q R⁻ᵀ z. */
static cdl_status solve_wide(cdl_queue *queue, const tall_factors *t, const analysis_matrix *z,
                             analysis_matrix *x)
{
  analysis_matrix product;
  CDL_TRY(analysis_inverted_solve(&t->r, true, z, &product));
  const cdl_status status = analysis_matrix_multiply(queue, &t->q, false, &product, false, x);
  analysis_matrix_free(&product);
  return status;
}

static cdl_status by_qr(cdl_queue *queue, const tall_factors *t, const analysis_matrix *at,
                        const analysis_matrix *b, analysis_conversion_matrices *m)
{
  CDL_TRY((t->wide ? solve_wide : solve_tall)(queue, t, b, &m->b));
  return (t->wide ? solve_tall : solve_wide)(queue, t, at, &m->a);
}

static cdl_status factor(cdl_queue *queue, const analysis_matrix *w, tall_factors *t)
{
  analysis_matrix turned = {0}, r = {0};
  *t = (tall_factors){.wide = w->rows < w->columns};
  cdl_status status = t->wide ? analysis_matrix_transpose(w, &turned) : CDL_STATUS_OK;
  if (status == CDL_STATUS_OK)
    status = analysis_matrix_qr(queue, t->wide ? &turned : w, &t->q, &r);
  if (status == CDL_STATUS_OK)
    status = analysis_invert(queue, &r, &t->r);
  analysis_matrix_free(&turned);
  analysis_matrix_free(&r);
  if (status != CDL_STATUS_OK)
    analysis_matrix_free(&t->q);
  return status;
}

/* Computes x = vectors_out Σ⁺ vectors_inᵀ z; vectors are rows. */
static cdl_status through(cdl_queue *queue, const analysis_spectrum *s, analysis_side in,
                          const analysis_matrix *z, analysis_matrix *x)
{
  analysis_matrix inner;
  CDL_TRY(analysis_matrix_multiply(queue, &s->vectors[in], false, z, false, &inner));
  for (int64_t k = 0; k < inner.rows; k++)
    for (int64_t j = 0; j < inner.columns; j++) {
      double *value = analysis_matrix_row(&inner, k) + j;
      *value = k < s->rank ? *value / s->sigma.values[k] : 0;
    }
  const cdl_status status = analysis_matrix_multiply(queue, &s->vectors[ANALYSIS_SIDE_RIGHT - in],
                                                     true, &inner, false, x);
  analysis_matrix_free(&inner);
  return status;
}

static cdl_status by_svd(cdl_queue *queue, const analysis_matrix *w, const analysis_matrix *at,
                         const analysis_matrix *b, analysis_conversion_matrices *m)
{
  analysis_spectrum s;
  CDL_TRY(analysis_spectrum_of(queue, w, &s));
  cdl_status status = through(queue, &s, ANALYSIS_SIDE_LEFT, b, &m->b);
  if (status == CDL_STATUS_OK)
    status = through(queue, &s, ANALYSIS_SIDE_RIGHT, at, &m->a);
  analysis_spectrum_free(&s);
  return status;
}

static cdl_status convert_reference(cdl_queue *queue, const analysis_matrix *w,
                                    const analysis_matrix *at, const analysis_matrix *b,
                                    analysis_conversion_matrices *m)
{
  analysis_inverted i;
  if (w->rows != w->columns)
    return cdl_fail(CDL_STATUS_USAGE,
                    "form reference needs square weights, not [%lld, %lld]; use paper",
                    (long long)w->rows, (long long)w->columns);
  CDL_TRY(analysis_invert(queue, w, &i));
  m->condition = i.condition;
  const cdl_status status =
      i.rank == w->rows ? by_inverse(&i, at, b, m)
                        : cdl_fail(CDL_STATUS_NUMERIC,
                                   "the weight has rank %lld of %lld and no inverse; form paper "
                                   "takes its pseudo-inverse",
                                   (long long)i.rank, (long long)w->rows);
  analysis_inverted_free(&i);
  return status;
}

static cdl_status convert_paper(cdl_queue *queue, const analysis_matrix *w,
                                const analysis_matrix *at, const analysis_matrix *b,
                                analysis_conversion_matrices *m)
{
  tall_factors t;
  CDL_TRY(factor(queue, w, &t));
  m->condition = t.r.condition;
  const cdl_status status =
      t.r.rank == t.q.columns ? by_qr(queue, &t, at, b, m) : by_svd(queue, w, at, b, m);
  analysis_matrix_free(&t.q);
  analysis_inverted_free(&t.r);
  return status;
}

cdl_status analysis_conversion_matrices_of(cdl_queue *queue, const analysis_matrix *weight,
                                           const analysis_matrix *a, const analysis_matrix *b,
                                           adapter_orientation form,
                                           analysis_conversion_matrices *m)
{
  analysis_matrix at;
  *m = (analysis_conversion_matrices){0};
  CDL_TRY(analysis_matrix_transpose(a, &at));
  const cdl_status status = (form == ADAPTER_ORIENTATION_PAPER ? convert_paper : convert_reference)(
      queue, weight, &at, b, m);
  analysis_matrix_free(&at);
  if (status != CDL_STATUS_OK)
    analysis_conversion_matrices_free(m);
  return status;
}

void analysis_conversion_matrices_free(analysis_conversion_matrices *m)
{
  analysis_matrix_free(&m->a);
  analysis_matrix_free(&m->b);
}

cdl_status analysis_conversion_layer(cdl_queue *queue, const analysis_adapted_target *target,
                                     int layer, adapter_orientation form,
                                     analysis_conversion_matrices *m)
{
  const analysis_adapted_layer *l = &target->layers[layer];
  analysis_matrix weight;
  *m = (analysis_conversion_matrices){0};
  CDL_TRY(analysis_adapted_weight(queue, l, &weight));
  const cdl_status status = analysis_conversion_matrices_of(queue, &weight, &l->a, &l->b, form, m);
  analysis_matrix_free(&weight);
  return cdl_context(status, "layer %d, %s", l->number, target->name);
}

cdl_status analysis_conversion_spectrum(cdl_queue *queue, const analysis_conversion_matrices *m,
                                        const analysis_matrix *a, analysis_conversion_kind kind,
                                        analysis_spectrum *s)
{
  return kind == ANALYSIS_CONVERSION_BA
             ? analysis_spectrum_of_product(queue, &m->b, a, s)
             : analysis_spectrum_of(queue, kind == ANALYSIS_CONVERSION_A ? &m->a : &m->b, s);
}

/* ---- Figure 1 ---- */

/* The work on one target. */
typedef struct {
  cdl_queue *queue;
  const analysis_conversion_settings *settings;
  analysis_conversion_target *result;
  analysis_spectrum (*spectra)[ANALYSIS_CONVERSION_COUNT]; /* [layers] */
  uint32_t number;                                         /* of the target */
} figure_work;

/* Returns the stream of random numbers of one matrix. */
static cdl_random stream(const figure_work *w, int layer, analysis_conversion_kind kind,
                         analysis_side side, bool baseline)
{
  const uint32_t step = w->number << 8 | (uint32_t)kind << 4 | (uint32_t)side << 1 | baseline;
  return cdl_random_start(w->settings->seed, CDL_RANDOM_ANALYSIS,
                          (uint32_t)w->result->target->layers[layer].number, step);
}

/* Extends the vectors of one layer's matrix to the wanted number, and logs warnings. */
static cdl_status prepare(figure_work *w, int layer, analysis_conversion_kind kind)
{
  const analysis_conversion_settings *s = w->settings;
  const analysis_adapted_target *target = w->result->target;
  analysis_spectrum *spectrum = &w->spectra[layer][kind];
  char what[MODEL_NAME_BYTES + 64];
  snprintf(what, sizeof what, "layer %d, %s: C_%s", target->layers[layer].number, target->name,
           analysis_conversion_name(kind));
  for (analysis_side side = 0; side < ANALYSIS_SIDE_COUNT; side++) {
    if (!s->sides[side])
      continue;
    CDL_TRY(analysis_check_counts(s->i, s->j, what, spectrum->rows, spectrum->columns, side));
    cdl_random random = stream(w, layer, kind, side, false);
    CDL_TRY(analysis_spectrum_extend(w->queue, spectrum, side, s->i > s->j ? s->i : s->j, &random));
  }
  if (analysis_spectrum_check(spectrum, s->i, what) && s->j != s->i)
    (void)analysis_spectrum_check(spectrum, s->j, what);
  return CDL_STATUS_OK;
}

/* ---- Layers, several at once ---- */

enum { WORKERS_MAX = 16 };

/* One of `step` workers. It computes the target's layers first, first + step, … on its own
 * queue. */
typedef struct {
  const figure_work *work;
  cdl_queue *queue;
  int first, step;
  pthread_t thread;
  cdl_status status;
  char message[1024]; /* message of its failure */
} layer_worker;

static cdl_status convert_layer(const figure_work *w, cdl_queue *queue, int l)
{
  const analysis_adapted_target *target = w->result->target;
  analysis_conversion_matrices m;
  CDL_TRY(analysis_conversion_layer(queue, target, l, w->settings->form, &m));
  w->result->conditions[l] = m.condition;
  cdl_status status = CDL_STATUS_OK;
  for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT && status == CDL_STATUS_OK;
       k++)
    status = analysis_conversion_spectrum(queue, &m, &target->layers[l].a, k, &w->spectra[l][k]);
  analysis_conversion_matrices_free(&m);
  return status;
}

static void *run_worker(void *argument)
{
  layer_worker *worker = argument;
  const int count = worker->work->result->target->count;
  for (int l = worker->first; l < count && worker->status == CDL_STATUS_OK; l += worker->step)
    worker->status = convert_layer(worker->work, worker->queue, l);
  if (worker->status != CDL_STATUS_OK)
    snprintf(worker->message, sizeof worker->message, "%s", cdl_error_message());
  return NULL;
}

/* Starts the other workers, works as the first, and waits for all. */
static cdl_status run_workers(layer_worker *workers, int count)
{
  bool started[WORKERS_MAX] = {false};
  for (int i = 1; i < count; i++)
    started[i] = pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) == 0;
  for (int i = 0; i < count; i++)
    if (!started[i])
      run_worker(&workers[i]);
  for (int i = 1; i < count; i++)
    if (started[i])
      pthread_join(workers[i].thread, NULL);
  for (int i = 0; i < count; i++)
    if (workers[i].status != CDL_STATUS_OK)
      return cdl_fail(workers[i].status, "%s", workers[i].message);
  return CDL_STATUS_OK;
}

/* LAPACK runs on the calling thread. Only the CPU backend leaves the other processors idle then. */
static int worker_count(const figure_work *w)
{
  const int layers = w->result->target->count, wanted = w->settings->workers;
  const int most = wanted < WORKERS_MAX ? wanted : WORKERS_MAX;
  if (strcmp(cdl_backend_name(cdl_queue_backend(w->queue)), "cpu") != 0 || most < 2)
    return 1;
  return most < layers ? most : layers;
}

static cdl_status convert_layers(figure_work *w)
{
  layer_worker workers[WORKERS_MAX] = {0};
  const int count = worker_count(w), layers = w->result->target->count;
  cdl_status status = CDL_STATUS_OK;
  for (int i = 0; i < count && status == CDL_STATUS_OK; i++) {
    workers[i] = (layer_worker){.work = w, .queue = w->queue, .first = i, .step = count};
    if (i > 0)
      status = cdl_queue_create(cdl_queue_backend(w->queue), &workers[i].queue);
  }
  if (status == CDL_STATUS_OK)
    status = run_workers(workers, count);
  for (int i = 1; i < count; i++)
    if (workers[i].queue != NULL && workers[i].queue != w->queue)
      cdl_queue_destroy(workers[i].queue);
  for (int l = 0; l < layers; l++)
    for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT && status == CDL_STATUS_OK;
         k++)
      status = prepare(w, l, k);
  return status;
}

/* ---- Pairs ---- */

/* Draws random vectors like `vectors`, in new memory. */
static cdl_status draw(figure_work *w, analysis_conversion_kind kind, analysis_side side,
                       analysis_matrix *random)
{
  const analysis_conversion_settings *s = w->settings;
  for (int l = 0; l < w->result->target->count; l++) {
    const analysis_spectrum *spectrum = &w->spectra[l][kind];
    const int64_t n = side == ANALYSIS_SIDE_LEFT ? spectrum->rows : spectrum->columns;
    cdl_random numbers = stream(w, l, kind, side, true);
    CDL_TRY(analysis_random_vectors(w->queue, s->i > s->j ? s->i : s->j, n, &numbers, &random[l]));
  }
  return CDL_STATUS_OK;
}

static cdl_status compare(figure_work *w, analysis_conversion_kind kind, analysis_side side)
{
  const analysis_conversion_settings *s = w->settings;
  const int count = w->result->target->count;
  analysis_conversion_figure *figure = &w->result->figures[kind][side];
  analysis_matrix *random = calloc((size_t)count, sizeof *random);
  const analysis_matrix **vectors = calloc((size_t)count, sizeof *vectors);
  cdl_status status = random != NULL && vectors != NULL
                          ? draw(w, kind, side, random)
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d layers", count);
  for (int l = 0; l < count && status == CDL_STATUS_OK; l++)
    vectors[l] = &random[l];
  if (status == CDL_STATUS_OK)
    status = analysis_grid_of(vectors, count, s->i, s->j, &figure->random);
  for (int l = 0; l < count && status == CDL_STATUS_OK; l++)
    vectors[l] = &w->spectra[l][kind].vectors[side];
  if (status == CDL_STATUS_OK)
    status = analysis_grid_of(vectors, count, s->i, s->j, &figure->grid);
  if (status == CDL_STATUS_OK)
    figure->expected = analysis_phi_expected(s->i, s->j, vectors[0]->columns);
  for (int l = 0; l < count && random != NULL; l++)
    analysis_matrix_free(&random[l]);
  free(random);
  free(vectors);
  return status;
}

static cdl_status compute_target(void *user, const analysis_adapted_target *target, size_t number,
                                 void *result)
{
  figure_work *w = user;
  const int count = target->count;
  w->number = (uint32_t)number;
  w->result = result;
  w->result->target = target;
  w->spectra = calloc((size_t)count, sizeof *w->spectra);
  w->result->conditions = calloc((size_t)count, sizeof *w->result->conditions);
  cdl_status status = w->spectra != NULL && w->result->conditions != NULL
                          ? convert_layers(w)
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d layers", count);
  for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT; k++)
    for (analysis_side side = 0; side < ANALYSIS_SIDE_COUNT && status == CDL_STATUS_OK; side++)
      if (w->settings->sides[side])
        status = compare(w, k, side);
  for (int l = 0; l < count && w->spectra != NULL; l++)
    for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT; k++)
      analysis_spectrum_free(&w->spectra[l][k]);
  free(w->spectra);
  return status;
}

cdl_status analysis_conversion_compute(cdl_queue *queue, const analysis_adapted *adapted,
                                       const analysis_conversion_settings *settings,
                                       analysis_conversion *result)
{
  *result = (analysis_conversion){.count = adapted->count,
                                  .targets = calloc(adapted->count + 1, sizeof *result->targets)};
  figure_work w = {.queue = queue, .settings = settings};
  const cdl_status status =
      analysis_each_target(adapted, result->targets, sizeof *result->targets, compute_target, &w);
  if (status != CDL_STATUS_OK)
    analysis_conversion_free(result);
  return status;
}

void analysis_conversion_free(analysis_conversion *result)
{
  for (size_t t = 0; t < result->count && result->targets != NULL; t++) {
    for (analysis_conversion_kind k = 0; k < ANALYSIS_CONVERSION_COUNT; k++)
      for (analysis_side side = 0; side < ANALYSIS_SIDE_COUNT; side++) {
        analysis_grid_free(&result->targets[t].figures[k][side].grid);
        analysis_grid_free(&result->targets[t].figures[k][side].random);
      }
    free(result->targets[t].conditions);
  }
  free(result->targets);
  *result = (analysis_conversion){0};
}
