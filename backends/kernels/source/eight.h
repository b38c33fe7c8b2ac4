/* Kernels for BF16 work on eight neighbouring columns at a time, 16 bytes: one access where they
 * are aligned, element by element at the end of a row and where they are not. The arithmetic is
 * float32. */
#ifndef CONDLORA_BACKENDS_KERNELS_SOURCE_EIGHT_H
#define CONDLORA_BACKENDS_KERNELS_SOURCE_EIGHT_H

/* The columns of a tile, eight for each step of a work-item; a row's tiles start at multiples of
 * eight (see tiling_of_eights). */
#define FIRST_EIGHT(s) ((s).first + 7 * (s).lane)
#define EIGHTS_STEP(w) (8 * (i64)LANES(w))
#define EACH_EIGHT(s, w) for (i64 j = FIRST_EIGHT(s); j < (s).end; j += EIGHTS_STEP(w))

#define EACH_OF_EIGHT UNROLL for (int k = 0; k < 8; k++)

typedef struct {
  float v[8];
} eight;

/* How many of the eight columns from j on lie before `end`: 0 to 8. */
FUNCTION int eight_count(i64 j, i64 end)
{
  const i64 left = end - j;
  return left >= 8 ? 8 : left > 0 ? (int)left : 0;
}

FUNCTION int has_16_bytes(GLOBAL const void *at, int count)
{
  return count == 8 && ((u64)at & 15u) == 0;
}

#ifndef PACK_BF16
#define PACK_BF16(low, high) (bf16_of_float(low) | (u32)bf16_of_float(high) << 16)
#endif

FUNCTION eight eight_of_quad(quad q)
{
  eight e;
  e.v[0] = AS_FLOAT(q.x << 16);
  e.v[1] = AS_FLOAT(q.x & 0xffff0000u);
  e.v[2] = AS_FLOAT(q.y << 16);
  e.v[3] = AS_FLOAT(q.y & 0xffff0000u);
  e.v[4] = AS_FLOAT(q.z << 16);
  e.v[5] = AS_FLOAT(q.z & 0xffff0000u);
  e.v[6] = AS_FLOAT(q.w << 16);
  e.v[7] = AS_FLOAT(q.w & 0xffff0000u);
  return e;
}

FUNCTION quad quad_of_eight(eight e)
{
  quad q;
  q.x = PACK_BF16(e.v[0], e.v[1]);
  q.y = PACK_BF16(e.v[2], e.v[3]);
  q.z = PACK_BF16(e.v[4], e.v[5]);
  q.w = PACK_BF16(e.v[6], e.v[7]);
  return q;
}

/* Of the bits of float32. */
FUNCTION eight eight_of_floats(quad low, quad high)
{
  eight e;
  e.v[0] = AS_FLOAT(low.x);
  e.v[1] = AS_FLOAT(low.y);
  e.v[2] = AS_FLOAT(low.z);
  e.v[3] = AS_FLOAT(low.w);
  e.v[4] = AS_FLOAT(high.x);
  e.v[5] = AS_FLOAT(high.y);
  e.v[6] = AS_FLOAT(high.z);
  e.v[7] = AS_FLOAT(high.w);
  return e;
}

/* ---- GELU ----
 *
 * A pass of functions.h's over BF16 would wait for instructions, not for memory. These have half as
 * many: the same polynomial with fused sums, and the device's own reciprocal and power of two, of
 * 1 and 2 ulp. Φ errs by less than 2·2⁻²⁴, where BF16 has 2⁻⁹ of the result. */

/* Φ(x) and e^(−x²/2). */
typedef struct {
  float cumulative, power;
} normal_values;

FUNCTION normal_values fast_normal(float x)
{
  float a = absolute(x);
  a = a < 13.0f ? a : 13.0f; /* beyond, the power is 0, or nearly so */
  const float u = a * FAST_RECIPROCAL(MULTIPLY_ADD(0.24f, a, 1.0f));
  float m = 5.9823119e-6f;
  m = MULTIPLY_ADD(m, u, -6.23580418e-5f);
  m = MULTIPLY_ADD(m, u, -4.2561649e-5f);
  m = MULTIPLY_ADD(m, u, 4.43336368e-3f);
  m = MULTIPLY_ADD(m, u, -3.59601974e-2f);
  m = MULTIPLY_ADD(m, u, 1.54255033e-1f);
  m = MULTIPLY_ADD(m, u, -3.9894253e-1f);
  normal_values v;
  v.power = FAST_EXP2(-0.721347520f * (x * x)); /* ½ log₂ e */
  const float tail = v.power * MULTIPLY_ADD(u, m, 0.5f);
  v.cumulative = x < 0.0f ? tail : 1.0f - tail;
  return v;
}

FUNCTION float fast_gelu_value(float x)
{
  return x * fast_normal(x).cumulative;
}

FUNCTION float fast_gelu_slope(float x)
{
  const normal_values v = fast_normal(x);
  return MULTIPLY_ADD(x * 0.398942280f, v.power, v.cumulative);
}

#define FAST_ACTIVATIONS(X) \
  X(GELU, fast_gelu)        \
  OTHER_ACTIVATIONS(X)

/* ---- Memory: the first `count` of eight; what is not read is 0 ---- */

FUNCTION quad load_quad(GLOBAL const u16 *from, int count)
{
  if (has_16_bytes(from, count))
    return LOAD_QUAD(from);
  u64 low = 0, high = 0;
  for (int k = 0; k < count; k++)
    if (k < 4)
      low |= (u64)from[k] << 16 * k;
    else
      high |= (u64)from[k] << 16 * (k - 4);
  quad q;
  q.x = (u32)low;
  q.y = (u32)(low >> 32);
  q.z = (u32)high;
  q.w = (u32)(high >> 32);
  return q;
}

FUNCTION void store_quad(GLOBAL u16 *to, quad q, int count)
{
  if (has_16_bytes(to, count)) {
    STORE_QUAD(to, q);
    return;
  }
  const u64 low = (u64)q.y << 32 | q.x, high = (u64)q.w << 32 | q.z;
  for (int k = 0; k < count; k++)
    to[k] = (u16)(k < 4 ? low >> 16 * k : high >> 16 * (k - 4));
}

FUNCTION eight load_u16(GLOBAL const u16 *from, int count)
{
  return eight_of_quad(load_quad(from, count));
}

FUNCTION void store_u16(GLOBAL u16 *to, eight e, int count)
{
  store_quad(to, quad_of_eight(e), count);
}

/* Likewise for a row of float32. */
FUNCTION eight load_float(GLOBAL const float *from, int count)
{
  if (has_16_bytes(from, count))
    return eight_of_floats(LOAD_QUAD(from), LOAD_QUAD(from + 4));
  eight e;
  EACH_OF_EIGHT e.v[k] = k < count ? from[k] : 0.0f;
  return e;
}

FUNCTION void store_float(GLOBAL float *to, eight e, int count)
{
  if (has_16_bytes(to, count)) {
    quad low, high;
    low.x = AS_U32(e.v[0]);
    low.y = AS_U32(e.v[1]);
    low.z = AS_U32(e.v[2]);
    low.w = AS_U32(e.v[3]);
    high.x = AS_U32(e.v[4]);
    high.y = AS_U32(e.v[5]);
    high.z = AS_U32(e.v[6]);
    high.w = AS_U32(e.v[7]);
    STORE_QUAD(to, low);
    STORE_QUAD(to + 4, high);
  } else {
    EACH_OF_EIGHT if (k < count) to[k] = e.v[k];
  }
}

/* ---- Dropout ---- */

/* The factors of eight elements of an example from `element` on: two Philox blocks, or parts of
 * three where a row does not start with a block. */
FUNCTION eight mask_eight(mask_state mask, u32 example, i64 element)
{
  const u32 block = (u32)(element / 4);
  const int skip = (int)(element & 3);
  const mask_factors first = mask_block(mask, example, block);
  const mask_factors second = mask_block(mask, example, block + 1u);
  eight m;
  UNROLL for (int k = 0; k < 4; k++)
  {
    m.v[k] = first.factor[k];
    m.v[4 + k] = second.factor[k];
  }
  if (skip != 0) {
    const mask_factors third = mask_block(mask, example, block + 2u);
    float all[12];
    UNROLL for (int k = 0; k < 4; k++)
    {
      all[k] = m.v[k];
      all[4 + k] = m.v[4 + k];
      all[8 + k] = third.factor[k];
    }
    EACH_OF_EIGHT m.v[k] = skip == 1 ? all[k + 1] : skip == 2 ? all[k + 2] : all[k + 3];
  }
  return m;
}

/* e with the mask of an example's elements from `element` on. */
FUNCTION eight dropped_eight(eight e, mask_state mask, u32 example, i64 element)
{
  const eight m = mask_eight(mask, example, element);
  EACH_OF_EIGHT e.v[k] = m.v[k] == 0.0f ? 0.0f : e.v[k] * m.v[k];
  return e;
}

#endif
