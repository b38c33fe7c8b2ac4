/* JSON files with errors that name file and key. */
#ifndef CONDLORA_MODEL_JSON_H
#define CONDLORA_MODEL_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

/* The object that `bytes` hold; `path` is for messages. Names must be unique, text UTF-8 without
 * NUL, and nesting is limited (to 2048 levels, by jansson). A whole number beyond 64 bits is read
 * as a real. To be released with json_decref. */
CDL_MUST_USE cdl_status cdl_json_parse(const char *path, const void *bytes, size_t size,
                                       json_t **object);
CDL_MUST_USE cdl_status cdl_json_read(const char *path, json_t **object);

/* Values of keys. A missing key leaves *value as it is, a null too where `nullable`. Numbers lie
 * in [low, high]. */
CDL_MUST_USE cdl_status cdl_json_integer(const char *path, const json_t *object, const char *key,
                                         int64_t low, int64_t high, int64_t *value);
CDL_MUST_USE cdl_status cdl_json_real(const char *path, const json_t *object, const char *key,
                                      double low, double high, bool nullable, double *value);
CDL_MUST_USE cdl_status cdl_json_boolean(const char *path, const json_t *object, const char *key,
                                         bool *value);
CDL_MUST_USE cdl_status cdl_json_string(const char *path, const json_t *object, const char *key,
                                        bool nullable, const char **value);

/* The text of `object`, indented, with the fewest digits that read back as the same numbers; ends
 * with a newline. To be freed by the caller; NULL when memory is out. */
char *cdl_json_text(const json_t *object);
/* cdl_json_text to a file, whole or not at all. */
CDL_MUST_USE cdl_status cdl_json_write(const char *path, const json_t *object);

#endif
