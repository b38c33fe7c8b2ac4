/* tokenizer_config.json, special_tokens_map.json and added_tokens.json of a folder. */
#ifndef CONDLORA_MODEL_TOKENIZER_SETTINGS_H
#define CONDLORA_MODEL_TOKENIZER_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>

#include "condlora/status.h"

/* The contents of the files; an absent file has none. */
typedef struct {
  char *config_path, *map_path, *added_path;
  json_t *config, *map, *added; /* NULL if there is no file */
} tokenizer_settings;

CDL_MUST_USE cdl_status tokenizer_settings_read(const char *folder, tokenizer_settings *settings);
void tokenizer_settings_release(tokenizer_settings *settings);

/* Whether tokenizer_config.json has added_tokens_decoder, the newer form; the other two files then
 * have no effect. */
bool tokenizer_settings_newer(const tokenizer_settings *settings);
/* Returns the value of `key`, NULL without one, and its file. In the older form every key of
 * special_tokens_map.json, not only a special token's, takes precedence over
 * tokenizer_config.json's. */
const json_t *tokenizer_setting(const tokenizer_settings *settings, const char *key,
                                const char **path);

/* Settings are Python values to the reference: what counts as true, and what equals a flag (1 and
 * 1.0 equal true). `value` NULL is neither. */
bool tokenizer_python_truth(const json_t *value);
bool tokenizer_python_equals(const json_t *value, bool flag);

#endif
