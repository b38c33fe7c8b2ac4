/* Computes scores from the logits of many examples. */
#ifndef CONDLORA_TRAIN_EVALUATE_H
#define CONDLORA_TRAIN_EVALUATE_H

#include "condlora/dataset.h"
#include "condlora/metrics.h"
#include "model/inference/evaluation.h"

/* Figures of each class, label or output. Members that the problem does not have are NULL. */
typedef struct {
  cdl_class_counts *counts; /* [labels] of classes and of several labels */
  uint64_t *cells;          /* [examples] of classes: truth · labels + prediction */
  cdl_scores *outputs;      /* [labels] of a regression with several outputs */
} train_class_details;
void train_class_details_release(train_class_details *details);

/* Scores of the logits [count of the data set, labels] of `rows`. Several labels are predicted with
 * the model's thresholds. `loss` is the mean loss without class weights or smoothing; of several
 * labels and outputs it is the mean over them. If `details` is not NULL it is filled; release it
 * with train_class_details_release. */
typedef struct {
  cdl_scores scores; /* scores.value[CDL_METRIC_LOSS] is `loss` */
  double loss;
  size_t examples;
} train_result;
CDL_MUST_USE cdl_status train_score(const inference_model *model, const cdl_dataset *dataset,
                                    const uint32_t *rows, size_t count, const float *logits,
                                    train_class_details *details, train_result *result);

/* Chooses `thresholds` [labels] for several labels: those with the highest F1 of each label on
 * these examples (cdl_best_threshold). Errors: MEMORY. */
CDL_MUST_USE cdl_status train_choose_thresholds(const inference_model *model,
                                                const cdl_dataset *dataset, const uint32_t *rows,
                                                size_t count, const float *logits,
                                                double *thresholds);

#endif
