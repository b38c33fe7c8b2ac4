/* UTF-8 (RFC 3629). */
#ifndef CONDLORA_BASE_UTF8_H
#define CONDLORA_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Returns the length of a well-formed sequence at `text`. Otherwise it returns 0, and *subpart is
 * the length of the maximal subpart of an ill-formed sequence (Unicode 15, 3.9, U+FFFD
 * substitution). `bytes` > 0. */
size_t base_utf8_sequence(const uint8_t *text, size_t bytes, size_t *subpart);
/* Returns the number of well-formed bytes from the start: `bytes` if all are. */
size_t base_utf8_well_formed(const uint8_t *text, size_t bytes);
/* Writes one to four bytes and returns their number. */
size_t base_utf8_write(uint8_t *out, uint32_t c);

/* Returns the code point at *at and advances *at past it. The text must be well-formed. */
static inline uint32_t base_utf8_next(const uint8_t **at)
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

/* Gives the code point at the start of `text` and returns its length in bytes. Returns 0 if the
 * bytes are not UTF-8 or there are none. */
size_t base_code_point(const char *text, size_t bytes, uint32_t *code_point);

#endif
