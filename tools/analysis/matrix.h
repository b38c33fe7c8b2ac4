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
} cdl_matrix;

static inline double *cdl_matrix_row(const cdl_matrix *m, int64_t row)
{
  return m->values + row * m->columns;
}

/* Of zeros; ends with cdl_matrix_free, which leaves no matrix. */
CDL_MUST_USE cdl_status cdl_matrix_create(int64_t rows, int64_t columns, cdl_matrix *m);
void cdl_matrix_free(cdl_matrix *m);

/* Each makes a new matrix. */
/* A float32 tensor of two dimensions. */
CDL_MUST_USE cdl_status cdl_matrix_read(cdl_queue *queue, cdl_tensor tensor, cdl_matrix *m);
CDL_MUST_USE cdl_status cdl_matrix_transpose(const cdl_matrix *m, cdl_matrix *transposed);
/* Independent standard normal numbers, row by row. */
CDL_MUST_USE cdl_status cdl_matrix_normal(int64_t rows, int64_t columns, cdl_random *random,
                                          cdl_matrix *m);
/* op(a) op(b). By the backend where it multiplies in float64, else on the host. */
CDL_MUST_USE cdl_status cdl_matrix_multiply(cdl_queue *queue, const cdl_matrix *a, bool transpose_a,
                                            const cdl_matrix *b, bool transpose_b, cdl_matrix *out);
/* a = u diag(sigma) vt, thin, k = min(rows, columns): u [rows, k], sigma [1, k] descending, vt
 * [k, columns]. Without vectors where u and vt are NULL. */
CDL_MUST_USE cdl_status cdl_matrix_svd(cdl_queue *queue, const cdl_matrix *a, cdl_matrix *u,
                                       cdl_matrix *sigma, cdl_matrix *vt);
/* a = q r, thin: q [rows, k], r [k, columns]. */
CDL_MUST_USE cdl_status cdl_matrix_qr(cdl_queue *queue, const cdl_matrix *a, cdl_matrix *q,
                                      cdl_matrix *r);
/* Eigenvalues of a symmetric matrix, [1, n] ascending. */
CDL_MUST_USE cdl_status cdl_matrix_eigenvalues(cdl_queue *queue, const cdl_matrix *a,
                                               cdl_matrix *values);

/* A matrix that stays on the backend for many products; without products in float64 there, on the
 * host. Ends with cdl_resident_end, before its queue does. */
typedef struct {
  cdl_queue *queue;          /* borrowed */
  cdl_buffer *buffer;        /* NULL: on the host */
  cdl_tensor m, right, left; /* m [rows, columns], a vector of its columns and one of its rows */
  cdl_matrix host;
} cdl_resident;

static inline int64_t cdl_resident_rows(const cdl_resident *r)
{
  return r->buffer != NULL ? r->m.size[2] : r->host.rows;
}

static inline int64_t cdl_resident_columns(const cdl_resident *r)
{
  return r->buffer != NULL ? r->m.size[3] : r->host.columns;
}

CDL_MUST_USE cdl_status cdl_resident_begin(cdl_queue *queue, const cdl_matrix *m, cdl_resident *r);
/* By LU, for a square matrix. NUMERIC where it is singular, which ends the queue. */
CDL_MUST_USE cdl_status cdl_resident_inverse(const cdl_resident *r, cdl_resident *inverse);
/* y = m x or mᵀ x, of vectors. */
CDL_MUST_USE cdl_status cdl_resident_apply(const cdl_resident *r, bool transpose, const double *x,
                                           double *y);
/* op(m) x, a new matrix. */
CDL_MUST_USE cdl_status cdl_resident_multiply(const cdl_resident *r, bool transpose,
                                              const cdl_matrix *x, cdl_matrix *out);
void cdl_resident_end(cdl_resident *r);

/* How many singular values, [1, k] descending, are above longest · 2⁻⁵² σ_1, NumPy's rule. */
int64_t cdl_matrix_rank(const cdl_matrix *sigma, int64_t longest);

/* Σ a ∘ b of two matrices of one shape. */
double cdl_matrix_dot(const cdl_matrix *a, const cdl_matrix *b);

#endif
