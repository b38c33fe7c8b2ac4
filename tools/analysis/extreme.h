/* The ends of a matrix's spectrum, without the rest of it. */
#ifndef CONDLORA_TOOLS_ANALYSIS_EXTREME_H
#define CONDLORA_TOOLS_ANALYSIS_EXTREME_H

#include "tools/analysis/matrix.h"

/* A square matrix with its inverse, and what tells how far to trust it. */
typedef struct {
  cdl_queue *queue;                  /* of its own: a singular matrix ends it */
  analysis_resident matrix, inverse; /* `inverse` means nothing where the rank is not full */
  int64_t rank;                      /* numerical: singular values above n · 2⁻⁵² σ_1 */
  double condition;                  /* σ_1 / σ_n; infinite where the rank is not full */
} analysis_inverted;

/* σ_1 and 1 / σ_n are the largest singular values of the matrix and of its inverse, to 1e-7 of
 * themselves; where the inverse is too inexact to tell, all singular values are computed. */
CDL_MUST_USE cdl_status analysis_invert(cdl_queue *queue, const analysis_matrix *m,
                                        analysis_inverted *inverted);
/* x of m x = b, or of mᵀ x = b, for full rank: by the inverse, refined once by its residual, which
 * makes it as good as a solve by the factors (Higham, Accuracy and Stability, 12 and 14). */
CDL_MUST_USE cdl_status analysis_inverted_solve(const analysis_inverted *inverted, bool transpose,
                                                const analysis_matrix *b, analysis_matrix *x);
void analysis_inverted_free(analysis_inverted *inverted);

/* By Golub-Kahan-Lanczos bidiagonalization, every vector orthogonalized against all before it (Golub
 * and Van Loan, Matrix Computations, 10.4). NaN where it has not settled to 1e-7 after as many steps as
 * would make a whole decomposition cheaper. */
CDL_MUST_USE cdl_status analysis_largest_singular_value(const analysis_resident *m, double *sigma);

#endif
