#include "model/adapter/folder.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/path.h"
#include "model/adapter/config.h"
#include "model/adapter/reference.h"
#include "model/adapter/state.h"

static const char config_name[] = "adapter_config.json";
static const char tensors_name[] = "adapter_model.safetensors";
static const char pickle_name[] = "adapter_model.bin";
static const char stamp_key[] = "condlora_stamp";
static const char thresholds_key[] = "thresholds";
static const char fingerprint_key[] = "condlora_base";

static bool has_prefix(const char *name)
{
  return strncmp(name, ADAPTER_PREFIX, sizeof ADAPTER_PREFIX - 1) == 0 &&
         name[sizeof ADAPTER_PREFIX - 1] != '\0';
}

/* ---- Reading ---- */

/* Returns whether an adapter's file may have a tensor with this name. */
static bool may_be_named(const adapter_config *config, const char *name)
{
  const adapter_method *method = adapter_method_find(config->settings.method);
  return has_prefix(name) || (method != NULL && adapter_names_frozen(method, name));
}

static cdl_status check_names(const cdl_safetensors *tensors, const adapter_config *config,
                              bool of_reference)
{
  for (size_t i = 0; i < cdl_safetensors_count(tensors); i++) {
    const cdl_stored_tensor *tensor = cdl_safetensors_get(tensors, i);
    if (!may_be_named(config, tensor->name) &&
        !(of_reference && adapter_reference_has(tensor->name)))
      return cdl_fail(CDL_STATUS_DATA,
                      "%s: tensor \"%.200s\": expected a name that begins with \"%s\"",
                      cdl_safetensors_path_of(tensors, tensor), tensor->name, ADAPTER_PREFIX);
  }
  return CDL_STATUS_OK;
}

static cdl_status read_metadata(const char *config_path, const char *tensors_path,
                                const json_t *object, const cdl_safetensors *tensors,
                                adapter_config *config)
{
  const char *stamp = NULL;
  CDL_TRY(base_json_string(config_path, object, stamp_key, true, &stamp));
  const char *other_stamp = cdl_safetensors_metadata(tensors, stamp_key);
  if (stamp != NULL && other_stamp != NULL && strcmp(stamp, other_stamp) != 0)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: belongs to another adapter than %s beside it (was a write interrupted?)",
                    tensors_path, config_name);
  const char *fingerprint = cdl_safetensors_metadata(tensors, fingerprint_key);
  if (fingerprint == NULL)
    return CDL_STATUS_OK;
  config->fingerprint = strdup(fingerprint);
  if (config->fingerprint == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", tensors_path);
  return CDL_STATUS_OK;
}

/* Opens adapter_model.safetensors, or the file that older versions of PEFT wrote. */
static cdl_status open_tensors(const char *folder, const char *path, cdl_safetensors **tensors)
{
  if (base_file_exists(path))
    return cdl_safetensors_open(path, tensors);
  char *pickle = base_path_join(folder, pickle_name);
  if (pickle == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  const bool found = base_file_exists(pickle);
  const cdl_status status = cdl_safetensors_open(found ? pickle : path, tensors);
  free(pickle);
  return status;
}

static cdl_status open_files(const char *folder, const char *config_path, const char *tensors_path,
                             adapter_config *config, cdl_safetensors **tensors)
{
  json_t *object = NULL;
  CDL_TRY(base_json_read(config_path, &object));
  const bool of_reference = adapter_reference_is(object);
  cdl_status status = of_reference ? adapter_reference_config(config_path, object) : CDL_STATUS_OK;
  if (status == CDL_STATUS_OK)
    status = adapter_config_from_json(config_path, object, config);
  if (status == CDL_STATUS_OK)
    status = open_tensors(folder, tensors_path, tensors);
  if (status == CDL_STATUS_OK)
    status = check_names(*tensors, config, of_reference);
  if (status == CDL_STATUS_OK)
    status = read_metadata(config_path, tensors_path, object, *tensors, config);
  json_decref(object);
  return status;
}

char *adapter_folder_find(const char *folder)
{
  char *own = base_path_join(folder, config_name), *of_run = base_path_join(folder, "adapter");
  char *in_run = of_run != NULL ? base_path_join(of_run, config_name) : NULL;
  const bool whole = own != NULL && in_run != NULL,
             is_run = whole && !base_file_exists(own) && base_file_exists(in_run);
  char *found = is_run ? of_run : whole ? strdup(folder) : NULL;
  free(own);
  free(in_run);
  if (!is_run)
    free(of_run);
  return found;
}

cdl_status adapter_folder_open(const char *given, adapter_config *config, cdl_safetensors **tensors)
{
  *config = (adapter_config){0};
  *tensors = NULL;
  if (!base_file_exists(given))
    return cdl_fail(CDL_STATUS_ABSENT,
                    "%s: no such folder; expected an adapter's (with %s) or a run's", given,
                    config_name);
  char *folder = adapter_folder_find(given);
  char *config_path = folder != NULL ? base_path_join(folder, config_name) : NULL;
  char *tensors_path = folder != NULL ? base_path_join(folder, tensors_name) : NULL;
  cdl_status status;
  if (config_path == NULL || tensors_path == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", given);
  else
    status = open_files(folder, config_path, tensors_path, config, tensors);
  if (status != CDL_STATUS_OK) {
    adapter_config_free(config);
    cdl_safetensors_close(*tensors);
    *tensors = NULL;
  }
  free(tensors_path);
  free(config_path);
  free(folder);
  return status;
}

/* ---- Writing ---- */

/* Hashes the config's text and the tensors' names and shapes, so that all saves of a run have one
 * stamp. */
static cdl_status make_stamp(const char *path, const adapter_config *config, const json_t *object,
                             const cdl_stored_tensor *tensors, size_t count, char stamp[17])
{
  char *text = base_json_text(object);
  if (text == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  uint64_t state = base_fnv(BASE_FNV_START, text, strlen(text));
  free(text);
  for (size_t i = 0; i < count; i++) {
    if (!may_be_named(config, tensors[i].name) || tensors[i].rank > CDL_STORED_RANK_MAX)
      return cdl_fail(CDL_STATUS_ARGUMENT,
                      "%s: tensor \"%.200s\": expected a name that begins with \"%s\"", path,
                      tensors[i].name, ADAPTER_PREFIX);
    /* The sum makes the stamp independent of the order of the tensors. */
    uint64_t tensor = base_fnv(BASE_FNV_START, tensors[i].name, strlen(tensors[i].name) + 1);
    tensor = base_fnv(tensor, tensors[i].shape, tensors[i].rank * sizeof tensors[i].shape[0]);
    state += tensor;
  }
  for (int i = 0; i < 16; i++)
    stamp[i] = "0123456789abcdef"[state >> (60 - 4 * i) & 15];
  stamp[16] = '\0';
  return CDL_STATUS_OK;
}

static cdl_status write_files(const char *config_path, const char *tensors_path,
                              const adapter_config *config, json_t *object,
                              const cdl_stored_tensor *tensors, size_t count)
{
  char stamp[17];
  /* The stamp is that of the whole run; thresholds are chosen when it has ended. */
  json_t *thresholds = json_incref(json_object_get(object, thresholds_key));
  (void)json_object_del(object, thresholds_key);
  const cdl_status stamped = make_stamp(tensors_path, config, object, tensors, count, stamp);
  const bool kept =
      thresholds == NULL || json_object_set_new(object, thresholds_key, thresholds) == 0;
  CDL_TRY(stamped);
  if (!kept || json_object_set_new(object, stamp_key, json_string(stamp)) != 0)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", config_path);
  const cdl_metadata metadata[] = {
      {"format", "pt"}, {stamp_key, stamp}, {fingerprint_key, config->fingerprint}};
  CDL_TRY(cdl_safetensors_write(tensors_path, tensors, count, metadata,
                                config->fingerprint != NULL ? 3 : 2));
  return base_json_write(config_path, object);
}

cdl_status adapter_folder_write(const char *folder, const adapter_config *config,
                                const cdl_stored_tensor *tensors, size_t count)
{
  json_t *object = NULL;
  CDL_TRY(adapter_config_to_json(folder, config, &object));
  char *config_path = base_path_join(folder, config_name);
  char *tensors_path = base_path_join(folder, tensors_name);
  cdl_status status;
  if (config_path == NULL || tensors_path == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  else
    status = base_folder_make(folder);
  if (status == CDL_STATUS_OK)
    status = write_files(config_path, tensors_path, config, object, tensors, count);
  free(tensors_path);
  free(config_path);
  json_decref(object);
  return status;
}
