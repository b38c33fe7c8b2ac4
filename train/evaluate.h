/* Computes scores from the logits of many examples. */
#ifndef CONDLORA_TRAIN_EVALUATE_H
#define CONDLORA_TRAIN_EVALUATE_H

#include "condlora/dataset.h"
#include "condlora/metrics.h"
#include "model/inference/evaluation.h"

/* Counts of classes, for their scores and confusion matrix. All members are NULL for a
 * regression. */
typedef struct {
  cdl_class_counts *counts; /* [labels] */
  uint64_t *cells;          /* [examples] truth · labels + prediction */
} train_class_details;
void train_class_details_release(train_class_details *details);

/* Scores of the logits [count of the data set, labels] of `rows`. `loss` is the mean loss without
 * class weights or smoothing. If `details` is not NULL it is filled; release it with
 * train_class_details_release. */
typedef struct {
  cdl_scores scores;
  double loss;
  size_t examples;
} train_result;
CDL_MUST_USE cdl_status train_score(const cdl_dataset *dataset, const uint32_t *rows, size_t count,
                                    const float *logits, int labels, train_class_details *details,
                                    train_result *result);

/* Returns whether a metric applies to a model: correlations to a regression, the others to classes,
 * F1 to two classes. */
bool train_has_metric(const inference_model *model, cdl_metric metric);

#endif
