#include "train/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static cdl_status score_regression(const cdl_dataset *dataset, const uint32_t *rows, size_t count,
                                   const float *logits, train_result *result)
{
  double *both = malloc((2 * count + 1) * sizeof *both);
  if (both == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the scores of %zu examples", count);
  double *truth = both, *predicted = both + count;
  for (size_t i = 0; i < count; i++) {
    truth[i] = cdl_dataset_get(dataset, rows[i]).target;
    predicted[i] = (double)logits[rows[i]];
    result->loss += (truth[i] - predicted[i]) * (truth[i] - predicted[i]);
  }
  const cdl_status status = cdl_scores_of_regression(truth, predicted, count, &result->scores);
  free(both);
  return status;
}

void train_class_details_release(train_class_details *details)
{
  free(details->counts);
  free(details->cells);
  *details = (train_class_details){0};
}

static cdl_status score_classes(const cdl_dataset *dataset, const uint32_t *rows, size_t count,
                                const float *logits, int labels, train_class_details *details,
                                train_result *result)
{
  const size_t classes = (size_t)labels;
  *details = (train_class_details){.counts = calloc(classes, sizeof *details->counts),
                                   .cells = calloc(count + 1, sizeof *details->cells)};
  if (details->counts == NULL || details->cells == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the scores of %zu examples", count);
  for (size_t i = 0; i < count; i++) {
    const float *y = logits + rows[i] * classes;
    const int32_t truth = cdl_dataset_get(dataset, rows[i]).label,
                  predicted = inference_argmax(y, labels);
    CDL_TRY(cdl_class_counts_add(details->counts, classes, &truth, &predicted, 1));
    details->cells[i] = (uint64_t)truth * classes + (uint64_t)predicted;
    result->loss += inference_log_sum_exp(y, labels) - (double)y[truth];
  }
  result->scores = cdl_scores_of_classes(details->counts, classes);
  return CDL_STATUS_OK;
}

cdl_status train_score(const cdl_dataset *dataset, const uint32_t *rows, size_t count,
                       const float *logits, int labels, train_class_details *details,
                       train_result *result)
{
  train_class_details made = {0};
  *result = (train_result){.examples = count};
  const cdl_status status =
      cdl_dataset_is_regression(dataset)
          ? score_regression(dataset, rows, count, logits, result)
          : score_classes(dataset, rows, count, logits, labels, &made, result);
  result->loss = count > 0 ? result->loss / (double)count : NAN;
  if (status == CDL_STATUS_OK && details != NULL)
    *details = made;
  else
    train_class_details_release(&made);
  return status;
}

bool train_has_metric(const inference_model *model, cdl_metric metric)
{
  const bool of_regression = metric == CDL_METRIC_PEARSON || metric == CDL_METRIC_SPEARMAN;
  return of_regression == model->regression && (metric != CDL_METRIC_F1 || model->labels == 2);
}
