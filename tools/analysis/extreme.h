/* The extreme singular values of a matrix, without a whole decomposition. */
#ifndef CONDLORA_TOOLS_ANALYSIS_EXTREME_H
#define CONDLORA_TOOLS_ANALYSIS_EXTREME_H

#include "tools/analysis/matrix.h"

/* A square matrix with its inverse, its rank and its condition. */
typedef struct {
  cdl_queue *queue;                  /* owned; a singular matrix makes it fail */
  analysis_resident matrix, inverse; /* `inverse` is undefined if the rank is not full */
  int64_t rank;                      /* numerical: singular values above n · 2⁻⁵² σ_1 */
  double condition;                  /* σ_1 / σ_n; infinite if the rank is not full */
} analysis_inverted;

/* Inverts a square matrix. σ_1 and 1 / σ_n are computed as the largest singular values of the
 * matrix and of its inverse, to a relative error of 1e-7. If the inverse is too inexact for that,
 * all singular values are computed. Free with analysis_inverted_free. */
CDL_MUST_USE cdl_status analysis_invert(cdl_queue *queue, const analysis_matrix *m,
                                        analysis_inverted *inverted);
/* Solves m x = b or mᵀ x = b for a matrix of full rank: by the inverse, refined once by the
 * residual, which makes it as accurate as a solve by the factors (Higham, Accuracy and Stability,
 * 12 and 14). */
CDL_MUST_USE cdl_status analysis_inverted_solve(const analysis_inverted *inverted, bool transpose,
                                                const analysis_matrix *b, analysis_matrix *x);
void analysis_inverted_free(analysis_inverted *inverted);

/* Computes σ_1 by Golub-Kahan-Lanczos bidiagonalization with full reorthogonalization (Golub and
 * Van Loan, Matrix Computations, 10.4). `*sigma` is NaN if it has not converged to 1e-7 within the
 * number of steps at which a whole decomposition would be cheaper. */
CDL_MUST_USE cdl_status analysis_largest_singular_value(const analysis_resident *m, double *sigma);

#endif
