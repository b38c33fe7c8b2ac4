/* Matrices in float64 on the host, and what a backend computes with them. Every call that takes a
 * queue ends with the queue synced. */
#ifndef CONDLORA_TOOLS_ANALYSIS_MATRIX_H
#define CONDLORA_TOOLS_ANALYSIS_MATRIX_H

#include "condlora/backend.h"
#include "condlora/random.h"

/* Dense, row-major. All zeros: no matrix. */
typedef struct {
  int64_t rows, columns;
  double *values; /* owned */
} analysis_matrix;

static inline double *analysis_matrix_row(const analysis_matrix *m, int64_t row)
{
  return m->values + row * m->columns;
}

/* Of zeros; ends with analysis_matrix_free, which leaves no matrix. */
CDL_MUST_USE cdl_status analysis_matrix_create(int64_t rows, int64_t columns, analysis_matrix *m);
void analysis_matrix_free(analysis_matrix *m);

/* Each makes a new matrix. */
/* A float32 tensor of two dimensions. */
CDL_MUST_USE cdl_status analysis_matrix_read(cdl_queue *queue, cdl_tensor tensor,
                                             analysis_matrix *m);
CDL_MUST_USE cdl_status analysis_matrix_transpose(const analysis_matrix *m,
                                                  analysis_matrix *transposed);
/* Independent standard normal numbers, row by row. */
CDL_MUST_USE cdl_status analysis_matrix_normal(int64_t rows, int64_t columns, cdl_random *random,
                                               analysis_matrix *m);
/* op(a) op(b). By the backend where it multiplies in float64, else on the host. */
CDL_MUST_USE cdl_status analysis_matrix_multiply(cdl_queue *queue, const analysis_matrix *a,
                                                 bool transpose_a, const analysis_matrix *b,
                                                 bool transpose_b, analysis_matrix *out);
/* a = u diag(sigma) vt, thin, k = min(rows, columns): u [rows, k], sigma [1, k] descending, vt
 * [k, columns]. Without vectors where u and vt are NULL. */
CDL_MUST_USE cdl_status analysis_matrix_svd(cdl_queue *queue, const analysis_matrix *a,
                                            analysis_matrix *u, analysis_matrix *sigma,
                                            analysis_matrix *vt);
/* a = q r, thin: q [rows, k], r [k, columns]. */
CDL_MUST_USE cdl_status analysis_matrix_qr(cdl_queue *queue, const analysis_matrix *a,
                                           analysis_matrix *q, analysis_matrix *r);
/* Eigenvalues of a symmetric matrix, [1, n] ascending. */
CDL_MUST_USE cdl_status analysis_matrix_eigenvalues(cdl_queue *queue, const analysis_matrix *a,
                                                    analysis_matrix *values);

/* A matrix that stays on the backend for many products; without products in float64 there, on the
 * host. Ends with analysis_resident_end, before its queue does. */
typedef struct {
  cdl_queue *queue;          /* borrowed */
  cdl_buffer *buffer;        /* NULL: on the host */
  cdl_tensor m, right, left; /* m [rows, columns], a vector of its columns and one of its rows */
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
/* By LU, for a square matrix. NUMERIC where it is singular, which ends the queue. */
CDL_MUST_USE cdl_status analysis_resident_inverse(const analysis_resident *r,
                                                  analysis_resident *inverse);
/* y = m x or mᵀ x, of vectors. */
CDL_MUST_USE cdl_status analysis_resident_apply(const analysis_resident *r, bool transpose,
                                                const double *x, double *y);
/* op(m) x, a new matrix. */
CDL_MUST_USE cdl_status analysis_resident_multiply(const analysis_resident *r, bool transpose,
                                                   const analysis_matrix *x, analysis_matrix *out);
void analysis_resident_end(analysis_resident *r);

/* How many singular values, [1, k] descending, are above longest · 2⁻⁵² σ_1, NumPy's rule. */
int64_t analysis_matrix_rank(const analysis_matrix *sigma, int64_t longest);

/* Σ a ∘ b of two matrices of one shape. */
double analysis_matrix_dot(const analysis_matrix *a, const analysis_matrix *b);

#endif
