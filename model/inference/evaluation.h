/* Logits of many examples, in batches by length. */
#ifndef CONDLORA_MODEL_INFERENCE_EVALUATION_H
#define CONDLORA_MODEL_INFERENCE_EVALUATION_H

#include "condlora/dataset.h"
#include "model/encoder/packing.h"
#include "model/inference/state.h"

/* Examples in batches by length, with host memory for the largest. */
typedef struct {
  cdl_tokens tokens; /* borrowed */
  encoder_batch_order plan;
  encoder_host_batch batch;
  int labels;
  int32_t first_position;
  bool types_zero;      /* every token is of type 0 */
  frozen_cache *frozen; /* borrowed; gives the states where passes begin above the embeddings */
  float *staging;       /* logits of a batch */
  ranks_job *job;       /* borrowed; NULL: one rank */
} inference_evaluation;

/* Plans `rows` [count] of the tokens, for this model. Ends with inference_evaluation_release. */
CDL_MUST_USE cdl_status inference_evaluation_create(inference_evaluation *evaluation,
                                                    const inference_model *model,
                                                    const cdl_tokens *tokens, const uint32_t *rows,
                                                    size_t count);
void inference_evaluation_release(inference_evaluation *evaluation);
/* The largest batch of any evaluation whose examples have at most `longest` tokens, for
 * encoder_plan; and of this one. */
encoder_batch_limits inference_evaluation_most(size_t longest);
encoder_batch_limits inference_evaluation_limits(const inference_evaluation *evaluation);

/* Runs all batches with the adapter merged. Row i of the tokens gets logits[i · labels …], `logits`
 * of as many rows as the tokens have. Each rank of a job passes its share of the batches, and all
 * get all logits; a batch has the same examples for any number of ranks. `stop`, when not NULL and
 * set, ends it early with CANCELLED. */
CDL_MUST_USE cdl_status inference_evaluation_run(inference_evaluation *evaluation,
                                                 model_encoder *encoder, cdl_queue *queue,
                                                 float *logits, const volatile int *stop);
/* The same for one evaluation of many: the caller has merged the adapter. */
CDL_MUST_USE cdl_status inference_evaluation_pass(inference_evaluation *evaluation,
                                                  model_encoder *encoder, cdl_queue *queue,
                                                  float *logits, const volatile int *stop);
/* Runs all batches for what each block gives for the examples' first tokens: `states` [layers, the
 * tokens' rows, hidden]. */
CDL_MUST_USE cdl_status inference_evaluation_states(inference_evaluation *evaluation,
                                                    model_encoder *encoder, cdl_queue *queue,
                                                    float *states, const volatile int *stop);

/* Of logits [labels]: the class of the largest, the first among equals; the logarithm of the sum of
 * their exponentials, in double; softmax, in double. */
int32_t inference_argmax(const float *logits, int labels);
double inference_log_sum_exp(const float *logits, int labels);
void inference_probabilities(const float *logits, int labels, double *probabilities);
/* Of one logit: 1 / (1 + e^-logit), in double. */
double inference_sigmoid(float logit);

/* What logits [labels] mean to the model. `scores` [labels]: softmax, the sigmoid of each of
 * several labels, or the numbers of a regression. `chosen` [labels]: which labels the model
 * predicts: the best class, or those of several labels that reach their thresholds; all false in a
 * regression. */
void inference_scores(const inference_model *model, const float *logits, double *scores);
void inference_decide(const inference_model *model, const float *logits, bool *chosen);
/* The probability from which on one of several labels is predicted; 0.5 where none was chosen. */
double inference_threshold(const inference_model *model, int label);

#endif
