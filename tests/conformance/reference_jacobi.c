/* Singular values in float64, by rotations of Jacobi. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/conformance/reference.h"

/* In long double where the machine has one, so that the sweeps' own rounding stays below that of a
 * float64 routine. */
typedef long double wide;

static wide *make_work(int64_t count)
{
  wide *p = calloc((size_t)count + 1, sizeof *p);
  if (p == NULL) {
    fprintf(stderr, "condlora-conformance: out of memory\n");
    exit(2);
  }
  return p;
}

static int descending(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? 1 : x > y ? -1 : 0;
}

static int ascending(const void *a, const void *b)
{
  return descending(b, a);
}

/* Cosine and sine that make two columns with these products orthogonal (Golub and Van Loan,
 * 8.5.2). */
static void rotation(wide alpha, wide beta, wide gamma, wide *cosine, wide *sine)
{
  const wide zeta = (beta - alpha) / (2 * gamma);
  const wide t = copysignl(1, zeta) / (fabsl(zeta) + sqrtl(1 + zeta * zeta));
  *cosine = 1 / sqrtl(1 + t * t);
  *sine = *cosine * t;
}

/* x, y ← rotated; elements `step` apart. */
static void rotate(wide *x, wide *y, int64_t n, int64_t step, wide cosine, wide sine)
{
  for (int64_t j = 0; j < n; j++) {
    const wide old_x = x[j * step], old_y = y[j * step];
    x[j * step] = cosine * old_x - sine * old_y;
    y[j * step] = sine * old_x + cosine * old_y;
  }
}

/* One sweep over all pairs of vectors; whether any was rotated. */
static bool sweep_vectors(wide *work, int64_t vectors, int64_t length)
{
  bool rotated = false;
  for (int64_t p = 0; p < vectors; p++)
    for (int64_t q = p + 1; q < vectors; q++) {
      wide *x = work + p * length, *y = work + q * length;
      wide alpha = 0, beta = 0, gamma = 0, cosine = 1, sine = 0;
      for (int64_t j = 0; j < length; j++) {
        alpha += x[j] * x[j];
        beta += y[j] * y[j];
        gamma += x[j] * y[j];
      }
      if (gamma == 0 || fabsl(gamma) <= 1e-17L * sqrtl(alpha * beta))
        continue;
      rotated = true;
      rotation(alpha, beta, gamma, &cosine, &sine);
      rotate(x, y, length, 1, cosine, sine);
    }
  return rotated;
}

void singular_values(int64_t m, int64_t n, const double *a, double *sigma)
{
  const bool by_rows = n > m;
  const int64_t vectors = by_rows ? m : n, length = by_rows ? n : m;
  wide *work = make_work(m * n);
  for (int64_t i = 0; i < vectors; i++)
    for (int64_t j = 0; j < length; j++)
      work[i * length + j] = by_rows ? a[i * n + j] : a[j * n + i];
  for (int sweep = 0; sweep < 40 && sweep_vectors(work, vectors, length); sweep++)
    ;
  for (int64_t i = 0; i < vectors; i++) {
    wide squares = 0;
    for (int64_t j = 0; j < length; j++)
      squares += work[i * length + j] * work[i * length + j];
    sigma[i] = (double)sqrtl(squares);
  }
  free(work);
  qsort(sigma, (size_t)vectors, sizeof *sigma, descending);
}

static bool sweep_symmetric(wide *work, int64_t n, wide negligible)
{
  bool rotated = false;
  for (int64_t p = 0; p < n; p++)
    for (int64_t q = p + 1; q < n; q++) {
      if (fabsl(work[p * n + q]) <= negligible)
        continue;
      wide cosine = 1, sine = 0;
      rotated = true;
      rotation(work[p * n + p], work[q * n + q], work[p * n + q], &cosine, &sine);
      rotate(work + p * n, work + q * n, n, 1, cosine, sine);
      rotate(work + p, work + q, n, n, cosine, sine);
    }
  return rotated;
}

void symmetric_eigenvalues(int64_t n, const double *a, double *values)
{
  wide *work = make_work(n * n), scale = 0;
  for (int64_t i = 0; i < n * n; i++) {
    work[i] = a[i];
    scale = fmaxl(scale, fabsl(work[i]));
  }
  for (int sweep = 0; sweep < 40 && sweep_symmetric(work, n, 1e-19L * scale); sweep++)
    ;
  for (int64_t i = 0; i < n; i++)
    values[i] = (double)work[i * n + i];
  free(work);
  qsort(values, (size_t)n, sizeof *values, ascending);
}
