/* The products of both element types, in one vector set. */
#ifndef CONDLORA_BACKENDS_CPU_KERNELS_PRODUCTS_H
#define CONDLORA_BACKENDS_CPU_KERNELS_PRODUCTS_H

#include "backends/cpu/kernels/kernels.h"

#include <string.h>

#define UP_TO_4(X) X(1) X(2) X(3) X(4)
#define UP_TO_6(X) UP_TO_4(X) X(5) X(6)
#define UP_TO_8(X) UP_TO_6(X) X(7) X(8)
#define UP_TO_14(X) UP_TO_8(X) X(9) X(10) X(11) X(12) X(13) X(14)

/* 2 · ROWS sums, two vectors of b and one of a fill the registers of a set: 32 or 16. */
#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define ROWS 14
#define EACH_ROW_COUNT UP_TO_14
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#define ROWS 6
#define EACH_ROW_COUNT UP_TO_6
#elif defined(__aarch64__)
#define VECTOR_BYTES 16
#define ROWS 8
#define EACH_ROW_COUNT UP_TO_8
#else
#define VECTOR_BYTES 16
#define ROWS 4
#define EACH_ROW_COUNT UP_TO_4
#endif

/* out[j, i] = x[min(i, last), j] for 8 rows and 8 columns, in three rounds that interleave pairs,
 * quadruples and halves. Rows of out are stored in their order. */
static inline void transpose_8x8(float *out, int64_t out_stride, const float *x, int64_t x_stride,
                                 int64_t last)
{
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define HAVE_SHUFFLES
#endif
#endif
#ifdef HAVE_SHUFFLES
  typedef float vector __attribute__((vector_size(32), aligned(4), may_alias));
#define LOW_PAIRS(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH_PAIRS(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW_QUADS(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define HIGH_QUADS(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define ROW(i) (*(const vector *)(x + ((i) < last ? (i) : last) * x_stride))
  vector pairs[8], quads[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = LOW_PAIRS(ROW(i), ROW(i + 1));
    pairs[i + 1] = HIGH_PAIRS(ROW(i), ROW(i + 1));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 4)
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) {
      quads[i + 2 * j] = LOW_QUADS(pairs[i + j], pairs[i + 2 + j]);
      quads[i + 2 * j + 1] = HIGH_QUADS(pairs[i + j], pairs[i + 2 + j]);
    }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++)
    *(vector *)(out + i * out_stride) =
        __builtin_shufflevector(quads[i], quads[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++)
    *(vector *)(out + (i + 4) * out_stride) =
        __builtin_shufflevector(quads[i], quads[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
#else
  for (int j = 0; j < 8; j++)
    for (int i = 0; i < 8; i++)
      out[j * out_stride + i] = x[(i < last ? i : last) * x_stride + j];
#endif
}

/* Packs eight steps of k at a time, and returns how many. A store of the last rows writes past the
 * panel's row, on what is stored after it. */
static int64_t transpose_blocks_f32(float *panel, int64_t width, const float *x, int64_t stride,
                                    int64_t rows, int64_t k)
{
  const int64_t whole = k / 8 * 8;
  for (int64_t p = 0; p < whole; p += 8)
    for (int64_t i = (rows - 1) / 8 * 8; i >= 0; i -= 8)
      transpose_8x8(panel + p * width + i, width, x + i * stride + p, stride, rows - 1 - i);
  return whole;
}

static int64_t transpose_blocks_f64(double *panel, int64_t width, const double *x, int64_t stride,
                                    int64_t rows, int64_t k)
{
  (void)panel, (void)width, (void)x, (void)stride, (void)rows, (void)k;
  return 0;
}

/* Compilers fuse a vector's multiplication with the addition behind it; of single elements a
 * sanitizer keeps them from it. */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define FUSED_F32(a, b, c) __builtin_fmaf(a, b, c)
#define FUSED_F64(a, b, c) __builtin_fma(a, b, c)
#else
#define FUSED_F32(a, b, c) ((a) * (b) + (c))
#define FUSED_F64 FUSED_F32
#endif

#define REAL float
#define LANES (VECTOR_BYTES / 4)
#define NAME(x) x##_f32
#define FUSED FUSED_F32
#include "backends/cpu/kernels/product.inc"
#undef REAL
#undef LANES
#undef NAME
#undef FUSED

#define REAL double
#define LANES (VECTOR_BYTES / 8)
#define NAME(x) x##_f64
#define FUSED FUSED_F64
#include "backends/cpu/kernels/product.inc"
#undef REAL
#undef LANES
#undef NAME
#undef FUSED

#endif
