#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

typedef json_t *(*loader)(const char *text, size_t bytes, base_json_fault *fault);

static cdl_status parse(const char *path, const void *bytes, size_t size, loader load,
                        json_t **object)
{
  base_json_fault fault;
  *object = load(bytes, size, &fault);
  if (*object == NULL) {
    if (fault.kind == BASE_JSON_MEMORY)
      return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
    return cdl_fail(CDL_STATUS_DATA, "%s:%zu:%zu: not valid JSON: %s", path, fault.line,
                    fault.column, fault.problem);
  }
  if (!json_is_object(*object)) {
    json_decref(*object);
    *object = NULL;
    return cdl_fail(CDL_STATUS_DATA, "%s: expected a JSON object", path);
  }
  return CDL_STATUS_OK;
}

cdl_status base_json_parse(const char *path, const void *bytes, size_t size, json_t **object)
{
  return parse(path, bytes, size, base_json_load, object);
}

static cdl_status read_file(const char *path, loader load, json_t **object)
{
  base_mapping mapping;
  *object = NULL;
  CDL_TRY(base_file_map(path, &mapping));
  const cdl_status status = parse(path, mapping.data, mapping.size, load, object);
  base_file_unmap(&mapping);
  return status;
}

cdl_status base_json_read(const char *path, json_t **object)
{
  return read_file(path, base_json_load, object);
}

cdl_status base_json_read_repeated(const char *path, json_t **object)
{
  return read_file(path, base_json_load_repeated, object);
}

cdl_status base_json_integer(const char *path, const json_t *object, const char *key, int64_t low,
                             int64_t high, int64_t *value)
{
  const json_t *found = json_object_get(object, key);
  if (found == NULL)
    return CDL_STATUS_OK;
  if (!json_is_integer(found))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected a whole number", path, key);
  const json_int_t number = json_integer_value(found);
  if (number < low || number > high)
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\" is %lld, expected %lld to %lld", path, key,
                    (long long)number, (long long)low, (long long)high);
  *value = number;
  return CDL_STATUS_OK;
}

cdl_status base_json_real(const char *path, const json_t *object, const char *key, double low,
                          double high, bool nullable, double *value)
{
  const json_t *found = json_object_get(object, key);
  if (found == NULL || (nullable && json_is_null(found)))
    return CDL_STATUS_OK;
  if (!json_is_number(found))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected a number", path, key);
  const double number = json_number_value(found);
  if (!(number >= low && number <= high))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\" is %g, expected %g to %g", path, key, number, low,
                    high);
  *value = number;
  return CDL_STATUS_OK;
}

cdl_status base_json_boolean(const char *path, const json_t *object, const char *key, bool *value)
{
  const json_t *found = json_object_get(object, key);
  if (found == NULL)
    return CDL_STATUS_OK;
  if (!json_is_boolean(found))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected true or false", path, key);
  *value = json_is_true(found);
  return CDL_STATUS_OK;
}

cdl_status base_json_string(const char *path, const json_t *object, const char *key, bool nullable,
                            const char **value)
{
  const json_t *found = json_object_get(object, key);
  if (found == NULL || (nullable && json_is_null(found)))
    return CDL_STATUS_OK;
  if (!json_is_string(found))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected a string", path, key);
  *value = json_string_value(found);
  return CDL_STATUS_OK;
}

cdl_status base_json_write(const char *path, const json_t *object)
{
  char *text = base_json_text(object);
  if (text == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  base_output *output = NULL;
  cdl_status status = base_output_begin(path, &output);
  if (status == CDL_STATUS_OK) {
    base_output_write(output, text, strlen(text));
    status = base_output_commit(output);
  }
  free(text);
  return status;
}
