#include "condlora/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *cdl_metric_name(cdl_metric metric)
{
  static const char *const names[] = {
#define NAME(metric, name) name,
      CDL_METRIC_LIST(NAME)
#undef NAME
  };
  const size_t index = (size_t)metric;
  return index < sizeof names / sizeof names[0] ? names[index] : "?";
}

static bool is_same_name(const char *a, const char *b)
{
  for (; *a != '\0' && (*a == *b || (*a == '-' && *b == '_')); a++)
    b++;
  return *a == *b;
}

cdl_status cdl_metric_find(const char *name, cdl_metric *metric)
{
  char list[256] = "";
  for (int m = 0; m < CDL_METRIC_COUNT; m++) {
    if (is_same_name(name, cdl_metric_name((cdl_metric)m))) {
      *metric = (cdl_metric)m;
      return CDL_STATUS_OK;
    }
    const size_t used = strlen(list);
    snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "",
             cdl_metric_name((cdl_metric)m));
  }
  return cdl_fail(CDL_STATUS_USAGE, "no metric '%s'; expected one of %s", name, list);
}

bool cdl_metric_applies(cdl_metric metric, cdl_problem problem, size_t outputs)
{
  switch (metric) {
  case CDL_METRIC_ACCURACY:
  case CDL_METRIC_MACRO_F1:
    return problem != CDL_PROBLEM_REGRESSION;
  case CDL_METRIC_F1:
    return problem == CDL_PROBLEM_SINGLE_LABEL && outputs == 2;
  case CDL_METRIC_MCC:
    return problem == CDL_PROBLEM_SINGLE_LABEL;
  case CDL_METRIC_MICRO_F1:
  case CDL_METRIC_HAMMING_LOSS:
    return problem == CDL_PROBLEM_MULTI_LABEL;
  case CDL_METRIC_PEARSON:
  case CDL_METRIC_SPEARMAN:
  case CDL_METRIC_MAE:
  case CDL_METRIC_RMSE:
  case CDL_METRIC_R2:
    return problem == CDL_PROBLEM_REGRESSION;
  case CDL_METRIC_LOSS:
    return true;
  case CDL_METRIC_COUNT:
    break;
  }
  return false;
}

bool cdl_metric_is_minimized(cdl_metric metric)
{
  return metric == CDL_METRIC_LOSS || metric == CDL_METRIC_MAE || metric == CDL_METRIC_RMSE ||
         metric == CDL_METRIC_HAMMING_LOSS;
}

bool cdl_metric_improves(cdl_metric metric, double candidate, double best)
{
  return cdl_metric_is_minimized(metric) ? cdl_metric_better(-candidate, -best)
                                         : cdl_metric_better(candidate, best);
}

bool cdl_metric_better(double candidate, double best)
{
  return !isnan(candidate) && (isnan(best) || candidate > best);
}

static cdl_scores no_scores(void)
{
  cdl_scores scores;
  for (size_t i = 0; i < CDL_METRIC_CAPACITY; i++)
    scores.value[i] = (double)NAN;
  return scores;
}

/* Classification */

cdl_status cdl_class_counts_add(cdl_class_counts *counts, size_t classes, const int32_t *truth,
                                const int32_t *predicted, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (truth[i] < 0 || (size_t)truth[i] >= classes || predicted[i] < 0 ||
        (size_t)predicted[i] >= classes)
      return cdl_fail(CDL_STATUS_ARGUMENT,
                      "scores: example %zu has class %d, predicted %d; there are %zu", i, truth[i],
                      predicted[i], classes);
  for (size_t i = 0; i < count; i++) {
    counts[truth[i]].truth++;
    counts[predicted[i]].predicted++;
    counts[truth[i]].correct += truth[i] == predicted[i];
  }
  return CDL_STATUS_OK;
}

static double ratio(double part, double whole)
{
  return whole > 0 ? part / whole : 0.0;
}

static double f1(cdl_class_counts counts)
{
  return ratio(2.0 * (double)counts.correct, (double)counts.truth + (double)counts.predicted);
}

void cdl_class_scores(const cdl_class_counts *all, size_t classes, cdl_class_score *scores)
{
  for (size_t c = 0; c < classes; c++) {
    const cdl_class_counts counts = all[c];
    scores[c] = (cdl_class_score){
        .precision = ratio((double)counts.correct, (double)counts.predicted),
        .recall = ratio((double)counts.correct, (double)counts.truth),
        .f1 = f1(counts),
        .support = counts.truth,
    };
  }
}

cdl_scores cdl_scores_of_classes(const cdl_class_counts *all, size_t classes)
{
  cdl_scores scores = no_scores();
  double total = 0, correct = 0, f1_sum = 0, occurring = 0;
  for (size_t c = 0; c < classes; c++) {
    const cdl_class_counts counts = all[c];
    total += (double)counts.truth;
    correct += (double)counts.correct;
    f1_sum += f1(counts);
    occurring += counts.truth + counts.predicted > 0;
  }
  if (!(total > 0))
    return scores;

  /* Gorodkin (2004), eq. 8: covariances of the indicator matrices of truth and prediction.
   * Fractions instead of counts keep every product below 1. */
  double covariance = correct / total, variance_truth = 1.0, variance_predicted = 1.0;
  bool constant = false;
  for (size_t c = 0; c < classes; c++) {
    const cdl_class_counts counts = all[c];
    const double share_truth = (double)counts.truth / total,
                 share_predicted = (double)counts.predicted / total;
    covariance -= share_truth * share_predicted;
    variance_truth -= share_truth * share_truth;
    variance_predicted -= share_predicted * share_predicted;
    constant = constant || (double)counts.truth >= total || (double)counts.predicted >= total;
  }

  scores.value[CDL_METRIC_ACCURACY] = correct / total;
  scores.value[CDL_METRIC_MACRO_F1] = f1_sum / occurring;
  scores.value[CDL_METRIC_MCC] =
      constant ? 0.0 : covariance / (sqrt(variance_truth) * sqrt(variance_predicted));
  if (classes == 2)
    scores.value[CDL_METRIC_F1] = f1(all[1]);
  return scores;
}

/* Regression */

/* Returns the largest magnitude; NaN if a value is not finite. */
static double magnitude(const double *x, size_t count)
{
  double largest = 0;
  for (size_t i = 0; i < count; i++) {
    if (!isfinite(x[i]))
      return (double)NAN;
    largest = fmax(largest, fabs(x[i]));
  }
  return largest;
}

static bool all_equal(const double *x, size_t count)
{
  for (size_t i = 1; i < count; i++)
    if (x[i] != x[0])
      return false;
  return true;
}

typedef struct {
  double scale, mean,
      deviation; /* of x / scale; deviation is the largest one, so that no square underflows */
} spread;

static spread measure(const double *x, size_t count, double scale)
{
  spread s = {.scale = scale};
  for (size_t i = 0; i < count; i++)
    s.mean += x[i] / scale / (double)count;
  for (size_t i = 0; i < count; i++)
    s.deviation = fmax(s.deviation, fabs(x[i] / scale - s.mean));
  return s;
}

static double deviation(const spread *s, double x)
{
  return (x / s->scale - s->mean) / s->deviation;
}

double cdl_pearson(const double *x, const double *y, size_t count)
{
  const double scale_x = magnitude(x, count), scale_y = magnitude(y, count);
  if (count < 2 || isnan(scale_x) || isnan(scale_y) || all_equal(x, count) || all_equal(y, count))
    return (double)NAN;

  const spread sx = measure(x, count, scale_x), sy = measure(y, count, scale_y);
  if (!(sx.deviation > 0) || !(sy.deviation > 0))
    return (double)NAN;
  double xx = 0, yy = 0, xy = 0;
  for (size_t i = 0; i < count; i++) {
    const double dx = deviation(&sx, x[i]), dy = deviation(&sy, y[i]);
    xx += dx * dx;
    yy += dy * dy;
    xy += dx * dy;
  }
  return fmin(1.0, fmax(-1.0, xy / (sqrt(xx) * sqrt(yy))));
}

typedef struct {
  double value;
  size_t position;
} ranked;

static int compare_ranked(const void *a, const void *b)
{
  const double x = ((const ranked *)a)->value, y = ((const ranked *)b)->value;
  return (x > y) - (x < y);
}

/* Ranks from 1, with ties at their average. The values are finite. `order` is scratch [count]. */
static void rank(const double *x, size_t count, ranked *order, double *ranks)
{
  for (size_t i = 0; i < count; i++)
    order[i] = (ranked){.value = x[i], .position = i};
  qsort(order, count, sizeof *order, compare_ranked);

  for (size_t first = 0, end; first < count; first = end) {
    for (end = first + 1; end < count && order[end].value == order[first].value;)
      end++;
    for (size_t i = first; i < end; i++)
      ranks[order[i].position] = ((double)first + (double)end + 1.0) / 2.0;
  }
}

cdl_status cdl_spearman(const double *x, const double *y, size_t count, double *rho)
{
  *rho = (double)NAN;
  if (count < 2 || isnan(magnitude(x, count)) || isnan(magnitude(y, count)))
    return CDL_STATUS_OK;

  ranked *order = calloc(count, sizeof *order);
  double *ranks_x = calloc(count, sizeof *ranks_x), *ranks_y = calloc(count, sizeof *ranks_y);
  const bool allocated = order != NULL && ranks_x != NULL && ranks_y != NULL;
  if (allocated) {
    rank(x, count, order, ranks_x);
    rank(y, count, order, ranks_y);
    *rho = cdl_pearson(ranks_x, ranks_y, count);
  }
  free(order);
  free(ranks_x);
  free(ranks_y);
  return allocated
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_MEMORY, "out of memory for the ranks of %zu examples", count);
}

static void measure_errors(const double *truth, const double *predicted, size_t count,
                           cdl_scores *scores)
{
  double absolute = 0, squares = 0, mean = 0, deviations = 0;
  for (size_t i = 0; i < count; i++) {
    const double error = predicted[i] - truth[i];
    absolute += fabs(error);
    squares += error * error;
    mean += truth[i] / (double)count;
  }
  for (size_t i = 0; i < count; i++)
    deviations += (truth[i] - mean) * (truth[i] - mean);
  scores->value[CDL_METRIC_MAE] = absolute / (double)count;
  scores->value[CDL_METRIC_RMSE] = sqrt(squares / (double)count);
  if (count < 2)
    return;
  const bool constant = all_equal(truth, count) || !(deviations > 0);
  scores->value[CDL_METRIC_R2] = constant ? (squares > 0 ? 0 : 1) : 1 - squares / deviations;
}

cdl_status cdl_scores_of_regression(const double *truth, const double *predicted, size_t count,
                                    cdl_scores *scores)
{
  *scores = no_scores();
  scores->value[CDL_METRIC_PEARSON] = cdl_pearson(truth, predicted, count);
  if (count > 0 && !isnan(magnitude(truth, count)) && !isnan(magnitude(predicted, count)))
    measure_errors(truth, predicted, count, scores);
  return cdl_spearman(truth, predicted, count, &scores->value[CDL_METRIC_SPEARMAN]);
}

cdl_status cdl_scores_of_outputs(const double *truth, const double *predicted, size_t count,
                                 size_t outputs, cdl_scores *scores)
{
  double *column = malloc((2 * count + 1) * sizeof *column);
  *scores = no_scores();
  if (column == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the scores of %zu examples", count);
  cdl_status status = CDL_STATUS_OK;
  for (size_t k = 0; k < outputs && status == CDL_STATUS_OK; k++) {
    cdl_scores one;
    for (size_t i = 0; i < count; i++) {
      column[i] = truth[i * outputs + k];
      column[count + i] = predicted[i * outputs + k];
    }
    status = cdl_scores_of_regression(column, column + count, count, &one);
    for (size_t m = 0; m < CDL_METRIC_CAPACITY; m++)
      scores->value[m] =
          (k == 0 ? 0 : scores->value[m]) + one.value[m] / (double)outputs; /* NaN stays */
  }
  free(column);
  return status;
}

/* Several labels */

void cdl_label_counts_add(cdl_label_counts *counts, const bool *truth, const bool *predicted)
{
  bool exact = true;
  for (size_t c = 0; c < counts->labels; c++) {
    counts->label[c].truth += truth[c];
    counts->label[c].predicted += predicted[c];
    counts->label[c].correct += truth[c] && predicted[c];
    exact = exact && truth[c] == predicted[c];
  }
  counts->examples++;
  counts->exact += exact;
}

cdl_scores cdl_scores_of_labels(const cdl_label_counts *counts)
{
  cdl_scores scores = no_scores();
  cdl_class_counts all = {0};
  double f1_sum = 0;
  if (counts->examples == 0 || counts->labels == 0)
    return scores;
  for (size_t c = 0; c < counts->labels; c++) {
    all.truth += counts->label[c].truth;
    all.predicted += counts->label[c].predicted;
    all.correct += counts->label[c].correct;
    f1_sum += f1(counts->label[c]);
  }
  const double examples = (double)counts->examples, labels = (double)counts->labels;
  scores.value[CDL_METRIC_ACCURACY] = (double)counts->exact / examples;
  scores.value[CDL_METRIC_MACRO_F1] = f1_sum / labels;
  scores.value[CDL_METRIC_MICRO_F1] = f1(all);
  scores.value[CDL_METRIC_HAMMING_LOSS] =
      ((double)(all.truth - all.correct) + (double)(all.predicted - all.correct)) /
      (examples * labels);
  return scores;
}

typedef struct {
  double probability;
  bool truth;
} judged;

static int descending(const void *a, const void *b)
{
  const double x = ((const judged *)a)->probability, y = ((const judged *)b)->probability;
  return (x < y) - (x > y);
}

/* Tries a threshold below each probability that occurs; the sorted examples down to it have the
 * label then. */
static double search_threshold(const judged *sorted, size_t count, double positives)
{
  double best = 0.5, best_f1 = -1, hits = 0;
  for (size_t i = 0; i < count; i++) {
    hits += sorted[i].truth;
    const double here = sorted[i].probability, next = i + 1 < count ? sorted[i + 1].probability : 0;
    if (i + 1 < count && next == here)
      continue;
    const double f = 2 * hits / (positives + (double)(i + 1)),
                 middle = (here + next) / 2 > next ? (here + next) / 2 : here;
    /* 0.5 itself separates them */
    const double threshold = here >= 0.5 && next < 0.5 ? 0.5 : middle;
    if (f > best_f1 || (f == best_f1 && fabs(threshold - 0.5) < fabs(best - 0.5))) {
      best_f1 = f;
      best = threshold;
    }
  }
  return best;
}

cdl_status cdl_best_threshold(const bool *truth, const double *probability, size_t count,
                              double *threshold)
{
  double positives = 0;
  *threshold = 0.5;
  judged *sorted = calloc(count + 1, sizeof *sorted);
  if (sorted == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a threshold for %zu examples", count);
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; i < count && status == CDL_STATUS_OK; i++) {
    if (isnan(probability[i]))
      status = cdl_fail(CDL_STATUS_ARGUMENT, "threshold: probability %zu is not a number", i);
    sorted[i] = (judged){.probability = probability[i], .truth = truth[i]};
    positives += truth[i];
  }
  if (status == CDL_STATUS_OK && positives > 0) {
    qsort(sorted, count, sizeof *sorted, descending);
    *threshold = search_threshold(sorted, count, positives);
  }
  free(sorted);
  return status;
}
