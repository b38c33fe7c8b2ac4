/* Where a backward pass adds its sums over rows: for each shard of a batch, the shard's rows and
 * its gradients. A batch without shards is one part, whose gradients are the tensors themselves.
 * Private to the encoder. */
#ifndef CONDLORA_MODEL_ENCODER_SHARDS_H
#define CONDLORA_MODEL_ENCODER_SHARDS_H

#include "model/encoder/state.h"

typedef struct {
  const model_encoder *member;
  int number;           /* of the batch's shards */
  int64_t first, count; /* rows */
} encoder_shard;

/* Gives the next shard that has rows, the first one if `shard` is zero but for its member. Returns
 * false after the last. */
bool encoder_next_shard(encoder_shard *shard, encoder_rows rows, int64_t all);

/* Returns the shard's rows of a matrix; an absent one stays absent. */
cdl_tensor encoder_shard_rows(const encoder_shard *shard, cdl_tensor matrix);
/* Returns the shard's elements of a vector with a value for each row. */
cdl_tensor encoder_shard_columns(const encoder_shard *shard, cdl_tensor vector);
/* Returns the tensor that takes the shard's part of a gradient; an absent one stays absent. */
cdl_tensor encoder_shard_gradient(const encoder_shard *shard, cdl_tensor gradient);

#endif
