/* Activation functions and their derivatives, one element each. */
#ifndef CONDLORA_BACKENDS_CPU_KERNELS_ACTIVATIONS_H
#define CONDLORA_BACKENDS_CPU_KERNELS_ACTIVATIONS_H

#include "backends/cpu/kernels/math.h"

static const float gelu_c0 = 0.797884561f, gelu_c1 = 0.044715f; /* √(2/π) */
static const float quick_c = 1.702f;

static inline float none_value(float x)
{
  return x;
}

static inline float none_slope(float x)
{
  (void)x;
  return 1.0f;
}

static inline float gelu_value(float x)
{
  return x * normal_cumulative(x);
}

static inline float gelu_slope(float x)
{
  return normal_cumulative(x) + x * normal_density(x);
}

/* ½ (1 + tanh u) = σ(2u), which keeps its accuracy as tanh approaches −1. */
static inline float gelu_tanh_value(float x)
{
  return x * sigmoid_float(2.0f * gelu_c0 * (x + gelu_c1 * x * x * x));
}

static inline float gelu_tanh_slope(float x)
{
  x = x > 20.0f    ? 20.0f
      : x < -20.0f ? -20.0f
                   : x; /* beyond 20 the slope is 1 or 0, and x² would overflow */
  const sigmoid_values s = sigmoid_both(2.0f * gelu_c0 * (x + gelu_c1 * x * x * x));
  return s.value + x * (s.value * s.rest) * 2.0f * gelu_c0 * (1.0f + 3.0f * gelu_c1 * x * x);
}

static inline float gelu_quick_value(float x)
{
  return x * sigmoid_float(quick_c * x);
}

static inline float gelu_quick_slope(float x)
{
  const sigmoid_values s = sigmoid_both(quick_c * x);
  return s.value + quick_c * (x * (s.value * s.rest));
}

static inline float relu_value(float x)
{
  return x < 0.0f ? 0.0f : x; /* NaN stays */
}

static inline float relu_slope(float x)
{
  return x > 0.0f ? 1.0f : x <= 0.0f ? 0.0f : x;
}

static inline float silu_value(float x)
{
  return x * sigmoid_float(x);
}

static inline float silu_slope(float x)
{
  const sigmoid_values s = sigmoid_both(x);
  return s.value + x * (s.value * s.rest);
}

static inline float tanh_value(float x)
{
  return tanh_float(x);
}

static inline float tanh_slope(float x)
{
  const float t = tanh_float(x);
  return 1.0f - t * t;
}

static inline float sigmoid_value(float x)
{
  return sigmoid_float(x);
}

static inline float sigmoid_slope(float x)
{
  const sigmoid_values s = sigmoid_both(x);
  return s.value * s.rest;
}

static inline float mish_value(float x)
{
  const float n = softplus_n(x);
  return x * (n / (n + 2.0f));
}

/* 1 − tanh² = 4 (n + 1) / (n + 2)². */
static inline float mish_slope(float x)
{
  const float capped = x > 20.0f ? 20.0f : x;
  const float n = softplus_n(capped), r = 1.0f / (n + 2.0f);
  return n * r + capped * (4.0f * (n + 1.0f) * r * r) * sigmoid_float(capped);
}

/* X(NAME, function) for each activation. */
#define ACTIVATIONS(X)      \
  X(NONE, none)             \
  X(GELU, gelu)             \
  X(GELU_TANH, gelu_tanh)   \
  X(GELU_QUICK, gelu_quick) \
  X(RELU, relu)             \
  X(SILU, silu)             \
  X(TANH, tanh)             \
  X(SIGMOID, sigmoid)       \
  X(MISH, mish)

#endif
