#include "tests/conformance/reference.h"

#include <math.h>
#include <stdlib.h>

#include "tests/conformance/bounds.h"

void philox(const uint32_t key[2], const uint32_t counter[4], uint32_t words[4])
{
  uint32_t k0 = key[0], k1 = key[1];
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  for (int round = 0; round < 10; round++) {
    const uint64_t left = (uint64_t)0xd2511f53u * c0;
    const uint64_t right = (uint64_t)0xcd9e8d57u * c2;
    const uint32_t n0 = (uint32_t)(right >> 32) ^ c1 ^ k0;
    const uint32_t n2 = (uint32_t)(left >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)right;
    c3 = (uint32_t)left;
    c0 = n0;
    c2 = n2;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

bool dropout_keeps(const cdl_step_record *record, double probability, uint32_t purpose,
                   uint32_t layer, uint32_t example, uint64_t element)
{
  const uint32_t counter[4] = {(uint32_t)(element / 4), example, record->step,
                               purpose << 24 | layer};
  uint32_t words[4];
  philox(record->seed, counter, words);
  return (double)words[element % 4] >= floor(probability * 0x1p32 + 0.5);
}

void gemm_reference(const gemm_shape *g, const double *a, const double *b, double *sum,
                    double *absolute, double *squares)
{
  const int64_t a_row = g->transpose_a ? 1 : g->k, a_column = g->transpose_a ? g->m : 1;
  const int64_t b_row = g->transpose_b ? 1 : g->n, b_column = g->transpose_b ? g->k : 1;
  for (int64_t i = 0; i < g->m * g->n; i++) {
    sum[i] = 0;
    if (absolute != NULL)
      absolute[i] = 0;
    if (squares != NULL)
      squares[i] = 0;
  }
  for (int64_t i = 0; i < g->m; i++) {
    double *row = sum + i * g->n;
    double *row_absolute = absolute == NULL ? NULL : absolute + i * g->n;
    double *row_squares = squares == NULL ? NULL : squares + i * g->n;
    for (int64_t l = 0; l < g->k; l++) {
      const double factor = a[i * a_row + l * a_column];
      const double *column = b + l * b_row;
      for (int64_t j = 0; j < g->n; j++)
        row[j] += factor * column[j * b_column];
      for (int64_t j = 0; j < g->n && row_absolute != NULL; j++)
        row_absolute[j] += fabs(factor * column[j * b_column]);
      for (int64_t j = 0; j < g->n && row_squares != NULL; j++)
        row_squares[j] += factor * column[j * b_column] * (factor * column[j * b_column]);
    }
  }
}

/* ---- Activations ---- */

static double sigmoid(double x)
{
  return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static double softplus(double x)
{
  return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static const double gelu_tanh_factor = 0.79788456080286535588; /* √(2/π) */

double activation_value(cdl_activation activation, double x)
{
  switch (activation) {
  case CDL_ACTIVATION_NONE:
    return x;
  case CDL_ACTIVATION_GELU:
    return x * 0.5 * erfc(-x * 0.70710678118654752440);
  case CDL_ACTIVATION_GELU_TANH:
    return x / 2 * (1 + tanh(gelu_tanh_factor * (x + 0.044715 * x * x * x)));
  case CDL_ACTIVATION_GELU_QUICK:
    return x * sigmoid(1.702 * x);
  case CDL_ACTIVATION_RELU:
    return isnan(x) || x > 0 ? x : 0;
  case CDL_ACTIVATION_SILU:
    return x * sigmoid(x);
  case CDL_ACTIVATION_TANH:
    return tanh(x);
  case CDL_ACTIVATION_SIGMOID:
    return sigmoid(x);
  case CDL_ACTIVATION_MISH:
    return x * tanh(softplus(x));
  }
  return NAN;
}

double activation_slope(cdl_activation activation, double x)
{
  switch (activation) {
  case CDL_ACTIVATION_NONE:
    return 1;
  case CDL_ACTIVATION_GELU:
    return 0.5 * erfc(-x * 0.70710678118654752440) + x * 0.39894228040143267794 * exp(-x * x / 2);
  case CDL_ACTIVATION_GELU_TANH: {
    const double t = tanh(gelu_tanh_factor * (x + 0.044715 * x * x * x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * gelu_tanh_factor * (1 + 3 * 0.044715 * x * x);
  }
  case CDL_ACTIVATION_GELU_QUICK: {
    const double s = sigmoid(1.702 * x);
    return s + 1.702 * x * s * sigmoid(-1.702 * x);
  }
  case CDL_ACTIVATION_RELU:
    return isnan(x) ? x : x > 0 ? 1 : 0;
  case CDL_ACTIVATION_SILU:
    return sigmoid(x) * (1 + x * sigmoid(-x));
  case CDL_ACTIVATION_TANH: {
    const double t = tanh(x);
    return (1 - t) * (1 + t);
  }
  case CDL_ACTIVATION_SIGMOID:
    return sigmoid(x) * sigmoid(-x);
  case CDL_ACTIVATION_MISH: {
    const double t = tanh(softplus(x));
    return t + x * (1 - t) * (1 + t) * sigmoid(x);
  }
  }
  return NAN;
}

const char *activation_name(cdl_activation activation)
{
  static const char *const names[] = {"none", "gelu", "gelu_tanh", "gelu_quick", "relu",
                                      "silu", "tanh", "sigmoid",   "mish"};
  return names[activation];
}

double activation_error(cdl_activation activation, double x)
{
  switch (activation) {
  case CDL_ACTIVATION_NONE:
  case CDL_ACTIVATION_RELU:
    return 0;
  case CDL_ACTIVATION_TANH:
    return fmin(1, fabs(x));
  case CDL_ACTIVATION_SIGMOID:
    return 1;
  case CDL_ACTIVATION_GELU:
  case CDL_ACTIVATION_GELU_TANH:
  case CDL_ACTIVATION_GELU_QUICK:
  case CDL_ACTIVATION_SILU:
  case CDL_ACTIVATION_MISH:
    return fabs(x); /* x times a gate between 0 and 1 */
  }
  return 0;
}

double activation_slope_error(cdl_activation activation, double x)
{
  const double size = fmin(fabs(x), 1e6);
  switch (activation) {
  case CDL_ACTIVATION_NONE:
  case CDL_ACTIVATION_RELU:
    return 0;
  case CDL_ACTIVATION_TANH:
  case CDL_ACTIVATION_SIGMOID:
  case CDL_ACTIVATION_GELU:
    return 1;
  case CDL_ACTIVATION_GELU_TANH: /* 1 − t² errs by 2 u before it meets x times a square */
    return 1 + size * (1 + 0.134145 * size * size);
  case CDL_ACTIVATION_GELU_QUICK:
  case CDL_ACTIVATION_SILU:
  case CDL_ACTIVATION_MISH:
    return 1 + 2 * size;
  }
  return 0;
}

/* ---- Rows ---- */

void softmax_reference(int64_t n, const double *x, double scale, double *out)
{
  double largest = -INFINITY, sum = 0;
  for (int64_t i = 0; i < n; i++)
    if (isnan(x[i]) || scale * x[i] > largest)
      largest = isnan(largest) ? largest : scale * x[i];
  for (int64_t i = 0; i < n; i++) {
    out[i] = largest == -INFINITY ? 0 : exp(scale * x[i] - largest);
    sum += out[i];
  }
  for (int64_t i = 0; i < n; i++)
    out[i] = largest == -INFINITY ? 0 : out[i] / sum;
}

void softmax_grad_reference(int64_t n, const double *d_out, const double *out, double scale,
                            double *d_x)
{
  double sum = 0;
  for (int64_t i = 0; i < n; i++)
    sum += d_out[i] * out[i];
  for (int64_t i = 0; i < n; i++)
    d_x[i] = scale * out[i] * (d_out[i] - sum);
}

norm_row norm_statistics(int64_t n, const double *x, const double *extra_error, double epsilon)
{
  const double count = (double)n;
  double sum = 0, squares = 0, extra = 0;
  for (int64_t i = 0; i < n; i++) {
    sum += x[i];
    squares += x[i] * x[i];
    extra += extra_error == NULL ? 0 : extra_error[i];
  }
  norm_row row = {.mean = sum / count};
  row.mean_error = sum_growth(count, squares, sum) / count + fabs(row.mean) + extra / count;
  double variance = 0, fourth = 0, shift = 0;
  for (int64_t i = 0; i < n; i++) {
    const double difference = x[i] - row.mean;
    const double error = row.mean_error + fabs(x[i]) + (extra_error == NULL ? 0 : extra_error[i]);
    variance += difference * difference;
    fourth += difference * difference * difference * difference;
    /* to second order where the difference itself is no more than rounding */
    shift += error * (2 * fabs(difference) + error * unit_roundoff(CDL_DTYPE_F32) * 8);
  }
  const double variance_error =
      (sum_growth(count, fourth, variance) + shift) / count + variance / count;
  row.rstd = 1 / sqrt(variance / count + epsilon);
  row.rstd_error = row.rstd + 0.5 * row.rstd * row.rstd * row.rstd * variance_error;
  return row;
}

void norm_grad_row(int64_t n, const double *d_out, const double *x, const double *gain, double mean,
                   double rstd, double *d_x)
{
  double first = 0, second = 0;
  for (int64_t i = 0; i < n; i++) {
    first += gain[i] * d_out[i];
    second += gain[i] * d_out[i] * (x[i] - mean) * rstd;
  }
  for (int64_t i = 0; i < n; i++)
    d_x[i] =
        rstd * (gain[i] * d_out[i] - first / (double)n - (x[i] - mean) * rstd * second / (double)n);
}

double cross_entropy_reference(int64_t rows, int64_t classes, const double *logits,
                               const double *labels, const double *weight, double smoothing,
                               double *d_logits)
{
  double loss = 0, all_weights = 0;
  for (int64_t c = 0; c < classes; c++)
    all_weights += weight == NULL ? 1 : weight[c];
  for (int64_t i = 0; i < rows; i++) {
    const double *row = logits + i * classes;
    const int64_t label = (int64_t)labels[i];
    const double label_weight = weight == NULL ? 1 : weight[label];
    double largest = row[0], sum = 0;
    for (int64_t c = 1; c < classes; c++)
      largest = row[c] > largest ? row[c] : largest;
    for (int64_t c = 0; c < classes; c++)
      sum += exp(row[c] - largest);
    const double log_sum = largest + log(sum);
    const double total = (1 - smoothing) * label_weight + smoothing / (double)classes * all_weights;
    loss += (1 - smoothing) * label_weight * (log_sum - row[label]);
    for (int64_t c = 0; c < classes; c++) {
      const double class_weight = weight == NULL ? 1 : weight[c];
      loss += smoothing / (double)classes * class_weight * (log_sum - row[c]);
      if (d_logits != NULL)
        d_logits[i * classes + c] = total * exp(row[c] - log_sum) -
                                    smoothing / (double)classes * class_weight -
                                    (c == label ? (1 - smoothing) * label_weight : 0);
    }
  }
  return loss;
}
