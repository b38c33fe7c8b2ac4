/* unary, unary_grad, binary, axpby, any_non_finite. */
#include <math.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/reference.h"
#include "tests/conformance/suite.h"

typedef struct {
  shape n;
  layout out, x, y;
  int function;
  cdl_activation activation;
  unsigned repeat;  /* dimensions in which y has size 1 */
  bool stride_zero; /* … or x stride 0 */
  bool in_place, special, wide;
  float alpha, beta;
} elementwise;

static const shape shapes[] = {
    {{1, 1, 1, 1}}, {{1, 1, 5, 7}}, {{1, 1, 1, 131}}, {{2, 3, 5, 17}},
    {{1, 1, 0, 8}}, {{1, 1, 8, 0}}, {{1, 1, 127, 1}}, {{1, 1, 67, 1031}},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static const char *unary_name(int function)
{
  static const char *const names[] = {"activation", "absolute", "square",    "square_root",
                                      "exp",        "log",      "reciprocal"};
  return names[function];
}

static double unary_value(const elementwise *e, double x)
{
  switch ((cdl_unary_function)e->function) {
  case CDL_UNARY_ACTIVATION:
    return activation_value(e->activation, x);
  case CDL_UNARY_ABSOLUTE:
    return fabs(x);
  case CDL_UNARY_SQUARE:
    return x * x;
  case CDL_UNARY_SQUARE_ROOT:
    return sqrt(x);
  case CDL_UNARY_EXP:
    return exp(x);
  case CDL_UNARY_LOG:
    return log(x);
  case CDL_UNARY_RECIPROCAL:
    return 1 / x;
  }
  return NAN;
}

static double unary_error(const elementwise *e, double x, double y)
{
  if (e->function == CDL_UNARY_ACTIVATION)
    return activation_error(e->activation, x);
  return e->function == CDL_UNARY_ABSOLUTE ? 0 : fabs(y);
}

/* Infinity is left out where the formula itself says infinity · 0. */
static void fill_argument(trial *t, operand *x, const elementwise *e)
{
  static const double specials[] = {0,     -0.0,   NAN, 1e30, -1e30, 100, -100, 20, -20,
                                    1e-30, -1e-30, 9,   -9,   4,     -4,  88,   -87};
  static const double ends[] = {INFINITY, -INFINITY};
  if (e->wide || e->function == CDL_UNARY_ABSOLUTE || e->function == CDL_UNARY_SQUARE ||
      e->function == CDL_UNARY_RECIPROCAL)
    fill_scales(t, x);
  else if (e->function == CDL_UNARY_SQUARE_ROOT || e->function == CDL_UNARY_LOG)
    fill_uniform(t, x, 0, 4);
  else
    fill_normal(t, x, 2.5);
  const bool gate = e->function == CDL_UNARY_ACTIVATION && e->activation != CDL_ACTIVATION_NONE &&
                    e->activation != CDL_ACTIVATION_RELU && e->activation != CDL_ACTIVATION_TANH &&
                    e->activation != CDL_ACTIVATION_SIGMOID;
  for (int64_t i = 0; e->special && i < x->count && i < 17; i++)
    x->value[i] = specials[i];
  for (int64_t i = 17; e->special && !gate && i < x->count && i < 19; i++)
    x->value[i] = ends[i - 17];
  operand_settle(x);
}

/* A device may flush what is not normal. */
static double overflow(double value)
{
  return fabs(value) > 3.4028235677973366e38 ? copysign(INFINITY, value) : value;
}

static void unary_case(trial *t, const void *parameters)
{
  const elementwise *e = parameters;
  operand *x = trial_operand(t, "x", e->in_place ? ROLE_INOUT : ROLE_IN, t->dtype, e->n, e->x);
  operand *out = e->in_place ? x : trial_operand(t, "out", ROLE_OUT, t->dtype, e->n, e->out);
  fill_argument(t, x, e);
  double *want = trial_doubles(t, x->count), *bound = trial_doubles(t, x->count);
  for (int64_t i = 0; i < x->count; i++) {
    want[i] = overflow(unary_value(e, x->value[i]));
    const double error = unary_error(e, x->value[i], want[i]);
    bound[i] = error == 0 ? 0
                          : bound_constant(CDL_OP_unary) * unit_roundoff(CDL_DTYPE_F32) * error +
                                smallest_normal(CDL_DTYPE_F32) + storing_error(t->dtype, want[i]);
  }
  if (trial_run(t,
                CDL_ARGS(unary, .out = out->view, .x = x->view,
                         .function = (cdl_unary_function)e->function, .activation = e->activation)))
    trial_compare(t, out, want, bound);
}

static void unary_grad_case(trial *t, const void *parameters)
{
  const elementwise *e = parameters;
  operand *x = trial_operand(t, "x", ROLE_IN, t->dtype, e->n, e->x);
  operand *d_out =
      trial_operand(t, "d_out", e->in_place ? ROLE_INOUT : ROLE_IN, t->dtype, e->n, e->y);
  operand *d_x = e->in_place ? d_out : trial_operand(t, "d_x", ROLE_OUT, t->dtype, e->n, e->out);
  fill_normal(t, x, 2.5);
  static const double specials[] = {NAN, 1e4, -1e4, 20, -20, 100, -100, 1e-30};
  for (int64_t i = 0; e->special && i < x->count && i < 8; i++)
    x->value[i] = specials[i];
  operand_settle(x);
  fill_normal(t, d_out, 1);
  double *want = trial_doubles(t, x->count), *bound = trial_doubles(t, x->count);
  for (int64_t i = 0; i < x->count; i++) {
    want[i] = d_out->value[i] * activation_slope(e->activation, x->value[i]);
    const double error =
        fabs(want[i]) + fabs(d_out->value[i]) * activation_slope_error(e->activation, x->value[i]);
    bound[i] = bound_constant(CDL_OP_unary_grad) * unit_roundoff(CDL_DTYPE_F32) * error +
               smallest_normal(CDL_DTYPE_F32) + storing_error(t->dtype, want[i]);
  }
  if (trial_run(t, CDL_ARGS(unary_grad, .d_x = d_x->view, .d_out = d_out->view, .x = x->view,
                            .activation = e->activation)))
    trial_compare(t, d_x, want, bound);
}

/* ---- Two operands ---- */

static double binary_value(int function, double x, double y)
{
  switch ((cdl_binary_function)function) {
  case CDL_BINARY_ADD:
    return x + y;
  case CDL_BINARY_SUBTRACT:
    return x - y;
  case CDL_BINARY_MULTIPLY:
    return x * y;
  case CDL_BINARY_DIVIDE:
    return x / y;
  case CDL_BINARY_MAXIMUM:
    return isnan(x) || x > y ? x : y; /* NaN wins, from either side */
  case CDL_BINARY_MINIMUM:
    return isnan(x) || x < y ? x : y;
  }
  return NAN;
}

static void binary_case(trial *t, const void *parameters)
{
  const elementwise *e = parameters;
  shape of_y = e->n;
  for (int d = 0; d < 4; d++)
    of_y.n[d] = (e->repeat >> d & 1u) != 0 ? 1 : of_y.n[d];
  operand *x = e->in_place
                   ? trial_operand(t, "x", ROLE_INOUT, CDL_DTYPE_F32, e->n, e->x)
                   : trial_repeated(t, "x", CDL_DTYPE_F32, e->n, e->x, e->stride_zero ? 6 : 0);
  operand *y = trial_operand(t, "y", ROLE_IN, CDL_DTYPE_F32, of_y, e->y);
  operand *out = e->in_place ? x : trial_operand(t, "out", ROLE_OUT, CDL_DTYPE_F32, e->n, e->out);
  fill_scales(t, x);
  fill_scales(t, y);
  const bool arithmetic = e->function < CDL_BINARY_MAXIMUM;
  if (e->special && x->count > 40) {
    x->value[0] = INFINITY;
    x->value[1] = -INFINITY;
    x->value[2] = NAN;
    x->value[3] = 0;
    operand_settle(x);
  }
  if (e->special && y->count > 40) {
    y->value[5] = NAN;
    operand_settle(y);
  }
  double *want = trial_doubles(t, x->count), *bound = trial_doubles(t, x->count);
  for (int64_t i = 0; i < x->count; i++) {
    int64_t rest = i, at = 0, step = 1;
    for (int d = 3; d >= 0; d--) {
      at += (of_y.n[d] == 1 ? 0 : rest % e->n.n[d]) * step;
      step *= of_y.n[d];
      rest /= e->n.n[d];
    }
    want[i] = binary_value(e->function, x->value[i], y->value[at]);
    bound[i] = arithmetic
                   ? bound_constant(CDL_OP_binary) * unit_roundoff(CDL_DTYPE_F32) * fabs(want[i]) +
                         smallest_normal(CDL_DTYPE_F32)
                   : 0;
  }
  if (trial_run(t, CDL_ARGS(binary, .out = out->view, .x = x->view, .y = y->view,
                            .function = (cdl_binary_function)e->function)))
    trial_compare(t, out, want, bound);
}

static void axpby_case(trial *t, const void *parameters)
{
  const elementwise *e = parameters;
  operand *x = trial_repeated(t, "x", t->dtype, e->n, e->x, e->stride_zero ? 4 : 0);
  operand *out =
      trial_operand(t, "out", e->beta == 0 ? ROLE_OUT : ROLE_INOUT, t->dtype, e->n, e->out);
  fill_scales(t, x);
  if (e->special && x->count > 2) {
    x->value[0] = NAN;
    x->value[1] = INFINITY;
    operand_settle(x);
  }
  if (e->beta != 0)
    fill_scales(t, out);
  double *want = trial_doubles(t, x->count), *bound = trial_doubles(t, x->count);
  for (int64_t i = 0; i < x->count; i++) {
    const double scaled = (double)e->alpha * x->value[i],
                 before = e->beta == 0 ? 0 : (double)e->beta * out->value[i];
    want[i] = scaled + before;
    bound[i] = bound_constant(CDL_OP_axpby) * unit_roundoff(CDL_DTYPE_F32) *
                   (fabs(scaled) + fabs(before)) +
               smallest_normal(CDL_DTYPE_F32) + storing_error(t->dtype, want[i]);
  }
  if (trial_run(
          t, CDL_ARGS(axpby, .out = out->view, .x = x->view, .alpha = e->alpha, .beta = e->beta)))
    trial_compare(t, out, want, bound);
}

/* ---- any_non_finite ---- */

typedef struct {
  shape n;
  layout x;
  double planted; /* 0: nothing */
  int64_t at;
  int before;
  unsigned repeat;
} planted;

static void non_finite_case(trial *t, const void *parameters)
{
  const planted *p = parameters;
  operand *x = trial_repeated(t, "x", t->dtype, p->n, p->x, p->repeat);
  operand *flag = trial_operand(t, "flag", ROLE_INOUT, CDL_DTYPE_I32, shape_1d(1), LAYOUT_OFFSET);
  fill_scales(t, x);
  for (int64_t i = 0; i < x->count; i += 3)
    x->value[i] =
        t->dtype == CDL_DTYPE_F64 ? 1e300 : 3e38; /* large, yet finite, however they are summed */
  if (p->planted != 0 && x->count > 0)
    x->value[p->at < 0 ? x->count - 1 : p->at % x->count] = p->planted;
  operand_settle(x);
  fill_values(flag, (const double[]){p->before});
  bool found = false;
  for (int64_t i = 0; i < x->count; i++)
    found = found || !isfinite(x->value[i]);
  const double want = p->before | (found ? 1 : 0);
  if (trial_run(t, CDL_ARGS(any_non_finite, .flag = flag->view, .x = x->view)))
    trial_exact(t, flag, &want);
}

static void register_non_finite(suite *s)
{
  static const double values[] = {0, NAN, INFINITY, -INFINITY};
  for (size_t d = 0; d < 2; d++)
    for (size_t k = 0; k < SHAPES; k++)
      for (size_t v = 0; v < 4; v++) {
        const planted p = {.n = shapes[k],
                           .x = (layout)((k + v) % LAYOUT_COUNT),
                           .planted = values[v],
                           .at = v % 2 == 0 ? -1 : (int64_t)(37 * k),
                           .before = (int)(k + v) % 3};
        ADD(s, any_non_finite, d == 0 ? CDL_DTYPE_F32 : CDL_DTYPE_F64, 0, non_finite_case, &p,
            "%g in %dx%dx%dx%d %s, flag %d before", values[v], (int)p.n.n[0], (int)p.n.n[1],
            (int)p.n.n[2], (int)p.n.n[3], layout_name(p.x), p.before);
      }
  const planted p = {.n = {{1, 3, 5, 9}}, .planted = NAN, .at = 17, .repeat = 2};
  ADD(s, any_non_finite, CDL_DTYPE_F32, 0, non_finite_case, &p, "NaN in 3x5x9, repeated");
}

/* ---- Randomized ---- */

static void draw_elementwise(trial *t, void *parameters)
{
  elementwise *e = parameters;
  random_source *r = &t->random;
  static const int functions[] = {
      [CDL_OP_unary] = CDL_UNARY_RECIPROCAL, [CDL_OP_binary] = CDL_BINARY_MINIMUM};
  *e = (elementwise){.n = random_shape(r, 30000), .out = random_layout(r)};
  e->x = random_layout(r);
  e->y = random_layout(r);
  if (t->self->op == CDL_OP_unary || t->self->op == CDL_OP_binary)
    e->function = (int)random_integer(r, 0, functions[t->self->op]);
  if (t->self->op == CDL_OP_unary_grad || e->function == CDL_UNARY_ACTIVATION)
    e->activation = (cdl_activation)random_integer(r, 0, CDL_ACTIVATION_MISH);
  e->repeat = random_chance(r, 0.5) ? (unsigned)random_integer(r, 1, 15) : 0;
  e->in_place = random_chance(r, 0.3);
  e->stride_zero = !e->in_place && random_chance(r, 0.2);
  e->alpha = (float)random_normal(r);
  e->beta = random_chance(r, 0.4) ? 0 : (float)random_normal(r);
  trial_describe(t, "%dx%dx%dx%d function %d activation %d, %s %s %s, repeat %u%s%s, %g %g",
                 (int)e->n.n[0], (int)e->n.n[1], (int)e->n.n[2], (int)e->n.n[3], e->function,
                 e->activation, layout_name(e->out), layout_name(e->x), layout_name(e->y),
                 e->repeat, e->in_place ? ", in place" : "", e->stride_zero ? ", stride 0" : "",
                 (double)e->alpha, (double)e->beta);
}

static void draw_planted(trial *t, void *parameters)
{
  planted *p = parameters;
  random_source *r = &t->random;
  *p = (planted){.n = random_shape(r, 30000), .x = random_layout(r)};
  p->planted = random_chance(r, 0.3) ? 0 : random_chance(r, 0.5) ? (double)NAN : (double)-INFINITY;
  p->at = random_integer(r, 0, 29999);
  p->before = (int)random_integer(r, 0, 3);
  p->repeat = random_chance(r, 0.2) ? 4 : 0;
  trial_describe(t, "%g in %dx%dx%dx%d %s at %d, flag %d before, repeated %u", p->planted,
                 (int)p->n.n[0], (int)p->n.n[1], (int)p->n.n[2], (int)p->n.n[3], layout_name(p->x),
                 (int)p->at, p->before, p->repeat);
}

static void register_random(suite *s)
{
  static const struct {
    cdl_op op;
    case_body *body;
  } ops[] = {{CDL_OP_unary, unary_case},
             {CDL_OP_unary_grad, unary_grad_case},
             {CDL_OP_binary, binary_case},
             {CDL_OP_axpby, axpby_case}};
  for (size_t k = 0; k < sizeof ops / sizeof *ops; k++) {
    suite_add_random(s, ops[k].op, CDL_DTYPE_F32, draw_elementwise, ops[k].body,
                     sizeof(elementwise));
    if (ops[k].op != CDL_OP_binary)
      suite_add_random(s, ops[k].op, CDL_DTYPE_BF16, draw_elementwise, ops[k].body,
                       sizeof(elementwise));
  }
  suite_add_random(s, CDL_OP_any_non_finite, CDL_DTYPE_F32, draw_planted, non_finite_case,
                   sizeof(planted));
  suite_add_random(s, CDL_OP_any_non_finite, CDL_DTYPE_F64, draw_planted, non_finite_case,
                   sizeof(planted));
}

/* ---- Registration ---- */

static void register_unary(suite *s, cdl_dtype dtype)
{
  for (int function = CDL_UNARY_ACTIVATION; function <= CDL_UNARY_RECIPROCAL; function++)
    for (int a = 0; a <= (function == CDL_UNARY_ACTIVATION ? (int)CDL_ACTIVATION_MISH : 0); a++) {
      const char *name = function == CDL_UNARY_ACTIVATION ? activation_name((cdl_activation)a)
                                                          : unary_name(function);
      for (size_t k = 0; k < SHAPES; k++) {
        elementwise e = {.n = shapes[k],
                         .out = (layout)(k % LAYOUT_COUNT),
                         .x = (layout)((k + 1) % LAYOUT_COUNT),
                         .function = function,
                         .activation = (cdl_activation)a,
                         .in_place = k % 3 == 2,
                         .special = shapes[k].n[3] >= 17};
        ADD(s, unary, dtype, 0, unary_case, &e, "%s %dx%dx%dx%d %s%s", name, (int)e.n.n[0],
            (int)e.n.n[1], (int)e.n.n[2], (int)e.n.n[3], layout_name(e.x),
            e.in_place ? " in place" : "");
        if (function != CDL_UNARY_ACTIVATION)
          continue;
        e.y = (layout)((k + 2) % LAYOUT_COUNT);
        ADD(s, unary_grad, dtype, 0, unary_grad_case, &e, "%s %dx%dx%dx%d %s%s", name,
            (int)e.n.n[0], (int)e.n.n[1], (int)e.n.n[2], (int)e.n.n[3], layout_name(e.x),
            e.in_place ? " in place" : "");
      }
      if (function == CDL_UNARY_ACTIVATION) {
        const elementwise e = {.n = {{1, 1, 3, 301}},
                               .function = function,
                               .activation = (cdl_activation)a,
                               .wide = true};
        ADD(s, unary, dtype, 0, unary_case, &e, "%s of values from 1e-3 to 1e3", name);
      }
    }
}

static void register_axpby(suite *s, cdl_dtype dtype)
{
  static const float factors[][2] = {{1, 0}, {-0.5F, 0}, {1, 1}, {2.5F, -0.75F}, {0, 3}};
  for (size_t f = 0; f < 5; f++)
    for (size_t k = 0; k < SHAPES; k++) {
      const elementwise e = {.n = shapes[k],
                             .out = (layout)((k + f) % LAYOUT_COUNT),
                             .x = (layout)((k + 1) % LAYOUT_COUNT),
                             .alpha = factors[f][0],
                             .beta = factors[f][1],
                             .special = f != 4 && k == 2,
                             .stride_zero = k == 3};
      ADD(s, axpby, dtype, 0, axpby_case, &e, "alpha %g beta %g, %dx%dx%dx%d %s", (double)e.alpha,
          (double)e.beta, (int)e.n.n[0], (int)e.n.n[1], (int)e.n.n[2], (int)e.n.n[3],
          layout_name(e.out));
    }
}

void register_elementwise(suite *s)
{
  register_unary(s, CDL_DTYPE_F32);
  register_unary(s, CDL_DTYPE_BF16);
  static const char *const names[] = {"add",    "subtract", "multiply",
                                      "divide", "maximum",  "minimum"};
  for (int function = CDL_BINARY_ADD; function <= CDL_BINARY_MINIMUM; function++) {
    for (size_t k = 0; k < SHAPES; k++) {
      const elementwise e = {.n = shapes[k],
                             .out = (layout)(k % LAYOUT_COUNT),
                             .x = (layout)((k + 1) % LAYOUT_COUNT),
                             .y = (layout)((k + 2) % LAYOUT_COUNT),
                             .function = function,
                             .in_place = k % 3 == 1,
                             .special = true};
      ADD(s, binary, CDL_DTYPE_F32, 0, binary_case, &e, "%s %dx%dx%dx%d %s %s%s", names[function],
          (int)e.n.n[0], (int)e.n.n[1], (int)e.n.n[2], (int)e.n.n[3], layout_name(e.x),
          layout_name(e.y), e.in_place ? " in place" : "");
    }
    for (unsigned repeat = 1; repeat < 16; repeat++) {
      const elementwise e = {.n = {{2, 3, 5, 17}},
                             .out = LAYOUT_ROWS,
                             .x = LAYOUT_COLUMNS,
                             .y = (layout)(repeat % LAYOUT_COUNT),
                             .function = function,
                             .repeat = repeat,
                             .in_place = repeat % 3 == 0,
                             .stride_zero = repeat % 3 == 1};
      ADD(s, binary, CDL_DTYPE_F32, 0, binary_case, &e,
          "%s 2x3x5x17, y of size 1 in dimensions %u%s", names[function], repeat,
          e.in_place      ? " in place"
          : e.stride_zero ? ", x repeated"
                          : "");
    }
  }
  register_axpby(s, CDL_DTYPE_F32);
  register_axpby(s, CDL_DTYPE_BF16);
  register_non_finite(s);
  register_random(s);
}
