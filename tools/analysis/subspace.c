#include "tools/analysis/subspace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/log.h"

/* Singular values whose difference is below this fraction of σ_1 count as equal, because rounding
 * A, B and W to float32 changes them by as much. */
#define EQUAL 1e-7

const char *analysis_side_name(analysis_side side)
{
  return side == ANALYSIS_SIDE_LEFT ? "left" : "right";
}

cdl_status analysis_check_counts(int64_t i, int64_t j, const char *what, int64_t rows,
                                 int64_t columns, analysis_side side)
{
  const int64_t n = side == ANALYSIS_SIDE_LEFT ? rows : columns, most = i > j ? i : j;
  return most <= n ? CDL_STATUS_OK
                   : cdl_fail(CDL_STATUS_USAGE,
                              "--%c %lld: %s is [%lld, %lld] and has %lld %s singular vectors",
                              most == i ? 'i' : 'j', (long long)most, what, (long long)rows,
                              (long long)columns, (long long)n, analysis_side_name(side));
}

/* ---- Spectra ---- */

static void find_rank(analysis_spectrum *s)
{
  s->rank = analysis_matrix_rank(&s->sigma, s->rows > s->columns ? s->rows : s->columns);
}

cdl_status analysis_spectrum_of(cdl_queue *queue, const analysis_matrix *m, analysis_spectrum *s)
{
  *s = (analysis_spectrum){.rows = m->rows, .columns = m->columns};
  analysis_matrix u = {0};
  cdl_status status =
      analysis_matrix_svd(queue, m, &u, &s->sigma, &s->vectors[ANALYSIS_SIDE_RIGHT]);
  if (status == CDL_STATUS_OK)
    status = analysis_matrix_transpose(&u, &s->vectors[ANALYSIS_SIDE_LEFT]);
  analysis_matrix_free(&u);
  if (status != CDL_STATUS_OK)
    analysis_spectrum_free(s);
  else
    find_rank(s);
  return status;
}

/* Computes x y = Q_x (R_x R_yᵀ) Q_yᵀ with x = Q_x R_x and yᵀ = Q_y R_y. */
static cdl_status product_in_core(cdl_queue *queue, const analysis_matrix *x,
                                  const analysis_matrix *y, analysis_spectrum *s)
{
  analysis_matrix yt = {0}, qx = {0}, rx = {0}, qy = {0}, ry = {0}, core = {0}, u = {0}, vt = {0};
  cdl_status status = analysis_matrix_transpose(y, &yt);
  if (status == CDL_STATUS_OK)
    status = analysis_matrix_qr(queue, x, &qx, &rx);
  if (status == CDL_STATUS_OK)
    status = analysis_matrix_qr(queue, &yt, &qy, &ry);
  if (status == CDL_STATUS_OK)
    status = analysis_matrix_multiply(queue, &rx, false, &ry, true, &core);
  if (status == CDL_STATUS_OK)
    status = analysis_matrix_svd(queue, &core, &u, &s->sigma, &vt);
  if (status == CDL_STATUS_OK)
    status = analysis_matrix_multiply(queue, &u, true, &qx, true, &s->vectors[ANALYSIS_SIDE_LEFT]);
  if (status == CDL_STATUS_OK)
    status =
        analysis_matrix_multiply(queue, &vt, false, &qy, true, &s->vectors[ANALYSIS_SIDE_RIGHT]);
  analysis_matrix *const all[] = {&yt, &qx, &rx, &qy, &ry, &core, &u, &vt};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    analysis_matrix_free(all[i]);
  return status;
}

cdl_status analysis_spectrum_of_product(cdl_queue *queue, const analysis_matrix *x,
                                        const analysis_matrix *y, analysis_spectrum *s)
{
  if (x->columns >= x->rows || x->columns >= y->columns) {
    analysis_matrix product;
    CDL_TRY(analysis_matrix_multiply(queue, x, false, y, false, &product));
    const cdl_status status = analysis_spectrum_of(queue, &product, s);
    analysis_matrix_free(&product);
    return status;
  }
  *s = (analysis_spectrum){.rows = x->rows, .columns = y->columns};
  const cdl_status status = product_in_core(queue, x, y, s);
  if (status != CDL_STATUS_OK)
    analysis_spectrum_free(s);
  else
    find_rank(s);
  return status;
}

void analysis_spectrum_free(analysis_spectrum *s)
{
  analysis_matrix_free(&s->vectors[ANALYSIS_SIDE_LEFT]);
  analysis_matrix_free(&s->vectors[ANALYSIS_SIDE_RIGHT]);
  analysis_matrix_free(&s->sigma);
  *s = (analysis_spectrum){0};
}

/* Computes orthonormal rows that span the rows of `m`, in their order. */
static cdl_status orthonormal_rows(cdl_queue *queue, const analysis_matrix *m,
                                   analysis_matrix *rows)
{
  analysis_matrix transposed = {0}, q = {0}, r = {0};
  cdl_status status = analysis_matrix_transpose(m, &transposed);
  if (status == CDL_STATUS_OK)
    status = analysis_matrix_qr(queue, &transposed, &q, &r);
  if (status == CDL_STATUS_OK)
    status = analysis_matrix_transpose(&q, rows);
  analysis_matrix_free(&transposed);
  analysis_matrix_free(&q);
  analysis_matrix_free(&r);
  return status;
}

cdl_status analysis_spectrum_extend(cdl_queue *queue, analysis_spectrum *s, analysis_side side,
                                    int64_t count, cdl_random *random)
{
  analysis_matrix *present = &s->vectors[side], all, rows;
  if (count <= present->rows)
    return CDL_STATUS_OK;
  CDL_TRY(analysis_matrix_normal(count, present->columns, random, &all));
  memcpy(all.values, present->values,
         (size_t)(present->rows * present->columns) * sizeof *all.values);
  const cdl_status status = orthonormal_rows(queue, &all, &rows);
  analysis_matrix_free(&all);
  CDL_TRY(status);
  analysis_matrix_free(present);
  *present = rows;
  return CDL_STATUS_OK;
}

bool analysis_spectrum_check(const analysis_spectrum *s, int64_t count, const char *what)
{
  const double *sigma = s->sigma.values;
  if (count > s->rank) {
    cdl_log(CDL_LOG_WARNING, "%s has rank %lld: %lld singular vectors are not determined", what,
            (long long)s->rank, (long long)count);
    return false;
  }
  if (count < s->sigma.columns && sigma[count - 1] - sigma[count] <= EQUAL * sigma[0]) {
    cdl_log(CDL_LOG_WARNING,
            "%s: singular values %lld and %lld are equal (%g): which vector is which is not "
            "determined",
            what, (long long)count, (long long)count + 1, sigma[count]);
    return false;
  }
  return true;
}

cdl_status analysis_random_vectors(cdl_queue *queue, int64_t count, int64_t n, cdl_random *random,
                                   analysis_matrix *vectors)
{
  analysis_matrix normal;
  CDL_TRY(analysis_matrix_normal(count, n, random, &normal));
  const cdl_status status = orthonormal_rows(queue, &normal, vectors);
  analysis_matrix_free(&normal);
  return status;
}

/* ---- Similarity ---- */

double analysis_phi(const analysis_matrix *x, int64_t i, const analysis_matrix *y, int64_t j)
{
  double sum = 0;
  for (int64_t a = 0; a < i; a++)
    for (int64_t b = 0; b < j; b++) {
      const double *u = analysis_matrix_row(x, a), *v = analysis_matrix_row(y, b);
      double dot = 0;
      for (int64_t l = 0; l < x->columns; l++)
        dot += u[l] * v[l];
      sum += dot * dot;
    }
  return sum / (double)(i < j ? i : j);
}

double analysis_phi_expected(int64_t i, int64_t j, int64_t n)
{
  return (double)(i > j ? i : j) / (double)n;
}

/* ---- Grids ---- */

cdl_status analysis_grid_create(int layers, analysis_grid *grid)
{
  *grid = (analysis_grid){.layers = layers, .upper = NAN, .all = NAN};
  grid->values = calloc((size_t)layers * (size_t)layers + 1, sizeof *grid->values);
  return grid->values != NULL
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d pairs of layers", layers);
}

void analysis_grid_free(analysis_grid *grid)
{
  free(grid->values);
  *grid = (analysis_grid){0};
}

void analysis_grid_average(analysis_grid *grid)
{
  const int n = grid->layers;
  double upper = 0, all = 0;
  for (int l = 0; l < n; l++)
    for (int k = 0; k < n; k++) {
      all += grid->values[l * n + k];
      upper += k > l ? grid->values[l * n + k] : 0;
    }
  grid->all = n > 0 ? all / ((double)n * n) : NAN;
  grid->upper = n > 1 ? upper / ((double)n * (n - 1) / 2) : NAN;
}

cdl_status analysis_grid_of(const analysis_matrix *const *vectors, int layers, int64_t i, int64_t j,
                            analysis_grid *grid)
{
  CDL_TRY(analysis_grid_create(layers, grid));
  for (int l = 0; l < layers; l++)
    for (int k = 0; k < layers; k++)
      grid->values[l * layers + k] = i == j && k < l ? grid->values[k * layers + l]
                                                     : analysis_phi(vectors[l], i, vectors[k], j);
  analysis_grid_average(grid);
  return CDL_STATUS_OK;
}
