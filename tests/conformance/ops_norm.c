/* layer_norm, add_layer_norm, layer_norm_grad. */
#include <math.h>
#include <string.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/reference.h"
#include "tests/conformance/suite.h"

enum {
  WITH_STATISTICS = 1,
  IN_PLACE = 2,
  CONSTANT_ROWS = 4,
  FAR_FROM_ZERO = 8,
  NO_D_X = 16,
  NO_D_GAIN = 32,
  ALIAS_SUM = 64,
  NAN_ROW = 128
};

typedef struct {
  int64_t rows, columns;
  layout out, x;
  unsigned flags;
  float epsilon;
} norm;

static void fill_rows(trial *t, operand *x, const norm *n)
{
  fill_normal(t, x, 1);
  for (int64_t i = 0; i < x->count; i++) {
    if ((n->flags & FAR_FROM_ZERO) != 0)
      x->value[i] += 100; /* where E x² − (E x)² has lost its digits */
    if ((n->flags & CONSTANT_ROWS) != 0 && i / n->columns % 2 == 0)
      x->value[i] = 3;
    if ((n->flags & NAN_ROW) != 0 && i == n->columns / 2)
      x->value[i] = NAN;
  }
  operand_settle(x);
}

typedef struct {
  double *out, *mean, *rstd, *out_bound, *mean_bound, *rstd_bound;
} expected;

/* Of rows x; extra holds what a sum before the norm has already lost, in units of u, or is NULL. */
static expected expect(trial *t, const norm *n, const double *x, const double *extra,
                       const double *gain, const double *bias)
{
  const int64_t count = n->rows * n->columns;
  const expected e = {trial_doubles(t, count),   trial_doubles(t, n->rows),
                      trial_doubles(t, n->rows), trial_doubles(t, count),
                      trial_doubles(t, n->rows), trial_doubles(t, n->rows)};
  const double c = bound_constant((cdl_op)t->self->op) * unit_roundoff(CDL_DTYPE_F32);
  for (int64_t r = 0; r < n->rows && n->columns > 0; r++) {
    const double *row = x + r * n->columns, *lost = extra == NULL ? NULL : extra + r * n->columns;
    const norm_row s = norm_statistics(n->columns, row, lost, (double)n->epsilon);
    e.mean[r] = s.mean;
    e.rstd[r] = s.rstd;
    e.mean_bound[r] = c * s.mean_error;
    e.rstd_bound[r] = c * s.rstd_error;
    for (int64_t i = 0; i < n->columns; i++) {
      const double normal = (row[i] - s.mean) * s.rstd;
      const double error = s.rstd * (fabs(row[i]) + s.mean_error + (lost == NULL ? 0 : lost[i])) +
                           fabs(row[i] - s.mean) * s.rstd_error;
      e.out[r * n->columns + i] = normal * gain[i] + bias[i];
      e.out_bound[r * n->columns + i] =
          c * (fabs(gain[i]) * (error + fabs(normal)) + fabs(bias[i])) +
          storing_error(t->dtype, e.out[r * n->columns + i]);
    }
  }
  return e;
}

static cdl_tensor view_or_none(const operand *o)
{
  return o == NULL ? (cdl_tensor){0} : o->view;
}

static void layer_norm_case(trial *t, const void *parameters)
{
  const norm *n = parameters;
  const bool in_place = (n->flags & IN_PLACE) != 0, keep = (n->flags & WITH_STATISTICS) != 0;
  operand *x = trial_operand(t, "x", in_place ? ROLE_INOUT : ROLE_IN, t->dtype,
                             shape_2d(n->rows, n->columns), n->x);
  operand *out =
      in_place ? x
               : trial_operand(t, "out", ROLE_OUT, t->dtype, shape_2d(n->rows, n->columns), n->out);
  operand *gain =
      trial_operand(t, "gain", ROLE_IN, CDL_DTYPE_F32, shape_1d(n->columns), LAYOUT_OFFSET);
  operand *bias =
      trial_operand(t, "bias", ROLE_IN, CDL_DTYPE_F32, shape_1d(n->columns), LAYOUT_DENSE);
  operand *mean =
      keep ? trial_operand(t, "mean", ROLE_OUT, CDL_DTYPE_F32, shape_1d(n->rows), LAYOUT_OFFSET)
           : NULL;
  operand *rstd =
      keep ? trial_operand(t, "rstd", ROLE_OUT, CDL_DTYPE_F32, shape_1d(n->rows), LAYOUT_DENSE)
           : NULL;
  fill_rows(t, x, n);
  fill_normal(t, gain, 1);
  fill_normal(t, bias, 1);
  const expected e = expect(t, n, x->value, NULL, gain->value, bias->value);
  if (!trial_run(t, CDL_ARGS(layer_norm, .out = out->view, .x = x->view, .gain = gain->view,
                             .bias = bias->view, .mean = view_or_none(mean),
                             .rstd = view_or_none(rstd), .epsilon = n->epsilon)))
    return;
  trial_compare(t, out, e.out, e.out_bound);
  if (keep && n->columns > 0) {
    trial_compare(t, mean, e.mean, e.mean_bound);
    trial_compare(t, rstd, e.rstd, e.rstd_bound);
  }
}

static void add_layer_norm_case(trial *t, const void *parameters)
{
  const norm *n = parameters;
  const bool in_place = (n->flags & IN_PLACE) != 0, alias = (n->flags & ALIAS_SUM) != 0,
             keep = (n->flags & WITH_STATISTICS) != 0;
  const shape size = shape_2d(n->rows, n->columns);
  operand *x = trial_operand(t, "x", in_place ? ROLE_INOUT : ROLE_IN, t->dtype, size, n->x);
  operand *residual = trial_operand(t, "residual", ROLE_IN, t->dtype, size, n->out);
  operand *sum = in_place ? x : trial_operand(t, "sum", ROLE_OUT, t->dtype, size, n->out);
  operand *out = alias ? sum : trial_operand(t, "out", ROLE_OUT, t->dtype, size, n->x);
  operand *gain =
      trial_operand(t, "gain", ROLE_IN, CDL_DTYPE_F32, shape_1d(n->columns), LAYOUT_OFFSET);
  operand *bias =
      trial_operand(t, "bias", ROLE_IN, CDL_DTYPE_F32, shape_1d(n->columns), LAYOUT_DENSE);
  operand *mean =
      keep ? trial_operand(t, "mean", ROLE_OUT, CDL_DTYPE_F32, shape_1d(n->rows), LAYOUT_OFFSET)
           : NULL;
  operand *rstd =
      keep ? trial_operand(t, "rstd", ROLE_OUT, CDL_DTYPE_F32, shape_1d(n->rows), LAYOUT_DENSE)
           : NULL;
  fill_rows(t, x, n);
  fill_normal(t, residual, 1);
  fill_normal(t, gain, 1);
  fill_normal(t, bias, 1);
  double *both = trial_doubles(t, x->count), *lost = trial_doubles(t, x->count),
         *sum_bound = trial_doubles(t, x->count);
  for (int64_t i = 0; i < x->count; i++) {
    both[i] = x->value[i] + residual->value[i];
    /* what is normalized may be what was stored */
    const double stored = storing_error(t->dtype, both[i]);
    lost[i] = fabs(both[i]) + stored / unit_roundoff(CDL_DTYPE_F32);
    sum_bound[i] = 2 * unit_roundoff(CDL_DTYPE_F32) * fabs(both[i]) + stored;
  }
  const expected e = expect(t, n, both, lost, gain->value, bias->value);
  if (!trial_run(t, CDL_ARGS(add_layer_norm, .out = out->view, .sum = sum->view, .x = x->view,
                             .residual = residual->view, .gain = gain->view, .bias = bias->view,
                             .mean = view_or_none(mean), .rstd = view_or_none(rstd),
                             .epsilon = n->epsilon)))
    return;
  trial_compare(t, out, e.out, e.out_bound);
  if (!alias)
    trial_compare(t, sum, both, sum_bound);
  if (keep && n->columns > 0) {
    trial_compare(t, mean, e.mean, e.mean_bound);
    trial_compare(t, rstd, e.rstd, e.rstd_bound);
  }
}

/* ---- Gradient ---- */

typedef struct {
  const operand *d_out, *x, *gain, *mean, *rstd;
} grad_inputs;

static void d_x_bound(const norm *n, const grad_inputs *in, int64_t r, double *bound)
{
  const double *d = in->d_out->value + r * n->columns, *x = in->x->value + r * n->columns;
  const double mean = in->mean->value[r], rstd = in->rstd->value[r], count = (double)n->columns;
  double sum = 0, squares = 0, product = 0, product_squares = 0, size = 0, shift = 0;
  for (int64_t i = 0; i < n->columns; i++) {
    const double a = in->gain->value[i] * d[i], normal = (x[i] - mean) * rstd;
    sum += a;
    squares += a * a;
    product += a * normal;
    product_squares += a * normal * a * normal;
    size += fabs(a * normal);
    shift += fabs(a) * (fabs(x[i]) + fabs(mean)) * rstd;
  }
  const double first = (sum_growth(count, squares, sum) + fabs(sum)) / count;
  const double second = (sum_growth(count, product_squares, product) + size + shift) / count;
  for (int64_t i = 0; i < n->columns; i++) {
    const double normal = fabs(x[i] - mean) * rstd, error = (fabs(x[i]) + fabs(mean)) * rstd;
    bound[i] = rstd * (fabs(in->gain->value[i] * d[i]) + first +
                       (normal + error) * (second + fabs(product) / count));
  }
}

static void judge_parameters(trial *t, const norm *n, const grad_inputs *in, const operand *d_gain,
                             const operand *d_bias, double c)
{
  double *gain = trial_doubles(t, n->columns), *bias = trial_doubles(t, n->columns);
  double *gain_bound = trial_doubles(t, n->columns), *bias_bound = trial_doubles(t, n->columns);
  for (int64_t i = 0; i < n->columns; i++) {
    double gain_squares = d_gain->value[i] * d_gain->value[i],
           bias_squares = d_bias->value[i] * d_bias->value[i], shift = 0;
    gain[i] = d_gain->value[i];
    bias[i] = d_bias->value[i];
    for (int64_t r = 0; r < n->rows; r++) {
      const double d = in->d_out->value[r * n->columns + i], x = in->x->value[r * n->columns + i];
      const double term = d * (x - in->mean->value[r]) * in->rstd->value[r];
      const double error =
          fabs(d) * (fabs(x) + fabs(in->mean->value[r])) * in->rstd->value[r] + fabs(term);
      gain[i] += term;
      bias[i] += d;
      gain_squares += term * term;
      bias_squares += d * d;
      shift += error * error; /* errors of different rows are independent */
    }
    gain_bound[i] = c * (sum_growth((double)n->rows + 1, gain_squares, gain[i]) + sqrt(shift));
    bias_bound[i] = c * sum_growth((double)n->rows + 1, bias_squares, bias[i]);
  }
  trial_compare(t, d_gain, gain, gain_bound);
  trial_compare(t, d_bias, bias, bias_bound);
}

static void layer_norm_grad_case(trial *t, const void *parameters)
{
  const norm *n = parameters;
  const shape size = shape_2d(n->rows, n->columns);
  const bool in_place = (n->flags & IN_PLACE) != 0, with_x = (n->flags & NO_D_X) == 0,
             with_gain = (n->flags & NO_D_GAIN) == 0;
  operand *d_out = trial_operand(t, "d_out", in_place ? ROLE_INOUT : ROLE_IN, t->dtype, size, n->x);
  operand *d_x = !with_x    ? NULL
                 : in_place ? d_out
                            : trial_operand(t, "d_x", ROLE_OUT, t->dtype, size, n->out);
  operand *x = trial_operand(t, "x", ROLE_IN, t->dtype, size, n->out);
  operand *gain =
      trial_operand(t, "gain", ROLE_IN, CDL_DTYPE_F32, shape_1d(n->columns), LAYOUT_OFFSET);
  operand *mean = trial_operand(t, "mean", ROLE_IN, CDL_DTYPE_F32, shape_1d(n->rows), LAYOUT_DENSE);
  operand *rstd =
      trial_operand(t, "rstd", ROLE_IN, CDL_DTYPE_F32, shape_1d(n->rows), LAYOUT_OFFSET);
  operand *d_gain = with_gain ? trial_operand(t, "d_gain", ROLE_INOUT, CDL_DTYPE_F32,
                                              shape_1d(n->columns), LAYOUT_OFFSET)
                              : NULL;
  operand *d_bias = with_gain ? trial_operand(t, "d_bias", ROLE_INOUT, CDL_DTYPE_F32,
                                              shape_1d(n->columns), LAYOUT_OFFSET)
                              : NULL;
  fill_normal(t, d_out, 1);
  fill_rows(t, x, n);
  fill_normal(t, gain, 1);
  for (int64_t r = 0; r < n->rows && n->columns > 0; r++) {
    const norm_row s =
        norm_statistics(n->columns, x->value + r * n->columns, NULL, (double)n->epsilon);
    mean->value[r] = s.mean;
    rstd->value[r] = s.rstd;
  }
  operand_settle(mean);
  operand_settle(rstd);
  if (with_gain) {
    fill_normal(t, d_gain, 2);
    fill_normal(t, d_bias, 2);
  }
  if (!trial_run(t,
                 CDL_ARGS(layer_norm_grad, .d_x = view_or_none(d_x), .d_gain = view_or_none(d_gain),
                          .d_bias = view_or_none(d_bias), .d_out = d_out->view, .x = x->view,
                          .gain = gain->view, .mean = mean->view, .rstd = rstd->view)))
    return;
  const grad_inputs in = {d_out, x, gain, mean, rstd};
  const double c = bound_constant(CDL_OP_layer_norm_grad) * unit_roundoff(CDL_DTYPE_F32);
  if (with_x) {
    double *want = trial_doubles(t, x->count), *bound = trial_doubles(t, x->count);
    for (int64_t r = 0; r < n->rows && n->columns > 0; r++) {
      norm_grad_row(n->columns, d_out->value + r * n->columns, x->value + r * n->columns,
                    gain->value, mean->value[r], rstd->value[r], want + r * n->columns);
      d_x_bound(n, &in, r, bound + r * n->columns);
      for (int64_t i = r * n->columns; i < (r + 1) * n->columns; i++)
        bound[i] = c * bound[i] + storing_error(t->dtype, want[i]);
    }
    trial_compare(t, d_x, want, bound);
  }
  if (with_gain)
    judge_parameters(t, n, &in, d_gain, d_bias, c);
}

/* ---- The dropout of a sum's first part ---- */

enum { SEQUENCES_MOST = 5 };

typedef struct {
  norm norm;
  int32_t lengths[SEQUENCES_MOST];
  int count;
  float probability;
  bool per_sequence;
} dropped_norm;

static cdl_step_record record_of(trial *t)
{
  cdl_step_record r = {.loss_scale = 0.5F};
  r.step = (uint32_t)random_bits(&t->random);
  r.seed[0] = (uint32_t)random_bits(&t->random);
  r.seed[1] = (uint32_t)random_bits(&t->random);
  return r;
}

/* What is dropped of x becomes 0, the rest grows. */
static void drop_by_mask(const dropped_norm *d, const cdl_packing *packing,
                         const cdl_step_record *record, const cdl_dropout_mask *mask, double *x)
{
  const double p = (double)d->probability;
  int64_t at = 0;
  for (int s = 0; s < d->count; s++) {
    const int64_t rows = d->per_sequence ? 1 : d->lengths[s];
    for (int64_t e = 0; e < rows * d->norm.columns; e++, at++)
      x[at] = dropout_keeps(record, p, mask->purpose, mask->layer,
                            (uint32_t)packing->host_examples[s], (uint64_t)e)
                  ? x[at] / (1 - p)
                  : 0;
  }
}

static void dropped_add_layer_norm_case(trial *t, const void *parameters)
{
  const dropped_norm *d = parameters;
  const norm *n = &d->norm;
  const bool in_place = (n->flags & IN_PLACE) != 0, alias = (n->flags & ALIAS_SUM) != 0;
  const cdl_packing packing = trial_packing(t, d->lengths, d->count);
  const cdl_step_record record = record_of(t);
  const shape size = shape_2d(d->per_sequence ? d->count : packing.tokens, n->columns);
  const cdl_dropout_mask mask = {d->probability, 5, 77, trial_step(t, record)->view};
  operand *x = trial_operand(t, "x", in_place ? ROLE_INOUT : ROLE_IN, t->dtype, size, n->x);
  operand *residual = trial_operand(t, "residual", ROLE_IN, t->dtype, size, n->out);
  operand *sum = in_place ? x : trial_operand(t, "sum", ROLE_OUT, t->dtype, size, n->out);
  operand *out = alias ? sum : trial_operand(t, "out", ROLE_OUT, t->dtype, size, n->x);
  const shape columns = shape_1d(n->columns);
  operand *gain = trial_operand(t, "gain", ROLE_IN, CDL_DTYPE_F32, columns, LAYOUT_OFFSET);
  operand *bias = trial_operand(t, "bias", ROLE_IN, CDL_DTYPE_F32, columns, LAYOUT_DENSE);
  fill_normal(t, x, 1);
  fill_normal(t, residual, 1);
  fill_normal(t, gain, 1);
  fill_normal(t, bias, 1);
  double *both = trial_doubles(t, x->count), *lost = trial_doubles(t, x->count),
         *sum_bound = trial_doubles(t, x->count);
  for (int64_t i = 0; i < x->count; i++)
    both[i] = x->value[i];
  drop_by_mask(d, &packing, &record, &mask, both);
  const double u = unit_roundoff(CDL_DTYPE_F32), c = bound_constant(CDL_OP_dropout);
  for (int64_t i = 0; i < x->count; i++) {
    const double kept = fabs(both[i]);
    both[i] += residual->value[i];
    const double stored = storing_error(t->dtype, both[i]);
    lost[i] = fabs(both[i]) + c * kept + stored / u;
    sum_bound[i] = u * (2 * fabs(both[i]) + c * kept) + stored;
  }
  norm rows = *n;
  rows.rows = size.n[2];
  const expected e = expect(t, &rows, both, lost, gain->value, bias->value);
  if (!trial_run(t, CDL_ARGS(add_layer_norm, .out = out->view, .sum = sum->view, .x = x->view,
                             .residual = residual->view, .gain = gain->view, .bias = bias->view,
                             .epsilon = n->epsilon, .mask = mask, .packing = &packing,
                             .per_sequence = d->per_sequence)))
    return;
  trial_compare(t, out, e.out, e.out_bound);
  if (!alias)
    trial_compare(t, sum, both, sum_bound);
}

/* d_sum as layer_norm_grad's d_x, and d_x its dropout. */
static void add_layer_norm_grad_case(trial *t, const void *parameters)
{
  const dropped_norm *d = parameters;
  const bool in_place = (d->norm.flags & IN_PLACE) != 0,
             with_gain = (d->norm.flags & NO_D_GAIN) == 0;
  const cdl_packing packing = trial_packing(t, d->lengths, d->count);
  const cdl_step_record record = record_of(t);
  norm n = d->norm;
  n.rows = d->per_sequence ? d->count : packing.tokens;
  const shape size = shape_2d(n.rows, n.columns), columns = shape_1d(n.columns),
              of_rows = shape_1d(n.rows);
  const cdl_dropout_mask mask = {d->probability, 5, 77, trial_step(t, record)->view};
  operand *d_out = trial_operand(t, "d_out", in_place ? ROLE_INOUT : ROLE_IN, t->dtype, size, n.x);
  operand *d_sum = in_place ? d_out : trial_operand(t, "d_sum", ROLE_OUT, t->dtype, size, n.out);
  operand *d_x = trial_operand(t, "d_x", ROLE_OUT, t->dtype, size, n.x);
  operand *sum = trial_operand(t, "sum", ROLE_IN, t->dtype, size, n.out);
  operand *gain = trial_operand(t, "gain", ROLE_IN, CDL_DTYPE_F32, columns, LAYOUT_OFFSET);
  operand *mean = trial_operand(t, "mean", ROLE_IN, CDL_DTYPE_F32, of_rows, LAYOUT_DENSE);
  operand *rstd = trial_operand(t, "rstd", ROLE_IN, CDL_DTYPE_F32, of_rows, LAYOUT_OFFSET);
  operand *d_gain = NULL, *d_bias = NULL;
  fill_normal(t, d_out, 1);
  fill_normal(t, sum, 1);
  fill_normal(t, gain, 1);
  fill_normal(t, mean, 0.2);
  fill_uniform(t, rstd, 0.5, 2);
  if (with_gain) {
    d_gain = trial_operand(t, "d_gain", ROLE_INOUT, CDL_DTYPE_F32, columns, LAYOUT_OFFSET);
    d_bias = trial_operand(t, "d_bias", ROLE_INOUT, CDL_DTYPE_F32, columns, LAYOUT_OFFSET);
    fill_normal(t, d_gain, 2);
    fill_normal(t, d_bias, 2);
  }
  if (!trial_run(t, CDL_ARGS(add_layer_norm_grad, .d_x = d_x->view, .d_sum = d_sum->view,
                             .d_gain = view_or_none(d_gain), .d_bias = view_or_none(d_bias),
                             .d_out = d_out->view, .sum = sum->view, .gain = gain->view,
                             .mean = mean->view, .rstd = rstd->view, .mask = mask,
                             .packing = &packing, .per_sequence = d->per_sequence)))
    return;
  const grad_inputs in = {d_out, sum, gain, mean, rstd};
  const double u = unit_roundoff(CDL_DTYPE_F32), c = bound_constant(CDL_OP_add_layer_norm_grad) * u;
  double *want = trial_doubles(t, sum->count), *bound = trial_doubles(t, sum->count),
         *dropped = trial_doubles(t, sum->count), *dropped_bound = trial_doubles(t, sum->count);
  for (int64_t r = 0; r < n.rows && n.columns > 0; r++) {
    norm_grad_row(n.columns, d_out->value + r * n.columns, sum->value + r * n.columns, gain->value,
                  mean->value[r], rstd->value[r], want + r * n.columns);
    d_x_bound(&n, &in, r, bound + r * n.columns);
  }
  for (int64_t i = 0; i < sum->count; i++) {
    dropped[i] = want[i];
    bound[i] = c * bound[i] + storing_error(t->dtype, want[i]);
  }
  drop_by_mask(d, &packing, &record, &mask, dropped);
  for (int64_t i = 0; i < sum->count; i++)
    dropped_bound[i] = dropped[i] == 0 ? 0
                                       : bound[i] / (1 - (double)d->probability) +
                                             bound_constant(CDL_OP_dropout) * u * fabs(dropped[i]) +
                                             storing_error(t->dtype, dropped[i]);
  trial_compare(t, d_sum, want, bound);
  trial_compare(t, d_x, dropped, dropped_bound);
  if (with_gain)
    judge_parameters(t, &n, &in, d_gain, d_bias, c);
}

static void draw_dropped(trial *t, void *parameters)
{
  dropped_norm *d = parameters;
  random_source *r = &t->random;
  *d = (dropped_norm){.norm = {.columns = random_size(r, 800),
                               .out = random_layout(r),
                               .x = random_layout(r),
                               .flags = (random_chance(r, 0.4) ? IN_PLACE : 0u) |
                                        (random_chance(r, 0.3) ? NO_D_GAIN : 0u)},
                      .count = (int)random_integer(r, 1, SEQUENCES_MOST),
                      .probability = (float)(0.05 + 0.9 * random_uniform(r)),
                      .per_sequence = random_chance(r, 0.3)};
  for (int s = 0; s < d->count; s++)
    d->lengths[s] = (int32_t)random_integer(r, 0, 60);
  trial_describe(t, "%d sequences, %d columns %s from %s, p %g, flags %u%s", d->count,
                 (int)d->norm.columns, layout_name(d->norm.out), layout_name(d->norm.x),
                 (double)d->probability, d->norm.flags, d->per_sequence ? ", a row each" : "");
}

static void register_dropped(suite *s, cdl_dtype dtype)
{
  static const int64_t columns[] = {0, 1, 7, 64, 131, 768, 1031};
  static const int32_t lengths[][SEQUENCES_MOST] = {{3, 0, 17, 1, 40}, {1, 0, 0, 0, 0}};
  suite_add_random(s, CDL_OP_add_layer_norm_grad, dtype, draw_dropped, add_layer_norm_grad_case,
                   sizeof(dropped_norm));
  for (size_t k = 0; k < sizeof columns / sizeof *columns; k++)
    for (unsigned v = 0; v < 5; v++) {
      dropped_norm d = {.norm = {.columns = columns[k],
                                 .out = v == 0 ? LAYOUT_DENSE : (layout)(k % LAYOUT_COUNT),
                                 .x = (layout)(v % LAYOUT_COUNT),
                                 .epsilon = 1e-5F,
                                 .flags = v == 1   ? IN_PLACE
                                          : v == 2 ? ALIAS_SUM
                                                   : 0u},
                        .count = v == 4 ? 1 : SEQUENCES_MOST,
                        .probability = v == 3 ? 0.75F : 0.1F,
                        .per_sequence = v == 3};
      memcpy(d.lengths, lengths[v == 4], sizeof d.lengths);
      ADD(s, add_layer_norm, dtype, 0, dropped_add_layer_norm_case, &d,
          "%d columns %s from %s, p %g%s%s%s", (int)columns[k], layout_name(d.norm.out),
          layout_name(d.norm.x), (double)d.probability, v == 3 ? ", a row a sequence" : "",
          v == 1   ? ", sum in place of x"
          : v == 2 ? ", sum not kept"
                   : "",
          v == 4 ? ", one row" : "");
      d.norm.flags = v == 1 ? IN_PLACE : v == 2 ? NO_D_GAIN : 0u;
      ADD(s, add_layer_norm_grad, dtype, 0, add_layer_norm_grad_case, &d,
          "%d columns %s from %s, p %g%s%s%s", (int)columns[k], layout_name(d.norm.out),
          layout_name(d.norm.x), (double)d.probability, v == 3 ? ", a row a sequence" : "",
          v == 1   ? ", in place"
          : v == 2 ? ", no d_gain"
                   : "",
          v == 4 ? ", one row" : "");
    }
}

/* ---- Registration ---- */

static void draw_norm(trial *t, void *parameters)
{
  norm *n = parameters;
  random_source *r = &t->random;
  *n = (norm){.rows = random_size(r, 300), .columns = random_size(r, 800)};
  n->out = random_layout(r);
  n->x = random_layout(r);
  n->epsilon = random_chance(r, 0.5) ? 1e-5F : 1e-12F;
  n->flags = (random_chance(r, 0.5) ? WITH_STATISTICS : 0u) |
             (random_chance(r, 0.3) ? IN_PLACE : 0u) | (random_chance(r, 0.3) ? ALIAS_SUM : 0u) |
             (random_chance(r, 0.2) ? NO_D_GAIN : 0u);
  trial_describe(t, "%dx%d %s from %s, epsilon %g, flags %u", (int)n->rows, (int)n->columns,
                 layout_name(n->out), layout_name(n->x), (double)n->epsilon, n->flags);
}

static void register_dtype(suite *s, cdl_dtype dtype)
{
  suite_add_random(s, CDL_OP_layer_norm, dtype, draw_norm, layer_norm_case, sizeof(norm));
  suite_add_random(s, CDL_OP_add_layer_norm, dtype, draw_norm, add_layer_norm_case, sizeof(norm));
  suite_add_random(s, CDL_OP_layer_norm_grad, dtype, draw_norm, layer_norm_grad_case, sizeof(norm));
  static const int64_t sizes[][2] = {{1, 1},    {5, 7}, {13, 131}, {64, 384}, {257, 129},
                                     {3, 1031}, {0, 8}, {127, 1},  {880, 96}};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
    for (unsigned v = 0; v < 4; v++) {
      const norm n = {.rows = sizes[k][0],
                      .columns = sizes[k][1],
                      .out = (layout)((k + v) % LAYOUT_COUNT),
                      .x = (layout)((k + 2 * v + 1) % LAYOUT_COUNT),
                      .epsilon = v == 3 ? 1e-12F : 1e-5F,
                      .flags = (v % 2 == 0 ? WITH_STATISTICS : 0u) | (v > 1 ? IN_PLACE : 0u)};
      ADD(s, layer_norm, dtype, 0, layer_norm_case, &n, "%dx%d %s from %s%s%s", (int)n.rows,
          (int)n.columns, layout_name(n.out), layout_name(n.x),
          n.flags & WITH_STATISTICS ? ", statistics" : "", n.flags & IN_PLACE ? ", in place" : "");
      norm a = n;
      a.flags |= v == 1 || v == 3 ? ALIAS_SUM : 0u;
      ADD(s, add_layer_norm, dtype, 0, add_layer_norm_case, &a, "%dx%d %s from %s%s%s%s",
          (int)n.rows, (int)n.columns, layout_name(n.out), layout_name(n.x),
          n.flags & WITH_STATISTICS ? ", statistics" : "",
          n.flags & IN_PLACE ? ", sum in place of x" : "",
          a.flags & ALIAS_SUM ? ", sum not kept" : "");
      norm g = n;
      g.flags = (v > 1 ? IN_PLACE : 0u) | (v == 1 ? NO_D_GAIN : 0u);
      ADD(s, layer_norm_grad, dtype, 0, layer_norm_grad_case, &g, "%dx%d %s from %s%s%s",
          (int)n.rows, (int)n.columns, layout_name(n.out), layout_name(n.x),
          g.flags & IN_PLACE ? ", in place" : "", g.flags & NO_D_GAIN ? ", no d_gain" : "");
    }
  static const struct {
    unsigned flags;
    const char *what;
  } kinds[] = {{CONSTANT_ROWS, "constant rows"},
               {FAR_FROM_ZERO, "values around 100"},
               {NAN_ROW, "a NaN in one row"}};
  for (size_t k = 0; k < 3; k++) {
    const norm n = {.rows = 6,
                    .columns = 67,
                    .x = LAYOUT_COLUMNS,
                    .flags = kinds[k].flags | WITH_STATISTICS,
                    .epsilon = 1e-5F};
    ADD(s, layer_norm, dtype, 0, layer_norm_case, &n, "6x67, %s", kinds[k].what);
    ADD(s, add_layer_norm, dtype, 0, add_layer_norm_case, &n, "6x67, %s", kinds[k].what);
    if (kinds[k].flags != NAN_ROW)
      ADD(s, layer_norm_grad, dtype, 0, layer_norm_grad_case, &n, "6x67, %s", kinds[k].what);
  }
  const norm only = {.rows = 31, .columns = 65, .flags = NO_D_X, .epsilon = 1e-5F};
  ADD(s, layer_norm_grad, dtype, 0, layer_norm_grad_case, &only, "31x65, parameters only");
}

void register_norm(suite *s)
{
  register_dtype(s, CDL_DTYPE_F32);
  register_dtype(s, CDL_DTYPE_BF16);
  register_dropped(s, CDL_DTYPE_F32);
  register_dropped(s, CDL_DTYPE_BF16);
}
