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
/* Returns the tensor that takes the shard's part of a gradient; an absent one stays absent. Not for
 * embeddings. */
cdl_tensor encoder_shard_gradient(const encoder_shard *shard, cdl_tensor gradient);

/* The sequences of one shard as a packing of their own. Its arrays are those that the load
 * staged. */
cdl_packing encoder_shard_packing(const encoder_shard *shard);

/* A table of embeddings as backward passes see it: without shards its gradient. With shards one
 * view of the sums of all shards of the batch, in which a shard's rows begin at
 * `rows_apart` times its number. */
typedef struct {
  cdl_tensor rows;
  int64_t rows_apart;
  const int32_t *place; /* of an id among a shard's rows; NULL: the id itself */
} encoder_table_sums;

encoder_table_sums encoder_table_sums_of(const model_encoder *member,
                                         const encoder_parameter *table);

#endif
