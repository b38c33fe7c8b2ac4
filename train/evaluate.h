/* Logits of many examples, and what they score. */
#ifndef CONDLORA_TRAIN_EVALUATE_H
#define CONDLORA_TRAIN_EVALUATE_H

#include "condlora/dataset.h"
#include "condlora/metrics.h"
#include "model/adapter/adapter.h"
#include "train/data/batch.h"

/* Examples of one data set in batches by length, with host memory for the largest. */
typedef struct {
  const cdl_dataset *dataset;
  encoder_batch_order plan;
  encoder_host_batch batch;
  int labels;
  int32_t first_position;
  bool types_zero; /* every token is of type 0 */
  float *staging;  /* logits of a batch */
} train_evaluation;

/* Plans `rows` [count] of a tokenized data set. Ends with train_evaluation_release. */
CDL_MUST_USE cdl_status train_evaluation_create(train_evaluation *evaluation,
                                                const cdl_dataset *dataset, const uint32_t *rows,
                                                size_t count, int labels, int32_t first_position);
void train_evaluation_release(train_evaluation *evaluation);
/* The plan's largest batch, for encoder_plan; and the largest of any evaluation whose examples
 * have at most `longest` tokens. */
encoder_batch_limits train_evaluation_most(size_t longest);
encoder_batch_limits train_evaluation_limits(const train_evaluation *evaluation);

/* Runs all batches with the adapter merged; the example of data set index i gets logits[i · labels
 * …], `logits` of the whole data set's length. `stop`, when not NULL and set, ends it early with
 * CANCELLED. */
CDL_MUST_USE cdl_status train_evaluation_run(train_evaluation *evaluation, model_encoder *encoder,
                                             cdl_queue *queue, float *logits,
                                             const volatile int *stop);
/* The same for one evaluation of many: the caller has merged the adapter. */
CDL_MUST_USE cdl_status train_evaluation_pass(train_evaluation *evaluation, model_encoder *encoder,
                                              cdl_queue *queue, float *logits,
                                              const volatile int *stop);
/* Runs all batches for what each block gives for the examples' first tokens: `states` [layers, the
 * data set's count, hidden]. */
CDL_MUST_USE cdl_status train_evaluation_states(train_evaluation *evaluation,
                                                model_encoder *encoder, cdl_queue *queue,
                                                float *states, const volatile int *stop);

/* Class with the largest logit, the first among equals. */
int32_t train_argmax(const float *logits, int labels);
/* softmax of `logits` in double. */
void train_probabilities(const float *logits, int labels, double *probabilities);

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

#endif
