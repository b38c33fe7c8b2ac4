/* Every op's arithmetic in float64, on dense arrays, as ops.h defines it. Where an op has a
 * gradient, mode `grad` holds the gradient here against central differences of the forward
 * function here. */
#ifndef CONDLORA_TESTS_CONFORMANCE_REFERENCE_H
#define CONDLORA_TESTS_CONFORMANCE_REFERENCE_H

#include "condlora/ops.h"

/* Philox4x32-10 (Salmon et al. 2011, section 3.3). */
void philox(const uint32_t key[2], const uint32_t counter[4], uint32_t words[4]);
/* Whether element e of an example is kept. */
bool dropout_keeps(const cdl_step_record *record, double probability, uint32_t purpose,
                   uint32_t layer, uint32_t example, uint64_t element);

/* op(a)[m, k] op(b)[k, n] of one batch: sums, and where not NULL the sums of |p| and of p² of
 * their terms p. */
typedef struct {
  int64_t m, n, k;
  bool transpose_a, transpose_b;
} gemm_shape;
void gemm_reference(const gemm_shape *g, const double *a, const double *b, double *sum,
                    double *absolute, double *squares);

double activation_value(cdl_activation activation, double x);
double activation_slope(cdl_activation activation, double x);
const char *activation_name(cdl_activation activation);
/* Errors of u in a gate of the activation, or in its slope, grow to this many u in the result. */
double activation_error(cdl_activation activation, double x);
double activation_slope_error(cdl_activation activation, double x);

void softmax_reference(int64_t n, const double *x, double scale, double *out);
void softmax_grad_reference(int64_t n, const double *d_out, const double *out, double scale,
                            double *d_x);

/* One row; bounds are in units of u, without c. */
typedef struct {
  double mean, rstd;
  double mean_error, rstd_error;
} norm_row;
norm_row norm_statistics(int64_t n, const double *x, const double *extra_error, double epsilon);
/* d_x of one row from given statistics, without the sums over rows. */
void norm_grad_row(int64_t n, const double *d_out, const double *x, const double *gain, double mean,
                   double rstd, double *d_x);

/* Of all rows: the loss without scale, and its gradient. weight may be NULL, as may d_logits. */
double cross_entropy_reference(int64_t rows, int64_t classes, const double *logits,
                               const double *labels, const double *weight, double smoothing,
                               double *d_logits);

/* Packed attention. keep[h] (total of length² over sequences, heads side by side within a sequence
 * as dropout's elements are) holds 0 or 1/(1 − p), or is NULL. */
typedef struct {
  int sequences, heads, d;
  const int32_t *offsets;
  double scale;
  const double *keep;
  int64_t rest;       /* rows past the last offset: zeros in out and d_qkv, log_sum left alone */
  const double *bias; /* [heads, distances] or NULL */
  int64_t distances;
} attention_shape;
/* Errors may be NULL: error[·] in units of u, without c. log_sum is [heads, tokens]. */
void attention_reference(const attention_shape *s, const double *qkv, double *out, double *log_sum,
                         double *error, double *log_sum_error);
void attention_grad_reference(const attention_shape *s, const double *qkv, const double *d_out,
                              double *d_qkv, double *error);
/* Adds to d_bias [heads, distances]. */
void attention_bias_reference(const attention_shape *s, const double *qkv, const double *d_out,
                              double *d_bias, double *error);
/* What BF16 adds to errors of the three, absolutely. `out` or `d_bias` may be NULL, and d_out and
 * d_qkv together. */
typedef struct {
  double *out, *d_qkv, *d_bias;
} narrow_errors;
void attention_narrow_errors(const attention_shape *s, const double *qkv, const double *d_out,
                             const narrow_errors *error);
/* Σ length² · heads: elements of all score matrices. */
int64_t attention_scores(const attention_shape *s);

/* Singular values, descending, of a [m, n] by one-sided Jacobi rotations; eigenvalues, ascending,
 * of a symmetric [n, n] by two-sided ones. */
void singular_values(int64_t m, int64_t n, const double *a, double *sigma);
void symmetric_eigenvalues(int64_t n, const double *a, double *values);

#endif
