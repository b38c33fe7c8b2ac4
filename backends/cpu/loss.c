#include "backends/cpu/walk.h"

#include <math.h>

/* Losses are over a batch's rows: small, so one thread and doubles suffice. */

static float *element(cdl_tensor t, int64_t row)
{
  return cpu_floats(t) + cpu_row_start(&t, row / t.size[3]) + row % t.size[3];
}

/* Returns log Σ exp of a row. */
static double log_sum_exp(const float *x, int64_t n)
{
  double most = -INFINITY, sum = 0.0;
  for (int64_t j = 0; j < n; j++)
    most = (double)x[j] > most ? (double)x[j] : most;
  if (isinf(most))
    most = 0.0;
  for (int64_t j = 0; j < n; j++)
    sum += exp((double)x[j] - most);
  return most + log(sum);
}

/* Returns one row's loss and writes its gradient, times `scale`, to d_logits unless that is NULL.
 * With targets t_c = (1 − ε) [c = y] w_y + ε/C w_c: loss = Σ_c t_c (−log p_c), gradient = p_c Σ t −
 * t_c. */
static double cross_entropy_row(const cdl_cross_entropy_args *a, int64_t row, double scale,
                                float *d_logits)
{
  const int64_t classes = a->logits.size[3];
  const float *logits = cpu_floats(a->logits) + row * a->logits.stride[2];
  const float *weight = cpu_floats_or_null(a->class_weight);
  const int32_t label = cpu_ints(a->labels)[row];
  const double smoothing = (double)a->label_smoothing, log_sum = log_sum_exp(logits, classes);
  double loss = 0.0, total = 0.0;
  for (int64_t c = 0; c < classes; c++) {
    const double w = weight != NULL ? (double)weight[c] : 1.0;
    const double target = w * ((c == label ? 1.0 - smoothing : 0.0) + smoothing / (double)classes);
    if (target != 0.0)
      loss += target * (log_sum - (double)logits[c]);
    total += target;
  }
  for (int64_t c = 0; d_logits != NULL && c < classes; c++) {
    const double w = weight != NULL ? (double)weight[c] : 1.0;
    const double target = w * ((c == label ? 1.0 - smoothing : 0.0) + smoothing / (double)classes);
    d_logits[c] = (float)(scale * (exp((double)logits[c] - log_sum) * total - target));
  }
  return loss;
}

cdl_status cpu_cross_entropy(void *queue, const cdl_cross_entropy_args *a)
{
  (void)queue;
  const double scale = (double)cpu_step(a->step)->loss_scale;
  double loss = 0.0;
  for (int64_t row = 0; row < a->logits.size[2]; row++)
    loss += cross_entropy_row(a, row, scale,
                              cdl_tensor_present(a->d_logits)
                                  ? cpu_floats(a->d_logits) + row * a->d_logits.stride[2]
                                  : NULL);
  if (cdl_tensor_present(a->loss))
    *cpu_floats(a->loss) += (float)(scale * loss);
  return CDL_STATUS_OK;
}

/* ln(1 + eˣ), exact for any x. */
static double softplus(double x)
{
  return fmax(x, 0) + log1p(exp(-fabs(x)));
}

/* Returns one row's loss and writes its gradient, times `scale`, to d_logits unless it is NULL. */
static double binary_cross_entropy_row(const cdl_binary_cross_entropy_args *a, int64_t row,
                                       double scale, float *d_logits)
{
  const float *logits = cpu_floats(a->logits) + row * a->logits.stride[2];
  const float *targets = cpu_floats(a->targets) + row * a->targets.stride[2];
  const float *weight = cpu_floats_or_null(a->pos_weight);
  double loss = 0.0;
  for (int64_t c = 0; c < a->logits.size[3]; c++) {
    const double x = (double)logits[c], hit = (double)targets[c], rest = 1.0 - hit,
                 weighted = weight != NULL ? (double)weight[c] * hit : hit;
    if (weighted != 0.0)
      loss += weighted * softplus(-x);
    if (rest != 0.0)
      loss += rest * softplus(x);
    if (d_logits != NULL)
      d_logits[c] = (float)(scale * (rest / (1.0 + exp(-x)) - weighted / (1.0 + exp(x))));
  }
  return loss;
}

cdl_status cpu_binary_cross_entropy(void *queue, const cdl_binary_cross_entropy_args *a)
{
  (void)queue;
  const double scale = (double)cpu_step(a->step)->loss_scale;
  double loss = 0.0;
  for (int64_t row = 0; row < a->logits.size[2]; row++)
    loss += binary_cross_entropy_row(a, row, scale,
                                     cdl_tensor_present(a->d_logits)
                                         ? cpu_floats(a->d_logits) + row * a->d_logits.stride[2]
                                         : NULL);
  if (cdl_tensor_present(a->loss))
    *cpu_floats(a->loss) += (float)(scale * loss);
  return CDL_STATUS_OK;
}

cdl_status cpu_squared_error(void *queue, const cdl_squared_error_args *a)
{
  (void)queue;
  const double scale = (double)cpu_step(a->step)->loss_scale;
  const int64_t rows = cdl_tensor_elements(a->out);
  double loss = 0.0;
  for (int64_t row = 0; row < rows; row++) {
    const double difference = (double)*element(a->out, row) - (double)*element(a->target, row);
    loss += difference * difference;
    if (cdl_tensor_present(a->d_out))
      *element(a->d_out, row) = (float)(2.0 * scale * difference);
  }
  if (cdl_tensor_present(a->loss))
    *cpu_floats(a->loss) += (float)(scale * loss);
  return CDL_STATUS_OK;
}
