/* Numbers of 16 bits that are the upper half of a float: BF16. */
#ifndef CONDLORA_BASE_BF16_H
#define CONDLORA_BASE_BF16_H

#include <stdint.h>
#include <string.h>

/* Returns the nearest one, of two the even one. A NaN stays one. Without branches, so that
 * compilers make vectors of it. */
static inline uint16_t base_bf16_round(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16, quiet = bits >> 16 | 0x40u;
  return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

static inline float base_bf16_widen(uint16_t x)
{
  const uint32_t bits = (uint32_t)x << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

#endif
