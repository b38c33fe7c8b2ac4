#include "model/encoder/shards.h"

#include <assert.h>

void encoder_set_shards(model_encoder *e, const encoder_shards *shards)
{
  e->shards = *shards;
}

cdl_tensor encoder_word_gradient(const model_encoder *e)
{
  const encoder_parameter *table = e->tables[EMBEDDING_WORD];
  return table->trained ? table->gradient : (cdl_tensor){0};
}

static int64_t round_up(int64_t n, int64_t unit)
{
  return (n + unit - 1) / unit * unit;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
  return b == 0 ? a : common_divisor(b, a % b);
}

int64_t encoder_lay_out_shards(const model_encoder *e, cdl_tensor gradients, int64_t words,
                               encoder_shards *shards, int64_t *apart)
{
  enum { ALIGNMENT = 64 }; /* in elements */
  const int64_t all = cdl_tensor_elements(gradients), width = e->config.embedding_size;
  const cdl_tensor table = encoder_word_gradient(e);
  *shards = (encoder_shards){.gradients = gradients, .words = table};
  *apart = ALIGNMENT / common_divisor(ALIGNMENT, width) * width;
  if (!cdl_tensor_present(table))
    return all;
  shards->cut = table.offset - gradients.offset;
  shards->cut_end = shards->cut + cdl_tensor_elements(table) / ALIGNMENT * ALIGNMENT;
  shards->words_at = round_up(all - (shards->cut_end - shards->cut), ALIGNMENT);
  return shards->words_at + words * width;
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

/* Returns the place of a gradient among a shard's sums. */
static int64_t place_of(const encoder_shards *shards, cdl_tensor gradient)
{
  assert(gradient.buffer == shards->gradients.buffer);
  const int64_t at = gradient.offset - shards->gradients.offset;
  return at < shards->cut_end ? at : at - (shards->cut_end - shards->cut);
}

cdl_tensor encoder_shard_gradient(const encoder_shard *shard, cdl_tensor gradient)
{
  const encoder_shards *shards = &shard->member->shards;
  if (shards->count == 0 || !cdl_tensor_present(gradient))
    return gradient;
  const int64_t at = place_of(shards, gradient);
  gradient.buffer = shards->sums.buffer;
  gradient.offset =
      shards->sums.offset + (shards->first + shard->number) * shards->sums.stride[2] + at;
  return gradient;
}

cdl_packing encoder_shard_packing(const encoder_shard *shard)
{
  const loaded_batch *batch = &shard->member->batch;
  const encoder_shards *shards = &shard->member->shards;
  cdl_packing p = batch->packing;
  if (shards->count == 0)
    return p;
  const int32_t first = shards->sequence[shard->number],
                count = shards->sequence[shard->number + 1] - first,
                at = first + shard->number; /* each shard has one offset more than sequences */
  p.sequences = count;
  p.tokens = (int32_t)shard->count;
  p.offsets = cdl_tensor_columns(batch->shard_offsets, at, count + 1);
  p.host_offsets = batch->host_shard_offsets + at;
  if (p.host_examples != NULL) {
    p.examples = cdl_tensor_columns(p.examples, first, count);
    p.host_examples += first;
  }
  return p;
}

encoder_table_sums encoder_table_sums_of(const model_encoder *member,
                                         const encoder_parameter *table)
{
  const encoder_shards *shards = &member->shards;
  if (shards->count == 0)
    return (encoder_table_sums){.rows = table->gradient};
  const bool words = table == member->tables[EMBEDDING_WORD];
  const int64_t width = table->gradient.size[3], stride = shards->sums.stride[2],
                at = words ? shards->words_at : place_of(shards, table->gradient),
                own = words ? (shards->sums.size[3] - at) / width : table->gradient.size[2];
  return (encoder_table_sums){
      .rows = cdl_tensor_2d(shards->sums.buffer, CDL_DTYPE_F32,
                            shards->sums.offset + shards->first * stride + at,
                            (shards->count - 1) * (stride / width) + own, width),
      .rows_apart = stride / width,
      .place = words ? shards->word_place : NULL};
}
