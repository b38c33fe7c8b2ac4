#include "train/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  const inference_model *model;
  const cdl_dataset *dataset;
  const uint32_t *rows;
  size_t count;
  const float *logits;
} measured;

static const float *row_of(const measured *m, size_t i)
{
  return m->logits + (size_t)m->rows[i] * (size_t)m->model->labels;
}

static cdl_status no_memory(const measured *m)
{
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the scores of %zu examples", m->count);
}

void train_class_details_release(train_class_details *details)
{
  free(details->counts);
  free(details->cells);
  free(details->outputs);
  *details = (train_class_details){0};
}

/* ---- Numbers ---- */

/* Scores each output by itself; `both` [2, count] is scratch. */
static cdl_status score_outputs(const measured *m, const double *truth, const double *predicted,
                                double *both, cdl_scores *scores)
{
  const size_t outputs = (size_t)m->model->labels;
  for (size_t k = 0; k < outputs; k++) {
    for (size_t i = 0; i < m->count; i++) {
      both[i] = truth[i * outputs + k];
      both[m->count + i] = predicted[i * outputs + k];
    }
    CDL_TRY(cdl_scores_of_regression(both, both + m->count, m->count, &scores[k]));
  }
  return CDL_STATUS_OK;
}

static cdl_status score_regression(const measured *m, train_class_details *details,
                                   train_result *result)
{
  const size_t outputs = (size_t)m->model->labels, numbers = m->count * outputs;
  double *memory = malloc((2 * numbers + 2 * m->count + 1) * sizeof *memory);
  if (memory == NULL)
    return no_memory(m);
  double *truth = memory, *predicted = truth + numbers, *both = predicted + numbers;
  for (size_t i = 0; i < m->count; i++) {
    cdl_dataset_targets(m->dataset, m->rows[i], truth + i * outputs);
    for (size_t k = 0; k < outputs; k++)
      predicted[i * outputs + k] = (double)row_of(m, i)[k];
  }
  for (size_t i = 0; i < numbers; i++)
    result->loss += (truth[i] - predicted[i]) * (truth[i] - predicted[i]);
  result->loss /= (double)outputs;
  cdl_status status = cdl_scores_of_outputs(truth, predicted, m->count, outputs, &result->scores);
  if (status == CDL_STATUS_OK && outputs > 1) {
    details->outputs = calloc(outputs, sizeof *details->outputs);
    status = details->outputs != NULL ? score_outputs(m, truth, predicted, both, details->outputs)
                                      : no_memory(m);
  }
  free(memory);
  return status;
}

/* ---- Classes ---- */

static cdl_status score_classes(const measured *m, train_class_details *details,
                                train_result *result)
{
  const int labels = m->model->labels;
  const size_t classes = (size_t)labels;
  *details = (train_class_details){.counts = calloc(classes, sizeof *details->counts),
                                   .cells = calloc(m->count + 1, sizeof *details->cells)};
  if (details->counts == NULL || details->cells == NULL)
    return no_memory(m);
  for (size_t i = 0; i < m->count; i++) {
    const float *y = row_of(m, i);
    const int32_t truth = cdl_dataset_get(m->dataset, m->rows[i]).label,
                  predicted = inference_argmax(y, labels);
    CDL_TRY(cdl_class_counts_add(details->counts, classes, &truth, &predicted, 1));
    details->cells[i] = (uint64_t)truth * classes + (uint64_t)predicted;
    result->loss += inference_log_sum_exp(y, labels) - (double)y[truth];
  }
  result->scores = cdl_scores_of_classes(details->counts, classes);
  return CDL_STATUS_OK;
}

/* ---- Several labels ---- */

/* -log of the probability that a label's logit gives to the truth. */
static double label_loss(double logit, double truth)
{
  return fmax(logit, 0) - truth * logit + log1p(exp(-fabs(logit)));
}

static cdl_status score_labels(const measured *m, train_class_details *details,
                               train_result *result)
{
  const size_t labels = (size_t)m->model->labels;
  cdl_label_counts counts = {.labels = labels};
  double *targets = calloc(labels, sizeof *targets);
  bool *both = calloc(2 * labels, sizeof *both), *truth = both, *predicted = both + labels;
  counts.label = details->counts = calloc(labels, sizeof *details->counts);
  const bool allocated = targets != NULL && both != NULL && details->counts != NULL;
  for (size_t i = 0; allocated && i < m->count; i++) {
    const float *y = row_of(m, i);
    double loss = 0;
    cdl_dataset_targets(m->dataset, m->rows[i], targets);
    inference_decide(m->model, y, predicted);
    for (size_t k = 0; k < labels; k++) {
      truth[k] = targets[k] > 0;
      loss += label_loss((double)y[k], targets[k]);
    }
    result->loss += loss / (double)labels;
    cdl_label_counts_add(&counts, truth, predicted);
  }
  if (allocated)
    result->scores = cdl_scores_of_labels(&counts);
  free(targets);
  free(both);
  return allocated ? CDL_STATUS_OK : no_memory(m);
}

/* Which examples have which label: `truth` [labels, count]. `targets` is scratch [labels]. */
static void find_truth(const measured *m, double *targets, bool *truth)
{
  const size_t labels = (size_t)m->model->labels;
  for (size_t i = 0; i < m->count; i++) {
    cdl_dataset_targets(m->dataset, m->rows[i], targets);
    for (size_t k = 0; k < labels; k++)
      truth[k * m->count + i] = targets[k] > 0;
  }
}

cdl_status train_choose_thresholds(const inference_model *model, const cdl_dataset *dataset,
                                   const uint32_t *rows, size_t count, const float *logits,
                                   double *thresholds)
{
  const measured m = {model, dataset, rows, count, logits};
  const size_t labels = (size_t)model->labels;
  double *targets = calloc(labels + count + 1, sizeof *targets), *probability = targets + labels;
  bool *truth = calloc(count * labels + 1, sizeof *truth);
  cdl_status status = targets != NULL && truth != NULL ? CDL_STATUS_OK : no_memory(&m);
  if (status == CDL_STATUS_OK)
    find_truth(&m, targets, truth);
  for (size_t k = 0; k < labels && status == CDL_STATUS_OK; k++) {
    for (size_t i = 0; i < count; i++)
      probability[i] = inference_sigmoid(row_of(&m, i)[k]);
    status = cdl_best_threshold(truth + k * count, probability, count, &thresholds[k]);
  }
  free(targets);
  free(truth);
  return status;
}

/* ---- All ---- */

cdl_status train_score(const inference_model *model, const cdl_dataset *dataset,
                       const uint32_t *rows, size_t count, const float *logits,
                       train_class_details *details, train_result *result)
{
  const measured m = {model, dataset, rows, count, logits};
  train_class_details made = {0};
  *result = (train_result){.examples = count};
  const cdl_status status =
      model->problem == CDL_PROBLEM_REGRESSION    ? score_regression(&m, &made, result)
      : model->problem == CDL_PROBLEM_MULTI_LABEL ? score_labels(&m, &made, result)
                                                  : score_classes(&m, &made, result);
  result->loss = count > 0 ? result->loss / (double)count : NAN;
  result->scores.value[CDL_METRIC_LOSS] = result->loss;
  if (status == CDL_STATUS_OK && details != NULL)
    *details = made;
  else
    train_class_details_release(&made);
  return status;
}
