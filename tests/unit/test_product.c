/* Products of the CPU's vector sets: right by double arithmetic, and an element's bits depend on
 * its row and its column alone, whatever stands beside them and however the matrices are stored. */
#include "backends/cpu/kernels/kernels.h"
#include "condlora/random.h"
#include "tests/run_suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { DRAWS = 60 }; /* slow there */
#else
enum { DRAWS = 500 };
#endif
enum { MOST_ROWS = 300, MOST_DEPTH = 700, GAP = 3 };

/* A matrix [rows, columns], stored as it is or transposed, rows GAP elements apart. */
typedef struct {
  int64_t rows, columns, row, column;
  void *data;
} stored;

typedef struct {
  const cpu_kernels *kernels;
  bool f64;
  cdl_random random;
  void *memory;
} fixture;

static fixture begin(const cpu_kernels *kernels, bool f64)
{
  fixture f = {.kernels = kernels,
               .f64 = f64,
               .random = cdl_random_start(7, CDL_RANDOM_DATA_ORDER, 0, 0),
               .memory = aligned_alloc(64, 2 * CPU_PRODUCT_BYTES)};
  ck_assert_ptr_nonnull(f.memory);
  memset(f.memory, 0xff,
         2 * CPU_PRODUCT_BYTES); /* NaN: what a panel has beyond its rows is not read */
  return f;
}

/* Sizes around tiles, and now and then a large one. */
static int64_t draw_size(fixture *f, uint64_t most)
{
  return 1 + (int64_t)cdl_random_below(&f->random, cdl_random_below(&f->random, 3) > 0 ? 40 : most);
}

static double value_at(const fixture *f, const stored *x, int64_t i, int64_t j)
{
  const int64_t at = i * x->row + j * x->column;
  return f->f64 ? ((const double *)x->data)[at] : (double)((const float *)x->data)[at];
}

static void set_value(const fixture *f, const stored *x, int64_t i, int64_t j, double value)
{
  const int64_t at = i * x->row + j * x->column;
  if (f->f64)
    ((double *)x->data)[at] = value;
  else
    ((float *)x->data)[at] = (float)value;
}

/* Without a gap after the last row, so that a reader beyond the end is found by the sanitizer. */
static stored make_matrix(const fixture *f, int64_t rows, int64_t columns, bool transposed)
{
  const int64_t outer = transposed ? columns : rows, inner = transposed ? rows : columns;
  const size_t elements = (size_t)((outer - 1) * (inner + GAP) + inner);
  stored x = {rows, columns, transposed ? 1 : inner + GAP, transposed ? inner + GAP : 1,
              malloc(elements * (f->f64 ? sizeof(double) : sizeof(float)))};
  ck_assert_ptr_nonnull(x.data);
  return x;
}

static stored draw_matrix(fixture *f, int64_t rows, int64_t columns)
{
  const stored x = make_matrix(f, rows, columns, cdl_random_below(&f->random, 2) == 1);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++)
      set_value(f, &x, i, j, cdl_random_double(&f->random) - 0.5);
  return x;
}

/* Copies rows [row, row + rows) and columns likewise, stored in either way. */
static stored copy_part(fixture *f, const stored *x, int64_t row, int64_t rows, int64_t column,
                        int64_t columns)
{
  const stored part = make_matrix(f, rows, columns, cdl_random_below(&f->random, 2) == 1);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++)
      set_value(f, &part, i, j, value_at(f, x, row + i, column + j));
  return part;
}

static void multiply(const fixture *f, const stored *a, const stored *b, const stored *c,
                     double alpha, double beta)
{
  const cpu_product product = {c->rows,   c->columns, a->columns, a->data,   a->row,
                               a->column, b->data,    b->row,     b->column, c->data,
                               c->row,    c->column,  alpha,      beta};
  (f->f64 ? f->kernels->product_f64 : f->kernels->product_f32)(&product, f->memory);
}

static void check_values(const fixture *f, const stored *a, const stored *b, const stored *before,
                         const stored *c, double alpha, double beta)
{
  const double unit = f->f64 ? 0x1p-53 : 0x1p-24;
  for (int64_t i = 0; i < c->rows; i++)
    for (int64_t j = 0; j < c->columns; j++) {
      double sum = 0.0, magnitude = 0.0;
      for (int64_t p = 0; p < a->columns; p++) {
        const double term = value_at(f, a, i, p) * value_at(f, b, p, j);
        sum += term;
        magnitude += fabs(term);
      }
      const double old = beta == 0.0 ? 0.0 : beta * value_at(f, before, i, j);
      const double wanted = alpha * sum + old, error = fabs(value_at(f, c, i, j) - wanted);
      /* a rounding for each addition, each product, α, β; twice that for doubles' own truth */
      const double bound =
          2.0 * unit * (double)(a->columns + 4) * (fabs(alpha) * magnitude + fabs(old));
      ck_assert_msg(error <= bound, "(%lld, %lld) of [%lld, %lld] over %lld is off by %g, not %g",
                    (long long)i, (long long)j, (long long)c->rows, (long long)c->columns,
                    (long long)a->columns, error, bound);
    }
}

static void check_same_bits(const fixture *f, const stored *part, const stored *whole, int64_t row,
                            int64_t column)
{
  for (int64_t i = 0; i < part->rows; i++)
    for (int64_t j = 0; j < part->columns; j++) {
      const double alone = value_at(f, part, i, j),
                   beside = value_at(f, whole, row + i, column + j);
      ck_assert_msg(memcmp(&alone, &beside, sizeof alone) == 0,
                    "(%lld, %lld) of [%lld, %lld] is %a, in [%lld, %lld] it is %a", (long long)i,
                    (long long)j, (long long)part->rows, (long long)part->columns, alone,
                    (long long)whole->rows, (long long)whole->columns, beside);
    }
}

/* A product, and any part of it by itself. */
static void check_draw(fixture *f, bool check)
{
  static const double alphas[] = {1.0, 1.0, 0.125, -1.7}, betas[] = {0.0, 0.0, 1.0, 0.3};
  const double alpha = alphas[cdl_random_below(&f->random, 4)],
               beta = betas[cdl_random_below(&f->random, 4)];
  const int64_t m = draw_size(f, MOST_ROWS), n = draw_size(f, MOST_ROWS),
                k = draw_size(f, MOST_DEPTH);
  stored a = draw_matrix(f, m, k), b = draw_matrix(f, k, n), c = draw_matrix(f, m, n);
  stored before = copy_part(f, &c, 0, m, 0, n);
  const int64_t row = (int64_t)cdl_random_below(&f->random, (uint64_t)m),
                column = (int64_t)cdl_random_below(&f->random, (uint64_t)n);
  const int64_t rows = 1 + (int64_t)cdl_random_below(&f->random, (uint64_t)(m - row)),
                columns = 1 + (int64_t)cdl_random_below(&f->random, (uint64_t)(n - column));
  stored part_a = copy_part(f, &a, row, rows, 0, k),
         part_b = copy_part(f, &b, 0, k, column, columns),
         part_c = copy_part(f, &c, row, rows, column, columns);
  multiply(f, &a, &b, &c, alpha, beta);
  if (check)
    check_values(f, &a, &b, &before, &c, alpha, beta);
  multiply(f, &part_a, &part_b, &part_c, alpha, beta);
  check_same_bits(f, &part_c, &c, row, column);
  stored *all[] = {&a, &b, &c, &before, &part_a, &part_b, &part_c};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    free(all[i]->data);
}

START_TEST(an_element_depends_on_its_row_and_column)
{
  const cpu_kernels *kernels = cpu_kernels_set(_i / 2);
  if (kernels == NULL)
    return; /* of another processor */
  fixture f = begin(kernels, _i % 2 == 1);
  for (int i = 0; i < DRAWS; i++)
    check_draw(&f, i % 5 == 0); /* the truth in double is slow */
  free(f.memory);
}
END_TEST

/* Sets with fused multiply-add give the same bits, too. */
START_TEST(vector_sets_agree_to_the_bit)
{
  if (cpu_kernels_set(2) == NULL)
    return; /* there is one such set alone */
  fixture narrow = begin(cpu_kernels_set(1), _i == 1), wide = begin(cpu_kernels_set(2), _i == 1);
  for (int i = 0; i < DRAWS / 5; i++) {
    const int64_t m = draw_size(&wide, MOST_ROWS), n = draw_size(&wide, MOST_ROWS),
                  k = draw_size(&wide, MOST_DEPTH);
    stored a = draw_matrix(&wide, m, k), b = draw_matrix(&wide, k, n), c = draw_matrix(&wide, m, n),
           d = copy_part(&wide, &c, 0, m, 0, n);
    multiply(&narrow, &a, &b, &c, 0.7, 1.0);
    multiply(&wide, &a, &b, &d, 0.7, 1.0);
    check_same_bits(&wide, &d, &c, 0, 0);
    free(a.data);
    free(b.data);
    free(c.data);
    free(d.data);
  }
  free(narrow.memory);
  free(wide.memory);
}
END_TEST

START_TEST(a_sum_over_nothing_is_zero)
{
  float c[6] = {NAN, 1, 2, 3, 4, 5};
  const float none = 0.0f;
  const cpu_product product = {2, 3, 0, &none, 0, 1,   &none,
                               3, 1, c, 3,     1, 1.0, _i == 0 ? 0.0 : 2.0};
  cpu_kernels_choose()->product_f32(&product, NULL);
  for (int i = 1; i < 6; i++)
    ck_assert_float_eq(c[i], _i == 0 ? 0.0f : 2.0f * (float)i);
  ck_assert(_i == 0 ? c[0] == 0.0f : isnan(c[0]));
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("product");
  TCase *cases = tcase_create("products");
  tcase_set_timeout(cases, 120);
  tcase_add_loop_test(cases, an_element_depends_on_its_row_and_column, 0, 6);
  tcase_add_loop_test(cases, vector_sets_agree_to_the_bit, 0, 2);
  tcase_add_loop_test(cases, a_sum_over_nothing_is_zero, 0, 2);
  suite_add_tcase(suite, cases);
  return run_suite(suite);
}
