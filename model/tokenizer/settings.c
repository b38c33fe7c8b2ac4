#include "model/tokenizer/settings.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/path.h"

static cdl_status read_if_there(const char *folder, const char *name, char **path, json_t **object)
{
  *path = base_path_join(folder, name);
  if (*path == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a path");
  return base_file_exists(*path) ? base_json_read(*path, object) : CDL_STATUS_OK;
}

cdl_status tokenizer_settings_read(const char *folder, tokenizer_settings *settings)
{
  CDL_TRY(
      read_if_there(folder, "tokenizer_config.json", &settings->config_path, &settings->config));
  CDL_TRY(read_if_there(folder, "special_tokens_map.json", &settings->map_path, &settings->map));
  CDL_TRY(read_if_there(folder, "added_tokens.json", &settings->added_path, &settings->added));
  const json_t *decoder = json_object_get(settings->config, "added_tokens_decoder");
  if (decoder != NULL && !json_is_object(decoder))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"added_tokens_decoder\": expected an object",
                    settings->config_path);
  return CDL_STATUS_OK;
}

void tokenizer_settings_release(tokenizer_settings *settings)
{
  free(settings->config_path);
  free(settings->map_path);
  free(settings->added_path);
  json_decref(settings->config);
  json_decref(settings->map);
  json_decref(settings->added);
  *settings = (tokenizer_settings){0};
}

bool tokenizer_settings_newer(const tokenizer_settings *settings)
{
  return json_object_get(settings->config, "added_tokens_decoder") != NULL;
}

const json_t *tokenizer_setting(const tokenizer_settings *settings, const char *key,
                                const char **path)
{
  const json_t *value =
      tokenizer_settings_newer(settings) ? NULL : json_object_get(settings->map, key);
  *path = value != NULL ? settings->map_path : settings->config_path;
  return value != NULL ? value : json_object_get(settings->config, key);
}

bool tokenizer_python_truth(const json_t *value)
{
  if (json_is_number(value))
    return json_number_value(value) != 0;
  if (json_is_string(value))
    return json_string_length(value) != 0;
  return json_is_true(value) || json_array_size(value) != 0 || json_object_size(value) != 0;
}

bool tokenizer_python_equals(const json_t *value, bool flag)
{
  if (json_is_number(value))
    return json_number_value(value) == (flag ? 1 : 0);
  return json_is_boolean(value) && json_is_true(value) == flag;
}
