/* Statistics of bench-condlora against published tables, sums by hand, and counting. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "bench/compare.h"
#include "bench/counters.h"
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

/* Numbers around `level`, their logarithms spread by about `spread`; the same in every run. */
static void draw(double *values, size_t count, double level, double spread, unsigned *state)
{
  for (size_t i = 0; i < count; i++) {
    double sum = -6;
    for (int k = 0; k < 12; k++) {
      *state = *state * 1664525u + 1013904223u;
      sum += *state / 4294967296.0;
    }
    values[i] = level * exp(spread * sum);
  }
}

static double p_of_ratio(const double *x, const double *y, size_t count, double ratio)
{
  double scaled[64];
  for (size_t i = 0; i < count; i++)
    scaled[i] = x[i] * ratio;
  return bench_mann_whitney(scaled, count, y, count);
}

/* The interval is the ratios that the test at 1 % does not reject. */
START_TEST(an_interval_is_the_test_turned_around)
{
  enum { COUNT = 40 };
  unsigned state = 7;
  for (int round = 0; round < 20; round++) {
    double x[COUNT], y[COUNT], low, high;
    draw(x, COUNT, 1e-3, 0.05, &state);
    draw(y, COUNT, 1.2e-3, 0.05, &state);
    ck_assert_int_eq(bench_ratio_interval(x, COUNT, y, COUNT, &low, &high), CDL_STATUS_OK);
    ck_assert(low < 1.2 * 1.05 && high > 1.2 / 1.05 && low < high);
    ck_assert(p_of_ratio(x, y, COUNT, low * 0.99) < 0.01);
    ck_assert(p_of_ratio(x, y, COUNT, low * 1.01) > 0.01);
    ck_assert(p_of_ratio(x, y, COUNT, high * 1.01) < 0.01);
    ck_assert(p_of_ratio(x, y, COUNT, high * 0.99) > 0.01);
  }
}
END_TEST

START_TEST(an_interval_covers)
{
  enum { COUNT = 15, ROUNDS = 2000 };
  unsigned state = 11;
  int covered = 0;
  for (int round = 0; round < ROUNDS; round++) {
    double x[COUNT], y[COUNT], low, high;
    draw(x, COUNT, 1, 0.1, &state);
    draw(y, COUNT, 1, 0.1, &state);
    ck_assert_int_eq(bench_ratio_interval(x, COUNT, y, COUNT, &low, &high), CDL_STATUS_OK);
    covered += low <= 1 && high >= 1;
  }
  /* 99 %, within four standard deviations of a binomial count */
  ck_assert_int_ge(covered, (int)(0.99 * ROUNDS - 4 * sqrt(0.99 * 0.01 * ROUNDS)));
}
END_TEST

START_TEST(few_numbers_say_nothing)
{
  static const double x[] = {1, 1.001, 1.002}, y[] = {2, 2.001, 2.002};
  double low, high;
  ck_assert_int_eq(bench_ratio_interval(x, 3, y, 3, &low, &high), CDL_STATUS_OK);
  ck_assert(low == 0 && isinf(high));
}
END_TEST

static void write_number(const char *folder, const char *zone, const char *name, const char *number)
{
  char path[300];
  snprintf(path, sizeof path, "%s/%s", folder, zone);
  (void)mkdir(path, 0700);
  snprintf(path, sizeof path, "%s/%s/%s", folder, zone, name);
  FILE *file = fopen(path, "w");
  ck_assert(file != NULL && fputs(number, file) >= 0 && fclose(file) == 0);
}

/* Packages are added up; their parts, and other ways to the same counter, are not. */
START_TEST(joules_of_the_packages)
{
  char folder[] = "/tmp/condlora-energy-XXXXXX", command[100];
  ck_assert_ptr_nonnull(mkdtemp(folder));
  static const char *const zones[] = {"intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0",
                                      "intel-rapl-mmio:0"};
  for (size_t i = 0; i < 4; i++) {
    write_number(folder, zones[i], "energy_uj", "5000000\n");
    write_number(folder, zones[i], "max_energy_range_uj", "6000000\n");
  }
  bench_energy energy = bench_energy_begin(folder);
  ck_assert_int_eq(energy.count, 2);
  ck_assert_double_eq(bench_energy_joules(&energy), 0);
  write_number(folder, "intel-rapl:0", "energy_uj", "5500000\n");
  write_number(folder, "intel-rapl:0:0", "energy_uj", "5400000\n");
  ck_assert_double_eq_tol(bench_energy_joules(&energy), 0.5, 1e-9);
  write_number(folder, "intel-rapl:1", "energy_uj", "1000000\n"); /* began anew */
  ck_assert_double_eq_tol(bench_energy_joules(&energy), 0.5 + 2, 1e-9);
  snprintf(command, sizeof command, "rm -r %s", folder);
  ck_assert_int_eq(system(command), 0);
  ck_assert(isnan(bench_energy_joules(&energy)));
  energy = bench_energy_begin(folder);
  ck_assert(energy.count == 0 && isnan(bench_energy_joules(&energy)));
}
END_TEST

START_TEST(times_and_counts_as_text)
{
  static const struct {
    double seconds;
    bench_measure_clock clock;
    const char *text;
  } shown[] = {{1.5, BENCH_MEASURE_WALL, "1.500 s"},
               {0.0123, BENCH_MEASURE_PROCESSOR, "12.30 ms"},
               {4.5e-6, BENCH_MEASURE_WALL, "4.50 µs"},
               {1.5, BENCH_MEASURE_INSTRUCTIONS, "1.500 G instructions"},
               {2.5e-3, BENCH_MEASURE_INSTRUCTIONS, "2.500 M instructions"},
               {4.5e-6, BENCH_MEASURE_INSTRUCTIONS, "4.5 k instructions"}};
  for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
    char text[BENCH_MEASURE_TEXT];
    bench_measure_show(shown[i].seconds, shown[i].clock, text);
    ck_assert_str_eq(text, shown[i].text);
  }
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
  tcase_add_test(tests, an_interval_is_the_test_turned_around);
  tcase_add_test(tests, an_interval_covers);
  tcase_add_test(tests, few_numbers_say_nothing);
  tcase_add_test(tests, joules_of_the_packages);
  tcase_add_test(tests, times_and_counts_as_text);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  const int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
