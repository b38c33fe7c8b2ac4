/* The vector sets of the CPU backend: activations, exponentials, drawn masks and sums of rows
 * against double arithmetic, in every set that the processor has. */
#include "backends/cpu/kernels/kernels.h"
#include "condlora/random.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/run_suite.h"

static double sigmoid(double x)
{
  return 1.0 / (1.0 + exp(-x));
}

static double activation_truth(cdl_activation activation, double x)
{
  switch (activation) {
  case CDL_ACTIVATION_NONE:
    return x;
  case CDL_ACTIVATION_GELU:
    return x * 0.5 * erfc(-x / sqrt(2.0));
  case CDL_ACTIVATION_GELU_TANH:
    return x * sigmoid(2.0 * sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x));
  case CDL_ACTIVATION_GELU_QUICK:
    return x * sigmoid(1.702 * x);
  case CDL_ACTIVATION_RELU:
    return x > 0 ? x : 0;
  case CDL_ACTIVATION_SILU:
    return x * sigmoid(x);
  case CDL_ACTIVATION_TANH:
    return tanh(x);
  case CDL_ACTIVATION_SIGMOID:
    return sigmoid(x);
  case CDL_ACTIVATION_MISH:
    return x * tanh(log1p(exp(x)));
  }
  return NAN;
}

static double slope_truth(cdl_activation activation, double x)
{
  const double h = 1e-5;
  if (activation == CDL_ACTIVATION_RELU)
    return x > 0 ? 1 : 0;
  /* Fourth-order central difference: error about h⁴ and 10⁻¹⁶ / h. */
  return (8 * (activation_truth(activation, x + h) - activation_truth(activation, x - h)) -
          (activation_truth(activation, x + 2 * h) - activation_truth(activation, x - 2 * h))) /
         (12 * h);
}

enum { POINTS = 40001 }; /* odd, so that every loop has a tail */
static const double half_ulp = 0x1p-24;

START_TEST(activations_are_accurate)
{
  const cpu_kernels *kernels = cpu_kernels_set(_i);
  if (kernels == NULL)
    return;
  static float x[POINTS], out[POINTS], slope[POINTS], one[POINTS];
  for (int i = 0; i < POINTS; i++) {
    x[i] = (float)(-25.0 + 50.0 * i / (POINTS - 1) + 1e-4); /* beside relu's corner */
    one[i] = 1.0f;
  }
  for (int a = CDL_ACTIVATION_NONE; a <= CDL_ACTIVATION_MISH; a++) {
    const cdl_activation activation = (cdl_activation)a;
    kernels->unary(CDL_UNARY_ACTIVATION, activation, out, x, POINTS);
    kernels->activation_grad(activation, slope, one, x, POINTS);
    for (int i = 0; i < POINTS; i++) {
      const double at = (double)x[i], wide = fmax(1.0, fabs(at));
      ck_assert_msg(fabs((double)out[i] - activation_truth(activation, at)) <= 4 * half_ulp * wide,
                    "%s, activation %d at %.9g: %.9g", kernels->name, a, at, (double)out[i]);
      ck_assert_msg(
          fabs((double)slope[i] - slope_truth(activation, at)) <= 5 * half_ulp + 2e-11 * wide,
          "%s, slope of activation %d at %.9g: %.9g", kernels->name, a, at, (double)slope[i]);
    }
  }
}
END_TEST

/* Most inputs of GELU are below zero, and the next product adds up the errors of all of them. So an
 * error that is a part of an ulp of ½ is too much there. */
START_TEST(gelu_is_accurate_below_zero)
{
  const cpu_kernels *kernels = cpu_kernels_set(_i);
  if (kernels == NULL)
    return;
  static float x[POINTS], out[POINTS];
  for (int i = 0; i < POINTS; i++)
    x[i] = (float)(-8.0 * (i + 0.5) / POINTS);
  kernels->unary(CDL_UNARY_ACTIVATION, CDL_ACTIVATION_GELU, out, x, POINTS);
  for (int i = 0; i < POINTS; i++) {
    const double truth = activation_truth(CDL_ACTIVATION_GELU, (double)x[i]),
                 scale = activation_truth(CDL_ACTIVATION_GELU, fmax((double)x[i], -4.0));
    ck_assert_msg(fabs((double)out[i] - truth) <= 24 * half_ulp * fabs(scale),
                  "%s: gelu at %.9g is %.9g, not %.9g", kernels->name, (double)x[i], (double)out[i],
                  truth);
  }
}
END_TEST

START_TEST(exponentials_are_accurate)
{
  const cpu_kernels *kernels = cpu_kernels_set(_i);
  if (kernels == NULL)
    return;
  static float x[POINTS], out[POINTS];
  for (int i = 0; i < POINTS; i++)
    x[i] = (float)(-110.0 + 205.0 * i / (POINTS - 1));
  kernels->unary(CDL_UNARY_EXP, CDL_ACTIVATION_NONE, out, x, POINTS);
  for (int i = 0; i < POINTS; i++) {
    const double truth = exp((double)x[i]);
    if (truth > 3.4028235677973366e38) /* rounds to infinity */
      ck_assert_msg(isinf(out[i]), "%s at %.9g: %.9g", kernels->name, (double)x[i], (double)out[i]);
    else
      ck_assert_msg(fabs((double)out[i] - truth) <= 2 * half_ulp * truth + 1.5e-45,
                    "%s at %.9g: %.9g", kernels->name, (double)x[i], (double)out[i]);
  }
}
END_TEST

START_TEST(every_set_draws_the_masks_of_philox)
{
  const cpu_kernels *kernels = cpu_kernels_set(_i);
  if (kernels == NULL)
    return;
  const cpu_mask mask = {.key = {11, 22},
                         .example = 33,
                         .step = 44,
                         .place = 55,
                         .threshold = 0x40000000u,
                         .scale = 2.0f};
  float x[300], out[300];
  for (int i = 0; i < 300; i++)
    x[i] = (float)(i + 1);
  for (uint64_t first = 0; first < 9; first++)
    for (int64_t n = 0; n < 300; n += 37) {
      kernels->dropout(&mask, out, x, first, n);
      for (int64_t i = 0; i < n; i++) {
        const uint64_t e = first + (uint64_t)i;
        const cdl_philox_words words =
            cdl_philox((cdl_philox_words){{(uint32_t)(e / 4), 33, 44, 55}}, 11, 22);
        const float expected = words.word[e % 4] >= mask.threshold ? 2.0f * x[i] : 0.0f;
        ck_assert_msg(out[i] == expected, "%s: element %d is %g, not %g", kernels->name, (int)e,
                      (double)out[i], (double)expected);
      }
    }
}
END_TEST

START_TEST(rows_of_any_length_are_summed_whole)
{
  const cpu_kernels *kernels = cpu_kernels_set(_i);
  if (kernels == NULL)
    return;
  float x[200], y[200], out[200];
  for (int64_t n = 1; n < 200; n++) {
    double sum = 0, squares = 0, inner = 0, most = -1e30, exps = 0;
    for (int64_t j = 0; j < n; j++) {
      x[j] = (float)((j * 37 + n) % 101) / 16.0f - 3.0f;
      y[j] = (float)((j * 53 + n) % 89) / 32.0f;
      sum += (double)x[j];
      squares += (double)x[j] * (double)x[j];
      inner += (double)x[j] * (double)y[j];
      most = fmax(most, (double)x[j]);
      exps += exp((double)x[j]);
    }
    const double bound = 8 * half_ulp * squares + 1e-6;
    ck_assert_double_le(fabs((double)kernels->sum(x, n) - sum), bound);
    ck_assert_double_le(fabs((double)kernels->sum_squares(x, n) - squares), bound);
    ck_assert_double_le(fabs((double)kernels->dot(x, y, n) - inner), bound);
    ck_assert(kernels->sum_squares_double(x, n) ==
              squares); /* multiples of 2⁻⁸: exact in any order */
    ck_assert((double)kernels->maximum(x, n) == most);
    ck_assert_double_le(fabs((double)kernels->softmax(out, x, 1.0f, n) - log(exps)),
                        4 * half_ulp * (1 + fabs(most)));
    for (int64_t j = 0; j < n; j++)
      ck_assert_double_le(fabs((double)out[j] - exp((double)x[j]) / exps), 8 * half_ulp);
  }
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("cpu_kernels");
  TCase *all = tcase_create("kernels");
  tcase_set_timeout(all, 300);
  tcase_add_loop_test(all, activations_are_accurate, 0, 3);
  tcase_add_loop_test(all, gelu_is_accurate_below_zero, 0, 3);
  tcase_add_loop_test(all, exponentials_are_accurate, 0, 3);
  tcase_add_loop_test(all, every_set_draws_the_masks_of_philox, 0, 3);
  tcase_add_loop_test(all, rows_of_any_length_are_summed_whole, 0, 3);
  suite_add_tcase(suite, all);
  return run_suite(suite);
}
