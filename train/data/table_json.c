#include "train/data/table_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* Says why a line is no object, in the table's own words where they are better. */
static cdl_status bad_json(const char *name, uint64_t line, const base_json_fault *fault)
{
  const char *why = fault->problem, *expected = "a JSON object";
  switch (fault->kind) {
  case BASE_JSON_MEMORY:
    return cdl_fail(CDL_STATUS_MEMORY, "%s:%llu: out of memory", name, (unsigned long long)line);
  case BASE_JSON_NUL:
    why = "a string holds \\u0000";
    expected = "text without NUL";
    break;
  case BASE_JSON_CUT:
    why = "the line ends before its object does";
    expected = "a whole JSON object on each line";
    break;
  case BASE_JSON_MORE:
    why = "there is more behind the object";
    expected = "one JSON object on each line";
    break;
  case BASE_JSON_SURROGATE:
    why = "a \\u escape is half of a surrogate pair";
    expected = "both halves";
    break;
  case BASE_JSON_SYNTAX:
    break;
  }
  return cdl_fail(CDL_STATUS_DATA, "%s:%llu: %s at byte %zu; expected %s", name,
                  (unsigned long long)line, why, fault->byte + 1, expected);
}

static cdl_status check_start(const char *name, uint64_t line, const char *at, const char *end)
{
  if (end - at >= 3 && memcmp(at, "\xEF\xBB\xBF", 3) == 0)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s:%llu: a byte-order mark; expected one at the start of the file alone (were "
                    "files put together?)",
                    name, (unsigned long long)line);
  while (at < end && (*at == ' ' || *at == '\t'))
    at++;
  if (at < end && *at == '[')
    return cdl_fail(CDL_STATUS_DATA,
                    "%s:%llu: a JSON array; expected a JSON object on each line, with nothing "
                    "around them",
                    name, (unsigned long long)line);
  return CDL_STATUS_OK;
}

cdl_status data_table_json_line(const char *name, uint64_t line, const char *at, const char *end,
                                json_t **object)
{
  *object = NULL;
  CDL_TRY(check_start(name, line, at, end));
  base_json_fault fault;
  json_t *value = base_json_load(at, (size_t)(end - at), &fault);
  if (value == NULL)
    return bad_json(name, line, &fault);
  if (!fault.rounded && json_is_object(value)) {
    *object = value;
    return CDL_STATUS_OK;
  }
  json_decref(value);
  return cdl_fail(CDL_STATUS_DATA, "%s:%llu: %s", name, (unsigned long long)line,
                  fault.rounded ? "a whole number is beyond 64 bits; expected the number in quotes"
                                : "expected a JSON object");
}

/* ---- Values ---- */

/* The text of a scalar, borrowed from the value or written to `number`; NULL for others. */
static const char *scalar_text(const json_t *value, char *number, size_t *bytes)
{
  const char *text = number;
  switch (json_typeof(value)) {
  case JSON_STRING:
    *bytes = json_string_length(value);
    return json_string_value(value);
  case JSON_INTEGER:
    snprintf(number, BASE_JSON_REAL_BYTES, "%lld", (long long)json_integer_value(value));
    break;
  case JSON_REAL:
    base_json_real_text(number, json_real_value(value));
    break;
  case JSON_TRUE:
    text = "true";
    break;
  case JSON_FALSE:
    text = "false";
    break;
  default:
    return NULL;
  }
  *bytes = strlen(text);
  return text;
}

static cdl_status no_text(const char *name, uint64_t line, const char *column, bool lists)
{
  return cdl_fail(CDL_STATUS_DATA, "%s:%llu: %s is an %sobject; expected a string or a number%s",
                  name, (unsigned long long)line, column, lists ? "" : "array or ",
                  lists ? ", or an array of them" : "");
}

static cdl_status add_text(const char *name, const char *text, size_t bytes, char **to,
                           size_t *used)
{
  char *grown = realloc(*to, *used + bytes + 1);
  if (grown == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", name);
  memcpy(grown + *used, text, bytes);
  grown[*used + bytes] = '\0';
  *to = grown;
  *used += bytes;
  return CDL_STATUS_OK;
}

static cdl_status array_text(const char *name, uint64_t line, const char *column,
                             const json_t *array, char **text, size_t *bytes)
{
  CDL_TRY(add_text(name, "", 0, text, bytes));
  for (size_t i = 0; i < json_array_size(array); i++) {
    char number[BASE_JSON_REAL_BYTES];
    size_t length = 0;
    const char *item = scalar_text(json_array_get(array, i), number, &length);
    if (item == NULL)
      return cdl_fail(CDL_STATUS_DATA,
                      "%s:%llu: %s has an element that is no string and no number; expected an "
                      "array of them",
                      name, (unsigned long long)line, column);
    CDL_TRY(add_text(name, item, length, text, bytes));
    (*bytes)++; /* the NUL */
  }
  return CDL_STATUS_OK;
}

cdl_status data_table_json_text(const char *name, uint64_t line, const char *column,
                                const json_t *value, bool lists, char **text, size_t *bytes)
{
  char number[BASE_JSON_REAL_BYTES];
  *text = NULL;
  *bytes = 0;
  if (value == NULL || json_is_null(value))
    return CDL_STATUS_OK;
  cdl_status status;
  size_t length = 0;
  const char *scalar = scalar_text(value, number, &length);
  if (scalar != NULL)
    status = add_text(name, scalar, length, text, bytes);
  else if (lists && json_is_array(value))
    status = array_text(name, line, column, value, text, bytes);
  else
    status = no_text(name, line, column, lists);
  if (status != CDL_STATUS_OK) {
    free(*text);
    *text = NULL;
  }
  return status;
}
