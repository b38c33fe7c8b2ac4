/* gemm. */
#include <math.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/reference.h"
#include "tests/conformance/suite.h"

typedef struct {
  int64_t n0, n1, m, n, k;
  bool transpose_a, transpose_b;
  float alpha, beta;
  layout out, a, b;
  unsigned repeat_a, repeat_b; /* batch dimensions with stride 0 */
  cdl_dtype input;
  enum { FILL_NORMAL, FILL_SCALES, FILL_ONE_SIGN, FILL_NAN } fill;
} gemm;

static void fill_input(trial *t, operand *o, const gemm *g)
{
  if (g->fill == FILL_SCALES)
    fill_scales(t, o);
  else if (g->fill == FILL_ONE_SIGN)
    fill_uniform(t, o, 0.5, 1);
  else
    fill_normal(t, o, 1);
}

/* β 0: whatever `out` held before, NaN here, is not read. */
static void gemm_case(trial *t, const void *parameters)
{
  const gemm *g = parameters;
  const shape of_a =
      g->transpose_a ? shape_4d(g->n0, g->n1, g->k, g->m) : shape_4d(g->n0, g->n1, g->m, g->k);
  const shape of_b =
      g->transpose_b ? shape_4d(g->n0, g->n1, g->n, g->k) : shape_4d(g->n0, g->n1, g->k, g->n);
  operand *a = trial_repeated(t, "a", g->input, of_a, g->a, g->repeat_a);
  operand *b = trial_repeated(t, "b", g->input, of_b, g->b, g->repeat_b);
  operand *out = trial_operand(t, "out", g->beta == 0 ? ROLE_OUT : ROLE_INOUT, t->dtype,
                               shape_4d(g->n0, g->n1, g->m, g->n), g->out);
  fill_input(t, a, g);
  fill_input(t, b, g);
  if (g->beta != 0)
    fill_normal(t, out, 3);
  if (g->fill == FILL_NAN && a->count > 2) {
    a->value[0] = NAN;
    a->value[a->count - 1] = INFINITY;
    operand_settle(a);
  }
  if (!trial_run(t, CDL_ARGS(gemm, .out = out->view, .a = a->view, .b = b->view,
                             .transpose_a = g->transpose_a, .transpose_b = g->transpose_b,
                             .alpha = g->alpha, .beta = g->beta)))
    return;
  double *want = trial_doubles(t, out->count), *bound = trial_doubles(t, out->count);
  const gemm_shape one = {g->m, g->n, g->k, g->transpose_a, g->transpose_b};
  for (int64_t i = 0; i < g->n0 * g->n1; i++)
    gemm_reference(&one, a->value + i * g->m * g->k, b->value + i * g->k * g->n,
                   want + i * g->m * g->n, NULL, bound + i * g->m * g->n);
  const double c = bound_constant(CDL_OP_gemm) * unit_roundoff(t->dtype), alpha = (double)g->alpha,
               beta = (double)g->beta;
  for (int64_t i = 0; i < out->count; i++) {
    const double product = alpha * want[i], before = beta == 0 ? 0 : beta * out->value[i];
    const double growth = g->input == CDL_DTYPE_F32
                              ? product_growth(CDL_OP_gemm, (double)g->k, bound[i], want[i])
                              : sum_growth((double)g->k, bound[i], want[i]);
    bound[i] =
        c * (fabs(alpha) * growth + fabs(product) + fabs(before)) + smallest_normal(t->dtype);
    want[i] = alpha == 0 ? before : product + before;
  }
  trial_compare(t, out, want, bound);
}

static void add(suite *s, cdl_dtype dtype, unsigned flags, gemm g)
{
  g.alpha = g.alpha == 0 ? 1 : g.alpha;
  ADD(s, gemm, dtype, flags, gemm_case, &g, "%s%dx%dx%d%s %c%c alpha %g beta %g, %s = %s %s%s%s",
      g.n0 * g.n1 > 1 ? "batched " : "", (int)g.m, (int)g.n, (int)g.k,
      g.input == CDL_DTYPE_BF16 ? " of BF16" : "", g.transpose_a ? 't' : 'n',
      g.transpose_b ? 't' : 'n', (double)g.alpha, (double)g.beta, layout_name(g.out),
      layout_name(g.a), layout_name(g.b), g.repeat_a + g.repeat_b > 0 ? ", repeated" : "",
      g.fill == FILL_SCALES     ? ", scales"
      : g.fill == FILL_ONE_SIGN ? ", one sign"
      : g.fill == FILL_NAN      ? ", NaN"
                                : "");
}

static void draw_gemm(trial *t, void *parameters)
{
  gemm *g = parameters;
  random_source *r = &t->random;
  const bool small = random_chance(r, 0.5);
  *g = (gemm){.n0 = random_chance(r, 0.2) ? random_integer(r, 0, 3) : 1,
              .n1 = random_chance(r, 0.3) ? random_integer(r, 1, 4) : 1,
              .m = random_size(r, small ? 70 : 300),
              .n = random_size(r, small ? 70 : 300)};
  g->k = random_size(r, small ? 400 : 130);
  g->input = t->dtype == CDL_DTYPE_F32 && random_chance(r, 0.25) ? CDL_DTYPE_BF16 : t->dtype;
  g->transpose_a = random_chance(r, 0.5);
  g->transpose_b = random_chance(r, 0.5);
  g->out = random_layout(r);
  g->a = random_layout(r);
  g->b = random_layout(r);
  g->alpha = random_chance(r, 0.1) ? 0 : (float)random_normal(r);
  g->beta = random_chance(r, 0.5) ? 0 : (float)random_normal(r);
  g->repeat_a = random_chance(r, 0.2) ? 2 : 0;
  g->repeat_b = random_chance(r, 0.2) ? 3 : 0;
  trial_describe(t, "%dx%d of %dx%dx%d of %s %c%c alpha %g beta %g, %s = %s %s, repeated %u %u",
                 (int)g->n0, (int)g->n1, (int)g->m, (int)g->n, (int)g->k, cdl_dtype_name(g->input),
                 g->transpose_a ? 't' : 'n', g->transpose_b ? 't' : 'n', (double)g->alpha,
                 (double)g->beta, layout_name(g->out), layout_name(g->a), layout_name(g->b),
                 g->repeat_a, g->repeat_b);
}

/* Each transposition of small and uneven products. */
static void register_sizes(suite *s, cdl_dtype dtype, cdl_dtype in)
{
  static const int64_t sizes[][3] = {{1, 1, 1},    {1, 7, 5},    {7, 1, 3},    {5, 3, 1},
                                     {17, 31, 13}, {64, 64, 64}, {65, 33, 100}};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
    for (unsigned transpose = 0; transpose < 4; transpose++)
      add(s, dtype, 0,
          (gemm){.n0 = 1,
                 .n1 = 1,
                 .m = sizes[k][0],
                 .n = sizes[k][1],
                 .k = sizes[k][2],
                 .input = in,
                 .transpose_a = transpose & 1,
                 .transpose_b = transpose >> 1,
                 .beta = k % 2 == 0 ? 0.0F : 0.5F,
                 .out = (layout)((k + transpose) % LAYOUT_COUNT),
                 .a = (layout)((k + 1) % LAYOUT_COUNT),
                 .b = (layout)((k + 2 * transpose) % LAYOUT_COUNT)});
  for (unsigned transpose = 0; transpose < 4; transpose++)
    add(s, dtype, 0,
        (gemm){.n0 = 1,
               .n1 = 1,
               .m = 257,
               .n = 129,
               .k = 263,
               .input = in,
               .transpose_a = transpose & 1,
               .transpose_b = transpose >> 1,
               .alpha = -0.75F,
               .beta = 1.5F,
               .out = LAYOUT_COLUMNS,
               .a = LAYOUT_ROWS,
               .b = LAYOUT_COLUMNS});
}

static void register_batches(suite *s, cdl_dtype dtype, cdl_dtype in)
{
  for (unsigned repeat = 0; repeat < 16; repeat += 5)
    add(s, dtype, 0,
        (gemm){.n0 = 2,
               .n1 = 3,
               .m = 13,
               .n = 17,
               .k = 19,
               .input = in,
               .repeat_a = repeat & 3,
               .repeat_b = repeat >> 2,
               .transpose_b = true,
               .beta = 1,
               .out = LAYOUT_ROWS,
               .a = LAYOUT_DENSE,
               .b = LAYOUT_COLUMNS});
  add(s, dtype, 0,
      (gemm){.n0 = 1,
             .n1 = 12,
             .m = 8,
             .n = 96,
             .k = 96,
             .input = in,
             .repeat_a = 2}); /* θA W_l of every layer */
}

/* Nothing to add up, and values that are hard to add up. */
static void register_edges(suite *s, cdl_dtype dtype, cdl_dtype in)
{
  add(s, dtype, 0, (gemm){.n0 = 1, .n1 = 1, .m = 0, .n = 5, .k = 3, .input = in});
  add(s, dtype, 0, (gemm){.n0 = 1, .n1 = 1, .m = 4, .n = 0, .k = 3, .input = in});
  add(s, dtype, 0, (gemm){.n0 = 0, .n1 = 1, .m = 4, .n = 5, .k = 3, .input = in});
  add(s, dtype, 0,
      (gemm){
          .n0 = 1, .n1 = 1, .m = 4, .n = 5, .k = 0, .input = in}); /* zeros, whatever was there */
  add(s, dtype, 0,
      (gemm){
          .n0 = 1, .n1 = 1, .m = 4, .n = 5, .k = 0, .input = in, .beta = 2, .out = LAYOUT_COLUMNS});
  add(s, dtype, 0,
      (gemm){.n0 = 1, .n1 = 1, .m = 31, .n = 29, .k = 500, .input = in, .fill = FILL_SCALES});
  add(s, dtype, 0,
      (gemm){.n0 = 1,
             .n1 = 1,
             .m = 31,
             .n = 29,
             .k = 3000,
             .input = in,
             .fill = FILL_ONE_SIGN,
             .transpose_b = true});
  add(s, dtype, 0,
      (gemm){.n0 = 1,
             .n1 = 1,
             .m = 9,
             .n = 11,
             .k = 7,
             .input = in,
             .fill = FILL_NAN,
             .out = LAYOUT_COLUMNS});
}

void register_gemm(suite *s)
{
  static const struct {
    cdl_dtype out, in;
  } kinds[] = {{CDL_DTYPE_F32, CDL_DTYPE_F32},
               {CDL_DTYPE_F64, CDL_DTYPE_F64},
               {CDL_DTYPE_F32, CDL_DTYPE_BF16}};
  for (size_t kind = 0; kind < 3; kind++) {
    register_sizes(s, kinds[kind].out, kinds[kind].in);
    register_batches(s, kinds[kind].out, kinds[kind].in);
    register_edges(s, kinds[kind].out, kinds[kind].in);
  }
  add(s, CDL_DTYPE_F32, CASE_LARGE,
      (gemm){.n0 = 1,
             .n1 = 1,
             .m = 1021,
             .n = 1031,
             .k = 769,
             .input = CDL_DTYPE_F32,
             .transpose_b = true});
  add(s, CDL_DTYPE_F64, CASE_LARGE,
      (gemm){.n0 = 1,
             .n1 = 1,
             .m = 509,
             .n = 511,
             .k = 513,
             .input = CDL_DTYPE_F64,
             .transpose_a = true});
  add(s, CDL_DTYPE_F32, CASE_LARGE,
      (gemm){.n0 = 1,
             .n1 = 1,
             .m = 3,
             .n = 2,
             .k = 100003,
             .input = CDL_DTYPE_F32,
             .transpose_b = true});
  suite_add_random(s, CDL_OP_gemm, CDL_DTYPE_F32, draw_gemm, gemm_case, sizeof(gemm));
  suite_add_random(s, CDL_OP_gemm, CDL_DTYPE_F64, draw_gemm, gemm_case, sizeof(gemm));
}
