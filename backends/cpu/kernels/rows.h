/* Sums, and rows that depend on their own sums. Partial sums run in fixed lanes, so each vector set
 * has its own order of addition. */
#ifndef CONDLORA_BACKENDS_CPU_KERNELS_ROWS_H
#define CONDLORA_BACKENDS_CPU_KERNELS_ROWS_H

#include "backends/cpu/kernels/maps.h"

#define EACH_SUM(...) \
  _Pragma(PRAGMA_TEXT(omp simd reduction(__VA_ARGS__))) for (int64_t j = 0; j < n; j++)
#define PRAGMA_TEXT(...) #__VA_ARGS__

static float sum_row(const float *x, int64_t n)
{
  float sum = 0.0f;
  EACH_SUM(+ : sum) sum += x[j];
  return sum;
}

static float sum_squares_row(const float *x, int64_t n)
{
  float sum = 0.0f;
  EACH_SUM(+ : sum) sum += x[j] * x[j];
  return sum;
}

static double sum_squares_double_row(const float *x, int64_t n)
{
  double sum = 0.0;
  EACH_SUM(+ : sum) sum += (double)x[j] * (double)x[j];
  return sum;
}

static float dot_row(const float *x, const float *y, int64_t n)
{
  float sum = 0.0f;
  EACH_SUM(+ : sum) sum += x[j] * y[j];
  return sum;
}

/* Returns the largest scale · x, ignoring NaN; −∞ for no elements. The lanes are written out,
 * because not every compiler vectorizes a maximum. */
static inline float largest_of(const float *x, float scale, int64_t n)
{
  enum { LANES = 16 };
  float most[LANES];
  for (int l = 0; l < LANES; l++)
    most[l] = -INFINITY;
  int64_t j = 0;
  for (; j + LANES <= n; j += LANES)
#pragma omp simd
    for (int l = 0; l < LANES; l++) {
      const float value = scale * x[j + l];
      most[l] = value > most[l] ? value : most[l];
    }
  for (int l = 0; j < n; j++, l++) {
    const float value = scale * x[j];
    most[l] = value > most[l] ? value : most[l];
  }
  for (int half = LANES / 2; half > 0; half /= 2)
#pragma omp simd
    for (int l = 0; l < half; l++)
      most[l] = most[l + half] > most[l] ? most[l + half] : most[l];
  return most[0];
}

static inline int has_nan(const float *x, int64_t n)
{
  int nan = 0;
  EACH_SUM(| : nan) nan |= x[j] != x[j];
  return nan;
}

static float maximum_row(const float *x, int64_t n)
{
  return has_nan(x, n) ? NAN : largest_of(x, 1.0f, n);
}

static void add_row_map(cdl_reduce_function function, float *out, const float *x, int64_t n)
{
  switch (function) {
  case CDL_REDUCE_SUM:
    EACH out[j] += x[j];
    break;
  case CDL_REDUCE_SUM_SQUARES:
    EACH out[j] += x[j] * x[j];
    break;
  case CDL_REDUCE_MAXIMUM:
    EACH out[j] = larger(x[j], out[j]);
    break;
  }
}

static float softmax_row(float *out, const float *x, float scale, int64_t n)
{
  const float most = largest_of(x, scale, n);
  if (most == -INFINITY) { /* only −∞ and NaN */
    const float all = has_nan(x, n) ? NAN : 0.0f;
    EACH out[j] = all;
    return all == 0.0f ? -INFINITY : NAN;
  }
  float sum = 0.0f;
  EACH_SUM(+ : sum)
  {
    const float e = exp_nonpositive(scale * x[j] - most);
    out[j] = e;
    sum += e;
  }
  const float factor = 1.0f / sum;
  EACH out[j] *= factor;
  return most + logf(sum);
}

static void softmax_again_row(float *x, float scale, float log_sum, int64_t n)
{
  if (log_sum == -INFINITY) {
    EACH x[j] = 0.0f;
    return;
  }
  /* The rounding of log_sum would scale the whole row, and the gradient is a difference that
   * cancels. So the row is normalized to a sum of one again. */
  float sum = 0.0f;
  EACH_SUM(+ : sum)
  {
    const float e = exp_nonpositive(scale * x[j] - log_sum);
    x[j] = e;
    sum += e;
  }
  const float factor = 1.0f / sum;
  EACH x[j] *= factor;
}

static void softmax_grad_known_row(float *d_x, const float *d_out, const float *out, float scale,
                                   float inner, int64_t n)
{
  EACH d_x[j] = scale * out[j] * (d_out[j] - inner);
}

static void softmax_grad_row(float *d_x, const float *d_out, const float *out, float scale,
                             int64_t n)
{
  softmax_grad_known_row(d_x, d_out, out, scale, dot_row(d_out, out, n), n);
}

static void layer_norm_one(const cpu_layer_norm_rows *a, int64_t i)
{
  const int64_t n = a->columns;
  const float *x = a->x.data + i * a->x.stride;
  float *out = a->out.data + i * a->out.stride;
  float sum = 0.0f;
  if (a->residual.data != NULL) {
    const float *residual = a->residual.data + i * a->residual.stride;
    float *kept = a->sum.data != NULL ? a->sum.data + i * a->sum.stride : out;
    EACH_SUM(+ : sum)
    {
      const float s = x[j] + residual[j];
      kept[j] = s;
      sum += s;
    }
    x = kept;
  } else {
    sum = sum_row(x, n);
  }
  const float mean = sum / (float)n;
  float squares = 0.0f;
  EACH_SUM(+ : squares)
  {
    const float centred = x[j] - mean;
    squares += centred * centred;
  }
  const float rstd = 1.0f / sqrtf(squares / (float)n + a->epsilon);
  const float *gain = a->gain, *bias = a->bias;
  EACH out[j] = (x[j] - mean) * rstd * gain[j] + bias[j];
  if (a->mean != NULL)
    a->mean[i] = mean;
  if (a->rstd != NULL)
    a->rstd[i] = rstd;
}

static void layer_norm_rows(const cpu_layer_norm_rows *a)
{
  for (int64_t i = 0; i < a->rows; i++)
    layer_norm_one(a, i);
}

/* With x̂ = (x − mean) rstd and g = d_out ∘ gain: d_x = rstd (g − mean(g) − x̂ mean(g ∘ x̂)). */
static void layer_norm_grad_rows(const cpu_layer_norm_grad_rows *a)
{
  const int64_t n = a->columns;
  const float *gain = a->gain;
  for (int64_t i = 0; i < a->rows; i++) {
    const float *x = a->x.data + i * a->x.stride, *d_out = a->d_out.data + i * a->d_out.stride;
    const float mean = a->mean[i], rstd = a->rstd[i];
    if (a->d_gain != NULL) {
      float *d_gain = a->d_gain;
      EACH d_gain[j] += d_out[j] * ((x[j] - mean) * rstd);
    }
    if (a->d_bias != NULL) {
      float *d_bias = a->d_bias;
      EACH d_bias[j] += d_out[j];
    }
    if (a->d_x.data == NULL)
      continue;
    float sum = 0.0f, inner = 0.0f;
    EACH_SUM(+ : sum, inner)
    {
      const float g = d_out[j] * gain[j];
      sum += g;
      inner += g * ((x[j] - mean) * rstd);
    }
    const float mean_g = sum / (float)n, mean_inner = inner / (float)n;
    float *d_x = a->d_x.data + i * a->d_x.stride;
    EACH d_x[j] = rstd * (d_out[j] * gain[j] - mean_g - (x[j] - mean) * rstd * mean_inner);
  }
}

/* ---- int8 ---- */

static float f32_to_int8_row(int8_t *out, const float *x, int64_t n)
{
  const uint32_t infinity = 0x7f800000u;
  const float rounder = 0x1.8p23f; /* adding it rounds to an integer, ties to even */
  uint32_t most = 0;               /* sizes of floats are in the order of their bits */
  EACH_SUM(max : most)
  {
    const uint32_t size = bits_of_float(x[j]) & 0x7fffffffu;
    most = size > most ? size : most;
  }
  const float scale = float_of_bits(most) / 127.0f;
  if (most >= infinity || scale == 0.0f) {
    EACH out[j] = 0;
    return most >= infinity ? NAN : 0.0f;
  }
  EACH
  {
    const float steps = (x[j] / scale + rounder) - rounder;
    const int32_t whole = (int32_t)steps;
    out[j] = (int8_t)(whole > 127 ? 127 : whole < -127 ? -127 : whole);
  }
  return scale;
}

static void scale_int32_row(float *x, float scale, const float *scales, int64_t n)
{
  EACH x[j] = (float)(int32_t)bits_of_float(x[j]) * (scale * scales[j]);
}

#endif
