/* int8 products with AVX-VNNI: the instruction of AVX512-VNNI on vectors of 8 columns, for
 * processors without AVX-512. */
#include "backends/cpu/kernels/narrow_sets.h"

#include <immintrin.h>
#include <string.h>

enum {
  ROWS = 4,
  COLUMNS = 16, /* at a time: two vectors */
  HALF = sizeof(__m256i),
  PANEL_STRIDE = CPU_NARROW_COLUMNS * CPU_NARROW_UNIT
};

static inline __m256i broadcast(const char *from)
{
  int32_t unit;
  memcpy(&unit, from, sizeof unit);
  return _mm256_set1_epi32(unit);
}

static inline __m256i load(const char *from)
{
  return _mm256_load_si256((const __m256i *)(const void *)from);
}

/* Unsigned by signed numbers, so 128 is added to the elements of a, and 128 times the sum of b's
 * column is taken off again. The sums are exact, without saturation. `rows` is a constant in each
 * call. */
static inline __attribute__((always_inline)) void multiply_rows(int rows, char *c, int64_t c_stride,
                                                                const char *a, int64_t stride,
                                                                const char *b, int64_t bytes)
{
  const __m256i offset = _mm256_set1_epi32((int)0x80808080u);
  __m256i sum[ROWS][2], excess[2];
  excess[0] = excess[1] = _mm256_setzero_si256();
  for (int i = 0; i < rows; i++)
    sum[i][0] = sum[i][1] = _mm256_setzero_si256();
  for (int64_t at = 0; at < bytes; at += CPU_NARROW_UNIT, b += PANEL_STRIDE) {
    const __m256i left = load(b), right = load(b + HALF);
    excess[0] = _mm256_dpbusd_avx_epi32(excess[0], offset, left);
    excess[1] = _mm256_dpbusd_avx_epi32(excess[1], offset, right);
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
      const __m256i unit = _mm256_xor_si256(broadcast(a + i * stride + at), offset);
      sum[i][0] = _mm256_dpbusd_avx_epi32(sum[i][0], unit, left);
      sum[i][1] = _mm256_dpbusd_avx_epi32(sum[i][1], unit, right);
    }
  }
  for (int i = 0; i < rows; i++)
    for (int half = 0; half < 2; half++)
      _mm256_storeu_si256((__m256i *)(void *)(c + i * c_stride + half * HALF),
                          _mm256_sub_epi32(sum[i][half], excess[half]));
}

static void multiply_int8(void *c, int64_t c_stride, const void *a, int64_t stride, const void *b,
                          int64_t bytes, int64_t rows)
{
  for (int j = 0; j < CPU_NARROW_COLUMNS; j += COLUMNS) {
    char *sums = (char *)c + j * CPU_NARROW_UNIT;
    const char *panel = (const char *)b + j * CPU_NARROW_UNIT, *row = a;
    int64_t i = 0;
    for (; i + ROWS <= rows; i += ROWS)
      multiply_rows(ROWS, sums + i * c_stride, c_stride, row + i * stride, stride, panel, bytes);
    for (; i < rows; i++)
      multiply_rows(1, sums + i * c_stride, c_stride, row + i * stride, stride, panel, bytes);
  }
}

const cpu_narrow cpu_narrow_int8_avxvnni = {.name = "AVX-VNNI", .multiply = multiply_int8};
