/* Statistics of bench-condlora against published tables, sums by hand, and counting. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "bench/compare.h"
#include "bench/measure.h"

START_TEST(quantiles_of_t)
{
  /* Student's t, two-sided 5 %: any table of it. */
  static const double table[][2] = {{1, 12.706}, {2, 4.303},  {3, 3.182},   {4, 2.776},
                                    {5, 2.571},  {6, 2.447},  {8, 2.306},   {10, 2.228},
                                    {15, 2.131}, {30, 2.042}, {120, 1.980}, {1e6, 1.960}};
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    ck_assert_double_eq_tol(bench_measure_t95(table[i][0]), table[i][1], 0.002 * table[i][1]);
}
END_TEST

START_TEST(summary_by_hand)
{
  static const double samples[] = {4, 100, 1, 3, 2};
  bench_measurement m = {0};
  for (size_t i = 0; i < 5; i++)
    ck_assert_int_eq(bench_measure_add(&m, samples[i]), CDL_STATUS_OK);
  ck_assert_int_eq(bench_measure_summarize(&m), CDL_STATUS_OK);
  ck_assert_double_eq(m.minimum, 1);
  ck_assert_double_eq_tol(m.median, 3, 1e-12);
  ck_assert_double_eq_tol(m.p95, 4 + 0.8 * 96, 1e-12);
  ck_assert_double_eq_tol(m.mean, 22, 1e-12);
  /* Σ (x − 22)² = 441 + 400 + 361 + 324 + 6084 */
  ck_assert_double_eq_tol(m.interval, 2.776445 * sqrt(7610.0 / 4 / 5), 0.1);
  ck_assert_uint_eq(m.outliers, 1);
  ck_assert_double_eq(m.samples[1], 100); /* the order stays */
  bench_measure_release(&m);
  ck_assert_int_eq(bench_measure_summarize(&m), CDL_STATUS_ARGUMENT);
}
END_TEST

START_TEST(median_of_few)
{
  double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2};
  ck_assert_double_eq(bench_measure_median(odd, 3), 2);
  ck_assert_double_eq(bench_measure_median(even, 4), 2.5);
  ck_assert(isnan(bench_measure_median(odd, 0)));
}
END_TEST

START_TEST(mann_whitney_small)
{
  static const double low[] = {1, 2, 3, 4, 5}, high[] = {6, 7, 8, 9, 10},
                      mixed[] = {3.5, 7, 8, 9, 10};
  ck_assert_double_eq_tol(bench_mann_whitney(low, 5, high, 5), 2.0 / 252,
                          1e-12); /* U = 0, of 252 choices */
  ck_assert_double_eq_tol(bench_mann_whitney(high, 5, low, 5), 2.0 / 252, 1e-12);
  ck_assert_double_eq_tol(bench_mann_whitney(low, 5, mixed, 5), 8.0 / 252,
                          1e-12); /* U = 2: 1 + 1 + 2 ways below */
  ck_assert_double_eq_tol(bench_mann_whitney(low, 3, high, 4), 2.0 / 35, 1e-12);
  ck_assert_double_eq_tol(bench_mann_whitney(low, 5, low, 5), 1, 1e-12);
  ck_assert_double_eq(bench_mann_whitney(low, 0, low, 5), 1);
}
END_TEST

/* Of all ways to choose 12 of 24 ranks, the share whose U is at most `most`, counted rank by
 * rank. */
static double counted_share(int most)
{
  static double ways[13][301]; /* [chosen][sum of ranks] */
  double below = 0, all = 0;
  ways[0][0] = 1;
  for (int rank = 1; rank <= 24; rank++)
    for (int chosen = 12; chosen >= 1; chosen--)
      for (int sum = 300; sum >= rank; sum--)
        ways[chosen][sum] += ways[chosen - 1][sum - rank];
  for (int sum = 0; sum <= 300; sum++) {
    all += ways[12][sum];
    below += sum - 78 <= most ? ways[12][sum] : 0; /* the least sum is 1 + … + 12 */
  }
  return below / all;
}

START_TEST(mann_whitney_large)
{
  double x[12], y[12];
  int u = 0; /* pairs with x above y */
  for (int i = 0; i < 12; i++) {
    x[i] = 2 * i + 1;
    y[i] = 2 * i + 8;
  }
  for (int i = 0; i < 12; i++)
    for (int j = 0; j < 12; j++)
      u += x[i] > y[j];
  ck_assert_double_eq_tol(bench_mann_whitney(x, 12, y, 12), fmin(1, 2 * counted_share(u)), 0.01);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("measure");
  TCase *tests = tcase_create("statistics");
  tcase_add_test(tests, quantiles_of_t);
  tcase_add_test(tests, summary_by_hand);
  tcase_add_test(tests, median_of_few);
  tcase_add_test(tests, mann_whitney_small);
  tcase_add_test(tests, mann_whitney_large);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  const int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
