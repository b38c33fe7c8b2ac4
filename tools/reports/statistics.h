/* Means, deviations, intervals and tests, in float64. Undefined results are NaN. */
#ifndef CONDLORA_TOOLS_REPORTS_STATISTICS_H
#define CONDLORA_TOOLS_REPORTS_STATISTICS_H

#include <stddef.h>

/* Returns the mean; NaN for no values. */
double report_mean(const double *values, size_t count);
/* Returns the standard deviation of the sample, with divisor count - 1. NaN for fewer than two
 * values. */
double report_deviation(const double *values, size_t count);

/* Returns the two-sided probability P(|T| ≥ |t|) of Student's t with `freedom` > 0 degrees. */
double report_student_two_sided(double t, double freedom);

/* Returns P(T > t) for Student's T. */
double report_student_above(double t, double freedom);
/* Returns the t ≥ 0 with P(|T| > t) = `p`, for 0 < p ≤ 1. */
double report_student_critical(double p, double freedom);

typedef struct {
  double low, high;
} report_interval;

/* Returns Student's interval for the mean of a normal population; `level` is for example 0.95. NaN
 * for fewer than two values. */
report_interval report_mean_interval(const double *values, size_t count, double level);

/* The result of a paired t-test. H0: the differences a[i] - b[i] have mean 0. `p` is two-sided. */
typedef struct {
  size_t count;
  double mean, deviation; /* of the differences */
  double t, p;
} report_paired_test;

/* Computes scipy.stats.ttest_rel, except that t and p are NaN for fewer than two pairs and if all
 * differences are equal up to rounding: without variance there is nothing to compare the mean with,
 * and p would be 0 for two runs. */
report_paired_test report_paired_t_test(const double *a, const double *b, size_t count);

/* Tests equivalence by two one-sided paired t-tests (Schuirmann 1987). H0: the mean of the
 * differences a[i] - b[i] is at most -margin or at least margin, margin > 0. Returns the larger of
 * the two p, as statsmodels' ttost_paired does. NaN under the same conditions as for
 * report_paired_t_test. */
double report_paired_equivalence(const double *a, const double *b, size_t count, double margin);

/* Corrects p [count] of several tests after Holm (1979): adjusted[i] is the smallest level of the
 * whole family at which test i is rejected. A p that is NaN stays NaN and is not counted. */
void report_holm(const double *p, size_t count, double *adjusted);

#endif
