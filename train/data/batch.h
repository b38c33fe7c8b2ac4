/* A batch of training examples, and the order of an epoch. */
#ifndef CONDLORA_TRAIN_DATA_BATCH_H
#define CONDLORA_TRAIN_DATA_BATCH_H

#include "condlora/dataset.h"
#include "model/encoder/packing.h"

/* Puts rows [count] into the order of an epoch: Fisher and Yates's shuffle, keyed by the seed of
 * the data order and the 0-based epoch. The result depends on the earlier order of `rows`. */
void data_epoch_shuffle(uint32_t *rows, size_t count, uint64_t data_seed, uint32_t epoch);

/* What goes into the model, and what should come out. Arrays are as long as the input's bound says.
 */
typedef struct {
  encoder_host_batch input;
  int32_t *labels; /* [examples] class ids, -1 without one */
  float *targets;  /* [examples, outputs] unless each example has one class; NaN without one */
  double *numbers; /* [outputs] scratch */
  size_t outputs;
} data_batch;

/* Fills a batch with the examples of `rows`, in order; of its arrays, NULL ones are left out.
 * Errors: as for encoder_host_batch_fill. */
CDL_MUST_USE cdl_status data_batch_fill(data_batch *batch, const cdl_dataset *dataset,
                                        const uint32_t *rows, size_t count, int32_t first_position);

/* Allocates host arrays of a batch as large as `bound`, with `outputs` targets for each example; 0:
 * no targets. False when memory is out. */
bool data_batch_allocate(data_batch *batch, encoder_batch_bound bound, size_t outputs);
void data_batch_free(data_batch *batch);

#endif
