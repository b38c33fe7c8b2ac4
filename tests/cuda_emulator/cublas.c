/* libcublas.so: column-major products by CBLAS, with the operands rounded as the device's are. */
#include <stdlib.h>
#include <string.h>

#include "tests/cuda_emulator/emulator.h"

enum {
  VERSION = 12,
  COLUMN_MAJOR = 102,
  NO_TRANSPOSE = 111,
  TRANSPOSE = 112,
  WORKSPACE_ALIGNMENT = 256,
  SCRIBBLED_BYTES = 64 * 1024, /* of the workspace by each product */
  TF32_DROPPED_BITS = 13
};

typedef struct {
  CUstream stream;
  uintptr_t workspace; /* 0: the library's own */
  size_t workspace_bytes;
} blas;

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle)
{
  ENTER_OR(CUBLAS_STATUS_NOT_INITIALIZED);
  if (context_check() != CUDA_SUCCESS || stream_check_no_capture() != CUDA_SUCCESS)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = object_create(OBJECT_BLAS, sizeof(blas), NULL);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle)
{
  ENTER();
  if (object_find(OBJECT_BLAS, handle) == NULL)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  object_destroy(OBJECT_BLAS, handle);
  return this_call.fails ? CUBLAS_STATUS_INTERNAL_ERROR : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetProperty(libraryPropertyType property, int *value)
{
  ENTER_OR(CUBLAS_STATUS_INVALID_VALUE);
  if (property < MAJOR_VERSION || property > PATCH_LEVEL)
    return CUBLAS_STATUS_INVALID_VALUE;
  *value = property == MAJOR_VERSION ? VERSION : 0;
  return CUBLAS_STATUS_SUCCESS;
}

/* As the real one, it goes back to the library's own workspace. */
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream_handle)
{
  ENTER_OR(CUBLAS_STATUS_INTERNAL_ERROR);
  blas *found = object_find(OBJECT_BLAS, handle);
  if (found == NULL || stream_find(stream_handle) == NULL)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  *found = (blas){.stream = stream_handle};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes)
{
  ENTER_OR(CUBLAS_STATUS_INVALID_VALUE);
  blas *found = object_find(OBJECT_BLAS, handle);
  if (found == NULL)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  const uintptr_t address = (uintptr_t)workspace;
  if (address % WORKSPACE_ALIGNMENT != 0 || memory_view(address, bytes, __func__) == NULL)
    return CUBLAS_STATUS_INVALID_VALUE;
  found->workspace = address;
  found->workspace_bytes = bytes;
  return CUBLAS_STATUS_SUCCESS;
}

/* ---- The product ---- */

typedef struct {
  uintptr_t address;
  cudaDataType type;
  int transposed, leading; /* CBLAS's numbers */
  int rows, columns;       /* as stored */
  long long stride;
} matrix;

typedef struct {
  matrix a, b, c;
  int m, n, k, batch;
  double alpha, beta;
  cublasComputeType_t compute;
  uintptr_t workspace;
  size_t workspace_bytes;
} product;

static size_t bytes_of(cudaDataType type)
{
  return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2;
}

/* Elements from the first to the last of one matrix. */
static size_t extent(const matrix *x)
{
  return x->rows == 0 || x->columns == 0
             ? 0
             : (size_t)(x->columns - 1) * (size_t)x->leading + (size_t)x->rows;
}

static void *view_of(const matrix *x, int item)
{
  const uintptr_t offset = (uintptr_t)(x->stride * item) * bytes_of(x->type);
  return memory_view(x->address + offset, extent(x) * bytes_of(x->type), "cublasGemm");
}

/* To 10 bits of mantissa, to nearest, ties away from zero. */
static float round_tf32(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7f800000u) != 0x7f800000u) {
    bits += 1u << (TF32_DROPPED_BITS - 1);
    bits &= ~((1u << TF32_DROPPED_BITS) - 1);
  }
  memcpy(&x, &bits, sizeof x);
  return x;
}

static float load(const void *view, cudaDataType type, size_t i)
{
  float value;
  if (type == CUDA_R_32F) {
    memcpy(&value, (const char *)view + 4 * i, sizeof value);
    return value;
  }
  uint16_t stored;
  memcpy(&stored, (const char *)view + 2 * i, sizeof stored);
  const uint32_t bits = (uint32_t)stored << 16;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* A copy in float32 as the device reads it; NULL: `view` serves as it is. */
static float *operand(const matrix *x, const void *view, cublasComputeType_t compute)
{
  const bool rounds = compute == CUBLAS_COMPUTE_32F_FAST_TF32 && x->type == CUDA_R_32F;
  if (x->type == CUDA_R_32F && !rounds)
    return NULL;
  float *copy = malloc(extent(x) * sizeof *copy + 1);
  if (copy == NULL)
    abort();
  for (int j = 0; j < x->columns; j++)
    for (int i = 0; i < x->rows; i++) {
      const size_t place = (size_t)j * (size_t)x->leading + (size_t)i;
      const float value = load(view, x->type, place);
      copy[place] = rounds ? round_tf32(value) : value;
    }
  return copy;
}

/* To nearest, ties to even. */
static void store_bf16(void *view, size_t i, float value)
{
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  const uint32_t rounded = is_nan ? 0x7fff0000u : bits + 0x7fffu + (bits >> 16 & 1u);
  const uint16_t stored = (uint16_t)(rounded >> 16);
  memcpy((char *)view + 2 * i, &stored, sizeof stored);
}

/* The output in float32 where the device stores BF16: the old values that β needs, and back. */
static float *output_copy(const matrix *x, const void *view, bool is_read)
{
  if (x->type != CUDA_R_16BF)
    return NULL;
  float *copy = malloc(extent(x) * sizeof *copy + 1);
  if (copy == NULL)
    abort();
  for (int j = 0; is_read && j < x->columns; j++)
    for (int i = 0; i < x->rows; i++) {
      const size_t place = (size_t)j * (size_t)x->leading + (size_t)i;
      copy[place] = load(view, x->type, place);
    }
  return copy;
}

static void store_output(const matrix *x, void *view, const float *copy)
{
  for (int j = 0; j < x->columns; j++)
    for (int i = 0; i < x->rows; i++) {
      const size_t place = (size_t)j * (size_t)x->leading + (size_t)i;
      store_bf16(view, place, copy[place]);
    }
}

static void multiply(const product *p, const void *a, const void *b, void *c)
{
  const host_libraries *host = host_libraries_find();
  if (host == NULL)
    return;
  if (p->c.type == CUDA_R_64F) {
    host->cblas_dgemm(COLUMN_MAJOR, p->a.transposed, p->b.transposed, p->m, p->n, p->k, p->alpha, a,
                      p->a.leading, b, p->b.leading, p->beta, c, p->c.leading);
    return;
  }
  float *a_copy = operand(&p->a, a, p->compute), *b_copy = operand(&p->b, b, p->compute);
  float *c_copy = output_copy(&p->c, c, p->beta != 0);
  host->cblas_sgemm(COLUMN_MAJOR, p->a.transposed, p->b.transposed, p->m, p->n, p->k,
                    (float)p->alpha, a_copy != NULL ? a_copy : a, p->a.leading,
                    b_copy != NULL ? b_copy : b, p->b.leading, (float)p->beta,
                    c_copy != NULL ? c_copy : c, p->c.leading);
  if (c_copy != NULL)
    store_output(&p->c, c, c_copy);
  free(c_copy);
  free(a_copy);
  free(b_copy);
}

/* Whoever else uses the workspace at this time finds it overwritten. */
static bool scribble(const product *p)
{
  if (p->workspace == 0)
    return true;
  void *view = memory_view(p->workspace, p->workspace_bytes, "cublasGemm: the workspace");
  if (view == NULL)
    return false;
  memset(view, (int)(emulator_random() & 0xff),
         p->workspace_bytes < SCRIBBLED_BYTES ? p->workspace_bytes : SCRIBBLED_BYTES);
  return true;
}

static void run_product(work *item)
{
  const product *p = (const void *)item->payload;
  emulator_note_launch();
  bool valid = scribble(p);
  for (int i = 0; valid && i < p->batch; i++) {
    const void *a = view_of(&p->a, i), *b = view_of(&p->b, i);
    void *c = view_of(&p->c, i);
    valid = a != NULL && b != NULL && c != NULL;
    if (valid)
      multiply(p, a, b, c);
  }
  if (!valid)
    emulator_fault(CUDA_ERROR_ILLEGAL_ADDRESS);
}

/* The combinations of types that the real one takes, as far as the backend uses them. */
static bool types_fit(const product *p)
{
  if (p->a.type != p->b.type)
    return false;
  switch (p->compute) {
  case CUBLAS_COMPUTE_64F:
    return p->a.type == CUDA_R_64F && p->c.type == CUDA_R_64F;
  case CUBLAS_COMPUTE_32F_FAST_TF32:
    return p->a.type == CUDA_R_32F && p->c.type == CUDA_R_32F;
  case CUBLAS_COMPUTE_32F:
    return (p->a.type == CUDA_R_32F && p->c.type == CUDA_R_32F) ||
           (p->a.type == CUDA_R_16BF && (p->c.type == CUDA_R_32F || p->c.type == CUDA_R_16BF));
  default:
    return false;
  }
}

static bool are_valid(cublasOperation_t a, cublasOperation_t b)
{
  return (a == CUBLAS_OP_N || a == CUBLAS_OP_T) && (b == CUBLAS_OP_N || b == CUBLAS_OP_T);
}

static bool is_matrix_valid(const matrix *x)
{
  return x->leading >= (x->rows > 1 ? x->rows : 1) && x->stride >= 0 &&
         x->address % bytes_of(x->type) == 0 && x->address != 0;
}

static matrix matrix_of(const void *memory, cudaDataType type, cublasOperation_t operation,
                        int rows, int columns, int leading, long long stride)
{
  const bool transposed = operation == CUBLAS_OP_T;
  return (matrix){.address = (uintptr_t)memory,
                  .type = type,
                  .transposed = transposed ? TRANSPOSE : NO_TRANSPOSE,
                  .leading = leading,
                  .rows = transposed ? columns : rows,
                  .columns = transposed ? rows : columns,
                  .stride = stride};
}

static double scalar(const void *value, cublasComputeType_t compute)
{
  if (compute == CUBLAS_COMPUTE_64F)
    return *(const double *)value;
  return *(const float *)value;
}

/* A product without a workspace of the caller's would allocate; in a capture it may not. */
static cublasStatus_t check_workspace(const blas *found, stream *target)
{
  if (!stream_is_capturing(target) || found->workspace != 0)
    return CUBLAS_STATUS_SUCCESS;
  stream_invalidate_capture(target);
  return CUBLAS_STATUS_ALLOC_FAILED;
}

/* Both calls from here on. */
static cublasStatus_t enqueue(const char *call, cublasHandle_t handle, product p,
                              bool valid_operations, cublasGemmAlgo_t algorithm)
{
  const blas *found = object_find(OBJECT_BLAS, handle);
  stream *target = found != NULL ? stream_find(found->stream) : NULL;
  if (target == NULL)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  p.workspace = found->workspace;
  p.workspace_bytes = found->workspace_bytes;
  if (p.m < 0 || p.n < 0 || p.k < 0 || p.batch < 0 || algorithm != CUBLAS_GEMM_DEFAULT ||
      !valid_operations || !is_matrix_valid(&p.a) || !is_matrix_valid(&p.b) ||
      !is_matrix_valid(&p.c) || (p.batch > 1 && p.c.stride == 0)) {
    emulator_violation("%s: invalid arguments: %d x %d x %d, batch %d", call, p.m, p.n, p.k,
                       p.batch);
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (!types_fit(&p)) {
    emulator_violation("%s: types %d, %d, %d with compute type %d", call, p.a.type, p.b.type,
                       p.c.type, p.compute);
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (context_check() != CUDA_SUCCESS)
    return CUBLAS_STATUS_EXECUTION_FAILED;
  const cublasStatus_t status = check_workspace(found, target);
  if (status != CUBLAS_STATUS_SUCCESS || p.m == 0 || p.n == 0 || p.batch == 0)
    return status;
  work *item = work_create(call, sizeof p, run_product);
  memcpy(item->payload, &p, sizeof p);
  return stream_enqueue(target, item) == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS
                                                      : CUBLAS_STATUS_EXECUTION_FAILED;
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t transpose_a,
                                          cublasOperation_t transpose_b, int m, int n, int k,
                                          const void *alpha, const void *a, cudaDataType a_type,
                                          int lda, long long int a_stride, const void *b,
                                          cudaDataType b_type, int ldb, long long int b_stride,
                                          const void *beta, void *c, cudaDataType c_type, int ldc,
                                          long long int c_stride, int batch,
                                          cublasComputeType_t compute, cublasGemmAlgo_t algorithm)
{
  ENTER_OR(CUBLAS_STATUS_EXECUTION_FAILED);
  const product p = {.a = matrix_of(a, a_type, transpose_a, m, k, lda, a_stride),
                     .b = matrix_of(b, b_type, transpose_b, k, n, ldb, b_stride),
                     .c = matrix_of(c, c_type, CUBLAS_OP_N, m, n, ldc, c_stride),
                     .m = m,
                     .n = n,
                     .k = k,
                     .batch = batch,
                     .alpha = scalar(alpha, compute),
                     .beta = scalar(beta, compute),
                     .compute = compute};
  return enqueue(__func__, handle, p, are_valid(transpose_a, transpose_b), algorithm);
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transpose_a,
                            cublasOperation_t transpose_b, int m, int n, int k, const void *alpha,
                            const void *a, cudaDataType a_type, int lda, const void *b,
                            cudaDataType b_type, int ldb, const void *beta, void *c,
                            cudaDataType c_type, int ldc, cublasComputeType_t compute,
                            cublasGemmAlgo_t algorithm)
{
  ENTER_OR(CUBLAS_STATUS_EXECUTION_FAILED);
  const product p = {.a = matrix_of(a, a_type, transpose_a, m, k, lda, 0),
                     .b = matrix_of(b, b_type, transpose_b, k, n, ldb, 0),
                     .c = matrix_of(c, c_type, CUBLAS_OP_N, m, n, ldc, 0),
                     .m = m,
                     .n = n,
                     .k = k,
                     .batch = 1,
                     .alpha = scalar(alpha, compute),
                     .beta = scalar(beta, compute),
                     .compute = compute};
  return enqueue(__func__, handle, p, are_valid(transpose_a, transpose_b), algorithm);
}
