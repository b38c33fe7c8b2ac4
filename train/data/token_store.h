/* Every example's tokens, end to end, made by several threads. */
#ifndef CONDLORA_TRAIN_DATA_TOKEN_STORE_H
#define CONDLORA_TRAIN_DATA_TOKEN_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "condlora/dataset.h"
#include "condlora/status.h"
#include "condlora/tokenizer.h"
#include "ranks/host_memory.h"

typedef struct {
  int32_t *ids;
  uint8_t *type_ids;
  uint64_t *offsets;
  size_t count, longest, truncated;
  ranks_host_memory shared; /* where the arrays lie, unless they are this process's own */
} data_token_store;

/* Encodes the examples [first, first + count) of a data set. Errors: those of the first example
 * that fails, naming its file and line. */
CDL_MUST_USE cdl_status data_token_store_build(data_token_store *store, const cdl_dataset *dataset,
                                               size_t first, size_t count,
                                               const cdl_tokenizer *tokenizer, size_t max_length,
                                               unsigned threads);
void data_token_store_release(data_token_store *store);

#endif
