#include "model/adapter/config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/nearest.h"
#include "base/utf8.h"
#include "model/adapter/module_pattern.h"
#include "model/adapter/state.h"

enum { RANK_MOST = 1 << 20 };

/* NULL for a type that has no adapter folder. */
static const adapter_method *method_of(const char *peft_type)
{
  const char *name = adapter_method_of(peft_type);
  return name == NULL || adapter_is_whole_model(name) ? NULL : adapter_method_find(name);
}

static const char *key_of(const base_option *option)
{
  return option->key != NULL ? option->key : option->name;
}

static bool is_orientation(const char *word)
{
  return base_word_place(ADAPTER_ORIENTATION_WORDS, word) >= 0;
}

/* A word of a choice as a string; NULL when memory is out. */
static json_t *word_json(const char *words, int place)
{
  const base_word word = base_word_at(words, place);
  return json_stringn(word.text, word.bytes);
}

/* The place of a word for biases, where `adapted` is PEFT's for those of adapted layers; -1: none. */
static int bias_place(const char *word, const char *adapted)
{
  const int place = base_word_place(ADAPTER_BIAS_WORDS, word);
  return strcmp(word, adapted) == 0      ? ADAPTER_BIAS_ADAPTED
         : place == ADAPTER_BIAS_ADAPTED ? -1
                                         : place;
}

static bool is_extra(const adapter_method *method, const char *key)
{
  for (const char *const *k = method->config_extra_keys; k != NULL && *k != NULL; k++)
    if (strcmp(*k, key) == 0)
      return true;
  return false;
}

/* ---- Memory ---- */

void adapter_names_free(adapter_names *names)
{
  for (size_t i = 0; i < names->count; i++)
    free(names->item[i]);
  free(names->item);
  *names = (adapter_names){0};
}

static void free_values(adapter_module_values *values)
{
  for (size_t i = 0; i < values->count; i++)
    free((char *)(uintptr_t)values->item[i].pattern);
  free(values->item);
  *values = (adapter_module_values){0};
}

void adapter_config_free(adapter_config *config)
{
  free_values(&config->rank_pattern);
  free_values(&config->alpha_pattern);
  free(config->layers);
  free(config->token_rows);
  adapter_names_free(&config->layers_pattern);
  adapter_names_free(&config->excluded);
  free(config->excluded_pattern);
  json_decref(config->config_extra);
  free(config->peft_type);
  free(config->target_pattern);
  free(config->orientation);
  free(config->base_model);
  free(config->task);
  free(config->fingerprint);
  adapter_names_free(&config->targets);
  adapter_names_free(&config->modules_to_save);
  adapter_names_free(&config->labels);
  adapter_names_free(&config->text_columns);
  free(config->label_column);
  *config = (adapter_config){0};
}

/* ---- As settings ---- */

adapter_settings adapter_config_settings(const adapter_config *c)
{
  const int orientation =
      c->orientation != NULL ? base_word_place(ADAPTER_ORIENTATION_WORDS, c->orientation) : 0;
  return (adapter_settings){.method = adapter_method_of(c->peft_type),
                            .rank = c->rank,
                            .alpha = c->alpha,
                            .rslora = c->rslora,
                            .rank_pattern = c->rank_pattern.item,
                            .rank_pattern_count = c->rank_pattern.count,
                            .alpha_pattern = c->alpha_pattern.item,
                            .alpha_pattern_count = c->alpha_pattern.count,
                            .dropout = c->dropout,
                            .init = c->init,
                            .bias = c->bias,
                            .orientation = orientation == ADAPTER_ORIENTATION_REFERENCE
                                               ? ADAPTER_ORIENTATION_REFERENCE
                                               : ADAPTER_ORIENTATION_PAPER,
                            .targets = (const char *const *)c->targets.item,
                            .target_count = c->targets.count,
                            .target_pattern = c->target_pattern,
                            .layers = c->layers,
                            .layer_count = c->layer_count,
                            .layers_pattern = (const char *const *)c->layers_pattern.item,
                            .layers_pattern_count = c->layers_pattern.count,
                            .excluded = (const char *const *)c->excluded.item,
                            .excluded_count = c->excluded.count,
                            .excluded_pattern = c->excluded_pattern,
                            .options = c->options,
                            .config_extra = c->config_extra,
                            .modules_to_save = (const char *const *)c->modules_to_save.item,
                            .module_count = c->modules_to_save.count};
}

cdl_status adapter_config_module(const adapter_config *c, const char *path, int64_t rank,
                                 adapter_module *module)
{
  double alpha = adapter_has(adapter_method_of(c->peft_type), ADAPTER_HAS_ALPHA) ? c->alpha : 0;
  bool found = false;
  for (size_t i = 0; i < c->alpha_pattern.count && !found; i++) {
    module_pattern *pattern;
    CDL_TRY(module_pattern_create("alpha pattern", c->alpha_pattern.item[i].pattern, &pattern));
    const cdl_status status = module_pattern_matches_end(pattern, path, &found);
    alpha = found ? c->alpha_pattern.item[i].value : alpha;
    module_pattern_free(pattern);
    CDL_TRY(status);
  }
  const adapter_settings settings = adapter_config_settings(c);
  *module = (adapter_module){path, rank, alpha, (double)adapter_scale(&settings, rank, alpha)};
  return CDL_STATUS_OK;
}

void adapter_config_converted(adapter_config *c)
{
  if (c->init != ADAPTER_INIT_PISSA && c->init != ADAPTER_INIT_OLORA)
    return;
  const double factor = c->rslora ? sqrt(2) : 2;
  c->init = ADAPTER_INIT_KAIMING;
  c->rank *= 2;
  c->alpha *= factor;
  for (size_t i = 0; i < c->rank_pattern.count; i++)
    c->rank_pattern.item[i].value *= 2;
  for (size_t i = 0; i < c->alpha_pattern.count; i++)
    c->alpha_pattern.item[i].value *= factor;
}

/* ---- Reading ---- */

static cdl_status copy_string(const char *path, const char *text, char **copy)
{
  *copy = strdup(text);
  return *copy != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
}

static cdl_status read_text(const char *path, const json_t *object, const char *key, char **copy)
{
  const char *text = NULL;
  CDL_TRY(base_json_string(path, object, key, true, &text));
  return text == NULL ? CDL_STATUS_OK : copy_string(path, text, copy);
}

/* A list of strings; a missing key or null gives an empty one. */
static cdl_status read_names(const char *path, const json_t *object, const char *key,
                             adapter_names *names)
{
  const json_t *list = json_object_get(object, key);
  if (list == NULL || json_is_null(list))
    return CDL_STATUS_OK;
  if (!json_is_array(list))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected a list of strings", path, key);
  names->item = calloc(json_array_size(list) + 1, sizeof *names->item);
  if (names->item == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const char *text = json_string_value(json_array_get(list, i));
    if (text == NULL)
      return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected a list of strings", path, key);
    CDL_TRY(copy_string(path, text, &names->item[i]));
    names->count++;
  }
  return CDL_STATUS_OK;
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

/* Of a setting for all methods, what is to be done with its key. */
typedef enum {
  KEY_READ,     /* here, or where the folder is opened */
  KEY_LOW_RANK, /* read here where the method is a low-rank one */
  KEY_HARMLESS  /* changes nothing of what the adapter computes, whatever its value */
} key_use;

/* docs/files.md has this list with reasons. */
static const struct {
  const char *key;
  key_use use;
} known_keys[] = {{"auto_mapping", KEY_HARMLESS},
                  {"base_model_name_or_path", KEY_READ},
                  {"bias", KEY_READ},
                  {"condlora_stamp", KEY_READ},
                  {"corda_config", KEY_HARMLESS},
                  {"ensure_weight_tying", KEY_HARMLESS},
                  {"eva_config", KEY_HARMLESS},
                  {"exclude_modules", KEY_LOW_RANK},
                  {"fan_in_fan_out", KEY_HARMLESS},
                  {"inference_mode", KEY_HARMLESS},
                  {"held_out", KEY_READ},
                  {"label_column", KEY_READ},
                  {"labels", KEY_READ},
                  {"layers_pattern", KEY_LOW_RANK},
                  {"layers_to_transform", KEY_LOW_RANK},
                  {"loftq_config", KEY_HARMLESS},
                  {"lora_ga_config", KEY_HARMLESS},
                  {"megatron_core", KEY_HARMLESS},
                  {"merge_weights", KEY_HARMLESS},
                  {"modules_to_save", KEY_READ},
                  {"orientation", KEY_READ},
                  {"peft_type", KEY_READ},
                  {"peft_version", KEY_HARMLESS},
                  {"qalora_group_size", KEY_HARMLESS},
                  {"regression", KEY_READ},
                  {"revision", KEY_HARMLESS},
                  {"runtime_config", KEY_HARMLESS},
                  {"target_modules", KEY_READ},
                  {"task", KEY_READ},
                  {"task_type", KEY_READ},
                  {"text_columns", KEY_READ},
                  {"trainable_token_indices", KEY_LOW_RANK},
                  {"types_zero", KEY_READ}};

/* Keys whose names or presence are the method's. */
static bool is_of_method(const char *key, const adapter_method *method)
{
  const adapter_keys *k = adapter_keys_of(method);
  const struct {
    const char *key;
    bool there;
  } keys[] = {{k->rank, true},
              {k->alpha, true},
              {k->dropout, true},
              {k->initial_values, true},
              {"rank_pattern", (method->has & ADAPTER_HAS_RANK_PATTERN) != 0},
              {"alpha_pattern", (method->has & ADAPTER_HAS_ALPHA_PATTERN) != 0},
              {"use_rslora", (method->has & ADAPTER_HAS_RSLORA) != 0},
              {"lora_bias", method->biases_of_up}};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
    if (keys[i].there && keys[i].key != NULL && strcmp(key, keys[i].key) == 0)
      return true;
  return false;
}

static bool is_known(const char *key, const adapter_method *method)
{
  size_t option_count;
  const base_option *options = adapter_options(method->name, &option_count);
  for (size_t i = 0; i < option_count; i++)
    if (strcmp(key, key_of(&options[i])) == 0)
      return true;
  for (size_t i = 0; i < sizeof known_keys / sizeof known_keys[0]; i++)
    if (strcmp(key, known_keys[i].key) == 0)
      return known_keys[i].use != KEY_LOW_RANK || method->attach != NULL;
  return is_of_method(key, method) || is_extra(method, key);
}

static void drop_void_keys(json_t *object, const adapter_method *method)
{
  for (const char *const *k = method->void_keys; k != NULL && *k != NULL; k++)
    json_object_del(object, *k);
}

/* What changes the result is either read here or off. Keys of later versions of PEFT are no
 * exception. */
static cdl_status refuse_unknown_settings(const char *path, json_t *object,
                                          const adapter_method *method)
{
  const char *key;
  json_t *value;
  json_object_foreach(object, key, value)
  {
    if (!is_known(key, method) && !is_off(value))
      return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: \"%.100s\" is set, which is not supported yet",
                      path, key);
  }
  return CDL_STATUS_OK;
}

/* Ways of making initial values. Some change the base's weights, and of these those that are random
 * or made from data cannot be made again from the folder. */
static cdl_status read_initial_values(const char *path, const json_t *object, const char *key,
                                      adapter_config *config)
{
  static const char *const of_adapter_alone[] = {"true", "false",      "gaussian",
                                                 "eva",  "orthogonal", "mica"};
  const char *way = key != NULL ? json_string_value(json_object_get(object, key)) : NULL;
  if (way == NULL)
    return CDL_STATUS_OK;
  for (size_t i = 0; i < sizeof of_adapter_alone / sizeof of_adapter_alone[0]; i++)
    if (strcasecmp(way, of_adapter_alone[i]) == 0) {
      config->init =
          strcasecmp(way, "gaussian") == 0 ? ADAPTER_INIT_GAUSSIAN : ADAPTER_INIT_KAIMING;
      return CDL_STATUS_OK;
    }
  if (strcmp(way, "pissa") != 0 && strcasecmp(way, "olora") != 0)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: \"%s\" is \"%.40s\", which may have changed the base model; save the "
                    "adapter converted to LoRA",
                    path, key, way);
  config->init = strcmp(way, "pissa") == 0 ? ADAPTER_INIT_PISSA : ADAPTER_INIT_OLORA;
  return CDL_STATUS_OK;
}

static cdl_status read_type(const char *path, const json_t *object, adapter_config *config)
{
  CDL_TRY(read_text(path, object, "peft_type", &config->peft_type));
  if (config->peft_type == NULL)
    return cdl_fail(CDL_STATUS_DATA, "%s: \"peft_type\" is missing", path);
  if (method_of(config->peft_type) == NULL) {
    char list[256] = "";
    for (const char *const *m = adapter_methods(); *m != NULL; m++) {
      const char *type = adapter_peft_type(*m);
      const size_t used = strlen(list);
      if (method_of(type) != NULL)
        snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "", type);
    }
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: \"peft_type\" is \"%.100s\", supported so far are %s", path,
                    config->peft_type, list);
  }
  CDL_TRY(read_text(path, object, "orientation", &config->orientation));
  const bool conditional = method_of(config->peft_type)->oriented;
  if (config->orientation == NULL && conditional)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: \"orientation\" is missing, expected \"paper\" or \"reference\"", path);
  if (config->orientation != NULL && !conditional)
    return cdl_fail(CDL_STATUS_DATA, "%s: \"orientation\" is not for %s", path, config->peft_type);
  if (conditional && !is_orientation(config->orientation))
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: \"orientation\" is \"%.100s\", expected \"paper\" or \"reference\"", path,
                    config->orientation);
  const char *task_type = NULL;
  CDL_TRY(base_json_string(path, object, "task_type", true, &task_type));
  config->saves_head = task_type != NULL && strcmp(task_type, "SEQ_CLS") == 0;
  if (task_type != NULL && !config->saves_head && strcmp(task_type, "FEATURE_EXTRACTION") != 0)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: \"task_type\" is \"%.100s\"; SEQ_CLS, FEATURE_EXTRACTION and none are "
                    "supported",
                    path, task_type);
  return CDL_STATUS_OK;
}

/* A list of names, or one string that is an expression; to PEFT an empty one is nothing. */
static cdl_status read_names_or_pattern(const char *path, const json_t *object, const char *key,
                                        adapter_names *names, char **pattern)
{
  const json_t *value = json_object_get(object, key);
  if (!json_is_string(value))
    return read_names(path, object, key, names);
  return json_string_length(value) > 0 ? copy_string(path, json_string_value(value), pattern)
                                       : CDL_STATUS_OK;
}

/* {"query": 4, …} in the order of the file, which decides. */
static cdl_status read_values(const char *path, json_t *object, const char *key, double low,
                              double high, adapter_module_values *values)
{
  json_t *list = json_object_get(object, key);
  if (list == NULL || json_is_null(list))
    return CDL_STATUS_OK;
  if (!json_is_object(list))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected an object of numbers", path, key);
  values->item = calloc(json_object_size(list) + 1, sizeof *values->item);
  if (values->item == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  const char *pattern;
  json_t *value;
  json_object_foreach(list, pattern, value)
  {
    const double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= low && number <= high))
      return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": \"%.100s\": expected a number from %g to %g",
                      path, key, pattern, low, high);
    char *copy;
    CDL_TRY(copy_string(path, pattern, &copy));
    values->item[values->count++] = (adapter_module_value){copy, number};
  }
  return CDL_STATUS_OK;
}

/* A list of whole numbers from 0 on, or one such number. */
static cdl_status read_numbers(const char *path, const char *key, const json_t *value,
                               int64_t **numbers, size_t *number_count)
{
  const size_t count = json_is_array(value) ? json_array_size(value) : 1;
  *numbers = calloc(count + 1, sizeof **numbers);
  if (*numbers == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  for (size_t i = 0; i < count; i++) {
    const json_t *number = json_is_array(value) ? json_array_get(value, i) : value;
    if (!json_is_integer(number) || json_integer_value(number) < 0 ||
        json_integer_value(number) > INT32_MAX)
      return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected whole numbers from 0 on", path, key);
    (*numbers)[(*number_count)++] = json_integer_value(number);
  }
  return CDL_STATUS_OK;
}

static cdl_status read_layers(const char *path, const json_t *object, adapter_config *config)
{
  static const char key[] = "layers_to_transform";
  const json_t *value = json_object_get(object, key);
  return value == NULL || json_is_null(value)
             ? CDL_STATUS_OK
             : read_numbers(path, key, value, &config->layers, &config->layer_count);
}

/* Rows of the table of words: a list, or an object that names the table. */
static cdl_status read_token_rows(const char *path, json_t *object, adapter_config *config)
{
  static const char key[] = "trainable_token_indices", table[] = "word_embeddings";
  json_t *value = json_object_get(object, key);
  if (value == NULL || is_off(value))
    return CDL_STATUS_OK;
  const char *name;
  json_t *list = json_is_object(value) ? NULL : value, *item;
  json_object_foreach(value, name, item)
  {
    const size_t bytes = strlen(name), ending = sizeof table - 1;
    if (json_object_size(value) > 1 || bytes < ending || strcmp(name + bytes - ending, table) != 0)
      return cdl_fail(CDL_STATUS_UNSUPPORTED,
                      "%s: \"%s\": \"%.100s\": only rows of %s are supported", path, key, name,
                      table);
    list = item;
  }
  if (!json_is_array(list))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected a list of whole numbers", path, key);
  return read_numbers(path, key, list, &config->token_rows, &config->token_count);
}

/* PEFT's bias beside B. */
static cdl_status read_lora_bias(const char *path, const json_t *object, adapter_config *config)
{
  static const char key[] = "lora_bias";
  CDL_TRY(base_json_boolean(path, object, key, &config->lora_bias));
  return CDL_STATUS_OK;
}

static cdl_status read_bias(const char *path, const json_t *object, const char *adapted,
                            adapter_config *config)
{
  const char *bias = NULL;
  CDL_TRY(base_json_string(path, object, "bias", true, &bias));
  const int place = bias != NULL ? bias_place(bias, adapted) : ADAPTER_BIAS_NONE;
  if (place < 0)
    return cdl_fail(CDL_STATUS_DATA, "%s: \"bias\" is \"%.40s\", expected none, all or %s", path,
                    bias, adapted);
  config->bias = (adapter_bias)place;
  return CDL_STATUS_OK;
}

static cdl_status read_low_rank(const char *path, json_t *object, adapter_config *config)
{
  const adapter_method *method = method_of(config->peft_type);
  const adapter_keys *keys = adapter_keys_of(method);
  config->rank = method->default_rank > 0 ? method->default_rank : 8;
  config->alpha = keys->alpha != NULL ? 8 : 0;
  if (keys->rank != NULL)
    CDL_TRY(base_json_integer(path, object, keys->rank, 1, RANK_MOST, &config->rank));
  if (keys->alpha != NULL)
    CDL_TRY(base_json_real(path, object, keys->alpha, -1e9, 1e9, false, &config->alpha));
  if (keys->dropout != NULL)
    CDL_TRY(base_json_real(path, object, keys->dropout, 0, 0.999999, false, &config->dropout));
  if ((method->has & ADAPTER_HAS_RSLORA) != 0)
    CDL_TRY(base_json_boolean(path, object, "use_rslora", &config->rslora));
  if ((method->has & ADAPTER_HAS_RANK_PATTERN) != 0)
    CDL_TRY(read_values(path, object, "rank_pattern", 1, RANK_MOST, &config->rank_pattern));
  if ((method->has & ADAPTER_HAS_ALPHA_PATTERN) != 0)
    CDL_TRY(read_values(path, object, "alpha_pattern", -1e9, 1e9, &config->alpha_pattern));
  CDL_TRY(read_initial_values(path, object, keys->initial_values, config));
  CDL_TRY(read_bias(path, object, keys->adapted_bias, config));
  CDL_TRY(read_layers(path, object, config));
  if (method->biases_of_up)
    CDL_TRY(read_lora_bias(path, object, config));
  CDL_TRY(read_token_rows(path, object, config));
  const json_t *layers_pattern = json_object_get(object, "layers_pattern");
  if (json_is_string(layers_pattern) && json_string_length(layers_pattern) == 0)
    ; /* none */
  else if (json_is_string(layers_pattern)) {
    config->layers_pattern.item = calloc(2, sizeof(char *));
    if (config->layers_pattern.item == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
    CDL_TRY(copy_string(path, json_string_value(layers_pattern), config->layers_pattern.item));
    config->layers_pattern.count = 1;
  } else
    CDL_TRY(read_names(path, object, "layers_pattern", &config->layers_pattern));
  CDL_TRY(read_names_or_pattern(path, object, "exclude_modules", &config->excluded,
                                &config->excluded_pattern));
  CDL_TRY(read_names_or_pattern(path, object, "target_modules", &config->targets,
                                &config->target_pattern));
  if (config->targets.count == 0 && config->target_pattern == NULL)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: \"target_modules\": expected a list of names or a regular expression",
                    path);
  return CDL_STATUS_OK;
}

static cdl_status read_option(const char *path, const json_t *object, const base_option *o,
                              double *value)
{
  const char *key = key_of(o), *choice = NULL;
  *value = o->default_value;
  if (json_object_get(object, key) == NULL || json_is_null(json_object_get(object, key)))
    return CDL_STATUS_OK;
  int64_t whole = 0;
  bool flag = false;
  switch (o->kind) {
  case BASE_OPTION_INT:
    CDL_TRY(base_json_integer(path, object, key, (int64_t)o->low, (int64_t)o->high, &whole));
    *value = (double)whole;
    return CDL_STATUS_OK;
  case BASE_OPTION_FLOAT:
    return base_json_real(path, object, key, o->low, o->high, false, value);
  case BASE_OPTION_FLAG:
    CDL_TRY(base_json_boolean(path, object, key, &flag));
    *value = flag;
    return CDL_STATUS_OK;
  default: /* a choice: methods have no options of other kinds */
    CDL_TRY(base_json_string(path, object, key, false, &choice));
    whole = base_word_place(o->placeholder, choice);
    if (whole < 0)
      return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\" is \"%.40s\", expected one of %s", path, key,
                      choice, o->placeholder);
    *value = (double)whole;
    return CDL_STATUS_OK;
  }
}

static cdl_status read_options(const char *path, json_t *object, adapter_config *config)
{
  const adapter_method *method = method_of(config->peft_type);
  size_t count;
  const base_option *options = adapter_options(method->name, &count);
  for (size_t i = 0; i < count; i++)
    CDL_TRY(read_option(path, object, &options[i], &config->options[i]));
  if (method->config_extra_keys == NULL)
    return CDL_STATUS_OK;
  config->config_extra = json_object();
  for (const char *const *k = method->config_extra_keys; *k != NULL; k++)
    if (json_object_get(object, *k) != NULL)
      base_json_set(&config->config_extra, *k, json_incref(json_object_get(object, *k)));
  return config->config_extra != NULL ? CDL_STATUS_OK
                                      : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
}

/* {"fraction": 0.1, "split": "stratified"} */
static cdl_status read_held_out(const char *path, const json_t *object, adapter_held_out *held_out)
{
  const json_t *value = json_object_get(object, "held_out");
  const char *split = NULL;
  if (value == NULL || json_is_null(value))
    return CDL_STATUS_OK;
  if (!json_is_object(value))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"held_out\": expected an object", path);
  held_out->fraction = -1;
  CDL_TRY(base_json_real(path, value, "fraction", 0, 1, false, &held_out->fraction));
  CDL_TRY(base_json_string(path, value, "split", false, &split));
  held_out->reference_split = split != NULL && strcmp(split, "reference") == 0;
  if (held_out->fraction < 0 || held_out->fraction >= 1 ||
      (!held_out->reference_split && (split == NULL || strcmp(split, "stratified") != 0)))
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: \"held_out\": expected a \"fraction\" from 0 and below 1, and a \"split\" "
                    "that is \"stratified\" or \"reference\"",
                    path);
  held_out->known = true;
  return CDL_STATUS_OK;
}

cdl_status adapter_columns_from_json(const char *path, const json_t *object, adapter_config *config)
{
  CDL_TRY(read_names(path, object, "text_columns", &config->text_columns));
  if (config->text_columns.count > 2)
    return cdl_fail(CDL_STATUS_DATA, "%s: \"text_columns\": expected one name, or two for pairs",
                    path);
  return read_text(path, object, "label_column", &config->label_column);
}

cdl_status adapter_config_from_json(const char *path, json_t *object, adapter_config *config)
{
  CDL_TRY(read_type(path, object, config));
  drop_void_keys(object, method_of(config->peft_type));
  CDL_TRY(refuse_unknown_settings(path, object, method_of(config->peft_type)));
  if (method_of(config->peft_type)->attach != NULL)
    CDL_TRY(read_low_rank(path, object, config));
  CDL_TRY(read_options(path, object, config));
  CDL_TRY(read_names(path, object, "modules_to_save", &config->modules_to_save));
  CDL_TRY(read_text(path, object, "base_model_name_or_path", &config->base_model));
  CDL_TRY(read_text(path, object, "task", &config->task));
  CDL_TRY(read_names(path, object, "labels", &config->labels));
  CDL_TRY(base_json_boolean(path, object, "regression", &config->regression));
  CDL_TRY(base_json_boolean(path, object, "types_zero", &config->zero_token_types));
  CDL_TRY(read_held_out(path, object, &config->held_out));
  CDL_TRY(adapter_columns_from_json(path, object, config));
  if (config->regression && config->labels.count > 1)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: \"labels\": regression has one output, but %zu names are given", path,
                    config->labels.count);
  return CDL_STATUS_OK;
}

/* ---- Writing ---- */

static cdl_status fail_setting(const char *path, const char *setting)
{
  return cdl_fail(CDL_STATUS_ARGUMENT, "%s: an adapter cannot be saved with this %s", path,
                  setting);
}

static cdl_status check_text(const char *path, const char *setting, const char *text)
{
  const size_t bytes = text != NULL ? strlen(text) : 0;
  if (base_utf8_well_formed((const uint8_t *)text, bytes) == bytes)
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_ARGUMENT, "%s: an adapter cannot be saved: its %s is not UTF-8", path,
                  setting);
}

/* The base model's path may be of any bytes: it only tells. */
static cdl_status check_texts(const char *path, const adapter_config *config)
{
  const struct {
    const char *setting;
    const adapter_names *names;
  } lists[] = {{"list of labels", &config->labels},
               {"list of targets", &config->targets},
               {"list of excluded modules", &config->excluded},
               {"list of saved modules", &config->modules_to_save},
               {"layers_pattern", &config->layers_pattern}};
  CDL_TRY(check_text(path, "task", config->task));
  CDL_TRY(check_text(path, "pattern of targets", config->target_pattern));
  CDL_TRY(check_text(path, "pattern of excluded modules", config->excluded_pattern));
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
    for (size_t k = 0; k < lists[i].names->count; k++)
      CDL_TRY(check_text(path, lists[i].setting, lists[i].names->item[k]));
  return CDL_STATUS_OK;
}

static cdl_status check_settings(const char *path, const adapter_config *config)
{
  CDL_TRY(check_texts(path, config));
  const adapter_method *method = config->peft_type != NULL ? method_of(config->peft_type) : NULL;
  if (method == NULL)
    return fail_setting(path, "type");
  const bool conditional = method->oriented;
  if (conditional != (config->orientation != NULL) ||
      (conditional && !is_orientation(config->orientation)))
    return fail_setting(path, "orientation");
  if (config->regression && config->labels.count > 1)
    return fail_setting(path, "list of labels");
  if (method->attach == NULL)
    return CDL_STATUS_OK;
  if (config->rank < 1 || config->rank > RANK_MOST)
    return fail_setting(path, "rank");
  if (!(fabs(config->alpha) <= 1e9))
    return fail_setting(path, "alpha");
  if (!(config->dropout >= 0 && config->dropout <= 0.999999))
    return fail_setting(path, "dropout");
  if ((config->targets.count > 0) == (config->target_pattern != NULL))
    return fail_setting(path, "choice of targets");
  if (config->excluded.count > 0 && config->excluded_pattern != NULL)
    return fail_setting(path, "choice of excluded modules");
  return CDL_STATUS_OK;
}

/* The number as PEFT writes it: whole numbers without a point. */
static json_t *number(double value)
{
  return value == floor(value) ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *list_of(const adapter_names *names)
{
  json_t *list = json_array();
  for (size_t i = 0; i < names->count; i++)
    base_json_append(&list, base_json_string_of(names->item[i]));
  return list;
}

static json_t *object_of(const adapter_module_values *values)
{
  json_t *object = json_object();
  for (size_t i = 0; i < values->count; i++)
    base_json_set(&object, values->item[i].pattern, number(values->item[i].value));
  return object;
}

/* What a missing key would not mean. */
static void set_low_rank(json_t **o, const adapter_config *c)
{
  if (c->alpha_pattern.count > 0)
    base_json_set(o, "alpha_pattern", object_of(&c->alpha_pattern));
  if (c->excluded_pattern != NULL || c->excluded.count > 0)
    base_json_set(o, "exclude_modules",
                  c->excluded_pattern != NULL ? base_json_string_of(c->excluded_pattern)
                                              : list_of(&c->excluded));
  const adapter_keys *keys = adapter_keys_of(method_of(c->peft_type));
  if (c->init != ADAPTER_INIT_KAIMING && keys->initial_values != NULL)
    base_json_set(o, keys->initial_values, word_json(ADAPTER_INIT_WORDS, (int)c->init));
  if (c->layers_pattern.count > 0)
    base_json_set(o, "layers_pattern", list_of(&c->layers_pattern));
  if (c->layer_count > 0) {
    json_t *layers = json_array();
    for (size_t i = 0; i < c->layer_count; i++)
      base_json_append(&layers, json_integer(c->layers[i]));
    base_json_set(o, "layers_to_transform", layers);
  }
  if (keys->alpha != NULL)
    base_json_set(o, keys->alpha, number(c->alpha));
  if (keys->dropout != NULL)
    base_json_set(o, keys->dropout, json_real(c->dropout));
  if (keys->rank != NULL)
    base_json_set(o, keys->rank, json_integer(c->rank));
  if (c->rank_pattern.count > 0)
    base_json_set(o, "rank_pattern", object_of(&c->rank_pattern));
  base_json_set(o, "target_modules",
                c->target_pattern != NULL ? base_json_string_of(c->target_pattern)
                                          : list_of(&c->targets));
  if (c->rslora)
    base_json_set(o, "use_rslora", json_true());
}

/* An option that has its default is a missing key. */
static void set_options(json_t **o, const adapter_config *c)
{
  size_t count;
  const base_option *options = adapter_options(adapter_method_of(c->peft_type), &count);
  for (size_t i = 0; i < count; i++)
    if (c->options[i] != options[i].default_value)
      base_json_set(o, key_of(&options[i]),
                    base_option_to_json(&options[i], base_option_number(c->options[i])));
  const char *key;
  json_t *value;
  json_object_foreach(c->config_extra, key, value) base_json_set(o, key, json_incref(value));
}

void adapter_columns_to_json(const adapter_config *c, json_t **object)
{
  if (c->label_column != NULL)
    base_json_set(object, "label_column", base_json_string_of(c->label_column));
  if (c->text_columns.count > 0)
    base_json_set(object, "text_columns", list_of(&c->text_columns));
}

cdl_status adapter_config_to_json(const char *path, const adapter_config *config, json_t **object)
{
  *object = NULL;
  CDL_TRY(check_settings(path, config));
  const char *adapted = adapter_keys_of(method_of(config->peft_type))->adapted_bias;
  json_t *o = json_object();
  base_json_set(&o, "base_model_name_or_path", base_json_string_of(config->base_model));
  base_json_set(&o, "bias",
                config->bias == ADAPTER_BIAS_ADAPTED
                    ? json_string(adapted)
                    : word_json(ADAPTER_BIAS_WORDS, (int)config->bias));
  if (config->held_out.known)
    base_json_set(&o, "held_out",
                  json_pack("{sf ss}", "fraction", config->held_out.fraction, "split",
                            config->held_out.reference_split ? "reference" : "stratified"));
  base_json_set(&o, "inference_mode", json_true());
  adapter_columns_to_json(config, &o);
  if (config->labels.count > 0)
    base_json_set(&o, "labels", list_of(&config->labels));
  base_json_set(&o, "modules_to_save",
                config->modules_to_save.count > 0 ? list_of(&config->modules_to_save)
                                                  : json_null());
  if (config->orientation != NULL)
    base_json_set(&o, "orientation", json_string(config->orientation));
  base_json_set(&o, "peft_type", json_string(config->peft_type));
  if (method_of(config->peft_type)->attach != NULL)
    set_low_rank(&o, config);
  set_options(&o, config);
  if (config->regression)
    base_json_set(&o, "regression", json_true());
  if (config->task != NULL)
    base_json_set(&o, "task", base_json_string_of(config->task));
  base_json_set(&o, "task_type", json_string("SEQ_CLS"));
  if (config->zero_token_types)
    base_json_set(&o, "types_zero", json_true());
  *object = o;
  return o != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
}
