/* A batch of training examples, and the order of an epoch. */
#ifndef CONDLORA_TRAIN_DATA_BATCH_H
#define CONDLORA_TRAIN_DATA_BATCH_H

#include "condlora/dataset.h"
#include "model/encoder/packing.h"

/* Puts rows [count] into the order of an epoch: Fisher and Yates's shuffle, keyed by the seed of
 * the data order and the 0-based epoch. The result depends on the earlier order of `rows`. */
void data_epoch_shuffle(uint32_t *rows, size_t count, uint64_t data_seed, uint32_t epoch);

/* The model's input, and the expected output. The input's bound gives the sizes of the arrays. */
typedef struct {
  encoder_host_batch input;
  int32_t *labels; /* [examples] class ids, -1 without one */
  float *targets;  /* [examples] for a regression, NaN without one */
} data_batch;

/* Fills a batch with the examples of `rows`, in order. NULL arrays are left out. Errors: as for
 * encoder_host_batch_fill. */
CDL_MUST_USE cdl_status data_batch_fill(data_batch *batch, const cdl_dataset *dataset,
                                        const uint32_t *rows, size_t count, int32_t first_position);

/* Allocates host arrays of the size `bound`. Returns false if memory is out. */
bool data_batch_allocate(data_batch *batch, encoder_batch_bound bound);
void data_batch_free(data_batch *batch);

#endif
