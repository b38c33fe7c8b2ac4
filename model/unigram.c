/* SentencePiece's unigram language model (Kudo 2018) as Hugging Face's `tokenizers` has it: the text is normalized, its
 * spaces become a visible character, and each word is cut into the pieces of the largest sum of scores. */
#include <stdlib.h>

#include "model/charsmap.h"
#include "model/tokenizer_parts.h"
#include "model/unicode_text.h"

#define NONE UINT32_MAX

/* ---- Normalization ---- */

/* `first` is cleared where the beginning goes. */
static cdl_status replace_text(const cdl_text_step *step, const cdl_bytes *in, cdl_bytes *out,
                               bool *first)
{
  for (size_t at = 0; at < in->count;) {
    const uint8_t *hit = memchr(in->data + at, step->pattern[0], in->count - at);
    const size_t begin = hit != NULL ? (size_t)(hit - in->data) : in->count;
    CDL_TRY(cdl_bytes_append(out, in->data + at, begin - at));
    at = begin;
    if (hit == NULL)
      break;
    const bool here = step->pattern_bytes <= in->count - begin &&
                      memcmp(hit, step->pattern, step->pattern_bytes) == 0;
    if (!here) {
      CDL_TRY(cdl_bytes_append(out, hit, 1));
      at++;
      continue;
    }
    at += step->pattern_bytes;
    while (step->repeated && at < in->count && in->data[at] == (uint8_t)step->pattern[0])
      at++;
    CDL_TRY(cdl_bytes_append(out, step->content, step->content_bytes));
    *first = *first && (begin > 0 || step->content_bytes > 0);
  }
  return CDL_OK;
}

static void strip(const cdl_text_step *step, cdl_bytes *text, bool *first)
{
  size_t begin = 0, end = text->count;
  while (step->right && end > 0) {
    size_t before = end - 1;
    while (before > 0 && (text->data[before] & 0xc0) == 0x80)
      before--;
    const uint8_t *last = text->data + before;
    if (!cdl_is_space(cdl_utf8_next(&last)))
      break;
    end = before;
  }
  while (step->left && begin < end) {
    const uint8_t *next = text->data + begin;
    if (!cdl_is_space(cdl_utf8_next(&next)))
      break;
    begin = (size_t)(next - text->data);
  }
  if (end > begin)
    memmove(text->data, text->data + begin, end - begin);
  text->count = end - begin;
  *first = *first && begin == 0;
}

cdl_status cdl_unigram_normalize(const cdl_unigram *model, cdl_scratch *scratch,
                                 const uint8_t *text, size_t bytes, bool *first, cdl_bytes *out)
{
  out->count = 0;
  CDL_TRY(cdl_bytes_append(out, text, bytes));
  for (size_t i = 0; i < model->step_count; i++) {
    const cdl_text_step *step = &model->steps[i];
    if (step->kind == CDL_STEP_STRIP) {
      strip(step, out, first);
      continue;
    }
    scratch->normal.count = 0;
    CDL_TRY(step->kind == CDL_STEP_CHARSMAP
                ? cdl_charsmap_apply(&model->charsmap, out->data, out->count, &scratch->normal)
                : replace_text(step, out, &scratch->normal, first));
    const cdl_bytes before = *out;
    *out = scratch->normal;
    scratch->normal = before;
  }
  return CDL_OK;
}

/* ---- The pieces of a word ---- */

/* The child of a node by a byte; NONE where there is none. */
static uint32_t child_of(const cdl_unigram *model, uint32_t node, uint8_t byte)
{
  uint32_t low = model->children[node], high = model->children[node + 1];
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (model->bytes[middle] < byte)
      low = middle + 1;
    else
      high = middle;
  }
  return low < model->children[node + 1] && model->bytes[low] == byte ? low : NONE;
}

static void offer(cdl_path_node *node, double score, int32_t id, size_t from)
{
  if (node->from == NONE || score > node->score)
    *node = (cdl_path_node){.score = score, .id = id, .from = (uint32_t)from};
}

static size_t character_bytes(uint8_t lead)
{
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* The best path to every place where one ends (Viterbi). A character that is no piece is unknown. */
static void find_paths(const cdl_unigram *model, const uint8_t *word, size_t bytes,
                       cdl_path_node *path)
{
  for (size_t i = 1; i <= bytes; i++)
    path[i].from = NONE;
  path[0].score = 0;
  for (size_t at = 0; at < bytes; at += character_bytes(word[at])) {
    const size_t single = character_bytes(word[at]);
    const double before = path[at].score;
    bool known = false;
    uint32_t node = model->first[word[at]];
    for (size_t end = at + 1; node != NONE; end++) {
      const int32_t id = model->pieces[node];
      if (id >= 0) {
        offer(&path[end], before + model->scores[id], id, at);
        known = known || end - at == single;
      }
      if (end == bytes)
        break;
      node = child_of(model, node, word[end]);
    }
    if (!known)
      offer(&path[at + single], before + model->unknown_score, model->unknown, at);
  }
}

/* Appends the ids of a word, for which `ids` has room. Unknown characters in a row are one token. */
static cdl_status split_word(const cdl_tokenizer *tokenizer, cdl_scratch *scratch,
                             const uint8_t *word, size_t bytes, cdl_ids *ids)
{
  const cdl_unigram *model = &tokenizer->unigram;
  if (bytes >= scratch->path_capacity) {
    const size_t capacity = bytes + bytes / 2 + 64;
    CDL_TRY(cdl_grow(&scratch->path, capacity, sizeof *scratch->path));
    scratch->path_capacity = capacity;
  }
  cdl_path_node *path = scratch->path;
  find_paths(model, word, bytes, path);

  int32_t *const begin = ids->data + ids->count;
  size_t count = 0;
  for (size_t end = bytes; end > 0;) {
    size_t from = path[end].from;
    int32_t id = path[end].id;
    if (id == model->unknown) {
      while (from > 0 && path[from].id == model->unknown)
        from = path[from].from;
      const int32_t whole = cdl_vocabulary_find(&tokenizer->vocabulary, word + from, end - from);
      id = whole >= 0 ? whole : id;
    }
    begin[count++] = id;
    end = from;
  }
  for (size_t i = 0; i < count / 2; i++) {
    const int32_t other = begin[i];
    begin[i] = begin[count - 1 - i];
    begin[count - 1 - i] = other;
  }
  ids->count += count;
  return CDL_OK;
}

static cdl_status encode_word(const cdl_tokenizer *tokenizer, cdl_scratch *scratch,
                              const uint8_t *word, size_t bytes, cdl_ids *ids)
{
  const uint64_t hash = cdl_word_hash(word, bytes);
  if (cdl_word_recall(&scratch->cache, hash, word, bytes, ids))
    return CDL_OK;
  const size_t before = ids->count;
  CDL_TRY(split_word(tokenizer, scratch, word, bytes, ids));
  cdl_word_remember(&scratch->cache, hash, word, bytes, ids->data + before, ids->count - before);
  return CDL_OK;
}

/* ---- Pre-tokenization ---- */

static bool replacement_at(const cdl_unigram *model, const uint8_t *at, const uint8_t *end)
{
  return (size_t)(end - at) >= model->space_bytes &&
         memcmp(at, model->space, model->space_bytes) == 0;
}

/* Spaces become their replacement, with which words begin. */
static cdl_status encode_segment(const cdl_tokenizer *tokenizer, cdl_scratch *scratch,
                                 const uint8_t *text, size_t bytes, bool first, cdl_ids *ids)
{
  const cdl_unigram *model = &tokenizer->unigram;
  const uint8_t *const end = text + bytes;
  if (bytes > UINT32_MAX / 8)
    return cdl_fail(CDL_MEMORY, "a text of %zu bytes is too long for a tokenizer", bytes);
  CDL_TRY(cdl_ids_reserve(ids, bytes + 1));
  scratch->word.count = 0;
  CDL_TRY(cdl_bytes_reserve(&scratch->word, (bytes + 1) * sizeof model->space));
  uint8_t *word = scratch->word.data;
  size_t length = 0;
  const bool prefixed =
      model->prepend == CDL_PREPEND_ALWAYS || (model->prepend == CDL_PREPEND_FIRST && first);
  if (prefixed && bytes > 0 && text[0] != ' ' && !replacement_at(model, text, end)) {
    memcpy(word, model->space, model->space_bytes);
    length = model->space_bytes;
  }
  for (const uint8_t *at = text; at < end;) {
    const bool space = *at == ' ';
    if (!space && !(*at == (uint8_t)model->space[0] && replacement_at(model, at, end))) {
      word[length++] = *at++;
      continue;
    }
    if (model->split && length > 0) {
      CDL_TRY(encode_word(tokenizer, scratch, word, length, ids));
      length = 0;
    }
    memcpy(word + length, model->space, model->space_bytes);
    length += model->space_bytes;
    at += space ? 1 : model->space_bytes;
  }
  return length > 0 ? encode_word(tokenizer, scratch, word, length, ids) : CDL_OK;
}

cdl_status cdl_unigram_encode(const cdl_tokenizer *tokenizer, cdl_scratch *scratch,
                              const uint8_t *text, size_t bytes, bool normal, bool first,
                              cdl_ids *ids)
{
  const cdl_unigram *model = &tokenizer->unigram;
  if (!normal && model->step_count > 0) {
    CDL_TRY(cdl_unigram_normalize(model, scratch, text, bytes, &first, &scratch->spaced));
    text = scratch->spaced.data;
    bytes = scratch->spaced.count;
  }
  if (!model->split_spaces)
    return encode_segment(tokenizer, scratch, text, bytes, first, ids);
  const uint8_t *begin = text;
  for (const uint8_t *at = text, *next = text; at < text + bytes; at = next) {
    if (!cdl_is_space(cdl_utf8_next(&next)))
      continue;
    CDL_TRY(encode_segment(tokenizer, scratch, begin, (size_t)(at - begin), first && begin == text,
                           ids));
    begin = next;
  }
  return encode_segment(tokenizer, scratch, begin, (size_t)(text + bytes - begin),
                        first && begin == text, ids);
}

/* ---- Preparation ---- */

typedef struct {
  const cdl_vocabulary *vocabulary;
  const uint32_t *sorted; /* [count] ids in the order of their texts */
  uint32_t *low, *high;   /* [nodes] the ids that begin with a node's text */
} trie_building;

static int by_text(const void *left, const void *right, void *context)
{
  const cdl_vocabulary *v = context;
  const uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
  const size_t shorter = v->length[a] < v->length[b] ? v->length[a] : v->length[b];
  const int order = memcmp(v->text.data + v->offset[a], v->text.data + v->offset[b], shorter);
  return order != 0 ? order : (v->length[a] > v->length[b]) - (v->length[a] < v->length[b]);
}

/* Appends the children of `node`, whose text has `depth` bytes, behind the `count` nodes so far. */
static size_t add_children(cdl_unigram *model, trie_building *b, size_t node, size_t depth,
                           size_t count)
{
  const cdl_vocabulary *v = b->vocabulary;
  uint32_t at = b->low[node];
  const uint32_t end = b->high[node];
  model->children[node] = (uint32_t)count;
  model->pieces[node] = -1;
  if (at < end && v->length[b->sorted[at]] == depth)
    model->pieces[node] = (int32_t)b->sorted[at++];
  while (at < end) {
    const uint8_t byte = v->text.data[v->offset[b->sorted[at]] + depth];
    b->low[count] = at;
    while (at < end && v->text.data[v->offset[b->sorted[at]] + depth] == byte)
      at++;
    b->high[count] = at;
    model->bytes[count++] = byte;
  }
  return count;
}

/* Level by level, so that the children of neighbours are neighbours. Node 0 is the empty text. */
static void build_trie(cdl_unigram *model, trie_building *b, size_t pieces)
{
  size_t count = 1;
  b->low[0] = 0;
  b->high[0] = (uint32_t)pieces;
  for (size_t node = 0, depth = 0, level_end = 1; node < count; node++) {
    if (node == level_end) {
      level_end = count;
      depth++;
    }
    count = add_children(model, b, node, depth, count);
  }
  model->children[count] = (uint32_t)count;
  for (size_t byte = 0; byte < 256; byte++)
    model->first[byte] = child_of(model, 0, (uint8_t)byte);
}

cdl_status cdl_unigram_prepare(cdl_tokenizer *tokenizer)
{
  const cdl_vocabulary *vocabulary = &tokenizer->vocabulary;
  cdl_unigram *model = &tokenizer->unigram;
  const size_t nodes = vocabulary->text.count + 2; /* a byte each, at most, and the root */
  uint32_t *sorted = calloc(vocabulary->count + 1, sizeof *sorted);
  trie_building b = {.vocabulary = vocabulary,
                     .sorted = sorted,
                     .low = malloc(nodes * sizeof *b.low),
                     .high = malloc(nodes * sizeof *b.high)};
  model->children = malloc((nodes + 1) * sizeof *model->children);
  model->pieces = malloc(nodes * sizeof *model->pieces);
  model->bytes = malloc(nodes);
  const bool complete = sorted != NULL && b.low != NULL && b.high != NULL &&
                        model->children != NULL && model->pieces != NULL && model->bytes != NULL;
  if (complete) {
    double least = 0;
    for (size_t i = 0; i < vocabulary->count; i++) {
      sorted[i] = (uint32_t)i;
      least = i == 0 || model->scores[i] < least ? model->scores[i] : least;
    }
    const double penalty = 10;
    model->unknown_score = least - penalty;
    qsort_r(sorted, vocabulary->count, sizeof *sorted, by_text, (void *)(uintptr_t)vocabulary);
    build_trie(model, &b, vocabulary->count);
  }
  free(sorted);
  free(b.low);
  free(b.high);
  return complete ? CDL_OK
                  : cdl_fail(CDL_MEMORY, "out of memory for %zu pieces", vocabulary->count);
}

cdl_status cdl_unigram_add(cdl_tokenizer *tokenizer, const char *piece, size_t bytes, double score)
{
  cdl_unigram *model = &tokenizer->unigram;
  const size_t id = tokenizer->vocabulary.count;
  if (id == model->score_capacity) {
    const size_t capacity = 2 * id + 1024;
    CDL_TRY(cdl_grow(&model->scores, capacity, sizeof *model->scores));
    model->score_capacity = capacity;
  }
  if (!__builtin_isfinite(score))
    return cdl_fail(CDL_DATA, "piece \"%.64s\": the score is not a number", piece);
  CDL_TRY(cdl_vocabulary_add(&tokenizer->vocabulary, piece, bytes, (int64_t)id));
  model->scores[id] = score;
  return CDL_OK;
}

cdl_status cdl_unigram_add_step(cdl_unigram *model, const cdl_text_step *step)
{
  CDL_TRY(cdl_grow(&model->steps, model->step_count + 1, sizeof *model->steps));
  cdl_text_step *added = &model->steps[model->step_count++];
  *added = *step;
  added->pattern = NULL;
  added->content = NULL;
  if (step->kind != CDL_STEP_REPLACE)
    return CDL_OK;
  added->pattern = strdup(step->pattern);
  added->content = strdup(step->content);
  if (added->pattern == NULL || added->content == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory for a normalizer");
  added->pattern_bytes = strlen(added->pattern);
  added->content_bytes = strlen(added->content);
  return CDL_OK;
}

void cdl_unigram_release(cdl_unigram *model)
{
  for (size_t i = 0; i < model->step_count; i++) {
    free(model->steps[i].pattern);
    free(model->steps[i].content);
  }
  free(model->steps);
  cdl_charsmap_release(&model->charsmap);
  free(model->scores);
  free(model->children);
  free(model->pieces);
  free(model->bytes);
}
