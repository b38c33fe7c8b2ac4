/* SentencePiece's unigram language model (Kudo 2018) as in Hugging Face's `tokenizers`: the text is
 * normalized, its spaces become a visible character, and each word is cut into the pieces with the
 * largest sum of scores. */
#include <stdlib.h>

#include "base/utf8.h"
#include "model/tokenizer/parts.h"
#include "model/tokenizer/unicode_text.h"

#define NONE UINT32_MAX

/* ---- The pieces of a word ---- */

static void offer(tokenizer_path_node *node, double score, int32_t id, size_t from)
{
  if (node->from == NONE || score > node->score)
    *node = (tokenizer_path_node){.score = score, .id = id, .from = (uint32_t)from};
}

static size_t character_bytes(uint8_t lead)
{
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* Finds the best path to every place where one ends (Viterbi). A character that is no piece is
 * unknown. */
static cdl_status find_paths(const tokenizer_unigram *model, const uint8_t *word, size_t bytes,
                             tokenizer_path_node *path)
{
  for (size_t i = 1; i <= bytes; i++)
    path[i].from = NONE;
  path[0].score = 0;
  for (size_t at = 0; at < bytes; at += character_bytes(word[at])) {
    const size_t single = character_bytes(word[at]);
    const double before = path[at].score;
    bool known = false;
    uint32_t node = model->trie.first[word[at]];
    for (size_t end = at + 1; node != TOKENIZER_NO_NODE; end++) {
      const int32_t id = model->trie.values[node];
      if (id >= 0) {
        offer(&path[end], before + model->scores[id], id, at);
        known = known || end - at == single;
      }
      if (end == bytes)
        break;
      node = tokenizer_trie_child(&model->trie, node, word[end]);
    }
    if (!known) {
      offer(&path[at + single], before + model->unknown_score, model->unknown, at);
      if (path[at + single].id < 0)
        return tokenizer_check_unknown(TOKENIZER_UNKNOWN_MISSING);
    }
  }
  return CDL_STATUS_OK;
}

/* Writes the unknown text's own id, otherwise the tokens of its bytes, from the last to the first,
 * otherwise the unknown token's. */
static size_t put_unknown(const cdl_tokenizer *tokenizer, const uint8_t *text, size_t bytes,
                          int32_t *out)
{
  const tokenizer_unigram *model = &tokenizer->unigram;
  const int32_t whole = tokenizer_vocabulary_find(&tokenizer->vocabulary, text, bytes);
  bool spelled = model->byte_fallback && whole < 0;
  for (size_t i = 0; i < bytes && spelled; i++)
    spelled = model->byte_token[text[i]] >= 0;
  if (!spelled) {
    out[0] = whole >= 0 ? whole : model->unknown;
    return 1;
  }
  for (size_t i = 0; i < bytes; i++)
    out[i] = model->byte_token[text[bytes - 1 - i]];
  return bytes;
}

/* Appends the ids of a word, for which `ids` has room. Consecutive unknown characters are one
 * token. */
static cdl_status split_word(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                             const uint8_t *word, size_t bytes, base_ids *ids)
{
  const tokenizer_unigram *model = &tokenizer->unigram;
  if (bytes >= scratch->path_capacity) {
    const size_t capacity = bytes + bytes / 2 + 64;
    CDL_TRY(base_grow(&scratch->path, capacity, sizeof *scratch->path));
    scratch->path_capacity = capacity;
  }
  tokenizer_path_node *path = scratch->path;
  CDL_TRY(find_paths(model, word, bytes, path));

  int32_t *const begin = ids->data + ids->count;
  size_t count = 0;
  for (size_t end = bytes; end > 0;) {
    size_t from = path[end].from;
    const int32_t id = path[end].id;
    if (id == model->unknown) {
      while (from > 0 && path[from].id == model->unknown)
        from = path[from].from;
      count += put_unknown(tokenizer, word + from, end - from, begin + count);
    } else {
      begin[count++] = id;
    }
    end = from;
  }
  for (size_t i = 0; i < count / 2; i++) {
    const int32_t other = begin[i];
    begin[i] = begin[count - 1 - i];
    begin[count - 1 - i] = other;
  }
  ids->count += count;
  return CDL_STATUS_OK;
}

static cdl_status encode_word(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                              const uint8_t *word, size_t bytes, base_ids *ids)
{
  const uint64_t hash = tokenizer_word_hash(word, bytes);
  if (tokenizer_word_recall(&scratch->cache, hash, word, bytes, ids))
    return CDL_STATUS_OK;
  const size_t before = ids->count;
  CDL_TRY(split_word(tokenizer, scratch, word, bytes, ids));
  tokenizer_word_remember(&scratch->cache, hash, word, bytes, ids->data + before,
                          ids->count - before);
  return CDL_STATUS_OK;
}

/* ---- Pre-tokenization ---- */

static bool replacement_at(const tokenizer_metaspace *m, const uint8_t *at, const uint8_t *end)
{
  return (size_t)(end - at) >= m->space_bytes && memcmp(at, m->space, m->space_bytes) == 0;
}

/* Spaces become their replacement, with which words begin. */
static cdl_status encode_segment(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                                 const uint8_t *text, size_t bytes, bool first, base_ids *ids)
{
  const tokenizer_pre_tokenizer *pre = &tokenizer->pre_tokenizer;
  const tokenizer_metaspace *m = &pre->steps[pre->count - 1].metaspace;
  const uint8_t *const end = text + bytes;
  if (bytes > UINT32_MAX / 8)
    return cdl_fail(CDL_STATUS_MEMORY, "a text of %zu bytes is too long for a tokenizer", bytes);
  CDL_TRY(base_ids_reserve(ids, bytes + 1));
  scratch->word.count = 0;
  CDL_TRY(base_bytes_reserve(&scratch->word, (bytes + 1) * sizeof m->space));
  uint8_t *word = scratch->word.data;
  size_t length = 0;
  const bool prefixed =
      m->prepend == TOKENIZER_PREPEND_ALWAYS || (m->prepend == TOKENIZER_PREPEND_FIRST && first);
  if (prefixed && bytes > 0 && text[0] != ' ' && !replacement_at(m, text, end)) {
    memcpy(word, m->space, m->space_bytes);
    length = m->space_bytes;
  }
  for (const uint8_t *at = text; at < end;) {
    const bool space = *at == ' ';
    if (!space && !(*at == (uint8_t)m->space[0] && replacement_at(m, at, end))) {
      word[length++] = *at++;
      continue;
    }
    if (m->split && length > 0) {
      CDL_TRY(encode_word(tokenizer, scratch, word, length, ids));
      length = 0;
    }
    memcpy(word + length, m->space, m->space_bytes);
    length += m->space_bytes;
    at += space ? 1 : m->space_bytes;
  }
  return length > 0 ? encode_word(tokenizer, scratch, word, length, ids) : CDL_STATUS_OK;
}

cdl_status tokenizer_unigram_encode_piece(const cdl_tokenizer *tokenizer,
                                          tokenizer_scratch *scratch, const uint8_t *piece,
                                          size_t bytes, base_ids *ids)
{
  if (bytes > UINT32_MAX / 8)
    return cdl_fail(CDL_STATUS_MEMORY, "a piece of %zu bytes is too long for a tokenizer", bytes);
  CDL_TRY(base_ids_reserve(ids, bytes));
  return split_word(tokenizer, scratch, piece, bytes, ids);
}

cdl_status tokenizer_unigram_encode(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                                    const uint8_t *text, size_t bytes, size_t origin, base_ids *ids)
{
  if (tokenizer->pre_tokenizer.count == 1) /* only Metaspace */
    return encode_segment(tokenizer, scratch, text, bytes, origin > 0, ids);
  const uint8_t *begin = text;
  for (const uint8_t *at = text, *next = text; at < text + bytes; at = next) {
    if (!tokenizer_is_space(base_utf8_next(&next)))
      continue;
    CDL_TRY(encode_segment(tokenizer, scratch, begin, (size_t)(at - begin),
                           (size_t)(begin - text) < origin, ids));
    begin = next;
  }
  return encode_segment(tokenizer, scratch, begin, (size_t)(text + bytes - begin),
                        (size_t)(begin - text) < origin, ids);
}

/* ---- Preparation ---- */

cdl_status tokenizer_unigram_prepare(cdl_tokenizer *tokenizer)
{
  const tokenizer_vocabulary *vocabulary = &tokenizer->vocabulary;
  tokenizer_unigram *model = &tokenizer->unigram;
  const size_t count = (size_t)vocabulary->id_end;
  tokenizer_trie_key *keys = calloc(count + 1, sizeof *keys);
  if (keys == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for %zu pieces", count);
  double least = 0;
  size_t pieces = 0;
  for (size_t id = 0; id < count; id++) {
    const char *text = tokenizer_vocabulary_text(vocabulary, (int32_t)id);
    least = id == 0 || model->scores[id] < least ? model->scores[id] : least;
    if (text != NULL)
      keys[pieces++] = (tokenizer_trie_key){
          .text = (const uint8_t *)text, .bytes = vocabulary->length[id], .value = (int32_t)id};
  }
  for (unsigned byte = 0; byte < 256; byte++)
    model->byte_token[byte] = tokenizer_vocabulary_byte(vocabulary, (uint8_t)byte);
  const double penalty = 10;
  model->unknown_score = least - penalty;
  const cdl_status status = tokenizer_trie_build(&model->trie, keys, pieces);
  free(keys);
  return status;
}

cdl_status tokenizer_unigram_add(cdl_tokenizer *tokenizer, const char *piece, size_t bytes,
                                 double score)
{
  enum { PIECE_BYTES_MAX = 1024 }; /* an encoding takes up to so many steps per byte of text */
  tokenizer_unigram *model = &tokenizer->unigram;
  const size_t id = (size_t)tokenizer->vocabulary.id_end;
  if (id == model->score_capacity) {
    const size_t capacity = 2 * id + 1024;
    CDL_TRY(base_grow(&model->scores, capacity, sizeof *model->scores));
    model->score_capacity = capacity;
  }
  if (!__builtin_isfinite(score))
    return cdl_fail(CDL_STATUS_DATA, "piece \"%.64s\": the score is not a number", piece);
  if (bytes > PIECE_BYTES_MAX)
    return cdl_fail(CDL_STATUS_DATA, "piece \"%.64s\" has %zu bytes, expected at most %d", piece,
                    bytes, PIECE_BYTES_MAX);
  CDL_TRY(tokenizer_vocabulary_put(&tokenizer->vocabulary, piece, bytes, (int64_t)id));
  model->scores[id] = score;
  return CDL_STATUS_OK;
}

void tokenizer_unigram_release(tokenizer_unigram *model)
{
  free(model->scores);
  tokenizer_trie_release(&model->trie);
}
