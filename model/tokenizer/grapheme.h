/* Extended grapheme clusters (Unicode Standard Annex 29) of Unicode 16, as the reference tokenizers
 * have them. */
#ifndef CONDLORA_MODEL_TOKENIZER_GRAPHEME_H
#define CONDLORA_MODEL_TOKENIZER_GRAPHEME_H

#include <stddef.h>
#include <stdint.h>

/* Returns the end of the cluster that begins at `at`. The text is well-formed UTF-8; at < bytes. */
size_t tokenizer_grapheme_end(const uint8_t *text, size_t at, size_t bytes);

#endif
