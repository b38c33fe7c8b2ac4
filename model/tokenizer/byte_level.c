#include "model/tokenizer/byte_level.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "model/tokenizer/unicode_classes.h"

/* ---- The alphabet ---- */

static bool is_printable(unsigned byte)
{
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

uint32_t tokenizer_byte_character(uint8_t byte)
{
  if (is_printable(byte))
    return byte;
  /* 0 to 32, 127 to 160 and 173 */
  return 0x100 + (byte <= 0x20 ? byte : byte == 0xad ? 0x43u : 0x21u + byte - 0x7f);
}

cdl_status tokenizer_byte_characters(const uint8_t *bytes, size_t count, base_bytes *out)
{
  CDL_TRY(base_bytes_reserve(out, 2 * count));
  for (size_t i = 0; i < count; i++)
    out->count += base_utf8_write(out->data + out->count, tokenizer_byte_character(bytes[i]));
  return CDL_STATUS_OK;
}

/* ---- Pieces ---- */

static uint8_t class_of(unsigned byte)
{
  if (byte >= 0x80)
    return TOKENIZER_BYTE_CLASS_WIDE;
  if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z')
    return TOKENIZER_BYTE_CLASS_LETTER;
  if (byte >= '0' && byte <= '9')
    return TOKENIZER_BYTE_CLASS_NUMBER;
  return byte == ' ' || (byte >= 0x09 && byte <= 0x0d) ? TOKENIZER_BYTE_CLASS_SPACE
                                                       : TOKENIZER_BYTE_CLASS_OTHER;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+, possessive where
 * backtracking cannot help. */
static const char pieces[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}++| ?\\p{N}++| ?[^\\s\\p{L}\\p{N}]++|\\s+(?!\\S)|\\s++";

cdl_status tokenizer_byte_level_prepare(tokenizer_byte_level *level)
{
  if (level->pattern.code != NULL)
    return CDL_STATUS_OK;
  for (unsigned byte = 0; byte < 256; byte++)
    level->class[byte] = class_of(byte);
  return tokenizer_text_pattern_compile(pieces, true, &level->pattern);
}

void tokenizer_byte_level_release(tokenizer_byte_level *level)
{
  tokenizer_text_pattern_release(&level->pattern);
}

cdl_status tokenizer_byte_level_wide_piece(const tokenizer_byte_level *level,
                                           tokenizer_text_matcher *matcher, const uint8_t *text,
                                           size_t bytes, size_t at, size_t *length)
{
  tokenizer_text_walk walk = {
      .pattern = &level->pattern, .text = text, .bytes = bytes, .searched = at};
  size_t begin = at, end = bytes;
  bool found;
  CDL_TRY(tokenizer_text_walk_next(&walk, matcher, &begin, &end, &found));
  *length = (found && begin == at ? end : bytes) - at;
  return CDL_STATUS_OK;
}
