/* Lists of names in one string, as options and settings hold them. */
#ifndef CONDLORA_BASE_LIST_H
#define CONDLORA_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "condlora/status.h"

typedef struct {
  char **item;
  size_t count;
} base_list;

/* Splits "a,b,c" into a list that owns its items. A name that contains commas or begins with a
 * quote stands in quotes, with inner quotes doubled, as in CSV: "Title, full",body. Outside quotes
 * ",," is a comma of the name, read from the left: Title,, full,body. Spaces belong to names. An
 * empty name is an error that names `option`: USAGE. */
CDL_MUST_USE cdl_status base_list_split(const char *option, const char *text, base_list *result);
void base_list_release(base_list *result);
/* Adds a copy of the first `bytes` of `name`. Returns false if memory is out. */
CDL_MUST_USE bool base_list_add(base_list *list, const char *name, size_t bytes);
bool base_list_has(const base_list *list, const char *name);

/* Whether base_list_join puts a name in quotes: if it must, or if the name has a character that
 * distinguishes an expression from a list of modules. */
bool base_list_needs_quotes(const char *name);
/* Returns the string that base_list_split reads as these names. The caller frees it. NULL if memory
 * is out. */
char *base_list_join(const char *const *names, size_t count);

#endif
