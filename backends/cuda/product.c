/* Products of matrices, by cuBLAS. */
#include "backends/cuda/device.h"

#include <limits.h>

static cudaDataType type_of(cdl_dtype dtype)
{
  return dtype == CDL_DTYPE_F64 ? CUDA_R_64F : dtype == CDL_DTYPE_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static cublasComputeType_t compute_type(const cuda_device *device, const kernel_product *p)
{
  if (p->out.dtype == CDL_DTYPE_F64)
    return CUBLAS_COMPUTE_64F;
  return p->a.dtype == CDL_DTYPE_F32 && device->precision != CDL_PRECISION_FP32
             ? CUBLAS_COMPUTE_32F_FAST_TF32
             : CUBLAS_COMPUTE_32F;
}

static void *first_element(const kernel_matrix *x)
{
  const CUdeviceptr offset = (CUdeviceptr)x->offset * cdl_dtype_bytes(x->dtype);
  return (void *)(uintptr_t)(cuda_address(x->buffer) + offset);
}

static cdl_status check_sizes(const kernel_product *p)
{
  const int64_t sizes[] = {
      p->m, p->n, p->k, p->batch, p->a.row_stride, p->b.row_stride, p->out.row_stride};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    if (sizes[i] > INT_MAX)
      return cuda_host->fail(CDL_STATUS_UNSUPPORTED,
                             "cuBLAS takes sizes and strides up to %d, not %lld", INT_MAX,
                             (long long)sizes[i]);
  return CDL_STATUS_OK;
}

/* As cuBLAS takes it, which sees a row-major matrix as its transpose in columns: outᵀ = op(b)ᵀ
 * op(a)ᵀ. So b comes first, and m counts out's columns. */
typedef struct {
  cublasOperation_t transpose_b, transpose_a;
  int m, n, k;
  void *b, *a, *out;
  cudaDataType operands, result;
  cublasComputeType_t compute;
  float alpha, beta;
} columns_product;

static columns_product by_columns(const cuda_device *device, const kernel_product *p)
{
  return (columns_product){
      .transpose_b = p->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
      .transpose_a = p->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N,
      .m = (int)p->n,
      .n = (int)p->m,
      .k = (int)p->k,
      .b = first_element(&p->b),
      .a = first_element(&p->a),
      .out = first_element(&p->out),
      .operands = type_of(p->a.dtype),
      .result = type_of(p->out.dtype),
      .compute = compute_type(device, p),
      .alpha = (float)p->alpha,
      .beta = (float)p->beta,
  };
}

/* cuBLAS chooses better among its kernels for one product where it is called for one. */
static cdl_status multiply(const cuda_queue *queue, const kernel_product *p)
{
  const columns_product c = by_columns(queue->device, p);
  const bool f64 = p->out.dtype == CDL_DTYPE_F64;
  const void *alpha = f64 ? (const void *)&p->alpha : &c.alpha;
  const void *beta = f64 ? (const void *)&p->beta : &c.beta;
  const int ldb = (int)p->b.row_stride, lda = (int)p->a.row_stride, ldc = (int)p->out.row_stride;
  if (p->batch == 1)
    return CUDA_BLAS_CALL(cublasGemmEx, queue->blas, c.transpose_b, c.transpose_a, c.m, c.n, c.k,
                          alpha, c.b, c.operands, ldb, c.a, c.operands, lda, beta, c.out, c.result,
                          ldc, c.compute, CUBLAS_GEMM_DEFAULT);
  return CUDA_BLAS_CALL(cublasGemmStridedBatchedEx, queue->blas, c.transpose_b, c.transpose_a, c.m,
                        c.n, c.k, alpha, c.b, c.operands, ldb, p->b.batch_stride, c.a, c.operands,
                        lda, p->a.batch_stride, beta, c.out, c.result, ldc, p->out.batch_stride,
                        (int)p->batch, c.compute, CUBLAS_GEMM_DEFAULT);
}

cdl_status cuda_multiply(kernel_queue *given, const kernel_product *p)
{
  const cuda_queue *queue = (const cuda_queue *)given;
  CDL_TRY(check_sizes(p));
  CDL_TRY(cuda_enter(queue->device));
  return cuda_leave(queue->device, multiply(queue, p));
}
