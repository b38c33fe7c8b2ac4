/* Lists of names in one text, as options and settings hold them. */
#ifndef CONDLORA_BASE_LIST_H
#define CONDLORA_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "condlora/status.h"

typedef struct {
  char **item;
  size_t count;
} base_list;

/* "a,b,c" as a list; items are owned by the list. A name that has commas or begins with a quote
 * stands in quotes, a quote within them twice, as in CSV: "Title, full",body. Outside of quotes ",,"
 * is a comma of the name, from the left: Title,, full,body. Spaces belong to names. An empty name is an
 * error naming `option`: USAGE. */
CDL_MUST_USE cdl_status base_list_split(const char *option, const char *text, base_list *result);
void base_list_release(base_list *result);

/* Whether base_list_join puts a name in quotes: where it has to, and where it has a character by which
 * an expression is told from a list of modules. */
bool base_list_needs_quotes(const char *name);
/* The text that base_list_split reads as these names, to be freed by the caller; NULL when memory is
 * out. */
char *base_list_join(const char *const *names, size_t count);

#endif
