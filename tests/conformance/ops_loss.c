/* cross_entropy, binary_cross_entropy and squared_error. */
#include <math.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/reference.h"
#include "tests/conformance/suite.h"

typedef struct {
  int64_t rows, classes;
  layout logits, d_logits;
  float smoothing, scale;
  double spread;
  bool weighted, no_loss, no_gradient;
} losses;

static cdl_tensor view_or_none(const operand *o)
{
  return o == NULL ? (cdl_tensor){0} : o->view;
}

/* Errors of one row, in units of u: of −log p of any class, and of p. */
static double row_error(const double *logits, int64_t classes)
{
  double largest = 0;
  for (int64_t c = 0; c < classes; c++)
    largest = fmax(largest, fabs(logits[c]));
  return 2 * largest + 2 * log((double)classes) + 4 + sqrt((double)classes);
}

static void cross_entropy_case(trial *t, const void *parameters)
{
  const losses *l = parameters;
  operand *logits =
      trial_operand(t, "logits", ROLE_IN, CDL_DTYPE_F32, shape_2d(l->rows, l->classes), l->logits);
  operand *labels =
      trial_operand(t, "labels", ROLE_IN, CDL_DTYPE_I32, shape_1d(l->rows), LAYOUT_OFFSET);
  operand *weight = l->weighted ? trial_operand(t, "class_weight", ROLE_IN, CDL_DTYPE_F32,
                                                shape_1d(l->classes), LAYOUT_OFFSET)
                                : NULL;
  operand *step = trial_step(t, (cdl_step_record){.loss_scale = l->scale});
  operand *loss =
      l->no_loss ? NULL
                 : trial_operand(t, "loss", ROLE_INOUT, CDL_DTYPE_F32, shape_1d(1), LAYOUT_OFFSET);
  operand *d = l->no_gradient ? NULL
                              : trial_operand(t, "d_logits", ROLE_OUT, CDL_DTYPE_F32,
                                              shape_2d(l->rows, l->classes), l->d_logits);
  fill_normal(t, logits, l->spread);
  fill_integers(t, labels, 0, l->classes - 1);
  if (weight != NULL)
    fill_uniform(t, weight, 0, 3);
  if (loss != NULL)
    fill_values(loss, (const double[]){2.5});
  if (!trial_run(t, CDL_ARGS(cross_entropy, .loss = view_or_none(loss), .d_logits = view_or_none(d),
                             .logits = logits->view, .labels = labels->view,
                             .class_weight = view_or_none(weight), .step = step->view,
                             .label_smoothing = l->smoothing)))
    return;
  double *want = trial_doubles(t, logits->count), *bound = trial_doubles(t, logits->count);
  const double *w = weight == NULL ? NULL : weight->value;
  const double scale = (double)l->scale, smoothing = (double)l->smoothing,
               c = bound_constant(CDL_OP_cross_entropy) * unit_roundoff(CDL_DTYPE_F32);
  const double sum = cross_entropy_reference(l->rows, l->classes, logits->value, labels->value, w,
                                             smoothing, want);
  double all = 0, squares = 0;
  for (int64_t k = 0; k < l->classes; k++)
    all += w == NULL ? 1 : w[k];
  for (int64_t r = 0; r < l->rows; r++) {
    const int64_t label = (int64_t)labels->value[r];
    const double own = (1 - smoothing) * (w == NULL ? 1 : w[label]),
                 total = own + smoothing / (double)l->classes * all;
    const double error = row_error(logits->value + r * l->classes, l->classes);
    squares += total * error * total * error;
    for (int64_t k = 0; k < l->classes; k++) {
      const double part =
          smoothing / (double)l->classes * (w == NULL ? 1 : w[k]) + (k == label ? own : 0);
      const double p = (want[r * l->classes + k] + part) / (total == 0 ? 1 : total);
      bound[r * l->classes + k] =
          c * fabs(scale) * (total * p * error + 2 * part) + smallest_normal(CDL_DTYPE_F32);
      want[r * l->classes + k] *= scale;
    }
  }
  if (d != NULL)
    trial_compare(t, d, want, bound);
  if (loss != NULL) {
    const double total = 2.5 + scale * sum;
    const double loss_bound =
        c *
        (fabs(scale) * (sqrt(squares) + sum_growth((double)l->rows, 0, sum)) + fabs(total) + 2.5);
    trial_compare(t, loss, &total, &loss_bound);
  }
}

typedef struct {
  int64_t rows, labels;
  layout logits, targets, d_logits;
  float scale;
  double spread;
  bool weighted, no_loss, no_gradient, soft; /* soft: targets between 0 and 1 */
} several;

/* ln(1 + eˣ) */
static double softplus(double x)
{
  return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static operand *label_matrix(trial *t, const several *l, const char *name, operand_role role,
                             layout where)
{
  return trial_operand(t, name, role, CDL_DTYPE_F32, shape_2d(l->rows, l->labels), where);
}

/* The terms of an element are rounded, and max(x, 0) and w y x, which may cancel, each with an
 * error of u |x|. */
static void binary_cross_entropy_case(trial *t, const void *parameters)
{
  const several *l = parameters;
  operand *logits = label_matrix(t, l, "logits", ROLE_IN, l->logits);
  operand *targets = label_matrix(t, l, "targets", ROLE_IN, l->targets);
  operand *weight = l->weighted ? trial_operand(t, "pos_weight", ROLE_IN, CDL_DTYPE_F32,
                                                shape_1d(l->labels), LAYOUT_OFFSET)
                                : NULL;
  operand *step = trial_step(t, (cdl_step_record){.loss_scale = l->scale});
  operand *loss =
      l->no_loss ? NULL
                 : trial_operand(t, "loss", ROLE_INOUT, CDL_DTYPE_F32, shape_1d(1), LAYOUT_OFFSET);
  operand *d = l->no_gradient ? NULL : label_matrix(t, l, "d_logits", ROLE_OUT, l->d_logits);
  fill_normal(t, logits, l->spread);
  if (l->soft)
    fill_uniform(t, targets, 0, 1);
  else
    fill_integers(t, targets, 0, 1);
  if (weight != NULL)
    fill_uniform(t, weight, 0, 20);
  if (loss != NULL)
    fill_values(loss, (const double[]){2.5});
  if (!trial_run(t, CDL_ARGS(binary_cross_entropy, .loss = view_or_none(loss),
                             .d_logits = view_or_none(d), .logits = logits->view,
                             .targets = targets->view, .pos_weight = view_or_none(weight),
                             .step = step->view)))
    return;
  const int64_t count = l->rows * l->labels;
  double *want = trial_doubles(t, count), *bound = trial_doubles(t, count);
  const double scale = (double)l->scale,
               c = bound_constant(CDL_OP_binary_cross_entropy) * unit_roundoff(CDL_DTYPE_F32);
  double sum = 0, errors = 0, squares = 0;
  for (int64_t i = 0; i < count; i++) {
    const double x = logits->value[i], y = targets->value[i],
                 w = weight == NULL ? 1 : weight->value[i % l->labels], hit = w * y, rest = 1 - y,
                 term = hit * softplus(-x) + rest * softplus(x);
    want[i] = scale * (rest / (1 + exp(-x)) - hit / (1 + exp(x)));
    bound[i] = c * fabs(scale) * (rest + hit) + smallest_normal(CDL_DTYPE_F32);
    sum += term;
    squares += term * term;
    errors += pow((rest + hit) * (fabs(x) + 1), 2);
  }
  if (d != NULL)
    trial_compare(t, d, want, bound);
  if (loss != NULL) {
    const double total = 2.5 + scale * sum;
    const double loss_bound =
        c * (fabs(scale) * (sqrt(errors) + sum_growth((double)count, squares, sum) + sum) +
             fabs(total) + 2.5);
    trial_compare(t, loss, &total, &loss_bound);
  }
}

typedef struct {
  shape n;
  layout out, target;
  float scale;
  bool no_loss, no_gradient, column; /* column: out and d_out [rows, 1] */
} squares;

static void squared_error_case(trial *t, const void *parameters)
{
  const squares *s = parameters;
  const int64_t rows = cdl_tensor_elements(
      cdl_tensor_4d(NULL, CDL_DTYPE_F32, 0, s->n.n[0], s->n.n[1], s->n.n[2], s->n.n[3]));
  operand *out = trial_operand(t, "out", ROLE_IN, CDL_DTYPE_F32, s->n, s->out);
  operand *target = trial_operand(t, "target", ROLE_IN, CDL_DTYPE_F32, shape_1d(rows), s->target);
  operand *step = trial_step(t, (cdl_step_record){.loss_scale = s->scale});
  operand *loss =
      s->no_loss ? NULL
                 : trial_operand(t, "loss", ROLE_INOUT, CDL_DTYPE_F32, shape_1d(1), LAYOUT_DENSE);
  operand *d =
      s->no_gradient ? NULL : trial_operand(t, "d_out", ROLE_OUT, CDL_DTYPE_F32, s->n, s->out);
  fill_normal(t, out, 2);
  fill_uniform(t, target, 0, 5);
  if (loss != NULL)
    fill_values(loss, (const double[]){-1.25});
  if (!trial_run(t, CDL_ARGS(squared_error, .loss = view_or_none(loss), .d_out = view_or_none(d),
                             .out = out->view, .target = target->view, .step = step->view)))
    return;
  double *want = trial_doubles(t, rows), *bound = trial_doubles(t, rows);
  const double scale = (double)s->scale,
               c = bound_constant(CDL_OP_squared_error) * unit_roundoff(CDL_DTYPE_F32);
  double sum = 0, fourth = 0;
  for (int64_t i = 0; i < rows; i++) {
    const double difference = out->value[i] - target->value[i];
    want[i] = 2 * scale * difference;
    bound[i] = c * fabs(want[i]) + smallest_normal(CDL_DTYPE_F32);
    sum += difference * difference;
    fourth += pow(difference, 4);
  }
  if (d != NULL)
    trial_compare(t, d, want, bound);
  if (loss != NULL) {
    const double total = -1.25 + scale * sum;
    const double loss_bound =
        c * (fabs(scale) * (sum_growth((double)rows, 9 * fourth, sum) + sum) + 1.25 + fabs(total));
    trial_compare(t, loss, &total, &loss_bound);
  }
}

static void draw_losses(trial *t, void *parameters)
{
  losses *l = parameters;
  random_source *r = &t->random;
  *l = (losses){.rows = random_size(r, 300), .classes = random_size(r, 300)};
  if (l->classes == 0)
    l->classes = 2; /* a label must be one of them */
  l->logits = random_layout(r);
  l->d_logits = random_layout(r);
  l->smoothing = random_chance(r, 0.5) ? 0 : (float)random_uniform(r);
  l->scale = (float)random_uniform(r);
  l->spread = random_chance(r, 0.2) ? 40 : 2;
  l->weighted = random_chance(r, 0.4);
  l->no_loss = random_chance(r, 0.2);
  l->no_gradient = !l->no_loss && random_chance(r, 0.2);
  trial_describe(t, "%dx%d %s from %s, smoothing %g, scale %g%s%s%s", (int)l->rows, (int)l->classes,
                 layout_name(l->d_logits), layout_name(l->logits), (double)l->smoothing,
                 (double)l->scale, l->weighted ? ", class weights" : "",
                 l->no_loss ? ", gradient only" : "", l->no_gradient ? ", loss only" : "");
}

static void describe_several(trial *t, const several *l)
{
  trial_describe(t, "%dx%d %s from %s, scale %g, spread %g%s%s%s%s", (int)l->rows, (int)l->labels,
                 layout_name(l->d_logits), layout_name(l->logits), (double)l->scale, l->spread,
                 l->weighted ? ", weights" : "", l->soft ? ", soft" : "",
                 l->no_loss ? ", gradient only" : "", l->no_gradient ? ", loss only" : "");
}

static void draw_several(trial *t, void *parameters)
{
  static const double spreads[] = {2, 40, 1000};
  several *l = parameters;
  random_source *r = &t->random;
  *l = (several){.rows = random_size(r, 300), .labels = random_size(r, 300)};
  l->logits = random_layout(r);
  l->targets = random_layout(r);
  l->d_logits = random_layout(r);
  l->scale = (float)random_uniform(r);
  l->spread = spreads[random_chance(r, 0.7) ? 0 : random_chance(r, 0.5) ? 1 : 2];
  l->weighted = random_chance(r, 0.5);
  l->soft = random_chance(r, 0.3);
  l->no_loss = random_chance(r, 0.2);
  l->no_gradient = !l->no_loss && random_chance(r, 0.2);
  describe_several(t, l);
}

static void draw_squares(trial *t, void *parameters)
{
  squares *s = parameters;
  random_source *r = &t->random;
  *s = (squares){.n = random_shape(r, 5000), .out = random_layout(r)};
  s->target = random_chance(r, 0.5) ? LAYOUT_DENSE : LAYOUT_OFFSET;
  s->scale = (float)random_uniform(r);
  s->no_loss = random_chance(r, 0.2);
  s->no_gradient = !s->no_loss && random_chance(r, 0.2);
  trial_describe(t, "%dx%dx%dx%d %s, scale %g%s%s", (int)s->n.n[0], (int)s->n.n[1], (int)s->n.n[2],
                 (int)s->n.n[3], layout_name(s->out), (double)s->scale,
                 s->no_loss ? ", gradient only" : "", s->no_gradient ? ", loss only" : "");
}

static void register_several(suite *s)
{
  static const int64_t sizes[][2] = {{1, 1}, {16, 6},    {13, 3},    {64, 28},
                                     {0, 5}, {7, 1009},  {257, 1},   {1, 30522},
                                     {3, 0}, {1000, 17}, {129, 255}, {31, 127}};
  suite_add_random(s, CDL_OP_binary_cross_entropy, CDL_DTYPE_F32, draw_several,
                   binary_cross_entropy_case, sizeof(several));
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
    for (unsigned v = 0; v < 6; v++) {
      const several l = {.rows = sizes[k][0],
                         .labels = sizes[k][1],
                         .logits = (layout)((k + v) % LAYOUT_COUNT),
                         .targets = (layout)((k + 1 + 2 * v) % LAYOUT_COUNT),
                         .d_logits = (layout)((k + 2 + v) % LAYOUT_COUNT),
                         .scale = v % 2 == 0 ? 1.0F / 16 : 0.7F,
                         .spread = v == 4   ? 80
                                   : v == 5 ? 1e4
                                            : 2,
                         .weighted = v > 2,
                         .soft = v == 2,
                         .no_loss = v == 1 && k % 2 == 0,
                         .no_gradient = v == 1 && k % 2 == 1};
      ADD(s, binary_cross_entropy, CDL_DTYPE_F32, 0, binary_cross_entropy_case, &l,
          "%dx%d %s%s%s%s%s%s", (int)l.rows, (int)l.labels, layout_name(l.logits),
          l.weighted ? ", weights" : "", l.soft ? ", soft targets" : "",
          l.spread > 10 ? ", large logits" : "", l.no_loss ? ", gradient only" : "",
          l.no_gradient ? ", loss only" : "");
    }
}

void register_loss(suite *s)
{
  suite_add_random(s, CDL_OP_cross_entropy, CDL_DTYPE_F32, draw_losses, cross_entropy_case,
                   sizeof(losses));
  suite_add_random(s, CDL_OP_squared_error, CDL_DTYPE_F32, draw_squares, squared_error_case,
                   sizeof(squares));
  register_several(s);
  static const int64_t sizes[][2] = {{1, 1},    {1, 2},     {16, 2}, {13, 3},  {64, 25},
                                     {7, 1009}, {1, 30522}, {0, 3},  {257, 1}, {1000, 5}};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
    for (unsigned v = 0; v < 6; v++) {
      const losses l = {.rows = sizes[k][0],
                        .classes = sizes[k][1],
                        .logits = (layout)((k + v) % LAYOUT_COUNT),
                        .d_logits = (layout)((k + 2 * v) % LAYOUT_COUNT),
                        .smoothing = v % 3 == 0   ? 0.0F
                                     : v % 3 == 1 ? 0.1F
                                                  : 1.0F,
                        .scale = v % 2 == 0 ? 1.0F / 16 : 0.7F,
                        .spread = v == 4 ? 80 : 2,
                        .weighted = v > 2,
                        .no_loss = v == 1 && k % 2 == 0,
                        .no_gradient = v == 1 && k % 2 == 1};
      ADD(s, cross_entropy, CDL_DTYPE_F32, 0, cross_entropy_case, &l,
          "%dx%d %s, smoothing %g%s%s%s%s", (int)l.rows, (int)l.classes, layout_name(l.logits),
          (double)l.smoothing, l.weighted ? ", class weights" : "",
          l.spread > 10 ? ", large logits" : "", l.no_loss ? ", gradient only" : "",
          l.no_gradient ? ", loss only" : "");
    }
  static const shape shapes[] = {{{1, 1, 1, 1}},    {{1, 1, 1, 16}},   {{1, 1, 131, 1}},
                                 {{1, 1, 0, 1}},    {{1, 1, 1, 1031}}, {{1, 1, 7, 3}},
                                 {{1, 1, 129, 255}}};
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
    for (unsigned v = 0; v < 3; v++) {
      const squares q = {.n = shapes[k],
                         .out = (layout)((k + v) % LAYOUT_COUNT),
                         .target = (layout)((k + 1) % 2),
                         .scale = v == 0 ? 0.0625F : 1.5F,
                         .no_loss = v == 1,
                         .no_gradient = v == 2};
      ADD(s, squared_error, CDL_DTYPE_F32, 0, squared_error_case, &q, "%dx%d %s%s%s", (int)q.n.n[2],
          (int)q.n.n[3], layout_name(q.out), q.no_loss ? ", gradient only" : "",
          q.no_gradient ? ", loss only" : "");
    }
}
