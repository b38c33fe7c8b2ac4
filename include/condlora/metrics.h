/* Metrics of classification and regression, as scikit-learn and SciPy define them, in double. */
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

/* One value a metric, by cdl_metric; NaN where the metric is undefined or is not one of this kind
 * of task. */
typedef struct {
  double value[CDL_METRIC_COUNT];
} cdl_scores;

/* Figures of one class; 0 where a denominator is 0. */
typedef struct {
  double precision, recall, f1;
  uint64_t support; /* examples whose true class it is */
} cdl_class_score;

/* "accuracy", "macro_f1", …; static. */
CDL_API const char *cdl_metric_name(cdl_metric metric);
/* Whether `candidate` beats `best`: strictly greater, or a number where `best` is NaN. NaN never
 * wins. */
CDL_API bool cdl_metric_better(double candidate, double best);

/* How many examples a class is the truth of, is predicted for, and both. All scores follow from these:
 * a matrix of every pair of classes would take their number squared. */
typedef struct {
  uint64_t truth, predicted, correct;
} cdl_class_counts;

/* Adds `count` examples to `counts` [classes]; start from zeros. Errors: ARGUMENT for a class outside
 * 0 … classes - 1, which adds nothing. */
CDL_API CDL_MUST_USE cdl_status cdl_class_counts_add(cdl_class_counts *counts, size_t classes,
                                                     const int32_t *truth, const int32_t *predicted,
                                                     size_t count);

/* Scores of what was counted [classes]: accuracy; F1 of class 1 where there are two classes (GLUE's
 * F1), else NaN; macro-F1, the mean over classes that occur in truth or prediction; Matthews'
 * correlation (Gorodkin 2004 for more than two classes), 0 where truth or prediction is constant.
 * Without examples all are NaN. */
CDL_API cdl_scores cdl_scores_of_classes(const cdl_class_counts *counts, size_t classes);

/* Precision, recall, F1 and support of each class. */
CDL_API void cdl_class_scores(const cdl_class_counts *counts, size_t classes,
                              cdl_class_score *scores);

/* Scores of a regression: Pearson and Spearman, NaN where either side is constant, holds a value
 * that is not finite, or has fewer than two examples. Errors: MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_scores_of_regression(const double *truth,
                                                         const double *predicted, size_t count,
                                                         cdl_scores *scores);

/* Pearson's r of x and y [count]. */
CDL_API double cdl_pearson(const double *x, const double *y, size_t count);
/* Spearman's rho: Pearson's r of the ranks, ties ranked by their average. Errors: MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_spearman(const double *x, const double *y, size_t count,
                                             double *rho);

#ifdef __cplusplus
}
#endif
#endif
