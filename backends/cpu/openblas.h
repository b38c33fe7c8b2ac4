/* OpenBLAS and LAPACKE, opened at run time after the choice of OpenBLAS's kernels. */
#ifndef CONDLORA_BACKENDS_CPU_OPENBLAS_H
#define CONDLORA_BACKENDS_CPU_OPENBLAS_H

#include "condlora/status.h"

#include <stdint.h>

enum { CPU_ROW_MAJOR = 101, CPU_COLUMN_MAJOR = 102 };

typedef struct {
  void *openblas, *lapacke; /* handles of dlopen */
#define FUNCTION(library, result, name, parameters) result(*name) parameters;
#include "backends/cpu/api.def"
#undef FUNCTION
} cpu_libraries;

/* Opens both libraries: the system's, or the one file that CDL_OPENBLAS names. While OpenBLAS
 * loads, it sets OPENBLAS_CORETYPE (by CPUID) and OPENBLAS_NUM_THREADS, unless the user has set
 * them. No other thread may change the environment meanwhile. Errors: ABSENT, naming the package or
 * the variable. */
cdl_status cpu_libraries_open(cpu_libraries *libraries);
void cpu_libraries_close(cpu_libraries *libraries);

/* Computes C = α op(A) op(B) + β C for row-major matrices, on this thread. */
static inline void cpu_sgemm(const cpu_libraries *libraries, int transpose_a, int transpose_b,
                             int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                             int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                             int64_t ldc)
{
  enum { NO_TRANSPOSE = 111, TRANSPOSE = 112 };
  libraries->cblas_sgemm(CPU_ROW_MAJOR, transpose_a ? TRANSPOSE : NO_TRANSPOSE,
                         transpose_b ? TRANSPOSE : NO_TRANSPOSE, (int)m, (int)n, (int)k, alpha, a,
                         (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

static inline void cpu_dgemm(const cpu_libraries *libraries, int transpose_a, int transpose_b,
                             int64_t m, int64_t n, int64_t k, double alpha, const double *a,
                             int64_t lda, const double *b, int64_t ldb, double beta, double *c,
                             int64_t ldc)
{
  enum { NO_TRANSPOSE = 111, TRANSPOSE = 112 };
  libraries->cblas_dgemm(CPU_ROW_MAJOR, transpose_a ? TRANSPOSE : NO_TRANSPOSE,
                         transpose_b ? TRANSPOSE : NO_TRANSPOSE, (int)m, (int)n, (int)k, alpha, a,
                         (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

#endif
