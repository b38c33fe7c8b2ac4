#include "model/tokenizer/pre_tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "model/tokenizer/normalizer.h"
#include "model/tokenizer/unicode_text.h"

/* ---- Pieces ---- */

static cdl_status end_piece(tokenizer_pieces *pieces)
{
  const size_t begin = pieces->count > 0 ? pieces->ends[pieces->count - 1] : 0;
  if (pieces->text.count == begin) /* an empty text is no piece */
    return CDL_STATUS_OK;
  if (pieces->count == pieces->capacity) {
    const size_t capacity = 2 * pieces->capacity + 64;
    CDL_TRY(base_grow(&pieces->ends, capacity, sizeof *pieces->ends));
    pieces->capacity = capacity;
  }
  pieces->ends[pieces->count++] = pieces->text.count;
  return CDL_STATUS_OK;
}

/* A part of a piece. Its first `origin` bytes come from the text's first character. */
typedef struct {
  const uint8_t *text;
  size_t bytes, origin;
} piece;

static cdl_status put_piece(tokenizer_pieces *to, const piece *from, size_t begin, size_t end)
{
  CDL_TRY(base_bytes_append(&to->text, from->text + begin, end - begin));
  if (begin < from->origin)
    to->origin = to->text.count - (end > from->origin ? end - from->origin : 0);
  return end_piece(to);
}

/* ---- Cuts: matches, and the text between them ---- */

static cdl_status add_cut(tokenizer_cut_scratch *scratch, size_t begin, size_t end, bool match)
{
  if (scratch->cut_count == scratch->cut_capacity) {
    const size_t capacity = 2 * scratch->cut_capacity + 64;
    CDL_TRY(base_grow(&scratch->cuts, capacity, sizeof *scratch->cuts));
    scratch->cut_capacity = capacity;
  }
  scratch->cuts[scratch->cut_count++] = (tokenizer_cut){.begin = begin, .end = end, .match = match};
  return CDL_STATUS_OK;
}

static bool is_looked_for(const tokenizer_cut_step *step, uint32_t c)
{
  switch (step->kind) {
  case TOKENIZER_CUT_SPACES:
    return tokenizer_is_space(c);
  case TOKENIZER_CUT_PUNCTUATION:
    return tokenizer_is_bert_punctuation(c);
  case TOKENIZER_CUT_DIGITS:
    return tokenizer_is_numeric(c);
  default:
    return c == step->character;
  }
}

/* Each matching character is a separate match. */
static cdl_status cut_at_characters(const tokenizer_cut_step *step, const piece *in,
                                    tokenizer_cut_scratch *scratch)
{
  const uint8_t *at = in->text, *const end = at + in->bytes;
  size_t last = 0;
  while (at < end) {
    const size_t begin = (size_t)(at - in->text);
    if (!is_looked_for(step, base_utf8_next(&at)))
      continue;
    if (last < begin)
      CDL_TRY(add_cut(scratch, last, begin, false));
    last = (size_t)(at - in->text);
    CDL_TRY(add_cut(scratch, begin, last, true));
  }
  return last < in->bytes ? add_cut(scratch, last, in->bytes, false) : CDL_STATUS_OK;
}

/* \w+|[^\w\s]+; everything else is removed. */
static cdl_status cut_at_words(const piece *in, tokenizer_cut_scratch *scratch)
{
  enum { SPACE, WORD, OTHER, NOTHING };
  const uint8_t *at = in->text, *const end = at + in->bytes;
  size_t begin = 0;
  int kind = NOTHING;
  while (at < end) {
    const size_t here = (size_t)(at - in->text);
    const uint32_t c = base_utf8_next(&at);
    const int next = tokenizer_is_word_character(c) ? WORD : tokenizer_is_space(c) ? SPACE : OTHER;
    if (next != kind && kind != NOTHING)
      CDL_TRY(add_cut(scratch, begin, here, kind == SPACE));
    if (next != kind)
      begin = here;
    kind = next;
  }
  return add_cut(scratch, begin, in->bytes, kind == SPACE);
}

static cdl_status cut_by_pattern(const tokenizer_cut_step *step, const piece *in,
                                 tokenizer_cut_scratch *scratch)
{
  tokenizer_text_walk walk = {.pattern = &step->pattern, .text = in->text, .bytes = in->bytes};
  size_t last = 0, begin, end;
  bool found;
  for (;;) {
    CDL_TRY(tokenizer_text_walk_next(&walk, &scratch->matcher, &begin, &end, &found));
    if (!found)
      break;
    if (last != begin)
      CDL_TRY(add_cut(scratch, last, begin, step->invert));
    CDL_TRY(add_cut(scratch, begin, end, !step->invert));
    last = end;
  }
  return last != in->bytes ? add_cut(scratch, last, in->bytes, step->invert) : CDL_STATUS_OK;
}

/* ---- The treatment of cuts ---- */

/* Returns whether a cut joins the one before it, in the order of processing. */
static bool joins(tokenizer_split_behavior behavior, bool match, bool match_before)
{
  return behavior == TOKENIZER_SPLIT_CONTIGUOUS ? match == match_before : match && !match_before;
}

static cdl_status put_forwards(tokenizer_split_behavior behavior,
                               const tokenizer_cut_scratch *scratch, const piece *in,
                               tokenizer_pieces *out)
{
  const tokenizer_cut *cuts = scratch->cuts;
  size_t begin = 0;
  for (size_t i = 0; i < scratch->cut_count; i++) {
    if (i == 0 || !joins(behavior, cuts[i].match, cuts[i - 1].match)) {
      if (i > 0)
        CDL_TRY(put_piece(out, in, begin, cuts[i - 1].end));
      begin = cuts[i].begin;
    }
  }
  return scratch->cut_count > 0 ? put_piece(out, in, begin, cuts[scratch->cut_count - 1].end)
                                : CDL_STATUS_OK;
}

/* From the end to the beginning, a match joins the text after it. The cuts become those of the
 * pieces. */
static cdl_status put_backwards(tokenizer_cut_scratch *scratch, const piece *in,
                                tokenizer_pieces *out)
{
  tokenizer_cut *cuts = scratch->cuts;
  size_t first = scratch->cut_count; /* of the pieces, which are built at the array's end */
  bool before = false;
  for (size_t i = scratch->cut_count; i-- > 0;) {
    const tokenizer_cut cut = cuts[i];
    if (cut.match && !before && first < scratch->cut_count)
      cuts[first].begin = cut.begin;
    else
      cuts[--first] = cut;
    before = cut.match;
  }
  for (size_t i = first; i < scratch->cut_count; i++)
    CDL_TRY(put_piece(out, in, cuts[i].begin, cuts[i].end));
  return CDL_STATUS_OK;
}

static cdl_status put_cuts(tokenizer_split_behavior behavior, tokenizer_cut_scratch *scratch,
                           const piece *in, tokenizer_pieces *out)
{
  if (behavior == TOKENIZER_SPLIT_MERGED_WITH_NEXT)
    return put_backwards(scratch, in, out);
  if (behavior == TOKENIZER_SPLIT_CONTIGUOUS || behavior == TOKENIZER_SPLIT_MERGED_WITH_PREVIOUS)
    return put_forwards(behavior, scratch, in, out);
  for (size_t i = 0; i < scratch->cut_count; i++)
    if (behavior == TOKENIZER_SPLIT_ISOLATED || !scratch->cuts[i].match)
      CDL_TRY(put_piece(out, in, scratch->cuts[i].begin, scratch->cuts[i].end));
  return CDL_STATUS_OK;
}

/* ---- Steps that change the text ---- */

static bool is_character_at(const tokenizer_metaspace *m, const uint8_t *text, size_t bytes,
                            size_t at)
{
  return bytes - at >= m->space_bytes && memcmp(text + at, m->space, m->space_bytes) == 0;
}

static cdl_status metaspace(const tokenizer_metaspace *m, const piece *in, base_bytes *word,
                            tokenizer_pieces *out)
{
  piece spaced = {0};
  word->count = 0;
  const bool here = m->prepend == TOKENIZER_PREPEND_ALWAYS ||
                    (m->prepend == TOKENIZER_PREPEND_FIRST && in->origin > 0);
  if (here && in->text[0] != ' ' && !is_character_at(m, in->text, in->bytes, 0))
    CDL_TRY(base_bytes_append(word, m->space, m->space_bytes));
  for (size_t i = 0; i < in->bytes; i++) {
    CDL_TRY(in->text[i] == ' ' ? base_bytes_append(word, m->space, m->space_bytes)
                               : base_bytes_append(word, in->text + i, 1));
    if (i < in->origin)
      spaced.origin = word->count;
  }
  spaced.text = word->data;
  spaced.bytes = word->count;
  size_t begin = 0;
  for (size_t at = 1; m->split && at < spaced.bytes; at++)
    if (is_character_at(m, spaced.text, spaced.bytes, at)) {
      CDL_TRY(put_piece(out, &spaced, begin, at));
      begin = at;
    }
  return put_piece(out, &spaced, begin, spaced.bytes);
}

static cdl_status byte_level(const tokenizer_pre_tokenizer *pre, const tokenizer_cut_step *step,
                             const piece *in, tokenizer_cut_scratch *scratch, tokenizer_pieces *out)
{
  const bool prefix = step->add_prefix_space && in->text[0] != ' ';
  const size_t bytes = in->bytes + prefix, origin = in->origin > 0 ? in->origin + prefix : 0;
  base_bytes *word = &scratch->word;
  word->count = 0;
  if (prefix)
    CDL_TRY(base_bytes_append(word, " ", 1));
  CDL_TRY(base_bytes_append(word, in->text, in->bytes));
  for (size_t at = 0; at < bytes;) {
    size_t length = bytes;
    if (step->use_regex)
      CDL_TRY(tokenizer_byte_level_piece(&pre->bytes, &scratch->matcher, word->data, bytes, at,
                                         &length));
    const size_t marked = origin <= at ? 0 : origin - at < length ? origin - at : length;
    CDL_TRY(tokenizer_byte_characters(word->data + at, marked, &out->text));
    if (marked > 0)
      out->origin = out->text.count;
    CDL_TRY(tokenizer_byte_characters(word->data + at + marked, length - marked, &out->text));
    CDL_TRY(end_piece(out));
    at += length;
  }
  return CDL_STATUS_OK;
}

static cdl_status cut_by_length(const tokenizer_cut_step *step, const piece *in,
                                tokenizer_pieces *out)
{
  size_t begin = 0, characters = 0;
  for (size_t at = 0; at < in->bytes; at++) {
    if ((in->text[at] & 0xc0) == 0x80)
      continue;
    if (characters == step->length) {
      CDL_TRY(put_piece(out, in, begin, at));
      begin = at;
      characters = 0;
    }
    characters++;
  }
  return put_piece(out, in, begin, in->bytes);
}

/* ---- The steps in order ---- */

static cdl_status apply_step(const tokenizer_pre_tokenizer *pre, const tokenizer_cut_step *step,
                             tokenizer_cut_scratch *scratch, const piece *in, tokenizer_pieces *out)
{
  tokenizer_split_behavior behavior = step->behavior;
  scratch->cut_count = 0;
  switch (step->kind) {
  case TOKENIZER_CUT_BYTES:
    return byte_level(pre, step, in, scratch, out);
  case TOKENIZER_CUT_METASPACE:
    return metaspace(&step->metaspace, in, &scratch->word, out);
  case TOKENIZER_CUT_LENGTH:
    return cut_by_length(step, in, out);
  case TOKENIZER_CUT_WORDS:
    behavior = TOKENIZER_SPLIT_REMOVED;
    CDL_TRY(cut_at_words(in, scratch));
    break;
  case TOKENIZER_CUT_PATTERN:
    CDL_TRY(cut_by_pattern(step, in, scratch));
    break;
  case TOKENIZER_CUT_SPACES:
  case TOKENIZER_CUT_CHARACTER:
    behavior = TOKENIZER_SPLIT_REMOVED;
    CDL_TRY(cut_at_characters(step, in, scratch));
    break;
  case TOKENIZER_CUT_PUNCTUATION:
  case TOKENIZER_CUT_DIGITS:
    CDL_TRY(cut_at_characters(step, in, scratch));
    break;
  }
  return put_cuts(behavior, scratch, in, out);
}

cdl_status tokenizer_pre_tokenizer_apply(const tokenizer_pre_tokenizer *pre,
                                         tokenizer_cut_scratch *scratch, const uint8_t *text,
                                         size_t bytes, size_t origin)
{
  tokenizer_pieces *in = &scratch->others, *out = &scratch->pieces;
  const piece whole = {.text = text, .bytes = bytes, .origin = origin};
  out->count = out->text.count = out->origin = 0;
  CDL_TRY(put_piece(out, &whole, 0, bytes));
  for (size_t i = 0; i < pre->count; i++) {
    const tokenizer_pieces before = *out;
    *out = *in;
    *in = before;
    out->count = out->text.count = out->origin = 0;
    size_t begin = 0;
    for (size_t k = 0; k < in->count; k++) {
      const size_t end = in->ends[k];
      const size_t marked = in->origin <= begin ? 0 : in->origin - begin;
      const piece one = {.text = in->text.data + begin,
                         .bytes = end - begin,
                         .origin = marked < end - begin ? marked : end - begin};
      CDL_TRY(apply_step(pre, &pre->steps[i], scratch, &one, out));
      begin = end;
    }
  }
  return CDL_STATUS_OK;
}

/* ---- Preparation ---- */

cdl_status tokenizer_pre_tokenizer_add(tokenizer_pre_tokenizer *pre, enum tokenizer_cut_kind kind,
                                       tokenizer_cut_step **step)
{
  if (pre->count >= TOKENIZER_STEPS_MAX)
    return cdl_fail(CDL_STATUS_DATA, "more than %d steps", TOKENIZER_STEPS_MAX);
  CDL_TRY(base_grow(&pre->steps, pre->count + 1, sizeof *pre->steps));
  *step = &pre->steps[pre->count++];
  memset(*step, 0, sizeof **step);
  (*step)->kind = kind;
  return kind == TOKENIZER_CUT_BYTES ? tokenizer_byte_level_prepare(&pre->bytes) : CDL_STATUS_OK;
}

void tokenizer_pre_tokenizer_release(tokenizer_pre_tokenizer *pre)
{
  for (size_t i = 0; i < pre->count; i++)
    tokenizer_text_pattern_release(&pre->steps[i].pattern);
  free(pre->steps);
  tokenizer_byte_level_release(&pre->bytes);
  *pre = (tokenizer_pre_tokenizer){0};
}

static void release_pieces(tokenizer_pieces *pieces)
{
  free(pieces->text.data);
  free(pieces->ends);
}

void tokenizer_cut_scratch_release(tokenizer_cut_scratch *scratch)
{
  release_pieces(&scratch->pieces);
  release_pieces(&scratch->others);
  free(scratch->word.data);
  free(scratch->cuts);
  tokenizer_text_matcher_release(&scratch->matcher);
}
