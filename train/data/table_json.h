/* One line of a JSONL table. */
#ifndef CONDLORA_TRAIN_DATA_TABLE_JSON_H
#define CONDLORA_TRAIN_DATA_TABLE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

/* Reads the object in the text from `at` to `end`. The caller releases it with json_decref. `name`
 * and `line` are for messages. DATA says what is there instead; MEMORY. */
CDL_MUST_USE cdl_status data_table_json_line(const char *name, uint64_t line, const char *at,
                                             const char *end, json_t **object);

/* Gives the text of a value: of a string, a number or a boolean; if `lists` allows it, also of an
 * array of these, with a NUL behind each element. `*text` is NULL for null and for a missing value;
 * the caller frees it. `column` is its name in quotes, for messages. DATA for anything else;
 * MEMORY. */
CDL_MUST_USE cdl_status data_table_json_text(const char *name, uint64_t line, const char *column,
                                             const json_t *value, bool lists, char **text,
                                             size_t *bytes);

#endif
