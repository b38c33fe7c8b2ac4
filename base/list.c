#include "base/list.h"

#include <stdlib.h>
#include <string.h>

static cdl_status no_memory(const char *option)
{
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", option);
}

/* Reads the quoted name at `*at` into `to`; moves `*at` past it. */
static cdl_status read_quoted(const char *option, const char *text, const char **at, char *to)
{
  const char *c = *at + 1;
  for (;; c++) {
    if (*c == '\0')
      return cdl_fail(CDL_STATUS_USAGE, "%s: a quote that is not closed in '%s'", option, text);
    if (*c == '"' && *++c != '"')
      break;
    *to++ = *c;
  }
  *to = '\0';
  *at = c;
  return *c == '\0' || *c == ','
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_USAGE,
                        "%s: text behind a closing quote in '%s'; expected the whole name in "
                        "quotes, quotes within it twice",
                        option, text);
}

static cdl_status read_plain(const char *option, const char *text, const char **at, char *to)
{
  const char *c = *at, *first = c + strspn(c, " ");
  if (*first == '"')
    return cdl_fail(CDL_STATUS_USAGE,
                    "%s: a space before a quote in '%s'; expected the quote first", option, text);
  for (; *c != '\0' && (*c != ',' || c[1] == ','); c++) {
    c += *c == ',';
    *to++ = *c;
  }
  *to = '\0';
  *at = c;
  return CDL_STATUS_OK;
}

static cdl_status read_names(const char *option, const char *text, char *name, base_list *result)
{
  for (const char *at = text;; at++) {
    CDL_TRY(*at == '"' ? read_quoted(option, text, &at, name)
                       : read_plain(option, text, &at, name));
    if (*name == '\0')
      return cdl_fail(CDL_STATUS_USAGE, "%s: an empty name in '%s'", option, text);
    if ((result->item[result->count] = strdup(name)) == NULL)
      return no_memory(option);
    result->count++;
    if (*at == '\0')
      return CDL_STATUS_OK;
  }
}

cdl_status base_list_split(const char *option, const char *text, base_list *result)
{
  size_t commas = 0;
  for (const char *c = text; *c != '\0'; c++)
    commas += *c == ',';
  char *name = malloc(strlen(text) + 1);
  *result = (base_list){.item = calloc(commas + 1, sizeof *result->item)};
  const cdl_status status = name != NULL && result->item != NULL
                                ? read_names(option, text, name, result)
                                : no_memory(option);
  free(name);
  if (status != CDL_STATUS_OK)
    base_list_release(result);
  return status;
}

void base_list_release(base_list *result)
{
  for (size_t i = 0; i < result->count; i++)
    free(result->item[i]);
  free(result->item);
  *result = (base_list){0};
}

bool base_list_add(base_list *list, const char *name, size_t bytes)
{
  char **grown = realloc(list->item, (list->count + 1) * sizeof *grown);
  if (grown == NULL)
    return false;
  list->item = grown;
  list->item[list->count] = strndup(name, bytes);
  if (list->item[list->count] == NULL)
    return false;
  list->count++;
  return true;
}

bool base_list_has(const base_list *list, const char *name)
{
  for (size_t i = 0; i < list->count; i++)
    if (strcmp(list->item[i], name) == 0)
      return true;
  return false;
}

bool base_list_needs_quotes(const char *name)
{
  return strpbrk(name, ",*+?()[]|\\^$") != NULL || name[strspn(name, " ")] == '"';
}

char *base_list_join(const char *const *names, size_t count)
{
  size_t bytes = 1;
  for (size_t i = 0; i < count; i++)
    bytes += 2 * strlen(names[i]) + 3; /* the most: every byte is a quote */
  char *text = malloc(bytes), *to = text;
  for (size_t i = 0; text != NULL && i < count; i++) {
    const bool quoted = base_list_needs_quotes(names[i]);
    if (i > 0)
      *to++ = ',';
    if (quoted)
      *to++ = '"';
    for (const char *c = names[i]; *c != '\0'; c++) {
      if (quoted && *c == '"')
        *to++ = '"';
      *to++ = *c;
    }
    if (quoted)
      *to++ = '"';
  }
  if (text != NULL)
    *to = '\0';
  return text;
}
