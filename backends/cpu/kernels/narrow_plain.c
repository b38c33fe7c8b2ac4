/* Narrow products in plain C. */
#include "backends/cpu/kernels/narrow_sets.h"

#include <string.h>

static float float_of_bits(uint32_t bits)
{
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* Sums as AMX does: over 32 elements, those at even places and those at odd places are summed
 * apart, then both sums together are added to the result. A product of two bf16 is exact in
 * float32. Unlike AMX this keeps subnormal numbers. */
static void emulate_bf16(void *c, int64_t c_stride, const void *a, int64_t stride, const void *b,
                         int64_t bytes, int64_t rows)
{
  enum { PAIRS = CPU_NARROW_STEP / CPU_NARROW_UNIT };
  for (int64_t i = 0; i < rows; i++) {
    const char *row = (const char *)a + i * stride;
    const uint32_t *panel = b;
    float *sum = (float *)(void *)((char *)c + i * c_stride);
    for (int j = 0; j < CPU_NARROW_COLUMNS; j++)
      sum[j] = 0;
    for (int64_t at = 0; at < bytes; at += CPU_NARROW_STEP) {
      float even[CPU_NARROW_COLUMNS] = {0}, odd[CPU_NARROW_COLUMNS] = {0};
      for (int p = 0; p < PAIRS; p++, panel += CPU_NARROW_COLUMNS) {
        uint32_t pair;
        memcpy(&pair, row + at + p * CPU_NARROW_UNIT, sizeof pair);
        const float first = float_of_bits(pair << 16), second = float_of_bits(pair & 0xffff0000u);
        for (int j = 0; j < CPU_NARROW_COLUMNS; j++) {
          even[j] += first * float_of_bits(panel[j] << 16);
          odd[j] += second * float_of_bits(panel[j] & 0xffff0000u);
        }
      }
      for (int j = 0; j < CPU_NARROW_COLUMNS; j++)
        sum[j] += even[j] + odd[j];
    }
  }
}

const cpu_narrow cpu_narrow_bf16_emulated = {.name = "emulation", .multiply = emulate_bf16};

static void multiply_int8(void *c, int64_t c_stride, const void *a, int64_t stride, const void *b,
                          int64_t bytes, int64_t rows)
{
  for (int64_t i = 0; i < rows; i++) {
    const int8_t *row = (const int8_t *)a + i * stride, *panel = b;
    int32_t *sum = (int32_t *)(void *)((char *)c + i * c_stride);
    for (int j = 0; j < CPU_NARROW_COLUMNS; j++)
      sum[j] = 0;
    for (int64_t at = 0; at < bytes; at += CPU_NARROW_UNIT)
      for (int j = 0; j < CPU_NARROW_COLUMNS; j++, panel += CPU_NARROW_UNIT)
        sum[j] += row[at] * panel[0] + row[at + 1] * panel[1] + row[at + 2] * panel[2] +
                  row[at + 3] * panel[3];
  }
}

const cpu_narrow cpu_narrow_int8_plain = {.name = "plain C", .multiply = multiply_int8};
