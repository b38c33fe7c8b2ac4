/* Products of matrices, by cuBLAS. */
#include "backends/cuda/product.h"

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

cuda_product cuda_product_by_columns(const cuda_device *device, const kernel_product *p)
{
  const CUdeviceptr bias_offset = (CUdeviceptr)p->bias_offset * cdl_dtype_bytes(p->out.dtype);
  return (cuda_product){
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
      .ldb = (int)p->b.row_stride,
      .lda = (int)p->a.row_stride,
      .ldc = (int)p->out.row_stride,
      .bias = p->bias != NULL ? cuda_address(p->bias) + bias_offset : 0,
  };
}

/* cuBLAS chooses better among its kernels for one product where it is called for one. */
static cdl_status multiply(const cuda_queue *queue, const kernel_product *p)
{
  const cuda_product c = cuda_product_by_columns(queue->device, p);
  const bool f64 = p->out.dtype == CDL_DTYPE_F64;
  const void *alpha = f64 ? (const void *)&p->alpha : &c.alpha;
  const void *beta = f64 ? (const void *)&p->beta : &c.beta;
  if (p->batch == 1)
    return CUDA_BLAS_CALL(cublasGemmEx, queue->blas, c.transpose_b, c.transpose_a, c.m, c.n, c.k,
                          alpha, c.b, c.operands, c.ldb, c.a, c.operands, c.lda, beta, c.out,
                          c.result, c.ldc, c.compute, CUBLAS_GEMM_DEFAULT);
  return CUDA_BLAS_CALL(cublasGemmStridedBatchedEx, queue->blas, c.transpose_b, c.transpose_a, c.m,
                        c.n, c.k, alpha, c.b, c.operands, c.ldb, p->b.batch_stride, c.a, c.operands,
                        c.lda, p->a.batch_stride, beta, c.out, c.result, c.ldc, p->out.batch_stride,
                        (int)p->batch, c.compute, CUBLAS_GEMM_DEFAULT);
}

cdl_status cuda_multiply(kernel_queue *given, const kernel_product *p)
{
  cuda_queue *queue = (cuda_queue *)given;
  CDL_TRY(check_sizes(p));
  CDL_TRY(cuda_enter(queue->device));
  return cuda_leave(queue->device,
                    p->bias != NULL ? cuda_multiply_with_bias(queue, p) : multiply(queue, p));
}

cdl_status cuda_takes_bias(kernel_queue *given, const kernel_product *p, bool *takes)
{
  cuda_queue *queue = (cuda_queue *)given;
  *takes = false;
  if (queue->lt == NULL || p->batch != 1 || p->out.dtype != CDL_DTYPE_BF16)
    return CDL_STATUS_OK;
  CDL_TRY(check_sizes(p));
  CDL_TRY(cuda_enter(queue->device));
  return cuda_leave(queue->device, cuda_find_algorithm(queue, p, takes));
}
