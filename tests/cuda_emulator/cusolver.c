/* libcusolver.so: the dense solvers by LAPACKE, column-major. Results and `info` are written when
 * the work runs, and the working memory is overwritten. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda_emulator/emulator.h"

enum { COLUMN_MAJOR = 102, NAN_BYTE = 0xff, WORK_COLUMNS = 32 };

typedef struct {
  CUstream stream;
} solver;

typedef enum { SOLVE_SVD, SOLVE_LU, SOLVE_LU_SOLVE, SOLVE_QR, SOLVE_Q, SOLVE_EIGEN } solve_kind;

/* One call; what a kind does not use is 0. */
typedef struct {
  solve_kind kind;
  const char *name;
  bool is_double;
  int m, n, k;
  char session, job_vt; /* job_u, the transposition or the session of the eigenproblem */
  char triangle;
  int lda, ldb, ldc, work_size;
  uintptr_t a, b, c, values, pivots, work, info; /* b: u or right sides; c: vt */
} solution;

/* ---- Handles ---- */

cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t *handle)
{
  ENTER_OR(CUSOLVER_STATUS_NOT_INITIALIZED);
  if (context_check() != CUDA_SUCCESS || stream_check_no_capture() != CUDA_SUCCESS)
    return CUSOLVER_STATUS_NOT_INITIALIZED;
  *handle = object_create(OBJECT_SOLVER, sizeof(solver), NULL);
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnDestroy(cusolverDnHandle_t handle)
{
  ENTER();
  if (object_find(OBJECT_SOLVER, handle) == NULL)
    return CUSOLVER_STATUS_NOT_INITIALIZED;
  object_destroy(OBJECT_SOLVER, handle);
  return this_call.fails ? CUSOLVER_STATUS_INTERNAL_ERROR : CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t handle, cudaStream_t stream_handle)
{
  ENTER_OR(CUSOLVER_STATUS_INTERNAL_ERROR);
  solver *found = object_find(OBJECT_SOLVER, handle);
  if (found == NULL || stream_find(stream_handle) == NULL)
    return CUSOLVER_STATUS_NOT_INITIALIZED;
  found->stream = stream_handle;
  return CUSOLVER_STATUS_SUCCESS;
}

/* ---- Running ---- */

static size_t element_bytes(const solution *s)
{
  return s->is_double ? sizeof(double) : sizeof(float);
}

static void *view(const solution *s, uintptr_t address, int rows, int columns, int leading)
{
  const size_t elements = columns == 0 ? 0 : (size_t)(columns - 1) * (size_t)leading + (size_t)rows;
  return memory_view(address, elements * element_bytes(s), s->name);
}

static bool is_finite(const solution *s, const void *x, int rows, int columns, int leading)
{
  for (int j = 0; j < columns; j++)
    for (int i = 0; i < rows; i++) {
      const size_t place = (size_t)j * (size_t)leading + (size_t)i;
      if (!(s->is_double ? isfinite(((const double *)x)[place])
                         : isfinite(((const float *)x)[place])))
        return false;
    }
  return true;
}

static void fill_with_nan(const solution *s, void *x, int rows, int columns, int leading)
{
  for (int j = 0; j < columns; j++)
    memset((char *)x + (size_t)j * (size_t)leading * element_bytes(s), NAN_BYTE,
           (size_t)rows * element_bytes(s));
}

static int smaller(int a, int b)
{
  return a < b ? a : b;
}

#define CALL(s, name, ...)                                           \
  ((s)->is_double ? host->LAPACKE_d##name(COLUMN_MAJOR, __VA_ARGS__) \
                  : host->LAPACKE_s##name(COLUMN_MAJOR, __VA_ARGS__))

static int run_svd(const host_libraries *host, const solution *s, void *a)
{
  const int k = smaller(s->m, s->n);
  void *values = view(s, s->values, k, 1, k);
  void *u = s->session == 'N' ? NULL : view(s, s->b, s->m, s->session == 'A' ? s->m : k, s->ldb);
  void *vt = s->job_vt == 'N' ? NULL : view(s, s->c, s->job_vt == 'A' ? s->n : k, s->n, s->ldc);
  if (values == NULL || (s->session != 'N' && u == NULL) || (s->job_vt != 'N' && vt == NULL)) {
    emulator_fault(CUDA_ERROR_ILLEGAL_ADDRESS);
    return 0;
  }
  void *superdiagonal = malloc((size_t)k * sizeof(double));
  if (superdiagonal == NULL)
    abort();
  const int info = CALL(s, gesvd, s->session, s->job_vt, s->m, s->n, a, s->lda, values, u, s->ldb,
                        vt, s->ldc, superdiagonal);
  free(superdiagonal);
  return info;
}

static int run_lu_solve(const host_libraries *host, const solution *s, void *a)
{
  void *b = view(s, s->b, s->n, s->k, s->ldb);
  const int *pivots = memory_view(s->pivots, (size_t)s->n * sizeof(int), s->name);
  if (b == NULL || pivots == NULL) {
    emulator_fault(CUDA_ERROR_ILLEGAL_ADDRESS);
    return 0;
  }
  return CALL(s, getrs, s->session, s->n, s->k, a, s->lda, pivots, b, s->ldb);
}

/* The rest has one more array, of values, coefficients or pivots. */
static int run_other(const host_libraries *host, const solution *s, void *a)
{
  const int k = smaller(s->m, s->n);
  void *values = s->kind == SOLVE_LU ? memory_view(s->pivots, (size_t)k * sizeof(int), s->name)
                                     : view(s, s->values, s->kind == SOLVE_Q ? s->k : k, 1, k);
  if (values == NULL) {
    emulator_fault(CUDA_ERROR_ILLEGAL_ADDRESS);
    return 0;
  }
  switch (s->kind) {
  case SOLVE_LU:
    return CALL(s, getrf, s->m, s->n, a, s->lda, values);
  case SOLVE_QR:
    return CALL(s, geqrf, s->m, s->n, a, s->lda, values);
  case SOLVE_Q:
    return CALL(s, orgqr, s->m, s->n, s->k, a, s->lda, values);
  default:
    return CALL(s, syevd, s->session, s->triangle, s->n, a, s->lda, values);
  }
}

static bool overwrite_work(const solution *s)
{
  if (s->kind == SOLVE_LU_SOLVE)
    return true;
  void *memory = memory_view(s->work, (size_t)s->work_size * element_bytes(s), s->name);
  if (memory != NULL)
    memset(memory, NAN_BYTE, (size_t)s->work_size * element_bytes(s));
  return memory != NULL;
}

/* Of what is not finite the real ones say nothing; here everything becomes NaN, and no error. */
static int solve(const host_libraries *host, const solution *s, void *a)
{
  if (s->kind != SOLVE_EIGEN && !is_finite(s, a, s->m, s->n, s->lda)) {
    fill_with_nan(s, a, s->m, s->n, s->lda);
    if (s->kind == SOLVE_SVD)
      fill_with_nan(s, view(s, s->values, smaller(s->m, s->n), 1, 1), smaller(s->m, s->n), 1, 1);
    return 0;
  }
  return s->kind == SOLVE_SVD        ? run_svd(host, s, a)
         : s->kind == SOLVE_LU_SOLVE ? run_lu_solve(host, s, a)
                                     : run_other(host, s, a);
}

static void run_solution(work *item)
{
  const solution *s = (const void *)item->payload;
  const host_libraries *host = host_libraries_find();
  void *a = view(s, s->a, s->m, s->n, s->lda);
  int *info = memory_view(s->info, sizeof *info, s->name);
  if (host == NULL || a == NULL || info == NULL || !overwrite_work(s)) {
    emulator_fault(CUDA_ERROR_ILLEGAL_ADDRESS);
    return;
  }
  *info = solve(host, s, a);
}

/* ---- Enqueuing ---- */

/* As the real ones: too small or misplaced arguments are refused at once, and a capture ends. */
static cusolverStatus_t enqueue(cusolverDnHandle_t handle, const solution *s, int work_wanted)
{
  const solver *found = object_find(OBJECT_SOLVER, handle);
  stream *target = found != NULL ? stream_find(found->stream) : NULL;
  if (target == NULL)
    return CUSOLVER_STATUS_NOT_INITIALIZED;
  if (s->m < 1 || s->n < 1 || s->lda < s->m || s->info == 0 || s->work_size < work_wanted ||
      s->a % element_bytes(s) != 0) {
    emulator_violation("%s: invalid arguments: %d x %d, rows of %d, work of %d", s->name, s->m,
                       s->n, s->lda, s->work_size);
    return CUSOLVER_STATUS_INVALID_VALUE;
  }
  if (context_check() != CUDA_SUCCESS)
    return CUSOLVER_STATUS_EXECUTION_FAILED;
  if (stream_is_capturing(target)) {
    stream_invalidate_capture(target);
    return CUSOLVER_STATUS_INTERNAL_ERROR;
  }
  work *item = work_create(s->name, sizeof *s, run_solution);
  memcpy(item->payload, s, sizeof *s);
  return stream_enqueue(target, item) == CUDA_SUCCESS ? CUSOLVER_STATUS_SUCCESS
                                                      : CUSOLVER_STATUS_EXECUTION_FAILED;
}

static int wanted(int m, int n)
{
  return WORK_COLUMNS * (n > m ? n : m) + 1;
}

static cusolverStatus_t size_of_work(cusolverDnHandle_t handle, int m, int n, int *work_size)
{
  if (object_find(OBJECT_SOLVER, handle) == NULL)
    return CUSOLVER_STATUS_NOT_INITIALIZED;
  if (m < 0 || n < 0)
    return CUSOLVER_STATUS_INVALID_VALUE;
  *work_size = wanted(m, n);
  return CUSOLVER_STATUS_SUCCESS;
}

static cusolverStatus_t enqueue_svd(cusolverDnHandle_t handle, solution s)
{
  s.kind = SOLVE_SVD;
  /* A limit of the real one. */
  if (s.m < s.n || strchr("ASN", s.session) == NULL || strchr("ASN", s.job_vt) == NULL) {
    emulator_violation("%s: %d x %d, sessions %c and %c", s.name, s.m, s.n, s.session, s.job_vt);
    return CUSOLVER_STATUS_INVALID_VALUE;
  }
  return enqueue(handle, &s, wanted(s.m, s.n));
}

static cusolverStatus_t enqueue_lu_solve(cusolverDnHandle_t handle, cublasOperation_t transpose,
                                         solution s)
{
  s.kind = SOLVE_LU_SOLVE;
  s.m = s.n;
  s.session = transpose == CUBLAS_OP_T ? 'T' : 'N';
  if (transpose != CUBLAS_OP_N && transpose != CUBLAS_OP_T) {
    emulator_violation("%s: transposition %d", s.name, transpose);
    return CUSOLVER_STATUS_INVALID_VALUE;
  }
  return enqueue(handle, &s, 0);
}

static cusolverStatus_t enqueue_eigen(cusolverDnHandle_t handle, cusolverEigMode_t session,
                                      cublasFillMode_t triangle, solution s)
{
  s.kind = SOLVE_EIGEN;
  s.m = s.n;
  s.session = session == CUSOLVER_EIG_MODE_VECTOR ? 'V' : 'N';
  s.triangle = triangle == CUBLAS_FILL_MODE_UPPER ? 'U' : 'L';
  if (session < 0 || session > CUSOLVER_EIG_MODE_VECTOR || triangle < 0 ||
      triangle > CUBLAS_FILL_MODE_UPPER) {
    emulator_violation("%s: session %d, triangle %d", s.name, session, triangle);
    return CUSOLVER_STATUS_INVALID_VALUE;
  }
  return enqueue(handle, &s, wanted(s.n, s.n));
}

#define NAME(function) cusolverDnS##function
#define TYPE float
#define IS_DOUBLE false
#include "tests/cuda_emulator/cusolver_calls.h"
#undef NAME
#undef TYPE
#undef IS_DOUBLE

#define NAME(function) cusolverDnD##function
#define TYPE double
#define IS_DOUBLE true
#include "tests/cuda_emulator/cusolver_calls.h"
