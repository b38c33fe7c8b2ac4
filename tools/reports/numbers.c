#include "tools/reports/numbers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

enum { NUMBERS_MOST = 10 * 1000 * 1000 };

static cdl_status no_memory(const char *path)
{
  return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
}

cdl_status report_numbers_join(const char *path, const double *values, size_t count, json_t **text)
{
  char *joined = malloc(count * BASE_JSON_REAL_BYTES + 1);
  if (joined == NULL)
    return no_memory(path);
  size_t used = 0;
  for (size_t i = 0; i < count; i++) {
    if (i > 0)
      joined[used++] = ' ';
    used += (size_t)sprintf(joined + used, "%.9g", values[i]);
  }
  joined[used] = '\0';
  *text = json_string(joined);
  free(joined);
  return CDL_STATUS_OK;
}

cdl_status report_numbers_split(const char *path, const json_t *object, const char *key,
                                double **values, size_t *count)
{
  const char *text;
  CDL_TRY(base_json_string(path, object, key, false, &text));
  size_t space = 0;
  for (const char *c = text; *c != '\0'; c++)
    space += *c == ' ';
  *values = calloc(space + 1, sizeof **values);
  if (*values == NULL)
    return no_memory(path);
  for (*count = 0; *text != '\0' && *count < NUMBERS_MOST; text += *text == ' ') {
    char *end;
    const double value = strtod(text, &end);
    if (end == text || (*end != '\0' && *end != ' ') || !isfinite(value))
      return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\" is not a list of numbers with spaces between",
                      path, key);
    (*values)[(*count)++] = value;
    text = end;
  }
  return CDL_STATUS_OK;
}
