#include "condlora/tokenizer.h"

#include <stdlib.h>
#include <time.h>

#include "base/file.h"
#include "base/utf8.h"
#include "model/hub/resolve.h"
#include "model/tokenizer/parts.h"

/* ---- Opening ---- */

int32_t tokenizer_find(const cdl_tokenizer *tokenizer, const char *text, size_t bytes)
{
  const int32_t id = tokenizer_vocabulary_find(&tokenizer->vocabulary, text, bytes);
  return id >= 0 ? id : tokenizer_vocabulary_find(&tokenizer->extra, text, bytes);
}

cdl_status tokenizer_template_add(tokenizer_template *to, int kind, int32_t id, int32_t type_id)
{
  CDL_TRY(base_grow(&to->pieces, to->count + 1, sizeof *to->pieces));
  tokenizer_template_piece *piece = &to->pieces[to->count++];
  *piece = (tokenizer_template_piece){.id = id, .type_id = type_id};
  piece->kind = kind == TOKENIZER_PIECE_FIRST    ? TOKENIZER_PIECE_FIRST
                : kind == TOKENIZER_PIECE_SECOND ? TOKENIZER_PIECE_SECOND
                                                 : TOKENIZER_PIECE_TOKEN;
  if (kind == TOKENIZER_PIECE_TOKEN)
    to->tokens++;
  return CDL_STATUS_OK;
}

cdl_status tokenizer_template_check(const cdl_tokenizer *tokenizer, const char *path,
                                    const char *text, int64_t id)
{
  if (tokenizer_find(tokenizer, text, strlen(text)) < 0)
    return cdl_fail(CDL_STATUS_DATA, "%s: the special token \"%.64s\" is not in the vocabulary",
                    path, text);
  if (id < 0 || id >= TOKENIZER_TOKEN_ID_END || cdl_tokenizer_token(tokenizer, (int32_t)id) == NULL)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: the special token \"%.64s\" has id %lld, which is not in the vocabulary",
                    path, text, (long long)id);
  return CDL_STATUS_OK;
}

cdl_status tokenizer_template_usual(cdl_tokenizer *tokenizer, bool roberta, int32_t begin,
                                    int32_t end)
{
  const int32_t second = roberta ? 0 : 1;
  tokenizer_template *single = &tokenizer->single, *pair = &tokenizer->pair;
  CDL_TRY(tokenizer_template_add(single, TOKENIZER_PIECE_TOKEN, begin, 0));
  CDL_TRY(tokenizer_template_add(single, TOKENIZER_PIECE_FIRST, 0, 0));
  CDL_TRY(tokenizer_template_add(single, TOKENIZER_PIECE_TOKEN, end, 0));
  CDL_TRY(tokenizer_template_add(pair, TOKENIZER_PIECE_TOKEN, begin, 0));
  CDL_TRY(tokenizer_template_add(pair, TOKENIZER_PIECE_FIRST, 0, 0));
  CDL_TRY(tokenizer_template_add(pair, TOKENIZER_PIECE_TOKEN, end, 0));
  if (roberta)
    CDL_TRY(tokenizer_template_add(pair, TOKENIZER_PIECE_TOKEN, end, 0));
  CDL_TRY(tokenizer_template_add(pair, TOKENIZER_PIECE_SECOND, 0, second));
  return tokenizer_template_add(pair, TOKENIZER_PIECE_TOKEN, end, second);
}

static tokenizer_way way_of(const cdl_tokenizer *tokenizer)
{
  const tokenizer_pre_tokenizer *pre = &tokenizer->pre_tokenizer;
  if (tokenizer->kind == TOKENIZER_MODEL_WORDPIECE && tokenizer->pre_kind == TOKENIZER_PRE_BERT &&
      tokenizer->normal_steps.count == tokenizer->normalizer.present)
    return TOKENIZER_WAY_BERT;
  if (tokenizer->kind == TOKENIZER_MODEL_BPE && tokenizer->pre_kind == TOKENIZER_PRE_BYTE_LEVEL &&
      tokenizer->bpe.prefix_bytes == 0 && tokenizer->bpe.suffix_bytes == 0 &&
      !tokenizer->bpe.byte_fallback)
    return TOKENIZER_WAY_BYTES;
  const bool spaces_first = pre->count == 2 && pre->steps[0].kind == TOKENIZER_CUT_SPACES;
  if (tokenizer->kind == TOKENIZER_MODEL_UNIGRAM && (pre->count == 1 || spaces_first) &&
      pre->steps[pre->count - 1].kind == TOKENIZER_CUT_METASPACE)
    return TOKENIZER_WAY_METASPACE;
  return TOKENIZER_WAY_STEPS;
}

cdl_status tokenizer_settle_normalizer(cdl_tokenizer *tokenizer)
{
  tokenizer_bert_normalizer *bert = &tokenizer->normalizer;
  tokenizer_normal_step *step = tokenizer->normal_steps.steps;
  if (bert->strip_as_lowercase)
    bert->strip_accents = bert->lowercase;
  if (!bert->present)
    return CDL_STATUS_OK;
  if (tokenizer->normal_steps.count == 0)
    CDL_TRY(tokenizer_normalizer_add(&tokenizer->normal_steps, &step));
  step->kind = TOKENIZER_NORMAL_BERT;
  step->bert = *bert;
  return CDL_STATUS_OK;
}

/* Makes steps from files and settings, and chooses a way. */
static cdl_status compile(cdl_tokenizer *tokenizer)
{
  tokenizer_cut_step *cut;
  if (tokenizer->pre_kind == TOKENIZER_PRE_BERT) {
    CDL_TRY(tokenizer_pre_tokenizer_add(&tokenizer->pre_tokenizer, TOKENIZER_CUT_SPACES, &cut));
    CDL_TRY(
        tokenizer_pre_tokenizer_add(&tokenizer->pre_tokenizer, TOKENIZER_CUT_PUNCTUATION, &cut));
    cut->behavior = TOKENIZER_SPLIT_ISOLATED;
  }
  if (tokenizer->pre_kind == TOKENIZER_PRE_BYTE_LEVEL)
    tokenizer->pre_tokenizer.steps[0].add_prefix_space = tokenizer->bpe.add_prefix_space;
  tokenizer_wordpiece_prepare_bytes(tokenizer);
  tokenizer->way = way_of(tokenizer);
  return CDL_STATUS_OK;
}

static cdl_status open_folder(const char *folder, cdl_tokenizer **tokenizer)
{
  cdl_tokenizer *opened = calloc(1, sizeof *opened);
  if (opened == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a tokenizer");
  struct timespec now = {0};
  clock_gettime(CLOCK_MONOTONIC, &now);
  opened->stamp = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  cdl_status status = tokenizer_load(folder, opened);
  if (status == CDL_STATUS_OK)
    status = compile(opened);
  if (status != CDL_STATUS_OK) {
    cdl_tokenizer_close(opened);
    return status;
  }
  *tokenizer = opened;
  return CDL_STATUS_OK;
}

cdl_status cdl_tokenizer_open(const char *model, cdl_tokenizer **tokenizer)
{
  cdl_hub_source *source;
  *tokenizer = NULL;
  CDL_TRY(hub_resolve(model, CDL_HUB_TOKENIZER, &source));
  const cdl_status status = open_folder(cdl_hub_source_folder(source), tokenizer);
  cdl_hub_source_close(source);
  return status;
}

void cdl_tokenizer_close(cdl_tokenizer *tokenizer)
{
  if (tokenizer == NULL)
    return;
  tokenizer_vocabulary_release(&tokenizer->vocabulary);
  tokenizer_vocabulary_release(&tokenizer->extra);
  tokenizer_added_release(&tokenizer->added);
  tokenizer_normalizer_release(&tokenizer->normal_steps);
  tokenizer_pre_tokenizer_release(&tokenizer->pre_tokenizer);
  tokenizer_wordpiece_release(&tokenizer->wordpiece);
  tokenizer_bpe_release(&tokenizer->bpe);
  tokenizer_unigram_release(&tokenizer->unigram);
  free(tokenizer->single.pieces);
  free(tokenizer->pair.pieces);
  free(tokenizer);
}

int32_t cdl_tokenizer_vocabulary_size(const cdl_tokenizer *tokenizer)
{
  const int32_t own = tokenizer->vocabulary.id_end, extra = tokenizer->extra.id_end;
  return own > extra ? own : extra;
}

const char *cdl_tokenizer_token(const cdl_tokenizer *tokenizer, int32_t id)
{
  const char *text = tokenizer_vocabulary_text(&tokenizer->vocabulary, id);
  return text != NULL ? text : tokenizer_vocabulary_text(&tokenizer->extra, id);
}

/* ---- Encoding ---- */

/* Gives the text itself if it is well-formed, otherwise a copy with U+FFFD for each ill-formed
 * part. */
static cdl_status mend(tokenizer_scratch *scratch, const uint8_t **text, size_t *bytes)
{
  size_t good = base_utf8_well_formed(*text, *bytes);
  if (good == *bytes)
    return CDL_STATUS_OK;
  base_bytes *clean = &scratch->clean;
  clean->count = 0;
  const uint8_t *at = *text;
  size_t left = *bytes;
  while (left != 0) {
    CDL_TRY(base_bytes_append(clean, at, good));
    at += good;
    left -= good;
    if (left == 0)
      break;
    size_t subpart;
    base_utf8_sequence(at, left, &subpart);
    CDL_TRY(base_bytes_append(clean, "\xef\xbf\xbd", 3));
    at += subpart;
    left -= subpart;
    good = base_utf8_well_formed(at, left);
  }
  *text = clean->data;
  *bytes = clean->count;
  return CDL_STATUS_OK;
}

bool tokenizer_normalizes(const cdl_tokenizer *tokenizer)
{
  return tokenizer->normal_steps.count > 0;
}

cdl_status tokenizer_normalize(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                               const uint8_t *text, size_t bytes, size_t *origin, base_bytes *out)
{
  return tokenizer_normalizer_apply(&tokenizer->normal_steps, &scratch->normalizing, text, bytes,
                                    origin, out);
}

cdl_status tokenizer_check_unknown(int32_t unknown)
{
  return unknown >= 0
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_DATA, "the text has what the tokenizer's vocabulary lacks, "
                                         "and that lacks an unknown token");
}

/* Encodes a piece by the model. */
static cdl_status encode_new_piece(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                                   const uint8_t *piece, size_t bytes, base_ids *ids)
{
  switch (tokenizer->kind) {
  case TOKENIZER_MODEL_BPE:
    return tokenizer_bpe_encode(tokenizer, scratch, piece, bytes, false, ids);
  case TOKENIZER_MODEL_UNIGRAM:
    return tokenizer_unigram_encode_piece(tokenizer, scratch, piece, bytes, ids);
  case TOKENIZER_MODEL_WORDPIECE:
    return tokenizer_wordpiece_encode_word(tokenizer, scratch, piece, bytes, ids);
  case TOKENIZER_MODEL_WORDLEVEL:
    break;
  }
  int32_t id = tokenizer_vocabulary_find(&tokenizer->vocabulary, piece, bytes);
  if (id < 0)
    CDL_TRY(tokenizer_check_unknown(id = tokenizer->word_unknown));
  CDL_TRY(base_ids_reserve(ids, 1));
  ids->data[ids->count++] = id;
  return CDL_STATUS_OK;
}

static cdl_status encode_piece(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                               const uint8_t *piece, size_t bytes, base_ids *ids)
{
  const uint64_t hash = tokenizer_word_hash(piece, bytes);
  CDL_TRY(base_ids_reserve(ids, UINT16_MAX)); /* the most that the cache holds for a word */
  if (tokenizer_word_recall(&scratch->cache, hash, piece, bytes, ids))
    return CDL_STATUS_OK;
  const size_t before = ids->count;
  CDL_TRY(encode_new_piece(tokenizer, scratch, piece, bytes, ids));
  tokenizer_word_remember(&scratch->cache, hash, piece, bytes, ids->data + before,
                          ids->count - before);
  return CDL_STATUS_OK;
}

static cdl_status encode_by_steps(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                                  const uint8_t *text, size_t bytes, size_t origin, base_ids *ids)
{
  CDL_TRY(tokenizer_pre_tokenizer_apply(&tokenizer->pre_tokenizer, &scratch->cutting, text, bytes,
                                        origin));
  const tokenizer_pieces *pieces = &scratch->cutting.pieces;
  size_t begin = 0;
  for (size_t i = 0; i < pieces->count; i++) {
    CDL_TRY(
        encode_piece(tokenizer, scratch, pieces->text.data + begin, pieces->ends[i] - begin, ids));
    begin = pieces->ends[i];
  }
  return CDL_STATUS_OK;
}

/* Encodes text without added tokens. `normal`: it is already normalized, and its first `origin`
 * bytes come from the original text's first character. */
static cdl_status encode_model(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                               const uint8_t *text, size_t bytes, bool normal, size_t origin,
                               base_ids *ids)
{
  if (tokenizer->way == TOKENIZER_WAY_BERT)
    return tokenizer_wordpiece_encode(tokenizer, scratch, text, bytes, normal, ids);
  if (!normal && tokenizer_normalizes(tokenizer)) {
    CDL_TRY(tokenizer_normalize(tokenizer, scratch, text, bytes, &origin, &scratch->spaced));
    text = scratch->spaced.data;
    bytes = scratch->spaced.count;
  }
  if (bytes == 0)
    return CDL_STATUS_OK;
  switch (tokenizer->way) {
  case TOKENIZER_WAY_BYTES:
    return tokenizer_byte_bpe_encode(tokenizer, scratch, text, bytes, ids);
  case TOKENIZER_WAY_METASPACE:
    return tokenizer_unigram_encode(tokenizer, scratch, text, bytes, origin, ids);
  case TOKENIZER_WAY_BERT:
  case TOKENIZER_WAY_STEPS:
    break;
  }
  return encode_by_steps(tokenizer, scratch, text, bytes, origin, ids);
}

/* Encodes text between the tokens that are searched in the original text: normalizes it and
 * searches it for the others. */
static cdl_status encode_between(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                                 const uint8_t *text, size_t bytes, size_t origin, base_ids *ids)
{
  if (tokenizer->added.normal.count == 0)
    return encode_model(tokenizer, scratch, text, bytes, false, origin, ids);
  if (tokenizer_normalizes(tokenizer)) {
    CDL_TRY(tokenizer_normalize(tokenizer, scratch, text, bytes, &origin, &scratch->spaced));
    text = scratch->spaced.data;
    bytes = scratch->spaced.count;
  }
  tokenizer_added_walk walk;
  CDL_TRY(
      tokenizer_added_start(&tokenizer->added.normal, text, bytes, &scratch->normal_hits, &walk));
  tokenizer_stretch stretch;
  while (tokenizer_added_next(&walk, &stretch)) {
    const size_t marked = stretch.begin < origin ? origin - stretch.begin : 0;
    const size_t length = stretch.end - stretch.begin;
    if (stretch.id < 0) {
      CDL_TRY(encode_model(tokenizer, scratch, text + stretch.begin, length, true,
                           marked < length ? marked : length, ids));
    } else {
      CDL_TRY(base_ids_reserve(ids, 1));
      ids->data[ids->count++] = stretch.id;
    }
  }
  return CDL_STATUS_OK;
}

/* Returns the bytes of the text's first character. */
static size_t first_character(const uint8_t *text, size_t bytes)
{
  size_t subpart;
  return bytes > 0 ? base_utf8_sequence(text, bytes, &subpart) : 0;
}

static cdl_status encode_text(const cdl_tokenizer *tokenizer, tokenizer_scratch *scratch,
                              const uint8_t *text, size_t bytes, base_ids *ids)
{
  ids->count = 0;
  CDL_TRY(mend(scratch, &text, &bytes));
  tokenizer_added_walk walk;
  CDL_TRY(tokenizer_added_start(&tokenizer->added.raw, text, bytes, &scratch->raw_hits, &walk));
  tokenizer_stretch stretch;
  while (tokenizer_added_next(&walk, &stretch)) {
    if (stretch.id < 0) {
      CDL_TRY(encode_between(tokenizer, scratch, text + stretch.begin, stretch.end - stretch.begin,
                             stretch.begin == 0 ? first_character(text, bytes) : 0, ids));
    } else {
      CDL_TRY(base_ids_reserve(ids, 1));
      ids->data[ids->count++] = stretch.id;
    }
  }
  return CDL_STATUS_OK;
}

/* Gives the number of ids of each text that stay. If both must be cut, the longer one, or the
 * second of two equals, keeps the odd one. */
static void longest_first(size_t room, size_t *first, size_t *second)
{
  const bool first_is_longer = *first > *second;
  const size_t shorter = first_is_longer ? *second : *first;
  if (*first <= room && *second <= room - *first)
    return;
  size_t kept_shorter = shorter, kept_longer = shorter <= room / 2 ? room - shorter : 0;
  if (shorter > room / 2) {
    kept_shorter = room / 2;
    kept_longer = room - room / 2;
  }
  *first = first_is_longer ? kept_longer : kept_shorter;
  *second = first_is_longer ? kept_shorter : kept_longer;
}

/* The part of a text that truncation leaves. */
typedef struct {
  const int32_t *ids;
  size_t count;
} kept_ids;

static kept_ids kept_of(const cdl_tokenizer *tokenizer, const base_ids *ids, size_t count)
{
  const size_t begin = tokenizer->truncates_left ? ids->count - count : 0;
  return (kept_ids){.ids = count != 0 ? ids->data + begin : NULL, .count = count};
}

static cdl_status scratch_of(const cdl_tokenizer *tokenizer, cdl_encoding *encoding,
                             tokenizer_scratch **scratch)
{
  if (encoding->scratch == NULL)
    encoding->scratch = calloc(1, sizeof **scratch);
  tokenizer_scratch *own = encoding->scratch;
  if (own == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for an encoding");
  if (own->cache.slots == NULL)
    own->cache.slots = calloc(TOKENIZER_WORD_SLOTS, sizeof *own->cache.slots);
  if (own->cache.arena == NULL)
    own->cache.arena = malloc(TOKENIZER_WORD_ARENA);
  if (own->cache.slots == NULL || own->cache.arena == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for an encoding");
  if (own->owner != tokenizer->stamp) {
    tokenizer_word_forget(&own->cache);
    own->owner = tokenizer->stamp;
  }
  *scratch = own;
  return CDL_STATUS_OK;
}

/* Makes room for `count` ids, at least one. */
static cdl_status make_room(cdl_encoding *encoding, size_t count)
{
  tokenizer_scratch *scratch = encoding->scratch;
  if (count < scratch->result_capacity)
    return CDL_STATUS_OK;
  const size_t capacity = count + count / 2 + 64;
  CDL_TRY(base_grow(&encoding->ids, capacity, sizeof *encoding->ids));
  CDL_TRY(base_grow(&encoding->type_ids, capacity, sizeof *encoding->type_ids));
  scratch->result_capacity = capacity;
  return CDL_STATUS_OK;
}

cdl_status cdl_tokenizer_encode(const cdl_tokenizer *tokenizer, const char *first,
                                size_t first_bytes, const char *second, size_t second_bytes,
                                size_t max_length, cdl_encoding *encoding)
{
  const tokenizer_template *template = second != NULL ? &tokenizer->pair : &tokenizer->single;
  if (max_length != 0 && max_length < template->tokens)
    return cdl_fail(CDL_STATUS_ARGUMENT, "max_length is %zu, but the special tokens alone are %zu",
                    max_length, template->tokens);
  if (first_bytes > INT32_MAX || second_bytes > INT32_MAX)
    return cdl_fail(CDL_STATUS_ARGUMENT, "a text of %zu bytes, expected at most %d",
                    first_bytes > second_bytes ? first_bytes : second_bytes, INT32_MAX);
  tokenizer_scratch *scratch = NULL;
  CDL_TRY(scratch_of(tokenizer, encoding, &scratch));
  CDL_TRY(encode_text(tokenizer, scratch, (const uint8_t *)first, first_bytes, &scratch->first));
  scratch->second.count = 0;
  if (second != NULL)
    CDL_TRY(
        encode_text(tokenizer, scratch, (const uint8_t *)second, second_bytes, &scratch->second));

  size_t kept_first = scratch->first.count, kept_second = scratch->second.count;
  if (max_length != 0)
    longest_first(max_length - template->tokens, &kept_first, &kept_second);
  encoding->truncated = kept_first < scratch->first.count || kept_second < scratch->second.count;
  const kept_ids first_kept = kept_of(tokenizer, &scratch->first, kept_first),
                 second_kept = kept_of(tokenizer, &scratch->second, kept_second);
  encoding->count = 0;
  for (size_t i = 0; i < template->count; i++) {
    const tokenizer_template_piece *piece = &template->pieces[i];
    const kept_ids kept = piece->kind == TOKENIZER_PIECE_TOKEN   ? (kept_ids){&piece->id, 1}
                          : piece->kind == TOKENIZER_PIECE_FIRST ? first_kept
                                                                 : second_kept;
    CDL_TRY(make_room(encoding, encoding->count + kept.count));
    if (kept.count != 0)
      memcpy(encoding->ids + encoding->count, kept.ids, kept.count * sizeof *kept.ids);
    for (size_t k = 0; k < kept.count; k++)
      encoding->type_ids[encoding->count + k] = tokenizer->types_zero ? 0 : piece->type_id;
    encoding->count += kept.count;
  }
  return CDL_STATUS_OK;
}

void cdl_encoding_release(cdl_encoding *encoding)
{
  if (encoding == NULL)
    return;
  free(encoding->ids);
  free(encoding->type_ids);
  tokenizer_scratch_release(encoding->scratch);
  *encoding = (cdl_encoding){0};
}
