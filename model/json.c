#include "model/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/file.h"

/* Reals that are whole numbers become integers again, all through `value`. */
static json_t *with_integers(json_t *value)
{
  enum { EXACT_BITS = 53 };
  if (json_is_real(value)) {
    const double number = json_real_value(value);
    if (fabs(number) < ldexp(1, EXACT_BITS) && floor(number) == number)
      return json_integer((json_int_t)number);
  } else if (json_is_object(value)) {
    const char *key;
    json_t *member;
    json_object_foreach(value, key, member) json_object_set_new(value, key, with_integers(member));
  } else if (json_is_array(value)) {
    for (size_t i = 0; i < json_array_size(value); i++)
      json_array_set_new(value, i, with_integers(json_array_get(value, i)));
  }
  return json_incref(value);
}

/* Transformers writes "no limit" as 1000000000000000019884624838656, which no 64-bit integer
 * holds. */
static json_t *load(const char *bytes, size_t size, json_error_t *error)
{
  json_t *value = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, error);
  if (value != NULL || json_error_code(error) != json_error_numeric_overflow)
    return value;
  value = json_loadb(bytes, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, error);
  if (value == NULL)
    return NULL;
  json_t *result = with_integers(value);
  json_decref(value);
  return result;
}

cdl_status cdl_json_parse(const char *path, const void *bytes, size_t size, json_t **object)
{
  json_error_t error;
  *object = load(bytes, size, &error);
  if (*object == NULL) {
    if (json_error_code(&error) == json_error_out_of_memory)
      return cdl_fail(CDL_MEMORY, "%s: out of memory", path);
    return cdl_fail(CDL_DATA, "%s:%d:%d: not valid JSON: %s", path, error.line, error.column,
                    error.text);
  }
  if (!json_is_object(*object)) {
    json_decref(*object);
    *object = NULL;
    return cdl_fail(CDL_DATA, "%s: expected a JSON object", path);
  }
  return CDL_OK;
}

cdl_status cdl_json_read(const char *path, json_t **object)
{
  cdl_mapping mapping;
  *object = NULL;
  CDL_TRY(cdl_file_map(path, &mapping));
  const cdl_status status = cdl_json_parse(path, mapping.data, mapping.size, object);
  cdl_file_unmap(&mapping);
  return status;
}

cdl_status cdl_json_integer(const char *path, const json_t *object, const char *key, int64_t low,
                            int64_t high, int64_t *value)
{
  const json_t *found = json_object_get(object, key);
  if (found == NULL)
    return CDL_OK;
  if (!json_is_integer(found))
    return cdl_fail(CDL_DATA, "%s: \"%s\": expected a whole number", path, key);
  const json_int_t number = json_integer_value(found);
  if (number < low || number > high)
    return cdl_fail(CDL_DATA, "%s: \"%s\" is %lld, expected %lld to %lld", path, key,
                    (long long)number, (long long)low, (long long)high);
  *value = number;
  return CDL_OK;
}

cdl_status cdl_json_real(const char *path, const json_t *object, const char *key, double low,
                         double high, bool nullable, double *value)
{
  const json_t *found = json_object_get(object, key);
  if (found == NULL || (nullable && json_is_null(found)))
    return CDL_OK;
  if (!json_is_number(found))
    return cdl_fail(CDL_DATA, "%s: \"%s\": expected a number", path, key);
  const double number = json_number_value(found);
  if (!(number >= low && number <= high))
    return cdl_fail(CDL_DATA, "%s: \"%s\" is %g, expected %g to %g", path, key, number, low, high);
  *value = number;
  return CDL_OK;
}

cdl_status cdl_json_boolean(const char *path, const json_t *object, const char *key, bool *value)
{
  const json_t *found = json_object_get(object, key);
  if (found == NULL)
    return CDL_OK;
  if (!json_is_boolean(found))
    return cdl_fail(CDL_DATA, "%s: \"%s\": expected true or false", path, key);
  *value = json_is_true(found);
  return CDL_OK;
}

cdl_status cdl_json_string(const char *path, const json_t *object, const char *key, bool nullable,
                           const char **value)
{
  const json_t *found = json_object_get(object, key);
  if (found == NULL || (nullable && json_is_null(found)))
    return CDL_OK;
  if (!json_is_string(found))
    return cdl_fail(CDL_DATA, "%s: \"%s\": expected a string", path, key);
  *value = json_string_value(found);
  return CDL_OK;
}

static bool reads_back_the_same(const char *text, const json_t *object)
{
  json_t *again = json_loads(text, 0, NULL);
  const bool same = again != NULL && json_equal(again, object);
  json_decref(again);
  return same;
}

char *cdl_json_text(const json_t *object)
{
  char *text = NULL;
  for (size_t digits = 6; digits <= 17; digits++) {
    free(text);
    text = json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(digits));
    if (text == NULL || reads_back_the_same(text, object))
      break;
  }
  if (text == NULL)
    return NULL;
  const size_t length = strlen(text);
  char *line = realloc(text, length + 2);
  if (line == NULL) {
    free(text);
    return NULL;
  }
  line[length] = '\n';
  line[length + 1] = '\0';
  return line;
}

cdl_status cdl_json_write(const char *path, const json_t *object)
{
  char *text = cdl_json_text(object);
  if (text == NULL)
    return cdl_fail(CDL_MEMORY, "%s: out of memory", path);
  cdl_output *output = NULL;
  cdl_status status = cdl_output_begin(path, &output);
  if (status == CDL_OK) {
    cdl_output_write(output, text, strlen(text));
    status = cdl_output_commit(output);
  }
  free(text);
  return status;
}
