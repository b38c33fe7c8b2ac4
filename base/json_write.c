/* Makes and writes jansson's values as JSON. jansson's own writer drops names without an error if
 * memory runs out, and has one precision for all numbers of a text. */
#include <fenv.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "base/visible.h"

/* ---- Values in the making ---- */

/* `whole`: whether the change of *value succeeded. */
static void keep(json_t **value, bool whole)
{
  if (whole)
    return;
  json_decref(*value);
  *value = NULL;
}

void base_json_set(json_t **object, const char *key, json_t *value)
{
  keep(object, json_object_set_new(*object, key, value) == 0);
}

void base_json_set_text(json_t **object, const char *key, const char *text)
{
  if (text != NULL)
    base_json_set(object, key, base_json_string_of(text));
}

void base_json_append(json_t **array, json_t *value)
{
  keep(array, json_array_append_new(*array, value) == 0);
}

void base_json_update(json_t **object, json_t *other)
{
  keep(object, json_object_update(*object, other) == 0);
  json_decref(other);
}

json_t *base_json_number(double value)
{
  return isfinite(value) ? json_real(value) : json_null();
}

json_t *base_json_rounded(double value, int places)
{
  const double scale = pow(10, places);
  return base_json_number(round(value * scale) / scale);
}

/* Copies `text` with U+FFFD for bytes that are not UTF-8. */
static json_t *mended(const uint8_t *text, size_t bytes)
{
  static const char replacement[] = "\xef\xbf\xbd";
  size_t used = 0, subpart;
  char *copy = malloc(bytes * (sizeof replacement - 1) + 1);
  if (copy == NULL)
    return NULL;
  for (size_t at = 0; at < bytes;) {
    const size_t length = base_utf8_sequence(text + at, bytes - at, &subpart);
    memcpy(copy + used, length > 0 ? (const char *)text + at : replacement,
           length > 0 ? length : sizeof replacement - 1);
    used += length > 0 ? length : sizeof replacement - 1;
    at += length > 0 ? length : subpart;
  }
  json_t *value = json_stringn_nocheck(copy, used);
  free(copy);
  return value;
}

json_t *base_json_string_of(const char *text)
{
  if (text == NULL)
    return json_null();
  const size_t bytes = strlen(text);
  const uint8_t *begin = (const uint8_t *)text;
  return base_utf8_well_formed(begin, bytes) == bytes ? json_stringn_nocheck(text, bytes)
                                                      : mended(begin, bytes);
}

/* ---- Text ---- */

typedef struct {
  char *data;
  size_t used, capacity;
  bool failed; /* never cleared */
  bool indented;
} writer;

static void put(writer *w, const char *bytes, size_t count)
{
  if (w->failed)
    return;
  if (count >= w->capacity - w->used) { /* leaves room for a NUL */
    size_t capacity = w->capacity < 256 ? 256 : w->capacity;
    while (capacity <= SIZE_MAX / 2 && count >= capacity - w->used)
      capacity *= 2;
    char *grown = count < capacity - w->used ? realloc(w->data, capacity) : NULL;
    w->failed = grown == NULL;
    if (w->failed)
      return;
    w->data = grown;
    w->capacity = capacity;
  }
  memcpy(w->data + w->used, bytes, count);
  w->used += count;
}

static void put_text(writer *w, const char *text)
{
  put(w, text, strlen(text));
}

static void put_line(writer *w, int depth)
{
  if (!w->indented)
    return;
  put(w, "\n", 1);
  for (int i = 0; i < depth; i++)
    put(w, "  ", 2);
}

/* Escapes more than JSON requires: everything that a terminal would obey, because results are
 * printed. */
static void put_string(writer *w, const char *text, size_t bytes)
{
  static const char names[] = "\"\\bfnrt", meanings[] = "\"\\\b\f\n\r\t";
  size_t from = 0, length;
  put(w, "\"", 1);
  for (size_t i = 0; i < bytes; i += length) {
    uint32_t c = 0;
    length = base_code_point(text + i, bytes - i, &c);
    length = length > 0 ? length : 1;
    if (!base_is_hidden(c) && c != '"' && c != '\\')
      continue;
    char escape[8];
    const char *meaning = c < 0x80 ? memchr(meanings, (int)c, sizeof meanings - 1) : NULL;
    if (meaning != NULL)
      snprintf(escape, sizeof escape, "\\%c", names[meaning - meanings]);
    else
      snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
    put(w, text + from, i - from);
    put_text(w, escape);
    from = i + length;
  }
  put(w, text + from, bytes - from);
  put(w, "\"", 1);
}

static bool reads_back(const char *text, double value, bool single)
{
  return single ? (double)strtof(text, NULL) == value : strtod(text, NULL) == value;
}

/* Uses the fewest digits that read back as the number, a float if `single`. If a power of two has a
 * closer neighbour below, the nearest decimal with so many digits may not read back, while the next
 * one does. */
static void print_shortest(char text[BASE_JSON_REAL_BYTES], double value, bool single)
{
  const int nearest = fegetround(), outwards = value < 0 ? FE_DOWNWARD : FE_UPWARD,
            most = single ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG, usual = single ? FLT_DIG : DBL_DIG;
  /* The usual digits always read back if no more are needed, and %g leaves out zeros; subnormal
   * numbers have fewer. */
  for (int digits = fabs(value) < (single ? (double)FLT_MIN : DBL_MIN) ? 1 : usual; digits <= most;
       digits++) {
    snprintf(text, BASE_JSON_REAL_BYTES, "%.*g", digits, value);
    if (reads_back(text, value, single))
      return;
    fesetround(outwards);
    snprintf(text, BASE_JSON_REAL_BYTES, "%.*g", digits, value);
    fesetround(nearest);
    if (reads_back(text, value, single))
      return;
  }
}

static void print_real(char text[BASE_JSON_REAL_BYTES], double value, bool single)
{
  const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0), before = uselocale(plain);
  print_shortest(text, value, single);
  uselocale(before);
  if (plain != (locale_t)0)
    freelocale(plain);
  char *exponent = strchr(text, 'e');
  if (exponent == NULL) {
    if (strchr(text, '.') == NULL)
      strcat(text, ".0"); /* otherwise it would be read as an integer */
    return;
  }
  char *to = exponent + 1 + (exponent[1] == '-');
  const char *from = exponent + 2;
  from += strspn(from, "0");
  memmove(to, from, strlen(from) + 1);
}

void base_json_real_text(char text[BASE_JSON_REAL_BYTES], double value)
{
  print_real(text, value, false);
}

void base_json_float_text(char text[BASE_JSON_REAL_BYTES], float value)
{
  print_real(text, (double)value, true);
}

static void put_value(writer *w, const json_t *value, int depth);

static void put_object(writer *w, const json_t *object, int depth)
{
  const char *key;
  size_t bytes, i = 0;
  json_t *member;
  put(w, "{", 1);
  json_object_keylen_foreach((json_t *)(uintptr_t)object, key, bytes, member)
  {
    if (i++ > 0)
      put(w, ",", 1);
    put_line(w, depth + 1);
    put_string(w, key, bytes);
    put(w, ": ", w->indented ? 2 : 1);
    put_value(w, member, depth + 1);
  }
  if (i > 0)
    put_line(w, depth);
  put(w, "}", 1);
}

static void put_array(writer *w, const json_t *array, int depth)
{
  const size_t count = json_array_size(array);
  put(w, "[", 1);
  for (size_t i = 0; i < count; i++) {
    if (i > 0)
      put(w, ",", 1);
    put_line(w, depth + 1);
    put_value(w, json_array_get(array, i), depth + 1);
  }
  if (count > 0)
    put_line(w, depth);
  put(w, "]", 1);
}

static void put_value(writer *w, const json_t *value, int depth)
{
  char number[BASE_JSON_REAL_BYTES];
  switch (json_typeof(value)) {
  case JSON_OBJECT:
    put_object(w, value, depth);
    break;
  case JSON_ARRAY:
    put_array(w, value, depth);
    break;
  case JSON_STRING:
    put_string(w, json_string_value(value), json_string_length(value));
    break;
  case JSON_INTEGER:
    snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
    put_text(w, number);
    break;
  case JSON_REAL:
    base_json_real_text(number, json_real_value(value));
    put_text(w, number);
    break;
  case JSON_TRUE:
    put_text(w, "true");
    break;
  case JSON_FALSE:
    put_text(w, "false");
    break;
  case JSON_NULL:
    put_text(w, "null");
    break;
  }
}

static char *text_of(const json_t *value, bool indented)
{
  writer w = {.indented = indented};
  if (value == NULL)
    return NULL;
  put_value(&w, value, 0);
  if (indented)
    put(&w, "\n", 1);
  if (w.failed) {
    free(w.data);
    return NULL;
  }
  w.data[w.used] = '\0';
  return w.data;
}

char *base_json_text(const json_t *value)
{
  return text_of(value, true);
}

char *base_json_line(const json_t *value)
{
  return text_of(value, false);
}
