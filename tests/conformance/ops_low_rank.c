/* low_rank and low_rank_grad. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/reference.h"
#include "tests/conformance/suite.h"

enum { MOST_TERMS = 3 };

typedef struct {
  int64_t rows, in;
  int terms;
  int64_t rank[MOST_TERMS], out[MOST_TERMS];
  bool stacked; /* the terms' outputs are columns of one matrix */
  layout x, y, ab;
  float scale;     /* of the first term; each further one has half of it */
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

/* ---- The terms of a case ---- */

/* A term's columns of an activation, with what is expected of the whole activation. */
typedef struct {
  operand *whole;
  double *want, *error;
  int64_t first, width;
} part;

typedef struct {
  operand *a, *b, *hidden;
  part y; /* out or d_out */
  double scale;
} term;

static void set_term_activations(trial *t, const low_rank *l, const char *name, operand_role role,
                                 term *terms)
{
  static const char *const names[] = {"", " of the second term", " of the third term"};
  int64_t stacked = 0;
  for (int i = 0; i < l->terms; i++)
    stacked += l->out[i];
  int64_t first = 0;
  for (int i = 0; i < l->terms; i++) {
    part *y = &terms[i].y;
    if (i > 0 && l->stacked) {
      *y = terms[i - 1].y;
    } else {
      char *full = trial_memory(t, 1, 40);
      snprintf(full, 40, "%s%s", name, names[i]);
      y->whole = trial_operand(t, full, role, t->dtype,
                               shape_2d(l->rows, l->stacked ? stacked : l->out[i]), l->y);
      y->want = trial_doubles(t, y->whole->count);
      y->error = trial_doubles(t, y->whole->count);
      fill_normal(t, y->whole, 1);
    }
    y->first = l->stacked ? first : 0;
    y->width = l->out[i];
    first += l->out[i];
  }
}

static void make_terms(trial *t, const low_rank *l, bool gradient, term *terms)
{
  static const char *const a[] = {"a", "more[0].a", "more[1].a"},
                           *const b[] = {"b", "more[0].b", "more[1].b"},
                           *const hidden[] = {"hidden", "more[0].hidden", "more[1].hidden"};
  for (int i = 0; i < l->terms; i++) {
    terms[i].a = trial_operand(t, a[i], ROLE_IN, CDL_DTYPE_F32, shape_2d(l->rank[i], l->in), l->ab);
    terms[i].b =
        trial_operand(t, b[i], ROLE_IN, CDL_DTYPE_F32, shape_2d(l->out[i], l->rank[i]), l->ab);
    terms[i].hidden = trial_operand(t, hidden[i], gradient ? ROLE_IN : ROLE_OUT, CDL_DTYPE_F32,
                                    shape_2d(l->rows, l->rank[i]), LAYOUT_ROWS);
    terms[i].scale = (double)(l->scale / (float)(1 << i));
    fill_normal(t, terms[i].a, 0.2);
    fill_normal(t, terms[i].b, 0.2);
    if (gradient)
      fill_normal(t, terms[i].hidden, 1);
  }
  set_term_activations(t, l, gradient ? "d_out" : "out", gradient ? ROLE_IN : ROLE_INOUT, terms);
}

static cdl_tensor view_of_part(const part *y)
{
  return cdl_tensor_columns(y->whole->view, y->first, y->width);
}

/* Returns where an element of the term lies in the dense order of the whole. */
static int64_t place_in_whole(const part *y, int64_t element)
{
  return element / y->width * y->whole->view.size[3] + y->first + element % y->width;
}

static double *values_of_part(trial *t, const part *y, int64_t rows)
{
  double *values = trial_doubles(t, rows * y->width);
  for (int64_t i = 0; i < rows * y->width; i++)
    values[i] = y->whole->value[place_in_whole(y, i)];
  return values;
}

/* ---- low_rank ---- */

static cdl_low_rank_args low_rank_call(const low_rank *l, const term *terms, const operand *x)
{
  cdl_low_rank_args args = {.size = sizeof args,
                            .out = view_of_part(&terms[0].y),
                            .hidden = terms[0].hidden->view,
                            .x = x->view,
                            .a = terms[0].a->view,
                            .b = terms[0].b->view,
                            .scale = (float)terms[0].scale};
  for (int i = 1; i < l->terms; i++)
    args.more[i - 1] = (cdl_low_rank_term){.out = view_of_part(&terms[i].y),
                                           .hidden = terms[i].hidden->view,
                                           .a = terms[i].a->view,
                                           .b = terms[i].b->view,
                                           .scale = (float)terms[i].scale};
  return args;
}

static void judge_term(trial *t, const low_rank *l, const term *m, int i, const operand *x)
{
  double *middle = trial_doubles(t, m->hidden->count),
         *middle_error = trial_doubles(t, m->hidden->count);
  const int64_t count = l->rows * l->out[i];
  double *want = trial_doubles(t, count), *error = trial_doubles(t, count);
  const gemm_shape first = {l->rows, l->rank[i], l->in, false, true},
                   second = {l->rows, l->out[i], l->rank[i], false, true};
  product(t, &first, x->value, m->a->value, NULL, NULL, middle, middle_error);
  product(t, &second, middle, m->b->value, middle_error, NULL, want, error);
  const double c = bound_constant(CDL_OP_low_rank) * unit_roundoff(CDL_DTYPE_F32);
  for (int64_t k = 0; k < m->hidden->count; k++)
    middle_error[k] *= c;
  trial_compare(t, m->hidden, middle, middle_error);
  for (int64_t k = 0; k < count; k++) {
    const int64_t at = place_in_whole(&m->y, k);
    const double before = m->y.whole->value[at], after = m->scale * want[k] + before;
    m->y.want[at] = after;
    m->y.error[at] = c * (fabs(m->scale) * error[k] + fabs(after) + fabs(before)) +
                     storing_error(t->dtype, after);
  }
}

static void low_rank_case(trial *t, const void *parameters)
{
  const low_rank *l = parameters;
  term terms[MOST_TERMS];
  operand *x = trial_operand(t, "x", ROLE_IN, t->dtype, shape_2d(l->rows, l->in), l->x);
  fill_normal(t, x, 1);
  make_terms(t, l, false, terms);
  const cdl_low_rank_args args = low_rank_call(l, terms, x);
  if (!trial_run(t, &args))
    return;
  for (int i = 0; i < l->terms; i++)
    judge_term(t, l, &terms[i], i, x);
  for (int i = 0; i < (l->stacked ? 1 : l->terms); i++)
    trial_compare(t, terms[i].y.whole, terms[i].y.want, terms[i].y.error);
}

/* ---- low_rank_grad ---- */

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

typedef struct {
  operand *x, *d_x, *d_a[MOST_TERMS], *d_b[MOST_TERMS];
  double *sum, *sum_error; /* of d_x */
} gradients;

static void make_gradients(trial *t, const low_rank *l, gradients *g)
{
  static const char *const a[] = {"d_a", "more[0].d_a", "more[1].d_a"}, *const b[] = {
                                                                            "d_b", "more[0].d_b",
                                                                            "more[1].d_b"};
  g->x = trial_operand(t, "x", ROLE_IN, t->dtype, shape_2d(l->rows, l->in), l->x);
  fill_normal(t, g->x, 1);
  g->d_x = gradient(t, "d_x", t->dtype, shape_2d(l->rows, l->in), l->x, (l->absent & 1) != 0);
  g->sum = trial_doubles(t, l->rows * l->in);
  g->sum_error = trial_doubles(t, l->rows * l->in);
  for (int i = 0; i < l->terms; i++) { /* of the second term the others are absent */
    const unsigned absent = i == 1 && l->absent > 1 ? l->absent ^ 6u : l->absent;
    g->d_a[i] =
        gradient(t, a[i], CDL_DTYPE_F32, shape_2d(l->rank[i], l->in), l->ab, (absent & 2) != 0);
    g->d_b[i] =
        gradient(t, b[i], CDL_DTYPE_F32, shape_2d(l->out[i], l->rank[i]), l->ab, (absent & 4) != 0);
  }
}

static cdl_low_rank_grad_args gradient_call(const low_rank *l, const term *terms,
                                            const gradients *g)
{
  cdl_low_rank_grad_args args = {.size = sizeof args,
                                 .d_x = view_or_none(g->d_x),
                                 .d_a = view_or_none(g->d_a[0]),
                                 .d_b = view_or_none(g->d_b[0]),
                                 .d_out = view_of_part(&terms[0].y),
                                 .hidden = terms[0].hidden->view,
                                 .x = g->x->view,
                                 .a = terms[0].a->view,
                                 .b = terms[0].b->view,
                                 .scale = (float)terms[0].scale};
  for (int i = 1; i < l->terms; i++)
    args.more[i - 1] = (cdl_low_rank_grad_term){.d_a = view_or_none(g->d_a[i]),
                                                .d_b = view_or_none(g->d_b[i]),
                                                .d_out = view_of_part(&terms[i].y),
                                                .hidden = terms[i].hidden->view,
                                                .a = terms[i].a->view,
                                                .b = terms[i].b->view,
                                                .scale = (float)terms[i].scale};
  return args;
}

/* Adds the term to what is wanted of d_x, which may be rounded after each term. */
static void add_to_d_x(const trial *t, gradients *g, const double *want, const double *error,
                       double scale)
{
  const double c = bound_constant(CDL_OP_low_rank_grad) * unit_roundoff(CDL_DTYPE_F32);
  for (int64_t k = 0; k < g->d_x->count; k++) {
    const double before = g->sum[k];
    g->sum[k] += scale * want[k];
    g->sum_error[k] += c * (fabs(scale) * error[k] + fabs(g->sum[k]) + fabs(before)) +
                       storing_error(t->dtype, g->sum[k]);
  }
}

static void judge_gradients(trial *t, const low_rank *l, const term *m, int i, gradients *g)
{
  const int64_t rank = l->rank[i], out = l->out[i];
  double *du = trial_doubles(t, l->rows * rank), *du_error = trial_doubles(t, l->rows * rank);
  const gemm_shape to_u = {l->rows, rank, out, false, false},
                   to_x = {l->rows, l->in, rank, false, false};
  const gemm_shape to_a = {rank, l->in, l->rows, true, false},
                   to_b = {out, rank, l->rows, true, false};
  const double *d_out = values_of_part(t, &m->y, l->rows);
  product(t, &to_u, d_out, m->b->value, NULL, NULL, du, du_error);
  const int64_t most = l->rows * l->in + rank * l->in + out * rank;
  double *want = trial_doubles(t, most), *error = trial_doubles(t, most);
  if (g->d_x != NULL) {
    product(t, &to_x, du, m->a->value, du_error, NULL, want, error);
    add_to_d_x(t, g, want, error, m->scale);
  }
  if (g->d_a[i] != NULL) {
    product(t, &to_a, du, g->x->value, du_error, NULL, want, error);
    judge_added(t, g->d_a[i], want, error, m->scale);
  }
  if (g->d_b[i] != NULL) {
    product(t, &to_b, d_out, m->hidden->value, NULL, NULL, want, error);
    judge_added(t, g->d_b[i], want, error, m->scale);
  }
}

static void low_rank_grad_case(trial *t, const void *parameters)
{
  const low_rank *l = parameters;
  term terms[MOST_TERMS];
  gradients g;
  make_gradients(t, l, &g);
  make_terms(t, l, true, terms);
  const cdl_low_rank_grad_args args = gradient_call(l, terms, &g);
  if (!trial_run(t, &args))
    return;
  if (g.d_x != NULL)
    memcpy(g.sum, g.d_x->value, (size_t)g.d_x->count * sizeof *g.sum);
  for (int i = 0; i < l->terms; i++)
    judge_gradients(t, l, &terms[i], i, &g);
  if (g.d_x != NULL)
    trial_compare(t, g.d_x, g.sum, g.sum_error);
}

/* ---- Registration ---- */

static void draw_low_rank(trial *t, void *parameters)
{
  low_rank *l = parameters;
  random_source *r = &t->random;
  *l = (low_rank){.rows = random_size(r, 200), .in = random_size(r, 300)};
  l->in += l->in == 0;
  l->terms = random_chance(r, 0.5) ? 1 : (int)random_integer(r, 2, MOST_TERMS);
  for (int i = 0; i < l->terms; i++) {
    l->rank[i] = random_integer(r, 1, random_chance(r, 0.7) ? 16 : 70);
    l->out[i] = random_integer(r, 1, 200);
  }
  l->stacked = l->terms > 1 && random_chance(r, 0.7);
  l->x = random_layout(r);
  l->y = random_layout(r);
  l->ab = random_layout(r);
  l->scale = (float)random_normal(r);
  l->absent = random_chance(r, 0.4) ? (unsigned)random_integer(r, 1, 6) : 0;
  trial_describe(t, "%d term(s), %dx%d by %d to %d, scale %g, %s%s from %s, A and B %s, absent %u",
                 l->terms, (int)l->rows, (int)l->in, (int)l->rank[0], (int)l->out[0],
                 (double)l->scale, layout_name(l->y), l->stacked ? " (stacked)" : "",
                 layout_name(l->x), layout_name(l->ab), l->absent);
}

static void add_gradient(suite *s, cdl_dtype dtype, const low_rank *l)
{
  ADD(s, low_rank_grad, dtype, 0, low_rank_grad_case, l,
      "%d term(s), %dx%d by %d to %d, scale %g, %s%s from %s%s%s%s", l->terms, (int)l->rows,
      (int)l->in, (int)l->rank[0], (int)l->out[0], (double)l->scale, layout_name(l->y),
      l->stacked ? " (stacked)" : "", layout_name(l->x), l->absent & 1 ? ", no d_x" : "",
      l->absent & 2 ? ", no d_a" : "", l->absent & 4 ? ", no d_b" : "");
}

static void add_forward(suite *s, cdl_dtype dtype, const low_rank *l)
{
  ADD(s, low_rank, dtype, 0, low_rank_case, l,
      "%d term(s), %dx%d by %d to %d, scale %g, %s%s from %s", l->terms, (int)l->rows, (int)l->in,
      (int)l->rank[0], (int)l->out[0], (double)l->scale, layout_name(l->y),
      l->stacked ? " (stacked)" : "", layout_name(l->x));
}

static void register_single(suite *s, cdl_dtype dtype)
{
  static const int64_t sizes[][4] = {{1, 1, 1, 1},       {5, 7, 2, 3},       {131, 67, 8, 33},
                                     {64, 384, 8, 384},  {257, 129, 13, 31}, {0, 8, 2, 8},
                                     {300, 768, 64, 129}};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
    for (unsigned v = 0; v < 4; v++) {
      const low_rank l = {.rows = sizes[k][0],
                          .in = sizes[k][1],
                          .terms = 1,
                          .rank = {sizes[k][2]},
                          .out = {sizes[k][3]},
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
        add_forward(s, dtype, &l);
      add_gradient(s, dtype, &l);
    }
}

/* Terms of different and of equal ranks and widths. */
static void register_several(suite *s, cdl_dtype dtype)
{
  static const low_rank shapes[] = {
      {.rows = 5, .in = 7, .terms = 2, .rank = {2, 3}, .out = {3, 9}},
      {.rows = 131, .in = 67, .terms = 3, .rank = {8, 1, 16}, .out = {33, 8, 70}},
      {.rows = 69, .in = 384, .terms = 2, .rank = {8, 8}, .out = {384, 384}},
      {.rows = 200, .in = 96, .terms = 3, .rank = {16, 4, 16}, .out = {96, 96, 96}},
      {.rows = 257, .in = 130, .terms = 3, .rank = {70, 8, 33}, .out = {31, 64, 1}},
      {.rows = 0, .in = 8, .terms = 2, .rank = {2, 4}, .out = {8, 8}},
      {.rows = 1030, .in = 64, .terms = 2, .rank = {8, 12}, .out = {64, 40}},
  };
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
    for (unsigned v = 0; v < 4; v++) {
      low_rank l = shapes[k];
      l.stacked = v != 1;
      l.x = v < 2 ? LAYOUT_DENSE : (layout)((k + v) % LAYOUT_COUNT);
      l.y = v == 0 ? LAYOUT_DENSE : (layout)((k + 2 * v + 1) % LAYOUT_COUNT);
      l.ab = (layout)(v % LAYOUT_COUNT);
      l.scale = v == 0 ? 1 : -0.5F;
      l.absent = k == 1 ? (v * 2 + 1) % 7 : v == 2 ? 1 + (unsigned)k % 6 : 0;
      if (v < 3)
        add_forward(s, dtype, &l);
      add_gradient(s, dtype, &l);
    }
}

static void register_dtype(suite *s, cdl_dtype dtype)
{
  suite_add_random(s, CDL_OP_low_rank, dtype, draw_low_rank, low_rank_case, sizeof(low_rank));
  suite_add_random(s, CDL_OP_low_rank_grad, dtype, draw_low_rank, low_rank_grad_case,
                   sizeof(low_rank));
  register_single(s, dtype);
  register_several(s, dtype);
}

void register_low_rank(suite *s)
{
  register_dtype(s, CDL_DTYPE_F32);
  register_dtype(s, CDL_DTYPE_BF16);
}
