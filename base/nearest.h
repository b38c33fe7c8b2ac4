/* Names that may be given, and those that were mistyped. */
#ifndef CONDLORA_BASE_NEAREST_H
#define CONDLORA_BASE_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

/* Levenshtein's distance. Names are short: what is beyond 64 bytes does not count. */
size_t base_distance(const char *a, const char *b);
/* The name among `names` [count], at least one, that fewest slips of the finger lead to. */
const char *base_nearest(const char *name, const char *const *names, size_t count);

/* Whether `value` is one of `choices`, "A|B|C". */
bool base_is_listed(const char *choices, const char *value);

/* What to offer for a name that is not among `names` [count]: what it is called here, "here it is lr"
 * for learning_rate, which is what other programs know it as; or the nearest, or that none is near.
 * `dashes`: "--" or "". */
typedef struct {
  char text[160];
} base_hint;
base_hint base_hint_for(const char *name, const char *const *names, size_t count,
                        const char *dashes);

/* Whether `name` is one of `names` [count]. */
bool base_is_one_of(const char *name, const char *const *names, size_t count);

#endif
