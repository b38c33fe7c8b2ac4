/* Narrow products with AVX-512: BF16 and VNNI. */
#include "backends/cpu/kernels/narrow_sets.h"

#include <immintrin.h>
#include <string.h>

enum { ROWS = 8 };

static inline __m512i broadcast(const char *from)
{
  int32_t unit;
  memcpy(&unit, from, sizeof unit);
  return _mm512_set1_epi32(unit);
}

/* `rows` is a constant in each call, so that the sums stay in registers. */
static inline __attribute__((always_inline)) void bf16_rows(char *c, int64_t c_stride,
                                                            const char *a, int64_t stride,
                                                            const char *b, int64_t bytes, int rows)
{
  __m512 sum[ROWS][2];
  for (int i = 0; i < rows; i++)
    sum[i][0] = sum[i][1] = _mm512_setzero_ps();
  for (int64_t at = 0; at < bytes; at += CPU_NARROW_UNIT, b += 2 * sizeof(__m512i)) {
    const __m512bh left = (__m512bh)_mm512_load_si512(b),
                   right = (__m512bh)_mm512_load_si512(b + sizeof(__m512i));
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
      const __m512bh pair = (__m512bh)broadcast(a + i * stride + at);
      sum[i][0] = _mm512_dpbf16_ps(sum[i][0], pair, left);
      sum[i][1] = _mm512_dpbf16_ps(sum[i][1], pair, right);
    }
  }
  for (int i = 0; i < rows; i++) {
    _mm512_store_ps(c + i * c_stride, sum[i][0]);
    _mm512_store_ps(c + i * c_stride + sizeof(__m512), sum[i][1]);
  }
}

static void multiply_bf16(void *c, int64_t c_stride, const void *a, int64_t stride, const void *b,
                          int64_t bytes, int64_t rows)
{
  int64_t i = 0;
  for (; i + ROWS <= rows; i += ROWS)
    bf16_rows((char *)c + i * c_stride, c_stride, (const char *)a + i * stride, stride, b, bytes,
              ROWS);
  for (; i < rows; i++)
    bf16_rows((char *)c + i * c_stride, c_stride, (const char *)a + i * stride, stride, b, bytes,
              1);
}

/* VNNI multiplies unsigned by signed numbers. So 128 is added to the elements of a, and 128 times
 * the sum of b's column is taken off again. The sums are exact, without saturation. */
static inline __attribute__((always_inline)) void int8_rows(char *c, int64_t c_stride,
                                                            const char *a, int64_t stride,
                                                            const char *b, int64_t bytes, int rows)
{
  const __m512i offset = _mm512_set1_epi32((int)0x80808080u);
  __m512i sum[ROWS][2], excess[2];
  excess[0] = excess[1] = _mm512_setzero_si512();
  for (int i = 0; i < rows; i++)
    sum[i][0] = sum[i][1] = _mm512_setzero_si512();
  for (int64_t at = 0; at < bytes; at += CPU_NARROW_UNIT, b += 2 * sizeof(__m512i)) {
    const __m512i left = _mm512_load_si512(b), right = _mm512_load_si512(b + sizeof(__m512i));
    excess[0] = _mm512_dpbusd_epi32(excess[0], offset, left);
    excess[1] = _mm512_dpbusd_epi32(excess[1], offset, right);
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
      const __m512i four = _mm512_xor_si512(broadcast(a + i * stride + at), offset);
      sum[i][0] = _mm512_dpbusd_epi32(sum[i][0], four, left);
      sum[i][1] = _mm512_dpbusd_epi32(sum[i][1], four, right);
    }
  }
  for (int i = 0; i < rows; i++) {
    _mm512_store_si512(c + i * c_stride, _mm512_sub_epi32(sum[i][0], excess[0]));
    _mm512_store_si512(c + i * c_stride + sizeof(__m512i), _mm512_sub_epi32(sum[i][1], excess[1]));
  }
}

static void multiply_int8(void *c, int64_t c_stride, const void *a, int64_t stride, const void *b,
                          int64_t bytes, int64_t rows)
{
  int64_t i = 0;
  for (; i + ROWS <= rows; i += ROWS)
    int8_rows((char *)c + i * c_stride, c_stride, (const char *)a + i * stride, stride, b, bytes,
              ROWS);
  for (; i < rows; i++)
    int8_rows((char *)c + i * c_stride, c_stride, (const char *)a + i * stride, stride, b, bytes,
              1);
}

const cpu_narrow cpu_narrow_bf16_avx512 = {.name = "AVX512-BF16", .multiply = multiply_bf16};
const cpu_narrow cpu_narrow_int8_avx512 = {.name = "AVX512-VNNI", .multiply = multiply_int8};
