/* Metrics of classification and regression, computed in double as scikit-learn and SciPy define
 * them. */
#ifndef CONDLORA_METRICS_H
#define CONDLORA_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/problem.h"
#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/*      metric      name in files and messages */
#define CDL_METRIC_LIST(X)        \
  X(ACCURACY, "accuracy")         \
  X(F1, "f1")                     \
  X(MACRO_F1, "macro_f1")         \
  X(MCC, "mcc")                   \
  X(PEARSON, "pearson")           \
  X(SPEARMAN, "spearman")         \
  X(MICRO_F1, "micro_f1")         \
  X(HAMMING_LOSS, "hamming_loss") \
  X(MAE, "mae")                   \
  X(RMSE, "rmse")                 \
  X(R2, "r2")                     \
  X(LOSS, "loss")

typedef enum {
#define CDL_METRIC_ENUM(metric, name) CDL_METRIC_##metric,
  CDL_METRIC_LIST(CDL_METRIC_ENUM)
#undef CDL_METRIC_ENUM
      CDL_METRIC_COUNT
} cdl_metric;

/* A capacity that leaves room for metrics of later versions. */
enum { CDL_METRIC_CAPACITY = 16 };

/* One value per cdl_metric. NaN if the metric is undefined, or does not apply to this kind of
 * task. */
typedef struct {
  double value[CDL_METRIC_CAPACITY];
} cdl_scores;

/* Scores of one class. A score is 0 if its denominator is 0. */
typedef struct {
  double precision, recall, f1;
  uint64_t support; /* examples with this true class */
} cdl_class_score;

/* Returns "accuracy", "macro_f1", …; static. */
CDL_API const char *cdl_metric_name(cdl_metric metric);
/* Finds a metric by its name; '-' and '_' are equal. Errors: USAGE; the message lists the names. */
CDL_API CDL_MUST_USE cdl_status cdl_metric_find(const char *name, cdl_metric *metric);
/* Returns whether a metric applies to a problem with this number of outputs: F1 to two classes,
 * micro-F1 and the Hamming loss to several labels, correlations and errors to a regression, the
 * loss to all. */
CDL_API bool cdl_metric_applies(cdl_metric metric, cdl_problem problem, size_t outputs);
/* Returns whether smaller values are better: loss, mae, rmse and hamming_loss. */
CDL_API bool cdl_metric_is_minimized(cdl_metric metric);
/* Returns whether `candidate` beats `best`: it is strictly better, or `best` is NaN and it is a
 * number. NaN never wins. */
CDL_API bool cdl_metric_improves(cdl_metric metric, double candidate, double best);
/* Returns the same for a metric whose greater values are better. */
CDL_API bool cdl_metric_better(double candidate, double best);

/* Counts of one class: examples with this true class, with this predicted class, and with both. All
 * scores follow from these; a full confusion matrix would need memory quadratic in the number of
 * classes. */
typedef struct {
  uint64_t truth, predicted, correct;
} cdl_class_counts;

/* Adds `count` examples to `counts` [classes], which start as zeros. Errors: ARGUMENT for a class
 * outside 0 … classes - 1; nothing is added then. */
CDL_API CDL_MUST_USE cdl_status cdl_class_counts_add(cdl_class_counts *counts, size_t classes,
                                                     const int32_t *truth, const int32_t *predicted,
                                                     size_t count);

/* Returns scores from `counts` [classes]:
 * - accuracy;
 * - F1 of class 1 if there are two classes (GLUE's F1), otherwise NaN;
 * - macro-F1, the mean over classes that occur in truth or prediction;
 * - Matthews' correlation (Gorodkin 2004 for more than two classes), 0 if truth or prediction is
 *   constant.
 * All are NaN without examples. */
CDL_API cdl_scores cdl_scores_of_classes(const cdl_class_counts *counts, size_t classes);

/* Computes precision, recall, F1 and support of each class; `scores` is [classes]. */
CDL_API void cdl_class_scores(const cdl_class_counts *counts, size_t classes,
                              cdl_class_score *scores);

/* Counts for a problem of several labels: of each label its examples, predictions and hits; of the
 * examples their number, and those whose labels are all right. */
typedef struct {
  cdl_class_counts *label; /* [labels]; the caller's, zeros at first */
  size_t labels;
  uint64_t examples, exact;
} cdl_label_counts;

/* Adds one example: truth and prediction of each label, [labels]. */
CDL_API void cdl_label_counts_add(cdl_label_counts *counts, const bool *truth,
                                  const bool *predicted);

/* Returns scores of several labels, as scikit-learn defines them for indicator matrices:
 * - accuracy: the share of examples whose labels are all right (subset accuracy);
 * - macro-F1: the mean of the F1 of all labels, which is 0 for a label that never occurs;
 * - micro-F1: F1 of all pairs of example and label together;
 * - hamming_loss: the share of pairs of example and label that are wrong.
 * All are NaN without examples. */
CDL_API cdl_scores cdl_scores_of_labels(const cdl_label_counts *counts);

/* Returns the threshold for the probabilities [count] of one label that gives the highest F1:
 * `truth` says which examples have the label, and an example gets it if its probability is at least
 * the threshold. Among equal ones the threshold nearest to 0.5 is taken. It lies halfway between
 * two probabilities that occur. 0.5 if no example has the label. `threshold` receives the result.
 * Errors: ARGUMENT for a probability that is not a number; MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_best_threshold(const bool *truth, const double *probability,
                                                   size_t count, double *threshold);

/* Computes scores of a regression with one output from `truth` and `predicted` [count]:
 * - Pearson's and Spearman's correlation, NaN if either side is constant, and for fewer than two
 *   examples;
 * - mean absolute error, root of the mean squared error;
 * - R², the coefficient of determination, NaN for fewer than two examples. Of constant `truth` it
 *   is 1 if all predictions are right, otherwise 0.
 * All are NaN without examples and if a value is not finite. Errors: MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_scores_of_regression(const double *truth,
                                                         const double *predicted, size_t count,
                                                         cdl_scores *scores);
/* Computes scores of a regression with several outputs from `truth` and `predicted`
 * [count, outputs]: each is the mean of its outputs' scores, as scikit-learn's "uniform_average";
 * rmse is the mean of the outputs' roots. Errors: MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_scores_of_outputs(const double *truth, const double *predicted,
                                                      size_t count, size_t outputs,
                                                      cdl_scores *scores);

/* Returns Pearson's r of x and y [count]. */
CDL_API double cdl_pearson(const double *x, const double *y, size_t count);
/* Computes Spearman's rho of x and y [count]: Pearson's r of the ranks, with ties at their average
 * rank. Errors: MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_spearman(const double *x, const double *y, size_t count,
                                             double *rho);

#ifdef __cplusplus
}
#endif
#endif
