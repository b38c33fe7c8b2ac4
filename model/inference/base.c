#include "model/inference/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/path.h"
#include "model/adapter/folder.h"
#include "model/hub/resolve.h"

static cdl_status no_memory(const char *what)
{
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", what);
}

cdl_status inference_has_file(const char *folder, const char *name, bool *there)
{
  char *path = base_path_join(folder, name);
  const cdl_status status = path != NULL ? base_file_find(path, there) : no_memory(folder);
  free(path);
  return status;
}

/* Returns whether an adapter changes more of its base than low-rank terms do. */
static bool is_change_of_base(const adapter_settings *s)
{
  return (s->method != NULL && !adapter_is_low_rank(s->method) && strcmp(s->method, "none") != 0) ||
         s->init == ADAPTER_INIT_PISSA || s->init == ADAPTER_INIT_OLORA ||
         s->bias != ADAPTER_BIAS_NONE;
}

/* The base that the adapter records: a folder, or a name and the commit that it had. */
static cdl_status resolve_recorded(const char *folder, const adapter_config *config,
                                   cdl_hub_source **source)
{
  const char *base = config->base_model, *revision = config->base_revision;
  char *name;
  bool there = false;
  if (base == NULL || base[0] == '\0')
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: adapter_config.json does not say which model it is for "
                    "(base_model_name_or_path): name the model's folder",
                    folder);
  const bool is_of_hub = revision != NULL && revision[0] != '\0' && !base_file_exists(base);
  if (asprintf(&name, "%s%s%s", base, is_of_hub ? "@" : "", is_of_hub ? revision : "") < 0)
    return no_memory(base);
  cdl_status status = hub_resolve(name, CDL_HUB_MODEL, source);
  free(name);
  if (status != CDL_STATUS_OK)
    return cdl_context(status, "%s: the base of the adapter, without another one named", folder);
  status = inference_has_file(cdl_hub_source_folder(*source), "config.json", &there);
  if (status == CDL_STATUS_OK && !there)
    status = cdl_fail(CDL_STATUS_ABSENT,
                      "%s: the adapter is for the model '%s', which is no folder with a "
                      "config.json here: name the model's folder",
                      folder, base);
  if (status != CDL_STATUS_OK) {
    cdl_hub_source_close(*source);
    *source = NULL;
  }
  return status;
}

cdl_status inference_resolve_base(const char *folder, const char *given, cdl_hub_source **source,
                                  bool *changes_base)
{
  adapter_config config;
  cdl_safetensors *tensors;
  *source = NULL;
  CDL_TRY(adapter_folder_open(folder, &config, &tensors));
  cdl_safetensors_close(tensors);
  if (changes_base != NULL)
    *changes_base = is_change_of_base(&config.settings);
  const cdl_status status = given != NULL ? hub_resolve(given, CDL_HUB_MODEL, source)
                                          : resolve_recorded(folder, &config, source);
  adapter_config_free(&config);
  return status;
}

cdl_status inference_find_whole(const char *folder, char **model)
{
  bool has_config, has_run, has_model;
  *model = NULL;
  CDL_TRY(inference_has_file(folder, "config.json", &has_config));
  CDL_TRY(inference_has_file(folder, "run.json", &has_run));
  CDL_TRY(inference_has_file(folder, "model/config.json", &has_model));
  if (has_config || !has_run || !has_model)
    return CDL_STATUS_OK;
  *model = base_path_join(folder, "model");
  return *model != NULL ? CDL_STATUS_OK : no_memory(folder);
}
