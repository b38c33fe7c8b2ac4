/* svd, lu_solve, lu_inverse, qr, eigh: judged by what defines them, since the factors themselves
 * are not unique. */
#include <math.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/reference.h"
#include "tests/conformance/suite.h"

enum matrix_kind { DENSE, RANK_TWO, ZERO, SPREAD, EQUAL };

typedef struct {
  int64_t m, n;
  layout l;
  enum matrix_kind kind;
  bool values_only;
} factored;

static const char *kind_name(enum matrix_kind kind)
{
  static const char *const names[] = {"dense", "of rank two", "zero", "of spread columns",
                                      "identity"};
  return names[kind];
}

static void fill_matrix(trial *t, operand *a, const factored *f)
{
  fill_normal(t, a, 1);
  double *row = trial_doubles(t, 2 * f->m), *column = trial_doubles(t, 2 * f->n);
  for (int64_t i = 0; i < 2 * f->m; i++)
    row[i] = random_normal(&t->random);
  for (int64_t i = 0; i < 2 * f->n; i++)
    column[i] = random_normal(&t->random);
  for (int64_t i = 0; i < f->m; i++)
    for (int64_t j = 0; j < f->n; j++) {
      double *at = &a->value[i * f->n + j];
      if (f->kind == RANK_TWO)
        *at = row[2 * i] * column[2 * j] + row[2 * i + 1] * column[2 * j + 1];
      else if (f->kind == ZERO)
        *at = 0;
      else if (f->kind == SPREAD)
        *at *= pow(10, -4 * (double)j / (double)(f->n > 1 ? f->n - 1 : 1));
      else if (f->kind == EQUAL)
        *at = i == j ? 2 : 0;
    }
  operand_settle(a);
}

static double frobenius(const double *a, int64_t count)
{
  double squares = 0;
  for (int64_t i = 0; i < count; i++)
    squares += a[i] * a[i];
  return sqrt(squares);
}

/* ‖a − b‖ */
static double distance(trial *t, const double *a, const double *b, int64_t count)
{
  double *difference = trial_doubles(t, count);
  for (int64_t i = 0; i < count; i++)
    difference[i] = a[i] - b[i];
  return frobenius(difference, count);
}

/* ‖op(q)ᵀ op(q) − 1‖ of k columns, or with `rows` of k rows, each of `length`. */
static double orthogonality(trial *t, const double *q, int64_t length, int64_t k, bool in_rows)
{
  double *product = trial_doubles(t, k * k);
  const gemm_shape g = {k, k, length, !in_rows, in_rows};
  gemm_reference(&g, q, q, product, NULL, NULL);
  for (int64_t i = 0; i < k; i++)
    product[i * k + i] -= 1;
  return frobenius(product, k * k);
}

static double allowance(const trial *t, int64_t m, int64_t n)
{
  return bound_constant((cdl_op)t->self->op) * unit_roundoff(t->dtype) *
         sqrt((double)(m > n ? m : n));
}

/* LAPACK's bidiagonal QR takes what is below TOLMUL u of its neighbours for zero, TOLMUL = u^(-1/8)
 * kept between 10 and 100 (xBDSQR); from above and below the diagonal that makes twice as much. */
static double svd_allowance(const trial *t, int64_t m, int64_t n)
{
  const double u = t->dtype == CDL_DTYPE_F64 ? 0x1p-53 : 0x1p-24;
  return allowance(t, m, n) + 2 * fmax(10, fmin(100, pow(u, -0.125))) * u;
}

static void check_order(trial *t, const operand *values, bool ascending)
{
  for (int64_t i = 1; i < values->count; i++) {
    const double step = values->result[i] - values->result[i - 1];
    if (!(ascending ? step >= 0 : step <= 0)) {
      trial_fail(t, "%s are not in order at %lld", values->name, (long long)i);
      return;
    }
  }
}

static void svd_case(trial *t, const void *parameters)
{
  const factored *f = parameters;
  const int64_t m = f->m, n = f->n, k = m < n ? m : n;
  operand *a = trial_operand(t, "a", ROLE_IN, t->dtype, shape_2d(m, n), f->l);
  operand *sigma = trial_operand(t, "sigma", ROLE_OUT, t->dtype, shape_1d(k), LAYOUT_OFFSET);
  operand *u =
      f->values_only ? NULL : trial_operand(t, "u", ROLE_OUT, t->dtype, shape_2d(m, k), f->l);
  operand *vt =
      f->values_only ? NULL : trial_operand(t, "vt", ROLE_OUT, t->dtype, shape_2d(k, n), f->l);
  fill_matrix(t, a, f);
  const cdl_svd_args args = {sizeof args, u == NULL ? (cdl_tensor){0} : u->view, sigma->view,
                             vt == NULL ? (cdl_tensor){0} : vt->view, a->view};
  if (!trial_run(t, &args) || k == 0)
    return;
  double *want = trial_doubles(t, k), *bound = trial_doubles(t, k);
  singular_values(m, n, a->value, want);
  const double allowed = svd_allowance(t, m, n), norm = frobenius(a->value, m * n);
  for (int64_t i = 0; i < k; i++)
    bound[i] = allowed * want[0] + smallest_normal(t->dtype);
  trial_compare(t, sigma, want, bound);
  check_order(t, sigma, false);
  if (sigma->result[k - 1] < 0)
    trial_fail(t, "a singular value is negative");
  if (f->values_only)
    return;
  double *scaled = trial_doubles(t, m * k), *product = trial_doubles(t, m * n);
  for (int64_t i = 0; i < m * k; i++)
    scaled[i] = u->result[i] * sigma->result[i % k];
  gemm_reference(&(gemm_shape){m, n, k, false, false}, scaled, vt->result, product, NULL, NULL);
  trial_judge(t, "a - u diag(sigma) vt", distance(t, product, a->value, m * n), allowed * norm);
  trial_judge(t, "columns of u orthogonal", orthogonality(t, u->result, m, k, false),
              allowed * sqrt((double)k));
  trial_judge(t, "rows of vt orthogonal", orthogonality(t, vt->result, n, k, true),
              allowed * sqrt((double)k));
}

static void qr_case(trial *t, const void *parameters)
{
  const factored *f = parameters;
  const int64_t m = f->m, n = f->n, k = m < n ? m : n;
  operand *a = trial_operand(t, "a", ROLE_IN, t->dtype, shape_2d(m, n), f->l);
  operand *q = trial_operand(t, "q", ROLE_OUT, t->dtype, shape_2d(m, k), f->l);
  operand *r = trial_operand(t, "r", ROLE_OUT, t->dtype, shape_2d(k, n), f->l);
  fill_matrix(t, a, f);
  const cdl_qr_args args = {sizeof args, q->view, r->view, a->view};
  if (!trial_run(t, &args) || k == 0)
    return;
  const double allowed = allowance(t, m, n);
  double *product = trial_doubles(t, m * n);
  gemm_reference(&(gemm_shape){m, n, k, false, false}, q->result, r->result, product, NULL, NULL);
  trial_judge(t, "a - q r", distance(t, product, a->value, m * n),
              allowed * frobenius(a->value, m * n));
  trial_judge(t, "columns of q orthogonal", orthogonality(t, q->result, m, k, false),
              allowed * sqrt((double)k));
  for (int64_t i = 0; i < k; i++)
    for (int64_t j = 0; j < i && j < n; j++)
      if (r->result[i * n + j] != 0)
        trial_fail(t, "r[%lld, %lld] below the diagonal is %g", (long long)i, (long long)j,
                   r->result[i * n + j]);
}

static void eigh_case(trial *t, const void *parameters)
{
  const factored *f = parameters;
  const int64_t n = f->n;
  operand *a = trial_operand(t, "a", ROLE_IN, t->dtype, shape_2d(n, n), f->l);
  operand *values = trial_operand(t, "values", ROLE_OUT, t->dtype, shape_1d(n), LAYOUT_OFFSET);
  operand *vectors =
      f->values_only ? NULL : trial_operand(t, "vectors", ROLE_OUT, t->dtype, shape_2d(n, n), f->l);
  fill_matrix(t, a, f);
  double *full = trial_doubles(t, n * n);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) {
      full[i * n + j] = a->value[i >= j ? i * n + j : j * n + i];
      a->value[i * n + j] = j > i ? NAN : a->value[i * n + j]; /* only the lower triangle is read */
    }
  operand_settle(a);
  const cdl_eigh_args args = {sizeof args, values->view,
                              vectors == NULL ? (cdl_tensor){0} : vectors->view, a->view};
  if (!trial_run(t, &args) || n == 0)
    return;
  double *want = trial_doubles(t, n), *bound = trial_doubles(t, n);
  symmetric_eigenvalues(n, full, want);
  const double allowed = allowance(t, n, n), largest = fmax(fabs(want[0]), fabs(want[n - 1])),
               norm = frobenius(full, n * n);
  for (int64_t i = 0; i < n; i++)
    bound[i] = allowed * largest + smallest_normal(t->dtype);
  trial_compare(t, values, want, bound);
  check_order(t, values, true);
  if (f->values_only)
    return;
  double *left = trial_doubles(t, n * n), *right = trial_doubles(t, n * n);
  gemm_reference(&(gemm_shape){n, n, n, false, false}, full, vectors->result, left, NULL, NULL);
  for (int64_t i = 0; i < n * n; i++)
    right[i] = vectors->result[i] * values->result[i % n];
  trial_judge(t, "a v - v diag(values)", distance(t, left, right, n * n), allowed * norm);
  trial_judge(t, "vectors orthogonal", orthogonality(t, vectors->result, n, n, false),
              allowed * sqrt((double)n));
}

/* ---- Linear systems ---- */

/* Higham 2002, theorem 9.3 with the growth of partial pivoting on such matrices: residual ≤ c u n
 * ‖a‖ ‖x‖. */
static void lu_case(trial *t, const void *parameters)
{
  const factored *f = parameters;
  const int64_t n = f->n, k = f->m;
  const bool inverse = t->self->op == CDL_OP_lu_inverse;
  operand *a = trial_operand(t, "a", ROLE_IN, t->dtype, shape_2d(n, n), f->l);
  operand *b =
      inverse ? NULL : trial_operand(t, "b", ROLE_IN, t->dtype, shape_2d(n, k), LAYOUT_ROWS);
  operand *x = trial_operand(t, inverse ? "out" : "x", ROLE_OUT, t->dtype,
                             shape_2d(n, inverse ? n : k), f->l);
  factored square = *f;
  square.m = n;
  fill_matrix(t, a, &square);
  if (!inverse)
    fill_normal(t, b, 1);
  const cdl_lu_solve_args solve = {sizeof solve, x->view, a->view, inverse ? a->view : b->view};
  const cdl_lu_inverse_args invert = {sizeof invert, x->view, a->view};
  if (!trial_run(t, inverse ? (const void *)&invert : (const void *)&solve) || x->count == 0)
    return;
  const int64_t columns = inverse ? n : k;
  double *product = trial_doubles(t, n * columns), *want = trial_doubles(t, n * columns);
  gemm_reference(&(gemm_shape){n, columns, n, false, false}, a->value, x->result, product, NULL,
                 NULL);
  for (int64_t i = 0; i < n * columns; i++)
    want[i] = inverse ? (i / n == i % n ? 1 : 0) : b->value[i];
  const double bound = allowance(t, n, n) * sqrt((double)n) * frobenius(a->value, n * n) *
                       frobenius(x->result, n * columns);
  double residual = distance(t, product, want, n * columns);
  if (inverse) { /* one side is small, and which depends on the algorithm (Higham 2002, 14.3) */
    gemm_reference(&(gemm_shape){n, n, n, false, false}, x->result, a->value, product, NULL, NULL);
    residual = fmin(residual, distance(t, product, want, n * n));
  }
  trial_judge(t, inverse ? "a out - 1" : "a x - b", residual, bound);
}

/* Exactly singular, so that any pivoting meets a zero. */
static void singular_case(trial *t, const void *parameters)
{
  const int *kind = parameters;
  operand *a = trial_operand(t, "a", ROLE_IN, t->dtype, shape_2d(3, 3), LAYOUT_ROWS);
  operand *b = trial_operand(t, "b", ROLE_IN, t->dtype, shape_2d(3, 2), LAYOUT_DENSE);
  operand *x = trial_operand(t, "x", ROLE_OUT, t->dtype, shape_2d(3, 2), LAYOUT_DENSE);
  operand *out = trial_operand(t, "out", ROLE_OUT, t->dtype, shape_2d(3, 3), LAYOUT_DENSE);
  static const double matrices[][9] = {
      {0, 0, 0, 0, 0, 0, 0, 0, 0}, {1, 2, 3, 2, 4, 6, 4, 1, 1}, {1, 0, 2, 3, 0, 4, 5, 0, 6}};
  fill_values(a, matrices[*kind]);
  fill_normal(t, b, 1);
  if (!trial_upload(t))
    return;
  const cdl_lu_solve_args solve = {sizeof solve, x->view, a->view, b->view};
  const cdl_lu_inverse_args invert = {sizeof invert, out->view, a->view};
  const void *args = t->self->op == CDL_OP_lu_solve ? (const void *)&solve : (const void *)&invert;
  t->path = cdl_op_path(t->backend, (cdl_op)t->self->op, args);
  op_find((cdl_op)t->self->op)->call(t->queue, args);
  const cdl_status status = cdl_queue_sync(t->queue);
  if (status != CDL_STATUS_NUMERIC)
    trial_fail(t, "a singular matrix gave %s, not NUMERIC", cdl_status_name(status));
}

static void add_factored(suite *s, cdl_op op, cdl_dtype dtype, case_body *body, const factored *f)
{
  suite_add(s, (int)op, NULL, dtype, f->m * f->n > 40000 ? CASE_LARGE : 0, body, f, sizeof *f,
            "%dx%d %s %s%s", (int)f->m, (int)f->n, kind_name(f->kind), layout_name(f->l),
            f->values_only ? ", values only" : "");
}

static void draw_factored(trial *t, void *parameters)
{
  factored *f = parameters;
  random_source *r = &t->random;
  const cdl_op op = (cdl_op)t->self->op;
  *f = (factored){.m = random_size(r, 90), .n = random_size(r, 90), .l = random_layout(r)};
  f->kind = (enum matrix_kind)random_integer(r, DENSE, EQUAL);
  if ((op == CDL_OP_lu_solve || op == CDL_OP_lu_inverse) &&
      (f->kind == RANK_TWO || f->kind == ZERO))
    f->kind = DENSE;
  if (op == CDL_OP_lu_inverse || op == CDL_OP_eigh)
    f->m = f->n;
  f->values_only = (op == CDL_OP_svd || op == CDL_OP_eigh) && random_chance(r, 0.3);
  trial_describe(t, "%dx%d %s %s%s", (int)f->m, (int)f->n, kind_name(f->kind), layout_name(f->l),
                 f->values_only ? ", values only" : "");
}

void register_host(suite *s)
{
  static const struct {
    cdl_op op;
    case_body *body;
  } ops[] = {{CDL_OP_svd, svd_case},
             {CDL_OP_lu_solve, lu_case},
             {CDL_OP_lu_inverse, lu_case},
             {CDL_OP_qr, qr_case},
             {CDL_OP_eigh, eigh_case}};
  for (cdl_dtype dtype = CDL_DTYPE_F32; dtype <= CDL_DTYPE_F64; dtype = (cdl_dtype)(dtype + 1))
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
      suite_add_random(s, ops[k].op, dtype, draw_factored, ops[k].body, sizeof(factored));
  static const int64_t sizes[][2] = {{1, 1},    {1, 9},    {9, 1}, {7, 5}, {5, 7},    {31, 31},
                                     {67, 129}, {129, 64}, {0, 5}, {5, 0}, {211, 197}};
  for (cdl_dtype dtype = CDL_DTYPE_F32; dtype <= CDL_DTYPE_F64; dtype = (cdl_dtype)(dtype + 1)) {
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
      for (int v = 0; v < 6; v++) {
        const factored f = {sizes[k][0], sizes[k][1], (layout)((k + (size_t)v) % LAYOUT_COUNT),
                            v < 5 ? (enum matrix_kind)v : DENSE, v == 5};
        const factored square = {f.n, f.n, f.l, f.kind, f.values_only};
        if (k >= 6 && v > 1 && v < 5)
          continue;
        add_factored(s, CDL_OP_svd, dtype, svd_case, &f);
        if (v < 5)
          add_factored(s, CDL_OP_qr, dtype, qr_case, &f);
        if (f.n <= 131)
          add_factored(s, CDL_OP_eigh, dtype, eigh_case, &square);
        if (f.kind == RANK_TWO || f.kind == ZERO || f.values_only)
          continue;
        add_factored(s, CDL_OP_lu_solve, dtype, lu_case, &f);
        add_factored(s, CDL_OP_lu_inverse, dtype, lu_case, &square);
      }
    for (int kind = 0; kind < 3; kind++) {
      ADD(s, lu_solve, dtype, 0, singular_case, &kind, "singular matrix %d", kind);
      ADD(s, lu_inverse, dtype, 0, singular_case, &kind, "singular matrix %d", kind);
    }
  }
}
