#include "model/tokenizer/charsmap.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "model/tokenizer/grapheme.h"

/* ---- Units of the trie ---- */

#define IS_VALUE 0x80000000u
#define NO_TEXT UINT32_MAX

static bool is_value(uint32_t unit)
{
  return (unit & IS_VALUE) != 0;
}

static bool has_leaf(uint32_t unit)
{
  return (unit >> 8 & 1) != 0;
}

static uint32_t offset_of(uint32_t unit)
{
  return unit >> 10 << (unit >> 6 & 8); /* bit 9 means that the offset counts 256 units */
}

/* Returns the place of the replacement for the shortest beginning of `key` that has one; NO_TEXT
 * for none. */
static uint32_t find(const tokenizer_charsmap *map, const uint8_t *key, size_t bytes)
{
  size_t at = offset_of(map->units[0]);
  for (size_t i = 0; i < bytes && key[i] != 0; i++) {
    at ^= key[i];
    if (at >= map->unit_count)
      return NO_TEXT;
    const uint32_t unit = map->units[at];
    if ((unit & (IS_VALUE | 0xff)) != key[i])
      return NO_TEXT;
    at ^= offset_of(unit);
    if (has_leaf(unit))
      return map->units[at] & ~IS_VALUE;
  }
  return NO_TEXT;
}

/* ---- Reading ---- */

static uint32_t little_endian(const uint8_t *data)
{
  return data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

/* Checks that every transition leads to a unit, and every value to the beginning of a character. */
static bool leads_inside(const tokenizer_charsmap *map)
{
  for (size_t i = 0; i < map->unit_count; i++) {
    const uint32_t unit = map->units[i];
    if (i > 0 && is_value(unit))
      continue;
    const size_t to = i ^ offset_of(unit);
    if (to >= map->unit_count)
      return false;
    const uint32_t value = map->units[to] & ~IS_VALUE;
    if (has_leaf(unit) && (value >= map->text_bytes || (map->text[value] & 0xc0) == 0x80))
      return false;
  }
  return true;
}

static cdl_status copy(const uint8_t *data, size_t size, size_t trie_bytes, tokenizer_charsmap *map)
{
  map->unit_count = trie_bytes / sizeof *map->units;
  map->text_bytes = size - trie_bytes;
  map->units = malloc(map->unit_count * sizeof *map->units);
  map->text = malloc(map->text_bytes + 1);
  if (map->units == NULL || map->text == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a table of %zu bytes", size);
  for (size_t i = 0; i < map->unit_count; i++)
    map->units[i] = little_endian(data + i * sizeof *map->units);
  memcpy(map->text, data + trie_bytes, map->text_bytes);
  map->text[map->text_bytes] = 0;
  return CDL_STATUS_OK;
}

cdl_status tokenizer_charsmap_read(const uint8_t *data, size_t size, tokenizer_charsmap *map)
{
  enum { HEAD = 4 };
  *map = (tokenizer_charsmap){0};
  const uint32_t trie_bytes = size >= HEAD ? little_endian(data) : 0;
  if (size < HEAD || trie_bytes < sizeof *map->units || trie_bytes % sizeof *map->units != 0 ||
      trie_bytes > size - HEAD)
    return cdl_fail(CDL_STATUS_DATA,
                    "expected a trie and texts, found %zu bytes that begin with a size of %u", size,
                    (unsigned)trie_bytes);
  CDL_TRY(copy(data + HEAD, size - HEAD, trie_bytes, map));
  if (base_utf8_well_formed(map->text, map->text_bytes) != map->text_bytes)
    return cdl_fail(CDL_STATUS_DATA, "the texts are not UTF-8");
  if (!leads_inside(map))
    return cdl_fail(CDL_STATUS_DATA, "the trie leads outside of itself");
  for (unsigned byte = 1; byte < 0x80; byte++) {
    const uint8_t key = (uint8_t)byte;
    map->plain[byte] = byte != '\r' && find(map, &key, 1) == NO_TEXT;
  }
  return CDL_STATUS_OK;
}

void tokenizer_charsmap_release(tokenizer_charsmap *map)
{
  free(map->units);
  free(map->text);
  *map = (tokenizer_charsmap){0};
}

/* ---- Replacing ---- */

static cdl_status append_replacement(const tokenizer_charsmap *map, uint32_t at, base_bytes *out)
{
  return base_bytes_append(out, map->text + at, strlen((const char *)map->text + at));
}

static cdl_status append_cluster(const tokenizer_charsmap *map, const uint8_t *text, size_t bytes,
                                 base_bytes *out)
{
  enum { WHOLE_BELOW = 6 };
  const uint32_t whole = bytes < WHOLE_BELOW ? find(map, text, bytes) : NO_TEXT;
  if (whole != NO_TEXT)
    return append_replacement(map, whole, out);
  for (const uint8_t *at = text, *next = text; at < text + bytes; at = next) {
    base_utf8_next(&next);
    const uint32_t alone = find(map, at, (size_t)(next - at));
    CDL_TRY(alone != NO_TEXT ? append_replacement(map, alone, out)
                             : base_bytes_append(out, at, (size_t)(next - at)));
  }
  return CDL_STATUS_OK;
}

cdl_status tokenizer_charsmap_apply(const tokenizer_charsmap *map, const uint8_t *text,
                                    size_t bytes, base_bytes *out)
{
  for (size_t at = 0; at < bytes;) {
    /* ASCII before ASCII is a separate cluster, except CR LF. */
    size_t end = at;
    while (end < bytes && map->plain[text[end]] && (end + 1 == bytes || text[end + 1] < 0x80))
      end++;
    CDL_TRY(base_bytes_append(out, text + at, end - at));
    if (end == bytes)
      break;
    at = tokenizer_grapheme_end(text, end, bytes);
    CDL_TRY(append_cluster(map, text + end, at - end, out));
  }
  return CDL_STATUS_OK;
}

/* ---- Base 64 ---- */

static int digit_of(char c)
{
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

cdl_status tokenizer_base64_decode(const char *text, size_t bytes, base_bytes *out)
{
  size_t padding = 0;
  while (padding < 2 && padding < bytes && text[bytes - 1 - padding] == '=')
    padding++;
  bool well_formed = bytes % 4 == 0;
  CDL_TRY(base_bytes_reserve(out, bytes / 4 * 3 + 3));
  for (size_t i = 0; well_formed && i < bytes; i += 4) {
    uint32_t group = 0;
    const size_t digits = i + 4 == bytes ? 4 - padding : 4;
    for (size_t k = 0; k < 4; k++) {
      const int digit = k < digits ? digit_of(text[i + k]) : 0;
      well_formed = well_formed && digit >= 0;
      group = group << 6 | (uint32_t)(digit & 63);
    }
    const size_t kept = digits - 1;
    well_formed = well_formed && (group & ((1u << 8 * (3 - kept)) - 1)) == 0;
    for (size_t k = 0; k < kept; k++)
      out->data[out->count++] = (uint8_t)(group >> (16 - 8 * k));
  }
  return well_formed ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_DATA, "expected bytes in base 64");
}
