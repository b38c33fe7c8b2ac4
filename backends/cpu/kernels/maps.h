/* Elementwise loops. */
#ifndef CONDLORA_BACKENDS_CPU_KERNELS_MAPS_H
#define CONDLORA_BACKENDS_CPU_KERNELS_MAPS_H

#include "backends/cpu/kernels/activations.h"
#include "backends/cpu/kernels/kernels.h"
#include "base/bf16.h"

/* Elements do not depend on each other. In place is allowed, so `restrict` is not. */
#define EACH _Pragma("omp simd") for (int64_t j = 0; j < n; j++)

static void activation_map(cdl_activation activation, float *out, const float *x, int64_t n)
{
  switch (activation) {
#define CASE(NAME, name)              \
  case CDL_ACTIVATION_##NAME:         \
    EACH out[j] = name##_value(x[j]); \
    break;
    ACTIVATIONS(CASE)
#undef CASE
  }
}

static void unary_map(cdl_unary_function function, cdl_activation activation, float *out,
                      const float *x, int64_t n)
{
  switch (function) {
  case CDL_UNARY_ACTIVATION:
    activation_map(activation, out, x, n);
    break;
  case CDL_UNARY_ABSOLUTE:
    EACH out[j] = fabsf(x[j]);
    break;
  case CDL_UNARY_SQUARE:
    EACH out[j] = x[j] * x[j];
    break;
  case CDL_UNARY_SQUARE_ROOT:
    EACH out[j] = sqrtf(x[j]);
    break;
  case CDL_UNARY_EXP:
    EACH out[j] = exp_float(x[j]);
    break;
  case CDL_UNARY_LOG:
    for (int64_t j = 0; j < n; j++)
      out[j] = logf(x[j]);
    break;
  case CDL_UNARY_RECIPROCAL:
    EACH out[j] = 1.0f / x[j];
    break;
  }
}

static void activation_grad_map(cdl_activation activation, float *d_x, const float *d_out,
                                const float *x, int64_t n)
{
  switch (activation) {
#define CASE(NAME, name)                         \
  case CDL_ACTIVATION_##NAME:                    \
    EACH d_x[j] = d_out[j] * name##_slope(x[j]); \
    break;
    ACTIVATIONS(CASE)
#undef CASE
  }
}

static inline float larger(float x, float y)
{
  return x > y || x != x ? x : y; /* NaN wins */
}

static inline float smaller(float x, float y)
{
  return x < y || x != x ? x : y;
}

#define BINARY_SWITCH(Y)              \
  switch (function) {                 \
  case CDL_BINARY_ADD:                \
    EACH out[j] = x[j] + (Y);         \
    break;                            \
  case CDL_BINARY_SUBTRACT:           \
    EACH out[j] = x[j] - (Y);         \
    break;                            \
  case CDL_BINARY_MULTIPLY:           \
    EACH out[j] = x[j] * (Y);         \
    break;                            \
  case CDL_BINARY_DIVIDE:             \
    EACH out[j] = x[j] / (Y);         \
    break;                            \
  case CDL_BINARY_MAXIMUM:            \
    EACH out[j] = larger(x[j], (Y));  \
    break;                            \
  case CDL_BINARY_MINIMUM:            \
    EACH out[j] = smaller(x[j], (Y)); \
    break;                            \
  }

static void binary_map(cdl_binary_function function, float *out, const float *x, const float *y,
                       int64_t n)
{
  BINARY_SWITCH(y[j])
}

static void binary_scalar_map(cdl_binary_function function, float *out, const float *x, float y,
                              int64_t n)
{
  BINARY_SWITCH(y)
}

static void axpby_map(float *out, const float *x, float alpha, float beta, int64_t n)
{
  if (beta == 0.0f) {
    EACH out[j] = alpha * x[j];
  } else if (alpha == 1.0f && beta == 1.0f) {
    EACH out[j] += x[j];
  } else {
    EACH out[j] = alpha * x[j] + beta * out[j];
  }
}

static bool all_finite_map(const float *x, int64_t n)
{
  int bad = 0;
#pragma omp simd reduction(| : bad)
  for (int64_t j = 0; j < n; j++)
    bad |= (bits_of_float(x[j]) & 0x7f800000u) == 0x7f800000u;
  return bad == 0;
}

static void adamw_map(const cpu_adamw_scalars *scalars, float *parameter, float *moment1,
                      float *moment2, const float *gradient, int64_t n)
{
  const cpu_adamw_scalars s = *scalars;
  const float pace = s.rate / s.correction1, spread = 1.0f / s.root_correction2;
  EACH
  {
    const float g = gradient[j] * s.grad_scale;
    const float m = s.beta1 * moment1[j] + s.rest1 * g;
    const float v = s.beta2 * moment2[j] + s.rest2 * g * g;
    moment1[j] = m;
    moment2[j] = v;
    parameter[j] = parameter[j] * s.decay_factor - pace * m / (sqrtf(v) * spread + s.epsilon);
  }
}

static void bias_activation_rows(cdl_activation activation, cpu_rows out, cpu_rows pre, cpu_rows x,
                                 const float *bias, int64_t rows, int64_t n)
{
  for (int64_t i = 0; i < rows; i++) {
    float *to = out.data + i * out.stride;
    float *kept = pre.data != NULL ? pre.data + i * pre.stride : to;
    const float *from = x.data + i * x.stride;
    if (bias != NULL) {
      EACH kept[j] = from[j] + bias[j];
    } else if (kept != from) {
      EACH kept[j] = from[j];
    }
    if (activation != CDL_ACTIVATION_NONE)
      activation_map(activation, to, kept, n);
    else if (kept != to)
      EACH to[j] = kept[j];
  }
}

/* ---- Types ---- */

static void f32_to_bf16_map(cdl_bf16 *out, const float *x, int64_t n)
{
  EACH out[j].bits = base_bf16_round(x[j]);
}

static void bf16_to_f32_map(float *out, const cdl_bf16 *x, int64_t n)
{
  EACH out[j] = base_bf16_widen(x[j].bits);
}

static void f32_to_f64_map(double *out, const float *x, int64_t n)
{
  EACH out[j] = (double)x[j];
}

static void f64_to_f32_map(float *out, const double *x, int64_t n)
{
  EACH out[j] = (float)x[j];
}

/* ---- Dropout ---- */

/* Gives the words of the blocks [first, first + 16), four per block, of Philox 4x32-10. */
static void philox_words(const cpu_mask *mask, uint32_t first, uint32_t *restrict words)
{
  const uint32_t k0 = mask->key[0], k1 = mask->key[1], example = mask->example, step = mask->step,
                 place = mask->place;
#pragma omp simd
  for (uint32_t lane = 0; lane < 16; lane++) {
    uint32_t c0 = first + lane, c1 = example, c2 = step, c3 = place;
#pragma GCC unroll 10
    for (uint32_t round = 0; round < 10; round++) {
      const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
      const uint32_t high0 = (uint32_t)(p0 >> 32), high1 = (uint32_t)(p1 >> 32);
      c0 = high1 ^ c1 ^ (k0 + round * 0x9E3779B9u);
      c2 = high0 ^ c3 ^ (k1 + round * 0xBB67AE85u);
      c1 = (uint32_t)p1;
      c3 = (uint32_t)p0;
    }
    words[4 * lane] = c0;
    words[4 * lane + 1] = c1;
    words[4 * lane + 2] = c2;
    words[4 * lane + 3] = c3;
  }
}

static void dropout_map(const cpu_mask *mask, float *out, const float *x, uint64_t first,
                        int64_t count)
{
  uint32_t words[64];
  const uint32_t threshold = mask->threshold;
  const float scale = mask->scale;
  int64_t skip = (int64_t)(first % 4);
  for (int64_t done = 0; done < count; skip = 0) {
    philox_words(mask, (uint32_t)((first + (uint64_t)done) / 4), words);
    const int64_t n = count - done < 64 - skip ? count - done : 64 - skip;
    const uint32_t *word = words + skip;
    EACH out[done + j] = word[j] >= threshold ? x[done + j] * scale : 0.0f;
    done += n;
  }
}

#endif
