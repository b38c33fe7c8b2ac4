#include "model/tokenizer/grapheme.h"

#include <stdbool.h>
#include <utf8proc.h>

#include "base/utf8.h"

/* ---- Properties ---- */

typedef struct {
  uint32_t first, last;
} code_range;

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool in_ranges(const code_range *ranges, size_t count, uint32_t c)
{
  for (size_t i = 0; i < count && c >= ranges[i].first; i++)
    if (c <= ranges[i].last)
      return true;
  return false;
}

/* Marks that join the character before them and are newer than Unicode 15, which utf8proc 2.8
 * has. */
static bool is_young_mark(uint32_t c)
{
  static const code_range marks[] = {{0x897, 0x897},     {0x10d69, 0x10d6d}, {0x10efc, 0x10efc},
                                     {0x113b8, 0x113c0}, {0x113c2, 0x113c2}, {0x113c5, 0x113c5},
                                     {0x113c7, 0x113ca}, {0x113cc, 0x113d0}, {0x113d2, 0x113d2},
                                     {0x113e1, 0x113e2}, {0x11f5a, 0x11f5a}, {0x1611e, 0x1612f},
                                     {0x1e5ee, 0x1e5ef}};
  return c >= 0x897 && in_ranges(marks, COUNT(marks), c);
}

/* Indic_Conjunct_Break=Linker and =Consonant. */
static bool is_linker(uint32_t c)
{
  return c == 0x94d || c == 0x9cd || c == 0xacd || c == 0xb4d || c == 0xc4d || c == 0xd4d;
}

static bool is_consonant(uint32_t c)
{
  static const code_range consonants[] = {
      {0x915, 0x939}, {0x958, 0x95f}, {0x978, 0x97f}, {0x995, 0x9a8}, {0x9aa, 0x9b0},
      {0x9b2, 0x9b2}, {0x9b6, 0x9b9}, {0x9dc, 0x9dd}, {0x9df, 0x9df}, {0x9f0, 0x9f1},
      {0xa95, 0xaa8}, {0xaaa, 0xab0}, {0xab2, 0xab3}, {0xab5, 0xab9}, {0xaf9, 0xaf9},
      {0xb15, 0xb28}, {0xb2a, 0xb30}, {0xb32, 0xb33}, {0xb35, 0xb39}, {0xb5c, 0xb5d},
      {0xb5f, 0xb5f}, {0xb71, 0xb71}, {0xc15, 0xc28}, {0xc2a, 0xc39}, {0xc58, 0xc5a},
      {0xd15, 0xd3a}};
  return c >= 0x915 && c <= 0xd3a && in_ranges(consonants, COUNT(consonants), c);
}

static utf8proc_boundclass_t class_of(uint32_t c)
{
  if (is_young_mark(c))
    return UTF8PROC_BOUNDCLASS_EXTEND;
  return utf8proc_get_property((utf8proc_int32_t)c)->boundclass;
}

/* ---- Boundaries ---- */

/* The state of the cluster so far, which decides how it continues. */
typedef struct {
  utf8proc_boundclass_t last;
  enum { NO_CONJUNCT, CONSONANT, CONSONANT_LINKED } conjunct;       /* rule GB9c */
  enum { NO_PICTOGRAPH, PICTOGRAPH, PICTOGRAPH_JOINED } pictograph; /* rule GB11 */
  bool odd_indicators;                                              /* rules GB12, GB13 */
} cluster;

static void extend(cluster *so_far, uint32_t c, utf8proc_boundclass_t class)
{
  const bool extending = class == UTF8PROC_BOUNDCLASS_EXTEND || class == UTF8PROC_BOUNDCLASS_ZWJ;
  if (is_consonant(c))
    so_far->conjunct = CONSONANT;
  else if (is_linker(c) && so_far->conjunct != NO_CONJUNCT)
    so_far->conjunct = CONSONANT_LINKED;
  else if (!extending || c == 0x200c)
    so_far->conjunct = NO_CONJUNCT;

  if (class == UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC)
    so_far->pictograph = PICTOGRAPH;
  else if (class == UTF8PROC_BOUNDCLASS_ZWJ && so_far->pictograph == PICTOGRAPH)
    so_far->pictograph = PICTOGRAPH_JOINED;
  else if (class != UTF8PROC_BOUNDCLASS_EXTEND || so_far->pictograph == PICTOGRAPH_JOINED)
    so_far->pictograph = NO_PICTOGRAPH;

  so_far->odd_indicators =
      class == UTF8PROC_BOUNDCLASS_REGIONAL_INDICATOR && !so_far->odd_indicators;
  so_far->last = class;
}

static bool is_control(utf8proc_boundclass_t class)
{
  return class == UTF8PROC_BOUNDCLASS_CONTROL || class == UTF8PROC_BOUNDCLASS_CR ||
         class == UTF8PROC_BOUNDCLASS_LF;
}

static bool joins_hangul(utf8proc_boundclass_t last, utf8proc_boundclass_t next)
{
  const bool vowel = next == UTF8PROC_BOUNDCLASS_V, trailing = next == UTF8PROC_BOUNDCLASS_T;
  switch (last) {
  case UTF8PROC_BOUNDCLASS_L:
    return vowel || next == UTF8PROC_BOUNDCLASS_L || next == UTF8PROC_BOUNDCLASS_LV ||
           next == UTF8PROC_BOUNDCLASS_LVT;
  case UTF8PROC_BOUNDCLASS_LV:
  case UTF8PROC_BOUNDCLASS_V:
    return vowel || trailing;
  case UTF8PROC_BOUNDCLASS_LVT:
  case UTF8PROC_BOUNDCLASS_T:
    return trailing;
  default:
    return false;
  }
}

static bool joins(const cluster *so_far, uint32_t c, utf8proc_boundclass_t class)
{
  if (so_far->last == UTF8PROC_BOUNDCLASS_CR && class == UTF8PROC_BOUNDCLASS_LF)
    return true;
  if (is_control(so_far->last) || is_control(class))
    return false;
  if (class == UTF8PROC_BOUNDCLASS_EXTEND || class == UTF8PROC_BOUNDCLASS_ZWJ ||
      class == UTF8PROC_BOUNDCLASS_SPACINGMARK || so_far->last == UTF8PROC_BOUNDCLASS_PREPEND)
    return true;
  return joins_hangul(so_far->last, class) ||
         (so_far->conjunct == CONSONANT_LINKED && is_consonant(c)) ||
         (so_far->pictograph == PICTOGRAPH_JOINED &&
          class == UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC) ||
         (so_far->odd_indicators && class == UTF8PROC_BOUNDCLASS_REGIONAL_INDICATOR);
}

size_t tokenizer_grapheme_end(const uint8_t *text, size_t at, size_t bytes)
{
  const uint8_t *next = text + at;
  const uint32_t first = base_utf8_next(&next);
  cluster so_far = {.last = UTF8PROC_BOUNDCLASS_START};
  extend(&so_far, first, class_of(first));
  while (next < text + bytes) {
    const uint8_t *behind = next;
    const uint32_t c = base_utf8_next(&behind);
    const utf8proc_boundclass_t class = class_of(c);
    if (!joins(&so_far, c, class))
      break;
    extend(&so_far, c, class);
    next = behind;
  }
  return (size_t)(next - text);
}
