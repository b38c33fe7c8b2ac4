#include "train/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Whether eight bytes are ASCII and none is NUL: a byte's high bit is set by the subtraction only
 * if it is 0. */
static bool plain_ascii(const unsigned char *bytes)
{
  const uint64_t high = 0x8080808080808080u, ones = 0x0101010101010101u;
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  return ((word | (word - ones)) & high) == 0;
}

/* Length of the well-formed sequence at `s` (table 3-7 of the Unicode Standard, 15.0); 0 when there
 * is none. */
static size_t sequence_length(const unsigned char *s, size_t bytes)
{
  const unsigned char lead = s[0];
  if (lead < 0x80)
    return lead != 0;
  const size_t length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (length == 0 || length > bytes)
    return 0;
  const unsigned char lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (s[1] < lowest || s[1] > highest)
    return 0;
  for (size_t i = 2; i < length; i++)
    if ((s[i] & 0xC0) != 0x80)
      return 0;
  return length;
}

size_t cdl_utf8_valid_prefix(const char *text, size_t bytes)
{
  const unsigned char *s = (const unsigned char *)text;
  size_t at = 0;
  while (at < bytes) {
    if (bytes - at >= 8 && plain_ascii(s + at)) {
      at += 8;
      continue;
    }
    const size_t length = sequence_length(s + at, bytes - at);
    if (length == 0)
      return at;
    at += length;
  }
  return bytes;
}
