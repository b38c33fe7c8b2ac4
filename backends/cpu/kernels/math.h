/* exp, tanh and the normal distribution as branch-free float arithmetic that a compiler can
 * vectorize.
 *
 * The polynomials are our own. They were fitted by reweighted least squares (Lawson's iteration) on
 * 1,500 Chebyshev points in double against expm1, erf and tanh, to minimize the largest weighted
 * error. The stated errors are measured over all floats or a dense part of them, with coefficients
 * and arithmetic in float. */
#ifndef CONDLORA_BACKENDS_CPU_KERNELS_MATH_H
#define CONDLORA_BACKENDS_CPU_KERNELS_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float float_of_bits(uint32_t bits)
{
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t bits_of_float(float value)
{
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* eˣ: x = n ln 2 + r, |r| ≤ ln 2 / 2, eʳ = 1 + r + r² P(r), times 2ⁿ in two factors so that
 * subnormal and infinite results come out right. Relative error below 2⁻²³. */
static inline float exp_float(float x)
{
  const float rounder = 0x1.8p23f; /* adding it rounds to an integer, left in the low bits */
  x = x > 89.0f ? 89.0f : x;
  x = x < -105.0f ? -105.0f : x;
  const float shifted = x * 1.44269504f + rounder;
  const float n = shifted - rounder;
  float r =
      x -
      n * 0x1.62e4p-1f; /* ln 2 in two parts, the first with trailing zeros: n times it is exact */
  r = r - n * 1.42860677e-6f;
  float p = 1.38144669e-3f;
  p = p * r + 8.36878041e-3f;
  p = p * r + 4.16683942e-2f;
  p = p * r + 1.66665201e-1f;
  p = p * r + 4.99999934e-1f;
  const float e = 1.0f + (r + r * r * p);
  const int32_t power = (int32_t)(bits_of_float(shifted) - bits_of_float(rounder));
  const int32_t half = power >> 1;
  const float scale1 = float_of_bits((uint32_t)(half + 127) << 23);
  const float scale2 = float_of_bits((uint32_t)(power - half + 127) << 23);
  return e * scale1 * scale2;
}

/* The same for x ≤ 0, faster: one factor 2ⁿ⁺²⁴, then 2⁻²⁴. */
static inline float exp_nonpositive(float x)
{
  const float rounder = 0x1.8p23f;
  x = x < -105.0f ? -105.0f : x;
  const float shifted = x * 1.44269504f + rounder;
  const float n = shifted - rounder;
  float r = x - n * 0x1.62e4p-1f;
  r = r - n * 1.42860677e-6f;
  float p = 1.38144669e-3f;
  p = p * r + 8.36878041e-3f;
  p = p * r + 4.16683942e-2f;
  p = p * r + 1.66665201e-1f;
  p = p * r + 4.99999934e-1f;
  const float e = 1.0f + (r + r * r * p);
  return e * float_of_bits((bits_of_float(shifted) + (127u + 24u) - bits_of_float(rounder)) << 23) *
         0x1p-24f;
}

/* Φ(x) of the standard normal distribution: below 5.2 one half + x R(v), v = x² / 13.52 − 1,
 * otherwise 0 or 1. Absolute error below 2.2·2⁻²⁴. NaN gives some number, but the caller multiplies
 * it by NaN. */
static inline float normal_cumulative(float x)
{
  const float v = x * x * (1.0f / 13.52f) - 1.0f;
  float r = 2.06385084e-4f;
  r = r * v - 5.65810245e-4f;
  r = r * v + 5.8925437e-4f;
  r = r * v - 9.68650449e-4f;
  r = r * v + 2.67517776e-3f;
  r = r * v - 5.07787988e-3f;
  r = r * v + 8.00329074e-3f;
  r = r * v - 1.23480549e-2f;
  r = r * v + 1.8135719e-2f;
  r = r * v - 2.47647297e-2f;
  r = r * v + 3.19621079e-2f;
  r = r * v - 3.99252661e-2f;
  r = r * v + 5.00261188e-2f;
  r = r * v - 6.7743808e-2f;
  r = r * v + 1.35949984e-1f;
  const float from_half = fabsf(x) < 5.2f ? x * r : copysignf(0.5f, x);
  return 0.5f + from_half;
}

/* φ(x); 0 beyond 13, where it is below 10⁻³⁷: subnormal products are slow. */
static inline float normal_density(float x)
{
  const float e = exp_nonpositive(-0.5f * x * x);
  return fabsf(x) < 13.0f ? 0.398942280f * e : 0.0f;
}

/* Below 0.625: x + x³ P(x²); above: through exp. Relative error below 3·2⁻²⁴. */
static inline float tanh_float(float x)
{
  const float a = fabsf(x);
  const float s = x * x;
  float p = -5.50758618e-3f;
  p = p * s + 2.04623679e-2f;
  p = p * s - 5.36857872e-2f;
  p = p * s + 1.33308028e-1f;
  p = p * s - 3.33332588e-1f;
  const float small = x + x * s * p;
  const float e = exp_nonpositive(-2.0f * a);
  const float large = (1.0f - e) / (1.0f + e);
  return a < 0.625f ? small : x < 0.0f ? -large : large;
}

/* σ(x) and 1 − σ(x), both to a few ulp. */
typedef struct {
  float value, rest;
} sigmoid_values;

static inline sigmoid_values sigmoid_both(float x)
{
  const float e = exp_nonpositive(-fabsf(x));
  const float large = 1.0f / (1.0f + e), small = e * large;
  return (sigmoid_values){x < 0.0f ? small : large, x < 0.0f ? large : small};
}

static inline float sigmoid_float(float x)
{
  return sigmoid_both(x).value;
}

/* tanh(ln(1 + eˣ)) = n / (n + 2), n = eˣ (eˣ + 2); above 20 both are 1. */
static inline float softplus_n(float x)
{
  const float e = exp_float(x > 20.0f ? 20.0f : x);
  return e * (e + 2.0f);
}

#endif
