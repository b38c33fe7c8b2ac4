#include "model/inference/columns.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/path.h"
#include "model/adapter/config.h"

static cdl_status open_config(const char *model, char **path, json_t **object)
{
  *object = NULL;
  *path = base_path_join(model, "config.json");
  return *path != NULL ? base_json_read(*path, object)
                       : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", model);
}

cdl_status inference_columns_read(const char *model, size_t labels, adapter_config *config)
{
  char *path;
  json_t *object;
  cdl_status status = open_config(model, &path, &object);
  if (status == CDL_STATUS_OK)
    status = adapter_columns_from_json(path, object, labels, config);
  json_decref(object);
  free(path);
  return status;
}

cdl_status inference_columns_write(const char *model, const adapter_config *config)
{
  char *path;
  json_t *object;
  cdl_status status = open_config(model, &path, &object);
  if (status == CDL_STATUS_OK) {
    adapter_columns_to_json(config, &object);
    status = base_json_write(path, object);
  }
  json_decref(object);
  free(path);
  return status;
}
