/* UTF-8, and the properties of characters as the reference tokenizers see them. */
#ifndef CONDLORA_MODEL_UNICODE_TEXT_H
#define CONDLORA_MODEL_UNICODE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the sequence at `text` when it is well-formed; otherwise 0, and *subpart is the length of the maximal
 * subpart of an ill-formed one (Unicode 15, 3.9, U+FFFD substitution). `bytes` > 0. */
size_t cdl_utf8_sequence(const uint8_t *text, size_t bytes, size_t *subpart);
/* How many bytes from the start are well-formed: `bytes` when all are. */
size_t cdl_utf8_well_formed(const uint8_t *text, size_t bytes);
/* Writes one to four bytes. */
size_t cdl_utf8_write(uint8_t *out, uint32_t c);

/* The code point at *at, which moves past it; the text is well-formed. */
static inline uint32_t cdl_utf8_next(const uint8_t **at)
{
  const uint8_t *p = *at;
  if (p[0] < 0x80) {
    *at = p + 1;
    return p[0];
  }
  if (p[0] < 0xe0) {
    *at = p + 2;
    return (uint32_t)(p[0] & 0x1f) << 6 | (uint32_t)(p[1] & 0x3f);
  }
  if (p[0] < 0xf0) {
    *at = p + 3;
    return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (uint32_t)(p[2] & 0x3f);
  }
  *at = p + 4;
  return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 |
         (uint32_t)(p[2] & 0x3f) << 6 | (uint32_t)(p[3] & 0x3f);
}

bool cdl_is_space(uint32_t c);          /* White_Space */
bool cdl_is_word_character(uint32_t c); /* \w: alphabetic, mark, digit, connector, joiner */
bool cdl_is_bert_control(uint32_t c);   /* what clean_text removes */
bool cdl_is_bert_ideograph(uint32_t c); /* what handle_chinese_chars sets apart */
bool cdl_is_bert_punctuation(uint32_t c);
bool cdl_is_bert_accent(uint32_t c); /* what strip_accents removes after decomposition */
bool cdl_is_mark(uint32_t c);        /* what StripAccents removes */
bool cdl_is_numeric(uint32_t c);     /* what Digits sets apart */

enum { CDL_DECOMPOSITION_MAX = 32 };
/* Canonical decomposition, or that of compatibility too, whole; returns how many code points it has. */
size_t cdl_decompose(uint32_t c, bool compatibility, uint32_t out[CDL_DECOMPOSITION_MAX]);
/* Whether two characters in a row are one by canonical composition. */
bool cdl_compose(uint32_t first, uint32_t second, uint32_t *whole);
uint8_t cdl_combining_class(uint32_t c);
/* Lower case without regard to neighbours; one or two code points. */
size_t cdl_to_lower(uint32_t c, uint32_t out[2]);

#endif
