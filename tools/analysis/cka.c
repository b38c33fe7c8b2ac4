#include "tools/analysis/cka.h"

#include <math.h>

static void center(analysis_matrix *m)
{
  for (int64_t j = 0; j < m->columns; j++) {
    double mean = 0;
    for (int64_t i = 0; i < m->rows; i++)
      mean += m->values[i * m->columns + j] / (double)m->rows;
    for (int64_t i = 0; i < m->rows; i++)
      m->values[i * m->columns + j] -= mean;
  }
}

/* Computes ‖XᵀY‖² = ⟨X Xᵀ, Y Yᵀ⟩: with few rows by one product for each layer, otherwise by one for
 * each pair. */
static cdl_status cross(cdl_queue *queue, const analysis_matrix *x, const analysis_matrix *y,
                        bool grams, double *value)
{
  if (grams) {
    *value = analysis_matrix_dot(x, y);
    return CDL_STATUS_OK;
  }
  analysis_matrix product;
  CDL_TRY(analysis_matrix_multiply(queue, x, true, y, false, &product));
  *value = analysis_matrix_dot(&product, &product);
  analysis_matrix_free(&product);
  return CDL_STATUS_OK;
}

cdl_status analysis_cka(cdl_queue *queue, analysis_matrix *matrices, int count, analysis_grid *grid)
{
  const bool grams = matrices[0].rows <= matrices[0].columns;
  CDL_TRY(analysis_grid_create(count, grid));
  for (int l = 0; l < count; l++) {
    center(&matrices[l]);
    if (!grams)
      continue;
    analysis_matrix gram;
    CDL_TRY(analysis_matrix_multiply(queue, &matrices[l], false, &matrices[l], true, &gram));
    analysis_matrix_free(&matrices[l]);
    matrices[l] = gram;
  }
  double *v = grid->values;
  for (int l = 0; l < count; l++)
    for (int k = l; k < count; k++)
      CDL_TRY(cross(queue, &matrices[l], &matrices[k], grams, &v[l * count + k]));
  for (int l = 0; l < count; l++)
    for (int k = 0; k < l; k++)
      v[l * count + k] = v[k * count + l] /= sqrt(v[l * count + l] * v[k * count + k]);
  for (int l = 0; l < count; l++)
    v[l * count + l] /= v[l * count + l];
  analysis_grid_average(grid);
  return CDL_STATUS_OK;
}
