/* Singular vectors, and how similar the subspaces are that two matrices' leading ones span. */
#ifndef CONDLORA_TOOLS_ANALYSIS_SUBSPACE_H
#define CONDLORA_TOOLS_ANALYSIS_SUBSPACE_H

#include "tools/analysis/matrix.h"

typedef enum { ANALYSIS_SIDE_LEFT, ANALYSIS_SIDE_RIGHT, ANALYSIS_SIDE_COUNT } analysis_side;

const char *analysis_side_name(analysis_side side); /* "left" */

/* A matrix [rows, columns] by its thin SVD. */
typedef struct {
  int64_t rows, columns;
  analysis_matrix
      vectors[ANALYSIS_SIDE_COUNT]; /* as rows: [k, rows], [k, columns]; or more, if extended */
  analysis_matrix sigma;            /* [1, k] descending */
  int64_t rank; /* singular values above max(rows, columns) · 2⁻⁵² · σ_1 */
} analysis_spectrum;

/* Ends with analysis_spectrum_free. */
CDL_MUST_USE cdl_status analysis_spectrum_of(cdl_queue *queue, const analysis_matrix *m,
                                             analysis_spectrum *s);
/* Of the product x y, x [rows, p], y [p, columns], which is never formed where p is the smallest of
 * the three: QR of x and of yᵀ, and the SVD of the product of both R. */
CDL_MUST_USE cdl_status analysis_spectrum_of_product(cdl_queue *queue, const analysis_matrix *x,
                                                     const analysis_matrix *y,
                                                     analysis_spectrum *s);
void analysis_spectrum_free(analysis_spectrum *s);

/* Sees to at least `count` vectors on a side, the further ones being any that are orthogonal to the
 * rest, as those of singular values of zero are. */
CDL_MUST_USE cdl_status analysis_spectrum_extend(cdl_queue *queue, analysis_spectrum *s,
                                                 analysis_side side, int64_t count,
                                                 cdl_random *random);
/* Whether the leading `count` singular vectors are determined; logs a warning that begins with
 * `what` where they are not, since count passes the rank, or σ_count and the next are equal to
 * 1e-7 of σ_1 (float32 tells them no further apart). */
bool analysis_spectrum_check(const analysis_spectrum *s, int64_t count, const char *what);

/* Whether a matrix [rows, columns], called `what`, has i and j singular vectors on a side: USAGE,
 * naming the larger of the options --i and --j, where it has fewer. */
CDL_MUST_USE cdl_status analysis_check_counts(int64_t i, int64_t j, const char *what, int64_t rows,
                                              int64_t columns, analysis_side side);

/* `count` vectors of length n as rows, orthonormal, uniform over all such (Haar's measure, but for
 * signs, which φ does not see): those of a normal matrix. */
CDL_MUST_USE cdl_status analysis_random_vectors(cdl_queue *queue, int64_t count, int64_t n,
                                                cdl_random *random, analysis_matrix *vectors);

/* Equation 2: φ = Σ_{a ≤ i, b ≤ j} ⟨x_a, y_b⟩² / min(i, j), in [0, 1], of vectors as rows. */
double analysis_phi(const analysis_matrix *x, int64_t i, const analysis_matrix *y, int64_t j);
/* Of independent uniform subspaces of n dimensions: max(i, j) / n. */
double analysis_phi_expected(int64_t i, int64_t j, int64_t n);

/* ---- All pairs of layers ---- */

typedef struct {
  int layers;
  double *values; /* [layers, layers]: φ of the row's first i and the column's first j; owned */
  double upper;   /* mean above the diagonal: the average of the reference; NaN of one layer */
  double all;     /* mean of all pairs, a layer with itself among them */
} analysis_grid;

CDL_MUST_USE cdl_status analysis_grid_create(int layers, analysis_grid *grid);
void analysis_grid_free(analysis_grid *grid);
/* Fills in the two means. */
void analysis_grid_average(analysis_grid *grid);
/* φ of all pairs of vectors[layers]. */
CDL_MUST_USE cdl_status analysis_grid_of(const analysis_matrix *const *vectors, int layers,
                                         int64_t i, int64_t j, analysis_grid *grid);

#endif
