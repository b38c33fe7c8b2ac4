#include <stdlib.h>

#include "model/tokenizer/parts.h"

cdl_status base_grow(void *data, size_t count, size_t size)
{
  void *old;
  memcpy(&old, data, sizeof old);
  void *grown = count > SIZE_MAX / 2 / size ? NULL : realloc(old, count * size);
  if (grown == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a tokenizer: %zu elements of %zu bytes",
                    count, size);
  memcpy(data, &grown, sizeof grown);
  return CDL_STATUS_OK;
}

static cdl_status reserve(void *data, size_t count, size_t *capacity, size_t more, size_t size)
{
  if (more <= *capacity - count)
    return CDL_STATUS_OK;
  if (more > SIZE_MAX / 4 - count)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a tokenizer");
  const size_t wanted = count + more + (count + more) / 2 + 64;
  CDL_TRY(base_grow(data, wanted, size));
  *capacity = wanted;
  return CDL_STATUS_OK;
}

cdl_status base_bytes_reserve(base_bytes *bytes, size_t more)
{
  if (bytes->most != 0 && (bytes->count > bytes->most || more > bytes->most - bytes->count))
    return cdl_fail(CDL_STATUS_DATA, "it grows to more than %zu bytes", bytes->most);
  return reserve(&bytes->data, bytes->count, &bytes->capacity, more, sizeof *bytes->data);
}

cdl_status base_ids_reserve(base_ids *ids, size_t more)
{
  return reserve(&ids->data, ids->count, &ids->capacity, more, sizeof *ids->data);
}

cdl_status base_points_reserve(base_points *points, size_t more)
{
  return reserve(&points->data, points->count, &points->capacity, more, sizeof *points->data);
}

cdl_status base_bytes_append(base_bytes *bytes, const void *data, size_t count)
{
  CDL_TRY(base_bytes_reserve(bytes, count));
  if (count != 0)
    memcpy(bytes->data + bytes->count, data, count);
  bytes->count += count;
  return CDL_STATUS_OK;
}

void tokenizer_word_forget(tokenizer_word_cache *cache)
{
  if (cache->used != 0)
    memset(cache->slots, 0, TOKENIZER_WORD_SLOTS * sizeof *cache->slots);
  cache->used = cache->arena_used = 0;
}

void tokenizer_word_remember(tokenizer_word_cache *cache, uint64_t hash, const uint8_t *word,
                             size_t bytes, const int32_t *ids, size_t count)
{
  const size_t wanted = bytes + (count > 1 ? count * sizeof *ids : 0);
  if (bytes > TOKENIZER_CACHED_WORD_BYTES || count > UINT16_MAX ||
      wanted > TOKENIZER_WORD_ARENA / 4)
    return;
  if (cache->used >= TOKENIZER_WORD_SLOTS / 4 * 3 ||
      wanted > TOKENIZER_WORD_ARENA - cache->arena_used)
    tokenizer_word_forget(cache);
  for (size_t probe = 0; probe < TOKENIZER_WORD_PROBES; probe++) {
    tokenizer_word *slot = &cache->slots[(hash + probe) % TOKENIZER_WORD_SLOTS];
    if (slot->bytes != 0)
      continue;
    *slot = (tokenizer_word){.tag = (uint32_t)(hash >> 32),
                             .at = (uint32_t)cache->arena_used,
                             .bytes = (uint16_t)bytes,
                             .count = (uint16_t)count,
                             .first = count != 0 ? ids[0] : 0};
    memcpy(cache->arena + cache->arena_used, word, bytes);
    if (count > 1)
      memcpy(cache->arena + cache->arena_used + bytes, ids, count * sizeof *ids);
    cache->arena_used += wanted;
    cache->used++;
    return;
  }
}

void tokenizer_scratch_release(tokenizer_scratch *scratch)
{
  if (scratch == NULL)
    return;
  free(scratch->clean.data);
  free(scratch->spaced.data);
  free(scratch->normal.data);
  free(scratch->word.data);
  free(scratch->tags.data);
  free(scratch->normalizing.points.data);
  free(scratch->normalizing.sorted.data);
  free(scratch->normalizing.other.data);
  tokenizer_text_matcher_release(&scratch->normalizing.matcher);
  tokenizer_cut_scratch_release(&scratch->cutting);
  free(scratch->first.data);
  free(scratch->second.data);
  free(scratch->raw_hits.data);
  free(scratch->normal_hits.data);
  free(scratch->cache.slots);
  free(scratch->cache.arena);
  free(scratch->symbols);
  free(scratch->heap);
  free(scratch->path);
  free(scratch);
}
