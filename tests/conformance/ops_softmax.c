/* softmax and its gradient. */
#include <math.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/reference.h"
#include "tests/conformance/suite.h"

typedef struct {
  shape n;
  layout out, x;
  float scale;
  double spread;
  bool in_place, special;
} rows;

static void softmax_case(trial *t, const void *parameters)
{
  const rows *s = parameters;
  operand *x = trial_operand(t, "x", s->in_place ? ROLE_INOUT : ROLE_IN, CDL_DTYPE_F32, s->n, s->x);
  operand *out = s->in_place ? x : trial_operand(t, "out", ROLE_OUT, CDL_DTYPE_F32, s->n, s->out);
  fill_normal(t, x, s->spread);
  const int64_t n = s->n.n[3], count = n == 0 ? 0 : x->count / n;
  for (int64_t i = 0; i < n && s->special; i++) {
    x->value[i] = -INFINITY;                                      /* nothing left: zeros */
    x->value[n + i] = i % 3 == 0 ? x->value[n + i] : -INFINITY;   /* some masked: zero there */
    x->value[2 * n + i] = i == n - 1 ? -3 : -INFINITY;            /* one left: 1 */
    x->value[3 * n + i] = i == n / 2 ? NAN : x->value[3 * n + i]; /* a NaN reaches all */
  }
  operand_settle(x);
  double *want = trial_doubles(t, x->count), *bound = trial_doubles(t, x->count);
  for (int64_t r = 0; r < count; r++) {
    softmax_reference(n, x->value + r * n, (double)s->scale, want + r * n);
    double largest = 0;
    for (int64_t i = 0; i < n; i++) {
      const double scaled = fabs((double)s->scale * x->value[r * n + i]);
      largest = isfinite(scaled) && scaled > largest ? scaled : largest;
    }
    for (int64_t i = 0; i < n; i++) {
      const double y =
          want[r * n + i]; /* errors of the exponent, of the sum (Σp = 1), of the functions */
      bound[r * n + i] = y == 0 ? 0
                                : bound_constant(CDL_OP_softmax) * unit_roundoff(CDL_DTYPE_F32) *
                                          y * (2 + 2 * largest + sum_growth((double)n, 1, 1)) +
                                      smallest_normal(CDL_DTYPE_F32);
    }
  }
  if (trial_run(t, CDL_ARGS(softmax, .out = out->view, .x = x->view, .scale = s->scale)))
    trial_compare(t, out, want, bound);
}

static void softmax_grad_case(trial *t, const void *parameters)
{
  const rows *s = parameters;
  operand *out = trial_operand(t, "out", ROLE_IN, CDL_DTYPE_F32, s->n, s->x);
  operand *d_out =
      trial_operand(t, "d_out", s->in_place ? ROLE_INOUT : ROLE_IN, CDL_DTYPE_F32, s->n, s->out);
  operand *d_x = s->in_place ? d_out : trial_operand(t, "d_x", ROLE_OUT, CDL_DTYPE_F32, s->n, s->x);
  fill_normal(t, out, s->spread);
  const int64_t n = s->n.n[3], count = n == 0 ? 0 : out->count / n;
  for (int64_t r = 0; r < count; r++) {
    double *row = trial_doubles(t, n);
    softmax_reference(n, out->value + r * n, 1, row);
    for (int64_t i = 0; i < n; i++)
      out->value[r * n + i] = s->special && r == 0 ? 0 : row[i];
  }
  operand_settle(out);
  fill_normal(t, d_out, 1);
  double *want = trial_doubles(t, out->count), *bound = trial_doubles(t, out->count);
  for (int64_t r = 0; r < count; r++) {
    const double *y = out->value + r * n, *d = d_out->value + r * n;
    softmax_grad_reference(n, d, y, (double)s->scale, want + r * n);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
      sum += d[i] * y[i];
      squares += d[i] * y[i] * d[i] * y[i];
    }
    for (int64_t i = 0; i < n; i++)
      bound[r * n + i] = bound_constant(CDL_OP_softmax_grad) * unit_roundoff(CDL_DTYPE_F32) *
                             fabs((double)s->scale * y[i]) *
                             (fabs(d[i]) + fabs(sum) + sum_growth((double)n, squares, sum)) +
                         smallest_normal(CDL_DTYPE_F32);
  }
  if (trial_run(t, CDL_ARGS(softmax_grad, .d_x = d_x->view, .d_out = d_out->view, .out = out->view,
                            .scale = s->scale)))
    trial_compare(t, d_x, want, bound);
}

static void draw_rows(trial *t, void *parameters)
{
  rows *s = parameters;
  random_source *r = &t->random;
  *s = (rows){.n = random_shape(r, 30000), .out = random_layout(r), .x = random_layout(r)};
  s->scale = (float)random_normal(r);
  s->spread = random_chance(r, 0.2) ? 30 : 2;
  s->in_place = random_chance(r, 0.3);
  trial_describe(t, "%dx%dx%dx%d scale %g, %s from %s, spread %g%s", (int)s->n.n[0], (int)s->n.n[1],
                 (int)s->n.n[2], (int)s->n.n[3], (double)s->scale, layout_name(s->out),
                 layout_name(s->x), s->spread, s->in_place ? ", in place" : "");
}

void register_softmax(suite *s)
{
  suite_add_random(s, CDL_OP_softmax, CDL_DTYPE_F32, draw_rows, softmax_case, sizeof(rows));
  suite_add_random(s, CDL_OP_softmax_grad, CDL_DTYPE_F32, draw_rows, softmax_grad_case,
                   sizeof(rows));
  static const shape shapes[] = {
      {{1, 1, 1, 1}}, {{1, 1, 7, 5}}, {{2, 3, 4, 17}},  {{1, 1, 13, 131}}, {{1, 12, 33, 64}},
      {{1, 1, 0, 4}}, {{1, 1, 4, 0}}, {{1, 1, 127, 1}}, {{1, 1, 5, 1009}}, {{1, 1, 3, 512}}};
  static const float scales[] = {1, 0.125F, -2};
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
    for (size_t f = 0; f < 3; f++) {
      rows r = {.n = shapes[k],
                .out = (layout)((k + f) % LAYOUT_COUNT),
                .x = (layout)((k + 1) % LAYOUT_COUNT),
                .scale = scales[f],
                .spread = f == 1 ? 30 : 2,
                .in_place = (k + f) % 3 == 0};
      ADD(s, softmax, CDL_DTYPE_F32, 0, softmax_case, &r, "%dx%dx%dx%d scale %g %s%s",
          (int)r.n.n[0], (int)r.n.n[1], (int)r.n.n[2], (int)r.n.n[3], (double)r.scale,
          layout_name(r.x), r.in_place ? " in place" : "");
      ADD(s, softmax_grad, CDL_DTYPE_F32, 0, softmax_grad_case, &r, "%dx%dx%dx%d scale %g %s%s",
          (int)r.n.n[0], (int)r.n.n[1], (int)r.n.n[2], (int)r.n.n[3], (double)r.scale,
          layout_name(r.x), r.in_place ? " in place" : "");
    }
  for (size_t k = 0; k < 4; k++) {
    const rows r = {.n = {{1, 1, 6, k % 2 == 0 ? 37 : 5}},
                    .x = LAYOUT_COLUMNS,
                    .scale = k < 2 ? 1 : 0.25F,
                    .spread = 2,
                    .special = true,
                    .in_place = k == 3};
    ADD(s, softmax, CDL_DTYPE_F32, 0, softmax_case, &r,
        "rows of 6x%d masked by -infinity, NaN, scale %g", (int)r.n.n[3], (double)r.scale);
    ADD(s, softmax_grad, CDL_DTYPE_F32, 0, softmax_grad_case, &r,
        "a row of 6x%d of zeros, scale %g", (int)r.n.n[3], (double)r.scale);
  }
  const rows huge = {.n = {{1, 1, 9, 31}}, .scale = 1, .spread = 1e4};
  ADD(s, softmax, CDL_DTYPE_F32, 0, softmax_case, &huge, "values of 1e4");
}
