/* Batches for measuring a training step: from a data set, or made with lengths like those of
 * one. */
#ifndef CONDLORA_BENCH_BATCHES_H
#define CONDLORA_BENCH_BATCHES_H

#include "bench/shapes.h"
#include "model/files/config.h"
#include "train/data/batch.h"

typedef struct {
  data_batch *item;
  size_t count;
  encoder_batch_bound bound; /* bounds all batches */
  double tokens, examples;   /* totals of all batches */
} bench_batches;

/* Makes `count` batches of `examples` each. `lengths` is "mrpc" or "rte", for lengths drawn from
 * the distribution of tokens in a training example of that task (WordPiece, pairs with special
 * tokens), or a number of tokens for every example. Examples longer than the model's limit are cut.
 * Release with bench_batches_release. Errors: USAGE for other lengths. */
CDL_MUST_USE cdl_status bench_batches_make(const model_config *config, const char *lengths,
                                           size_t count, size_t examples, bench_batches *batches);
/* Makes batches whose examples have the lengths of a trace; examples longer than the model's limit
 * are cut. */
CDL_MUST_USE cdl_status bench_batches_like(const model_config *config,
                                           const bench_attention_shape *shapes, size_t count,
                                           bench_batches *batches);
/* Reads the first batches of the first epoch of a task's training data, as `condlora train` with
 * seed 42 makes them. */
CDL_MUST_USE cdl_status bench_batches_read(const model_config *config, const char *model,
                                           const char *task, const char *data, size_t count,
                                           size_t examples, bench_batches *batches);
void bench_batches_release(bench_batches *batches);

#endif
