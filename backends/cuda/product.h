/* Products as cuBLAS and cublasLt take them. */
#ifndef CONDLORA_BACKENDS_CUDA_PRODUCT_H
#define CONDLORA_BACKENDS_CUDA_PRODUCT_H

#include "backends/cuda/device.h"

/* cuBLAS sees a row-major matrix as its transpose in columns: outᵀ = op(b)ᵀ op(a)ᵀ. So b comes
 * first, and m counts out's columns. */
typedef struct {
  cublasOperation_t transpose_b, transpose_a;
  int m, n, k;
  int ldb, lda, ldc;
  void *b, *a, *out;
  cudaDataType operands, result;
  cublasComputeType_t compute;
  float alpha, beta;
  CUdeviceptr bias; /* [m] of the result's type; 0: none */
} cuda_product;

/* Sizes fit int. */
cuda_product cuda_product_by_columns(const cuda_device *device, const kernel_product *product);

/* Products with a bias, by cublasLt. The context is current, and queue->lt not NULL. */
cdl_status cuda_multiply_with_bias(cuda_queue *queue, const kernel_product *product);
/* Gives whether cublasLt has an algorithm for the product. */
cdl_status cuda_find_algorithm(cuda_queue *queue, const kernel_product *product, bool *found);

#endif
