/* exp, tanh and the normal distribution as branch-free float arithmetic that a compiler can
 * vectorize.
 *
 * The polynomials are our own. They were fitted by reweighted least squares (Lawson's iteration) on
 * 1,500 Chebyshev points in double against expm1, Mills' ratio and tanh, to minimize the largest
 * weighted error. The stated errors are measured over all floats or a dense part of them, with
 * coefficients and arithmetic in float. */
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

/* Φ(x) of the standard normal distribution: e^(−x²/2) M below zero, 1 − e^(−x²/2) M above. Mills'
 * ratio over √(2π), M, is a polynomial in u = |x| / (1 + 0.24 |x|). Absolute error below 1.6·2⁻²⁴,
 * from −4 to 0 relative error below 24·2⁻²⁴. The relative error matters: most inputs of GELU are
 * below zero. There ½ − (nearly ½) has the same error, a part of an ulp of ½, for most inputs, and
 * the next product adds thousands of them up: logits of all-mpnet-base-v2 were three times as far
 * from float64's. This form costs 0.2 ns more per element on a Xeon with AVX2. NaN gives some
 * number, but the caller multiplies it by NaN. */
static inline float normal_cumulative(float x)
{
  const float a = fabsf(x);
  const float u = a / (1.0f + 0.24f * a);
  float m = 5.9823119e-6f;
  m = m * u - 6.23580418e-5f;
  m = m * u - 4.2561649e-5f;
  m = m * u + 4.43336368e-3f;
  m = m * u - 3.59601974e-2f;
  m = m * u + 1.54255033e-1f;
  m = m * u - 3.9894253e-1f;
  const float e = exp_nonpositive(-0.5f * x * x);
  const float tail = a < 13.0f ? e * (0.5f + u * m) : 0.0f;
  return x < 0.0f ? tail : 1.0f - tail;
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
