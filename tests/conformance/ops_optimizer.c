/* adamw and clip_norm. */
#include <math.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/suite.h"

typedef struct {
  shape n;
  layout parameter, moment;
  int steps;
  float gradient_scale;
  double decay, rate, epsilon;
  double gradient; /* its scale */
} adam;

typedef struct {
  double p, m, v, p_error, m_size, v_size;
} adam_state;

/* One step of one element; errors in units of u. */
static void adam_step(const cdl_adamw_args *a, const cdl_step_record *r, double gradient,
                      double gradient_scale, adam_state *s)
{
  const double beta1 = a->beta1, beta2 = a->beta2, rate = (double)r->learning_rate * a->rate;
  const double g = gradient * gradient_scale;
  s->p *= 1 - rate * a->decay;
  s->m = beta1 * s->m + (1 - beta1) * g;
  s->v = beta2 * s->v + (1 - beta2) * g * g;
  s->m_size = beta1 * s->m_size + (1 - beta1) * fabs(g);
  const double denominator = sqrt(s->v) / sqrt((double)r->correction2) + a->epsilon;
  const double update = rate / (double)r->correction1 / denominator;
  s->p -= update * s->m;
  s->p_error += fabs(s->p) + update * (s->m_size + 2 * fabs(s->m));
}

static void adamw_case(trial *t, const void *parameters)
{
  const adam *k = parameters;
  operand *parameter = trial_operand(t, "parameter", ROLE_INOUT, CDL_DTYPE_F32, k->n, k->parameter);
  operand *moment1 = trial_operand(t, "moment1", ROLE_INOUT, CDL_DTYPE_F32, k->n, k->moment);
  operand *moment2 = trial_operand(t, "moment2", ROLE_INOUT, CDL_DTYPE_F32, k->n, k->moment);
  operand *gradient = trial_operand(t, "gradient", ROLE_IN, CDL_DTYPE_F32, k->n, k->parameter);
  operand *scale = k->gradient_scale == 0 ? NULL
                                          : trial_operand(t, "grad_scale", ROLE_IN, CDL_DTYPE_F32,
                                                          shape_1d(1), LAYOUT_OFFSET);
  const double power1 = pow(0.9, k->steps), power2 = pow(0.999, k->steps);
  const cdl_step_record record = {.learning_rate = 3e-3F,
                                  .correction1 = (float)(1 - power1),
                                  .correction2 = (float)(1 - power2)};
  operand *step = trial_step(t, record);
  fill_normal(t, parameter, 1);
  fill_normal(t, gradient, k->gradient);
  if (k->steps > 1) { /* as earlier steps would have left them */
    fill_normal(t, moment1, k->gradient * 0.3);
    fill_uniform(t, moment2, 0, k->gradient * k->gradient * 0.01);
  } else {
    fill_normal(t, moment1, 0);
    fill_normal(t, moment2, 0);
  }
  for (int64_t i = 0; i < gradient->count; i += 5)
    gradient->value[i] = 0;
  operand_settle(gradient);
  if (scale != NULL)
    fill_values(scale, (const double[]){(double)k->gradient_scale});
  const cdl_adamw_args args = {sizeof args,    parameter->view,
                               moment1->view,  moment2->view,
                               gradient->view, scale == NULL ? (cdl_tensor){0} : scale->view,
                               step->view,     0.9,
                               0.999,          k->epsilon,
                               k->decay,       k->rate};
  if (!trial_run(t, &args))
    return;
  double *want[3], *bound[3];
  for (int i = 0; i < 3; i++) {
    want[i] = trial_doubles(t, parameter->count);
    bound[i] = trial_doubles(t, parameter->count);
  }
  const double c = bound_constant(CDL_OP_adamw) * unit_roundoff(CDL_DTYPE_F32);
  for (int64_t i = 0; i < parameter->count; i++) {
    adam_state s = {.p = parameter->value[i],
                    .m = moment1->value[i],
                    .v = moment2->value[i],
                    .p_error = fabs(parameter->value[i]),
                    .m_size = fabs(moment1->value[i])};
    adam_step(&args, &record, gradient->value[i], scale == NULL ? 1 : scale->value[0], &s);
    want[0][i] = s.p;
    want[1][i] = s.m;
    want[2][i] = s.v;
    bound[0][i] = c * s.p_error + smallest_normal(CDL_DTYPE_F32);
    bound[1][i] = c * s.m_size + smallest_normal(CDL_DTYPE_F32);
    bound[2][i] = c * s.v + smallest_normal(CDL_DTYPE_F32);
  }
  trial_compare(t, parameter, want[0], bound[0]);
  trial_compare(t, moment1, want[1], bound[1]);
  trial_compare(t, moment2, want[2], bound[2]);
}

/* Several steps on the device from one state: errors add up as they go. */
static void adamw_steps_case(trial *t, const void *parameters)
{
  const adam *k = parameters;
  enum { COUNT = 67 };
  operand *parameter =
      trial_operand(t, "parameter", ROLE_INOUT, CDL_DTYPE_F32, shape_1d(COUNT), LAYOUT_OFFSET);
  operand *moment1 =
      trial_operand(t, "moment1", ROLE_INOUT, CDL_DTYPE_F32, shape_1d(COUNT), LAYOUT_DENSE);
  operand *moment2 =
      trial_operand(t, "moment2", ROLE_INOUT, CDL_DTYPE_F32, shape_1d(COUNT), LAYOUT_OFFSET);
  operand *gradient =
      trial_operand(t, "gradient", ROLE_IN, CDL_DTYPE_F32, shape_1d(COUNT), LAYOUT_DENSE);
  cdl_step_record record = {.learning_rate = 1e-2F};
  operand *step = trial_step(t, record);
  fill_normal(t, parameter, 1);
  fill_normal(t, moment1, 0);
  fill_normal(t, moment2, 0);
  adam_state state[COUNT];
  for (int i = 0; i < COUNT; i++)
    state[i] = (adam_state){.p = parameter->value[i], .p_error = fabs(parameter->value[i])};
  if (!trial_upload(t))
    return;
  const cdl_adamw_args args = {.size = sizeof args,
                               .parameter = parameter->view,
                               .moment1 = moment1->view,
                               .moment2 = moment2->view,
                               .gradient = gradient->view,
                               .step = step->view,
                               .beta1 = 0.9,
                               .beta2 = 0.999,
                               .epsilon = k->epsilon,
                               .decay = k->decay,
                               .rate = k->rate};
  float values[COUNT];
  for (int s = 1; s <= k->steps; s++) {
    record.correction1 = (float)(1 - pow(0.9, s));
    record.correction2 = (float)(1 - pow(0.999, s));
    fill_normal(t, gradient, k->gradient);
    for (int i = 0; i < COUNT; i++) {
      values[i] = (float)gradient->value[i];
      adam_step(&args, &record, gradient->value[i], 1, &state[i]);
    }
    cdl_queue_upload(t->queue, gradient->view, values, sizeof values);
    cdl_queue_upload(t->queue, step->view, &record, sizeof record);
    cdl_adamw(t->queue, &args);
  }
  cdl_queue_download(t->queue, values, parameter->view, sizeof values);
  const cdl_status status = cdl_queue_sync(t->queue);
  if (status != CDL_STATUS_OK) {
    trial_fail(t, "%s: %s", cdl_status_name(status), cdl_error_message());
    return;
  }
  double want[COUNT], bound[COUNT];
  for (int i = 0; i < COUNT; i++) {
    want[i] = state[i].p;
    bound[i] = bound_constant(CDL_OP_adamw) * unit_roundoff(CDL_DTYPE_F32) * state[i].p_error;
    parameter->result[i] = (double)values[i];
  }
  trial_compare(t, parameter, want, bound);
}

/* ---- clip_norm ---- */

typedef struct {
  shape n;
  layout gradient;
  float max_norm;
  double size;
  unsigned repeat;
} clip;

/* The sum of squares is F32's to hold: below 3.4e38 the norm must be right; above, a backend may
 * say infinity, and then the factor is 0, or 1 without a bound. Squares below 2⁻¹²⁶ may be
 * flushed, √(n 2⁻¹²⁶) of the norm. */
static void clip_case(trial *t, const void *parameters)
{
  const clip *k = parameters;
  operand *gradient = trial_operand(t, "gradient", ROLE_IN, CDL_DTYPE_F32, k->n, k->gradient);
  operand *norm = trial_operand(t, "norm", ROLE_OUT, CDL_DTYPE_F32, shape_1d(1), LAYOUT_OFFSET);
  operand *factor = trial_operand(t, "factor", ROLE_OUT, CDL_DTYPE_F32, shape_1d(1), LAYOUT_DENSE);
  fill_normal(t, gradient, k->size);
  if (!trial_run(t, CDL_ARGS(clip_norm, .norm = norm->view, .factor = factor->view,
                             .gradient = gradient->view, .max_norm = k->max_norm)))
    return;
  double sum = 0, fourth = 0;
  const double n = (double)gradient->count, u = unit_roundoff(CDL_DTYPE_F32);
  for (int64_t i = 0; i < gradient->count; i++) {
    const double square = gradient->value[i] * gradient->value[i];
    sum += square;
    fourth += square * square;
  }
  if (sum > 3.4e38 && isinf(norm->result[0])) {
    const double want = k->max_norm == 0 ? 1 : 0;
    trial_exact(t, factor, &want);
    return;
  }
  const double want = sqrt(sum),
               relative = sum == 0 ? 0 : 2 + 0.5 * sum_growth(n, fourth, sum) / sum;
  const double flushed = sqrt(n * smallest_normal(CDL_DTYPE_F32)),
               bound = bound_constant(CDL_OP_clip_norm) * u * relative * want + flushed;
  trial_compare(t, norm, &want, &bound);
  const double share = (double)k->max_norm / (want + 1e-6),
               want_factor = k->max_norm == 0 ? 1 : fmin(1, share);
  const double factor_bound =
      k->max_norm == 0 ? 0
                       : want_factor * (bound_constant(CDL_OP_clip_norm) * u * (relative + 2) +
                                        flushed / (want + 1e-6));
  trial_compare(t, factor, &want_factor, &factor_bound);
}

static void clip_nan_case(trial *t, const void *parameters)
{
  const double *planted = parameters;
  operand *gradient =
      trial_operand(t, "gradient", ROLE_IN, CDL_DTYPE_F32, shape_2d(5, 67), LAYOUT_COLUMNS);
  operand *norm = trial_operand(t, "norm", ROLE_OUT, CDL_DTYPE_F32, shape_1d(1), LAYOUT_DENSE);
  operand *factor = trial_operand(t, "factor", ROLE_OUT, CDL_DTYPE_F32, shape_1d(1), LAYOUT_DENSE);
  fill_normal(t, gradient, 1);
  gradient->value[123] = *planted;
  operand_settle(gradient);
  if (trial_run(t, CDL_ARGS(clip_norm, .norm = norm->view, .factor = factor->view,
                            .gradient = gradient->view, .max_norm = 1)))
    trial_exact(t, norm, planted);
}

static void draw_adam(trial *t, void *parameters)
{
  adam *a = parameters;
  random_source *r = &t->random;
  *a = (adam){.n = random_shape(r, 30000), .parameter = random_layout(r)};
  a->moment = random_layout(r);
  a->steps = (int)random_integer(r, 1, 100);
  a->gradient_scale = random_chance(r, 0.5) ? 0 : (float)random_uniform(r);
  a->decay = random_chance(r, 0.5) ? 0 : 0.1 * random_uniform(r);
  a->rate = random_chance(r, 0.5) ? 1 : 16 * random_uniform(r);
  a->epsilon = random_chance(r, 0.5) ? 1e-8 : 1e-6;
  a->gradient = pow(10, -6 * random_uniform(r));
  trial_describe(t, "%dx%dx%dx%d %s %s, step %d, decay %g, rate %g, scale %g, gradients of %g",
                 (int)a->n.n[0], (int)a->n.n[1], (int)a->n.n[2], (int)a->n.n[3],
                 layout_name(a->parameter), layout_name(a->moment), a->steps, a->decay, a->rate,
                 (double)a->gradient_scale, a->gradient);
}

static void draw_clip(trial *t, void *parameters)
{
  clip *c = parameters;
  random_source *r = &t->random;
  *c = (clip){.n = random_shape(r, 30000), .gradient = random_layout(r)};
  c->max_norm = random_chance(r, 0.3) ? 0 : (float)(10 * random_uniform(r));
  c->size = pow(10, 4 - 8 * random_uniform(r));
  trial_describe(t, "%dx%dx%dx%d %s of size %g, bound %g", (int)c->n.n[0], (int)c->n.n[1],
                 (int)c->n.n[2], (int)c->n.n[3], layout_name(c->gradient), c->size,
                 (double)c->max_norm);
}

void register_optimizer(suite *s)
{
  suite_add_random(s, CDL_OP_adamw, CDL_DTYPE_F32, draw_adam, adamw_case, sizeof(adam));
  suite_add_random(s, CDL_OP_clip_norm, CDL_DTYPE_F32, draw_clip, clip_case, sizeof(clip));
  static const shape shapes[] = {{{1, 1, 1, 1}},    {{1, 1, 5, 7}}, {{2, 3, 5, 17}},
                                 {{1, 1, 1, 1031}}, {{1, 1, 0, 8}}, {{1, 1, 45, 384}}};
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
    for (unsigned v = 0; v < 4; v++) {
      const adam a = {.n = shapes[k],
                      .parameter = (layout)((k + v) % LAYOUT_COUNT),
                      .moment = (layout)((k + 2 * v) % LAYOUT_COUNT),
                      .steps = v == 0   ? 1
                               : v == 1 ? 2
                                        : 1000,
                      .decay = v % 2 == 0 ? 0 : 0.01,
                      .rate = v == 3 ? 16 : 1,
                      .gradient_scale = v == 2 ? 0.25F : 0,
                      .epsilon = v == 1 ? 1e-6 : 1e-8,
                      .gradient = v == 3 ? 1e-6 : 0.1};
      ADD(s, adamw, CDL_DTYPE_F32, 0, adamw_case, &a,
          "%dx%dx%dx%d %s, step %d, decay %g, rate %g, scale %g", (int)a.n.n[0], (int)a.n.n[1],
          (int)a.n.n[2], (int)a.n.n[3], layout_name(a.parameter), a.steps, a.decay, a.rate,
          (double)a.gradient_scale);
    }
  static const adam runs[] = {
      {.steps = 10, .epsilon = 1e-8, .rate = 1, .gradient = 1},
      {.steps = 25, .epsilon = 1e-6, .rate = 0.5, .decay = 0.1, .gradient = 1e-3}};
  for (size_t k = 0; k < 2; k++)
    ADD(s, adamw, CDL_DTYPE_F32, 0, adamw_steps_case, &runs[k], "%d steps in a row", runs[k].steps);
  static const double sizes[] = {0, 1, 1e-3, 1e-25, 1e15, 1e18, 1e30};
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
    for (size_t v = 0; v < 7; v++) {
      const clip c = {.n = shapes[k],
                      .gradient = (layout)((k + v) % LAYOUT_COUNT),
                      .max_norm = v % 3 == 0   ? 1.0F
                                  : v % 3 == 1 ? 0.0F
                                               : 1e3F,
                      .size = sizes[v]};
      ADD(s, clip_norm, CDL_DTYPE_F32, 0, clip_case, &c, "%dx%dx%dx%d %s of size %g, bound %g",
          (int)c.n.n[0], (int)c.n.n[1], (int)c.n.n[2], (int)c.n.n[3], layout_name(c.gradient),
          c.size, (double)c.max_norm);
    }
  const clip large = {.n = {{1, 1, 997, 1009}}, .max_norm = 1, .size = 1};
  ADD(s, clip_norm, CDL_DTYPE_F32, 0, clip_case, &large, "997x1009");
  static const double planted[] = {NAN, INFINITY};
  for (size_t k = 0; k < 2; k++)
    ADD(s, clip_norm, CDL_DTYPE_F32, 0, clip_nan_case, &planted[k], "%g among the gradients",
        planted[k]);
}
