/* What can be said of views alone: density, whether two of them share memory, a shape as text. */
#ifndef CONDLORA_BACKENDS_CORE_CHECK_VIEWS_H
#define CONDLORA_BACKENDS_CORE_CHECK_VIEWS_H

#include "condlora/plugin.h"

enum { CORE_SHAPE_BYTES = 96 };

bool core_is_dense(const cdl_tensor *tensor);
bool core_same_view(const cdl_tensor *a, const cdl_tensor *b);
/* Whether two views may share a byte. Exact for the ranges of rows or columns of one matrix,
 * batched or not; otherwise perhaps true for views that interleave. */
bool core_overlap(const cdl_tensor *a, const cdl_tensor *b);

/* Whether two elements of a view may share memory, as those of an output never do: true unless
 * each stride, in ascending order, passes everything before it. */
bool core_repeats(const cdl_tensor *tensor);

/* "[2, 7, 3]", without leading ones. */
const char *core_shape(const cdl_tensor *tensor, char text[CORE_SHAPE_BYTES]);

#endif
