/* libcublas.so: column-major products by CBLAS, with the operands rounded as the device's are. */
#include <string.h>

#include "tests/cuda_emulator/product.h"

enum { VERSION = 12, WORKSPACE_ALIGNMENT = 256 };

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
      !valid_operations || !product_is_matrix(&p.a) || !product_is_matrix(&p.b) ||
      !product_is_matrix(&p.c) || (p.batch > 1 && p.c.stride == 0)) {
    emulator_violation("%s: invalid arguments: %d x %d x %d, batch %d", call, p.m, p.n, p.k,
                       p.batch);
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (!product_types_fit(&p)) {
    emulator_violation("%s: types %d, %d, %d with compute type %d", call, p.a.type, p.b.type,
                       p.c.type, p.compute);
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (context_check() != CUDA_SUCCESS)
    return CUBLAS_STATUS_EXECUTION_FAILED;
  const cublasStatus_t status = check_workspace(found, target);
  if (status != CUBLAS_STATUS_SUCCESS || p.m == 0 || p.n == 0 || p.batch == 0)
    return status;
  work *item = work_create(call, sizeof p, product_run);
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
  const product p = {.a = product_matrix_of(a, a_type, transpose_a, m, k, lda, a_stride),
                     .b = product_matrix_of(b, b_type, transpose_b, k, n, ldb, b_stride),
                     .c = product_matrix_of(c, c_type, CUBLAS_OP_N, m, n, ldc, c_stride),
                     .m = m,
                     .n = n,
                     .k = k,
                     .batch = batch,
                     .alpha = scalar(alpha, compute),
                     .beta = scalar(beta, compute),
                     .compute = compute};
  return enqueue(__func__, handle, p,
                 product_is_operation(transpose_a) && product_is_operation(transpose_b), algorithm);
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transpose_a,
                            cublasOperation_t transpose_b, int m, int n, int k, const void *alpha,
                            const void *a, cudaDataType a_type, int lda, const void *b,
                            cudaDataType b_type, int ldb, const void *beta, void *c,
                            cudaDataType c_type, int ldc, cublasComputeType_t compute,
                            cublasGemmAlgo_t algorithm)
{
  ENTER_OR(CUBLAS_STATUS_EXECUTION_FAILED);
  const product p = {.a = product_matrix_of(a, a_type, transpose_a, m, k, lda, 0),
                     .b = product_matrix_of(b, b_type, transpose_b, k, n, ldb, 0),
                     .c = product_matrix_of(c, c_type, CUBLAS_OP_N, m, n, ldc, 0),
                     .m = m,
                     .n = n,
                     .k = k,
                     .batch = 1,
                     .alpha = scalar(alpha, compute),
                     .beta = scalar(beta, compute),
                     .compute = compute};
  return enqueue(__func__, handle, p,
                 product_is_operation(transpose_a) && product_is_operation(transpose_b), algorithm);
}
