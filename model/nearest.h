/* Names that were mistyped. */
#ifndef CONDLORA_MODEL_NEAREST_H
#define CONDLORA_MODEL_NEAREST_H

#include <stddef.h>

/* Levenshtein's distance. Names are short: what is beyond 64 bytes does not count. */
size_t cdl_distance(const char *a, const char *b);
/* The name among `names` [count], at least one, that fewest slips of the finger lead to. */
const char *cdl_nearest(const char *name, const char *const *names, size_t count);

#endif
