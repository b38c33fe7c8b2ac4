#include "model/tokenizer/normalizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "model/tokenizer/byte_level.h"
#include "model/tokenizer/charsmap.h"
#include "model/tokenizer/unicode_text.h"

/* ---- BERT's ---- */

/* Removes accents and lowers in place. One code point may become two; then the result goes to
 * `sorted`. */
static cdl_status strip_and_lower(const tokenizer_bert_normalizer *normalizer, base_points *points,
                                  base_points *lowered)
{
  lowered->count = 0;
  CDL_TRY(base_points_reserve(lowered, 2 * points->count));
  for (size_t i = 0; i < points->count; i++) {
    const uint32_t c = points->data[i] & TOKENIZER_POINT_MASK;
    const uint32_t marks = points->data[i] & TOKENIZER_POINT_BEGINS;
    if (normalizer->strip_accents && tokenizer_is_bert_accent(c))
      continue;
    uint32_t lower[2] = {c, 0};
    const size_t count = normalizer->lowercase ? tokenizer_to_lower(c, lower) : 1;
    for (size_t k = 0; k < count; k++)
      lowered->data[lowered->count++] = lower[k] | marks;
  }
  const base_points swapped = *points;
  *points = *lowered;
  *lowered = swapped;
  return CDL_STATUS_OK;
}

cdl_status tokenizer_bert_points(const tokenizer_bert_normalizer *normalizer,
                                 tokenizer_normal_scratch *scratch, const uint8_t *text,
                                 const uint8_t *end, size_t origin)
{
  base_points *points = &scratch->points;
  const uint8_t *const marked = text + origin;
  points->count = 0;
  while (text < end) {
    const uint32_t marks = text < marked ? TOKENIZER_POINT_BEGINS : 0;
    CDL_TRY(base_points_reserve(points, TOKENIZER_DECOMPOSITION_MAX + 2));
    uint32_t c = base_utf8_next(&text);
    if (normalizer->clean_text) {
      if (tokenizer_is_bert_control(c))
        continue;
      if (tokenizer_is_space(c))
        c = ' ';
    }
    const bool apart = normalizer->handle_chinese_chars && tokenizer_is_bert_ideograph(c);
    if (apart)
      points->data[points->count++] = ' ' | marks;
    if (normalizer->strip_accents)
      tokenizer_points_decompose(points, c, false, marks);
    else
      points->data[points->count++] = c | marks;
    if (apart)
      points->data[points->count++] = ' ' | marks;
  }
  if (normalizer->strip_accents)
    CDL_TRY(tokenizer_points_order(points, &scratch->sorted));
  return normalizer->strip_accents || normalizer->lowercase
             ? strip_and_lower(normalizer, points, &scratch->sorted)
             : CDL_STATUS_OK;
}

/* ---- Other steps: each appends its result for `in` to `out`, and counts the origin anew ---- */

typedef struct {
  const uint8_t *data;
  size_t bytes, origin;
} stretch;

static bool is_ascii(const stretch *in)
{
  for (size_t i = 0; i < in->bytes; i++)
    if (in->data[i] >= 0x80)
      return false;
  return true;
}

/* Maps characters one by one, to at most two code points each. */
typedef size_t (*character_map)(uint32_t c, uint32_t out[2]);

static size_t unless_mark(uint32_t c, uint32_t out[2])
{
  out[0] = c;
  return !tokenizer_is_mark(c);
}

static size_t neural_translation(uint32_t c, uint32_t out[2])
{
  if ((c >= 0x01 && c <= 0x08) || c == 0x0b || (c >= 0x0e && c <= 0x1f) || c == 0x7f || c == 0x8f ||
      c == 0x9f)
    return 0;
  const bool space = c == 0x09 || c == 0x0a || c == 0x0c || c == 0x0d || c == 0x1680 ||
                     (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                     c == 0xfeff || c == 0xfffd;
  out[0] = space ? ' ' : c;
  return 1;
}

static cdl_status map_characters(const stretch *in, character_map map, base_bytes *out,
                                 size_t *origin)
{
  const uint8_t *at = in->data, *const end = at + in->bytes;
  while (at < end) {
    const bool begins = (size_t)(at - in->data) < in->origin;
    uint32_t points[2];
    const size_t count = map(base_utf8_next(&at), points);
    CDL_TRY(base_bytes_reserve(out, 8));
    for (size_t i = 0; i < count; i++)
      out->count += base_utf8_write(out->data + out->count, points[i]);
    if (begins)
      *origin = out->count;
  }
  return CDL_STATUS_OK;
}

/* Copies unchanged text. */
static cdl_status copy(const stretch *in, size_t begin, size_t end, base_bytes *out, size_t *origin)
{
  CDL_TRY(base_bytes_append(out, in->data + begin, end - begin));
  if (begin < in->origin)
    *origin = out->count - (end > in->origin ? end - in->origin : 0);
  return CDL_STATUS_OK;
}

/* Writes the replacement for the text before `end`, at the place of its last character. */
static cdl_status put_content(const tokenizer_normal_step *step, const stretch *in, size_t end,
                              base_bytes *out, size_t *origin)
{
  CDL_TRY(base_bytes_append(out, step->content, step->content_bytes));
  if (step->content_bytes > 0 && (end == 0 ? 0 : end - 1) < in->origin)
    *origin = out->count;
  return CDL_STATUS_OK;
}

static cdl_status replace_text(const tokenizer_normal_step *step, const stretch *in,
                               base_bytes *out, size_t *origin)
{
  size_t kept = 0;
  for (size_t at = 0; at < in->bytes;) {
    const uint8_t *hit = memchr(in->data + at, step->pattern[0], in->bytes - at);
    if (hit == NULL)
      break;
    at = (size_t)(hit - in->data);
    if (step->pattern_bytes > in->bytes - at ||
        memcmp(hit, step->pattern, step->pattern_bytes) != 0) {
      at++;
      continue;
    }
    CDL_TRY(copy(in, kept, at, out, origin));
    at += step->pattern_bytes;
    while (step->repeated && at < in->bytes && in->data[at] == (uint8_t)step->pattern[0])
      at++;
    CDL_TRY(put_content(step, in, at, out, origin));
    kept = at;
  }
  return copy(in, kept, in->bytes, out, origin);
}

static cdl_status replace_pattern(const tokenizer_normal_step *step, const stretch *in,
                                  tokenizer_text_matcher *matcher, base_bytes *out, size_t *origin)
{
  tokenizer_text_walk walk = {.pattern = &step->expression, .text = in->data, .bytes = in->bytes};
  size_t kept = 0, begin, end;
  bool found;
  for (;;) {
    CDL_TRY(tokenizer_text_walk_next(&walk, matcher, &begin, &end, &found));
    if (!found)
      return copy(in, kept, in->bytes, out, origin);
    CDL_TRY(copy(in, kept, begin, out, origin));
    CDL_TRY(put_content(step, in, end, out, origin));
    kept = end;
  }
}

static cdl_status strip(const tokenizer_normal_step *step, const stretch *in, base_bytes *out,
                        size_t *origin)
{
  size_t begin = 0, end = in->bytes;
  while (step->right && end > 0) {
    size_t before = end - 1;
    while (before > 0 && (in->data[before] & 0xc0) == 0x80)
      before--;
    const uint8_t *last = in->data + before;
    if (!tokenizer_is_space(base_utf8_next(&last)))
      break;
    end = before;
  }
  while (step->left && begin < end) {
    const uint8_t *next = in->data + begin;
    if (!tokenizer_is_space(base_utf8_next(&next)))
      break;
    begin = (size_t)(next - in->data);
  }
  return copy(in, begin, end, out, origin);
}

static cdl_status prepend(const tokenizer_normal_step *step, const stretch *in, base_bytes *out,
                          size_t *origin)
{
  CDL_TRY(base_bytes_append(out, step->content, step->content_bytes));
  CDL_TRY(copy(in, 0, in->bytes, out, origin));
  return CDL_STATUS_OK;
}

static cdl_status to_bytes(const stretch *in, base_bytes *out, size_t *origin)
{
  CDL_TRY(tokenizer_byte_characters(in->data, in->origin, out));
  *origin = out->count;
  return tokenizer_byte_characters(in->data + in->origin, in->bytes - in->origin, out);
}

static cdl_status replace_characters(const tokenizer_normal_step *step, const stretch *in,
                                     base_bytes *out, size_t *origin)
{
  if (in->origin > 0) { /* while the first character is alone */
    CDL_TRY(tokenizer_charsmap_apply(&step->charsmap, in->data, in->origin, out));
    *origin = out->count;
    out->count = 0;
  }
  CDL_TRY(tokenizer_charsmap_apply(&step->charsmap, in->data, in->bytes, out));
  if (in->origin > 0 && *origin == 0)
    *origin = 1;
  *origin = *origin < out->count ? *origin : out->count;
  return CDL_STATUS_OK;
}

static cdl_status apply_points(const tokenizer_normal_step *step, tokenizer_normal_scratch *scratch,
                               const stretch *in, base_bytes *out, size_t *origin)
{
  if (step->kind == TOKENIZER_NORMAL_BERT)
    CDL_TRY(
        tokenizer_bert_points(&step->bert, scratch, in->data, in->data + in->bytes, in->origin));
  else
    CDL_TRY(tokenizer_points_normalize(in->data, in->bytes, in->origin, step->form,
                                       &scratch->points, &scratch->sorted));
  return tokenizer_points_write(&scratch->points, out, origin);
}

static cdl_status apply_step(const tokenizer_normal_step *step, tokenizer_normal_scratch *scratch,
                             const stretch *in, base_bytes *out, size_t *origin)
{
  switch (step->kind) {
  case TOKENIZER_NORMAL_FORM:
    return is_ascii(in) ? copy(in, 0, in->bytes, out, origin)
                        : apply_points(step, scratch, in, out, origin);
  case TOKENIZER_NORMAL_LOWERCASE:
    return map_characters(in, tokenizer_to_lower, out, origin);
  case TOKENIZER_NORMAL_STRIP_ACCENTS:
    return is_ascii(in) ? copy(in, 0, in->bytes, out, origin)
                        : map_characters(in, unless_mark, out, origin);
  case TOKENIZER_NORMAL_NMT:
    return map_characters(in, neural_translation, out, origin);
  case TOKENIZER_NORMAL_CHARSMAP:
    return replace_characters(step, in, out, origin);
  case TOKENIZER_NORMAL_STRIP:
    return strip(step, in, out, origin);
  case TOKENIZER_NORMAL_REPLACE:
    return replace_text(step, in, out, origin);
  case TOKENIZER_NORMAL_REPLACE_PATTERN:
    return replace_pattern(step, in, &scratch->matcher, out, origin);
  case TOKENIZER_NORMAL_PREPEND:
    return prepend(step, in, out, origin);
  case TOKENIZER_NORMAL_BYTES:
    return to_bytes(in, out, origin);
  case TOKENIZER_NORMAL_BERT:
    break;
  }
  return apply_points(step, scratch, in, out, origin);
}

static cdl_status apply_steps(const tokenizer_normalizer *normalizer,
                              tokenizer_normal_scratch *scratch, stretch in, size_t *origin,
                              base_bytes *out)
{
  const size_t bytes = in.bytes;
  for (size_t i = 0; i < normalizer->count && in.bytes > 0; i++) {
    if (i > 0) {
      const base_bytes before = *out;
      *out = scratch->other;
      scratch->other = before;
      in.data = scratch->other.data;
      out->most = before.most;
    }
    out->count = 0;
    *origin = 0;
    const cdl_status status = apply_step(&normalizer->steps[i], scratch, &in, out, origin);
    if (status != CDL_STATUS_OK)
      return cdl_context(status, "a text of %zu bytes, step %zu of the normalizer", bytes, i + 1);
    in.bytes = out->count;
    in.origin = *origin;
  }
  return CDL_STATUS_OK;
}

cdl_status tokenizer_normalizer_apply(const tokenizer_normalizer *normalizer,
                                      tokenizer_normal_scratch *scratch, const uint8_t *text,
                                      size_t bytes, size_t *origin, base_bytes *out)
{
  /* One step could replace each letter by a book, and many steps could each double the text. The
   * constant allowance of a text is small, because it may be one of many between added tokens. */
  enum { GROWTH_MAX = 512, ALWAYS = 4096 };
  out->count = 0;
  if (normalizer->count == 0)
    return base_bytes_append(out, text, bytes);
  out->most = GROWTH_MAX * bytes + ALWAYS;
  const stretch in = {.data = text, .bytes = bytes, .origin = *origin};
  const cdl_status status = apply_steps(normalizer, scratch, in, origin, out);
  out->most = scratch->other.most = 0;
  return status;
}

/* ---- Preparation ---- */

cdl_status tokenizer_normalizer_add(tokenizer_normalizer *normalizer, tokenizer_normal_step **step)
{
  if (normalizer->count >= TOKENIZER_STEPS_MAX)
    return cdl_fail(CDL_STATUS_DATA, "more than %d steps", TOKENIZER_STEPS_MAX);
  CDL_TRY(base_grow(&normalizer->steps, normalizer->count + 1, sizeof *normalizer->steps));
  *step = &normalizer->steps[normalizer->count++];
  **step = (tokenizer_normal_step){.kind = TOKENIZER_NORMAL_BERT};
  return CDL_STATUS_OK;
}

cdl_status tokenizer_normal_step_texts(tokenizer_normal_step *step, const char *pattern,
                                       const char *content)
{
  step->pattern = pattern != NULL ? strdup(pattern) : NULL;
  step->content = content != NULL ? strdup(content) : NULL;
  if ((pattern != NULL && step->pattern == NULL) || (content != NULL && step->content == NULL))
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a normalizer");
  step->pattern_bytes = pattern != NULL ? strlen(pattern) : 0;
  step->content_bytes = content != NULL ? strlen(content) : 0;
  return CDL_STATUS_OK;
}

void tokenizer_normalizer_release(tokenizer_normalizer *normalizer)
{
  for (size_t i = 0; i < normalizer->count; i++) {
    tokenizer_normal_step *step = &normalizer->steps[i];
    free(step->pattern);
    free(step->content);
    tokenizer_text_pattern_release(&step->expression);
    tokenizer_charsmap_release(&step->charsmap);
  }
  free(normalizer->steps);
  *normalizer = (tokenizer_normalizer){0};
}
