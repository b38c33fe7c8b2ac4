/* Narrow products with AVX-512: BF16 and VNNI. */
#include "backends/cpu/kernels/narrow_sets.h"

#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

enum { ROWS = 8, HALF = sizeof(__m512i) }; /* rows at a time; bytes of 16 columns' units */

/* `int8` and `rows` are constants in each call, so that one type is left and its sums stay in
 * registers. */
#define FOR_CONSTANTS static inline __attribute__((always_inline))

static inline __m512i broadcast(const char *from)
{
  int32_t unit;
  memcpy(&unit, from, sizeof unit);
  return _mm512_set1_epi32(unit);
}

/* Adds the products of a row's unit with the units of 16 columns. */
FOR_CONSTANTS __m512i add_products(bool int8, __m512i sum, __m512i unit, __m512i columns)
{
  if (int8)
    return _mm512_dpbusd_epi32(sum, unit, columns);
  return (__m512i)_mm512_dpbf16_ps((__m512)sum, (__m512bh)unit, (__m512bh)columns);
}

/* VNNI multiplies unsigned by signed numbers. So 128 is added to the elements of a, and 128 times
 * the sum of b's column is taken off again. These sums are exact, without saturation. */
FOR_CONSTANTS void multiply_rows(bool int8, int rows, char *c, int64_t c_stride, const char *a,
                                 int64_t stride, const char *b, int64_t bytes)
{
  const __m512i offset = _mm512_set1_epi32((int)0x80808080u);
  __m512i sum[ROWS][2], excess[2];
  excess[0] = excess[1] = _mm512_setzero_si512();
  for (int i = 0; i < rows; i++)
    sum[i][0] = sum[i][1] = _mm512_setzero_si512();
  for (int64_t at = 0; at < bytes; at += CPU_NARROW_UNIT, b += 2 * HALF) {
    const __m512i left = _mm512_load_si512(b), right = _mm512_load_si512(b + HALF);
    if (int8) {
      excess[0] = _mm512_dpbusd_epi32(excess[0], offset, left);
      excess[1] = _mm512_dpbusd_epi32(excess[1], offset, right);
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
      __m512i unit = broadcast(a + i * stride + at);
      if (int8)
        unit = _mm512_xor_si512(unit, offset);
      sum[i][0] = add_products(int8, sum[i][0], unit, left);
      sum[i][1] = add_products(int8, sum[i][1], unit, right);
    }
  }
  for (int i = 0; i < rows; i++)
    for (int half = 0; half < 2; half++)
      _mm512_store_si512(c + i * c_stride + half * HALF,
                         int8 ? _mm512_sub_epi32(sum[i][half], excess[half]) : sum[i][half]);
}

FOR_CONSTANTS void multiply(bool int8, char *c, int64_t c_stride, const char *a, int64_t stride,
                            const char *b, int64_t bytes, int64_t rows)
{
  int64_t i = 0;
  for (; i + ROWS <= rows; i += ROWS)
    multiply_rows(int8, ROWS, c + i * c_stride, c_stride, a + i * stride, stride, b, bytes);
  for (; i < rows; i++)
    multiply_rows(int8, 1, c + i * c_stride, c_stride, a + i * stride, stride, b, bytes);
}

static void multiply_bf16(void *c, int64_t c_stride, const void *a, int64_t stride, const void *b,
                          int64_t bytes, int64_t rows)
{
  multiply(false, c, c_stride, a, stride, b, bytes, rows);
}

static void multiply_int8(void *c, int64_t c_stride, const void *a, int64_t stride, const void *b,
                          int64_t bytes, int64_t rows)
{
  multiply(true, c, c_stride, a, stride, b, bytes, rows);
}

const cpu_narrow cpu_narrow_bf16_avx512 = {.name = "AVX512-BF16", .multiply = multiply_bf16};
const cpu_narrow cpu_narrow_int8_avx512 = {.name = "AVX512-VNNI", .multiply = multiply_int8};
