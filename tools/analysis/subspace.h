/* Singular vectors, and the similarity of the subspaces that two matrices' leading ones span. */
#ifndef CONDLORA_TOOLS_ANALYSIS_SUBSPACE_H
#define CONDLORA_TOOLS_ANALYSIS_SUBSPACE_H

#include "tools/analysis/matrix.h"

typedef enum { ANALYSIS_SIDE_LEFT, ANALYSIS_SIDE_RIGHT, ANALYSIS_SIDE_COUNT } analysis_side;

const char *analysis_side_name(analysis_side side); /* "left" */

/* The thin SVD of a matrix [rows, columns]. */
typedef struct {
  int64_t rows, columns;
  analysis_matrix
      vectors[ANALYSIS_SIDE_COUNT]; /* as rows: [k, rows], [k, columns]; extending adds rows */
  analysis_matrix sigma;            /* [1, k] descending */
  int64_t rank; /* singular values above max(rows, columns) · 2⁻⁵² · σ_1 */
} analysis_spectrum;

/* Computes the SVD of a matrix. Free with analysis_spectrum_free. */
CDL_MUST_USE cdl_status analysis_spectrum_of(cdl_queue *queue, const analysis_matrix *m,
                                             analysis_spectrum *s);
/* Computes the SVD of the product x y, x [rows, p], y [p, columns]. If p is the smallest of the
 * three, the product is not formed: QR of x and of yᵀ, then the SVD of the product of both R. */
CDL_MUST_USE cdl_status analysis_spectrum_of_product(cdl_queue *queue, const analysis_matrix *x,
                                                     const analysis_matrix *y,
                                                     analysis_spectrum *s);
void analysis_spectrum_free(analysis_spectrum *s);

/* Extends a side to at least `count` vectors. The added ones are any orthonormal vectors that are
 * orthogonal to the others, as singular vectors of zero are. */
CDL_MUST_USE cdl_status analysis_spectrum_extend(cdl_queue *queue, analysis_spectrum *s,
                                                 analysis_side side, int64_t count,
                                                 cdl_random *random);
/* Returns whether the leading `count` singular vectors are determined. If not, logs a warning that
 * begins with `what`: count exceeds the rank, or σ_count and the next differ by less than 1e-7 of
 * σ_1, which float32 cannot separate. */
bool analysis_spectrum_check(const analysis_spectrum *s, int64_t count, const char *what);

/* Checks that a matrix [rows, columns], called `what`, has i and j singular vectors on a side.
 * Errors: USAGE, naming the larger of the options --i and --j. */
CDL_MUST_USE cdl_status analysis_check_counts(int64_t i, int64_t j, const char *what, int64_t rows,
                                              int64_t columns, analysis_side side);

/* Draws `count` orthonormal vectors of length n as rows, uniformly (Haar's measure, except for
 * signs, which do not affect φ): the singular vectors of a normal matrix. */
CDL_MUST_USE cdl_status analysis_random_vectors(cdl_queue *queue, int64_t count, int64_t n,
                                                cdl_random *random, analysis_matrix *vectors);

/* Computes equation 2 for vectors as rows: φ = Σ_{a ≤ i, b ≤ j} ⟨x_a, y_b⟩² / min(i, j), in [0,
 * 1]. */
double analysis_phi(const analysis_matrix *x, int64_t i, const analysis_matrix *y, int64_t j);
/* Returns φ's mean for independent uniform subspaces of n dimensions: max(i, j) / n. */
double analysis_phi_expected(int64_t i, int64_t j, int64_t n);

/* ---- All pairs of layers ---- */

typedef struct {
  int layers;
  double *values; /* [layers, layers]: φ of the row's first i and the column's first j; owned */
  double upper;   /* mean above the diagonal, the reference's average; NaN for one layer */
  double all;     /* mean of all pairs, including a layer with itself */
} analysis_grid;

CDL_MUST_USE cdl_status analysis_grid_create(int layers, analysis_grid *grid);
void analysis_grid_free(analysis_grid *grid);
/* Computes the two means. */
void analysis_grid_average(analysis_grid *grid);
/* Computes φ of all pairs of `vectors` [layers]. */
CDL_MUST_USE cdl_status analysis_grid_of(const analysis_matrix *const *vectors, int layers,
                                         int64_t i, int64_t j, analysis_grid *grid);

#endif
