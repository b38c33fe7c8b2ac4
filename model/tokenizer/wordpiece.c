/* BERT's tokenizer: cleans, lowers, strips accents; splits at spaces and punctuation; takes the
 * longest pieces of each word greedily (Wu et al. 2016, "Google's Neural Machine Translation
 * System", section 4; Devlin et al. 2019). */
#include <stdlib.h>

#include "base/utf8.h"
#include "model/tokenizer/parts.h"
#include "model/tokenizer/unicode_text.h"

/* ---- WordPiece ---- */

/* Returns the token whose text, after the first `skipped` bytes, is `text`. */
static int32_t find_piece(const tokenizer_vocabulary *vocabulary,
                          const tokenizer_vocabulary_slot *slots, size_t slot_count, size_t skipped,
                          uint32_t tag, const uint8_t *text, size_t bytes)
{
  for (size_t at = tag & (slot_count - 1); slots[at].id >= 0; at = (at + 1) & (slot_count - 1)) {
    const int32_t id = slots[at].id;
    if (slots[at].tag == tag && vocabulary->length[id] == bytes + skipped &&
        memcmp(vocabulary->text.data + vocabulary->offset[id] + skipped, text, bytes) == 0)
      return id;
  }
  return -1;
}

/* Returns the longest token at the start of `word`, and its length; -1 for none. `tags` has room
 * for all prefixes, which are hashed in one pass. */
static int32_t longest_piece(const cdl_tokenizer *tokenizer, uint32_t *tags, const uint8_t *word,
                             size_t bytes, bool first, size_t *piece_bytes)
{
  const tokenizer_vocabulary *vocabulary = &tokenizer->vocabulary;
  const tokenizer_wordpiece *model = &tokenizer->wordpiece;
  const size_t limit = bytes < vocabulary->longest ? bytes : vocabulary->longest;
  uint64_t hash = TOKENIZER_HASH_START;
  for (size_t i = 0; i < limit; i++) {
    hash = tokenizer_hash_step(hash, word[i]);
    tags[i] = (uint32_t)(hash >> 32);
  }
  for (size_t length = limit; length > 0; length--) {
    if (length < bytes && (word[length] & 0xc0) == 0x80)
      continue;
    const int32_t id = first ? find_piece(vocabulary, vocabulary->slots, vocabulary->slot_count, 0,
                                          tags[length - 1], word, length)
                             : find_piece(vocabulary, model->continuing, model->continuing_count,
                                          model->prefix_bytes, tags[length - 1], word, length);
    if (id >= 0) {
      *piece_bytes = length;
      return id;
    }
  }
  return -1;
}

static cdl_status append_unknown(const cdl_tokenizer *tokenizer, base_ids *ids)
{
  CDL_TRY(tokenizer_check_unknown(tokenizer->wordpiece.unknown));
  ids->data[ids->count++] = tokenizer->wordpiece.unknown;
  return CDL_STATUS_OK;
}

static cdl_status split_word(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                             const uint8_t *word, size_t bytes, size_t characters, base_ids *ids)
{
  const size_t before = ids->count;
  if (characters > tokenizer->wordpiece.word_characters_max)
    return append_unknown(tokenizer, ids);
  scratch->tags.count = 0;
  CDL_TRY(base_points_reserve(&scratch->tags, bytes));
  for (size_t at = 0; at < bytes;) {
    size_t piece_bytes = 0;
    const int32_t id =
        longest_piece(tokenizer, scratch->tags.data, word + at, bytes - at, at == 0, &piece_bytes);
    if (id < 0) { /* a word that cannot be encoded to its end is unknown as a whole */
      ids->count = before;
      return append_unknown(tokenizer, ids);
    }
    ids->data[ids->count++] = id;
    at += piece_bytes;
  }
  return CDL_STATUS_OK;
}

/* `ids` has room for as many ids as the word has bytes. */
static cdl_status encode_word(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                              const uint8_t *word, size_t bytes, size_t characters, base_ids *ids)
{
  const uint64_t hash = tokenizer_word_hash(word, bytes);
  if (tokenizer_word_recall(&scratch->cache, hash, word, bytes, ids))
    return CDL_STATUS_OK;
  const size_t before = ids->count;
  CDL_TRY(split_word(tokenizer, scratch, word, bytes, characters, ids));
  tokenizer_word_remember(&scratch->cache, hash, word, bytes, ids->data + before,
                          ids->count - before);
  return CDL_STATUS_OK;
}

cdl_status tokenizer_wordpiece_encode_word(const cdl_tokenizer *tokenizer,
                                           tokenizer_scratch *scratch, const uint8_t *word,
                                           size_t bytes, base_ids *ids)
{
  size_t characters = 0;
  for (size_t i = 0; i < bytes; i++)
    characters += (word[i] & 0xc0) != 0x80;
  CDL_TRY(base_ids_reserve(ids, bytes));
  return split_word(tokenizer, scratch, word, bytes, characters, ids);
}

/* ---- Pre-tokenization ---- */

/* Encodes text without ASCII spaces, of any characters. */
static cdl_status encode_wide(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                              const tokenizer_bert_normalizer *normalizer, const uint8_t *text,
                              const uint8_t *end, base_ids *ids)
{
  CDL_TRY(tokenizer_bert_points(normalizer, &scratch->normalizing, text, end, 0));
  const base_points points = scratch->normalizing.points;
  CDL_TRY(base_ids_reserve(ids, 4 * points.count));
  scratch->normal.count = 0;
  CDL_TRY(base_bytes_reserve(&scratch->normal, 4 * points.count + 4));
  uint8_t *word = scratch->normal.data;
  size_t bytes = 0, characters = 0;
  for (size_t i = 0; i <= points.count; i++) {
    const uint32_t c = i < points.count ? points.data[i] & TOKENIZER_POINT_MASK : ' ';
    const bool space = tokenizer_is_space(c);
    const bool punctuation = !space && tokenizer_is_bert_punctuation(c);
    if (space || punctuation) {
      if (bytes != 0)
        CDL_TRY(encode_word(tokenizer, scratch, word, bytes, characters, ids));
      bytes = characters = 0;
      if (space)
        continue;
    }
    bytes += base_utf8_write(word + bytes, c);
    characters++;
    if (punctuation) {
      CDL_TRY(encode_word(tokenizer, scratch, word, bytes, characters, ids));
      bytes = characters = 0;
    }
  }
  return CDL_STATUS_OK;
}

cdl_status tokenizer_wordpiece_encode(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                                      const uint8_t *text, size_t bytes, bool normal, base_ids *ids)
{
  static const tokenizer_bert_normalizer as_is;
  const tokenizer_bert_normalizer *normalizer = normal ? &as_is : &tokenizer->normalizer;
  const uint8_t *kinds = tokenizer->wordpiece.kind[normal],
                *lower = tokenizer->wordpiece.lower[normal];
  const uint8_t *end = text + bytes;
  CDL_TRY(base_ids_reserve(ids, bytes));
  scratch->word.count = 0;
  CDL_TRY(base_bytes_reserve(&scratch->word, bytes));
  uint8_t *word = scratch->word.data;
  const uint8_t *begin = text; /* of the word */
  size_t length = 0;
  for (const uint8_t *at = text;; at++) {
    const uint8_t kind = at < end ? kinds[*at] : TOKENIZER_BYTE_SPACE;
    if (kind == TOKENIZER_BYTE_WORD) {
      word[length++] = lower[*at];
      continue;
    }
    if (kind == TOKENIZER_BYTE_DROPPED)
      continue;
    if (kind == TOKENIZER_BYTE_WIDE) {
      while (at < end && kinds[*at] != TOKENIZER_BYTE_SPACE)
        at++;
      CDL_TRY(encode_wide(tokenizer, scratch, normalizer, begin, at, ids));
      CDL_TRY(base_ids_reserve(ids, (size_t)(end - at)));
    } else if (length != 0) {
      CDL_TRY(encode_word(tokenizer, scratch, word, length, length, ids));
    }
    length = 0;
    if (at >= end)
      return CDL_STATUS_OK;
    if (kind == TOKENIZER_BYTE_PUNCTUATION)
      CDL_TRY(encode_word(tokenizer, scratch, at, 1, 1, ids));
    begin = at + 1;
  }
}

/* ---- Preparation ---- */

static void prepare_bytes(const tokenizer_bert_normalizer *normalizer, uint8_t kind[256],
                          uint8_t lower[256])
{
  for (unsigned byte = 0; byte < 256; byte++) {
    const bool cleaned = byte < 0x80 && normalizer->clean_text;
    kind[byte] = byte >= 0x80                                 ? TOKENIZER_BYTE_WIDE
                 : cleaned && tokenizer_is_bert_control(byte) ? TOKENIZER_BYTE_DROPPED
                 : tokenizer_is_space(byte)                   ? TOKENIZER_BYTE_SPACE
                 : tokenizer_is_bert_punctuation(byte)        ? TOKENIZER_BYTE_PUNCTUATION
                                                              : TOKENIZER_BYTE_WORD;
    lower[byte] = (uint8_t)(normalizer->lowercase && byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
  }
}

static cdl_status index_continuing(const tokenizer_vocabulary *vocabulary,
                                   tokenizer_wordpiece *model)
{
  size_t slots = 1024;
  while (slots < 2 * vocabulary->count)
    slots *= 2;
  model->continuing = malloc(slots * sizeof *model->continuing);
  if (model->continuing == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a vocabulary");
  memset(model->continuing, 0xff, slots * sizeof *model->continuing);
  model->continuing_count = slots;
  for (int32_t id = 0; id < vocabulary->id_end; id++) {
    const char *text = tokenizer_vocabulary_text(vocabulary, id);
    if (text == NULL || vocabulary->length[id] <= model->prefix_bytes ||
        memcmp(text, model->prefix, model->prefix_bytes) != 0)
      continue;
    uint64_t hash = TOKENIZER_HASH_START;
    for (size_t i = model->prefix_bytes; i < vocabulary->length[id]; i++)
      hash = tokenizer_hash_step(hash, (uint8_t)text[i]);
    const uint32_t tag = (uint32_t)(hash >> 32);
    size_t at = tag & (slots - 1);
    while (model->continuing[at].id >= 0)
      at = (at + 1) & (slots - 1);
    model->continuing[at] = (tokenizer_vocabulary_slot){.tag = tag, .id = id};
  }
  return CDL_STATUS_OK;
}

cdl_status tokenizer_wordpiece_prepare(cdl_tokenizer *tokenizer, const char *prefix,
                                       size_t word_characters_max, int32_t unknown)
{
  tokenizer_wordpiece *model = &tokenizer->wordpiece;
  model->prefix = strdup(prefix);
  if (model->prefix == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a tokenizer");
  model->prefix_bytes = strlen(prefix);
  model->word_characters_max = word_characters_max;
  model->unknown = unknown;
  return index_continuing(&tokenizer->vocabulary, model);
}

void tokenizer_wordpiece_prepare_bytes(cdl_tokenizer *tokenizer)
{
  static const tokenizer_bert_normalizer as_is;
  prepare_bytes(&tokenizer->normalizer, tokenizer->wordpiece.kind[0],
                tokenizer->wordpiece.lower[0]);
  prepare_bytes(&as_is, tokenizer->wordpiece.kind[1], tokenizer->wordpiece.lower[1]);
}

void tokenizer_wordpiece_release(tokenizer_wordpiece *model)
{
  free(model->prefix);
  free(model->continuing);
}
