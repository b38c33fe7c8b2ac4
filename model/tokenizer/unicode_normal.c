#include "model/tokenizer/unicode_normal.h"

#include <string.h>

#include "base/utf8.h"
#include "model/tokenizer/unicode_text.h"

enum { CLASS_SHIFT = 24, SHORT_RUN = 24 };

void tokenizer_points_decompose(base_points *points, uint32_t c, bool compatibility, uint32_t marks)
{
  uint32_t parts[TOKENIZER_DECOMPOSITION_MAX];
  const size_t count = tokenizer_decompose(c, compatibility, parts);
  for (size_t i = 0; i < count; i++)
    points->data[points->count++] = parts[i] |
                                    (uint32_t)tokenizer_combining_class(parts[i]) << CLASS_SHIFT |
                                    marks | (i == 0 ? TOKENIZER_POINT_FIRST : 0);
}

/* Puts one run of non-starters into canonical order: stable, by combining class. */
static cdl_status order_run(uint32_t *run, size_t count, base_points *sorted)
{
  if (count <= SHORT_RUN) {
    for (size_t i = 1; i < count; i++) {
      const uint32_t moving = run[i];
      size_t at = i;
      for (; at > 0 && run[at - 1] >> CLASS_SHIFT > moving >> CLASS_SHIFT; at--)
        run[at] = run[at - 1];
      run[at] = moving;
    }
    return CDL_STATUS_OK;
  }
  size_t begin[257] = {0};
  sorted->count = 0;
  CDL_TRY(base_points_reserve(sorted, count));
  for (size_t i = 0; i < count; i++)
    begin[(run[i] >> CLASS_SHIFT) + 1]++;
  for (size_t class = 0; class < 256; class ++)
    begin[class + 1] += begin[class];
  for (size_t i = 0; i < count; i++)
    sorted->data[begin[run[i] >> CLASS_SHIFT]++] = run[i];
  memcpy(run, sorted->data, count * sizeof *run);
  return CDL_STATUS_OK;
}

cdl_status tokenizer_points_order(base_points *points, base_points *spare)
{
  for (size_t i = 0; i < points->count; i++) {
    if (points->data[i] >> CLASS_SHIFT == 0)
      continue;
    size_t end = i + 1;
    while (end < points->count && points->data[end] >> CLASS_SHIFT != 0)
      end++;
    if (end - i > 1)
      CDL_TRY(order_run(points->data + i, end - i, spare));
    i = end;
  }
  return CDL_STATUS_OK;
}

/* The reference uses the order of the parts: the first part of each character takes the place of
 * the text's next character, other parts that of the previous one. `characters` of the text are its
 * beginning. */
static void mark_beginning(base_points *points, size_t characters)
{
  size_t passed = 0;
  for (size_t i = 0; i < points->count; i++) {
    const bool first = (points->data[i] & TOKENIZER_POINT_FIRST) != 0;
    const bool begins = characters > 0 && (first ? passed < characters : passed <= characters);
    points->data[i] =
        (points->data[i] & ~TOKENIZER_POINT_BEGINS) | (begins ? TOKENIZER_POINT_BEGINS : 0);
    passed += first;
  }
}

/* A starter absorbs what follows it, unless a mark of the same or a higher class is between. */
static void compose(base_points *points)
{
  uint32_t *data = points->data;
  size_t count = 0, starter = SIZE_MAX;
  uint32_t last_class = 0;
  for (size_t i = 0; i < points->count; i++) {
    const uint32_t class = data[i] >> CLASS_SHIFT;
    const bool open = starter != SIZE_MAX && (count == starter + 1 || last_class < class);
    uint32_t whole;
    if (open && tokenizer_compose(data[starter] & TOKENIZER_POINT_MASK,
                                  data[i] & TOKENIZER_POINT_MASK, &whole)) {
      data[starter] = whole | (data[starter] & TOKENIZER_POINT_BEGINS);
      continue;
    }
    if (class == 0)
      starter = count;
    last_class = class;
    data[count++] = data[i];
  }
  points->count = count;
}

cdl_status tokenizer_points_normalize(const uint8_t *text, size_t bytes, size_t origin,
                                      tokenizer_normal_form form, base_points *points,
                                      base_points *spare)
{
  const uint8_t *const end = text + bytes, *const marked = text + origin;
  const bool compatibility = form == TOKENIZER_FORM_KC || form == TOKENIZER_FORM_KD;
  size_t characters = 0;
  points->count = 0;
  while (text < end) {
    characters += text < marked;
    CDL_TRY(base_points_reserve(points, TOKENIZER_DECOMPOSITION_MAX));
    tokenizer_points_decompose(points, base_utf8_next(&text), compatibility, 0);
  }
  CDL_TRY(tokenizer_points_order(points, spare));
  mark_beginning(points, characters);
  if (form == TOKENIZER_FORM_C || form == TOKENIZER_FORM_KC)
    compose(points);
  return CDL_STATUS_OK;
}

cdl_status tokenizer_points_write(const base_points *points, base_bytes *out, size_t *origin)
{
  const size_t before = out->count;
  bool beginning = true;
  *origin = 0;
  CDL_TRY(base_bytes_reserve(out, 4 * points->count));
  for (size_t i = 0; i < points->count; i++) {
    out->count += base_utf8_write(out->data + out->count, points->data[i] & TOKENIZER_POINT_MASK);
    beginning = beginning && (points->data[i] & TOKENIZER_POINT_BEGINS) != 0;
    if (beginning)
      *origin = out->count - before;
  }
  return CDL_STATUS_OK;
}
