/* Unicode's normalization forms (Standard Annex 15), of Unicode 9 as the reference tokenizers have them. Code points carry
 * their combining class in the upper byte while they are put in order, and a mark where they come from the beginning of
 * the text as it was given. */
#ifndef CONDLORA_MODEL_TOKENIZER_UNICODE_NORMAL_H
#define CONDLORA_MODEL_TOKENIZER_UNICODE_NORMAL_H

#include <stdbool.h>

#include "base/growing.h"

#define CDL_POINT_MASK 0x1fffffu
#define CDL_POINT_BEGINS 0x200000u
#define CDL_POINT_FIRST 0x400000u /* of a character's decomposition */

typedef enum { CDL_FORM_C, CDL_FORM_D, CDL_FORM_KC, CDL_FORM_KD } cdl_normal_form;

/* Appends the whole decomposition of `c`, for which there is room; `marks` go with each part. */
void cdl_points_decompose(cdl_points *points, uint32_t c, bool compatibility, uint32_t marks);
/* Puts combining marks in canonical order; `spare` is for its use. Errors: MEMORY. */
CDL_MUST_USE cdl_status cdl_points_order(cdl_points *points, cdl_points *spare);
/* The form of well-formed UTF-8, in place of what `points` hold; what begins before `origin` is marked. */
CDL_MUST_USE cdl_status cdl_points_normalize(const uint8_t *text, size_t bytes, size_t origin,
                                             cdl_normal_form form, cdl_points *points,
                                             cdl_points *spare);
/* Appends the points as UTF-8; *origin becomes the length of what the marked ones at the beginning make of it. */
CDL_MUST_USE cdl_status cdl_points_write(const cdl_points *points, cdl_bytes *out, size_t *origin);

#endif
