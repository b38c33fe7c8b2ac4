/* The properties of characters as the reference tokenizers see them. */
#ifndef CONDLORA_MODEL_TOKENIZER_UNICODE_TEXT_H
#define CONDLORA_MODEL_TOKENIZER_UNICODE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
