#include <stdlib.h>

#include "model/tokenizer/parts.h"

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
