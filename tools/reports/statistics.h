/* Means, deviations and the paired t-test, in float64. */
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

#endif
