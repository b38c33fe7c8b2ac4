/* An adapter's settings to and from the object in adapter_config.json. */
#ifndef CONDLORA_MODEL_ADAPTER_CONFIG_H
#define CONDLORA_MODEL_ADAPTER_CONFIG_H

#include <jansson.h>

#include "model/adapter/folder.h"

/* `path` is for messages. On failure `config` may be partly filled and is to be freed all the
 * same. */
CDL_MUST_USE cdl_status adapter_config_from_json(const char *path, json_t *object,
                                                 adapter_config *config);
/* ARGUMENT when the settings could not be read back. `object` is to be released with
 * json_decref. */
CDL_MUST_USE cdl_status adapter_config_to_json(const char *path, const adapter_config *config,
                                               json_t **object);

/* The columns of a table that a model was trained on, keys "text_columns" and "label_column" of an
 * adapter's config, and of config.json where the model was fine-tuned whole. */
CDL_MUST_USE cdl_status adapter_columns_from_json(const char *path, const json_t *object,
                                                  adapter_config *config);
void adapter_columns_to_json(const adapter_config *config, json_t **object);

#endif
