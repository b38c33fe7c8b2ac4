#include "tools/analysis/extreme.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#define SETTLED 1e-7
#define TRUSTED 1e8 /* largest condition at which the inverse's σ_1 is exact to 1e-7 */

enum { STEPS_MOST = 128, STEPS_A_LOOK = 8 /* divides STEPS_MOST */ };

/* The bidiagonalization of T, which is m or, if m is wide, its transpose: T vᵢ = Σ B_ki u_k with
 * upper bidiagonal B, and Tᵀ u_k = Σ B_ki vᵢ except for the last β. Vectors are rows. */
typedef struct {
  const analysis_resident *m;
  bool wide;
  analysis_matrix u, v;
  double alpha[STEPS_MOST], beta[STEPS_MOST];
  int steps;
} bidiagonalization;

static double length(const double *x, int64_t n)
{
  double sum = 0;
  for (int64_t i = 0; i < n; i++)
    sum += x[i] * x[i];
  return sqrt(sum);
}

static void scale(double *x, int64_t n, double factor)
{
  for (int64_t i = 0; i < n; i++)
    x[i] *= factor;
}

/* Subtracts from x its projection on the first `count` rows. */
static void orthogonalize(const analysis_matrix *rows, int count, double *x)
{
  for (int k = 0; k < count; k++) {
    const double *row = analysis_matrix_row(rows, k);
    double dot = 0;
    for (int64_t i = 0; i < rows->columns; i++)
      dot += row[i] * x[i];
    for (int64_t i = 0; i < rows->columns; i++)
      x[i] -= dot * row[i];
  }
}

/* Orthogonalizes `x` against the earlier vectors, returns its length, and normalizes it. Returns 0
 * if only rounding is left. */
static double next_direction(const analysis_matrix *rows, int count, double *x)
{
  const double before = length(x, rows->columns);
  orthogonalize(rows, count, x);
  orthogonalize(rows, count, x); /* twice is enough (Kahan) */
  const double left = length(x, rows->columns);
  if (left <= 16 * DBL_EPSILON * before)
    return 0;
  scale(x, rows->columns, 1 / left);
  return left;
}

/* Adds a row of B. A zero ends the iteration: the spaces are invariant. */
static cdl_status step(bidiagonalization *b)
{
  const int k = b->steps;
  double *u = analysis_matrix_row(&b->u, k), *v = analysis_matrix_row(&b->v, k);
  CDL_TRY(analysis_resident_apply(b->m, b->wide, v, u));
  b->alpha[k] = next_direction(&b->u, k, u);
  b->beta[k] = 0;
  b->steps++;
  if (b->alpha[k] == 0)
    return CDL_STATUS_OK;
  double *next = analysis_matrix_row(&b->v, k + 1);
  CDL_TRY(analysis_resident_apply(b->m, !b->wide, u, next));
  b->beta[k] = next_direction(&b->v, k + 1, next);
  return CDL_STATUS_OK;
}

/* Computes σ_1 of B and its distance to a singular value of m: |β_k| times the last component of
 * B's left vector. */
static cdl_status look(const bidiagonalization *b, double *sigma, double *residual)
{
  const int k = b->steps;
  analysis_matrix small, left, values, right;
  CDL_TRY(analysis_matrix_create(k, k, &small));
  for (int i = 0; i < k; i++) {
    analysis_matrix_row(&small, i)[i] = b->alpha[i];
    if (i + 1 < k)
      analysis_matrix_row(&small, i)[i + 1] = b->beta[i];
  }
  const cdl_status status = analysis_matrix_svd(b->m->queue, &small, &left, &values, &right);
  analysis_matrix_free(&small);
  CDL_TRY(status);
  *sigma = values.values[0];
  *residual = fabs(b->beta[k - 1] * analysis_matrix_row(&left, k - 1)[0]);
  analysis_matrix_free(&left);
  analysis_matrix_free(&values);
  analysis_matrix_free(&right);
  return CDL_STATUS_OK;
}

static cdl_status run(bidiagonalization *b, double *sigma)
{
  const int most = (int)b->u.rows;
  bool settled = false;
  while (!settled && b->steps < most) {
    CDL_TRY(step(b));
    const bool ended = b->beta[b->steps - 1] == 0;
    double residual;
    if (!ended && b->steps % STEPS_A_LOOK != 0)
      continue;
    CDL_TRY(look(b, sigma, &residual));
    settled = ended || residual <= SETTLED * *sigma;
  }
  if (!settled)
    *sigma = NAN;
  return CDL_STATUS_OK;
}

static cdl_status begin(bidiagonalization *b, const analysis_resident *m)
{
  const int64_t rows = analysis_resident_rows(m), columns = analysis_resident_columns(m);
  b->m = m;
  b->wide = rows < columns;
  const int64_t longer = b->wide ? columns : rows, shorter = b->wide ? rows : columns,
                steps = shorter < STEPS_MOST ? shorter : STEPS_MOST;
  CDL_TRY(analysis_matrix_create(steps, longer, &b->u));
  CDL_TRY(analysis_matrix_create(steps + 1, shorter, &b->v));
  cdl_random random = cdl_random_start(0, CDL_RANDOM_ANALYSIS, 0, 0);
  for (int64_t i = 0; i < shorter; i++)
    b->v.values[i] = cdl_random_normal(&random);
  scale(b->v.values, shorter, 1 / length(b->v.values, shorter));
  return CDL_STATUS_OK;
}

cdl_status analysis_largest_singular_value(const analysis_resident *m, double *sigma)
{
  bidiagonalization *b = calloc(1, sizeof *b);
  *sigma = NAN;
  if (b == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the largest singular value");
  cdl_status status = begin(b, m);
  if (status == CDL_STATUS_OK)
    status = run(b, sigma);
  analysis_matrix_free(&b->u);
  analysis_matrix_free(&b->v);
  free(b);
  return status;
}

/* ---- Inverses ---- */

static cdl_status by_all_values(cdl_queue *queue, const analysis_matrix *m, analysis_inverted *i)
{
  analysis_matrix sigma;
  CDL_TRY(analysis_matrix_svd(queue, m, NULL, &sigma, NULL));
  i->rank = analysis_matrix_rank(&sigma, m->rows);
  i->condition = i->rank == m->rows ? sigma.values[0] / sigma.values[m->rows - 1] : INFINITY;
  analysis_matrix_free(&sigma);
  return CDL_STATUS_OK;
}

static cdl_status invert(analysis_inverted *i, const analysis_matrix *m)
{
  double largest, of_inverse;
  CDL_TRY(analysis_resident_begin(i->queue, m, &i->matrix));
  CDL_TRY(analysis_resident_inverse(&i->matrix, &i->inverse));
  CDL_TRY(analysis_largest_singular_value(&i->matrix, &largest));
  CDL_TRY(analysis_largest_singular_value(&i->inverse, &of_inverse));
  i->condition = largest * of_inverse;
  return CDL_STATUS_OK;
}

cdl_status analysis_invert(cdl_queue *queue, const analysis_matrix *m, analysis_inverted *i)
{
  *i = (analysis_inverted){.rank = m->rows, .condition = NAN};
  CDL_TRY(cdl_queue_create(cdl_queue_backend(queue), &i->queue));
  cdl_status status = invert(i, m);
  if (status == CDL_STATUS_NUMERIC || (status == CDL_STATUS_OK && !(i->condition < TRUSTED)))
    status = by_all_values(queue, m, i);
  if (status != CDL_STATUS_OK)
    analysis_inverted_free(i);
  return status;
}

/* Computes x += sign · y. */
static void add(analysis_matrix *x, double sign, const analysis_matrix *y)
{
  for (int64_t k = 0; k < x->rows * x->columns; k++)
    x->values[k] += sign * y->values[k];
}

cdl_status analysis_inverted_solve(const analysis_inverted *i, bool transpose,
                                   const analysis_matrix *b, analysis_matrix *x)
{
  analysis_matrix residual = {0}, correction = {0};
  CDL_TRY(analysis_resident_multiply(&i->inverse, transpose, b, x));
  cdl_status status = analysis_resident_multiply(&i->matrix, transpose, x, &residual);
  if (status == CDL_STATUS_OK) {
    add(&residual, -1, b);
    status = analysis_resident_multiply(&i->inverse, transpose, &residual, &correction);
  }
  if (status == CDL_STATUS_OK)
    add(x, -1, &correction);
  else
    analysis_matrix_free(x);
  analysis_matrix_free(&residual);
  analysis_matrix_free(&correction);
  return status;
}

void analysis_inverted_free(analysis_inverted *i)
{
  analysis_resident_end(&i->matrix);
  analysis_resident_end(&i->inverse);
  if (i->queue != NULL)
    cdl_queue_destroy(i->queue);
  *i = (analysis_inverted){0};
}
