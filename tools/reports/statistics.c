#include "tools/reports/statistics.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

double report_mean(const double *values, size_t count)
{
  double sum = 0;
  for (size_t i = 0; i < count; i++)
    sum += values[i];
  return count > 0 ? sum / (double)count : NAN;
}

double report_deviation(const double *values, size_t count)
{
  const double mean = report_mean(values, count);
  double squares = 0;
  for (size_t i = 0; i < count; i++)
    squares += (values[i] - mean) * (values[i] - mean);
  return count > 1 ? sqrt(squares / (double)(count - 1)) : NAN;
}

/* ---- Student's distribution ---- */

/* Evaluates the continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8)
 * by Lentz's method; it converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
  enum { TERMS_MOST = 10000 };
  const double tiny = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  d = 1 / (fabs(d) < tiny ? tiny : d);
  double value = d;
  for (int m = 1; m < TERMS_MOST; m++) {
    const double terms[] = {m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))};
    double factor = 1;
    for (int i = 0; i < 2; i++) {
      d = 1 + terms[i] * d;
      c = 1 + terms[i] / c;
      d = 1 / (fabs(d) < tiny ? tiny : d);
      c = fabs(c) < tiny ? tiny : c;
      factor = c * d;
      value *= factor;
    }
    if (fabs(factor - 1) < DBL_EPSILON)
      break;
  }
  return value;
}

/* Returns ln Γ(a + 1/2) - ln Γ(a). The difference of the two logarithms would cancel for large a;
 * Stirling's series does not. */
static double log_gamma_step(double a)
{
  enum { SERIES_FROM = 20 };
  if (a < SERIES_FROM)
    return lgamma(a + 0.5) - lgamma(a);
  const double r = 1 / a, q = r * r;
  return 0.5 * log(a) - r * (1.0 / 8 - q * (1.0 / 192 - q * (1.0 / 640 - q * 17.0 / 14336)));
}

/* Uses the regularized incomplete beta function I_x(freedom / 2, 1 / 2) at x = freedom / (freedom +
 * t²). */
double report_student_two_sided(double t, double freedom)
{
  if (isnan(t) || !(freedom > 0))
    return NAN;
  if (isinf(t) || t == 0)
    return t == 0 ? 1 : 0;
  const double a = freedom / 2, b = 0.5, square = t / freedom * t, x = 1 / (1 + square),
               y = square / (1 + square);
  const double front = exp(log_gamma_step(a) - 0.5 * log(M_PI) - a * log1p(square) + b * log(y));
  return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
                                   : 1 - front * beta_fraction(b, a, y) / b;
}

double report_student_above(double t, double freedom)
{
  const double tail = report_student_two_sided(t, freedom) / 2;
  return t < 0 ? 1 - tail : tail;
}

double report_student_critical(double p, double freedom)
{
  if (!(p > 0 && p <= 1) || !(freedom > 0))
    return NAN;
  /* The tail falls with t: bisection, first of the exponent, since with one degree of freedom the
   * answer may be far out. */
  double low = 0, high = 1;
  while (report_student_two_sided(high, freedom) > p && high < DBL_MAX / 4) {
    low = high;
    high *= 2;
  }
  for (double middle = (low + high) / 2; low < middle && middle < high; middle = (low + high) / 2) {
    if (report_student_two_sided(middle, freedom) > p)
      low = middle;
    else
      high = middle;
  }
  return high;
}

report_interval report_mean_interval(const double *values, size_t count, double level)
{
  const double mean = report_mean(values, count), deviation = report_deviation(values, count);
  if (count < 2)
    return (report_interval){NAN, NAN};
  const double half =
      report_student_critical(1 - level, (double)(count - 1)) * deviation / sqrt((double)count);
  return (report_interval){mean - half, mean + half};
}

/* Returns whether the differences vary by rounding only: by a few units in the last place of the
 * largest value. */
static bool are_constant(const double *a, const double *b, size_t count)
{
  double largest = 0, least = INFINITY, most = -INFINITY;
  for (size_t i = 0; i < count; i++) {
    largest = fmax(largest, fmax(fabs(a[i]), fabs(b[i])));
    least = fmin(least, a[i] - b[i]);
    most = fmax(most, a[i] - b[i]);
  }
  return most - least <= 4 * DBL_EPSILON * largest;
}

report_paired_test report_paired_t_test(const double *a, const double *b, size_t count)
{
  report_paired_test test = {.count = count, .t = NAN, .p = NAN};
  double sum = 0, squares = 0;
  for (size_t i = 0; i < count; i++)
    sum += a[i] - b[i];
  test.mean = count > 0 ? sum / (double)count : NAN;
  for (size_t i = 0; i < count; i++)
    squares += (a[i] - b[i] - test.mean) * (a[i] - b[i] - test.mean);
  test.deviation = count > 1 ? sqrt(squares / (double)(count - 1)) : NAN;
  if (count > 1 && !are_constant(a, b, count)) {
    test.t = test.mean / (test.deviation / sqrt((double)count));
    test.p = report_student_two_sided(test.t, (double)(count - 1));
  }
  return test;
}

double report_paired_equivalence(const double *a, const double *b, size_t count, double margin)
{
  const report_paired_test test = report_paired_t_test(a, b, count);
  if (isnan(test.t))
    return NAN;
  const double error = test.deviation / sqrt((double)count), freedom = (double)(count - 1);
  return fmax(report_student_above((test.mean + margin) / error, freedom),
              report_student_above((margin - test.mean) / error, freedom));
}

/* Tests whose p is smaller than that of test `i`, or equal and before it. */
static size_t tests_before(const double *p, size_t count, size_t i)
{
  size_t before = 0;
  for (size_t k = 0; k < count; k++)
    before += (p[k] < p[i] || (p[k] == p[i] && k < i)) ? 1 : 0;
  return before;
}

void report_holm(const double *p, size_t count, double *adjusted)
{
  size_t tests = 0;
  for (size_t i = 0; i < count; i++)
    tests += isnan(p[i]) ? 0 : 1;
  for (size_t i = 0; i < count; i++) {
    adjusted[i] = isnan(p[i]) ? NAN : 0;
    for (size_t k = 0; k < count; k++)
      if (p[k] <= p[i])
        adjusted[i] =
            fmax(adjusted[i], fmin(1, p[k] * (double)(tests - tests_before(p, count, k))));
  }
}
