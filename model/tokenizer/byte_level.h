/* GPT-2's treatment of text (Radford et al. 2019): a regular expression cuts it into pieces, and
 * each byte of a piece becomes a character of a special alphabet. */
#ifndef CONDLORA_MODEL_TOKENIZER_BYTE_LEVEL_H
#define CONDLORA_MODEL_TOKENIZER_BYTE_LEVEL_H

#include "base/growing.h"
#include "model/tokenizer/text_pattern.h"

/* Returns a byte's character: the byte itself if it is printable in Latin-1; the others have U+0100
 * and up, in order. */
uint32_t tokenizer_byte_character(uint8_t byte);
/* Appends the characters of the bytes, at most two bytes each. Errors: MEMORY. */
CDL_MUST_USE cdl_status tokenizer_byte_characters(const uint8_t *bytes, size_t count,
                                                  base_bytes *out);

typedef struct {
  uint8_t class[256];
  tokenizer_text_pattern pattern;
} tokenizer_byte_level;

CDL_MUST_USE cdl_status tokenizer_byte_level_prepare(tokenizer_byte_level *level);
void tokenizer_byte_level_release(tokenizer_byte_level *level);
enum {
  TOKENIZER_BYTE_CLASS_LETTER,
  TOKENIZER_BYTE_CLASS_NUMBER,
  TOKENIZER_BYTE_CLASS_OTHER,
  TOKENIZER_BYTE_CLASS_SPACE,
  TOKENIZER_BYTE_CLASS_WIDE
};

/* Returns the length of 's 't 'm 'd 're 've 'll at an apostrophe; 0 for none. */
static inline size_t tokenizer_contraction(const uint8_t *at, size_t bytes)
{
  const uint8_t first = bytes > 1 ? at[1] : 0, second = bytes > 2 ? at[2] : 0;
  if (first == 's' || first == 't' || first == 'm' || first == 'd')
    return 2;
  if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
      (first == 'l' && second == 'l'))
    return 3;
  return 0;
}

/* Returns the length of the piece at `at`, by the same rules as the pattern below; 0 if a character
 * beyond ASCII decides. */
static inline size_t tokenizer_ascii_piece(const uint8_t *classes, const uint8_t *at, size_t bytes)
{
  if (at[0] == '\'') {
    const size_t length = tokenizer_contraction(at, bytes);
    if (length != 0)
      return length;
  }
  size_t end = at[0] == ' ' && bytes > 1;
  const uint8_t class = classes[at[end]];
  if (class == TOKENIZER_BYTE_CLASS_WIDE)
    return 0;
  if (class != TOKENIZER_BYTE_CLASS_SPACE) {
    do
      end++;
    while (end < bytes && classes[at[end]] == class);
    return end < bytes && at[end] >= 0x80 ? 0 : end;
  }
  end = 1;
  while (end < bytes && classes[at[end]] == TOKENIZER_BYTE_CLASS_SPACE)
    end++;
  if (end == bytes)
    return end;
  if (at[end] >= 0x80)
    return 0;
  return end > 1 ? end - 1 : 1; /* the last space belongs to the next piece */
}

/* The same by the pattern. */
CDL_MUST_USE cdl_status tokenizer_byte_level_wide_piece(const tokenizer_byte_level *level,
                                                        tokenizer_text_matcher *matcher,
                                                        const uint8_t *text, size_t bytes,
                                                        size_t at, size_t *length);

/* Gives the length of the piece at `at` of well-formed text; at < bytes. It is inline, like the two
 * above: together they are 10% of an encoding. */
static inline cdl_status tokenizer_byte_level_piece(const tokenizer_byte_level *level,
                                                    tokenizer_text_matcher *matcher,
                                                    const uint8_t *text, size_t bytes, size_t at,
                                                    size_t *length)
{
  *length = tokenizer_ascii_piece(level->class, text + at, bytes - at);
  return *length != 0 ? CDL_STATUS_OK
                      : tokenizer_byte_level_wide_piece(level, matcher, text, bytes, at, length);
}

#endif
