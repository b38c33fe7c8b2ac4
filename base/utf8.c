#include "base/utf8.h"

#include <string.h>

size_t base_utf8_sequence(const uint8_t *text, size_t bytes, size_t *subpart)
{
  const uint8_t lead = text[0];
  size_t length = 1;
  uint8_t low = 0x80, high = 0xbf; /* range of the second byte */
  *subpart = 1;
  if (lead < 0x80)
    return 1;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    low = lead == 0xe0 ? 0xa0 : 0x80;
    high = lead == 0xed ? 0x9f : 0xbf;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    low = lead == 0xf0 ? 0x90 : 0x80;
    high = lead == 0xf4 ? 0x8f : 0xbf;
  } else {
    return 0;
  }
  for (size_t i = 1; i < length; i++) {
    if (i == bytes || text[i] < low || text[i] > high) {
      *subpart = i;
      return 0;
    }
    low = 0x80;
    high = 0xbf;
  }
  return length;
}

size_t base_utf8_well_formed(const uint8_t *text, size_t bytes)
{
  size_t at = 0;
  while (at < bytes) {
    uint64_t eight;
    while (at + sizeof eight <= bytes) {
      memcpy(&eight, text + at, sizeof eight);
      if ((eight & 0x8080808080808080u) != 0)
        break;
      at += sizeof eight;
    }
    if (at == bytes)
      break;
    size_t subpart;
    const size_t length = base_utf8_sequence(text + at, bytes - at, &subpart);
    if (length == 0)
      return at;
    at += length;
  }
  return bytes;
}

size_t base_utf8_write(uint8_t *out, uint32_t c)
{
  if (c < 0x80) {
    out[0] = (uint8_t)c;
    return 1;
  }
  if (c < 0x800) {
    out[0] = (uint8_t)(0xc0 | c >> 6);
    out[1] = (uint8_t)(0x80 | (c & 0x3f));
    return 2;
  }
  if (c < 0x10000) {
    out[0] = (uint8_t)(0xe0 | c >> 12);
    out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c & 0x3f));
    return 3;
  }
  out[0] = (uint8_t)(0xf0 | c >> 18);
  out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
  out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
  out[3] = (uint8_t)(0x80 | (c & 0x3f));
  return 4;
}

size_t base_code_point(const char *text, size_t bytes, uint32_t *code_point)
{
  const uint8_t *at = (const uint8_t *)text;
  size_t subpart;
  const size_t length = bytes > 0 ? base_utf8_sequence(at, bytes, &subpart) : 0;
  if (length > 0)
    *code_point = base_utf8_next(&at);
  return length;
}
