/* One line of a JSONL table. */
#ifndef CONDLORA_TRAIN_DATA_TABLE_JSON_H
#define CONDLORA_TRAIN_DATA_TABLE_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "condlora/status.h"

/* Reads the object in the text from `at` to `end`. The caller releases it with json_decref. `name`
 * and `line` are for messages. DATA says what is there instead; MEMORY. */
CDL_MUST_USE cdl_status data_table_json_line(const char *name, uint64_t line, const char *at,
                                             const char *end, json_t **object);

#endif
