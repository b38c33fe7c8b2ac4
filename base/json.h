/* JSON: files with errors that name file and key, and values that are whole or say so.
 *
 * jansson holds the values. It neither reads nor writes them, and nothing sets its allocator, which
 * belongs to the whole process: where memory runs out, its reader and writer lose names and
 * characters without an error, or abort. */
#ifndef CONDLORA_BASE_JSON_H
#define CONDLORA_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

/* What is wrong, for readers that have words of their own for it. */
typedef enum {
  BASE_JSON_SYNTAX,
  BASE_JSON_CUT,       /* the text ends before its value does */
  BASE_JSON_MORE,      /* something follows the value */
  BASE_JSON_NUL,       /* \u0000, which no string of C holds */
  BASE_JSON_SURROGATE, /* half of a pair */
  BASE_JSON_MEMORY
} base_json_problem;

typedef struct {
  char problem[80]; /* empty: none */
  base_json_problem kind;
  size_t line, column; /* from 1; a column is a character */
  size_t byte;         /* from 0 */
  bool rounded;        /* also of a text without a fault: a whole number was beyond 64 bits */
} base_json_fault;

/* The value that `text` is, of any kind; NULL with the fault. Names must be unique, text UTF-8
 * without NUL, nesting 2048 levels deep at most. A whole number beyond 64 bits is read as a real.
 * To be released with json_decref. */
json_t *base_json_load(const char *text, size_t bytes, base_json_fault *fault);
/* The same where names may repeat, as they do in vocabularies: the last one counts. */
json_t *base_json_load_repeated(const char *text, size_t bytes, base_json_fault *fault);
/* The object that `bytes` hold; `path` is for messages. */
CDL_MUST_USE cdl_status base_json_parse(const char *path, const void *bytes, size_t size,
                                        json_t **object);
CDL_MUST_USE cdl_status base_json_read(const char *path, json_t **object);
CDL_MUST_USE cdl_status base_json_read_repeated(const char *path, json_t **object);

/* Values of keys. A missing key leaves *value as it is, a null too where `nullable`. Numbers lie
 * in [low, high]. */
CDL_MUST_USE cdl_status base_json_integer(const char *path, const json_t *object, const char *key,
                                          int64_t low, int64_t high, int64_t *value);
CDL_MUST_USE cdl_status base_json_real(const char *path, const json_t *object, const char *key,
                                       double low, double high, bool nullable, double *value);
CDL_MUST_USE cdl_status base_json_boolean(const char *path, const json_t *object, const char *key,
                                          bool *value);
CDL_MUST_USE cdl_status base_json_string(const char *path, const json_t *object, const char *key,
                                         bool nullable, const char **value);

/* Making values. A value that cannot be made whole becomes NULL, and so does all that it is put
 * into: one look at the end, which base_json_text and its kin do themselves, tells that memory is
 * out. jansson's own json_object_set_new and json_array_append_new are used only where their result
 * is looked at; its json_pack gives NULL for what is not whole, but for members marked '*'. */

/* Puts `value` into *object, and takes it. NULL: *object is released and becomes NULL. */
void base_json_set(json_t **object, const char *key, json_t *value);
void base_json_append(json_t **array, json_t *value);
/* Leaves it out where `text` is NULL. */
void base_json_set_text(json_t **object, const char *key, const char *text);
/* Puts the members of `other` into *object, and releases `other`. */
void base_json_update(json_t **object, json_t *other);
/* null for what is not finite, which JSON cannot say. */
json_t *base_json_number(double value);
/* null for NULL; what is not UTF-8 (a path may be so) becomes U+FFFD. */
json_t *base_json_string_of(const char *text);

/* The text of `value`, each real with the fewest digits that read back as the same number. To be
 * freed by the caller; NULL when memory is out or `value` is NULL. */
char *base_json_text(const json_t *value); /* indented, with a newline at the end */
char *base_json_line(const json_t *value); /* without any space */
enum { BASE_JSON_REAL_BYTES = 32 };
/* One real so, whatever the locale is; `value` is finite. */
void base_json_real_text(char text[BASE_JSON_REAL_BYTES], double value);
/* base_json_text to a file, whole or not at all. */
CDL_MUST_USE cdl_status base_json_write(const char *path, const json_t *object);

#endif
