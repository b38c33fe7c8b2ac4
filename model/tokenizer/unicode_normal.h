/* Unicode's normalization forms (Standard Annex 15) of Unicode 9, as the reference tokenizers have
 * them. While code points are reordered, their upper byte holds the combining class, and a mark if
 * they come from the beginning of the original text. */
#ifndef CONDLORA_MODEL_TOKENIZER_UNICODE_NORMAL_H
#define CONDLORA_MODEL_TOKENIZER_UNICODE_NORMAL_H

#include <stdbool.h>

#include "base/growing.h"

#define TOKENIZER_POINT_MASK 0x1fffffu
#define TOKENIZER_POINT_BEGINS 0x200000u
#define TOKENIZER_POINT_FIRST 0x400000u /* the first point of a character's decomposition */

typedef enum {
  TOKENIZER_FORM_C,
  TOKENIZER_FORM_D,
  TOKENIZER_FORM_KC,
  TOKENIZER_FORM_KD
} tokenizer_normal_form;

/* Appends the full decomposition of `c`, which must have room; each part gets `marks`. */
void tokenizer_points_decompose(base_points *points, uint32_t c, bool compatibility,
                                uint32_t marks);
/* Puts combining marks into canonical order; `spare` is working memory. Errors: MEMORY. */
CDL_MUST_USE cdl_status tokenizer_points_order(base_points *points, base_points *spare);
/* Normalizes well-formed UTF-8 in place of the contents of `points`; what begins before `origin` is
 * marked. */
CDL_MUST_USE cdl_status tokenizer_points_normalize(const uint8_t *text, size_t bytes, size_t origin,
                                                   tokenizer_normal_form form, base_points *points,
                                                   base_points *spare);
/* Appends the points as UTF-8; *origin becomes the length of the text from the marked points at the
 * beginning. */
CDL_MUST_USE cdl_status tokenizer_points_write(const base_points *points, base_bytes *out,
                                               size_t *origin);

#endif
