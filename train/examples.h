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

#endif
