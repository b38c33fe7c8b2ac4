/* Where tensors start in a buffer that several share. */
#ifndef CONDLORA_MODEL_ENCODER_LAYOUT_H
#define CONDLORA_MODEL_ENCODER_LAYOUT_H

#include <stdint.h>

/* `elements` of F32, rounded up so that the next tensor starts at a multiple of 64 bytes. */
static inline int64_t encoder_aligned(int64_t elements)
{
  enum { ALIGNMENT = 16 };
  return (elements + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

#endif
