#include "model/adapter_config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/json.h"

enum { RANK_MOST = 1 << 20 };

static const char *const types[] = {"LORA", "CONDLORA", "NONE", "BITFIT"};
static const char *const orientations[] = {"paper", "reference"};

static bool is_one_of(const char *text, const char *const *list, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (strcmp(text, list[i]) == 0)
      return true;
  return false;
}

static bool is_low_rank(const char *peft_type)
{
  return strcmp(peft_type, "LORA") == 0 || strcmp(peft_type, "CONDLORA") == 0;
}

/* ---- Memory ---- */

static void free_names(cdl_names *names)
{
  for (size_t i = 0; i < names->count; i++)
    free(names->item[i]);
  free(names->item);
  *names = (cdl_names){0};
}

void cdl_adapter_config_free(cdl_adapter_config *config)
{
  free(config->peft_type);
  free(config->target_pattern);
  free(config->orientation);
  free(config->base_model);
  free(config->task);
  free(config->fingerprint);
  free_names(&config->targets);
  free_names(&config->modules_to_save);
  free_names(&config->labels);
  *config = (cdl_adapter_config){0};
}

/* ---- Reading ---- */

static cdl_status copy_string(const char *path, const char *text, char **copy)
{
  *copy = strdup(text);
  return *copy != NULL ? CDL_OK : cdl_fail(CDL_MEMORY, "%s: out of memory", path);
}

static cdl_status read_text(const char *path, const json_t *object, const char *key, char **copy)
{
  const char *text = NULL;
  CDL_TRY(cdl_json_string(path, object, key, true, &text));
  return text == NULL ? CDL_OK : copy_string(path, text, copy);
}

/* A list of strings; a missing key or null gives an empty one. */
static cdl_status read_names(const char *path, const json_t *object, const char *key,
                             cdl_names *names)
{
  const json_t *list = json_object_get(object, key);
  if (list == NULL || json_is_null(list))
    return CDL_OK;
  if (!json_is_array(list))
    return cdl_fail(CDL_DATA, "%s: \"%s\": expected a list of strings", path, key);
  names->item = calloc(json_array_size(list) + 1, sizeof *names->item);
  if (names->item == NULL)
    return cdl_fail(CDL_MEMORY, "%s: out of memory", path);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const char *text = json_string_value(json_array_get(list, i));
    if (text == NULL)
      return cdl_fail(CDL_DATA, "%s: \"%s\": expected a list of strings", path, key);
    CDL_TRY(copy_string(path, text, &names->item[i]));
    names->count++;
  }
  return CDL_OK;
}

/* null, false, "none", {} and []: the setting is off. */
static bool is_off(const json_t *value)
{
  if (json_is_string(value))
    return strcmp(json_string_value(value), "none") == 0;
  return json_is_null(value) || json_is_false(value) ||
         (json_is_object(value) && json_object_size(value) == 0) ||
         (json_is_array(value) && json_array_size(value) == 0);
}

/* What changes the result is either read here or off. Keys of later versions of PEFT are no
 * exception. */
static cdl_status refuse_unknown_settings(const char *path, json_t *object)
{
  static const char *const read_here[] = {"peft_type",
                                          "r",
                                          "lora_alpha",
                                          "lora_dropout",
                                          "labels",
                                          "task",
                                          "regression",
                                          "types_zero",
                                          "target_modules",
                                          "orientation",
                                          "task_type",
                                          "modules_to_save",
                                          "base_model_name_or_path",
                                          "init_lora_weights",
                                          "condlora_stamp"};
  static const char *const without_effect[] = {
      "auto_mapping", "inference_mode", "revision",          "eva_config",
      "corda_config", "loftq_config",   "qalora_group_size", "megatron_core",
      "peft_version", "layers_pattern", "runtime_config"};
  const char *key;
  json_t *value;
  json_object_foreach(object, key, value)
  {
    if (is_one_of(key, read_here, sizeof read_here / sizeof read_here[0]) ||
        is_one_of(key, without_effect, sizeof without_effect / sizeof without_effect[0]) ||
        is_off(value))
      continue;
    return cdl_fail(CDL_UNSUPPORTED, "%s: \"%.100s\" is set, which is not supported yet", path,
                    key);
  }
  return CDL_OK;
}

/* These ways of making the initial values change the base's weights too, which the folder does not
 * hold. */
static cdl_status check_initial_values(const char *path, const json_t *object)
{
  const char *way = json_string_value(json_object_get(object, "init_lora_weights"));
  if (way != NULL && (strncmp(way, "pissa", 5) == 0 || strcmp(way, "olora") == 0 ||
                      strcmp(way, "corda") == 0 || strcmp(way, "loftq") == 0))
    return cdl_fail(CDL_UNSUPPORTED,
                    "%s: \"init_lora_weights\" is \"%.40s\", which changes the base model; save "
                    "the adapter converted to LoRA",
                    path, way);
  return CDL_OK;
}

static cdl_status read_type(const char *path, const json_t *object, cdl_adapter_config *config)
{
  CDL_TRY(read_text(path, object, "peft_type", &config->peft_type));
  if (config->peft_type == NULL)
    return cdl_fail(CDL_DATA, "%s: \"peft_type\" is missing", path);
  if (!is_one_of(config->peft_type, types, sizeof types / sizeof types[0]))
    return cdl_fail(
        CDL_UNSUPPORTED,
        "%s: \"peft_type\" is \"%.100s\", supported so far are LORA, CONDLORA, BITFIT and NONE",
        path, config->peft_type);
  CDL_TRY(read_text(path, object, "orientation", &config->orientation));
  const bool conditional = strcmp(config->peft_type, "CONDLORA") == 0;
  if (config->orientation == NULL && conditional)
    return cdl_fail(CDL_DATA, "%s: \"orientation\" is missing, expected \"paper\" or \"reference\"",
                    path);
  if (config->orientation != NULL && !conditional)
    return cdl_fail(CDL_DATA, "%s: \"orientation\" is for CONDLORA only", path);
  if (conditional && !is_one_of(config->orientation, orientations, 2))
    return cdl_fail(CDL_DATA,
                    "%s: \"orientation\" is \"%.100s\", expected \"paper\" or \"reference\"", path,
                    config->orientation);
  const char *task_type = NULL;
  CDL_TRY(cdl_json_string(path, object, "task_type", true, &task_type));
  if (task_type != NULL && strcmp(task_type, "SEQ_CLS") != 0)
    return cdl_fail(CDL_UNSUPPORTED, "%s: \"task_type\" is \"%.100s\", only SEQ_CLS is supported",
                    path, task_type);
  return CDL_OK;
}

static cdl_status read_targets(const char *path, const json_t *object, cdl_adapter_config *config)
{
  const json_t *targets = json_object_get(object, "target_modules");
  if (json_is_string(targets))
    return copy_string(path, json_string_value(targets), &config->target_pattern);
  CDL_TRY(read_names(path, object, "target_modules", &config->targets));
  if (config->targets.count == 0)
    return cdl_fail(
        CDL_DATA, "%s: \"target_modules\": expected a list of names or a regular expression", path);
  return CDL_OK;
}

static cdl_status read_low_rank(const char *path, const json_t *object, cdl_adapter_config *config)
{
  config->rank = 8;
  config->alpha = 8;
  CDL_TRY(cdl_json_integer(path, object, "r", 1, RANK_MOST, &config->rank));
  CDL_TRY(cdl_json_real(path, object, "lora_alpha", -1e9, 1e9, false, &config->alpha));
  CDL_TRY(cdl_json_real(path, object, "lora_dropout", 0, 0.999999, false, &config->dropout));
  return read_targets(path, object, config);
}

cdl_status cdl_adapter_config_from_json(const char *path, json_t *object,
                                        cdl_adapter_config *config)
{
  CDL_TRY(read_type(path, object, config));
  CDL_TRY(refuse_unknown_settings(path, object));
  CDL_TRY(check_initial_values(path, object));
  if (is_low_rank(config->peft_type))
    CDL_TRY(read_low_rank(path, object, config));
  CDL_TRY(read_names(path, object, "modules_to_save", &config->modules_to_save));
  CDL_TRY(read_text(path, object, "base_model_name_or_path", &config->base_model));
  CDL_TRY(read_text(path, object, "task", &config->task));
  CDL_TRY(read_names(path, object, "labels", &config->labels));
  CDL_TRY(cdl_json_boolean(path, object, "regression", &config->regression));
  CDL_TRY(cdl_json_boolean(path, object, "types_zero", &config->types_zero));
  if (config->regression && config->labels.count > 1)
    return cdl_fail(CDL_DATA, "%s: \"labels\": regression has one output, but %zu names are given",
                    path, config->labels.count);
  return CDL_OK;
}

/* ---- Writing ---- */

static cdl_status fail_setting(const char *path, const char *setting)
{
  return cdl_fail(CDL_ARGUMENT, "%s: an adapter cannot be saved with this %s", path, setting);
}

static cdl_status check_settings(const char *path, const cdl_adapter_config *config)
{
  if (config->peft_type == NULL ||
      !is_one_of(config->peft_type, types, sizeof types / sizeof types[0]))
    return fail_setting(path, "type");
  const bool conditional = strcmp(config->peft_type, "CONDLORA") == 0;
  if (conditional != (config->orientation != NULL) ||
      (conditional && !is_one_of(config->orientation, orientations, 2)))
    return fail_setting(path, "orientation");
  if (config->regression && config->labels.count > 1)
    return fail_setting(path, "list of labels");
  if (!is_low_rank(config->peft_type))
    return CDL_OK;
  if (config->rank < 1 || config->rank > RANK_MOST)
    return fail_setting(path, "rank");
  if (!(fabs(config->alpha) <= 1e9))
    return fail_setting(path, "alpha");
  if (!(config->dropout >= 0 && config->dropout <= 0.999999))
    return fail_setting(path, "dropout");
  if ((config->targets.count > 0) == (config->target_pattern != NULL))
    return fail_setting(path, "choice of targets");
  return CDL_OK;
}

/* The number as PEFT writes it: whole numbers without a point. */
static json_t *number(double value)
{
  return value == floor(value) ? json_integer((json_int_t)value) : json_real(value);
}

/* NULL, on which json_object_set_new fails, when a name is not UTF-8. */
static json_t *list_of(const cdl_names *names)
{
  json_t *list = json_array();
  for (size_t i = 0; i < names->count && list != NULL; i++)
    if (json_array_append_new(list, json_string(names->item[i])) != 0) {
      json_decref(list);
      list = NULL;
    }
  return list;
}

static json_t *text_or_null(const char *text)
{
  return text != NULL ? json_string(text) : json_null();
}

typedef struct {
  const char *path;
  json_t *object;
  cdl_status status;
} writer;

static void set(writer *w, const char *key, json_t *value)
{
  if (json_object_set_new(w->object, key, value) != 0 && w->status == CDL_OK)
    w->status = cdl_fail(CDL_ARGUMENT, "%s: \"%s\": is not UTF-8, or memory is out", w->path, key);
}

cdl_status cdl_adapter_config_to_json(const char *path, const cdl_adapter_config *config,
                                      json_t **object)
{
  *object = NULL;
  CDL_TRY(check_settings(path, config));
  writer w = {.path = path, .object = json_object(), .status = CDL_OK};
  if (w.object == NULL)
    return cdl_fail(CDL_MEMORY, "%s: out of memory", path);
  set(&w, "base_model_name_or_path", text_or_null(config->base_model));
  set(&w, "bias", json_string("none"));
  set(&w, "inference_mode", json_true());
  if (config->labels.count > 0)
    set(&w, "labels", list_of(&config->labels));
  if (is_low_rank(config->peft_type)) {
    set(&w, "lora_alpha", number(config->alpha));
    set(&w, "lora_dropout", json_real(config->dropout));
  }
  set(&w, "modules_to_save",
      config->modules_to_save.count > 0 ? list_of(&config->modules_to_save) : json_null());
  if (config->orientation != NULL)
    set(&w, "orientation", json_string(config->orientation));
  set(&w, "peft_type", json_string(config->peft_type));
  if (is_low_rank(config->peft_type)) {
    set(&w, "r", json_integer(config->rank));
    set(&w, "target_modules",
        config->target_pattern != NULL ? json_string(config->target_pattern)
                                       : list_of(&config->targets));
  }
  if (config->regression)
    set(&w, "regression", json_true());
  if (config->task != NULL)
    set(&w, "task", json_string(config->task));
  set(&w, "task_type", json_string("SEQ_CLS"));
  if (config->types_zero)
    set(&w, "types_zero", json_true());
  if (w.status != CDL_OK) {
    json_decref(w.object);
    return w.status;
  }
  *object = w.object;
  return CDL_OK;
}
