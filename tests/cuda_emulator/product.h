/* One product of cuBLAS or cublasLt: what is checked when it is called, and its run. */
#ifndef CONDLORA_TESTS_CUDA_EMULATOR_PRODUCT_H
#define CONDLORA_TESTS_CUDA_EMULATOR_PRODUCT_H

#include "tests/cuda_emulator/emulator.h"

#pragma GCC visibility push(default)

typedef struct {
  uintptr_t address;
  cudaDataType type;
  int transposed, leading; /* CBLAS's numbers */
  int rows, columns;       /* as stored */
  long long stride;
} product_matrix;

typedef struct {
  product_matrix a, b, c;
  int m, n, k, batch;
  double alpha, beta;
  cublasComputeType_t compute;
  uintptr_t workspace;
  size_t workspace_bytes;
  uintptr_t bias; /* 0: none; m numbers of c's type, added to each column */
} product;

/* `rows` x `columns` after `operation`, in columns `leading` apart. */
product_matrix product_matrix_of(const void *memory, cudaDataType type, cublasOperation_t operation,
                                 int rows, int columns, int leading, long long stride);
bool product_is_operation(cublasOperation_t operation);
/* Whether sizes, address and stride are possible. */
bool product_is_matrix(const product_matrix *x);
/* Whether the real library takes this combination of types, as far as the backend uses them. */
bool product_types_fit(const product *p);
size_t product_type_bytes(cudaDataType type);
/* A work item's run; its payload is a product. */
void product_run(work *item);

#pragma GCC visibility pop
#endif
