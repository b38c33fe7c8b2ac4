/* Properties of characters as the reference tokenizers see them. */
#ifndef CONDLORA_MODEL_TOKENIZER_UNICODE_TEXT_H
#define CONDLORA_MODEL_TOKENIZER_UNICODE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool tokenizer_is_space(uint32_t c);          /* White_Space */
bool tokenizer_is_word_character(uint32_t c); /* \w: alphabetic, mark, digit, connector, joiner */
bool tokenizer_is_bert_control(uint32_t c);   /* removed by clean_text */
bool tokenizer_is_bert_ideograph(uint32_t c); /* separated by handle_chinese_chars */
bool tokenizer_is_bert_punctuation(uint32_t c);
bool tokenizer_is_bert_accent(uint32_t c); /* removed by strip_accents after decomposition */
bool tokenizer_is_mark(uint32_t c);        /* removed by StripAccents */
bool tokenizer_is_numeric(uint32_t c);     /* separated by Digits */

enum { TOKENIZER_DECOMPOSITION_MAX = 32 };
/* Canonical decomposition, or also compatibility decomposition, in full; returns the number of code
 * points. */
size_t tokenizer_decompose(uint32_t c, bool compatibility,
                           uint32_t out[TOKENIZER_DECOMPOSITION_MAX]);
/* Returns whether two adjacent characters are one by canonical composition. */
bool tokenizer_compose(uint32_t first, uint32_t second, uint32_t *whole);
uint8_t tokenizer_combining_class(uint32_t c);
/* Lower case without regard to neighbours; one or two code points. */
size_t tokenizer_to_lower(uint32_t c, uint32_t out[2]);

#endif
