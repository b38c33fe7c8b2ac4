/* Unicode's normalization forms (Standard Annex 15), of Unicode 9 as the reference tokenizers have them. Code points carry
 * their combining class in the upper byte while they are put in order, and a mark where they come from the beginning of
 * the text as it was given. */
#ifndef CONDLORA_MODEL_TOKENIZER_UNICODE_NORMAL_H
#define CONDLORA_MODEL_TOKENIZER_UNICODE_NORMAL_H

#include <stdbool.h>

#include "base/growing.h"

#define TOKENIZER_POINT_MASK 0x1fffffu
#define TOKENIZER_POINT_BEGINS 0x200000u
#define TOKENIZER_POINT_FIRST 0x400000u /* of a character's decomposition */

typedef enum {
  TOKENIZER_FORM_C,
  TOKENIZER_FORM_D,
  TOKENIZER_FORM_KC,
  TOKENIZER_FORM_KD
} tokenizer_normal_form;

/* Appends the whole decomposition of `c`, for which there is room; `marks` go with each part. */
void tokenizer_points_decompose(base_points *points, uint32_t c, bool compatibility,
                                uint32_t marks);
/* Puts combining marks in canonical order; `spare` is for its use. Errors: MEMORY. */
CDL_MUST_USE cdl_status tokenizer_points_order(base_points *points, base_points *spare);
/* The form of well-formed UTF-8, in place of what `points` hold; what begins before `origin` is marked. */
CDL_MUST_USE cdl_status tokenizer_points_normalize(const uint8_t *text, size_t bytes, size_t origin,
                                                   tokenizer_normal_form form, base_points *points,
                                                   base_points *spare);
/* Appends the points as UTF-8; *origin becomes the length of what the marked ones at the beginning make of it. */
CDL_MUST_USE cdl_status tokenizer_points_write(const base_points *points, base_bytes *out,
                                               size_t *origin);

#endif
