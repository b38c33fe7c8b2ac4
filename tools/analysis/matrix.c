#include "tools/analysis/matrix.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

static size_t bytes_of(const analysis_matrix *m)
{
  return (size_t)(m->rows * m->columns) * sizeof *m->values;
}

cdl_status analysis_matrix_create(int64_t rows, int64_t columns, analysis_matrix *m)
{
  *m = (analysis_matrix){.rows = rows, .columns = columns};
  m->values = calloc((size_t)(rows * columns) + 1, sizeof *m->values);
  return m->values != NULL ? CDL_STATUS_OK
                           : cdl_fail(CDL_STATUS_MEMORY, "out of memory: a matrix of %lld x %lld",
                                      (long long)rows, (long long)columns);
}

void analysis_matrix_free(analysis_matrix *m)
{
  free(m->values);
  *m = (analysis_matrix){0};
}

cdl_status analysis_matrix_transpose(const analysis_matrix *m, analysis_matrix *transposed)
{
  CDL_TRY(analysis_matrix_create(m->columns, m->rows, transposed));
  for (int64_t i = 0; i < m->rows; i++)
    for (int64_t j = 0; j < m->columns; j++)
      transposed->values[j * m->rows + i] = m->values[i * m->columns + j];
  return CDL_STATUS_OK;
}

cdl_status analysis_matrix_normal(int64_t rows, int64_t columns, cdl_random *random,
                                  analysis_matrix *m)
{
  CDL_TRY(analysis_matrix_create(rows, columns, m));
  for (int64_t i = 0; i < rows * columns; i++)
    m->values[i] = cdl_random_normal(random);
  return CDL_STATUS_OK;
}

double analysis_matrix_dot(const analysis_matrix *a, const analysis_matrix *b)
{
  double sum = 0;
  for (int64_t i = 0; i < a->rows * a->columns; i++)
    sum += a->values[i] * b->values[i];
  return sum;
}

int64_t analysis_matrix_rank(const analysis_matrix *sigma, int64_t longest)
{
  int64_t rank = 0;
  while (rank < sigma->columns &&
         sigma->values[rank] > (double)longest * DBL_EPSILON * sigma->values[0])
    rank++;
  return rank;
}

/* ---- To and from a backend ---- */

cdl_status analysis_matrix_read(cdl_queue *queue, cdl_tensor tensor, analysis_matrix *m)
{
  const int64_t rows = tensor.size[2], columns = tensor.size[3];
  const size_t bytes = (size_t)(rows * columns) * sizeof(float);
  cdl_buffer *buffer = NULL;
  float *values = malloc(bytes + 1);
  cdl_status status = analysis_matrix_create(rows, columns, m);
  if (status == CDL_STATUS_OK && values == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: a matrix");
  const bool apart = tensor.stride[2] != columns && rows > 1;
  if (status == CDL_STATUS_OK && apart)
    status = cdl_buffer_create(cdl_queue_backend(queue), bytes, &buffer);
  if (status == CDL_STATUS_OK) {
    const cdl_tensor dense =
        apart ? cdl_tensor_2d(buffer, CDL_DTYPE_F32, 0, rows, columns) : tensor;
    if (apart)
      cdl_copy(queue, CDL_ARGS(copy, .out = dense, .x = tensor));
    cdl_queue_download(queue, values, dense, bytes);
    status = cdl_queue_sync(queue);
  }
  for (int64_t i = 0; status == CDL_STATUS_OK && i < rows * columns; i++)
    m->values[i] = (double)values[i];
  cdl_buffer_destroy(buffer);
  free(values);
  if (status != CDL_STATUS_OK)
    analysis_matrix_free(m);
  return status;
}

enum { OPERANDS_MAX = 4 };

/* The matrices of one call, end to end in one buffer of the backend. */
typedef struct {
  cdl_queue *queue;
  cdl_buffer *buffer;
  analysis_matrix *matrix[OPERANDS_MAX];
  cdl_tensor tensor[OPERANDS_MAX];
  int count;
  int64_t elements;
} call;

/* Adds a matrix and returns its index. */
static int add(call *c, const analysis_matrix *m)
{
  c->matrix[c->count] = (analysis_matrix *)(uintptr_t)m; /* inputs are never written to */
  return c->count++;
}

/* Begins a call and uploads the first `inputs` matrices. */
static cdl_status begin(call *c, int inputs)
{
  int64_t at[OPERANDS_MAX];
  for (int i = 0; i < c->count; i++) {
    at[i] = c->elements;
    c->elements += c->matrix[i]->rows * c->matrix[i]->columns;
  }
  CDL_TRY(cdl_buffer_create(cdl_queue_backend(c->queue),
                            (size_t)c->elements * sizeof(double) + sizeof(double), &c->buffer));
  for (int i = 0; i < c->count; i++) {
    const analysis_matrix *m = c->matrix[i];
    c->tensor[i] = cdl_tensor_2d(c->buffer, CDL_DTYPE_F64, at[i], m->rows, m->columns);
    if (i < inputs)
      cdl_queue_upload(c->queue, c->tensor[i], m->values, bytes_of(m));
  }
  return CDL_STATUS_OK;
}

/* Downloads the other matrices. On failure it frees the outputs. */
static cdl_status finish(call *c, cdl_status status, int inputs)
{
  for (int i = inputs; status == CDL_STATUS_OK && i < c->count; i++)
    cdl_queue_download(c->queue, c->matrix[i]->values, c->tensor[i], bytes_of(c->matrix[i]));
  if (status == CDL_STATUS_OK)
    status = cdl_queue_sync(c->queue);
  cdl_buffer_destroy(c->buffer);
  for (int i = inputs; status != CDL_STATUS_OK && i < c->count; i++)
    analysis_matrix_free(c->matrix[i]);
  return status;
}

/* ---- Products ---- */

static double at(const analysis_matrix *m, bool transpose, int64_t i, int64_t j)
{
  return transpose ? m->values[j * m->columns + i] : m->values[i * m->columns + j];
}

static void multiply_here(const analysis_matrix *a, bool transpose_a, const analysis_matrix *b,
                          bool transpose_b, analysis_matrix *out)
{
  const int64_t inner = transpose_a ? a->rows : a->columns;
  for (int64_t i = 0; i < out->rows; i++)
    for (int64_t l = 0; l < inner; l++) {
      const double factor = at(a, transpose_a, i, l);
      double *row = analysis_matrix_row(out, i);
      for (int64_t j = 0; j < out->columns; j++)
        row[j] += factor * at(b, transpose_b, l, j);
    }
}

cdl_status analysis_matrix_multiply(cdl_queue *queue, const analysis_matrix *a, bool transpose_a,
                                    const analysis_matrix *b, bool transpose_b,
                                    analysis_matrix *out)
{
  CDL_TRY(analysis_matrix_create(transpose_a ? a->columns : a->rows,
                                 transpose_b ? b->rows : b->columns, out));
  call c = {.queue = queue};
  add(&c, a);
  add(&c, b);
  add(&c, out);
  cdl_status status = begin(&c, 2);
  if (status != CDL_STATUS_OK)
    return finish(&c, status, 2);
  const cdl_gemm_args args = {.size = sizeof args,
                              .out = c.tensor[2],
                              .a = c.tensor[0],
                              .b = c.tensor[1],
                              .transpose_a = transpose_a,
                              .transpose_b = transpose_b,
                              .alpha = 1};
  if (cdl_op_path(cdl_queue_backend(queue), CDL_OP_gemm, &args) != CDL_PATH_NONE) {
    cdl_gemm(queue, &args);
    return finish(&c, status, 2);
  }
  status = cdl_queue_sync(queue);
  cdl_buffer_destroy(c.buffer);
  multiply_here(a, transpose_a, b, transpose_b, out);
  if (status != CDL_STATUS_OK)
    analysis_matrix_free(out);
  return status;
}

/* ---- Matrices that stay ---- */

static cdl_gemm_args product_args(const analysis_resident *r, bool transpose, cdl_tensor x,
                                  cdl_tensor out)
{
  return (cdl_gemm_args){.size = sizeof(cdl_gemm_args),
                         .out = out,
                         .a = r->m,
                         .b = x,
                         .transpose_a = transpose,
                         .alpha = 1};
}

/* Allocates memory for a matrix and two vectors on the backend. `buffer` stays NULL if the backend
 * has no float64 products. */
static cdl_status make_room(cdl_queue *queue, int64_t rows, int64_t columns, analysis_resident *r)
{
  cdl_backend *backend = cdl_queue_backend(queue);
  const int64_t elements = rows * columns;
  *r = (analysis_resident){.queue = queue};
  CDL_TRY(cdl_buffer_create(backend, (size_t)(elements + rows + columns + 1) * sizeof(double),
                            &r->buffer));
  r->m = cdl_tensor_2d(r->buffer, CDL_DTYPE_F64, 0, rows, columns);
  r->right = cdl_tensor_2d(r->buffer, CDL_DTYPE_F64, elements, columns, 1);
  r->left = cdl_tensor_2d(r->buffer, CDL_DTYPE_F64, elements + columns, rows, 1);
  const cdl_gemm_args forward = product_args(r, false, r->right, r->left),
                      back = product_args(r, true, r->left, r->right);
  if (cdl_op_path(backend, CDL_OP_gemm, &forward) == CDL_PATH_NONE ||
      cdl_op_path(backend, CDL_OP_gemm, &back) == CDL_PATH_NONE) {
    cdl_buffer_destroy(r->buffer);
    r->buffer = NULL;
  }
  return CDL_STATUS_OK;
}

cdl_status analysis_resident_begin(cdl_queue *queue, const analysis_matrix *m, analysis_resident *r)
{
  CDL_TRY(make_room(queue, m->rows, m->columns, r));
  if (r->buffer != NULL) {
    cdl_queue_upload(queue, r->m, m->values, bytes_of(m));
    return cdl_queue_status(queue);
  }
  CDL_TRY(analysis_matrix_create(m->rows, m->columns, &r->host));
  memcpy(r->host.values, m->values, bytes_of(m));
  return CDL_STATUS_OK;
}

static cdl_status inverse_of_host(const analysis_resident *r, analysis_resident *inverse)
{
  call c = {.queue = r->queue};
  add(&c, &r->host);
  cdl_status status = analysis_matrix_create(r->host.rows, r->host.columns, &inverse->host);
  add(&c, &inverse->host);
  if (status == CDL_STATUS_OK)
    status = begin(&c, 1);
  if (status == CDL_STATUS_OK)
    cdl_lu_inverse(c.queue, CDL_ARGS(lu_inverse, .a = c.tensor[0], .out = c.tensor[1]));
  return finish(&c, status, 1);
}

cdl_status analysis_resident_inverse(const analysis_resident *r, analysis_resident *inverse)
{
  if (r->buffer == NULL) {
    *inverse = (analysis_resident){.queue = r->queue};
    return inverse_of_host(r, inverse);
  }
  CDL_TRY(make_room(r->queue, r->m.size[2], r->m.size[3], inverse));
  cdl_lu_inverse(r->queue, CDL_ARGS(lu_inverse, .a = r->m, .out = inverse->m));
  return cdl_queue_sync(r->queue);
}

cdl_status analysis_resident_apply(const analysis_resident *r, bool transpose, const double *x,
                                   double *y)
{
  if (r->buffer == NULL) {
    const analysis_matrix in = {transpose ? r->host.rows : r->host.columns, 1,
                                (double *)(uintptr_t)x}; /* read only */
    analysis_matrix out = {transpose ? r->host.columns : r->host.rows, 1, y};
    memset(y, 0, bytes_of(&out));
    multiply_here(&r->host, transpose, &in, false, &out);
    return CDL_STATUS_OK;
  }
  const cdl_tensor in = transpose ? r->left : r->right, out = transpose ? r->right : r->left;
  const cdl_gemm_args product = product_args(r, transpose, in, out);
  cdl_queue_upload(r->queue, in, x, (size_t)cdl_tensor_elements(in) * sizeof *x);
  cdl_gemm(r->queue, &product);
  cdl_queue_download(r->queue, y, out, (size_t)cdl_tensor_elements(out) * sizeof *y);
  return cdl_queue_sync(r->queue);
}

cdl_status analysis_resident_multiply(const analysis_resident *r, bool transpose,
                                      const analysis_matrix *x, analysis_matrix *out)
{
  CDL_TRY(analysis_matrix_create(
      transpose ? analysis_resident_columns(r) : analysis_resident_rows(r), x->columns, out));
  if (r->buffer == NULL) {
    multiply_here(&r->host, transpose, x, false, out);
    return CDL_STATUS_OK;
  }
  call c = {.queue = r->queue};
  add(&c, x);
  add(&c, out);
  const cdl_status status = begin(&c, 1);
  if (status == CDL_STATUS_OK) {
    const cdl_gemm_args product = product_args(r, transpose, c.tensor[0], c.tensor[1]);
    cdl_gemm(r->queue, &product);
  }
  return finish(&c, status, 1);
}

void analysis_resident_end(analysis_resident *r)
{
  cdl_buffer_destroy(r->buffer);
  analysis_matrix_free(&r->host);
  *r = (analysis_resident){0};
}

/* ---- Decompositions ---- */

static int64_t smaller(const analysis_matrix *a)
{
  return a->rows < a->columns ? a->rows : a->columns;
}

cdl_status analysis_matrix_svd(cdl_queue *queue, const analysis_matrix *a, analysis_matrix *u,
                               analysis_matrix *sigma, analysis_matrix *vt)
{
  const int64_t k = smaller(a);
  call c = {.queue = queue};
  add(&c, a);
  cdl_status status = analysis_matrix_create(1, k, sigma);
  add(&c, sigma);
  if (u != NULL) {
    *u = *vt = (analysis_matrix){0};
    if (status == CDL_STATUS_OK)
      status = analysis_matrix_create(a->rows, k, u);
    if (status == CDL_STATUS_OK)
      status = analysis_matrix_create(k, a->columns, vt);
    add(&c, u);
    add(&c, vt);
  }
  if (status == CDL_STATUS_OK)
    status = begin(&c, 1);
  if (status == CDL_STATUS_OK) {
    cdl_svd(queue, CDL_ARGS(svd, .a = c.tensor[0], .sigma = c.tensor[1],
                            .u = u != NULL ? c.tensor[2] : (cdl_tensor){0},
                            .vt = u != NULL ? c.tensor[3] : (cdl_tensor){0}));
  }
  return finish(&c, status, 1);
}

cdl_status analysis_matrix_qr(cdl_queue *queue, const analysis_matrix *a, analysis_matrix *q,
                              analysis_matrix *r)
{
  const int64_t k = smaller(a);
  call c = {.queue = queue};
  *r = (analysis_matrix){0};
  add(&c, a);
  cdl_status status = analysis_matrix_create(a->rows, k, q);
  if (status == CDL_STATUS_OK)
    status = analysis_matrix_create(k, a->columns, r);
  add(&c, q);
  add(&c, r);
  if (status == CDL_STATUS_OK)
    status = begin(&c, 1);
  if (status == CDL_STATUS_OK)
    cdl_qr(queue, CDL_ARGS(qr, .a = c.tensor[0], .q = c.tensor[1], .r = c.tensor[2]));
  return finish(&c, status, 1);
}

cdl_status analysis_matrix_eigenvalues(cdl_queue *queue, const analysis_matrix *a,
                                       analysis_matrix *values)
{
  call c = {.queue = queue};
  add(&c, a);
  cdl_status status = analysis_matrix_create(1, a->rows, values);
  add(&c, values);
  if (status == CDL_STATUS_OK)
    status = begin(&c, 1);
  if (status == CDL_STATUS_OK)
    cdl_eigh(queue, CDL_ARGS(eigh, .a = c.tensor[0], .values = c.tensor[1]));
  return finish(&c, status, 1);
}
