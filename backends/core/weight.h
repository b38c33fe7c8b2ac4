/* A weight as the core keeps it. */
#ifndef CONDLORA_BACKENDS_CORE_WEIGHT_H
#define CONDLORA_BACKENDS_CORE_WEIGHT_H

#include "condlora/plugin.h"

/* A weight as the core keeps it. If the table has no weight functions, `weight.handle` is `parts`:
 * one plain matrix. */
typedef struct {
  cdl_weight weight;
  cdl_buffer *stacked; /* a copy of the sources, unless they are stacked already */
  size_t native_bytes;
  size_t source_count, part_count;
  cdl_tensor *sources;
  /* Plain matrices that composed ops read: the stacked copy, or the sources themselves. */
  cdl_tensor *parts;
} core_weight;

static inline const core_weight *core_weight_of(const cdl_weight *given)
{
  return (const core_weight *)given;
}

#endif
