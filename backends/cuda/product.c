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

/* cuBLAS sees a row-major matrix as its transpose in columns: outᵀ = op(b)ᵀ op(a)ᵀ. */
cdl_status cuda_multiply(kernel_queue *given, const kernel_product *p)
{
  const cuda_queue *queue = (const cuda_queue *)given;
  const bool f64 = p->out.dtype == CDL_DTYPE_F64;
  const float alpha = (float)p->alpha, beta = (float)p->beta;
  CDL_TRY(check_sizes(p));
  CDL_TRY(cuda_enter(queue->device));
  const cdl_status status = CUDA_BLAS_CALL(
      cublasGemmStridedBatchedEx, queue->blas, p->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
      p->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, (int)p->n, (int)p->m, (int)p->k,
      f64 ? (const void *)&p->alpha : &alpha, first_element(&p->b), type_of(p->b.dtype),
      (int)p->b.row_stride, p->b.batch_stride, first_element(&p->a), type_of(p->a.dtype),
      (int)p->a.row_stride, p->a.batch_stride, f64 ? (const void *)&p->beta : &beta,
      first_element(&p->out), type_of(p->out.dtype), (int)p->out.row_stride, p->out.batch_stride,
      (int)p->batch, compute_type(queue->device, p), CUBLAS_GEMM_DEFAULT);
  return cuda_leave(queue->device, status);
}
