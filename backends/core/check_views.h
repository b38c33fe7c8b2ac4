/* Properties of views: density, whether two of them share memory, their shape as text. */
#ifndef CONDLORA_BACKENDS_CORE_CHECK_VIEWS_H
#define CONDLORA_BACKENDS_CORE_CHECK_VIEWS_H

#include "condlora/plugin.h"

enum { CORE_SHAPE_BYTES = 96 };

bool core_is_dense(const cdl_tensor *tensor);
bool core_same_view(const cdl_tensor *a, const cdl_tensor *b);
/* Returns whether two views may share a byte. The answer is exact for ranges of rows or columns of
 * one matrix, batched or not. For interleaved views it may be true although they share nothing. */
bool core_overlap(const cdl_tensor *a, const cdl_tensor *b);

/* Returns whether two elements of one view may share memory, which is not allowed for an output.
 * True unless each stride, in ascending order, is larger than everything before it. */
bool core_repeats(const cdl_tensor *tensor);

/* Writes the shape as "[2, 7, 3]", without leading ones. */
const char *core_shape(const cdl_tensor *tensor, char text[CORE_SHAPE_BYTES]);

#endif
