/* Byte pair encoding (Sennrich et al. 2016): the characters of a piece are symbols, and pairs of
 * symbols are merged in order of rank. */
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "model/tokenizer/parts.h"

/* ---- Merging ---- */

static inline uint64_t pair_hash(int32_t left, int32_t right)
{
  const uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
  const uint64_t hash = pair * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 32;
}

/* Returns the rank of the merge of two symbols; UINT32_MAX for none. */
static uint32_t pair_rank(const tokenizer_bpe *model, int32_t left, int32_t right)
{
  const size_t mask = model->merge_count - 1;
  for (size_t at = pair_hash(left, right) & mask; model->merges[at].left >= 0; at = (at + 1) & mask)
    if (model->merges[at].left == left && model->merges[at].right == right)
      return model->merges[at].rank;
  return UINT32_MAX;
}

static void sift_up(tokenizer_bpe_candidate *heap, size_t at)
{
  const tokenizer_bpe_candidate moving = heap[at];
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

static void sift_down(tokenizer_bpe_candidate *heap, size_t count)
{
  const tokenizer_bpe_candidate moving = heap[0];
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

static cdl_status push_candidate(tokenizer_scratch *scratch, uint32_t rank, uint32_t position)
{
  if (rank == UINT32_MAX)
    return CDL_STATUS_OK;
  if (scratch->heap_count == scratch->heap_capacity) {
    const size_t capacity = scratch->heap_capacity * 2 + 256;
    CDL_TRY(base_grow(&scratch->heap, capacity, sizeof *scratch->heap));
    scratch->heap_capacity = capacity;
  }
  scratch->heap[scratch->heap_count] =
      (tokenizer_bpe_candidate){.rank = rank, .position = position};
  sift_up(scratch->heap, scratch->heap_count++);
  return CDL_STATUS_OK;
}

#define NO_SYMBOL UINT32_MAX

/* For long pieces: a heap of candidates over a linked list, O(n log n). A candidate is stale if its
 * pair no longer makes the same symbol. */
static cdl_status merge_long(const tokenizer_bpe *model, tokenizer_scratch *scratch, size_t count)
{
  tokenizer_bpe_symbol *symbols = scratch->symbols;
  scratch->heap_count = 0;
  for (uint32_t i = 0; i + 1 < count; i++)
    CDL_TRY(push_candidate(scratch, pair_rank(model, symbols[i].symbol, symbols[i + 1].symbol), i));
  while (scratch->heap_count != 0) {
    const tokenizer_bpe_candidate best = scratch->heap[0];
    scratch->heap[0] = scratch->heap[--scratch->heap_count];
    if (scratch->heap_count > 1)
      sift_down(scratch->heap, scratch->heap_count);
    tokenizer_bpe_symbol *left = &symbols[best.position];
    if (left->symbol < 0 || left->next == NO_SYMBOL)
      continue;
    tokenizer_bpe_symbol *right = &symbols[left->next];
    const uint32_t rank = pair_rank(model, left->symbol, right->symbol);
    if (rank == UINT32_MAX || model->merged[rank] != model->merged[best.rank])
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
  return CDL_STATUS_OK;
}

enum { SHORT_PIECE = 48 };

/* For short pieces: searches for the best pair again after each merge. */
static size_t merge_short(const tokenizer_bpe *model, int32_t *symbols, size_t count)
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

/* ---- Symbols ---- */

/* Symbols in order. An unknown character waits until a known one follows. */
typedef struct {
  const tokenizer_bpe *model;
  int32_t *out;
  size_t count;
  bool unknown_waits;
} symbol_list;

static void add_symbol(symbol_list *list, int32_t symbol)
{
  if (list->unknown_waits)
    list->out[list->count++] = list->model->unknown;
  list->unknown_waits = false;
  list->out[list->count++] = symbol;
}

static cdl_status add_unknown(symbol_list *list)
{
  const int32_t unknown = list->model->unknown;
  if (unknown == TOKENIZER_UNKNOWN_NONE) /* it is left out */
    return CDL_STATUS_OK;
  CDL_TRY(tokenizer_check_unknown(unknown));
  if (list->unknown_waits && !list->model->fuse_unknown)
    list->out[list->count++] = unknown;
  list->unknown_waits = true;
  return CDL_STATUS_OK;
}

/* Adds the tokens of the bytes, if all of them have one. They come before an unknown character that
 * waits. */
static bool add_bytes(symbol_list *list, const uint8_t *text, size_t bytes)
{
  for (size_t i = 0; i < bytes; i++)
    if (list->model->byte_token[text[i]] < 0)
      return false;
  for (size_t i = 0; i < bytes; i++)
    list->out[list->count++] = list->model->byte_token[text[i]];
  return true;
}

/* Writes a character with the model's prefix and suffix. */
static cdl_status spell(const tokenizer_bpe *model, const uint8_t *text, size_t bytes, bool first,
                        bool last, base_bytes *spelled)
{
  spelled->count = 0;
  if (!first)
    CDL_TRY(base_bytes_append(spelled, model->prefix, model->prefix_bytes));
  CDL_TRY(base_bytes_append(spelled, text, bytes));
  return last ? base_bytes_append(spelled, model->suffix, model->suffix_bytes) : CDL_STATUS_OK;
}

static cdl_status character_symbols(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                                    const uint8_t *piece, size_t bytes, symbol_list *list)
{
  const tokenizer_bpe *model = &tokenizer->bpe;
  for (const uint8_t *at = piece, *next = piece; at < piece + bytes; at = next) {
    base_utf8_next(&next);
    const uint8_t *text = at;
    size_t length = (size_t)(next - at);
    const bool first = at == piece, last = next == piece + bytes;
    if ((!first && model->prefix_bytes > 0) || (last && model->suffix_bytes > 0)) {
      CDL_TRY(spell(model, at, length, first, last, &scratch->normal));
      text = scratch->normal.data;
      length = scratch->normal.count;
    }
    const int32_t symbol = tokenizer_vocabulary_find(&tokenizer->vocabulary, text, length);
    if (symbol >= 0)
      add_symbol(list, symbol);
    else if (!model->byte_fallback || !add_bytes(list, text, length))
      CDL_TRY(add_unknown(list));
  }
  return CDL_STATUS_OK;
}

static cdl_status byte_symbols(const tokenizer_bpe *model, const uint8_t *piece, size_t bytes,
                               symbol_list *list)
{
  for (size_t i = 0; i < bytes; i++) {
    const int32_t symbol = model->symbol[piece[i]];
    if (symbol >= 0)
      add_symbol(list, symbol);
    else
      CDL_TRY(add_unknown(list));
  }
  return CDL_STATUS_OK;
}

/* ---- Pieces ---- */

static cdl_status link_symbols(tokenizer_scratch *scratch, const int32_t *symbols, size_t count)
{
  if (count > scratch->symbol_capacity) {
    CDL_TRY(base_grow(&scratch->symbols, count, sizeof *scratch->symbols));
    scratch->symbol_capacity = count;
  }
  for (size_t i = 0; i < count; i++)
    scratch->symbols[i] =
        (tokenizer_bpe_symbol){.symbol = symbols[i],
                               .previous = i == 0 ? NO_SYMBOL : (uint32_t)(i - 1),
                               .next = i + 1 == count ? NO_SYMBOL : (uint32_t)(i + 1)};
  return CDL_STATUS_OK;
}

/* Returns the token that is the whole piece; -1 for none. */
static cdl_status whole_piece(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                              const uint8_t *piece, size_t bytes, bool raw, int32_t *id)
{
  base_bytes *text = &scratch->normal;
  if (raw) {
    text->count = 0;
    CDL_TRY(tokenizer_byte_characters(piece, bytes, text));
    piece = text->data;
    bytes = text->count;
  }
  *id = tokenizer_vocabulary_find(&tokenizer->vocabulary, piece, bytes);
  return CDL_STATUS_OK;
}

cdl_status tokenizer_bpe_encode(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                                const uint8_t *piece, size_t bytes, bool raw, base_ids *ids)
{
  const tokenizer_bpe *model = &tokenizer->bpe;
  const size_t most = 1 + (raw ? 0 : model->prefix_bytes + model->suffix_bytes);
  if (bytes > UINT32_MAX / 8 / most)
    return cdl_fail(CDL_STATUS_MEMORY, "a piece of %zu bytes is too long for a tokenizer", bytes);
  CDL_TRY(base_ids_reserve(ids, bytes * most + 1));
  if (model->ignore_merges) {
    int32_t whole;
    CDL_TRY(whole_piece(tokenizer, scratch, piece, bytes, raw, &whole));
    if (whole >= 0) {
      ids->data[ids->count++] = whole;
      return CDL_STATUS_OK;
    }
  }
  int32_t *symbols = ids->data + ids->count;
  symbol_list list = {.model = model, .out = symbols};
  CDL_TRY(raw ? byte_symbols(model, piece, bytes, &list)
              : character_symbols(tokenizer, scratch, piece, bytes, &list));
  if (list.unknown_waits)
    list.out[list.count++] = model->unknown;
  if (list.count <= SHORT_PIECE) {
    ids->count += merge_short(model, symbols, list.count);
    return CDL_STATUS_OK;
  }
  CDL_TRY(link_symbols(scratch, symbols, list.count));
  CDL_TRY(merge_long(model, scratch, list.count));
  for (uint32_t i = 0; i != NO_SYMBOL; i = scratch->symbols[i].next)
    ids->data[ids->count++] = scratch->symbols[i].symbol;
  return CDL_STATUS_OK;
}

/* ---- Preparation ---- */

static cdl_status add_merge(cdl_tokenizer *tokenizer, const tokenizer_merge_text *merge,
                            uint32_t rank, bool last_counts, base_bytes *joined)
{
  const tokenizer_vocabulary *vocabulary = &tokenizer->vocabulary;
  tokenizer_bpe *model = &tokenizer->bpe;
  const int32_t left = tokenizer_vocabulary_find(vocabulary, merge->left, merge->left_bytes);
  const int32_t right = tokenizer_vocabulary_find(vocabulary, merge->right, merge->right_bytes);
  joined->count = 0;
  CDL_TRY(base_bytes_append(joined, merge->left, merge->left_bytes));
  const bool continues = merge->right_bytes >= model->prefix_bytes;
  if (continues)
    CDL_TRY(base_bytes_append(joined, merge->right + model->prefix_bytes,
                              merge->right_bytes - model->prefix_bytes));
  const int32_t merged =
      continues ? tokenizer_vocabulary_find(vocabulary, joined->data, joined->count) : -1;
  if (left < 0 || right < 0 || merged < 0)
    return cdl_fail(CDL_STATUS_DATA, "merge %u, \"%.*s %.*s\": %s is not in the vocabulary",
                    (unsigned)rank + 1, (int)(merge->left_bytes < 64 ? merge->left_bytes : 64),
                    merge->left, (int)(merge->right_bytes < 64 ? merge->right_bytes : 64),
                    merge->right,
                    left < 0    ? "the first token"
                    : right < 0 ? "the second token"
                                : "the token that they make");
  size_t at = pair_hash(left, right) & (model->merge_count - 1);
  for (; model->merges[at].left >= 0; at = (at + 1) & (model->merge_count - 1))
    if (model->merges[at].left == left && model->merges[at].right == right)
      break;
  model->merged[rank] = merged;
  if (model->merges[at].left < 0 || last_counts)
    model->merges[at] = (tokenizer_bpe_merge){.left = left, .right = right, .rank = rank};
  return CDL_STATUS_OK;
}

static void prepare_bytes(const tokenizer_vocabulary *vocabulary, tokenizer_bpe *model)
{
  for (unsigned byte = 0; byte < 256; byte++) {
    uint8_t character[4];
    const size_t bytes = base_utf8_write(character, tokenizer_byte_character((uint8_t)byte));
    model->symbol[byte] = tokenizer_vocabulary_find(vocabulary, character, bytes);
    model->byte_token[byte] = tokenizer_vocabulary_byte(vocabulary, (uint8_t)byte);
  }
}

cdl_status tokenizer_bpe_prepare(cdl_tokenizer *tokenizer, const tokenizer_merge_text *merges,
                                 size_t count, bool last_counts)
{
  tokenizer_bpe *model = &tokenizer->bpe;
  prepare_bytes(&tokenizer->vocabulary, model);
  if (count >= TOKENIZER_TOKEN_ID_END)
    return cdl_fail(CDL_STATUS_DATA, "%zu merges, expected fewer than %d", count,
                    TOKENIZER_TOKEN_ID_END);
  model->merge_count = 1024;
  while (model->merge_count < 2 * count)
    model->merge_count *= 2;
  model->merges = malloc(model->merge_count * sizeof *model->merges);
  model->merged = malloc((count + 1) * sizeof *model->merged);
  if (model->merges == NULL || model->merged == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for %zu merges", count);
  memset(model->merges, 0xff, model->merge_count * sizeof *model->merges);
  base_bytes joined = {0};
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; status == CDL_STATUS_OK && i < count; i++)
    status = add_merge(tokenizer, &merges[i], (uint32_t)i, last_counts, &joined);
  free(joined.data);
  return status;
}

void tokenizer_bpe_release(tokenizer_bpe *model)
{
  free(model->prefix);
  free(model->suffix);
  free(model->merges);
  free(model->merged);
}
