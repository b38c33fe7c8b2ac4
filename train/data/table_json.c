#include "train/data/table_json.h"

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
