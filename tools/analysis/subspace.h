/* Singular vectors, and how similar the subspaces are that two matrices' leading ones span. */
#ifndef CONDLORA_TOOLS_ANALYSIS_SUBSPACE_H
#define CONDLORA_TOOLS_ANALYSIS_SUBSPACE_H

#include "tools/analysis/matrix.h"

typedef enum { CDL_SIDE_LEFT, CDL_SIDE_RIGHT, CDL_SIDE_COUNT } cdl_side;

const char *cdl_side_name(cdl_side side); /* "left" */

/* A matrix [rows, columns] by its thin SVD. */
typedef struct {
  int64_t rows, columns;
  cdl_matrix vectors[CDL_SIDE_COUNT]; /* as rows: [k, rows], [k, columns]; or more, if extended */
  cdl_matrix sigma;                   /* [1, k] descending */
  int64_t rank; /* singular values above max(rows, columns) · 2⁻⁵² · σ_1 */
} cdl_spectrum;

/* Ends with cdl_spectrum_free. */
CDL_MUST_USE cdl_status cdl_spectrum_of(cdl_queue *queue, const cdl_matrix *m, cdl_spectrum *s);
/* Of the product x y, x [rows, p], y [p, columns], which is never formed where p is the smallest of
 * the three: QR of x and of yᵀ, and the SVD of the product of both R. */
CDL_MUST_USE cdl_status cdl_spectrum_of_product(cdl_queue *queue, const cdl_matrix *x,
                                                const cdl_matrix *y, cdl_spectrum *s);
void cdl_spectrum_free(cdl_spectrum *s);

/* Sees to at least `count` vectors on a side, the further ones being any that are orthogonal to the
 * rest, as those of singular values of zero are. */
CDL_MUST_USE cdl_status cdl_spectrum_extend(cdl_queue *queue, cdl_spectrum *s, cdl_side side,
                                            int64_t count, cdl_random *random);
/* Whether the leading `count` singular vectors are determined; logs a warning that begins with
 * `what` where they are not, since count passes the rank, or σ_count and the next are equal to
 * 1e-7 of σ_1 (float32 tells them no further apart). */
bool cdl_spectrum_check(const cdl_spectrum *s, int64_t count, const char *what);

/* `count` vectors of length n as rows, orthonormal, uniform over all such (Haar's measure, but for
 * signs, which φ does not see): those of a normal matrix. */
CDL_MUST_USE cdl_status cdl_random_vectors(cdl_queue *queue, int64_t count, int64_t n,
                                           cdl_random *random, cdl_matrix *vectors);

/* Equation 2: φ = Σ_{a ≤ i, b ≤ j} ⟨x_a, y_b⟩² / min(i, j), in [0, 1], of vectors as rows. */
double cdl_phi(const cdl_matrix *x, int64_t i, const cdl_matrix *y, int64_t j);
/* Of independent uniform subspaces of n dimensions: max(i, j) / n. */
double cdl_phi_expected(int64_t i, int64_t j, int64_t n);

/* ---- All pairs of layers ---- */

typedef struct {
  int layers;
  double *values; /* [layers, layers]: φ of the row's first i and the column's first j; owned */
  double upper;   /* mean above the diagonal: the average of the reference; NaN of one layer */
  double all;     /* mean of all pairs, a layer with itself among them */
} cdl_grid;

CDL_MUST_USE cdl_status cdl_grid_create(int layers, cdl_grid *grid);
void cdl_grid_free(cdl_grid *grid);
/* Fills in the two means. */
void cdl_grid_average(cdl_grid *grid);
/* φ of all pairs of vectors[layers]. */
CDL_MUST_USE cdl_status cdl_grid_of(const cdl_matrix *const *vectors, int layers, int64_t i,
                                    int64_t j, cdl_grid *grid);

#endif
