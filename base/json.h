/* JSON: files with errors that name file and key, and values that are complete or NULL.
 *
 * jansson holds the values. It neither reads nor writes them, and nothing sets its allocator, which
 * belongs to the whole process: if memory runs out, jansson's reader and writer lose names and
 * characters without an error, or abort. */
#ifndef CONDLORA_BASE_JSON_H
#define CONDLORA_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

/* The kind of fault, for readers that have their own words for it. */
typedef enum {
  BASE_JSON_SYNTAX,
  BASE_JSON_CUT,       /* the text ends inside a value */
  BASE_JSON_MORE,      /* something follows the value */
  BASE_JSON_NUL,       /* \u0000, which no C string holds */
  BASE_JSON_SURROGATE, /* half of a surrogate pair */
  BASE_JSON_MEMORY
} base_json_problem;

typedef struct {
  char problem[80]; /* empty: none */
  base_json_problem kind;
  size_t line, column; /* from 1; a column is one character */
  size_t byte;         /* from 0 */
  bool rounded;        /* also set without a fault: an integer was beyond 64 bits */
} base_json_fault;

/* Returns the value of `text`, of any kind, or NULL and the fault. Names must be unique, the text
 * UTF-8 without NUL, and nesting at most 2048 levels deep. An integer beyond 64 bits is read as a
 * real. The caller releases the value with json_decref. */
json_t *base_json_load(const char *text, size_t bytes, base_json_fault *fault);
/* The same, but names may repeat, as they do in vocabularies: the last one counts. */
json_t *base_json_load_repeated(const char *text, size_t bytes, base_json_fault *fault);
/* Reads the object in `bytes`; `path` is for messages. */
CDL_MUST_USE cdl_status base_json_parse(const char *path, const void *bytes, size_t size,
                                        json_t **object);
CDL_MUST_USE cdl_status base_json_read(const char *path, json_t **object);
CDL_MUST_USE cdl_status base_json_read_repeated(const char *path, json_t **object);

/* Reads values of keys. A missing key leaves *value unchanged, and so does a null if `nullable`.
 * Numbers must be in [low, high]. */
CDL_MUST_USE cdl_status base_json_integer(const char *path, const json_t *object, const char *key,
                                          int64_t low, int64_t high, int64_t *value);
CDL_MUST_USE cdl_status base_json_real(const char *path, const json_t *object, const char *key,
                                       double low, double high, bool nullable, double *value);
CDL_MUST_USE cdl_status base_json_boolean(const char *path, const json_t *object, const char *key,
                                          bool *value);
CDL_MUST_USE cdl_status base_json_string(const char *path, const json_t *object, const char *key,
                                         bool nullable, const char **value);

/* Making values. A value that cannot be made completely becomes NULL, and so does every value that
 * it is put into. One check at the end finds that memory ran out; base_json_text and base_json_line
 * make it themselves. jansson's own json_object_set_new and json_array_append_new are used only if
 * their result is checked. Its json_pack gives NULL for an incomplete value, except for members
 * marked '*'. */

/* Puts `value` into *object and takes ownership of it. If `value` is NULL, *object is released and
 * becomes NULL. */
void base_json_set(json_t **object, const char *key, json_t *value);
void base_json_append(json_t **array, json_t *value);
/* Does nothing if `text` is NULL. */
void base_json_set_text(json_t **object, const char *key, const char *text);
/* Puts the members of `other` into *object and releases `other`. */
void base_json_update(json_t **object, json_t *other);
/* Returns null for a number that is not finite, because JSON has none. */
json_t *base_json_number(double value);
/* The same, rounded to so many decimal places. */
json_t *base_json_rounded(double value, int places);
/* Returns null for NULL. Bytes that are not UTF-8 (a path may have some) become U+FFFD. */
json_t *base_json_string_of(const char *text);

/* Returns the text of `value`, with the fewest digits that read back as the same number for each
 * real. The caller frees it. NULL if memory is out or `value` is NULL. */
char *base_json_text(const json_t *value); /* indented, with a newline at the end */
char *base_json_line(const json_t *value); /* without any space */
enum { BASE_JSON_REAL_BYTES = 32 };
/* Writes one finite `value` in that form, independent of the locale. */
void base_json_real_text(char text[BASE_JSON_REAL_BYTES], double value);
/* The same for a float: the digits that read back as the same float. */
void base_json_float_text(char text[BASE_JSON_REAL_BYTES], float value);
/* Writes base_json_text to a file, whole or not at all. */
CDL_MUST_USE cdl_status base_json_write(const char *path, const json_t *object);

#endif
