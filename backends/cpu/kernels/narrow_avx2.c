/* int8 products with AVX2. */
#include "backends/cpu/kernels/narrow_sets.h"

#include <immintrin.h>
#include <string.h>

enum { ROWS = 4, COLUMNS = 8, PANEL_STRIDE = CPU_NARROW_COLUMNS * CPU_NARROW_UNIT };

/* 4 elements of a row, twice, as 16 bits. */
static inline __m256i broadcast(const int8_t *from)
{
  int32_t unit;
  memcpy(&unit, from, sizeof unit);
  return _mm256_cvtepi8_epi16(_mm_set1_epi32(unit));
}

/* 8 columns at a time. The elements are widened to 16 bits, whose pairs vpmaddwd multiplies and
 * adds without saturation; vpmaddubsw on bytes would saturate. A sum then has two halves for each
 * column, which are added at the end. `rows` is a constant in each call. */
static inline __attribute__((always_inline)) void eight_columns(char *c, int64_t c_stride,
                                                                const int8_t *a, int64_t stride,
                                                                const int8_t *b, int64_t bytes,
                                                                int rows)
{
  __m256i sum[ROWS][2];
  for (int i = 0; i < rows; i++)
    sum[i][0] = sum[i][1] = _mm256_setzero_si256();
  for (int64_t at = 0; at < bytes; at += CPU_NARROW_UNIT, b += PANEL_STRIDE) {
    const __m256i columns = _mm256_load_si256((const __m256i *)(const void *)b),
                  left = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(columns)),
                  right = _mm256_cvtepi8_epi16(_mm256_extracti128_si256(columns, 1));
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
      const __m256i four = broadcast(a + i * stride + at);
      sum[i][0] = _mm256_add_epi32(sum[i][0], _mm256_madd_epi16(four, left));
      sum[i][1] = _mm256_add_epi32(sum[i][1], _mm256_madd_epi16(four, right));
    }
  }
  for (int i = 0; i < rows; i++) {
    const __m256i mixed = _mm256_hadd_epi32(sum[i][0], sum[i][1]); /* columns 0 1 4 5 2 3 6 7 */
    _mm256_storeu_si256((__m256i *)(void *)(c + i * c_stride),
                        _mm256_permute4x64_epi64(mixed, 0xd8));
  }
}

static void multiply_int8(void *c, int64_t c_stride, const void *a, int64_t stride, const void *b,
                          int64_t bytes, int64_t rows)
{
  for (int j = 0; j < CPU_NARROW_COLUMNS; j += COLUMNS) {
    char *sums = (char *)c + j * CPU_NARROW_UNIT;
    const int8_t *panel = (const int8_t *)b + j * CPU_NARROW_UNIT, *row = a;
    int64_t i = 0;
    for (; i + ROWS <= rows; i += ROWS)
      eight_columns(sums + i * c_stride, c_stride, row + i * stride, stride, panel, bytes, ROWS);
    for (; i < rows; i++)
      eight_columns(sums + i * c_stride, c_stride, row + i * stride, stride, panel, bytes, 1);
  }
}

const cpu_narrow cpu_narrow_int8_avx2 = {.name = "AVX2", .multiply = multiply_int8};
