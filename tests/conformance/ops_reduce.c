/* reduce. */
#include <math.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/suite.h"

typedef struct {
  shape n;
  uint8_t axis;
  cdl_reduce_function function;
  layout out, x;
  bool accumulate, special, one_sign;
  unsigned repeat;
} reduction;

static void judge(trial *t, const reduction *r, const operand *x, const operand *out)
{
  double *want = trial_doubles(t, out->count), *bound = trial_doubles(t, out->count);
  int64_t inner = 1;
  for (int d = r->axis + 1; d < 4; d++)
    inner *= r->n.n[d];
  const int64_t length = r->n.n[r->axis];
  for (int64_t i = 0; i < out->count; i++) {
    const double before = r->accumulate ? out->value[i] : 0;
    double sum = before, squares = before * before, largest = -INFINITY;
    for (int64_t k = 0; k < length; k++) {
      const double v = x->value[(i / inner * length + k) * inner + i % inner];
      const double term = r->function == CDL_REDUCE_SUM_SQUARES ? v * v : v;
      sum += term;
      squares += term * term;
      largest = isnan(largest) || v <= largest ? largest : v;
    }
    /* Equal terms err alike at each step: ops.h's n u, not the growth of independent errors. */
    const bool equal = (r->repeat >> r->axis & 1u) != 0;
    const double growth = equal ? (double)(length + 1) * (fabs(before) + fabs(sum - before))
                                : sum_growth((double)length + 1, squares, sum);
    want[i] = r->function == CDL_REDUCE_MAXIMUM ? largest : sum;
    bound[i] =
        r->function == CDL_REDUCE_MAXIMUM
            ? 0
            : unit_roundoff(CDL_DTYPE_F32) * (equal ? 1 : bound_constant(CDL_OP_reduce)) * growth;
  }
  trial_compare(t, out, want, bound);
}

static void reduce_case(trial *t, const void *parameters)
{
  const reduction *r = parameters;
  shape reduced = r->n;
  reduced.n[r->axis] = 1;
  operand *x = trial_repeated(t, "x", CDL_DTYPE_F32, r->n, r->x, r->repeat);
  operand *out = trial_operand(t, "out", r->accumulate ? ROLE_INOUT : ROLE_OUT, CDL_DTYPE_F32,
                               reduced, r->out);
  if (r->one_sign)
    fill_uniform(t, x, 0.5, 1);
  else
    fill_scales(t, x);
  if (r->accumulate)
    fill_scales(t, out);
  if (r->special && x->count > 30) {
    x->value[3] = NAN;
    x->value[20] = INFINITY;
    x->value[x->count - 1] = -INFINITY;
    operand_settle(x);
  }
  if (trial_run(t, CDL_ARGS(reduce, .out = out->view, .x = x->view, .function = r->function,
                            .axis = r->axis, .accumulate = r->accumulate)))
    judge(t, r, x, out);
}

/* NaN wins wherever it stands, and -infinity is a maximum like any other. */
static void maximum_case(trial *t, const void *parameters)
{
  (void)parameters;
  operand *x = trial_operand(t, "x", ROLE_IN, CDL_DTYPE_F32, shape_2d(5, 67), LAYOUT_COLUMNS);
  operand *out = trial_operand(t, "out", ROLE_OUT, CDL_DTYPE_F32, shape_2d(5, 1), LAYOUT_ROWS);
  fill_normal(t, x, 1);
  for (int64_t i = 0; i < 67; i++)
    x->value[3 * 67 + i] = -INFINITY;
  x->value[0] = NAN;
  x->value[67 + 66] = NAN;
  x->value[2 * 67 + 30] = NAN;
  x->value[2 * 67 + 31] = INFINITY;
  x->value[4 * 67 + 5] = INFINITY;
  operand_settle(x);
  const double want[] = {NAN, NAN, NAN, -INFINITY, INFINITY};
  if (trial_run(t, CDL_ARGS(reduce, .out = out->view, .x = x->view, .function = CDL_REDUCE_MAXIMUM,
                            .axis = 3)))
    trial_exact(t, out, want);
}

static void draw_reduction(trial *t, void *parameters)
{
  reduction *r = parameters;
  random_source *random = &t->random;
  *r = (reduction){.n = random_shape(random, 30000), .out = random_layout(random)};
  r->x = random_layout(random);
  r->axis = (uint8_t)random_integer(random, 0, 3);
  r->function = (cdl_reduce_function)random_integer(random, 0, CDL_REDUCE_MAXIMUM);
  r->accumulate = r->function != CDL_REDUCE_MAXIMUM && random_chance(random, 0.5);
  r->one_sign = random_chance(random, 0.5);
  r->repeat = random_chance(random, 0.2) ? (unsigned)random_integer(random, 1, 7) : 0;
  trial_describe(t, "%dx%dx%dx%d function %d over %d, %s from %s, repeated %u%s", (int)r->n.n[0],
                 (int)r->n.n[1], (int)r->n.n[2], (int)r->n.n[3], r->function, r->axis,
                 layout_name(r->out), layout_name(r->x), r->repeat,
                 r->accumulate ? ", accumulated" : "");
}

void register_reduce(suite *s)
{
  suite_add_random(s, CDL_OP_reduce, CDL_DTYPE_F32, draw_reduction, reduce_case, sizeof(reduction));
  static const char *const names[] = {"sum", "sum of squares", "maximum"};
  static const shape shapes[] = {
      {{1, 1, 1, 1}}, {{1, 1, 5, 7}}, {{2, 3, 5, 17}},   {{1, 1, 1, 1031}}, {{1, 1, 257, 129}},
      {{1, 1, 0, 8}}, {{1, 1, 8, 0}}, {{1, 1, 1000, 3}}, {{13, 1, 2, 31}},  {{1, 131, 1, 5}}};
  for (int function = CDL_REDUCE_SUM; function <= CDL_REDUCE_MAXIMUM; function++)
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
      for (uint8_t axis = 0; axis < 4; axis++)
        for (int accumulate = 0; accumulate < (function == CDL_REDUCE_MAXIMUM ? 1 : 2);
             accumulate++) {
          const reduction r = {.n = shapes[k],
                               .axis = axis,
                               .function = (cdl_reduce_function)function,
                               .accumulate = accumulate != 0,
                               .out = (layout)((k + axis) % LAYOUT_COUNT),
                               .x = (layout)((k + 2) % LAYOUT_COUNT),
                               .special = k == 2,
                               .one_sign = k == 7,
                               .repeat = k == 8 ? 4 : 0};
          ADD(s, reduce, CDL_DTYPE_F32, 0, reduce_case, &r, "%s of %dx%dx%dx%d over %d %s%s%s",
              names[function], (int)r.n.n[0], (int)r.n.n[1], (int)r.n.n[2], (int)r.n.n[3], axis,
              layout_name(r.x), r.repeat != 0 ? " repeated" : "", r.accumulate ? ", added" : "");
        }
  for (uint8_t axis = 2; axis < 4; axis++) {
    const reduction r = {.n = axis == 2 ? shape_2d(100003, 3) : shape_2d(3, 100003),
                         .axis = axis,
                         .one_sign = true,
                         .x = LAYOUT_OFFSET};
    ADD(s, reduce, CDL_DTYPE_F32, CASE_LARGE, reduce_case, &r, "sum of %dx%d of one sign over %d",
        (int)r.n.n[2], (int)r.n.n[3], axis);
  }
  suite_add(s, CDL_OP_reduce, NULL, CDL_DTYPE_F32, 0, maximum_case, NULL, 0,
            "maximum with NaN and infinities");
}
