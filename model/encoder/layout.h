/* Alignment of tensors that share a buffer. */
#ifndef CONDLORA_MODEL_ENCODER_LAYOUT_H
#define CONDLORA_MODEL_ENCODER_LAYOUT_H

#include <stdint.h>

/* Rounds a number of F32 elements up, so that the next tensor starts at a multiple of 64 bytes. */
static inline int64_t encoder_aligned(int64_t elements)
{
  enum { ALIGNMENT = 16 };
  return (elements + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

#endif
