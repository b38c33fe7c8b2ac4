/* A line of a table in JSONL. */
#ifndef CONDLORA_TRAIN_DATA_TABLE_JSON_H
#define CONDLORA_TRAIN_DATA_TABLE_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "condlora/status.h"

/* The object that the text from `at` to `end` is, to be released with json_decref. `name` and `line`
 * are for messages. DATA, saying what is there instead; MEMORY. */
CDL_MUST_USE cdl_status data_table_json_line(const char *name, uint64_t line, const char *at,
                                             const char *end, json_t **object);

#endif
