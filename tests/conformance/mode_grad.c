/* Mode `grad`: gradients against central differences of the forward function in float64, so that
 * neither the device's gradients nor the reference's own rest on a derivation made once. The
 * objective is Σ d_out ∘ f(θ). */
#include <math.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/reference.h"
#include "tests/conformance/suite.h"

typedef double objective(const void *context, const double *theta);

/* Five points: the error is h⁴/30 of the fifth derivative, and rounding's 2⁻⁵³ |f| 3/2 h⁻¹. */
static void differences(objective *f, const void *context, double *theta, int64_t n,
                        double *gradient)
{
  static const double h = 1e-3;
  for (int64_t i = 0; i < n; i++) {
    const double at = theta[i];
    double value[4];
    for (int k = 0; k < 4; k++) {
      theta[i] = at + h * (k < 2 ? k - 2 : k - 1);
      value[k] = f(context, theta);
    }
    theta[i] = at;
    gradient[i] = (value[0] - 8 * value[1] + 8 * value[2] - value[3]) / (12 * h);
  }
}

static double largest(const double *values, int64_t n)
{
  double most = 0;
  for (int64_t i = 0; i < n; i++)
    most = fmax(most, fabs(values[i]));
  return most;
}

/* `reference` and what the device left in `got` against differences; `length` is that of the
 * longest sum. */
static void judge(trial *t, objective *f, const void *context, double *theta, const operand *got,
                  const double *reference, double length)
{
  const int64_t n = got->count;
  double *numeric = trial_doubles(t, n);
  differences(f, context, theta, n, numeric);
  const double size = largest(numeric, n) + 1e-3, truncation = 2e-9 * (size + 1);
  double reference_error = 0, device_error = 0;
  for (int64_t i = 0; i < n; i++) {
    reference_error = fmax(reference_error, fabs(reference[i] - numeric[i]));
    device_error =
        isnan(got->result[i]) ? INFINITY : fmax(device_error, fabs(got->result[i] - numeric[i]));
  }
  char what[96];
  snprintf(what, sizeof what, "%s of the float64 reference against differences", got->name);
  trial_judge(t, what, reference_error, truncation);
  if (!t->ran)
    return;
  snprintf(what, sizeof what, "%s of the backend against differences", got->name);
  const double c = bound_constant((cdl_op)t->self->op);
  trial_judge(t, what, device_error,
              4 * c * product_roundoff((cdl_op)t->self->op) * sqrt(length) * size + truncation);
}

/* ---- Elementwise and rows ---- */

typedef struct {
  int64_t rows, columns;
  cdl_activation activation;
  double scale, epsilon;
  const double *d_out, *x, *gain, *bias, *a, *b;
} context;

static double activated(const void *p, const double *theta)
{
  const context *c = p;
  double sum = 0;
  for (int64_t i = 0; i < c->columns; i++)
    sum += c->d_out[i] * activation_value(c->activation, theta[i]);
  return sum;
}

static void unary_grad(trial *t, const void *parameters)
{
  const cdl_activation *activation = parameters;
  operand *x = trial_operand(t, "x", ROLE_IN, CDL_DTYPE_F32, shape_1d(67), LAYOUT_OFFSET);
  operand *d_out = trial_operand(t, "d_out", ROLE_IN, CDL_DTYPE_F32, shape_1d(67), LAYOUT_DENSE);
  operand *d_x = trial_operand(t, "d_x", ROLE_OUT, CDL_DTYPE_F32, shape_1d(67), LAYOUT_DENSE);
  fill_normal(t, x, 2);
  for (int64_t i = 0; i < 67; i++) /* away from the kink at 0 */
    x->value[i] += copysign(0.01, x->value[i]);
  operand_settle(x);
  fill_normal(t, d_out, 1);
  trial_run(t, CDL_ARGS(unary_grad, .d_x = d_x->view, .d_out = d_out->view, .x = x->view,
                        .activation = *activation));
  const context c = {.columns = 67, .activation = *activation, .d_out = d_out->value};
  double *reference = trial_doubles(t, 67);
  for (int64_t i = 0; i < 67; i++)
    reference[i] = d_out->value[i] * activation_slope(*activation, x->value[i]);
  judge(t, activated, &c, x->value, d_x, reference, 1);
}

static double softened(const void *p, const double *theta)
{
  const context *c = p;
  double out[64], sum = 0;
  for (int64_t r = 0; r < c->rows; r++) {
    softmax_reference(c->columns, theta + r * c->columns, c->scale, out);
    for (int64_t i = 0; i < c->columns; i++)
      sum += c->d_out[r * c->columns + i] * out[i];
  }
  return sum;
}

static void softmax_grad(trial *t, const void *parameters)
{
  const float *scale = parameters;
  enum { ROWS = 5, COLUMNS = 23 };
  double x[ROWS * COLUMNS];
  operand *out =
      trial_operand(t, "out", ROLE_IN, CDL_DTYPE_F32, shape_2d(ROWS, COLUMNS), LAYOUT_ROWS);
  operand *d_out =
      trial_operand(t, "d_out", ROLE_IN, CDL_DTYPE_F32, shape_2d(ROWS, COLUMNS), LAYOUT_DENSE);
  operand *d_x =
      trial_operand(t, "d_x", ROLE_OUT, CDL_DTYPE_F32, shape_2d(ROWS, COLUMNS), LAYOUT_DENSE);
  fill_normal(t, d_out, 1);
  double *reference = trial_doubles(t, ROWS * COLUMNS);
  for (int i = 0; i < ROWS * COLUMNS; i++)
    x[i] = random_normal(&t->random);
  for (int r = 0; r < ROWS; r++) {
    softmax_reference(COLUMNS, x + r * COLUMNS, (double)*scale, out->value + r * COLUMNS);
    softmax_grad_reference(COLUMNS, d_out->value + r * COLUMNS, out->value + r * COLUMNS,
                           (double)*scale, reference + r * COLUMNS);
  }
  operand_settle(out);
  trial_run(t, CDL_ARGS(softmax_grad, .d_x = d_x->view, .d_out = d_out->view, .out = out->view,
                        .scale = *scale));
  const context c = {
      .rows = ROWS, .columns = COLUMNS, .scale = (double)*scale, .d_out = d_out->value};
  judge(t, softened, &c, x, d_x, reference, COLUMNS);
}

/* θ is x; or with x given, gain; or with gain given too, bias. */
static double normalized(const void *p, const double *theta)
{
  const context *c = p;
  const double *x = c->x == NULL ? theta : c->x, *gain = c->gain == NULL ? theta : c->gain,
               *bias = c->bias == NULL ? theta : c->bias;
  double sum = 0;
  for (int64_t r = 0; r < c->rows; r++) {
    const norm_row s = norm_statistics(c->columns, x + r * c->columns, NULL, c->epsilon);
    for (int64_t i = 0; i < c->columns; i++)
      sum += c->d_out[r * c->columns + i] *
             ((x[r * c->columns + i] - s.mean) * s.rstd * gain[i] + bias[i]);
  }
  return sum;
}

static void layer_norm_grad(trial *t, const void *parameters)
{
  (void)parameters;
  enum { ROWS = 7, COLUMNS = 19 };
  const shape size = shape_2d(ROWS, COLUMNS);
  operand *x = trial_operand(t, "x", ROLE_IN, CDL_DTYPE_F32, size, LAYOUT_ROWS),
          *d_out = trial_operand(t, "d_out", ROLE_IN, CDL_DTYPE_F32, size, LAYOUT_DENSE);
  operand *gain = trial_operand(t, "gain", ROLE_IN, CDL_DTYPE_F32, shape_1d(COLUMNS), LAYOUT_DENSE);
  operand *mean = trial_operand(t, "mean", ROLE_IN, CDL_DTYPE_F32, shape_1d(ROWS), LAYOUT_DENSE);
  operand *rstd = trial_operand(t, "rstd", ROLE_IN, CDL_DTYPE_F32, shape_1d(ROWS), LAYOUT_DENSE);
  operand *d_x = trial_operand(t, "d_x", ROLE_OUT, CDL_DTYPE_F32, size, LAYOUT_COLUMNS);
  operand *d_gain =
      trial_operand(t, "d_gain", ROLE_INOUT, CDL_DTYPE_F32, shape_1d(COLUMNS), LAYOUT_DENSE);
  operand *d_bias =
      trial_operand(t, "d_bias", ROLE_INOUT, CDL_DTYPE_F32, shape_1d(COLUMNS), LAYOUT_DENSE);
  fill_normal(t, x, 1);
  fill_normal(t, d_out, 1);
  fill_normal(t, gain, 1);
  fill_normal(t, d_gain, 0);
  fill_normal(t, d_bias, 0);
  const context c = {.rows = ROWS, .columns = COLUMNS, .epsilon = 1e-5, .d_out = d_out->value};
  double *want = trial_doubles(t, ROWS * COLUMNS), *want_gain = trial_doubles(t, COLUMNS),
         *want_bias = trial_doubles(t, COLUMNS);
  for (int r = 0; r < ROWS; r++) {
    const norm_row s = norm_statistics(COLUMNS, x->value + r * COLUMNS, NULL, c.epsilon);
    mean->value[r] = s.mean;
    rstd->value[r] = s.rstd;
    norm_grad_row(COLUMNS, d_out->value + r * COLUMNS, x->value + r * COLUMNS, gain->value, s.mean,
                  s.rstd, want + r * COLUMNS);
    for (int i = 0; i < COLUMNS; i++) {
      want_gain[i] += d_out->value[r * COLUMNS + i] * (x->value[r * COLUMNS + i] - s.mean) * s.rstd;
      want_bias[i] += d_out->value[r * COLUMNS + i];
    }
  }
  operand_settle(mean);
  operand_settle(rstd);
  trial_run(t, CDL_ARGS(layer_norm_grad, .d_x = d_x->view, .d_gain = d_gain->view,
                        .d_bias = d_bias->view, .d_out = d_out->view, .x = x->view,
                        .gain = gain->view, .mean = mean->view, .rstd = rstd->view));
  double *bias = trial_doubles(t, COLUMNS);
  context by_x = c, by_gain = c, by_bias = c;
  by_x.gain = gain->value;
  by_x.bias = bias;
  by_gain.x = by_bias.x = x->value;
  by_gain.bias = bias;
  by_bias.gain = gain->value;
  judge(t, normalized, &by_x, x->value, d_x, want, COLUMNS);
  judge(t, normalized, &by_gain, gain->value, d_gain, want_gain, ROWS);
  judge(t, normalized, &by_bias, bias, d_bias, want_bias, ROWS);
}

/* ---- Losses ---- */

typedef struct {
  int64_t rows, classes;
  const double *labels, *weight;
  double smoothing, scale;
} classified;

static double entropy(const void *p, const double *theta)
{
  const classified *c = p;
  return c->scale * cross_entropy_reference(c->rows, c->classes, theta, c->labels, c->weight,
                                            c->smoothing, NULL);
}

static void cross_entropy(trial *t, const void *parameters)
{
  const float *smoothing = parameters;
  enum { ROWS = 9, CLASSES = 6 };
  operand *logits =
      trial_operand(t, "logits", ROLE_IN, CDL_DTYPE_F32, shape_2d(ROWS, CLASSES), LAYOUT_DENSE);
  operand *labels =
      trial_operand(t, "labels", ROLE_IN, CDL_DTYPE_I32, shape_1d(ROWS), LAYOUT_DENSE);
  operand *weight =
      trial_operand(t, "class_weight", ROLE_IN, CDL_DTYPE_F32, shape_1d(CLASSES), LAYOUT_DENSE);
  operand *step = trial_step(t, (cdl_step_record){.loss_scale = 0.125F});
  operand *d = trial_operand(t, "d_logits", ROLE_OUT, CDL_DTYPE_F32, shape_2d(ROWS, CLASSES),
                             LAYOUT_COLUMNS);
  fill_normal(t, logits, 2);
  fill_integers(t, labels, 0, CLASSES - 1);
  fill_uniform(t, weight, 0.2, 2);
  trial_run(t, CDL_ARGS(cross_entropy, .d_logits = d->view, .logits = logits->view,
                        .labels = labels->view, .class_weight = weight->view, .step = step->view,
                        .label_smoothing = *smoothing));
  const classified c = {ROWS, CLASSES, labels->value, weight->value, (double)*smoothing, 0.125};
  double *reference = trial_doubles(t, ROWS * CLASSES);
  cross_entropy_reference(ROWS, CLASSES, logits->value, labels->value, weight->value, c.smoothing,
                          reference);
  for (int i = 0; i < ROWS * CLASSES; i++)
    reference[i] *= c.scale;
  judge(t, entropy, &c, logits->value, d, reference, CLASSES);
}

/* Σ scale (w y softplus(−x) + (1 − y) softplus(x)), of x = θ; y are d_out, w is x of the context */
static double labels_loss(const void *p, const double *theta)
{
  const context *c = p;
  double sum = 0;
  for (int64_t i = 0; i < c->columns; i++) {
    const double y = c->d_out[i], w = c->x[i % 5];
    sum += c->scale * (w * y * log1p(exp(-theta[i])) + (1 - y) * log1p(exp(theta[i])));
  }
  return sum;
}

static void binary_cross_entropy(trial *t, const void *parameters)
{
  (void)parameters;
  enum { LABELS = 5, COUNT = 6 * LABELS };
  const shape n = shape_2d(COUNT / LABELS, LABELS);
  operand *logits = trial_operand(t, "logits", ROLE_IN, CDL_DTYPE_F32, n, LAYOUT_ROWS);
  operand *targets = trial_operand(t, "targets", ROLE_IN, CDL_DTYPE_F32, n, LAYOUT_OFFSET);
  operand *weight =
      trial_operand(t, "pos_weight", ROLE_IN, CDL_DTYPE_F32, shape_1d(LABELS), LAYOUT_DENSE);
  operand *step = trial_step(t, (cdl_step_record){.loss_scale = 0.25F});
  operand *d = trial_operand(t, "d_logits", ROLE_OUT, CDL_DTYPE_F32, n, LAYOUT_DENSE);
  fill_normal(t, logits, 2);
  fill_uniform(t, targets, 0, 1);
  fill_uniform(t, weight, 0.5, 3);
  trial_run(t, CDL_ARGS(binary_cross_entropy, .d_logits = d->view, .logits = logits->view,
                        .targets = targets->view, .pos_weight = weight->view, .step = step->view));
  const context c = {.columns = COUNT, .scale = 0.25, .x = weight->value, .d_out = targets->value};
  double *reference = trial_doubles(t, COUNT);
  for (int i = 0; i < COUNT; i++) {
    const double x = logits->value[i], y = targets->value[i];
    reference[i] = 0.25 * ((1 - y) / (1 + exp(-x)) - weight->value[i % LABELS] * y / (1 + exp(x)));
  }
  judge(t, labels_loss, &c, logits->value, d, reference, 1);
}

static double squared(const void *p, const double *theta)
{
  const context *c = p;
  double sum = 0;
  for (int64_t i = 0; i < c->columns; i++)
    sum += c->scale * (theta[i] - c->x[i]) * (theta[i] - c->x[i]);
  return sum;
}

static void squared_error(trial *t, const void *parameters)
{
  (void)parameters;
  operand *out = trial_operand(t, "out", ROLE_IN, CDL_DTYPE_F32, shape_1d(31), LAYOUT_DENSE);
  operand *target = trial_operand(t, "target", ROLE_IN, CDL_DTYPE_F32, shape_1d(31), LAYOUT_OFFSET);
  operand *step = trial_step(t, (cdl_step_record){.loss_scale = 0.25F});
  operand *d = trial_operand(t, "d_out", ROLE_OUT, CDL_DTYPE_F32, shape_1d(31), LAYOUT_DENSE);
  fill_normal(t, out, 1);
  fill_normal(t, target, 1);
  trial_run(t, CDL_ARGS(squared_error, .d_out = d->view, .out = out->view, .target = target->view,
                        .step = step->view));
  const context c = {.columns = 31, .scale = 0.25, .x = target->value};
  double *reference = trial_doubles(t, 31);
  for (int i = 0; i < 31; i++)
    reference[i] = 0.5 * (out->value[i] - target->value[i]);
  judge(t, squared, &c, out->value, d, reference, 1);
}

/* ---- Linear maps ---- */

enum { N = 5, IN = 7, OUT = 6, RANK = 2 };

/* Σ d_out ∘ f(θ) Wᵀ */
static double through_linear(const void *p, const double *theta)
{
  const context *c = p;
  double sum = 0;
  for (int i = 0; i < N; i++)
    for (int o = 0; o < OUT; o++)
      for (int k = 0; k < IN; k++)
        sum += c->d_out[i * OUT + o] * activation_value(c->activation, theta[i * IN + k]) *
               c->x[o * IN + k];
  return sum;
}

static void linear_grad(trial *t, const void *parameters)
{
  const cdl_activation *activation = parameters;
  operand *source =
      trial_operand(t, "source", ROLE_IN, CDL_DTYPE_F32, shape_2d(OUT, IN), LAYOUT_ROWS);
  fill_normal(t, source, 1);
  cdl_weight *weight = trial_weight(t, &source, 1);
  operand *d_out =
      trial_operand(t, "d_out", ROLE_IN, CDL_DTYPE_F32, shape_2d(N, OUT), LAYOUT_DENSE);
  operand *pre = trial_operand(t, "pre", ROLE_IN, CDL_DTYPE_F32, shape_2d(N, IN), LAYOUT_DENSE);
  operand *d_x = trial_operand(t, "d_x", ROLE_OUT, CDL_DTYPE_F32, shape_2d(N, IN), LAYOUT_COLUMNS);
  fill_normal(t, d_out, 1);
  fill_normal(t, pre, 1);
  for (int i = 0; i < N * IN; i++)
    pre->value[i] += copysign(0.01, pre->value[i]);
  operand_settle(pre);
  const bool any = *activation != CDL_ACTIVATION_NONE;
  if (weight != NULL)
    trial_run(t, CDL_ARGS(linear_grad, .d_x = d_x->view, .d_out = d_out->view,
                          .pre = any ? pre->view : (cdl_tensor){0}, .weight = weight,
                          .activation = *activation));
  const context c = {.activation = *activation, .d_out = d_out->value, .x = source->value};
  double *reference = trial_doubles(t, N * IN);
  gemm_reference(&(gemm_shape){N, IN, OUT, false, false}, d_out->value, source->value, reference,
                 NULL, NULL);
  for (int i = 0; i < N * IN; i++)
    reference[i] *= activation_slope(*activation, pre->value[i]);
  judge(t, through_linear, &c, pre->value, d_x, reference, OUT);
}

/* Σ d_out ∘ scale x Aᵀ Bᵀ, θ whichever of x, a, b is not given. */
static double through_low_rank(const void *p, const double *theta)
{
  const context *c = p;
  const double *x = c->x == NULL ? theta : c->x, *a = c->a == NULL ? theta : c->a,
               *b = c->b == NULL ? theta : c->b;
  double sum = 0;
  for (int i = 0; i < N; i++)
    for (int r = 0; r < RANK; r++) {
      double hidden = 0;
      for (int k = 0; k < IN; k++)
        hidden += x[i * IN + k] * a[r * IN + k];
      for (int o = 0; o < OUT; o++)
        sum += c->scale * c->d_out[i * OUT + o] * hidden * b[o * RANK + r];
    }
  return sum;
}

static void low_rank_grad(trial *t, const void *parameters)
{
  (void)parameters;
  operand *x = trial_operand(t, "x", ROLE_IN, CDL_DTYPE_F32, shape_2d(N, IN), LAYOUT_DENSE);
  operand *a = trial_operand(t, "a", ROLE_IN, CDL_DTYPE_F32, shape_2d(RANK, IN), LAYOUT_DENSE);
  operand *b = trial_operand(t, "b", ROLE_IN, CDL_DTYPE_F32, shape_2d(OUT, RANK), LAYOUT_DENSE);
  operand *hidden =
      trial_operand(t, "hidden", ROLE_IN, CDL_DTYPE_F32, shape_2d(N, RANK), LAYOUT_DENSE);
  operand *d_out =
      trial_operand(t, "d_out", ROLE_IN, CDL_DTYPE_F32, shape_2d(N, OUT), LAYOUT_DENSE);
  operand *d_x = trial_operand(t, "d_x", ROLE_INOUT, CDL_DTYPE_F32, shape_2d(N, IN), LAYOUT_DENSE);
  operand *d_a =
      trial_operand(t, "d_a", ROLE_INOUT, CDL_DTYPE_F32, shape_2d(RANK, IN), LAYOUT_DENSE);
  operand *d_b =
      trial_operand(t, "d_b", ROLE_INOUT, CDL_DTYPE_F32, shape_2d(OUT, RANK), LAYOUT_DENSE);
  operand *const all[] = {x, a, b, d_out, d_x, d_a, d_b};
  for (int i = 0; i < 7; i++)
    fill_normal(t, all[i], i < 4 ? 1 : 0);
  gemm_reference(&(gemm_shape){N, RANK, IN, false, true}, x->value, a->value, hidden->value, NULL,
                 NULL);
  double *exact = trial_doubles(t, N * RANK), *du = trial_doubles(t, N * RANK);
  for (int i = 0; i < N * RANK; i++)
    exact[i] = hidden->value[i];
  operand_settle(hidden);
  trial_run(t, CDL_ARGS(low_rank_grad, .d_x = d_x->view, .d_a = d_a->view, .d_b = d_b->view,
                        .d_out = d_out->view, .hidden = hidden->view, .x = x->view, .a = a->view,
                        .b = b->view, .scale = 0.75F));
  double *want = trial_doubles(t, N * IN + RANK * IN + OUT * RANK);
  gemm_reference(&(gemm_shape){N, RANK, OUT, false, false}, d_out->value, b->value, du, NULL, NULL);
  for (int i = 0; i < N * RANK; i++) {
    du[i] *= 0.75;
    exact[i] *= 0.75;
  }
  const context c = {
      .scale = 0.75, .d_out = d_out->value, .x = x->value, .a = a->value, .b = b->value};
  context by_x = c, by_a = c, by_b = c;
  by_x.x = by_a.a = by_b.b = NULL;
  gemm_reference(&(gemm_shape){N, IN, RANK, false, false}, du, a->value, want, NULL, NULL);
  judge(t, through_low_rank, &by_x, x->value, d_x, want, OUT * RANK);
  gemm_reference(&(gemm_shape){RANK, IN, N, true, false}, du, x->value, want, NULL, NULL);
  judge(t, through_low_rank, &by_a, a->value, d_a, want, OUT * N);
  gemm_reference(&(gemm_shape){OUT, RANK, N, true, false}, d_out->value, exact, want, NULL, NULL);
  judge(t, through_low_rank, &by_b, b->value, d_b, want, IN * N);
}

/* ---- Attention ---- */

typedef struct {
  attention_shape shape;
  const double *d_out;
  double *out, *log_sum;
  int64_t count;
} attended;

static double through_attention(const void *p, const double *theta)
{
  const attended *a = p;
  double sum = 0;
  attention_reference(&a->shape, theta, a->out, a->log_sum, NULL, NULL);
  for (int64_t i = 0; i < a->count; i++)
    sum += a->d_out[i] * a->out[i];
  return sum;
}

/* The same with theta as the bias. */
typedef struct {
  attended attended;
  const double *qkv;
} biased;

static double through_bias(const void *p, const double *theta)
{
  const biased *b = p;
  attended a = b->attended;
  a.shape.bias = theta;
  return through_attention(&a, b->qkv);
}

static void attention_grad(trial *t, const void *parameters)
{
  const float *probability = parameters;
  enum { HEADS = 2, D = 3, DISTANCES = 7 };
  const int32_t lengths[] = {1, 5, 2, 7};
  const cdl_packing packing = trial_packing(t, lengths, 4);
  const int64_t tokens = packing.tokens, width = HEADS * D;
  const cdl_step_record record = {.step = 3, .seed = {11, 12}};
  operand *step = trial_step(t, record);
  operand *qkv =
      trial_operand(t, "qkv", ROLE_IN, CDL_DTYPE_F32, shape_2d(tokens, 3 * width), LAYOUT_ROWS);
  operand *d_out =
      trial_operand(t, "d_out", ROLE_IN, CDL_DTYPE_F32, shape_2d(tokens, width), LAYOUT_DENSE);
  operand *log_sum =
      trial_operand(t, "log_sum", ROLE_IN, CDL_DTYPE_F32, shape_2d(HEADS, tokens), LAYOUT_DENSE);
  operand *d_qkv = trial_operand(t, "d_qkv", ROLE_OUT, CDL_DTYPE_F32, shape_2d(tokens, 3 * width),
                                 LAYOUT_COLUMNS);
  operand *bias =
      trial_operand(t, "bias", ROLE_IN, CDL_DTYPE_F32, shape_2d(HEADS, DISTANCES), LAYOUT_ROWS);
  operand *d_bias = trial_operand(t, "d_bias", ROLE_INOUT, CDL_DTYPE_F32,
                                  shape_2d(HEADS, DISTANCES), LAYOUT_OFFSET);
  operand_settle(d_bias);
  fill_normal(t, qkv, 1);
  fill_normal(t, d_out, 1);
  fill_normal(t, bias, 1);
  attended a = {{4, HEADS, D, packing.host_offsets, 0.5, NULL, 0, bias->value, DISTANCES},
                d_out->value,
                trial_doubles(t, tokens * width),
                trial_doubles(t, HEADS * tokens),
                tokens * width};
  double *keep = trial_doubles(t, attention_scores(&a.shape)), *at = keep;
  for (int s = 0; s < 4; s++)
    for (int e = 0; e < HEADS * lengths[s] * lengths[s]; e++)
      *at++ = dropout_keeps(&record, (double)*probability, 2, 1, (uint32_t)packing.host_examples[s],
                            (uint64_t)e)
                  ? 1 / (1 - (double)*probability)
                  : 0;
  a.shape.keep = *probability > 0 ? keep : NULL;
  attention_reference(&a.shape, qkv->value, a.out, log_sum->value, NULL, NULL);
  operand_settle(log_sum);
  trial_run(t, CDL_ARGS(attention_grad, .d_qkv = d_qkv->view, .d_out = d_out->view,
                        .qkv = qkv->view, .log_sum = log_sum->view, .packing = &packing,
                        .heads = HEADS, .scale = 0.5F, .mask = {*probability, 2, 1, step->view},
                        .bias = bias->view, .d_bias = d_bias->view));
  double *reference = trial_doubles(t, d_qkv->count);
  attention_grad_reference(&a.shape, qkv->value, d_out->value, reference, NULL);
  judge(t, through_attention, &a, qkv->value, d_qkv, reference, 7 * D);
  double *of_bias = trial_doubles(t, HEADS * DISTANCES),
         *unused = trial_doubles(t, HEADS * DISTANCES);
  attention_bias_reference(&a.shape, qkv->value, d_out->value, of_bias, unused);
  const biased b = {a, qkv->value};
  judge(t, through_bias, &b, bias->value, d_bias, of_bias, 4 * 7 * D);
}

void register_grad(suite *s)
{
  for (int a = CDL_ACTIVATION_NONE; a <= (int)CDL_ACTIVATION_MISH; a++) {
    const cdl_activation activation = (cdl_activation)a;
    ADD(s, unary_grad, CDL_DTYPE_F32, CASE_GRAD, unary_grad, &activation, "%s",
        activation_name(activation));
    ADD(s, linear_grad, CDL_DTYPE_F32, CASE_GRAD, linear_grad, &activation, "%s",
        activation_name(activation));
  }
  static const float scales[] = {1, 0.25F}, smoothings[] = {0, 0.1F, 1},
                     probabilities[] = {0, 0.3F};
  for (size_t k = 0; k < 2; k++)
    ADD(s, softmax_grad, CDL_DTYPE_F32, CASE_GRAD, softmax_grad, &scales[k], "scale %g",
        (double)scales[k]);
  suite_add(s, CDL_OP_layer_norm_grad, NULL, CDL_DTYPE_F32, CASE_GRAD, layer_norm_grad, NULL, 0,
            "d_x, d_gain, d_bias");
  for (size_t k = 0; k < 3; k++)
    ADD(s, cross_entropy, CDL_DTYPE_F32, CASE_GRAD, cross_entropy, &smoothings[k],
        "class weights, smoothing %g", (double)smoothings[k]);
  suite_add(s, CDL_OP_binary_cross_entropy, NULL, CDL_DTYPE_F32, CASE_GRAD, binary_cross_entropy,
            NULL, 0, "d_logits");
  suite_add(s, CDL_OP_squared_error, NULL, CDL_DTYPE_F32, CASE_GRAD, squared_error, NULL, 0,
            "d_out");
  suite_add(s, CDL_OP_low_rank_grad, NULL, CDL_DTYPE_F32, CASE_GRAD, low_rank_grad, NULL, 0,
            "d_x, d_a, d_b");
  for (size_t k = 0; k < 2; k++)
    ADD(s, attention_grad, CDL_DTYPE_F32, CASE_GRAD, attention_grad, &probabilities[k], "p %g",
        (double)probabilities[k]);
}
