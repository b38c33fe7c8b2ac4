/* Products of row-major matrices on the calling thread, by the kernels of the device's vector set.
 * kernels/product.inc has their order of sums: an element depends on its row of op(A) and its
 * column of op(B), not on the tile it is computed in. */
#ifndef CONDLORA_BACKENDS_CPU_PRODUCT_H
#define CONDLORA_BACKENDS_CPU_PRODUCT_H

#include "backends/cpu/kernels/kernels.h"

/* The product α op(A) op(B) + β C of matrices whose rows are lda, ldb and ldc elements apart. */
static inline cpu_product cpu_product_of(bool transpose_a, bool transpose_b, int64_t m, int64_t n,
                                         int64_t k, double alpha, const void *a, int64_t lda,
                                         const void *b, int64_t ldb, double beta, void *c,
                                         int64_t ldc)
{
  return (cpu_product){.m = m,
                       .n = n,
                       .k = k,
                       .a = a,
                       .a_row = transpose_a ? 1 : lda,
                       .a_depth = transpose_a ? lda : 1,
                       .b = b,
                       .b_depth = transpose_b ? 1 : ldb,
                       .b_column = transpose_b ? ldb : 1,
                       .c = c,
                       .c_row = ldc,
                       .c_column = 1,
                       .alpha = alpha,
                       .beta = beta};
}

/* Computes C = α op(A) op(B) + β C; k may be 0. `memory` has CPU_PRODUCT_BYTES (twice as many for
 * cpu_dgemm) at a multiple of 64. */
static inline void cpu_sgemm(const cpu_kernels *kernels, void *memory, bool transpose_a,
                             bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha,
                             const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
                             float *c, int64_t ldc)
{
  const cpu_product product = cpu_product_of(transpose_a, transpose_b, m, n, k, (double)alpha, a,
                                             lda, b, ldb, (double)beta, c, ldc);
  kernels->product_f32(&product, memory);
}

static inline void cpu_dgemm(const cpu_kernels *kernels, void *memory, bool transpose_a,
                             bool transpose_b, int64_t m, int64_t n, int64_t k, double alpha,
                             const double *a, int64_t lda, const double *b, int64_t ldb,
                             double beta, double *c, int64_t ldc)
{
  const cpu_product product =
      cpu_product_of(transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  kernels->product_f64(&product, memory);
}

#endif
