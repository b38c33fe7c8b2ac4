/* Matrices in float64 on the host, and computations with them on a backend. Every function that
 * takes a queue syncs it before it returns. */
#ifndef CONDLORA_TOOLS_ANALYSIS_MATRIX_H
#define CONDLORA_TOOLS_ANALYSIS_MATRIX_H

#include "condlora/backend.h"
#include "condlora/random.h"

/* A dense row-major matrix. All fields 0: no matrix. */
typedef struct {
  int64_t rows, columns;
  double *values; /* owned */
} analysis_matrix;

static inline double *analysis_matrix_row(const analysis_matrix *m, int64_t row)
{
  return m->values + row * m->columns;
}

/* Creates a matrix of zeros. Free with analysis_matrix_free, which resets it to no matrix. */
CDL_MUST_USE cdl_status analysis_matrix_create(int64_t rows, int64_t columns, analysis_matrix *m);
void analysis_matrix_free(analysis_matrix *m);

/* Each of these creates a new matrix, which the caller frees. */
/* Reads a float32 tensor of two dimensions. */
CDL_MUST_USE cdl_status analysis_matrix_read(cdl_queue *queue, cdl_tensor tensor,
                                             analysis_matrix *m);
CDL_MUST_USE cdl_status analysis_matrix_transpose(const analysis_matrix *m,
                                                  analysis_matrix *transposed);
/* Draws independent standard normal numbers, row by row. */
CDL_MUST_USE cdl_status analysis_matrix_normal(int64_t rows, int64_t columns, cdl_random *random,
                                               analysis_matrix *m);
/* Computes op(a) op(b): on the backend if it multiplies in float64, otherwise on the host. */
CDL_MUST_USE cdl_status analysis_matrix_multiply(cdl_queue *queue, const analysis_matrix *a,
                                                 bool transpose_a, const analysis_matrix *b,
                                                 bool transpose_b, analysis_matrix *out);
/* Computes the thin SVD a = u diag(sigma) vt with k = min(rows, columns): u [rows, k], sigma [1, k]
 * descending, vt [k, columns]. Pass NULL for u and vt to compute singular values only. */
CDL_MUST_USE cdl_status analysis_matrix_svd(cdl_queue *queue, const analysis_matrix *a,
                                            analysis_matrix *u, analysis_matrix *sigma,
                                            analysis_matrix *vt);
/* a = q r, thin: q [rows, k], r [k, columns]. */
CDL_MUST_USE cdl_status analysis_matrix_qr(cdl_queue *queue, const analysis_matrix *a,
                                           analysis_matrix *q, analysis_matrix *r);
/* Computes the eigenvalues of a symmetric matrix, [1, n] ascending. */
CDL_MUST_USE cdl_status analysis_matrix_eigenvalues(cdl_queue *queue, const analysis_matrix *a,
                                                    analysis_matrix *values);

/* A matrix that stays on the backend for many products; on the host if the backend has no float64
 * products. End with analysis_resident_end before its queue is destroyed. */
typedef struct {
  cdl_queue *queue;          /* borrowed */
  cdl_buffer *buffer;        /* NULL: on the host */
  cdl_tensor m, right, left; /* m [rows, columns]; vectors of `columns` and of `rows` elements */
  analysis_matrix host;
} analysis_resident;

static inline int64_t analysis_resident_rows(const analysis_resident *r)
{
  return r->buffer != NULL ? r->m.size[2] : r->host.rows;
}

static inline int64_t analysis_resident_columns(const analysis_resident *r)
{
  return r->buffer != NULL ? r->m.size[3] : r->host.columns;
}

CDL_MUST_USE cdl_status analysis_resident_begin(cdl_queue *queue, const analysis_matrix *m,
                                                analysis_resident *r);
/* Inverts a square matrix by LU. Errors: NUMERIC if it is singular, after which the queue has
 * failed. */
CDL_MUST_USE cdl_status analysis_resident_inverse(const analysis_resident *r,
                                                  analysis_resident *inverse);
/* Computes y = m x or y = mᵀ x for vectors. */
CDL_MUST_USE cdl_status analysis_resident_apply(const analysis_resident *r, bool transpose,
                                                const double *x, double *y);
/* Computes op(m) x, a new matrix. */
CDL_MUST_USE cdl_status analysis_resident_multiply(const analysis_resident *r, bool transpose,
                                                   const analysis_matrix *x, analysis_matrix *out);
void analysis_resident_end(analysis_resident *r);

/* Counts the singular values, [1, k] descending, above longest · 2⁻⁵² σ_1, which is NumPy's
 * rule. */
int64_t analysis_matrix_rank(const analysis_matrix *sigma, int64_t longest);

/* Computes Σ a ∘ b of two matrices of the same shape. */
double analysis_matrix_dot(const analysis_matrix *a, const analysis_matrix *b);

#endif
