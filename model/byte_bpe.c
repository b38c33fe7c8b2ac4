/* GPT-2's byte-level byte pair encoding (Radford et al. 2019; Sennrich et al. 2016): the text is cut into pieces by a
 * regular expression, each byte of a piece is a symbol, and pairs of symbols are merged in order of rank. */
#include <stdio.h>
#include <stdlib.h>

#include "model/tokenizer_parts.h"
#include "model/unicode_text.h"

/* ---- Pieces ---- */

enum { LETTER, NUMBER, OTHER, SPACE, WIDE };

static uint8_t class_of(unsigned byte)
{
  if (byte >= 0x80)
    return WIDE;
  if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z')
    return LETTER;
  if (byte >= '0' && byte <= '9')
    return NUMBER;
  return byte == ' ' || (byte >= 0x09 && byte <= 0x0d) ? SPACE : OTHER;
}

/* 's 't 'm 'd 're 've 'll at an apostrophe; 0 for none. */
static size_t contraction(const uint8_t *at, size_t bytes)
{
  const uint8_t first = bytes > 1 ? at[1] : 0, second = bytes > 2 ? at[2] : 0;
  if (first == 's' || first == 't' || first == 'm' || first == 'd')
    return 2;
  if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
      (first == 'l' && second == 'l'))
    return 3;
  return 0;
}

/* Length of the piece at `at`, by the same rules as the pattern's below; 0 where a character beyond ASCII decides. */
static size_t ascii_piece(const uint8_t *classes, const uint8_t *at, size_t bytes)
{
  if (at[0] == '\'') {
    const size_t length = contraction(at, bytes);
    if (length != 0)
      return length;
  }
  size_t end = at[0] == ' ' && bytes > 1;
  const uint8_t class = classes[at[end]];
  if (class == WIDE)
    return 0;
  if (class != SPACE) {
    do
      end++;
    while (end < bytes && classes[at[end]] == class);
    return end < bytes && at[end] >= 0x80 ? 0 : end;
  }
  end = 1;
  while (end < bytes && classes[at[end]] == SPACE)
    end++;
  if (end == bytes)
    return end;
  if (at[end] >= 0x80)
    return 0;
  return end > 1 ? end - 1 : 1; /* the last space belongs to what follows */
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ with Unicode 16's letters and numbers, and
 * \s as White_Space; possessive where nothing can be given back. */
static char *pattern_text(void)
{
  enum { CLASS_BYTES = 2048, TEXT_BYTES = 8 * CLASS_BYTES };
  static const char space[] =
      "\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}"
      "\\x{202F}\\x{205F}\\x{3000}";
  char letters[CLASS_BYTES], numbers[CLASS_BYTES];
  if (cdl_new_letters_class(letters, sizeof letters) >= sizeof letters ||
      cdl_new_numbers_class(numbers, sizeof numbers) >= sizeof numbers)
    return NULL;
  char *text = malloc(TEXT_BYTES);
  if (text != NULL)
    snprintf(text, TEXT_BYTES,
             "'s|'t|'re|'ve|'m|'ll|'d| ?[\\p{L}%s]++| ?[\\p{N}%s]++| "
             "?[^%s\\p{L}\\p{N}%s%s]++|[%s]+(?![^%s])|[%s]++",
             letters, numbers, space, letters, numbers, space, space, space);
  return text;
}

static cdl_status compile_pattern(cdl_byte_bpe *model)
{
  char *text = pattern_text();
  if (text == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory for a tokenizer");
  int error = 0;
  PCRE2_SIZE offset = 0;
  model->pattern = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                                 PCRE2_UTF | PCRE2_NO_UTF_CHECK, &error, &offset, NULL);
  free(text);
  if (model->pattern == NULL) {
    PCRE2_UCHAR reason[128];
    pcre2_get_error_message(error, reason, sizeof reason);
    return cdl_fail(CDL_UNSUPPORTED, "PCRE2 does not take the pre-tokenizer's pattern: %s",
                    (const char *)reason);
  }
  /* Where the system forbids generated code, PCRE2 interprets instead. */
  (void)pcre2_jit_compile(model->pattern, PCRE2_JIT_COMPLETE);
  return CDL_OK;
}

static cdl_status matched_piece(const cdl_byte_bpe *model, cdl_scratch *scratch,
                                const uint8_t *text, size_t bytes, size_t at, size_t *length)
{
  const int found =
      pcre2_match(model->pattern, text, bytes, at, PCRE2_NO_UTF_CHECK, scratch->match, NULL);
  if (found < 0)
    return cdl_fail(found == PCRE2_ERROR_NOMEMORY ? CDL_MEMORY : CDL_UNSUPPORTED,
                    "PCRE2 stopped with error %d in a text of %zu bytes", found, bytes);
  const PCRE2_SIZE *match = pcre2_get_ovector_pointer(scratch->match);
  *length = match[1] - at;
  return CDL_OK;
}

/* ---- Merging ---- */

static inline uint64_t pair_hash(int32_t left, int32_t right)
{
  const uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
  const uint64_t hash = pair * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 32;
}

/* Rank of the merge of two symbols; UINT32_MAX for none. */
static uint32_t pair_rank(const cdl_byte_bpe *model, int32_t left, int32_t right)
{
  const size_t mask = model->merge_count - 1;
  for (size_t at = pair_hash(left, right) & mask; model->merges[at].left >= 0; at = (at + 1) & mask)
    if (model->merges[at].left == left && model->merges[at].right == right)
      return model->merges[at].rank;
  return UINT32_MAX;
}

static void sift_up(cdl_bpe_candidate *heap, size_t at)
{
  const cdl_bpe_candidate moving = heap[at];
  while (at > 0) {
    const size_t parent = (at - 1) / 2;
    if (heap[parent].rank < moving.rank ||
        (heap[parent].rank == moving.rank && heap[parent].position < moving.position))
      break;
    heap[at] = heap[parent];
    at = parent;
  }
  heap[at] = moving;
}

static void sift_down(cdl_bpe_candidate *heap, size_t count)
{
  const cdl_bpe_candidate moving = heap[0];
  size_t at = 0;
  for (size_t child = 1; child < count; child = 2 * at + 1) {
    if (child + 1 < count && (heap[child + 1].rank < heap[child].rank ||
                              (heap[child + 1].rank == heap[child].rank &&
                               heap[child + 1].position < heap[child].position)))
      child++;
    if (moving.rank < heap[child].rank ||
        (moving.rank == heap[child].rank && moving.position < heap[child].position))
      break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = moving;
}

static cdl_status push_candidate(cdl_scratch *scratch, uint32_t rank, uint32_t position)
{
  if (rank == UINT32_MAX)
    return CDL_OK;
  if (scratch->heap_count == scratch->heap_capacity) {
    const size_t capacity = scratch->heap_capacity * 2 + 256;
    CDL_TRY(cdl_grow(&scratch->heap, capacity, sizeof *scratch->heap));
    scratch->heap_capacity = capacity;
  }
  scratch->heap[scratch->heap_count] = (cdl_bpe_candidate){.rank = rank, .position = position};
  sift_up(scratch->heap, scratch->heap_count++);
  return CDL_OK;
}

#define NO_SYMBOL UINT32_MAX

/* For long pieces: a heap of candidates over a linked list, O(n log n). A candidate is stale when its pair is no
 * longer of its rank. */
static cdl_status merge_long(const cdl_byte_bpe *model, cdl_scratch *scratch, size_t count)
{
  cdl_bpe_symbol *symbols = scratch->symbols;
  scratch->heap_count = 0;
  for (uint32_t i = 0; i + 1 < count; i++)
    CDL_TRY(push_candidate(scratch, pair_rank(model, symbols[i].symbol, symbols[i + 1].symbol), i));
  while (scratch->heap_count != 0) {
    const cdl_bpe_candidate best = scratch->heap[0];
    scratch->heap[0] = scratch->heap[--scratch->heap_count];
    if (scratch->heap_count > 1)
      sift_down(scratch->heap, scratch->heap_count);
    cdl_bpe_symbol *left = &symbols[best.position];
    if (left->symbol < 0 || left->next == NO_SYMBOL)
      continue;
    cdl_bpe_symbol *right = &symbols[left->next];
    if (pair_rank(model, left->symbol, right->symbol) != best.rank)
      continue;
    left->symbol = model->merged[best.rank];
    left->next = right->next;
    right->symbol = -1;
    if (left->next != NO_SYMBOL) {
      symbols[left->next].previous = best.position;
      CDL_TRY(push_candidate(scratch, pair_rank(model, left->symbol, symbols[left->next].symbol),
                             best.position));
    }
    if (left->previous != NO_SYMBOL)
      CDL_TRY(push_candidate(
          scratch, pair_rank(model, symbols[left->previous].symbol, left->symbol), left->previous));
  }
  return CDL_OK;
}

enum { SHORT_PIECE = 48 };

/* For short pieces: the best pair is looked for again after each merge. */
static size_t merge_short(const cdl_byte_bpe *model, int32_t *symbols, size_t count)
{
  uint32_t ranks[SHORT_PIECE];
  for (size_t i = 0; i + 1 < count; i++)
    ranks[i] = pair_rank(model, symbols[i], symbols[i + 1]);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; i++)
      if (ranks[i] < ranks[best])
        best = i;
    if (ranks[best] == UINT32_MAX)
      break;
    symbols[best] = model->merged[ranks[best]];
    memmove(symbols + best + 1, symbols + best + 2, (count - best - 2) * sizeof *symbols);
    if (best + 2 < count)
      memmove(ranks + best, ranks + best + 1, (count - best - 2) * sizeof *ranks);
    count--;
    if (best + 1 < count)
      ranks[best] = pair_rank(model, symbols[best], symbols[best + 1]);
    if (best > 0)
      ranks[best - 1] = pair_rank(model, symbols[best - 1], symbols[best]);
  }
  return count;
}

/* One symbol a byte. Bytes without one are dropped, or become the unknown token, one for all in a row if fused. */
static size_t byte_symbols(const cdl_byte_bpe *model, const uint8_t *piece, size_t bytes,
                           int32_t *out)
{
  size_t count = 0;
  bool after_unknown = false;
  for (size_t i = 0; i < bytes; i++) {
    const int32_t symbol = model->symbol[piece[i]];
    if (symbol >= 0)
      out[count++] = symbol;
    else if (model->unknown >= 0 && !(after_unknown && model->fuse_unknown))
      out[count++] = model->unknown;
    after_unknown = symbol < 0;
  }
  return count;
}

static cdl_status link_symbols(cdl_scratch *scratch, const int32_t *symbols, size_t count)
{
  if (count > scratch->symbol_capacity) {
    CDL_TRY(cdl_grow(&scratch->symbols, count, sizeof *scratch->symbols));
    scratch->symbol_capacity = count;
  }
  for (size_t i = 0; i < count; i++)
    scratch->symbols[i] = (cdl_bpe_symbol){.symbol = symbols[i],
                                           .previous = i == 0 ? NO_SYMBOL : (uint32_t)(i - 1),
                                           .next = i + 1 == count ? NO_SYMBOL : (uint32_t)(i + 1)};
  return CDL_OK;
}

/* The token that is the whole piece; -1 for none. */
static cdl_status whole_piece(const cdl_tokenizer *tokenizer, cdl_scratch *scratch,
                              const uint8_t *piece, size_t bytes, int32_t *id)
{
  cdl_bytes *text = &scratch->normal;
  text->count = 0;
  CDL_TRY(cdl_bytes_reserve(text, 2 * bytes));
  for (size_t i = 0; i < bytes; i++)
    text->count += cdl_utf8_write(text->data + text->count, tokenizer->bpe.character[piece[i]]);
  *id = cdl_vocabulary_find(&tokenizer->vocabulary, text->data, text->count);
  return CDL_OK;
}

/* Appends the ids of a piece, for which `ids` has room. */
static cdl_status merge_piece(const cdl_tokenizer *tokenizer, cdl_scratch *scratch,
                              const uint8_t *piece, size_t bytes, cdl_ids *ids)
{
  const cdl_byte_bpe *model = &tokenizer->bpe;
  if (model->ignore_merges) {
    int32_t whole;
    CDL_TRY(whole_piece(tokenizer, scratch, piece, bytes, &whole));
    if (whole >= 0) {
      ids->data[ids->count++] = whole;
      return CDL_OK;
    }
  }
  int32_t *symbols = ids->data + ids->count;
  const size_t count = byte_symbols(model, piece, bytes, symbols);
  if (count <= SHORT_PIECE) {
    ids->count += merge_short(model, symbols, count);
    return CDL_OK;
  }
  CDL_TRY(link_symbols(scratch, symbols, count));
  CDL_TRY(merge_long(model, scratch, count));
  for (uint32_t i = 0; i != NO_SYMBOL; i = scratch->symbols[i].next)
    ids->data[ids->count++] = scratch->symbols[i].symbol;
  return CDL_OK;
}

static cdl_status encode_piece(const cdl_tokenizer *tokenizer, cdl_scratch *scratch,
                               const uint8_t *piece, size_t bytes, cdl_ids *ids)
{
  const uint64_t hash = cdl_word_hash(piece, bytes);
  if (cdl_word_recall(&scratch->cache, hash, piece, bytes, ids))
    return CDL_OK;
  const size_t before = ids->count;
  CDL_TRY(merge_piece(tokenizer, scratch, piece, bytes, ids));
  cdl_word_remember(&scratch->cache, hash, piece, bytes, ids->data + before, ids->count - before);
  return CDL_OK;
}

cdl_status cdl_bpe_encode(const cdl_tokenizer *tokenizer, cdl_scratch *scratch, const uint8_t *text,
                          size_t bytes, cdl_ids *ids)
{
  const cdl_byte_bpe *model = &tokenizer->bpe;
  if (model->add_prefix_space && text[0] != ' ') {
    scratch->spaced.count = 0;
    CDL_TRY(cdl_bytes_append(&scratch->spaced, " ", 1));
    CDL_TRY(cdl_bytes_append(&scratch->spaced, text, bytes));
    text = scratch->spaced.data;
    bytes++;
  }
  CDL_TRY(cdl_ids_reserve(ids, bytes));
  if (scratch->match == NULL) {
    scratch->match = pcre2_match_data_create(1, NULL);
    if (scratch->match == NULL)
      return cdl_fail(CDL_MEMORY, "out of memory for a tokenizer");
  }
  if (!model->use_regex)
    return encode_piece(tokenizer, scratch, text, bytes, ids);
  for (size_t at = 0; at < bytes;) {
    size_t length = ascii_piece(model->class, text + at, bytes - at);
    if (length == 0)
      CDL_TRY(matched_piece(model, scratch, text, bytes, at, &length));
    CDL_TRY(encode_piece(tokenizer, scratch, text + at, length, ids));
    at += length;
  }
  return CDL_OK;
}

/* ---- Preparation ---- */

/* A byte's character in the vocabulary: itself where it is printable in Latin-1, the rest from U+0100 on, in order. */
static void prepare_characters(cdl_byte_bpe *model)
{
  uint16_t next = 0x100;
  for (unsigned byte = 0; byte < 256; byte++) {
    const bool printable =
        (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    model->character[byte] = printable ? (uint16_t)byte : next++;
    model->class[byte] = class_of(byte);
  }
}

static cdl_status add_merge(cdl_tokenizer *tokenizer, const cdl_merge_text *merge, uint32_t rank,
                            cdl_bytes *joined)
{
  const cdl_vocabulary *vocabulary = &tokenizer->vocabulary;
  cdl_byte_bpe *model = &tokenizer->bpe;
  const int32_t left = cdl_vocabulary_find(vocabulary, merge->left, merge->left_bytes);
  const int32_t right = cdl_vocabulary_find(vocabulary, merge->right, merge->right_bytes);
  joined->count = 0;
  CDL_TRY(cdl_bytes_append(joined, merge->left, merge->left_bytes));
  CDL_TRY(cdl_bytes_append(joined, merge->right, merge->right_bytes));
  const int32_t merged = cdl_vocabulary_find(vocabulary, joined->data, joined->count);
  if (left < 0 || right < 0 || merged < 0)
    return cdl_fail(CDL_DATA, "merge %u, \"%.*s %.*s\": %s is not in the vocabulary",
                    (unsigned)rank + 1, (int)(merge->left_bytes < 64 ? merge->left_bytes : 64),
                    merge->left, (int)(merge->right_bytes < 64 ? merge->right_bytes : 64),
                    merge->right,
                    left < 0    ? "the first token"
                    : right < 0 ? "the second token"
                                : "the token that they make");
  size_t at = pair_hash(left, right) & (model->merge_count - 1);
  for (; model->merges[at].left >= 0; at = (at + 1) & (model->merge_count - 1))
    if (model->merges[at].left == left && model->merges[at].right == right)
      return cdl_fail(CDL_DATA, "merge %u is there before, as merge %u", (unsigned)rank + 1,
                      (unsigned)model->merges[at].rank + 1);
  model->merges[at] = (cdl_bpe_merge){.left = left, .right = right, .rank = rank};
  model->merged[rank] = merged;
  return CDL_OK;
}

cdl_status cdl_bpe_prepare(cdl_tokenizer *tokenizer, const cdl_merge_text *merges, size_t count)
{
  cdl_byte_bpe *model = &tokenizer->bpe;
  prepare_characters(model);
  for (unsigned byte = 0; byte < 256; byte++) {
    uint8_t character[4];
    const size_t bytes = cdl_utf8_write(character, model->character[byte]);
    model->symbol[byte] = cdl_vocabulary_find(&tokenizer->vocabulary, character, bytes);
  }
  if (count >= CDL_TOKEN_ID_END)
    return cdl_fail(CDL_DATA, "%zu merges, expected fewer than %d", count, CDL_TOKEN_ID_END);
  model->merge_count = 1024;
  while (model->merge_count < 2 * count)
    model->merge_count *= 2;
  model->merges = malloc(model->merge_count * sizeof *model->merges);
  model->merged = malloc((count + 1) * sizeof *model->merged);
  if (model->merges == NULL || model->merged == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory for %zu merges", count);
  memset(model->merges, 0xff, model->merge_count * sizeof *model->merges);
  cdl_bytes joined = {0};
  cdl_status status = CDL_OK;
  for (size_t i = 0; status == CDL_OK && i < count; i++)
    status = add_merge(tokenizer, &merges[i], (uint32_t)i, &joined);
  free(joined.data);
  return status == CDL_OK ? compile_pattern(model) : status;
}

void cdl_bpe_release(cdl_byte_bpe *model)
{
  free(model->merges);
  free(model->merged);
  pcre2_code_free(model->pattern);
}
