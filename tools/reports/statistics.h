/* Means, deviations and the paired t-test of reports, in double. */
#ifndef CONDLORA_TOOLS_REPORTS_STATISTICS_H
#define CONDLORA_TOOLS_REPORTS_STATISTICS_H

#include <stddef.h>

/* NaN for no values. */
double report_mean(const double *values, size_t count);
/* The sample's: squares are divided by count - 1. NaN for fewer than two values. */
double report_deviation(const double *values, size_t count);

/* Probability that Student's t of `freedom` > 0 degrees is at least |t| away from 0, on either
 * side. */
double report_student_two_sided(double t, double freedom);

/* H0: the differences a[i] - b[i] have mean 0. `p` is two-sided. */
typedef struct {
  size_t count;
  double mean, deviation; /* of the differences */
  double t, p;
} report_paired_test;

/* As scipy.stats.ttest_rel, but that t and p are NaN wherever all differences are the same, 0 or not, as
 * far as rounding lets them be, and for fewer than two pairs: without any variance there is nothing to
 * hold the mean against, and p would be 0 of two runs. */
report_paired_test report_paired_t_test(const double *a, const double *b, size_t count);

#endif
