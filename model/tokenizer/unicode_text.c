#include "model/tokenizer/unicode_text.h"

#include <utf8proc.h>

#include "model/tokenizer/unicode_ranges.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool in_ranges(const tokenizer_code_range *ranges, size_t count, uint32_t c)
{
  size_t low = 0, high = count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (c > ranges[middle].last)
      low = middle + 1;
    else
      high = middle;
  }
  return low < count && c >= ranges[low].first;
}

static utf8proc_category_t category(uint32_t c)
{
  return utf8proc_category((utf8proc_int32_t)c);
}

static bool is_young(uint32_t c)
{
  return in_ranges(unicode_young_categories, COUNT(unicode_young_categories), c);
}

bool tokenizer_is_space(uint32_t c)
{
  if (c < 0x80)
    return c == ' ' || (c >= 0x09 && c <= 0x0d);
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
         c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool tokenizer_is_word_character(uint32_t c)
{
  switch (category(c)) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
  case UTF8PROC_CATEGORY_NL:
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_MN:
  case UTF8PROC_CATEGORY_MC:
  case UTF8PROC_CATEGORY_ME:
  case UTF8PROC_CATEGORY_PC:
    return true;
  default:
    break;
  }
  /* Join_Control, and the symbols in Other_Alphabetic: circled and squared letters. */
  return c == 0x200c || c == 0x200d || (c >= 0x24b6 && c <= 0x24e9) ||
         (c >= 0x1f130 && c <= 0x1f149) || (c >= 0x1f150 && c <= 0x1f169) ||
         (c >= 0x1f170 && c <= 0x1f189) ||
         in_ranges(unicode_new_word_characters, COUNT(unicode_new_word_characters), c);
}

bool tokenizer_is_bert_control(uint32_t c)
{
  if (c < 0x80)
    return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
  if (c == 0xfffd)
    return true;
  const utf8proc_category_t is = category(c);
  return (is == UTF8PROC_CATEGORY_CC || is == UTF8PROC_CATEGORY_CF || is == UTF8PROC_CATEGORY_CO) &&
         !is_young(c);
}

bool tokenizer_is_bert_ideograph(uint32_t c)
{
  if (c < 0x3400)
    return false;
  /* 2B920 is the reference's own value: the block begins at 2B820. */
  return c <= 0x4dbf || (c >= 0x4e00 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) ||
         (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
         (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
         (c >= 0x2f800 && c <= 0x2fa1f);
}

bool tokenizer_is_bert_punctuation(uint32_t c)
{
  if (c < 0x80)
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
  if (c == 0x166d || c == 0x111c9)
    return true;
  switch (category(c)) {
  case UTF8PROC_CATEGORY_PC:
  case UTF8PROC_CATEGORY_PD:
  case UTF8PROC_CATEGORY_PS:
  case UTF8PROC_CATEGORY_PE:
  case UTF8PROC_CATEGORY_PI:
  case UTF8PROC_CATEGORY_PF:
  case UTF8PROC_CATEGORY_PO:
    return !is_young(c);
  default:
    return false;
  }
}

bool tokenizer_is_bert_accent(uint32_t c)
{
  if (c < 0x300)
    return false;
  if (c == 0x1734 || c == 0x1171e)
    return true;
  return category(c) == UTF8PROC_CATEGORY_MN && !is_young(c);
}

static bool is_inert(uint32_t c)
{
  return in_ranges(unicode_young_normalization, COUNT(unicode_young_normalization), c);
}

bool tokenizer_is_mark(uint32_t c)
{
  if (c < 0x300)
    return false;
  const utf8proc_category_t is = category(c);
  const bool mark =
      is == UTF8PROC_CATEGORY_MN || is == UTF8PROC_CATEGORY_MC || is == UTF8PROC_CATEGORY_ME;
  return (mark && !in_ranges(unicode_young_marks, COUNT(unicode_young_marks), c)) || c == 0x1cf2 ||
         c == 0x1cf3;
}

bool tokenizer_is_numeric(uint32_t c)
{
  if (c < 0x80)
    return c >= '0' && c <= '9';
  const utf8proc_category_t is = category(c);
  return is == UTF8PROC_CATEGORY_ND || is == UTF8PROC_CATEGORY_NL || is == UTF8PROC_CATEGORY_NO ||
         in_ranges(unicode_new_numbers, COUNT(unicode_new_numbers), c);
}

size_t tokenizer_decompose(uint32_t c, bool compatibility,
                           uint32_t out[TOKENIZER_DECOMPOSITION_MAX])
{
  out[0] = c;
  if (c < (compatibility ? 0xa0 : 0xc0) || is_inert(c) ||
      (compatibility &&
       in_ranges(unicode_young_compatibility, COUNT(unicode_young_compatibility), c)))
    return 1;
  utf8proc_int32_t points[TOKENIZER_DECOMPOSITION_MAX];
  int boundary = 0;
  const utf8proc_ssize_t count = utf8proc_decompose_char(
      (utf8proc_int32_t)c, points, TOKENIZER_DECOMPOSITION_MAX,
      UTF8PROC_DECOMPOSE | UTF8PROC_STABLE | (compatibility ? UTF8PROC_COMPAT : 0), &boundary);
  if (count < 1 || count > TOKENIZER_DECOMPOSITION_MAX)
    return 1;
  for (utf8proc_ssize_t i = 0; i < count; i++)
    out[i] = (uint32_t)points[i];
  return (size_t)count;
}

bool tokenizer_compose(uint32_t first, uint32_t second, uint32_t *whole)
{
  if (second < 0x300 || is_inert(first) || is_inert(second)) /* no second part is smaller */
    return false;
  utf8proc_int32_t points[2] = {(utf8proc_int32_t)first, (utf8proc_int32_t)second};
  if (utf8proc_normalize_utf32(points, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE) != 1 ||
      is_inert((uint32_t)points[0]))
    return false;
  *whole = (uint32_t)points[0];
  return true;
}

uint8_t tokenizer_combining_class(uint32_t c)
{
  if (c < 0x300)
    return 0;
  const utf8proc_propval_t value = utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
  return value == 0 || is_inert(c) ? 0 : (uint8_t)value;
}

size_t tokenizer_to_lower(uint32_t c, uint32_t out[2])
{
  if (c == 0x130) { /* the only one whose lower case is two code points */
    out[0] = 'i';
    out[1] = 0x307;
    return 2;
  }
  const uint32_t lower = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
  out[0] = lower;
  if (lower != c)
    return 1;
  /* Capitals that are newer than Unicode 15, and three pairs that utf8proc 2.8 lacks. */
  if (c >= 0x10d50 && c <= 0x10d65)
    out[0] = c + 32;
  else if (c >= 0x16ea0 && c <= 0x16eb8)
    out[0] = c + 27;
  else if (c == 0x1c89 || c == 0xa7cc || c == 0xa7ce || c == 0xa7d2 || c == 0xa7d4 || c == 0xa7da)
    out[0] = c + 1;
  else if (c == 0xa7cb)
    out[0] = 0x264;
  else if (c == 0xa7dc)
    out[0] = 0x19b;
  return 1;
}
