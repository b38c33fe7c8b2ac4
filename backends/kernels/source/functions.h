/* Functions of one number. OpenCL leaves tanh to 5 ulp and erf to 16, which is too inaccurate. So
 * they are polynomials here: the CPU backend's (backends/cpu/kernels/math.h), with the same errors.
 * They have no branches, so that they can be vectorized. */
#ifndef CONDLORA_BACKENDS_KERNELS_SOURCE_FUNCTIONS_H
#define CONDLORA_BACKENDS_KERNELS_SOURCE_FUNCTIONS_H

FUNCTION float absolute(float x)
{
  return AS_FLOAT(AS_U32(x) & 0x7fffffffu);
}

/* NaN wins. */
FUNCTION float larger(float x, float y)
{
  return x > y || x != x ? x : y;
}

FUNCTION float smaller(float x, float y)
{
  return x < y || x != x ? x : y;
}

/* Maps floats to integers in the same order, with NaN of either sign above all. So a maximum is
 * exact, and compilers can vectorize it. */
FUNCTION int float_key(float x)
{
  const u32 bits = AS_U32(x), size = bits & 0x7fffffffu;
  const u32 key = bits == size ? bits : ~size;
  return size > 0x7f800000u ? 0x7fffffff : (int)key;
}

FUNCTION float float_of_key(int key)
{
  return AS_FLOAT(key < 0 ? ~(u32)key | 0x80000000u : (u32)key);
}

/* 1/√x with an error of about 1.5 ulp, independent of the device's own root and division. */
FUNCTION float reciprocal_root(float x)
{
  const float y = 1.0f / MATH(sqrt)(x);
  return y < POSITIVE_INFINITY && y > 0.0f ? y + 0.5f * y * (1.0f - x * y * y) : y;
}

/* The nearest integer to x, and eʳ of the rest, r = x − n ln 2, |r| ≤ ln 2 / 2. */
typedef struct {
  float fraction;
  u32 power; /* as a two's complement number */
} exp_parts;

FUNCTION exp_parts exp_split(float x)
{
  const float rounder = 12582912.0f; /* 1.5·2²³: adding it leaves an integer in the low bits */
  const float shifted = x * 1.44269504f + rounder;
  const float n = shifted - rounder;
  /* ln 2 in two parts, the first with trailing zeros: n times it is exact */
  float r = x - n * 0.693145751953125f;
  r = r - n * 1.42860677e-6f;
  float p = 1.38144669e-3f;
  p = p * r + 8.36878041e-3f;
  p = p * r + 4.16683942e-2f;
  p = p * r + 1.66665201e-1f;
  p = p * r + 4.99999934e-1f;
  exp_parts parts;
  parts.fraction = 1.0f + (r + r * r * p);
  parts.power = AS_U32(shifted) - AS_U32(rounder);
  return parts;
}

/* eˣ, times 2ⁿ in two factors so that subnormal and infinite results come out right. */
FUNCTION float exp_float(float x)
{
  x = x > 89.0f ? 89.0f : x;
  x = x < -105.0f ? -105.0f : x;
  const exp_parts e = exp_split(x);
  const int power = (int)e.power, half_power = power >> 1;
  return e.fraction * AS_FLOAT((u32)(half_power + 127) << 23) *
         AS_FLOAT((u32)(power - half_power + 127) << 23);
}

/* The same for x ≤ 0, faster: 2ⁿ⁺²⁴, then 2⁻²⁴. */
FUNCTION float exp_nonpositive(float x)
{
  x = x < -105.0f ? -105.0f : x;
  const exp_parts e = exp_split(x);
  return e.fraction * AS_FLOAT((e.power + (127u + 24u)) << 23) * 5.9604644775390625e-8f;
}

/* Φ(x) of the standard normal distribution: e^(−x²/2) M below zero, 1 − e^(−x²/2) M above. Mills'
 * ratio over √(2π), M, is a polynomial in u = |x| / (1 + 0.24 |x|). Absolute error below 1.6·2⁻²⁴,
 * from −4 to 0 relative error below 24·2⁻²⁴: the CPU backend's file says why that matters. NaN
 * gives some number, but the caller multiplies it by NaN. */
FUNCTION float normal_cumulative(float x)
{
  const float a = absolute(x);
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

/* φ(x); beyond 13, below 10⁻³⁷, 0. */
FUNCTION float normal_density(float x)
{
  const float e = exp_nonpositive(-0.5f * x * x);
  return absolute(x) < 13.0f ? 0.398942280f * e : 0.0f;
}

/* Below 0.625: x + x³ P(x²); above: through exp. Relative error below 3·2⁻²⁴ if division is rounded
 * to nearest. */
FUNCTION float tanh_float(float x)
{
  const float a = absolute(x);
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

FUNCTION sigmoid_values sigmoid_both(float x)
{
  const float e = exp_nonpositive(-absolute(x));
  const float large = 1.0f / (1.0f + e), small = e * large;
  sigmoid_values both;
  both.value = x < 0.0f ? small : large;
  both.rest = x < 0.0f ? large : small;
  return both;
}

FUNCTION float sigmoid_float(float x)
{
  return sigmoid_both(x).value;
}

/* tanh(ln(1 + eˣ)) = n / (n + 2), n = eˣ (eˣ + 2); above 20 both are 1. */
FUNCTION float softplus_n(float x)
{
  const float e = exp_float(x > 20.0f ? 20.0f : x);
  return e * (e + 2.0f);
}

/* ---- Activations and their derivatives ---- */

FUNCTION float none_value(float x)
{
  return x;
}

FUNCTION float none_slope(float x)
{
  (void)x;
  return 1.0f;
}

FUNCTION float gelu_value(float x)
{
  return x * normal_cumulative(x);
}

FUNCTION float gelu_slope(float x)
{
  return normal_cumulative(x) + x * normal_density(x);
}

/* ½ (1 + tanh u) = σ(2u), which keeps its accuracy as tanh approaches −1; 2√(2/π) = 1.5957691. */
FUNCTION float gelu_tanh_value(float x)
{
  return x * sigmoid_float(1.59576912f * (x + 0.044715f * x * x * x));
}

FUNCTION float gelu_tanh_slope(float x)
{
  /* beyond 20 the slope is 1 or 0, and x² would overflow */
  x = x > 20.0f ? 20.0f : x < -20.0f ? -20.0f : x;
  const sigmoid_values s = sigmoid_both(1.59576912f * (x + 0.044715f * x * x * x));
  return s.value + x * (s.value * s.rest) * 1.59576912f * (1.0f + 0.134145f * x * x);
}

FUNCTION float gelu_quick_value(float x)
{
  return x * sigmoid_float(1.702f * x);
}

FUNCTION float gelu_quick_slope(float x)
{
  const sigmoid_values s = sigmoid_both(1.702f * x);
  return s.value + 1.702f * (x * (s.value * s.rest));
}

FUNCTION float relu_value(float x)
{
  return x < 0.0f ? 0.0f : x; /* NaN stays */
}

FUNCTION float relu_slope(float x)
{
  return x > 0.0f ? 1.0f : x <= 0.0f ? 0.0f : x;
}

FUNCTION float silu_value(float x)
{
  return x * sigmoid_float(x);
}

FUNCTION float silu_slope(float x)
{
  const sigmoid_values s = sigmoid_both(x);
  return s.value + x * (s.value * s.rest);
}

FUNCTION float tanh_value(float x)
{
  return tanh_float(x);
}

FUNCTION float tanh_slope(float x)
{
  const float t = tanh_float(x);
  return 1.0f - t * t;
}

FUNCTION float sigmoid_value(float x)
{
  return sigmoid_float(x);
}

FUNCTION float sigmoid_slope(float x)
{
  const sigmoid_values s = sigmoid_both(x);
  return s.value * s.rest;
}

FUNCTION float mish_value(float x)
{
  const float n = softplus_n(x);
  return x * (n / (n + 2.0f));
}

/* 1 − tanh² = 4 (n + 1) / (n + 2)². */
FUNCTION float mish_slope(float x)
{
  const float capped = x > 20.0f ? 20.0f : x;
  const float n = softplus_n(capped), r = 1.0f / (n + 2.0f);
  return n * r + capped * (4.0f * (n + 1.0f) * r * r) * sigmoid_float(capped);
}

/* X(NAME, function) for each activation. */
#define ACTIVATIONS(X) \
  X(GELU, gelu)        \
  OTHER_ACTIVATIONS(X)
#define OTHER_ACTIVATIONS(X) \
  X(NONE, none)              \
  X(GELU_TANH, gelu_tanh)    \
  X(GELU_QUICK, gelu_quick)  \
  X(RELU, relu)              \
  X(SILU, silu)              \
  X(TANH, tanh)              \
  X(SIGMOID, sigmoid)        \
  X(MISH, mish)

/* One of FUNCTION_NONE to FUNCTION_MISH. */
FUNCTION float activation_value(int function, float x)
{
  switch (function) {
#define CASE(NAME, name) \
  case FUNCTION_##NAME:  \
    return name##_value(x);
    ACTIVATIONS(CASE)
#undef CASE
  }
  return x;
}

FUNCTION float activation_slope(int function, float x)
{
  switch (function) {
#define CASE(NAME, name) \
  case FUNCTION_##NAME:  \
    return name##_slope(x);
    ACTIVATIONS(CASE)
#undef CASE
  }
  return 1.0f;
}

/* ---- BF16 ---- */

FUNCTION float float_of_bf16(u16 bits)
{
  return AS_FLOAT((u32)bits << 16);
}

FUNCTION u16 bf16_of_float(float x)
{
  const u32 bits = AS_U32(x);
  const u32 rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16, quiet = bits >> 16 | 0x40u;
  return (u16)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

#endif
