/* Metrics against figures worked out by hand. */
#include <float.h>
#include <math.h>

#include "condlora/metrics.h"
#include "tests/unit/scratch.h"

static void expect_near(double found, double expected)
{
  ck_assert_msg(fabs(found - expected) <= 32 * DBL_EPSILON, "%.17g, expected %.17g", found,
                expected);
}

/* Counts of a confusion matrix [classes, classes], row = true class, column = predicted class. */
static const cdl_class_counts *counts_of(const uint64_t *confusion, size_t classes)
{
  static cdl_class_counts counts[8];
  for (size_t c = 0; c < classes; c++) {
    counts[c] = (cdl_class_counts){.correct = confusion[c * classes + c]};
    for (size_t other = 0; other < classes; other++) {
      counts[c].truth += confusion[c * classes + other];
      counts[c].predicted += confusion[other * classes + c];
    }
  }
  return counts;
}

START_TEST(two_classes_by_hand)
{
  /* 4 true negatives, 1 false positive, 2 false negatives, 3 true positives. */
  const uint64_t confusion[] = {4, 1, 2, 3};
  const cdl_scores scores = cdl_scores_of_classes(counts_of(confusion, 2), 2);
  expect_near(scores.value[CDL_METRIC_ACCURACY], 0.7);
  expect_near(scores.value[CDL_METRIC_F1], 6.0 / 9.0);
  expect_near(scores.value[CDL_METRIC_MACRO_F1], (6.0 / 9.0 + 8.0 / 11.0) / 2);
  expect_near(scores.value[CDL_METRIC_MCC], (4.0 * 3.0 - 1.0 * 2.0) / sqrt(4.0 * 5.0 * 5.0 * 6.0));
  ck_assert_double_nan(scores.value[CDL_METRIC_PEARSON]);

  cdl_class_score classes[2];
  cdl_class_scores(counts_of(confusion, 2), 2, classes);
  expect_near(classes[0].precision, 4.0 / 6.0);
  expect_near(classes[0].recall, 4.0 / 5.0);
  expect_near(classes[1].precision, 3.0 / 4.0);
  expect_near(classes[1].recall, 3.0 / 5.0);
  expect_near(classes[1].f1, 6.0 / 9.0);
  ck_assert_uint_eq(classes[1].support, 5);
}
END_TEST

START_TEST(three_classes_by_hand)
{
  static const int32_t truth[] = {0, 0, 1, 1, 2, 2}, predicted[] = {0, 1, 1, 1, 2, 0};
  cdl_class_counts counts[3] = {{0}};
  expect_ok(cdl_class_counts_add(counts, 3, truth, predicted, 6));
  static const cdl_class_counts expected[] = {{2, 2, 1}, {2, 3, 2}, {2, 1, 1}};
  ck_assert_mem_eq(counts, expected, sizeof expected);
  const cdl_scores scores = cdl_scores_of_classes(counts, 3);
  expect_near(scores.value[CDL_METRIC_ACCURACY], 4.0 / 6.0);
  expect_near(scores.value[CDL_METRIC_MACRO_F1], (0.5 + 0.8 + 2.0 / 3.0) / 3);
  ck_assert_double_nan(scores.value[CDL_METRIC_F1]);
  /* 4 correct of 6, column sums 2, 3, 1: (4 * 6 - 12) / sqrt((36 - 14) (36 - 12)) */
  expect_near(scores.value[CDL_METRIC_MCC], 12.0 / sqrt(22.0 * 24.0));
}
END_TEST

START_TEST(constant_predictions_are_worth_nothing)
{
  const uint64_t confusion[] = {7, 0, 3, 0};
  const cdl_scores scores = cdl_scores_of_classes(counts_of(confusion, 2), 2);
  ck_assert(scores.value[CDL_METRIC_MCC] == 0.0);
  ck_assert(scores.value[CDL_METRIC_F1] == 0.0);
  expect_near(scores.value[CDL_METRIC_MACRO_F1], 14.0 / 17.0 / 2);
  /* One class alone, all of it right. */
  const uint64_t only[] = {0, 0, 0, 9};
  ck_assert(cdl_scores_of_classes(counts_of(only, 2), 2).value[CDL_METRIC_MCC] == 0.0);
  expect_near(cdl_scores_of_classes(counts_of(only, 2), 2).value[CDL_METRIC_MACRO_F1], 1.0);
  const uint64_t nothing[4] = {0};
  for (size_t i = 0; i < CDL_METRIC_COUNT; i++)
    ck_assert_double_nan(cdl_scores_of_classes(counts_of(nothing, 2), 2).value[i]);
}
END_TEST

START_TEST(huge_counts_do_not_overflow)
{
  const uint64_t big = (uint64_t)1 << 61;
  const uint64_t confusion[] = {3 * big, big, big, 2 * big};
  const cdl_scores scores = cdl_scores_of_classes(counts_of(confusion, 2), 2);
  expect_near(scores.value[CDL_METRIC_ACCURACY], 5.0 / 7.0);
  expect_near(scores.value[CDL_METRIC_MCC], 5.0 / 12.0); /* (3 * 2 - 1 * 1) / sqrt(4 * 3 * 4 * 3) */
}
END_TEST

START_TEST(classes_that_are_not_there_are_refused)
{
  cdl_class_counts counts[2] = {{0}};
  static const int32_t good[] = {0, 1}, high[] = {1, 2}, low[] = {0, -1};
  expect_failure(cdl_class_counts_add(counts, 2, good, high, 2), CDL_STATUS_ARGUMENT, "example 1");
  expect_failure(cdl_class_counts_add(counts, 2, low, good, 2), CDL_STATUS_ARGUMENT, "-1");
  for (size_t i = 0; i < 2; i++)
    ck_assert(counts[i].truth + counts[i].predicted + counts[i].correct == 0);
}
END_TEST

START_TEST(correlations_by_hand)
{
  static const double x[] = {1, 2, 3, 4}, y[] = {2, 1, 4, 3}, opposite[] = {9, 6, 3, 0};
  expect_near(cdl_pearson(x, y, 4), 0.6);
  expect_near(cdl_pearson(x, opposite, 4), -1.0);
  ck_assert(cdl_pearson(x, x, 4) <= 1.0);
  /* Ranks of (1, 2, 2, 3) are 1, 2.5, 2.5, 4: 4.5 / sqrt(5 * 4.5). */
  static const double tied[] = {1, 2, 2, 3};
  double rho;
  expect_ok(cdl_spearman(x, tied, 4, &rho));
  expect_near(rho, 4.5 / sqrt(22.5));
  /* A monotone map changes Pearson but not Spearman. */
  static const double curved[] = {1, 10, 100, 1000};
  expect_ok(cdl_spearman(x, curved, 4, &rho));
  expect_near(rho, 1.0);
}
END_TEST

START_TEST(correlations_have_no_scale)
{
  static const double x[] = {1, 2, 3, 4, 7}, y[] = {2, 1, 4, 3, 5};
  const double expected = cdl_pearson(x, y, 5);
  static const double scales[] = {1e-300, 1e-160, 1e160, 1e307};
  for (size_t s = 0; s < 4; s++) {
    double scaled[5];
    for (size_t i = 0; i < 5; i++)
      scaled[i] = scales[s] * x[i];
    expect_near(cdl_pearson(scaled, y, 5), expected);
  }
  /* A small spread about a large mean: the deviations are exact. */
  static const double far_off[] = {1048576 + 1, 1048576 + 2, 1048576 + 3, 1048576 + 4, 1048576 + 7};
  ck_assert_double_lt(fabs(cdl_pearson(far_off, y, 5) - expected), 1e-9);
}
END_TEST

START_TEST(undefined_correlations_are_nan)
{
  static const double x[] = {1, 2, 3}, constant[] = {0.1, 0.1, 0.1}, one[] = {5};
  const double infinite[] = {1, (double)INFINITY, 3}, undefined[] = {1, (double)NAN, 3};
  const double *const bad[] = {constant, infinite, undefined};
  for (size_t i = 0; i < 3; i++) {
    cdl_scores scores;
    expect_ok(cdl_scores_of_regression(x, bad[i], 3, &scores));
    for (int m = 0; m < CDL_METRIC_COUNT; m++)
      if (i > 0 || m == CDL_METRIC_PEARSON || m == CDL_METRIC_SPEARMAN)
        ck_assert_double_nan(scores.value[m]);
  }
  ck_assert_double_nan(cdl_pearson(one, one, 1));
  ck_assert_double_nan(cdl_pearson(one, one, 0));
}
END_TEST

START_TEST(nan_never_wins)
{
  const double nan_value = (double)NAN;
  ck_assert(!cdl_metric_better(nan_value, 0.5));
  ck_assert(!cdl_metric_better(nan_value, nan_value));
  ck_assert(cdl_metric_better(-1.0, nan_value));
  ck_assert(cdl_metric_better(0.6, 0.5));
  ck_assert(!cdl_metric_better(0.5, 0.5));
  ck_assert(!cdl_metric_better(0.4, 0.5));
}
END_TEST

START_TEST(metrics_have_names)
{
  ck_assert_str_eq(cdl_metric_name(CDL_METRIC_ACCURACY), "accuracy");
  ck_assert_str_eq(cdl_metric_name(CDL_METRIC_SPEARMAN), "spearman");
}
END_TEST

START_TEST(minimized_metrics_fall)
{
  const double nan_value = (double)NAN;
  ck_assert(cdl_metric_improves(CDL_METRIC_LOSS, 0.4, 0.5));
  ck_assert(!cdl_metric_improves(CDL_METRIC_LOSS, 0.5, 0.5));
  ck_assert(!cdl_metric_improves(CDL_METRIC_RMSE, nan_value, 0.5));
  ck_assert(cdl_metric_improves(CDL_METRIC_MAE, 0.5, nan_value));
  ck_assert(cdl_metric_improves(CDL_METRIC_R2, 0.6, 0.5));
  ck_assert(cdl_metric_improves(CDL_METRIC_HAMMING_LOSS, 0, 0.1));
}
END_TEST

START_TEST(metrics_are_found_by_name)
{
  cdl_metric metric;
  for (int m = 0; m < CDL_METRIC_COUNT; m++) {
    expect_ok(cdl_metric_find(cdl_metric_name((cdl_metric)m), &metric));
    ck_assert_int_eq(metric, m);
  }
  expect_ok(cdl_metric_find("macro-f1", &metric));
  ck_assert_int_eq(metric, CDL_METRIC_MACRO_F1);
  expect_failure(cdl_metric_find("macro_f", &metric), CDL_STATUS_USAGE, "macro_f1, mcc");
  expect_failure(cdl_metric_find("", &metric), CDL_STATUS_USAGE, "accuracy");
  ck_assert(cdl_metric_applies(CDL_METRIC_F1, CDL_PROBLEM_SINGLE_LABEL, 2));
  ck_assert(!cdl_metric_applies(CDL_METRIC_F1, CDL_PROBLEM_SINGLE_LABEL, 3));
  ck_assert(!cdl_metric_applies(CDL_METRIC_F1, CDL_PROBLEM_MULTI_LABEL, 2));
  ck_assert(!cdl_metric_applies(CDL_METRIC_PEARSON, CDL_PROBLEM_MULTI_LABEL, 2));
  ck_assert(cdl_metric_applies(CDL_METRIC_LOSS, CDL_PROBLEM_REGRESSION, 1));
}
END_TEST

START_TEST(several_labels_by_hand)
{
  /* Three labels; the last one never occurs. 4 examples, of which the first and the last are
   * exact. */
  static const bool truth[][3] = {{1, 0, 0}, {1, 1, 0}, {0, 1, 0}, {0, 0, 0}},
                    predicted[][3] = {{1, 0, 0}, {1, 0, 0}, {1, 1, 0}, {0, 0, 0}};
  cdl_class_counts label[3] = {{0}};
  cdl_label_counts counts = {.label = label, .labels = 3};
  ck_assert_double_nan(cdl_scores_of_labels(&counts).value[CDL_METRIC_ACCURACY]);
  for (size_t i = 0; i < 4; i++)
    cdl_label_counts_add(&counts, truth[i], predicted[i]);
  const cdl_scores scores = cdl_scores_of_labels(&counts);
  expect_near(scores.value[CDL_METRIC_ACCURACY], 0.5);
  expect_near(scores.value[CDL_METRIC_HAMMING_LOSS], 2.0 / 12);
  expect_near(scores.value[CDL_METRIC_MICRO_F1], 6.0 / 8);
  expect_near(scores.value[CDL_METRIC_MACRO_F1], (4.0 / 5 + 2.0 / 3 + 0) / 3);
  ck_assert_double_nan(scores.value[CDL_METRIC_MCC]);
}
END_TEST

START_TEST(thresholds_give_the_highest_f1)
{
  static const double probability[] = {0.1, 0.3, 0.2, 0.05, 0.4};
  static const bool truth[] = {0, 1, 1, 0, 1}, none[5] = {0}, all[] = {1, 1, 1, 1, 1};
  double threshold;
  expect_ok(cdl_best_threshold(truth, probability, 5, &threshold));
  expect_near(threshold, 0.15);
  expect_ok(cdl_best_threshold(none, probability, 5, &threshold));
  expect_near(threshold, 0.5);
  expect_ok(cdl_best_threshold(all, probability, 5, &threshold));
  expect_near(threshold, 0.025);
  /* Two thresholds give 2/3, by {0.9} and by {0.9, 0.6, 0.45}; 0.75 is as near to 0.5 as 0.3 is
   * not. */
  static const double ties[] = {0.9, 0.6, 0.45, 0.15};
  static const bool of_ties[] = {1, 0, 1, 0};
  expect_ok(cdl_best_threshold(of_ties, ties, 4, &threshold));
  expect_near(threshold, 0.3);
  expect_ok(cdl_best_threshold(NULL, NULL, 0, &threshold));
  expect_near(threshold, 0.5);
  const double undefined[] = {0.5, (double)NAN};
  expect_failure(cdl_best_threshold(truth, undefined, 2, &threshold), CDL_STATUS_ARGUMENT,
                 "probability 1");
}
END_TEST

START_TEST(errors_of_a_regression_by_hand)
{
  static const double truth[] = {1, 2, 3, 6}, predicted[] = {2, 2, 1, 6}, constant[] = {2, 2};
  cdl_scores scores;
  expect_ok(cdl_scores_of_regression(truth, predicted, 4, &scores));
  expect_near(scores.value[CDL_METRIC_MAE], 0.75);
  expect_near(scores.value[CDL_METRIC_RMSE], sqrt(5.0 / 4));
  expect_near(scores.value[CDL_METRIC_R2], 1 - 5.0 / 14);
  expect_ok(cdl_scores_of_regression(constant, truth, 2, &scores));
  expect_near(scores.value[CDL_METRIC_R2], 0);
  ck_assert_double_nan(scores.value[CDL_METRIC_PEARSON]);
  expect_ok(cdl_scores_of_regression(constant, constant, 2, &scores));
  expect_near(scores.value[CDL_METRIC_R2], 1);
  expect_ok(cdl_scores_of_regression(truth, predicted, 1, &scores));
  ck_assert_double_nan(scores.value[CDL_METRIC_R2]);
  expect_near(scores.value[CDL_METRIC_MAE], 1);
  /* two outputs of two examples: (1, 3 | 2, 1) and (2, 6 | 2, 6) */
  expect_ok(cdl_scores_of_outputs(truth, predicted, 2, 2, &scores));
  expect_near(scores.value[CDL_METRIC_MAE], (1.5 + 0) / 2);
  expect_near(scores.value[CDL_METRIC_RMSE], sqrt(2.5) / 2);
  expect_near(scores.value[CDL_METRIC_R2], ((1 - 5.0 / 2) + 1) / 2);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {two_classes_by_hand,
                                three_classes_by_hand,
                                constant_predictions_are_worth_nothing,
                                huge_counts_do_not_overflow,
                                classes_that_are_not_there_are_refused,
                                correlations_by_hand,
                                correlations_have_no_scale,
                                undefined_correlations_are_nan,
                                nan_never_wins,
                                metrics_have_names,
                                minimized_metrics_fall,
                                metrics_are_found_by_name,
                                several_labels_by_hand,
                                thresholds_give_the_highest_f1,
                                errors_of_a_regression_by_hand,
                                NULL};
  return scratch_run("metrics", tests);
}
