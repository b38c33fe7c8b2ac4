/* Batches to measure a training step on: from a data set, or made up with lengths like those of one. */
#ifndef CONDLORA_BENCH_BATCHES_H
#define CONDLORA_BENCH_BATCHES_H

#include "bench/shapes.h"
#include "model/files/config.h"
#include "train/data/batch.h"

typedef struct {
  data_batch *item;
  size_t count;
  encoder_batch_bound bound; /* of the largest in each respect */
  double tokens, examples;   /* of all */
} bench_batches;

/* `count` batches of `examples` each. `lengths`: "mrpc" or "rte", drawn from those tasks' distributions of tokens in a
 * training example (WordPiece, pairs with special tokens), or a number: that many tokens each. Longer ones than the model
 * takes are cut. Errors: USAGE for other lengths. */
CDL_MUST_USE cdl_status bench_batches_make(const model_config *config, const char *lengths,
                                           size_t count, size_t examples, bench_batches *batches);
/* Batches whose examples are as long as those of a trace; longer ones than the model takes are cut. */
CDL_MUST_USE cdl_status bench_batches_like(const model_config *config,
                                           const attention_shape *shapes, size_t count,
                                           bench_batches *batches);
/* The first batches of the first epoch of a task's training data, as `condlora train` with seed 42 makes them. */
CDL_MUST_USE cdl_status bench_batches_read(const model_config *config, const char *model,
                                           const char *task, const char *data, size_t count,
                                           size_t examples, bench_batches *batches);
void bench_batches_release(bench_batches *batches);

#endif
