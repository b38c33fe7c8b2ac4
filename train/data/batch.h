/* The order of examples, and batches of them end to end, without padding. */
#ifndef CONDLORA_TRAIN_DATA_BATCH_H
#define CONDLORA_TRAIN_DATA_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "condlora/dataset.h"
#include "condlora/status.h"
#include "model/encoder/encoder.h"

/* The most that any batch holds. Buffers have this size. */
typedef struct {
  size_t examples, tokens, longest;
} data_batch_bound;

/* Puts rows [count] into the order of an epoch: Fisher and Yates's shuffle, keyed by the seed of
 * the data order and the 0-based epoch. The result depends on the earlier order of `rows`. */
void data_epoch_shuffle(uint32_t *rows, size_t count, uint64_t data_seed, uint32_t epoch);

/* Gives the bound of batches of `size` of these rows in any order: the tokens of the `size` longest
 * ones. Errors: MEMORY; DATA if tokens do not fit the 32-bit offsets of a batch. */
CDL_MUST_USE cdl_status data_batch_bound_of(const cdl_tokens *tokens, const uint32_t *rows,
                                            size_t count, size_t size, data_batch_bound *bound);

/* Batches for evaluation: rows by ascending length (equal lengths in their given order). A batch
 * holds at most `token_budget` tokens and `example_limit` examples, or a single longer example. */
typedef struct {
  uint32_t *rows; /* [count] */
  size_t *first;  /* [batches + 1]: batch b has rows[first[b]] … rows[first[b + 1] - 1] */
  size_t count, batches;
  data_batch_bound bound;
} data_batch_plan;
/* Errors: MEMORY, DATA as above; ARGUMENT for a limit of 0. */
CDL_MUST_USE cdl_status data_batch_plan_make(const cdl_tokens *tokens, const uint32_t *rows,
                                             size_t count, size_t token_budget,
                                             size_t example_limit, data_batch_plan *plan);
void data_batch_plan_release(data_batch_plan *plan);

/* A batch on the host. The caller owns the arrays, whose sizes a bound gives. NULL arrays are left
 * out. */
typedef struct {
  int32_t *ids;       /* [tokens] */
  int32_t *positions; /* [tokens] */
  int32_t *type_ids;  /* [tokens] */
  int32_t *offsets;   /* [examples + 1], from 0 */
  uint32_t *index;    /* [examples] the index of each example in its data set */
  int32_t *labels;    /* [examples] class ids, -1 without one */
  float *targets;     /* [examples] for a regression, NaN without one */
  data_batch_bound capacity;

  size_t examples, tokens, longest; /* set by data_batch_fill */
} data_batch;

/* Fills a batch with the examples of `rows`, in order. Positions count from `first_position`, as in
 * model_count_positions. Allocates nothing. Errors: ARGUMENT if the batch is too small or a row
 * does not exist. */
CDL_MUST_USE cdl_status data_batch_fill(data_batch *batch, const cdl_dataset *dataset,
                                        const uint32_t *rows, size_t count, int32_t first_position);

/* Allocates host arrays of the size `bound`. Returns false if memory is out. */
bool data_batch_allocate(data_batch *batch, data_batch_bound bound);
void data_batch_free(data_batch *batch);
/* The encoder's view of a filled batch. */
encoder_token_batch data_batch_view(const data_batch *batch);

#endif
