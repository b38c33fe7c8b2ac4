/* SentencePiece's compiled table of replacements: a double-array trie over UTF-8 (Aoe 1989, in the
 * units of darts-clone) that leads to texts. */
#ifndef CONDLORA_MODEL_TOKENIZER_CHARSMAP_H
#define CONDLORA_MODEL_TOKENIZER_CHARSMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/growing.h"
#include "condlora/status.h"

typedef struct {
  uint32_t *units; /* [unit_count] */
  size_t unit_count;
  uint8_t *text; /* [text_bytes] and a NUL */
  size_t text_bytes;
  bool plain[256]; /* ASCII bytes that stay as they are */
} tokenizer_charsmap;

/* Reads `size` bytes: the trie's size in bytes, its units, then the texts, each with a NUL; all
 * little-endian. Errors: MEMORY; DATA, without a path, for a table that is truncated, is not UTF-8,
 * or leads outside itself. Release with tokenizer_charsmap_release, even after an error. */
CDL_MUST_USE cdl_status tokenizer_charsmap_read(const uint8_t *data, size_t size,
                                                tokenizer_charsmap *map);
void tokenizer_charsmap_release(tokenizer_charsmap *map);

/* Appends the text with its replacements, as Hugging Face's normalizer makes them. A grapheme
 * cluster of up to five bytes is replaced whole if the table has any beginning of it, and the
 * shortest such beginning gives the replacement. Otherwise each code point is looked up alone. */
CDL_MUST_USE cdl_status tokenizer_charsmap_apply(const tokenizer_charsmap *map, const uint8_t *text,
                                                 size_t bytes, base_bytes *out);

/* Decodes `text` from base 64 (RFC 4648, padded). Errors: MEMORY; DATA. */
CDL_MUST_USE cdl_status tokenizer_base64_decode(const char *text, size_t bytes, base_bytes *out);

#endif
