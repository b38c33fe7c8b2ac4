/* Examples of a data set in the form that a model takes. */
#ifndef CONDLORA_TRAIN_EXAMPLES_H
#define CONDLORA_TRAIN_EXAMPLES_H

#include "condlora/dataset.h"
#include "model/inference/state.h"

/* Tokenizes a data set for this model. Errors: DATA, naming the line, for an id or type outside the
 * model's tables. */
CDL_MUST_USE cdl_status train_tokenize(const inference_model *model, cdl_dataset *dataset);
/* The first half of it, for a model whose encoder is not there yet, on data sets [count]; NULL ones
 * are left out. The ranks of a host share the work and the tokens: data_tokenize_together says how
 * they meet. */
CDL_MUST_USE cdl_status train_split_tokens(const inference_model *model,
                                           cdl_dataset *const *datasets, int count);
/* The second half: checks the ids of all examples before anything runs: a tokenizer can have more
 * tokens than the model in its folder. Errors: DATA, as above. */
CDL_MUST_USE cdl_status train_check_ids(const inference_model *model, const cdl_dataset *dataset);
/* Returns 0, 1, …, count - 1; the caller frees it. NULL if memory is out. */
uint32_t *train_all_rows(size_t count);

/* Errors: NUMERIC if one of the logits [model->labels] of the example at `row` is not finite; the
 * message has the data set's `name` and the example's `index`. */
CDL_MUST_USE cdl_status train_check_finite(const inference_model *model, const cdl_dataset *dataset,
                                           const char *name, uint32_t row, uint64_t index,
                                           const float *logits);
/* Plans the encoder and computes logits of the tokenized examples `rows` [count]. The result is
 * [count of the data set, model->labels]; the caller frees it. Errors: MEMORY; NUMERIC, as above;
 * CANCELLED as soon as *stop is not 0. */
CDL_MUST_USE cdl_status train_logits(const inference_model *model, const cdl_dataset *dataset,
                                     const char *name, const uint32_t *rows, size_t count,
                                     const volatile int *stop, float **logits);

#endif
