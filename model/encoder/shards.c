#include "model/encoder/shards.h"

#include <assert.h>

void encoder_set_shards(model_encoder *e, const encoder_shards *shards)
{
  e->shards = *shards;
}

bool encoder_sums_by_shard(const model_encoder *e)
{
  for (int t = 0; t < EMBEDDING_TABLES; t++)
    if (e->tables[t] != NULL && e->tables[t]->trained)
      return false;
  return e->distance_table == NULL || !e->distance_table->trained;
}

/* Returns the first row of a shard of the batch, or the number of all rows after the last. */
static int64_t row_of(const model_encoder *member, int shard, encoder_rows rows)
{
  const int32_t sequence = member->shards.sequence[shard];
  return rows == ROWS_SEQUENCES ? sequence : member->batch.packing.host_offsets[sequence];
}

bool encoder_next_shard(encoder_shard *shard, encoder_rows rows, int64_t all)
{
  const model_encoder *member = shard->member;
  const bool started = shard->count > 0;
  if (member->shards.count == 0) {
    shard->count = started ? 0 : all;
    return shard->count > 0;
  }
  for (int i = started ? shard->number + 1 : 0; i < member->shards.count; i++) {
    const int64_t first = row_of(member, i, rows), count = row_of(member, i + 1, rows) - first;
    *shard = (encoder_shard){member, i, first, count};
    if (count > 0)
      return true;
  }
  return false;
}

cdl_tensor encoder_shard_rows(const encoder_shard *shard, cdl_tensor matrix)
{
  return cdl_tensor_present(matrix) ? cdl_tensor_rows(matrix, shard->first, shard->count) : matrix;
}

cdl_tensor encoder_shard_columns(const encoder_shard *shard, cdl_tensor vector)
{
  return cdl_tensor_columns(vector, shard->first, shard->count);
}

cdl_tensor encoder_shard_gradient(const encoder_shard *shard, cdl_tensor gradient)
{
  const encoder_shards *shards = &shard->member->shards;
  if (shards->count == 0 || !cdl_tensor_present(gradient))
    return gradient;
  assert(gradient.buffer == shards->gradients.buffer);
  gradient.buffer = shards->sums.buffer;
  gradient.offset += shards->sums.offset - shards->gradients.offset +
                     (shards->first + shard->number) * shards->sums.stride[2];
  return gradient;
}
