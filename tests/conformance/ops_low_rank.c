/* low_rank and low_rank_grad. */
#include <math.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/reference.h"
#include "tests/conformance/suite.h"

typedef struct {
  int64_t rows, in, rank, out;
  layout x, y, ab;
  float scale;
  unsigned absent; /* of the gradient: 1 d_x, 2 d_a, 4 d_b */
} low_rank;

/* product = op(a) op(b), and its error where a itself errs by a_error (or b by b_error), in units
 * of u. */
static void product(trial *t, const gemm_shape *g, const double *a, const double *b,
                    const double *a_error, const double *b_error, double *out, double *error)
{
  const int64_t count = g->m * g->n;
  double *squares = trial_doubles(t, count), *carried = trial_doubles(t, count),
         *absolute = trial_doubles(t, count);
  gemm_reference(g, a, b, out, NULL, squares);
  if (a_error != NULL)
    gemm_reference(g, a_error, b, carried, absolute, NULL);
  else if (b_error != NULL)
    gemm_reference(g, a, b_error, carried, absolute, NULL);
  /* beside BF16 activations the other factors may be rounded to BF16 */
  const double rounding =
      t->dtype == CDL_DTYPE_BF16 ? unit_roundoff(t->dtype) / unit_roundoff(CDL_DTYPE_F32) : 0;
  for (int64_t i = 0; i < count; i++)
    error[i] = product_growth(CDL_OP_low_rank, (double)g->k, squares[i], out[i]) +
               rounding * sqrt(squares[i] + out[i] * out[i]) + fabs(out[i]) + absolute[i];
}

static void low_rank_case(trial *t, const void *parameters)
{
  const low_rank *l = parameters;
  operand *x = trial_operand(t, "x", ROLE_IN, t->dtype, shape_2d(l->rows, l->in), l->x);
  operand *a = trial_operand(t, "a", ROLE_IN, CDL_DTYPE_F32, shape_2d(l->rank, l->in), l->ab);
  operand *b = trial_operand(t, "b", ROLE_IN, CDL_DTYPE_F32, shape_2d(l->out, l->rank), l->ab);
  operand *hidden =
      trial_operand(t, "hidden", ROLE_OUT, CDL_DTYPE_F32, shape_2d(l->rows, l->rank), LAYOUT_ROWS);
  operand *out = trial_operand(t, "out", ROLE_INOUT, t->dtype, shape_2d(l->rows, l->out), l->y);
  fill_normal(t, x, 1);
  fill_normal(t, a, 0.2);
  fill_normal(t, b, 0.2);
  fill_normal(t, out, 1);
  if (!trial_run(t, CDL_ARGS(low_rank, .out = out->view, .hidden = hidden->view, .x = x->view,
                             .a = a->view, .b = b->view, .scale = l->scale)))
    return;
  double *middle = trial_doubles(t, hidden->count), *middle_error = trial_doubles(t, hidden->count);
  double *want = trial_doubles(t, out->count), *error = trial_doubles(t, out->count);
  const gemm_shape first = {l->rows, l->rank, l->in, false, true},
                   second = {l->rows, l->out, l->rank, false, true};
  product(t, &first, x->value, a->value, NULL, NULL, middle, middle_error);
  product(t, &second, middle, b->value, middle_error, NULL, want, error);
  const double c = bound_constant(CDL_OP_low_rank) * unit_roundoff(CDL_DTYPE_F32),
               scale = (double)l->scale;
  for (int64_t i = 0; i < hidden->count; i++)
    middle_error[i] *= c;
  for (int64_t i = 0; i < out->count; i++) {
    want[i] = scale * want[i] + out->value[i];
    error[i] = c * (fabs(scale) * error[i] + fabs(want[i]) + fabs(out->value[i])) +
               storing_error(t->dtype, want[i]);
  }
  trial_compare(t, hidden, middle, middle_error);
  trial_compare(t, out, want, error);
}

static void judge_added(trial *t, const operand *o, double *want, double *error, double scale)
{
  const double c = bound_constant(CDL_OP_low_rank_grad) * unit_roundoff(CDL_DTYPE_F32);
  for (int64_t i = 0; i < o->count; i++) {
    want[i] = scale * want[i] + o->value[i];
    error[i] = c * (fabs(scale) * error[i] + fabs(want[i]) + fabs(o->value[i])) +
               storing_error(o->view.dtype, want[i]);
  }
  trial_compare(t, o, want, error);
}

static operand *gradient(trial *t, const char *name, cdl_dtype dtype, shape n, layout l,
                         bool absent)
{
  if (absent)
    return NULL;
  operand *o = trial_operand(t, name, ROLE_INOUT, dtype, n, l);
  fill_normal(t, o, 1);
  return o;
}

static cdl_tensor view_or_none(const operand *o)
{
  return o == NULL ? (cdl_tensor){0} : o->view;
}

static void low_rank_grad_case(trial *t, const void *parameters)
{
  const low_rank *l = parameters;
  operand *x = trial_operand(t, "x", ROLE_IN, t->dtype, shape_2d(l->rows, l->in), l->x);
  operand *a = trial_operand(t, "a", ROLE_IN, CDL_DTYPE_F32, shape_2d(l->rank, l->in), l->ab);
  operand *b = trial_operand(t, "b", ROLE_IN, CDL_DTYPE_F32, shape_2d(l->out, l->rank), l->ab);
  operand *hidden =
      trial_operand(t, "hidden", ROLE_IN, CDL_DTYPE_F32, shape_2d(l->rows, l->rank), LAYOUT_ROWS);
  operand *d_out = trial_operand(t, "d_out", ROLE_IN, t->dtype, shape_2d(l->rows, l->out), l->y);
  fill_normal(t, x, 1);
  fill_normal(t, a, 0.2);
  fill_normal(t, b, 0.2);
  fill_normal(t, hidden, 1);
  fill_normal(t, d_out, 1);
  operand *d_x = gradient(t, "d_x", t->dtype, shape_2d(l->rows, l->in), l->x, (l->absent & 1) != 0);
  operand *d_a =
      gradient(t, "d_a", CDL_DTYPE_F32, shape_2d(l->rank, l->in), l->ab, (l->absent & 2) != 0);
  operand *d_b =
      gradient(t, "d_b", CDL_DTYPE_F32, shape_2d(l->out, l->rank), l->ab, (l->absent & 4) != 0);
  if (!trial_run(t, CDL_ARGS(low_rank_grad, .d_x = view_or_none(d_x), .d_a = view_or_none(d_a),
                             .d_b = view_or_none(d_b), .d_out = d_out->view, .hidden = hidden->view,
                             .x = x->view, .a = a->view, .b = b->view, .scale = l->scale)))
    return;
  const double scale = (double)l->scale;
  double *du = trial_doubles(t, l->rows * l->rank), *du_error = trial_doubles(t, l->rows * l->rank);
  const gemm_shape to_u = {l->rows, l->rank, l->out, false, false},
                   to_x = {l->rows, l->in, l->rank, false, false};
  const gemm_shape to_a = {l->rank, l->in, l->rows, true, false},
                   to_b = {l->out, l->rank, l->rows, true, false};
  product(t, &to_u, d_out->value, b->value, NULL, NULL, du, du_error);
  const int64_t most = l->rows * l->in + l->rank * l->in + l->out * l->rank;
  double *want = trial_doubles(t, most), *error = trial_doubles(t, most);
  if (d_x != NULL) {
    product(t, &to_x, du, a->value, du_error, NULL, want, error);
    judge_added(t, d_x, want, error, scale);
  }
  if (d_a != NULL) {
    product(t, &to_a, du, x->value, du_error, NULL, want, error);
    judge_added(t, d_a, want, error, scale);
  }
  if (d_b != NULL) {
    product(t, &to_b, d_out->value, hidden->value, NULL, NULL, want, error);
    judge_added(t, d_b, want, error, scale);
  }
}

static void draw_low_rank(trial *t, void *parameters)
{
  low_rank *l = parameters;
  random_source *r = &t->random;
  *l = (low_rank){.rows = random_size(r, 200), .in = random_size(r, 300)};
  l->in += l->in == 0;
  l->rank = random_integer(r, 1, random_chance(r, 0.7) ? 16 : 70);
  l->out = random_integer(r, 1, 200);
  l->x = random_layout(r);
  l->y = random_layout(r);
  l->ab = random_layout(r);
  l->scale = (float)random_normal(r);
  l->absent = random_chance(r, 0.4) ? (unsigned)random_integer(r, 1, 6) : 0;
  trial_describe(t, "%dx%d by %d to %d, scale %g, %s from %s, A and B %s, absent %u", (int)l->rows,
                 (int)l->in, (int)l->rank, (int)l->out, (double)l->scale, layout_name(l->y),
                 layout_name(l->x), layout_name(l->ab), l->absent);
}

static void register_dtype(suite *s, cdl_dtype dtype)
{
  suite_add_random(s, CDL_OP_low_rank, dtype, draw_low_rank, low_rank_case, sizeof(low_rank));
  suite_add_random(s, CDL_OP_low_rank_grad, dtype, draw_low_rank, low_rank_grad_case,
                   sizeof(low_rank));
  static const int64_t sizes[][4] = {{1, 1, 1, 1},       {5, 7, 2, 3},       {131, 67, 8, 33},
                                     {64, 384, 8, 384},  {257, 129, 13, 31}, {0, 8, 2, 8},
                                     {300, 768, 64, 129}};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
    for (unsigned v = 0; v < 4; v++) {
      const low_rank l = {.rows = sizes[k][0],
                          .in = sizes[k][1],
                          .rank = sizes[k][2],
                          .out = sizes[k][3],
                          .x = (layout)((k + v) % LAYOUT_COUNT),
                          .y = (layout)((k + 2 * v + 1) % LAYOUT_COUNT),
                          .ab = (layout)(v % LAYOUT_COUNT),
                          .scale = v == 0   ? 1
                                   : v == 1 ? 0.5F
                                            : -2,
                          .absent = k == 2   ? (v * 2 + 1) % 7
                                    : v == 1 ? 1
                                             : 0};
      if (v < 3)
        ADD(s, low_rank, dtype, 0, low_rank_case, &l, "%dx%d by %d to %d, scale %g, %s from %s",
            (int)l.rows, (int)l.in, (int)l.rank, (int)l.out, (double)l.scale, layout_name(l.y),
            layout_name(l.x));
      ADD(s, low_rank_grad, dtype, 0, low_rank_grad_case, &l,
          "%dx%d by %d to %d, scale %g, %s from %s%s%s%s", (int)l.rows, (int)l.in, (int)l.rank,
          (int)l.out, (double)l.scale, layout_name(l.y), layout_name(l.x),
          l.absent & 1 ? ", no d_x" : "", l.absent & 2 ? ", no d_a" : "",
          l.absent & 4 ? ", no d_b" : "");
    }
}

void register_low_rank(suite *s)
{
  register_dtype(s, CDL_DTYPE_F32);
  register_dtype(s, CDL_DTYPE_BF16);
}
