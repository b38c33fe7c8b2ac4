/* Known names, and suggestions for mistyped ones. */
#ifndef CONDLORA_BASE_NEAREST_H
#define CONDLORA_BASE_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

/* Levenshtein's distance. Only the first 64 bytes count, because names are short. */
size_t base_distance(const char *a, const char *b);
/* Returns the entry of `names` [count >= 1] with the smallest edit distance to `name`. */
const char *base_nearest(const char *name, const char *const *names, size_t count);

/* Whether `value` is one of `choices`, "A|B|C". */
bool base_is_listed(const char *choices, const char *value);

/* A suggestion for a name that is not among `names` [count]. If other programs use the name, it is
 * the name here: "here it is lr" for learning_rate. Otherwise it is the nearest name, or says that
 * none is near. `dashes`: "--" or "". */
typedef struct {
  char text[160];
} base_hint;
base_hint base_hint_for(const char *name, const char *const *names, size_t count,
                        const char *dashes);

/* Whether `name` is one of `names` [count]. */
bool base_is_one_of(const char *name, const char *const *names, size_t count);

#endif
