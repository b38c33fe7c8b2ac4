/* What the logits of many examples score. */
#ifndef CONDLORA_TRAIN_EVALUATE_H
#define CONDLORA_TRAIN_EVALUATE_H

#include "condlora/dataset.h"
#include "condlora/metrics.h"
#include "model/inference/evaluation.h"

/* Of classes: what each one's figures and their confusion are made from. All NULL for a regression. */
typedef struct {
  cdl_class_counts *counts; /* [labels] */
  uint64_t *cells;          /* [examples] truth · labels + prediction */
} train_class_details;
void train_class_details_release(train_class_details *details);

/* What logits [data set's count, labels] of `rows` score. `details` are made, where not NULL, and end
 * with train_class_details_release. `loss` is the mean of the plain losses. */
typedef struct {
  cdl_scores scores;
  double loss;
  size_t examples;
} train_result;
CDL_MUST_USE cdl_status train_score(const cdl_dataset *dataset, const uint32_t *rows, size_t count,
                                    const float *logits, int labels, train_class_details *details,
                                    train_result *result);

/* Whether a metric means anything for a model: correlations for a regression, the rest for classes,
 * F1 for two. */
bool train_has_metric(const inference_model *model, cdl_metric metric);

#endif
