/* The host ops on cuSOLVER. It sees a row-major matrix as its transpose in column-major order; if
 * the transpose's own decomposition suffices, nothing is transposed. Each op works on dense copies,
 * and waits for the device's result code. */
#include "backends/cuda/device.h"

#include <limits.h>
#include <string.h>

/* ---- The library ---- */

bool cuda_solver_supports(cuda_device *device)
{
  cuda_solver_state state = atomic_load(&device->solver);
  if (state == CUDA_SOLVER_UNKNOWN) {
    /* The same answer for every thread that asks meanwhile. */
    state = cuda_api_open_solver(device->version) == CDL_STATUS_OK ? CUDA_SOLVER_THERE
                                                                   : CUDA_SOLVER_ABSENT;
    atomic_store(&device->solver, state);
    if (state == CUDA_SOLVER_ABSENT)
      cuda_host->log(CDL_LOG_NOTICE, "cuda: cuSOLVER does not open, its ops run on the host");
  }
  return state == CUDA_SOLVER_THERE;
}

void cuda_solver_destroy(cuda_queue *queue)
{
  if (queue->solver == NULL)
    return;
  const cusolverStatus_t answer = cuda_api.cusolverDnDestroy(queue->solver);
  if (answer != CUSOLVER_STATUS_SUCCESS)
    cuda_host->log(CDL_LOG_WARNING, "cuda: cusolverDnDestroy: %d", answer);
}

static cdl_status need_solver(cuda_queue *queue)
{
  if (queue->solver != NULL)
    return CDL_STATUS_OK;
  const cusolverStatus_t answer = cuda_api.cusolverDnCreate(&queue->solver);
  if (answer != CUSOLVER_STATUS_SUCCESS)
    queue->solver = NULL;
  CDL_TRY(cuda_check_solver("cusolverDnCreate", answer));
  const cdl_status status = cuda_check_solver(
      "cusolverDnSetStream", cuda_api.cusolverDnSetStream(queue->solver, queue->stream));
  if (status != CDL_STATUS_OK) {
    cuda_solver_destroy(queue);
    queue->solver = NULL;
  }
  return status;
}

/* ---- Working memory: one allocation, cut into pieces ---- */

enum { PIECES = 8, PIECE_ALIGNMENT = 256 };

typedef struct {
  cuda_queue *queue;
  const char *op;
  cdl_dtype dtype;
  cdl_buffer memory;
  size_t bytes;
  int info_at; /* the piece for the calls' result codes */
  int pieces;
  size_t at[PIECES]; /* in bytes from the start */
} work;

/* Adds a piece and returns its number. */
static int reserve(work *w, int64_t elements, size_t element_bytes)
{
  w->at[w->pieces] = w->bytes;
  const size_t bytes = (size_t)(elements > 0 ? elements : 1) * element_bytes;
  w->bytes += (bytes + PIECE_ALIGNMENT - 1) / PIECE_ALIGNMENT * PIECE_ALIGNMENT;
  return w->pieces++;
}

static int reserve_elements(work *w, int64_t elements)
{
  return reserve(w, elements, cdl_dtype_bytes(w->dtype));
}

static void *address(const work *w, int piece)
{
  return (void *)(uintptr_t)(cuda_address(&w->memory) + w->at[piece]);
}

/* Views a piece as a dense matrix. */
static cdl_tensor matrix(work *w, int piece, int64_t rows, int64_t columns)
{
  const int64_t offset = (int64_t)(w->at[piece] / cdl_dtype_bytes(w->dtype));
  return cdl_tensor_2d(&w->memory, w->dtype, offset, rows, columns);
}

/* Gets the solver's handle, and a flag that the checks of the input and the calls' result codes
 * share. */
static cdl_status begin(work *w, void *queue, const char *op, cdl_tensor a)
{
  *w = (work){.queue = queue, .op = op, .dtype = a.dtype};
  CDL_TRY(cuda_refuse_recording(w->queue, op));
  if (a.size[2] > INT_MAX || a.size[3] > INT_MAX)
    return cuda_host->fail(CDL_STATUS_UNSUPPORTED, "%s: cuSOLVER takes sizes up to %d", op,
                           INT_MAX);
  CDL_TRY(need_solver(w->queue));
  w->info_at = reserve(w, 1, sizeof(int));
  return CDL_STATUS_OK;
}

static cdl_status allocate(work *w)
{
  CDL_TRY(cuda_allocate(w->queue->device, w->bytes, &w->memory.handle));
  w->memory.bytes = w->bytes;
  return CDL_STATUS_OK;
}

/* cusolverDnS… or cusolverDnD…, which differ in the type of their pointers. */
#define SOLVE(w, name, ...)                                                           \
  cuda_check_solver("cusolverDn" #name,                                               \
                    (w)->dtype == CDL_DTYPE_F64                                       \
                        ? cuda_api.cusolverDnD##name((w)->queue->solver, __VA_ARGS__) \
                        : cuda_api.cusolverDnS##name((w)->queue->solver, __VA_ARGS__))

/* ---- Small steps ---- */

static cdl_status copy(const work *w, cdl_tensor out, cdl_tensor x)
{
  return kernel_op_copy(w->queue, CDL_ARGS(copy, .out = out, .x = x));
}

static cdl_status transpose(const work *w, cdl_tensor out, cdl_tensor x)
{
  return kernel_op_permute(w->queue, CDL_ARGS(permute, .out = out, .x = x, .order = {0, 1, 3, 2}));
}

static cdl_status fill(const work *w, cdl_tensor out, double value)
{
  return kernel_op_fill(w->queue, CDL_ARGS(fill, .out = out, .value = value));
}

static cdl_status read_info(const work *w, int *info)
{
  CDL_TRY(cuda_download(w->queue, info, &w->memory, w->at[w->info_at], sizeof *info));
  return cuda_sync(w->queue);
}

static cdl_status check_finite(work *w, cdl_tensor x)
{
  const cdl_tensor flag =
      cdl_tensor_1d(&w->memory, CDL_DTYPE_I32, (int64_t)(w->at[w->info_at] / sizeof(int)), 1);
  int found;
  CDL_TRY(fill(w, flag, 0));
  CDL_TRY(kernel_op_any_non_finite(w->queue, CDL_ARGS(any_non_finite, .flag = flag, .x = x)));
  CDL_TRY(read_info(w, &found));
  return found == 0 ? CDL_STATUS_OK
                    : cuda_host->fail(CDL_STATUS_NUMERIC,
                                      "%s: an element of the matrix is not finite", w->op);
}

/* Checks the result code of the last call. */
static cdl_status check_info(const work *w, const char *call, const char *positive)
{
  int info;
  CDL_TRY(read_info(w, &info));
  if (info == 0)
    return CDL_STATUS_OK;
  if (info > 0)
    return cuda_host->fail(CDL_STATUS_NUMERIC, "%s: %s (%s reports %d)", w->op, positive, call,
                           info);
  return cuda_host->fail(CDL_STATUS_DEVICE, "%s: %s reports %d", w->op, call, info);
}

static cdl_status end(work *w, cdl_status status)
{
  if (w->memory.handle != NULL)
    cuda_free(w->queue->device, w->memory.handle);
  return cuda_leave(w->queue->device, status);
}

/* Writes zeros strictly below the diagonal of a square matrix, or above it: a block of half the
 * size, then two of a quarter, and so on; blocks of one size are written together. */
static cdl_status clear_triangle(const work *w, cdl_tensor square, bool above)
{
  const int64_t n = square.size[2], stride = square.stride[2];
  for (int64_t size = 1; size < n; size *= 2) {
    const int64_t whole = n / (2 * size), rest = n - 2 * size * whole - size;
    cdl_tensor blocks = square;
    blocks.offset += above ? size : size * stride;
    blocks.size[1] = whole;
    blocks.size[2] = blocks.size[3] = size;
    blocks.stride[1] = 2 * size * (stride + 1);
    blocks.stride[0] = whole * blocks.stride[1];
    if (whole > 0)
      CDL_TRY(fill(w, blocks, 0));
    if (rest <= 0)
      continue;
    blocks.offset += whole * blocks.stride[1];
    blocks.size[1] = 1;
    blocks.size[above ? 3 : 2] = rest;
    CDL_TRY(fill(w, blocks, 0));
  }
  return CDL_STATUS_OK;
}

/* ---- svd ---- */

/* cuSOLVER needs at least as many rows as columns. For a wide `a`, aᵀ = V Σ Uᵀ is already in place:
 * column-major V is row-major vt, column-major Uᵀ row-major u. A tall one is transposed, and so are
 * its vectors. */
static cdl_status run_svd(work *w, const cdl_svd_args *g)
{
  const int64_t m = g->a.size[2], n = g->a.size[3];
  const bool tall = m > n, vectors = cdl_tensor_present(g->u);
  const int rows = (int)(tall ? m : n), columns = (int)(tall ? n : m);
  int work_size;
  CDL_TRY(SOLVE(w, gesvd_bufferSize, rows, columns, &work_size));
  const int a = reserve_elements(w, m * n), s = reserve_elements(w, columns);
  const int left = reserve_elements(w, vectors ? (int64_t)rows * columns : 0);
  const int right = reserve_elements(w, vectors ? (int64_t)columns * columns : 0);
  const int superdiagonal = reserve_elements(w, columns), space = reserve_elements(w, work_size);
  CDL_TRY(allocate(w));
  CDL_TRY(check_finite(w, g->a));
  CDL_TRY(tall ? transpose(w, matrix(w, a, n, m), g->a) : copy(w, matrix(w, a, m, n), g->a));
  const signed char job = vectors ? 'S' : 'N';
  CDL_TRY(SOLVE(w, gesvd, job, job, rows, columns, address(w, a), rows, address(w, s),
                address(w, left), rows, address(w, right), columns, address(w, space), work_size,
                address(w, superdiagonal), address(w, w->info_at)));
  CDL_TRY(check_info(w, "gesvd", "no convergence"));
  cdl_tensor sigma = g->sigma;
  CDL_TRY(copy(w, sigma,
               cdl_tensor_1d(&w->memory, w->dtype, matrix(w, s, 1, columns).offset, columns)));
  if (!vectors)
    return CDL_STATUS_OK;
  const cdl_tensor left_t = matrix(w, left, columns, rows);
  const cdl_tensor right_t = matrix(w, right, columns, columns);
  if (tall) {
    CDL_TRY(transpose(w, g->u, left_t));
    return transpose(w, g->vt, right_t);
  }
  CDL_TRY(copy(w, g->vt, left_t));
  return copy(w, g->u, right_t);
}

cdl_status cuda_svd(void *queue, const cdl_svd_args *g)
{
  work w;
  CDL_TRY(cuda_enter(((cuda_queue *)queue)->device));
  cdl_status status = begin(&w, queue, "svd", g->a);
  if (status == CDL_STATUS_OK)
    status = run_svd(&w, g);
  return end(&w, status);
}

/* ---- lu_solve, lu_inverse ---- */

static const char singular[] = "the matrix is singular";

/* Columns of the factored matrix are rows of `a`, so solving uses the transpose. */
static cdl_status run_lu_solve(work *w, const cdl_lu_solve_args *g)
{
  const int64_t n = g->a.size[2], k = g->b.size[3];
  int work_size;
  if (k > INT_MAX)
    return cuda_host->fail(CDL_STATUS_UNSUPPORTED, "cuSOLVER takes sizes up to %d", INT_MAX);
  CDL_TRY(SOLVE(w, getrf_bufferSize, (int)n, (int)n, NULL, (int)n, &work_size));
  const int a = reserve_elements(w, n * n), b = reserve_elements(w, n * k);
  const int pivots = reserve(w, n, sizeof(int)), space = reserve_elements(w, work_size);
  CDL_TRY(allocate(w));
  CDL_TRY(check_finite(w, g->a));
  CDL_TRY(check_finite(w, g->b));
  CDL_TRY(copy(w, matrix(w, a, n, n), g->a));
  CDL_TRY(transpose(w, matrix(w, b, k, n), g->b));
  CDL_TRY(SOLVE(w, getrf, (int)n, (int)n, address(w, a), (int)n, address(w, space),
                address(w, pivots), address(w, w->info_at)));
  CDL_TRY(check_info(w, "getrf", singular));
  CDL_TRY(SOLVE(w, getrs, CUBLAS_OP_T, (int)n, (int)k, address(w, a), (int)n, address(w, pivots),
                address(w, b), (int)n, address(w, w->info_at)));
  CDL_TRY(check_info(w, "getrs", "no solution"));
  return transpose(w, g->x, matrix(w, b, k, n));
}

cdl_status cuda_lu_solve(void *queue, const cdl_lu_solve_args *g)
{
  work w;
  CDL_TRY(cuda_enter(((cuda_queue *)queue)->device));
  cdl_status status = begin(&w, queue, "lu_solve", g->a);
  if (status == CDL_STATUS_OK)
    status = run_lu_solve(&w, g);
  return end(&w, status);
}

/* Column-major (aᵀ)⁻¹ is row-major a⁻¹. */
static cdl_status run_lu_inverse(work *w, const cdl_lu_inverse_args *g)
{
  const int64_t n = g->a.size[2];
  int work_size;
  CDL_TRY(SOLVE(w, getrf_bufferSize, (int)n, (int)n, NULL, (int)n, &work_size));
  const int a = reserve_elements(w, n * n), x = reserve_elements(w, n * n);
  const int pivots = reserve(w, n, sizeof(int)), space = reserve_elements(w, work_size);
  CDL_TRY(allocate(w));
  CDL_TRY(check_finite(w, g->a));
  CDL_TRY(copy(w, matrix(w, a, n, n), g->a));
  cdl_tensor identity = matrix(w, x, n, n), diagonal = identity;
  diagonal.size[3] = 1;
  diagonal.stride[2] = n + 1;
  CDL_TRY(fill(w, identity, 0));
  CDL_TRY(fill(w, diagonal, 1));
  CDL_TRY(SOLVE(w, getrf, (int)n, (int)n, address(w, a), (int)n, address(w, space),
                address(w, pivots), address(w, w->info_at)));
  CDL_TRY(check_info(w, "getrf", singular));
  CDL_TRY(SOLVE(w, getrs, CUBLAS_OP_N, (int)n, (int)n, address(w, a), (int)n, address(w, pivots),
                address(w, x), (int)n, address(w, w->info_at)));
  CDL_TRY(check_info(w, "getrs", "no solution"));
  return copy(w, g->out, identity);
}

cdl_status cuda_lu_inverse(void *queue, const cdl_lu_inverse_args *g)
{
  work w;
  CDL_TRY(cuda_enter(((cuda_queue *)queue)->device));
  cdl_status status = begin(&w, queue, "lu_inverse", g->a);
  if (status == CDL_STATUS_OK)
    status = run_lu_inverse(&w, g);
  return end(&w, status);
}

/* ---- qr ---- */

/* r is the part above the diagonal of the factored matrix; q overwrites the matrix. */
static cdl_status run_qr(work *w, const cdl_qr_args *g)
{
  const int64_t m = g->a.size[2], n = g->a.size[3], k = m < n ? m : n;
  int factor_size, make_size;
  CDL_TRY(SOLVE(w, geqrf_bufferSize, (int)m, (int)n, NULL, (int)m, &factor_size));
  CDL_TRY(SOLVE(w, orgqr_bufferSize, (int)m, (int)k, (int)k, NULL, (int)m, NULL, &make_size));
  const int work_size = factor_size > make_size ? factor_size : make_size;
  const int a = reserve_elements(w, m * n), tau = reserve_elements(w, k);
  const int space = reserve_elements(w, work_size);
  CDL_TRY(allocate(w));
  CDL_TRY(check_finite(w, g->a));
  CDL_TRY(transpose(w, matrix(w, a, n, m), g->a));
  CDL_TRY(SOLVE(w, geqrf, (int)m, (int)n, address(w, a), (int)m, address(w, tau), address(w, space),
                work_size, address(w, w->info_at)));
  CDL_TRY(check_info(w, "geqrf", "failed"));
  CDL_TRY(transpose(w, g->r, cdl_tensor_columns(matrix(w, a, n, m), 0, k)));
  CDL_TRY(clear_triangle(w, cdl_tensor_columns(g->r, 0, k), false));
  CDL_TRY(SOLVE(w, orgqr, (int)m, (int)k, (int)k, address(w, a), (int)m, address(w, tau),
                address(w, space), work_size, address(w, w->info_at)));
  CDL_TRY(check_info(w, "orgqr", "failed"));
  return transpose(w, g->q, cdl_tensor_rows(matrix(w, a, n, m), 0, k));
}

cdl_status cuda_qr(void *queue, const cdl_qr_args *g)
{
  work w;
  CDL_TRY(cuda_enter(((cuda_queue *)queue)->device));
  cdl_status status = begin(&w, queue, "qr", g->a);
  if (status == CDL_STATUS_OK)
    status = run_qr(&w, g);
  return end(&w, status);
}

/* ---- eigh ---- */

/* The row-major lower triangle is the column-major upper one. The row-major part above it need not
 * be finite, and is cleared. */
static cdl_status run_eigh(work *w, const cdl_eigh_args *g)
{
  const int64_t n = g->a.size[2];
  const bool vectors = cdl_tensor_present(g->vectors);
  const cusolverEigMode_t job = vectors ? CUSOLVER_EIG_MODE_VECTOR : CUSOLVER_EIG_MODE_NOVECTOR;
  int work_size;
  CDL_TRY(SOLVE(w, syevd_bufferSize, job, CUBLAS_FILL_MODE_UPPER, (int)n, NULL, (int)n, NULL,
                &work_size));
  const int a = reserve_elements(w, n * n), values = reserve_elements(w, n);
  const int space = reserve_elements(w, work_size);
  CDL_TRY(allocate(w));
  const cdl_tensor square = matrix(w, a, n, n);
  CDL_TRY(copy(w, square, g->a));
  CDL_TRY(clear_triangle(w, square, true));
  CDL_TRY(check_finite(w, square));
  CDL_TRY(SOLVE(w, syevd, job, CUBLAS_FILL_MODE_UPPER, (int)n, address(w, a), (int)n,
                address(w, values), address(w, space), work_size, address(w, w->info_at)));
  CDL_TRY(check_info(w, "syevd", "no convergence"));
  CDL_TRY(copy(w, g->values, matrix(w, values, 1, n)));
  return vectors ? transpose(w, g->vectors, square) : CDL_STATUS_OK;
}

cdl_status cuda_eigh(void *queue, const cdl_eigh_args *g)
{
  work w;
  CDL_TRY(cuda_enter(((cuda_queue *)queue)->device));
  cdl_status status = begin(&w, queue, "eigh", g->a);
  if (status == CDL_STATUS_OK)
    status = run_eigh(&w, g);
  return end(&w, status);
}
