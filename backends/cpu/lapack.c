/* The host ops, on LAPACKE. It sees a row-major matrix as the transpose of a column-major one; if
 * the transpose's own decomposition suffices, nothing is transposed. Each op works on a dense copy
 * of its input, F32 or F64. */
#include "backends/cpu/device.h"
#include "backends/cpu/memory.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* ---- Dense copies ---- */

/* Fails with UNSUPPORTED if a size does not fit the 32 bits of LAPACK. */
static cdl_status check_size(const char *op, int64_t size)
{
  if (size > INT_MAX)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: a size of %lld; this backend's library takes at most %d", op,
                    (long long)size, INT_MAX);
  return CDL_STATUS_OK;
}

static bool is_f64(cdl_tensor t)
{
  return t.dtype == CDL_DTYPE_F64;
}

static char *row_of(cdl_tensor t, int64_t row)
{
  return cpu_bytes(t) + row * t.stride[2] * (int64_t)cdl_dtype_bytes(t.dtype);
}

static double value_at(const void *data, int64_t i, bool f64)
{
  return f64 ? ((const double *)data)[i] : (double)((const float *)data)[i];
}

static cdl_status check_finite(const char *op, cdl_tensor t)
{
  for (int64_t i = 0; i < t.size[2]; i++)
    for (int64_t j = 0; j < t.size[3]; j++)
      if (!isfinite(value_at(row_of(t, i), j, is_f64(t))))
        return cdl_fail(CDL_STATUS_NUMERIC, "%s: element (%lld, %lld) of the matrix is not finite",
                        op, (long long)i, (long long)j);
  return CDL_STATUS_OK;
}

static void copy_in(void *dense, cdl_tensor t)
{
  const size_t row = (size_t)t.size[3] * cdl_dtype_bytes(t.dtype);
  for (int64_t i = 0; i < t.size[2]; i++)
    memcpy((char *)dense + (size_t)i * row, row_of(t, i), row);
}

static void copy_out(cdl_tensor t, const void *dense)
{
  const size_t row = (size_t)t.size[3] * cdl_dtype_bytes(t.dtype);
  for (int64_t i = 0; i < t.size[2]; i++)
    memcpy(row_of(t, i), (const char *)dense + (size_t)i * row, row);
}

/* dense[j · rows + i] = t[i, j] */
static void transpose_in(void *dense, cdl_tensor t)
{
  const int64_t rows = t.size[2];
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < t.size[3]; j++)
      if (is_f64(t))
        ((double *)dense)[j * rows + i] = ((const double *)(const void *)row_of(t, i))[j];
      else
        ((float *)dense)[j * rows + i] = ((const float *)(const void *)row_of(t, i))[j];
}

/* t[i, j] = dense[j · stride + i] */
static void transpose_out(cdl_tensor t, const void *dense, int64_t stride)
{
  for (int64_t i = 0; i < t.size[2]; i++)
    for (int64_t j = 0; j < t.size[3]; j++)
      if (is_f64(t))
        ((double *)(void *)row_of(t, i))[j] = ((const double *)dense)[j * stride + i];
      else
        ((float *)(void *)row_of(t, i))[j] = ((const float *)dense)[j * stride + i];
}

/* Working memory: a dense matrix of t's type, one or two vectors after it. */
static cdl_status allocate(const char *op, int64_t elements, size_t element_bytes, void **memory)
{
  *memory = cpu_memory_allocate((size_t)cpu_max(1, elements) * element_bytes);
  return *memory != NULL ? CDL_STATUS_OK
                         : cdl_fail(CDL_STATUS_MEMORY, "%s: no memory for a copy of %lld elements",
                                    op, (long long)elements);
}

static cdl_status open_lapack(void *queue, const cpu_libraries **libraries)
{
  const cdl_status status = cpu_lapack_use(&cpu_device_of(queue)->lapack, libraries);
  return status == CDL_STATUS_OK ? status : cdl_context(status, "LAPACK");
}

static cdl_status begin(const char *op, cdl_tensor a)
{
  CDL_TRY(check_size(op, cpu_max(a.size[2], a.size[3])));
  return check_finite(op, a);
}

static cdl_status refused(const char *op, int info)
{
  return cdl_fail(CDL_STATUS_DEVICE, "%s: LAPACKE reports %d", op, info);
}

/* ---- svd ---- */

typedef struct {
  const cpu_libraries *libraries;
  bool f64;
  int rows, columns; /* of the column-major matrix: aᵀ */
  void *a, *sigma, *u, *vt, *superb;
  int u_stride, vt_stride;
} svd_call;

static int call_gesdd(const svd_call *c)
{
  const char job = c->u != NULL ? 'S' : 'N';
  if (c->f64)
    return c->libraries->LAPACKE_dgesdd(CPU_COLUMN_MAJOR, job, c->rows, c->columns, c->a, c->rows,
                                        c->sigma, c->u, c->u_stride, c->vt, c->vt_stride);
  return c->libraries->LAPACKE_sgesdd(CPU_COLUMN_MAJOR, job, c->rows, c->columns, c->a, c->rows,
                                      c->sigma, c->u, c->u_stride, c->vt, c->vt_stride);
}

static int call_gesvd(const svd_call *c)
{
  const char job = c->u != NULL ? 'S' : 'N';
  if (c->f64)
    return c->libraries->LAPACKE_dgesvd(CPU_COLUMN_MAJOR, job, job, c->rows, c->columns, c->a,
                                        c->rows, c->sigma, c->u, c->u_stride, c->vt, c->vt_stride,
                                        c->superb);
  return c->libraries->LAPACKE_sgesvd(CPU_COLUMN_MAJOR, job, job, c->rows, c->columns, c->a,
                                      c->rows, c->sigma, c->u, c->u_stride, c->vt, c->vt_stride,
                                      c->superb);
}

/* aᵀ = V Σ Uᵀ: column-major V is row-major vt, column-major Uᵀ row-major u. */
cdl_status cpu_svd(void *queue, const cdl_svd_args *g)
{
  const cdl_tensor a = g->a;
  const int64_t least = cpu_min(a.size[2], a.size[3]);
  if (least == 0)
    return CDL_STATUS_OK;
  const cpu_libraries *libraries;
  CDL_TRY(begin("svd", a));
  CDL_TRY(open_lapack(queue, &libraries));
  const size_t element = cdl_dtype_bytes(a.dtype);
  void *memory;
  CDL_TRY(allocate("svd", cdl_tensor_elements(a) + least, element, &memory));
  const bool vectors = cdl_tensor_present(g->u);
  const svd_call call = {.libraries = libraries,
                         .f64 = is_f64(a),
                         .rows = (int)a.size[3],
                         .columns = (int)a.size[2],
                         .a = memory,
                         .sigma = cpu_bytes(g->sigma),
                         .superb = (char *)memory + (size_t)cdl_tensor_elements(a) * element,
                         .u = vectors ? cpu_bytes(g->vt) : NULL,
                         .vt = vectors ? cpu_bytes(g->u) : NULL,
                         .u_stride = vectors ? (int)cpu_row_stride(g->vt) : (int)a.size[3],
                         .vt_stride = vectors ? (int)cpu_row_stride(g->u) : (int)least};
  copy_in(memory, a);
  int info = call_gesdd(&call);
  if (info > 0) { /* divide and conquer did not converge: QR iteration is slower but more robust */
    copy_in(memory, a);
    info = call_gesvd(&call);
  }
  cpu_memory_free(memory);
  if (info > 0)
    return cdl_fail(CDL_STATUS_NUMERIC, "svd: no convergence for a matrix of %lld x %lld",
                    (long long)a.size[2], (long long)a.size[3]);
  return info == 0 ? CDL_STATUS_OK : refused("svd", info);
}

/* ---- lu_solve, lu_inverse ---- */

static cdl_status singular(const char *op, cdl_tensor a, int pivot)
{
  return cdl_fail(CDL_STATUS_NUMERIC,
                  "%s: the matrix of %lld x %lld is singular (pivot %d is zero)", op,
                  (long long)a.size[2], (long long)a.size[3], pivot);
}

cdl_status cpu_lu_solve(void *queue, const cdl_lu_solve_args *g)
{
  const cpu_libraries *libraries;
  const int64_t n = g->a.size[2], k = g->b.size[3];
  if (n == 0 || k == 0)
    return CDL_STATUS_OK;
  CDL_TRY(begin("lu_solve", g->a));
  CDL_TRY(begin("lu_solve", g->b));
  CDL_TRY(open_lapack(queue, &libraries));
  const size_t element = cdl_dtype_bytes(g->a.dtype);
  void *memory;
  CDL_TRY(allocate("lu_solve", n * n + n * k + n, element,
                   &memory)); /* the pivots are no wider than an element */
  char *right = (char *)memory + (size_t)(n * n) * element;
  int *pivots = (int *)(void *)(right + (size_t)(n * k) * element);
  transpose_in(memory, g->a);
  transpose_in(right, g->b);
  const int info = is_f64(g->a)
                       ? libraries->LAPACKE_dgesv(CPU_COLUMN_MAJOR, (int)n, (int)k, memory, (int)n,
                                                  pivots, (double *)(void *)right, (int)n)
                       : libraries->LAPACKE_sgesv(CPU_COLUMN_MAJOR, (int)n, (int)k, memory, (int)n,
                                                  pivots, (float *)(void *)right, (int)n);
  if (info == 0)
    transpose_out(g->x, right, n);
  cpu_memory_free(memory);
  if (info > 0)
    return singular("lu_solve", g->a, info);
  return info == 0 ? CDL_STATUS_OK : refused("lu_solve", info);
}

/* (aᵀ)⁻¹ = (a⁻¹)ᵀ: nothing to transpose. */
cdl_status cpu_lu_inverse(void *queue, const cdl_lu_inverse_args *g)
{
  const cpu_libraries *libraries;
  const int64_t n = g->a.size[2];
  if (n == 0)
    return CDL_STATUS_OK;
  CDL_TRY(begin("lu_inverse", g->a));
  CDL_TRY(open_lapack(queue, &libraries));
  const size_t element = cdl_dtype_bytes(g->a.dtype);
  void *memory;
  CDL_TRY(allocate("lu_inverse", n * n + n, element, &memory));
  int *pivots = (int *)(void *)((char *)memory + (size_t)(n * n) * element);
  const bool f64 = is_f64(g->a);
  const int size = (int)n;
  copy_in(memory, g->a);
  int info = f64 ? libraries->LAPACKE_dgetrf(CPU_COLUMN_MAJOR, size, size, memory, size, pivots)
                 : libraries->LAPACKE_sgetrf(CPU_COLUMN_MAJOR, size, size, memory, size, pivots);
  if (info == 0)
    info = f64 ? libraries->LAPACKE_dgetri(CPU_COLUMN_MAJOR, size, memory, size, pivots)
               : libraries->LAPACKE_sgetri(CPU_COLUMN_MAJOR, size, memory, size, pivots);
  if (info == 0)
    copy_out(g->out, memory);
  cpu_memory_free(memory);
  if (info > 0)
    return singular("lu_inverse", g->a, info);
  return info == 0 ? CDL_STATUS_OK : refused("lu_inverse", info);
}

/* ---- qr ---- */

/* The upper triangle of the column-major [m, n] `factored`. */
static void take_r(cdl_tensor r, const void *factored, int64_t m)
{
  for (int64_t i = 0; i < r.size[2]; i++)
    for (int64_t j = 0; j < r.size[3]; j++) {
      const double value = j >= i ? value_at(factored, j * m + i, is_f64(r)) : 0.0;
      if (is_f64(r))
        ((double *)(void *)row_of(r, i))[j] = value;
      else
        ((float *)(void *)row_of(r, i))[j] = (float)value;
    }
}

cdl_status cpu_qr(void *queue, const cdl_qr_args *g)
{
  const cpu_libraries *libraries;
  const int64_t m = g->a.size[2], n = g->a.size[3], k = cpu_min(m, n);
  if (k == 0)
    return CDL_STATUS_OK;
  CDL_TRY(begin("qr", g->a));
  CDL_TRY(open_lapack(queue, &libraries));
  const bool f64 = is_f64(g->a);
  const size_t element = cdl_dtype_bytes(g->a.dtype);
  void *memory;
  CDL_TRY(allocate("qr", m * n + k, element, &memory));
  void *tau = (char *)memory + (size_t)(m * n) * element;
  transpose_in(memory, g->a);
  int info = f64 ? libraries->LAPACKE_dgeqrf(CPU_COLUMN_MAJOR, (int)m, (int)n, memory, (int)m, tau)
                 : libraries->LAPACKE_sgeqrf(CPU_COLUMN_MAJOR, (int)m, (int)n, memory, (int)m, tau);
  if (info == 0) {
    take_r(g->r, memory, m);
    info = f64 ? libraries->LAPACKE_dorgqr(CPU_COLUMN_MAJOR, (int)m, (int)k, (int)k, memory, (int)m,
                                           tau)
               : libraries->LAPACKE_sorgqr(CPU_COLUMN_MAJOR, (int)m, (int)k, (int)k, memory, (int)m,
                                           tau);
  }
  if (info == 0)
    transpose_out(g->q, memory, m);
  cpu_memory_free(memory);
  return info == 0 ? CDL_STATUS_OK : refused("qr", info);
}

/* ---- eigh ---- */

/* The other triangle of `a` need not be finite. */
static cdl_status check_lower_triangle(cdl_tensor a)
{
  for (int64_t i = 0; i < a.size[2]; i++)
    for (int64_t j = 0; j <= i; j++)
      if (!isfinite(value_at(row_of(a, i), j, is_f64(a))))
        return cdl_fail(CDL_STATUS_NUMERIC,
                        "eigh: element (%lld, %lld) of the matrix is not finite", (long long)i,
                        (long long)j);
  return CDL_STATUS_OK;
}

/* The row-major lower triangle is the column-major upper one; LAPACKE reads no other. */
cdl_status cpu_eigh(void *queue, const cdl_eigh_args *g)
{
  const cpu_libraries *libraries;
  const int64_t n = g->a.size[2];
  if (n == 0)
    return CDL_STATUS_OK;
  CDL_TRY(check_size("eigh", n));
  CDL_TRY(check_lower_triangle(g->a));
  CDL_TRY(open_lapack(queue, &libraries));
  void *memory;
  CDL_TRY(allocate("eigh", n * n, cdl_dtype_bytes(g->a.dtype), &memory));
  const char job = cdl_tensor_present(g->vectors) ? 'V' : 'N';
  void *values = cpu_bytes(g->values);
  copy_in(memory, g->a);
  const int info =
      is_f64(g->a)
          ? libraries->LAPACKE_dsyevd(CPU_COLUMN_MAJOR, job, 'U', (int)n, memory, (int)n, values)
          : libraries->LAPACKE_ssyevd(CPU_COLUMN_MAJOR, job, 'U', (int)n, memory, (int)n, values);
  if (info == 0 && job == 'V')
    transpose_out(g->vectors, memory, n);
  cpu_memory_free(memory);
  if (info > 0)
    return cdl_fail(CDL_STATUS_NUMERIC, "eigh: no convergence for a matrix of %lld x %lld",
                    (long long)n, (long long)n);
  return info == 0 ? CDL_STATUS_OK : refused("eigh", info);
}
