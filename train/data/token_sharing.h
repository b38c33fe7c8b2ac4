/* Tokens that the ranks of a host make together and hold once. */
#ifndef CONDLORA_TRAIN_DATA_TOKEN_SHARING_H
#define CONDLORA_TRAIN_DATA_TOKEN_SHARING_H

#include "train/data/token_store.h"

/* How tokens are made. */
typedef struct {
  const cdl_tokenizer *tokenizer;
  const char *folder; /* the tokenizer's */
  size_t max_length;
  unsigned threads; /* of this rank */
} data_token_maker;

/* Tokenizes the data sets [count] as cdl_dataset_tokenize does; NULL ones are left out. Collective:
 * each rank of a host makes the tokens of a part of the examples, and all have the tokens in memory
 * that they share. If two ranks of a host have other files, each rank makes all tokens itself, and
 * the comparison of inputs names the difference. `job` may be NULL.
 *
 * The first meeting is ranks_agree: a rank that fails before it comes to this function meets the
 * others there. Errors: as for cdl_dataset_tokenize, on all ranks; DEVICE. */
CDL_MUST_USE cdl_status data_tokenize_together(ranks_job *job, cdl_dataset *const *datasets,
                                               int count, const data_token_maker *maker);

/* Takes over the tokens of all examples, which max_length cut. */
void dataset_take_tokens(cdl_dataset *dataset, const data_token_store *store, size_t max_length);

#endif
