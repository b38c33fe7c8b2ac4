/* map_weights and map_weights_grad. */
#include <math.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/reference.h"
#include "tests/conformance/suite.h"

typedef struct {
  int64_t n0, n1, rank, out, in;
  bool transposed, accumulate, absent; /* absent: d_theta_a */
  layout weight, factors, results;
  unsigned repeat_a, repeat_b; /* batch dimensions of the thetas with stride 0 */
} maps;

/* One of the products of each matrix: its sizes, and the operands of which one is the weight. */
typedef struct {
  gemm_shape shape;
  const double *a, *b;
  double *sum, *error; /* error in units of u */
} product;

/* Beside a BF16 weight the other factor may be rounded to BF16. */
static void multiply(const trial *t, const product *p, double *squares)
{
  const gemm_shape *g = &p->shape;
  const double rounding =
      t->dtype == CDL_DTYPE_BF16 ? unit_roundoff(t->dtype) / unit_roundoff(CDL_DTYPE_F32) : 0;
  gemm_reference(g, p->a, p->b, p->sum, NULL, squares);
  for (int64_t i = 0; i < g->m * g->n; i++) {
    const double root = sqrt(squares[i] + p->sum[i] * p->sum[i]);
    p->error[i] =
        (rounding > 0 ? sum_growth((double)g->k, squares[i], p->sum[i])
                      : product_growth(CDL_OP_map_weights, (double)g->k, squares[i], p->sum[i])) +
        rounding * root + fabs(p->sum[i]);
  }
}

/* Products of every matrix of the batch, of `left` and `right`. */
static void multiply_all(trial *t, const maps *m, gemm_shape g, const operand *left,
                         const operand *right, double *sum, double *error)
{
  double *squares = trial_doubles(t, g.m * g.n);
  for (int64_t i = 0; i < m->n0 * m->n1; i++)
    multiply(t,
             &(product){g, left->value + i * g.m * g.k, right->value + i * g.k * g.n,
                        sum + i * g.m * g.n, error + i * g.m * g.n},
             squares);
}

static operand *weight_of(trial *t, const maps *m)
{
  operand *w = trial_operand(t, "weight", ROLE_IN, t->dtype, shape_4d(m->n0, m->n1, m->out, m->in),
                             m->weight);
  fill_normal(t, w, 1);
  return w;
}

/* `before`: whether the result is added to what was there. */
static void judge(trial *t, const operand *o, double *want, double *error, bool before)
{
  const double c = bound_constant(CDL_OP_map_weights) * unit_roundoff(CDL_DTYPE_F32);
  for (int64_t i = 0; i < o->count; i++) {
    const double had = before ? o->value[i] : 0;
    want[i] += had;
    error[i] = c * (error[i] + fabs(want[i]) + fabs(had)) + smallest_normal(CDL_DTYPE_F32);
  }
  trial_compare(t, o, want, error);
}

/* ---- map_weights ---- */

static void map_weights_case(trial *t, const void *parameters)
{
  const maps *m = parameters;
  const int64_t of_a = m->transposed ? m->out : m->in, of_theta = m->transposed ? m->in : m->out;
  operand *w = weight_of(t, m);
  operand *theta_a =
      trial_repeated(t, "theta_a", CDL_DTYPE_F32, shape_4d(m->n0, m->n1, m->rank, of_theta),
                     m->factors, m->repeat_a);
  operand *theta_b = trial_repeated(
      t, "theta_b", CDL_DTYPE_F32, shape_4d(m->n0, m->n1, m->rank, m->in), m->factors, m->repeat_b);
  operand *a = trial_operand(t, "a", m->accumulate ? ROLE_INOUT : ROLE_OUT, CDL_DTYPE_F32,
                             shape_4d(m->n0, m->n1, m->rank, of_a), m->results);
  operand *b = trial_operand(t, "b", ROLE_OUT, CDL_DTYPE_F32,
                             shape_4d(m->n0, m->n1, m->out, m->rank), m->results);
  fill_normal(t, theta_a, 0.2);
  fill_normal(t, theta_b, 0.2);
  if (m->accumulate)
    fill_normal(t, a, 3);
  if (!trial_run(t, CDL_ARGS(map_weights, .a = a->view, .b = b->view, .theta_a = theta_a->view,
                             .theta_b = theta_b->view, .weight = w->view,
                             .transposed = m->transposed, .accumulate = m->accumulate)))
    return;
  const int64_t most = a->count + b->count;
  double *want = trial_doubles(t, most), *error = trial_doubles(t, most);
  multiply_all(t, m, (gemm_shape){m->rank, of_a, of_theta, false, m->transposed}, theta_a, w, want,
               error);
  judge(t, a, want, error, m->accumulate);
  multiply_all(t, m, (gemm_shape){m->out, m->rank, m->in, false, true}, w, theta_b, want, error);
  judge(t, b, want, error, false);
}

/* ---- map_weights_grad ---- */

/* Adds the layers of each target: want and error are [n0, n1, count] before and [n0, count]
 * after. */
static void add_layers(const maps *m, int64_t count, double *want, double *error)
{
  for (int64_t i = 0; i < m->n0; i++)
    for (int64_t k = 0; k < count; k++) {
      double sum = 0, squares = 0, absolute = 0;
      for (int64_t layer = 0; layer < m->n1; layer++) {
        const int64_t at = (i * m->n1 + layer) * count + k;
        sum += want[at];
        squares += want[at] * want[at];
        absolute += error[at] * error[at];
      }
      want[i * count + k] = sum;
      /* the layers' errors are independent */
      error[i * count + k] = sqrt(absolute) + sum_growth((double)m->n1, squares, sum);
    }
}

static void map_weights_grad_case(trial *t, const void *parameters)
{
  const maps *m = parameters;
  const int64_t of_a = m->transposed ? m->out : m->in, of_theta = m->transposed ? m->in : m->out;
  operand *w = weight_of(t, m);
  operand *d_a = trial_operand(t, "d_a", ROLE_IN, CDL_DTYPE_F32,
                               shape_4d(m->n0, m->n1, m->rank, of_a), m->factors);
  operand *d_b = trial_operand(t, "d_b", ROLE_IN, CDL_DTYPE_F32,
                               shape_4d(m->n0, m->n1, m->out, m->rank), m->factors);
  operand *d_theta_a = m->absent ? NULL
                                 : trial_operand(t, "d_theta_a", ROLE_INOUT, CDL_DTYPE_F32,
                                                 shape_4d(m->n0, 1, m->rank, of_theta), m->results);
  operand *d_theta_b = trial_operand(t, "d_theta_b", ROLE_INOUT, CDL_DTYPE_F32,
                                     shape_4d(m->n0, 1, m->rank, m->in), m->results);
  fill_normal(t, d_a, 1);
  fill_normal(t, d_b, 1);
  fill_normal(t, d_theta_b, 1);
  if (d_theta_a != NULL)
    fill_normal(t, d_theta_a, 1);
  if (!trial_run(t, CDL_ARGS(map_weights_grad,
                             .d_theta_a = d_theta_a != NULL ? d_theta_a->view : (cdl_tensor){0},
                             .d_theta_b = d_theta_b->view, .d_a = d_a->view, .d_b = d_b->view,
                             .weight = w->view, .transposed = m->transposed)))
    return;
  const int64_t widest = m->in > m->out ? m->in : m->out,
                most = (m->n0 * m->n1 + m->n0) * m->rank * widest;
  double *want = trial_doubles(t, most), *error = trial_doubles(t, most);
  multiply_all(t, m, (gemm_shape){m->rank, m->in, m->out, true, false}, d_b, w, want, error);
  add_layers(m, m->rank * m->in, want, error);
  judge(t, d_theta_b, want, error, true);
  if (d_theta_a == NULL)
    return;
  multiply_all(t, m, (gemm_shape){m->rank, of_theta, of_a, false, !m->transposed}, d_a, w, want,
               error);
  add_layers(m, m->rank * of_theta, want, error);
  judge(t, d_theta_a, want, error, true);
}

/* ---- Registration ---- */

static void draw_maps(trial *t, void *parameters)
{
  maps *m = parameters;
  random_source *r = &t->random;
  *m = (maps){.n0 = random_integer(r, 1, 3),
              .n1 = random_integer(r, 1, 4),
              .rank = random_integer(r, 1, t->dtype == CDL_DTYPE_BF16 ? 16 : 40),
              .out = random_size(r, 300),
              .in = random_size(r, 400),
              .transposed = random_chance(r, 0.5),
              .accumulate = random_chance(r, 0.3),
              .absent = random_chance(r, 0.2),
              .weight = random_layout(r),
              .factors = random_layout(r),
              .results = random_layout(r),
              .repeat_a = (unsigned)random_integer(r, 0, 3),
              .repeat_b = (unsigned)random_integer(r, 0, 3)};
  trial_describe(t, "%dx%d of %dx%d by %d%s%s, %s = %s %s, repeated %u %u%s", (int)m->n0,
                 (int)m->n1, (int)m->out, (int)m->in, (int)m->rank,
                 m->transposed ? " transposed" : "", m->accumulate ? ", added" : "",
                 layout_name(m->results), layout_name(m->weight), layout_name(m->factors),
                 m->repeat_a, m->repeat_b, m->absent ? ", no d_theta_a" : "");
}

static void add(suite *s, cdl_dtype dtype, unsigned flags, const maps *m)
{
  ADD(s, map_weights, dtype, flags, map_weights_case, m, "%dx%d of %dx%d by %d%s%s, %s = %s %s",
      (int)m->n0, (int)m->n1, (int)m->out, (int)m->in, (int)m->rank,
      m->transposed ? " transposed" : "", m->accumulate ? ", added" : "", layout_name(m->results),
      layout_name(m->weight), layout_name(m->factors));
  ADD(s, map_weights_grad, dtype, flags, map_weights_grad_case, m,
      "%dx%d of %dx%d by %d%s%s, %s = %s %s", (int)m->n0, (int)m->n1, (int)m->out, (int)m->in,
      (int)m->rank, m->transposed ? " transposed" : "", m->absent ? ", no d_theta_a" : "",
      layout_name(m->results), layout_name(m->weight), layout_name(m->factors));
}

static void register_dtype(suite *s, cdl_dtype dtype)
{
  static const int64_t sizes[][5] = {{1, 1, 1, 1, 1},     {2, 3, 2, 5, 7},     {1, 5, 8, 67, 131},
                                     {2, 2, 8, 192, 320}, {1, 3, 16, 257, 65}, {2, 2, 13, 64, 512},
                                     {1, 2, 4, 0, 8},     {1, 2, 4, 8, 0}};
  suite_add_random(s, CDL_OP_map_weights, dtype, draw_maps, map_weights_case, sizeof(maps));
  suite_add_random(s, CDL_OP_map_weights_grad, dtype, draw_maps, map_weights_grad_case,
                   sizeof(maps));
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
    for (unsigned v = 0; v < 4; v++)
      add(s, dtype, 0,
          &(maps){.n0 = sizes[k][0],
                  .n1 = sizes[k][1],
                  .rank = sizes[k][2],
                  .out = sizes[k][3],
                  .in = sizes[k][4],
                  .transposed = v % 2 == 1,
                  .accumulate = v == 2,
                  .absent = v == 3,
                  .weight = v == 0 ? LAYOUT_DENSE : (layout)((k + v) % LAYOUT_COUNT),
                  .factors = (layout)(v % LAYOUT_COUNT),
                  .results = (layout)((k + 2 * v) % LAYOUT_COUNT),
                  .repeat_a = v,
                  .repeat_b = 3 - v});
  add(s, dtype, CASE_LARGE,
      &(maps){.n0 = 2, .n1 = 3, .rank = 8, .out = 768, .in = 768, .repeat_a = 2, .repeat_b = 2});
}

void register_map_weights(suite *s)
{
  register_dtype(s, CDL_DTYPE_F32);
  register_dtype(s, CDL_DTYPE_BF16);
}
