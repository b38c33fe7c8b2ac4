/* Quantiles of Student's distribution as tables print them, and cases without an answer.
 * tests/peers/statistics_parity.py asks SciPy. */
#include <math.h>

#include "tests/unit/scratch.h"
#include "tools/reports/statistics.h"

START_TEST(student_as_in_tables)
{
  static const struct {
    double t, freedom, p;
  } table[] = {{12.706, 1, 0.05}, {4.303, 2, 0.05},  {2.776, 4, 0.05},   {4.604, 4, 0.01},
               {2.228, 10, 0.05}, {2.042, 30, 0.05}, {1.960, 1e7, 0.05}, {3.291, 1e7, 0.001}};
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    const double half = 0.0005; /* of the last digit printed */
    ck_assert_double_lt(report_student_two_sided(table[i].t + half, table[i].freedom), table[i].p);
    ck_assert_double_gt(report_student_two_sided(table[i].t - half, table[i].freedom), table[i].p);
    ck_assert_double_eq(report_student_two_sided(-table[i].t, table[i].freedom),
                        report_student_two_sided(table[i].t, table[i].freedom));
  }
  /* One degree of freedom is Cauchy's distribution. */
  for (double t = 0.001; t < 1000; t *= 3)
    ck_assert_double_eq_tol(report_student_two_sided(t, 1), 1 - 2 * atan(t) / M_PI, 1e-14);
  ck_assert_double_eq(report_student_two_sided(0, 5), 1);
  ck_assert_double_eq(report_student_two_sided(INFINITY, 5), 0);
}
END_TEST

START_TEST(degenerate_samples)
{
  const double a[] = {1, 2, 3}, b[] = {0, 1, 2};
  ck_assert(isnan(report_mean(a, 0)) && isnan(report_deviation(a, 1)));
  ck_assert(isnan(report_paired_t_test(a, b, 0).p) && isnan(report_paired_t_test(a, b, 1).p));
  ck_assert(isnan(report_paired_t_test(a, a, 3).p));
  /* One difference for all: no variance, so no test, exactly or but for rounding. */
  const report_paired_test shifted = report_paired_t_test(a, b, 3);
  ck_assert(isnan(shifted.t) && isnan(shifted.p) && shifted.mean == 1 && shifted.deviation == 0);
  const double c[] = {0.1 + 0.2, 0.7, 0.9}, d[] = {0.2, 0.6, 0.8};
  const report_paired_test rounded = report_paired_t_test(c, d, 3);
  ck_assert(isnan(rounded.t) && isnan(rounded.p));
  /* Any true difference counts: a millionth of the mean. */
  const double e[] = {1, 2, 3.000001};
  const report_paired_test tiny = report_paired_t_test(e, b, 3);
  ck_assert(tiny.p > 0 && tiny.p < 1e-6);
}
END_TEST

int main(void)
{
  return scratch_run("statistics",
                     (const TTest *[]){student_as_in_tables, degenerate_samples, NULL});
}
