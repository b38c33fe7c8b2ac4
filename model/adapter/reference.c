#include "model/adapter/reference.h"

#include <stdio.h>
#include <string.h>

static const char shared_layer[] = "linear_for_lora_";

bool adapter_reference_is(const json_t *config)
{
  const char *type = json_string_value(json_object_get(config, "peft_type"));
  return type != NULL && strcmp(type, "ConditionalLORA") == 0;
}

/* In these files A_l is θA W_lᵀ. A config that was made without use_x has a default that the code
 * itself does not know, "noe". */
cdl_status adapter_reference_config(const char *path, json_t *config)
{
  const char *use_x = json_string_value(json_object_get(config, "use_x"));
  const bool without = use_x == NULL || strcmp(use_x, "noe") == 0;
  if (json_object_set_new(config, "peft_type", json_string("CONDLORA")) != 0 ||
      json_object_set_new(config, "orientation", json_string("reference")) != 0 ||
      (without && json_object_set_new(config, "use_x", json_string("none")) != 0))
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  return CDL_STATUS_OK;
}

bool adapter_reference_name(const char *parameter, char *name, size_t bytes)
{
  static const char ours[] = "condlora_";
  const char *kind = strstr(parameter, ours);
  if (kind == NULL)
    return false;
  const char letter = kind[sizeof ours - 1];
  if (kind == parameter) {
    snprintf(name, bytes, "%s%c", shared_layer, letter);
    return true;
  }
  const char *leaf = kind - 1; /* from the dot on */
  while (leaf > parameter && leaf[-1] != '.')
    leaf--;
  snprintf(name, bytes, "%.*s%s%c", (int)(kind - leaf), leaf, shared_layer, letter);
  return true;
}

bool adapter_reference_has(const char *tensor)
{
  const char *last = strrchr(tensor, '.');
  return strncmp(last == NULL ? tensor : last + 1, shared_layer, sizeof shared_layer - 1) == 0;
}
