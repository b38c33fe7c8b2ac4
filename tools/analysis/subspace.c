#include "tools/analysis/subspace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/log.h"

/* Of σ_1: singular values nearer than this count as equal, for rounding A, B and W to float32 moves
 * them by as much. */
#define EQUAL 1e-7

const char *cdl_side_name(cdl_side side)
{
  return side == CDL_SIDE_LEFT ? "left" : "right";
}

/* ---- Spectra ---- */

static void find_rank(cdl_spectrum *s)
{
  s->rank = cdl_matrix_rank(&s->sigma, s->rows > s->columns ? s->rows : s->columns);
}

cdl_status cdl_spectrum_of(cdl_queue *queue, const cdl_matrix *m, cdl_spectrum *s)
{
  *s = (cdl_spectrum){.rows = m->rows, .columns = m->columns};
  cdl_matrix u = {0};
  cdl_status status = cdl_matrix_svd(queue, m, &u, &s->sigma, &s->vectors[CDL_SIDE_RIGHT]);
  if (status == CDL_OK)
    status = cdl_matrix_transpose(&u, &s->vectors[CDL_SIDE_LEFT]);
  cdl_matrix_free(&u);
  if (status != CDL_OK)
    cdl_spectrum_free(s);
  else
    find_rank(s);
  return status;
}

/* x y = Q_x (R_x R_yᵀ) Q_yᵀ with x = Q_x R_x and yᵀ = Q_y R_y. */
static cdl_status product_in_core(cdl_queue *queue, const cdl_matrix *x, const cdl_matrix *y,
                                  cdl_spectrum *s)
{
  cdl_matrix yt = {0}, qx = {0}, rx = {0}, qy = {0}, ry = {0}, core = {0}, u = {0}, vt = {0};
  cdl_status status = cdl_matrix_transpose(y, &yt);
  if (status == CDL_OK)
    status = cdl_matrix_qr(queue, x, &qx, &rx);
  if (status == CDL_OK)
    status = cdl_matrix_qr(queue, &yt, &qy, &ry);
  if (status == CDL_OK)
    status = cdl_matrix_multiply(queue, &rx, false, &ry, true, &core);
  if (status == CDL_OK)
    status = cdl_matrix_svd(queue, &core, &u, &s->sigma, &vt);
  if (status == CDL_OK)
    status = cdl_matrix_multiply(queue, &u, true, &qx, true, &s->vectors[CDL_SIDE_LEFT]);
  if (status == CDL_OK)
    status = cdl_matrix_multiply(queue, &vt, false, &qy, true, &s->vectors[CDL_SIDE_RIGHT]);
  cdl_matrix *const all[] = {&yt, &qx, &rx, &qy, &ry, &core, &u, &vt};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    cdl_matrix_free(all[i]);
  return status;
}

cdl_status cdl_spectrum_of_product(cdl_queue *queue, const cdl_matrix *x, const cdl_matrix *y,
                                   cdl_spectrum *s)
{
  if (x->columns >= x->rows || x->columns >= y->columns) {
    cdl_matrix product;
    CDL_TRY(cdl_matrix_multiply(queue, x, false, y, false, &product));
    const cdl_status status = cdl_spectrum_of(queue, &product, s);
    cdl_matrix_free(&product);
    return status;
  }
  *s = (cdl_spectrum){.rows = x->rows, .columns = y->columns};
  const cdl_status status = product_in_core(queue, x, y, s);
  if (status != CDL_OK)
    cdl_spectrum_free(s);
  else
    find_rank(s);
  return status;
}

void cdl_spectrum_free(cdl_spectrum *s)
{
  cdl_matrix_free(&s->vectors[CDL_SIDE_LEFT]);
  cdl_matrix_free(&s->vectors[CDL_SIDE_RIGHT]);
  cdl_matrix_free(&s->sigma);
  *s = (cdl_spectrum){0};
}

/* Orthonormal rows that span what the rows of `m` span, in their order. */
static cdl_status orthonormal_rows(cdl_queue *queue, const cdl_matrix *m, cdl_matrix *rows)
{
  cdl_matrix transposed = {0}, q = {0}, r = {0};
  cdl_status status = cdl_matrix_transpose(m, &transposed);
  if (status == CDL_OK)
    status = cdl_matrix_qr(queue, &transposed, &q, &r);
  if (status == CDL_OK)
    status = cdl_matrix_transpose(&q, rows);
  cdl_matrix_free(&transposed);
  cdl_matrix_free(&q);
  cdl_matrix_free(&r);
  return status;
}

cdl_status cdl_spectrum_extend(cdl_queue *queue, cdl_spectrum *s, cdl_side side, int64_t count,
                               cdl_random *random)
{
  cdl_matrix *present = &s->vectors[side], all, rows;
  if (count <= present->rows)
    return CDL_OK;
  CDL_TRY(cdl_matrix_normal(count, present->columns, random, &all));
  memcpy(all.values, present->values,
         (size_t)(present->rows * present->columns) * sizeof *all.values);
  const cdl_status status = orthonormal_rows(queue, &all, &rows);
  cdl_matrix_free(&all);
  CDL_TRY(status);
  cdl_matrix_free(present);
  *present = rows;
  return CDL_OK;
}

bool cdl_spectrum_check(const cdl_spectrum *s, int64_t count, const char *what)
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

cdl_status cdl_random_vectors(cdl_queue *queue, int64_t count, int64_t n, cdl_random *random,
                              cdl_matrix *vectors)
{
  cdl_matrix normal;
  CDL_TRY(cdl_matrix_normal(count, n, random, &normal));
  const cdl_status status = orthonormal_rows(queue, &normal, vectors);
  cdl_matrix_free(&normal);
  return status;
}

/* ---- Similarity ---- */

double cdl_phi(const cdl_matrix *x, int64_t i, const cdl_matrix *y, int64_t j)
{
  double sum = 0;
  for (int64_t a = 0; a < i; a++)
    for (int64_t b = 0; b < j; b++) {
      const double *u = cdl_matrix_row(x, a), *v = cdl_matrix_row(y, b);
      double dot = 0;
      for (int64_t l = 0; l < x->columns; l++)
        dot += u[l] * v[l];
      sum += dot * dot;
    }
  return sum / (double)(i < j ? i : j);
}

double cdl_phi_expected(int64_t i, int64_t j, int64_t n)
{
  return (double)(i > j ? i : j) / (double)n;
}

/* ---- Grids ---- */

cdl_status cdl_grid_create(int layers, cdl_grid *grid)
{
  *grid = (cdl_grid){.layers = layers, .upper = NAN, .all = NAN};
  grid->values = calloc((size_t)layers * (size_t)layers + 1, sizeof *grid->values);
  return grid->values != NULL ? CDL_OK
                              : cdl_fail(CDL_MEMORY, "out of memory: %d pairs of layers", layers);
}

void cdl_grid_free(cdl_grid *grid)
{
  free(grid->values);
  *grid = (cdl_grid){0};
}

void cdl_grid_average(cdl_grid *grid)
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

cdl_status cdl_grid_of(const cdl_matrix *const *vectors, int layers, int64_t i, int64_t j,
                       cdl_grid *grid)
{
  CDL_TRY(cdl_grid_create(layers, grid));
  for (int l = 0; l < layers; l++)
    for (int k = 0; k < layers; k++)
      grid->values[l * layers + k] =
          i == j && k < l ? grid->values[k * layers + l] : cdl_phi(vectors[l], i, vectors[k], j);
  cdl_grid_average(grid);
  return CDL_OK;
}
