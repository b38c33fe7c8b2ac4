/* Reads JSON text (RFC 8259) into jansson's values. jansson's own reader drops characters without
 * an error if memory runs out. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"

enum { DEPTH_MAX = 2048 };

typedef struct {
  const char *at, *end;
  const char *begin; /* of the text */
  char *scratch;     /* a string without its escapes, or a number followed by a NUL */
  size_t capacity;
  int depth;
  bool repeated; /* a name may repeat: the last one counts */
  base_json_fault *fault;
} reader;

/* Keeps the first failure and its place. */
static json_t *fail_as(const reader *r, base_json_problem kind, const char *at, const char *problem)
{
  if (r->fault->problem[0] == '\0') {
    snprintf(r->fault->problem, sizeof r->fault->problem, "%s", problem);
    r->fault->kind = kind;
    r->fault->byte = (size_t)(at - r->begin);
  }
  return NULL;
}

static json_t *fail(const reader *r, const char *at, const char *problem)
{
  return fail_as(r, at < r->end ? BASE_JSON_SYNTAX : BASE_JSON_CUT, at, problem);
}

static json_t *no_memory(const reader *r)
{
  return fail_as(r, BASE_JSON_MEMORY, r->at, "out of memory");
}

static json_t *checked(const reader *r, json_t *value)
{
  return value != NULL ? value : no_memory(r);
}

static void skip_space(reader *r)
{
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
    r->at++;
}

static bool next_is(const reader *r, char c)
{
  return r->at < r->end && *r->at == c;
}

static bool has_room(reader *r, size_t bytes)
{
  if (r->scratch != NULL && bytes <= r->capacity)
    return true;
  char *grown = realloc(r->scratch, bytes);
  if (grown == NULL)
    return false;
  r->scratch = grown;
  r->capacity = bytes;
  return true;
}

/* ---- Strings ---- */

/* Returns the value of four hexadecimal digits, or -1. */
static int32_t read_hex(const char *at, const char *end)
{
  int32_t value = 0;
  if (end - at < 4)
    return -1;
  for (int i = 0; i < 4; i++) {
    const char c = at[i];
    if (c >= '0' && c <= '9')
      value = value * 16 + (c - '0');
    else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
      value = value * 16 + (c | 0x20) - 'a' + 10;
    else
      return -1;
  }
  return value;
}

enum { HALF_FIRST = 0xd800, HALF_SECOND = 0xdc00, HALF_END = 0xe000, NO_CHARACTER = -1, HALF = -2 };

/* Returns the character of "\u…", including a surrogate pair; otherwise NO_CHARACTER, or HALF of a
 * pair. *at is after the 'u', and moves past the digits. */
static int32_t read_code(const char **at, const char *end)
{
  const int32_t first = read_hex(*at, end);
  if (first < HALF_FIRST || first >= HALF_END) {
    *at += 4;
    return first;
  }
  const bool pair = first < HALF_SECOND && end - *at >= 10 && (*at)[4] == '\\' && (*at)[5] == 'u';
  const int32_t second = pair ? read_hex(*at + 6, end) : -1;
  if (second < HALF_SECOND || second >= HALF_END)
    return HALF;
  *at += 10;
  return 0x10000 + ((first - HALF_FIRST) << 10) + (second - HALF_SECOND);
}

static void fail_escape(const reader *r, const char *escape, int32_t code)
{
  if (code == 0)
    fail_as(r, BASE_JSON_NUL, escape, "\\u0000 in a string");
  else if (code == HALF)
    fail_as(r, BASE_JSON_SURROGATE, escape, "half of a surrogate pair");
  else
    fail_as(r, BASE_JSON_SYNTAX, escape, "no such escape");
}

/* Copies the string from r->at to `close` into the scratch and resolves its escapes. Returns its
 * length, or SIZE_MAX. An escape is never shorter than its character. */
static size_t resolve(reader *r, const char *close)
{
  static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  if (!has_room(r, (size_t)(close - r->at) + 1)) {
    no_memory(r);
    return SIZE_MAX;
  }
  size_t used = 0;
  for (const char *p = r->at; p < close;) {
    if (*p != '\\') {
      r->scratch[used++] = *p++;
      continue;
    }
    const char *escape = p++;
    const char *name = memchr(names, *p, sizeof names - 1);
    if (name != NULL) {
      r->scratch[used++] = meanings[name - names];
      p++;
      continue;
    }
    const int32_t code = *p++ == 'u' ? read_code(&p, close) : NO_CHARACTER;
    if (code <= 0) {
      fail_escape(r, escape, code);
      return SIZE_MAX;
    }
    used += base_utf8_write((uint8_t *)r->scratch + used, (uint32_t)code);
  }
  return used;
}

/* Reads the string whose opening quote is at r->at. It is in the text itself if it has no escapes,
 * otherwise in the scratch. Returns false after an error. */
static bool read_text(reader *r, const char **text, size_t *bytes)
{
  bool escaped = false;
  const char *close = ++r->at;
  for (; close < r->end && *close != '"'; close++) {
    if ((unsigned char)*close < 0x20) {
      fail(r, close, "a control character in a string");
      return false;
    }
    if (*close == '\\') {
      escaped = true;
      close += close + 1 < r->end;
    }
  }
  if (close >= r->end) {
    fail_as(r, BASE_JSON_CUT, r->at - 1, "a string without its end");
    return false;
  }
  const size_t raw = (size_t)(close - r->at),
               valid = base_utf8_well_formed((const uint8_t *)r->at, raw);
  if (valid < raw) {
    fail(r, r->at + valid, "not UTF-8");
    return false;
  }
  *text = r->at;
  *bytes = raw;
  if (escaped) {
    *bytes = resolve(r, close);
    *text = r->scratch;
    if (*bytes == SIZE_MAX)
      return false;
  }
  r->at = close + 1;
  return true;
}

/* ---- Numbers ---- */

static const char *digits(const char *at, const char *end)
{
  while (at < end && *at >= '0' && *at <= '9')
    at++;
  return at;
}

/* Returns the end of the number at r->at, and whether it is written as an integer; NULL if there is
 * none. */
static const char *number_end(const reader *r, bool *whole)
{
  const char *at = r->at + (*r->at == '-'), *first = at;
  at = digits(at, r->end);
  if (at == first || (*first == '0' && at > first + 1))
    return NULL;
  *whole = true;
  if (at < r->end && *at == '.') {
    *whole = false;
    first = at + 1;
    at = digits(first, r->end);
    if (at == first)
      return NULL;
  }
  if (at < r->end && (*at == 'e' || *at == 'E')) {
    *whole = false;
    first = at + 1;
    first += first < r->end && (*first == '-' || *first == '+');
    at = digits(first, r->end);
    if (at == first)
      return NULL;
  }
  return at;
}

/* Returns whether the digits make an integer of 64 bits. */
static bool read_whole(const char *at, const char *end, json_int_t *value)
{
  const bool negative = *at == '-';
  *value = 0;
  for (at += negative; at < end; at++)
    if (__builtin_mul_overflow(*value, 10, value) ||
        __builtin_add_overflow(*value, negative ? '0' - *at : *at - '0', value))
      return false;
  return true;
}

/* Transformers writes "no limit" as 1000000000000000019884624838656, which no 64-bit integer holds:
 * such a number is a real. */
static json_t *read_number(reader *r)
{
  bool whole;
  json_int_t integer;
  const char *end = number_end(r, &whole);
  if (end == NULL)
    return fail(r, r->at, "no number");
  const size_t bytes = (size_t)(end - r->at);
  if (whole && read_whole(r->at, end, &integer)) {
    r->at = end;
    return checked(r, json_integer(integer));
  }
  r->fault->rounded |= whole;
  const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (plain == (locale_t)0 || !has_room(r, bytes + 1)) {
    if (plain != (locale_t)0)
      freelocale(plain);
    return no_memory(r);
  }
  memcpy(r->scratch, r->at, bytes);
  r->scratch[bytes] = '\0';
  const double value = strtod_l(r->scratch, NULL, plain);
  freelocale(plain);
  if (!isfinite(value))
    return fail(r, r->at, "a number out of range");
  r->at = end;
  return checked(r, json_real(value));
}

/* ---- Values ---- */

static json_t *read_value(reader *r);

static json_t *read_word(reader *r, const char *word, json_t *value)
{
  const size_t bytes = strlen(word);
  if ((size_t)(r->end - r->at) < bytes || memcmp(r->at, word, bytes) != 0)
    return fail(r, r->at, "no value");
  r->at += bytes;
  return value;
}

/* After a member: whether another follows. Returns false at the end, which is passed, and after an
 * error. */
static bool another(reader *r, char close, bool *complete)
{
  skip_space(r);
  if (next_is(r, ',')) {
    r->at++;
    skip_space(r);
    return true;
  }
  *complete = next_is(r, close);
  if (*complete)
    r->at++;
  else
    fail(r, r->at, close == '}' ? "',' or '}' is missing" : "',' or ']' is missing");
  return false;
}

/* The message has the name if it is short and plain. */
static void fail_duplicate(const reader *r, const char *at, const char *name, size_t bytes)
{
  enum { SHOWN = 48 };
  char problem[SHOWN + 24];
  bool plain = bytes <= SHOWN;
  for (size_t i = 0; i < bytes && plain; i++)
    plain = name[i] >= 0x20 && name[i] < 0x7f;
  snprintf(problem, sizeof problem, plain ? "a duplicate name, \"%.*s\"" : "a duplicate name",
           plain ? (int)bytes : 0, name);
  fail(r, at, problem);
}

/* Reads a member whose name has been read. */
static bool read_named(reader *r, json_t *object, const char *name, size_t bytes)
{
  skip_space(r);
  if (!next_is(r, ':')) {
    fail(r, r->at, "':' is missing");
    return false;
  }
  r->at++;
  skip_space(r);
  json_t *value = read_value(r);
  if (value != NULL && json_object_setn_new_nocheck(object, name, bytes, value) != 0) {
    no_memory(r);
    return false;
  }
  return value != NULL;
}

static bool read_member(reader *r, json_t *object)
{
  const char *name, *place = r->at;
  size_t bytes;
  if (!next_is(r, '"')) {
    fail(r, r->at, "the name of a member is missing");
    return false;
  }
  if (!read_text(r, &name, &bytes))
    return false;
  if (!r->repeated && json_object_getn(object, name, bytes) != NULL) {
    fail_duplicate(r, place, name, bytes);
    return false;
  }
  if (name != r->scratch)
    return read_named(r, object, name, bytes);
  char *copy = malloc(bytes + 1); /* reading the value may need the scratch */
  if (copy == NULL) {
    no_memory(r);
    return false;
  }
  memcpy(copy, name, bytes);
  const bool whole = read_named(r, object, copy, bytes);
  free(copy);
  return whole;
}

static json_t *read_object(reader *r)
{
  json_t *object = json_object();
  if (object == NULL)
    return no_memory(r);
  r->at++;
  skip_space(r);
  bool complete = next_is(r, '}');
  if (complete)
    r->at++;
  else
    while (read_member(r, object) && another(r, '}', &complete))
      ;
  if (complete)
    return object;
  json_decref(object);
  return NULL;
}

static bool read_item(reader *r, json_t *array)
{
  json_t *value = read_value(r);
  if (value != NULL && json_array_append_new(array, value) != 0) {
    no_memory(r);
    return false;
  }
  return value != NULL;
}

static json_t *read_array(reader *r)
{
  json_t *array = json_array();
  if (array == NULL)
    return no_memory(r);
  r->at++;
  skip_space(r);
  bool complete = next_is(r, ']');
  if (complete)
    r->at++;
  else
    while (read_item(r, array) && another(r, ']', &complete))
      ;
  if (complete)
    return array;
  json_decref(array);
  return NULL;
}

static json_t *read_nested(reader *r)
{
  if (r->depth == DEPTH_MAX)
    return fail(r, r->at, "nested beyond the greatest depth, 2048");
  r->depth++;
  json_t *value = *r->at == '{' ? read_object(r) : read_array(r);
  r->depth--;
  return value;
}

static json_t *read_value(reader *r)
{
  const char *text;
  size_t bytes;
  if (r->at == r->end)
    return fail(r, r->at, "the end comes too early");
  switch (*r->at) {
  case '{':
  case '[':
    return read_nested(r);
  case '"':
    return read_text(r, &text, &bytes) ? checked(r, json_stringn_nocheck(text, bytes)) : NULL;
  case 't':
    return read_word(r, "true", json_true());
  case 'f':
    return read_word(r, "false", json_false());
  case 'n':
    return read_word(r, "null", json_null());
  default:
    return *r->at == '-' || (*r->at >= '0' && *r->at <= '9') ? read_number(r)
                                                             : fail(r, r->at, "no value");
  }
}

/* Lines and columns from 1; a column is a character. */
static void locate(base_json_fault *fault, const char *text)
{
  fault->line = fault->column = 1;
  for (size_t i = 0; i < fault->byte; i++) {
    if (text[i] == '\n') {
      fault->line++;
      fault->column = 1;
    } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
      fault->column++;
    }
  }
}

static json_t *load(const char *text, size_t bytes, bool repeated, base_json_fault *fault)
{
  *fault = (base_json_fault){0};
  reader r = {.at = text, .begin = text, .end = text + bytes, .repeated = repeated, .fault = fault};
  skip_space(&r);
  json_t *value = read_value(&r);
  skip_space(&r);
  if (value != NULL && r.at < r.end) {
    fail_as(&r, BASE_JSON_MORE, r.at, "more than one value");
    json_decref(value);
    value = NULL;
  }
  free(r.scratch);
  if (value == NULL)
    locate(fault, text);
  return value;
}

json_t *base_json_load(const char *text, size_t bytes, base_json_fault *fault)
{
  return load(text, bytes, false, fault);
}

json_t *base_json_load_repeated(const char *text, size_t bytes, base_json_fault *fault)
{
  return load(text, bytes, true, fault);
}
