/* Metrics of classification and regression, computed in double as scikit-learn and SciPy define
 * them. */
#ifndef CONDLORA_METRICS_H
#define CONDLORA_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/*      metric      name in files and messages */
#define CDL_METRIC_LIST(X) \
  X(ACCURACY, "accuracy")  \
  X(F1, "f1")              \
  X(MACRO_F1, "macro_f1")  \
  X(MCC, "mcc")            \
  X(PEARSON, "pearson")    \
  X(SPEARMAN, "spearman")

typedef enum {
#define CDL_METRIC_ENUM(metric, name) CDL_METRIC_##metric,
  CDL_METRIC_LIST(CDL_METRIC_ENUM)
#undef CDL_METRIC_ENUM
      CDL_METRIC_COUNT
} cdl_metric;

/* One value per cdl_metric. NaN if the metric is undefined, or does not apply to this kind of
 * task. */
typedef struct {
  double value[CDL_METRIC_COUNT];
} cdl_scores;

/* Scores of one class. A score is 0 if its denominator is 0. */
typedef struct {
  double precision, recall, f1;
  uint64_t support; /* examples with this true class */
} cdl_class_score;

/* Returns "accuracy", "macro_f1", …; static. */
CDL_API const char *cdl_metric_name(cdl_metric metric);
/* Returns whether `candidate` beats `best`: it is strictly greater, or `best` is NaN and it is a
 * number. NaN never wins. */
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

/* Computes Pearson's and Spearman's correlation of `truth` and `predicted` [count]. They are NaN if
 * either side is constant or has a value that is not finite, and for fewer than two examples.
 * Errors: MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_scores_of_regression(const double *truth,
                                                         const double *predicted, size_t count,
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
