/* Examples of a data set as a model takes them. */
#ifndef CONDLORA_TRAIN_EXAMPLES_H
#define CONDLORA_TRAIN_EXAMPLES_H

#include "condlora/dataset.h"
#include "model/inference/state.h"

/* Tokenizes a data set as this model wants it. DATA, naming the line, for an id or type outside its
 * tables. */
CDL_MUST_USE cdl_status train_tokenize(const inference_model *model, cdl_dataset *dataset);
/* A tokenizer may know more than the model it lies beside: DATA, as above, found out before
 * anything runs. */
CDL_MUST_USE cdl_status train_check_ids(const inference_model *model, const cdl_dataset *dataset);
/* 0, 1, …, count - 1, to be freed by the caller; NULL when memory is out. */
uint32_t *train_all_rows(size_t count);

/* NUMERIC where one of the logits [model->labels] of the example at `row` is not finite; the
 * message has the data set's `name` and the example's `index`. */
CDL_MUST_USE cdl_status train_check_finite(const inference_model *model, const cdl_dataset *dataset,
                                           const char *name, uint32_t row, uint64_t index,
                                           const float *logits);
/* Plans the encoder, then computes logits of the examples `rows` [count], which are tokenized:
 * [the data set's count, model->labels], to be freed by the caller.
 * Errors: MEMORY; NUMERIC, as above; CANCELLED once *stop is not 0. */
CDL_MUST_USE cdl_status train_logits(const inference_model *model, const cdl_dataset *dataset,
                                     const char *name, const uint32_t *rows, size_t count,
                                     const volatile int *stop, float **logits);

#endif
