/* linear and linear_grad, with weights of one and of several sources. */
#include <math.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/reference.h"
#include "tests/conformance/suite.h"

typedef struct {
  int64_t rows, in, out[3];
  int sources;
  layout x, y, w;
  cdl_activation activation;
  bool bias, pre, accumulate;
  bool narrow_bias; /* beside BF16 activations: the bias is BF16 too */
} linear;

typedef struct {
  operand *sources[3];
  cdl_weight *weight;
  double *stacked; /* [out, in] */
  int64_t out;
} weights;

static weights make_weights(trial *t, const linear *l)
{
  weights w = {.out = 0};
  for (int i = 0; i < l->sources; i++) {
    w.sources[i] =
        trial_operand(t, "source", ROLE_IN, CDL_DTYPE_F32, shape_2d(l->out[i], l->in), l->w);
    fill_normal(t, w.sources[i], 0.3);
    w.out += l->out[i];
  }
  w.stacked = trial_doubles(t, w.out * l->in);
  double *to = w.stacked;
  for (int i = 0; i < l->sources; i++)
    for (int64_t k = 0; k < w.sources[i]->count; k++)
      *to++ = w.sources[i]->value[k];
  w.weight = trial_weight(t, w.sources, l->sources);
  return w;
}

static cdl_tensor view_or_none(const operand *o)
{
  return o == NULL ? (cdl_tensor){0} : o->view;
}

static const char *bias_name(const linear *l)
{
  return !l->bias ? "" : l->narrow_bias ? ", bias of BF16" : ", bias";
}

static void linear_case(trial *t, const void *parameters)
{
  const linear *l = parameters;
  const weights w = make_weights(t, l);
  operand *x = trial_operand(t, "x", ROLE_IN, t->dtype, shape_2d(l->rows, l->in), l->x);
  operand *bias =
      l->bias ? trial_operand(t, "bias", ROLE_IN, l->narrow_bias ? CDL_DTYPE_BF16 : CDL_DTYPE_F32,
                              shape_1d(w.out), LAYOUT_OFFSET)
              : NULL;
  operand *pre =
      l->pre ? trial_operand(t, "pre", ROLE_OUT, t->dtype, shape_2d(l->rows, w.out), l->y) : NULL;
  operand *out = trial_operand(t, "out", ROLE_OUT, t->dtype, shape_2d(l->rows, w.out), l->y);
  fill_normal(t, x, 1);
  if (bias != NULL)
    fill_normal(t, bias, 1);
  if (w.weight == NULL)
    return;
  if (cdl_weight_rows(w.weight) != w.out || cdl_weight_columns(w.weight) != l->in)
    trial_fail(t, "the weight's size is not [out, in]");
  if (!trial_run(t, CDL_ARGS(linear, .out = out->view, .pre = view_or_none(pre), .x = x->view,
                             .bias = view_or_none(bias), .weight = w.weight,
                             .activation = l->activation)))
    return;
  double *sum = trial_doubles(t, out->count), *bound = trial_doubles(t, out->count);
  double *want = trial_doubles(t, out->count), *want_bound = trial_doubles(t, out->count);
  const gemm_shape g = {l->rows, w.out, l->in, false, true};
  gemm_reference(&g, x->value, w.stacked, sum, NULL, bound);
  const double c = bound_constant(CDL_OP_linear) * unit_roundoff(CDL_DTYPE_F32);
  for (int64_t i = 0; i < out->count; i++) {
    const double added = bias == NULL ? 0 : bias->value[i % w.out];
    const double error =
        product_growth(CDL_OP_linear, (double)l->in, bound[i], sum[i]) + fabs(sum[i]) + fabs(added);
    /* a product and a bias may be rounded before they are added */
    const double stored = storing_error(t->dtype, sum[i]) + storing_error(t->dtype, added) +
                          storing_error(t->dtype, sum[i] + added);
    sum[i] += added;
    want[i] = activation_value(l->activation, sum[i]);
    bound[i] = c * error + smallest_normal(CDL_DTYPE_F32) + stored;
    /* no slope of these activations exceeds 1.13; at the kink of RELU it is that of either side */
    want_bound[i] = c * (1.13 * error + activation_error(l->activation, sum[i]) + fabs(want[i])) +
                    smallest_normal(CDL_DTYPE_F32) + 1.13 * stored +
                    storing_error(t->dtype, want[i]);
  }
  trial_compare(t, out, want, want_bound);
  if (pre != NULL)
    trial_compare(t, pre, sum, bound);
}

static void linear_grad_case(trial *t, const void *parameters)
{
  const linear *l = parameters;
  const weights w = make_weights(t, l);
  const bool activated = l->activation != CDL_ACTIVATION_NONE;
  operand *d_out = trial_operand(t, "d_out", ROLE_IN, t->dtype, shape_2d(l->rows, w.out), l->x);
  operand *pre =
      activated ? trial_operand(t, "pre", ROLE_IN, t->dtype, shape_2d(l->rows, l->in), l->y) : NULL;
  operand *d_x = trial_operand(t, "d_x", l->accumulate ? ROLE_INOUT : ROLE_OUT, t->dtype,
                               shape_2d(l->rows, l->in), l->y);
  fill_normal(t, d_out, 1);
  if (activated)
    fill_normal(t, pre, 2);
  if (l->accumulate)
    fill_normal(t, d_x, 1);
  if (w.weight == NULL)
    return;
  if (!trial_run(t, CDL_ARGS(linear_grad, .d_x = d_x->view, .d_out = d_out->view,
                             .pre = view_or_none(pre), .weight = w.weight,
                             .activation = l->activation, .accumulate = l->accumulate)))
    return;
  double *want = trial_doubles(t, d_x->count), *bound = trial_doubles(t, d_x->count);
  const gemm_shape g = {l->rows, l->in, w.out, false, false};
  gemm_reference(&g, d_out->value, w.stacked, want, NULL, bound);
  const double c = bound_constant(CDL_OP_linear_grad) * unit_roundoff(CDL_DTYPE_F32);
  for (int64_t i = 0; i < d_x->count; i++) {
    const double before = l->accumulate ? d_x->value[i] : 0,
                 slope = activated ? activation_slope(l->activation, pre->value[i]) : 1;
    const double slope_error = activated ? activation_slope_error(l->activation, pre->value[i]) : 0;
    bound[i] =
        c * (fabs(slope) * (product_growth(CDL_OP_linear_grad, (double)w.out, bound[i], want[i]) +
                            2 * fabs(want[i])) +
             fabs(want[i]) * slope_error + fabs(before)) +
        smallest_normal(CDL_DTYPE_F32) + fabs(slope) * storing_error(t->dtype, want[i]);
    want[i] = slope * want[i] + before;
    bound[i] += storing_error(t->dtype, want[i]);
  }
  trial_compare(t, d_x, want, bound);
}

static void draw_linear(trial *t, void *parameters)
{
  linear *l = parameters;
  random_source *r = &t->random;
  *l = (linear){.rows = random_size(r, 150), .sources = (int)random_integer(r, 1, 3)};
  l->in = random_size(r, 200);
  l->in += l->in == 0;
  for (int i = 0; i < l->sources; i++)
    l->out[i] = random_integer(r, 1, 90);
  l->x = random_layout(r);
  l->y = random_layout(r);
  l->w = random_layout(r);
  l->activation = (cdl_activation)random_integer(r, 0, CDL_ACTIVATION_MISH);
  l->bias = random_chance(r, 0.6);
  l->narrow_bias = t->dtype == CDL_DTYPE_BF16 && random_chance(r, 0.5);
  l->pre = random_chance(r, 0.5);
  l->accumulate = l->activation == CDL_ACTIVATION_NONE && random_chance(r, 0.5);
  trial_describe(t, "%dx%d to %d+%d+%d, %s%s%s%s, %s from %s, weights %s", (int)l->rows, (int)l->in,
                 (int)l->out[0], (int)l->out[1], (int)l->out[2], activation_name(l->activation),
                 bias_name(l), l->pre ? ", pre" : "", l->accumulate ? ", added" : "",
                 layout_name(l->y), layout_name(l->x), layout_name(l->w));
}

static void register_dtype(suite *s, cdl_dtype dtype)
{
  suite_add_random(s, CDL_OP_linear, dtype, draw_linear, linear_case, sizeof(linear));
  suite_add_random(s, CDL_OP_linear_grad, dtype, draw_linear, linear_grad_case, sizeof(linear));
  static const linear cases[] = {
      {.rows = 1, .in = 1, .out = {1}, .sources = 1},
      {.rows = 5, .in = 7, .out = {3}, .sources = 1, .bias = true, .x = LAYOUT_ROWS},
      {.rows = 13,
       .in = 31,
       .out = {17, 17, 17},
       .sources = 3,
       .bias = true,
       .pre = true,
       .y = LAYOUT_COLUMNS,
       .w = LAYOUT_COLUMNS},
      {.rows = 129,
       .in = 257,
       .out = {131},
       .sources = 1,
       .bias = true,
       .pre = true,
       .x = LAYOUT_COLUMNS,
       .w = LAYOUT_ROWS},
      {.rows = 67,
       .in = 64,
       .out = {64, 32, 1},
       .sources = 3,
       .pre = true,
       .x = LAYOUT_OFFSET,
       .w = LAYOUT_OFFSET},
      {.rows = 300, .in = 384, .out = {384, 384}, .sources = 2, .bias = true},
      {.rows = 0, .in = 8, .out = {8}, .sources = 1, .bias = true},
      {.rows = 1, .in = 768, .out = {2}, .sources = 1, .bias = true},
  };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
    for (int a = CDL_ACTIVATION_NONE; a <= (int)CDL_ACTIVATION_MISH; a++) {
      if (k != 2 && k != 3 && a > CDL_ACTIVATION_GELU &&
          (size_t)a % 8 != k) /* every activation twice, two of them everywhere */
        continue;
      linear l = cases[k];
      l.activation = (cdl_activation)a;
      l.pre = l.pre || a % 2 == 1;
      l.narrow_bias = dtype == CDL_DTYPE_BF16 && (k + (size_t)a / 2) % 2 == 0;
      ADD(s, linear, dtype, 0, linear_case, &l, "%dx%d to %d+%d+%d, %s%s%s, %s from %s",
          (int)l.rows, (int)l.in, (int)l.out[0], (int)l.out[1], (int)l.out[2],
          activation_name(l.activation), bias_name(&l), l.pre ? ", pre" : "", layout_name(l.y),
          layout_name(l.x));
      for (int accumulate = 0; accumulate < (a == CDL_ACTIVATION_NONE ? 2 : 1); accumulate++) {
        l.accumulate = accumulate != 0;
        ADD(s, linear_grad, dtype, 0, linear_grad_case, &l, "%dx%d to %d+%d+%d, %s%s, %s from %s",
            (int)l.rows, (int)l.in, (int)l.out[0], (int)l.out[1], (int)l.out[2],
            activation_name(l.activation), l.accumulate ? ", added" : "", layout_name(l.y),
            layout_name(l.x));
      }
    }
  const linear large = {.rows = 880,
                        .in = 384,
                        .out = {1536},
                        .sources = 1,
                        .bias = true,
                        .pre = true,
                        .activation = CDL_ACTIVATION_GELU};
  ADD(s, linear, dtype, CASE_LARGE, linear_case, &large, "880x384 to 1536, gelu");
  ADD(s, linear_grad, dtype, CASE_LARGE, linear_grad_case, &large, "880x384 to 1536, gelu");
}

void register_linear(suite *s)
{
  register_dtype(s, CDL_DTYPE_F32);
  register_dtype(s, CDL_DTYPE_BF16);
}
