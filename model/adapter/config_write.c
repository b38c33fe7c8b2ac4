#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "model/adapter/config_table.h"

/* ---- What can be read back ---- */

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

static cdl_status check_list(const char *path, const config_row *row, const base_list *names)
{
  for (size_t i = 0; i < names->count; i++)
    CDL_TRY(check_text(path, row->said, names->item[i]));
  return CDL_STATUS_OK;
}

static cdl_status check_number(const char *path, const config_row *row, double value)
{
  return value >= row->low && value <= row->high ? CDL_STATUS_OK : fail_setting(path, row->said);
}

static cdl_status check_row(const char *path, const config_row *row, const adapter_config *c)
{
  const void *value = adapter_config_value(row, c);
  switch (row->kind) {
  case CONFIG_INT:
    return check_number(path, row, (double)*(const int64_t *)value);
  case CONFIG_REAL:
  case CONFIG_NUMBER:
    return check_number(path, row, *(const double *)value);
  case CONFIG_STRING:
    return check_text(path, row->said, *(char *const *)value);
  case CONFIG_MODULES:
    if (((const base_list *)value)->count > 0 && *adapter_config_pattern(row, c) != NULL)
      return fail_setting(path, row->said);
    CDL_TRY(check_text(path, row->said, *adapter_config_pattern(row, c)));
    return check_list(path, row, value);
  case CONFIG_LIST:
  case CONFIG_MODULES_TO_SAVE:
    return check_list(path, row, value);
  default:
    return CDL_STATUS_OK;
  }
}

/* The base model's path may be of any bytes: it only tells. So may columns. */
static cdl_status check(const char *path, const adapter_config *c)
{
  const adapter_method *method = c->settings.method != NULL ? adapter_config_method(c) : NULL;
  if (method == NULL || method->whole_model)
    return fail_setting(path, "type");
  size_t count;
  const config_row *rows = adapter_config_rows(&count);
  for (size_t i = 0; i < count; i++)
    if (rows[i].said != NULL && adapter_config_key(&rows[i], method) != NULL)
      CDL_TRY(check_row(path, &rows[i], c));
  if (method->attach != NULL && c->settings.targets.count == 0 &&
      c->settings.target_pattern == NULL)
    return fail_setting(path, "choice of targets");
  return CDL_STATUS_OK;
}

/* ---- Values ---- */

static json_t *number(double value)
{
  return value == floor(value) ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *list_of(const base_list *names)
{
  json_t *list = json_array();
  for (size_t i = 0; i < names->count; i++)
    base_json_append(&list, base_json_string_of(names->item[i]));
  return list;
}

static json_t *columns_of(const base_list *names)
{
  return names->count == 1 ? base_json_string_of(names->item[0]) : list_of(names);
}

static json_t *thresholds_of(const adapter_config *c, size_t labels)
{
  json_t *list = json_array();
  for (size_t i = 0; i < labels; i++)
    base_json_append(&list, json_real(c->thresholds[i]));
  return list;
}

static json_t *object_of(const adapter_module_values *values)
{
  json_t *object = json_object();
  for (size_t i = 0; i < values->count; i++)
    base_json_set(&object, values->item[i].pattern, number(values->item[i].value));
  return object;
}

static json_t *layers_of(const adapter_settings *s)
{
  json_t *layers = json_array();
  for (size_t i = 0; i < s->layer_count; i++)
    base_json_append(&layers, json_integer(s->layers[i]));
  return layers;
}

/* A word of a choice; NULL when memory is out. */
static json_t *word_of(const char *words, int place)
{
  const base_word word = base_word_at(words, place);
  return json_stringn(word.text, word.bytes);
}

static json_t *bias_of(const adapter_config *c)
{
  return c->settings.bias == ADAPTER_BIAS_ADAPTED
             ? json_string(adapter_keys_of(adapter_config_method(c))->adapted_bias)
             : word_of(ADAPTER_BIAS_WORDS, (int)c->settings.bias);
}

static json_t *held_out_of(const adapter_held_out *h)
{
  json_t *object = json_object();
  base_json_set(&object, "fraction", json_real(h->fraction));
  base_json_set(&object, "split", word_of(CONFIG_SPLIT_WORDS, h->reference_split));
  return object;
}

/* An option that has its default is a missing key. */
static void set_options(json_t **o, const adapter_settings *s)
{
  size_t count;
  const base_option *options = adapter_options(s->method, &count);
  for (size_t i = 0; i < count; i++)
    if (s->options[i] != options[i].default_value)
      base_json_set(o, adapter_config_option_key(&options[i]),
                    base_option_to_json(&options[i], base_option_number(s->options[i])));
  const char *key;
  json_t *value;
  json_object_foreach(s->config_extra, key, value) base_json_set(o, key, json_incref(value));
}

/* ---- Rows ---- */

/* Whether a missing key would mean the same. */
static bool is_default(const config_row *row, const adapter_config *c)
{
  const void *value = adapter_config_value(row, c);
  switch (row->kind) {
  case CONFIG_HARMLESS:
  case CONFIG_TOKEN_ROWS:
    return true;
  case CONFIG_FLAG:
    return !*(const bool *)value;
  case CONFIG_STRING:
    return *(char *const *)value == NULL;
  case CONFIG_LIST:
    return ((const base_list *)value)->count == 0;
  case CONFIG_MODULES:
    return ((const base_list *)value)->count == 0 && *adapter_config_pattern(row, c) == NULL;
  case CONFIG_VALUES:
    return ((const adapter_module_values *)value)->count == 0;
  case CONFIG_LAYERS:
    return c->settings.layer_count == 0;
  case CONFIG_INIT:
    return c->settings.init == ADAPTER_INIT_KAIMING;
  case CONFIG_ORIENTATION:
    return !adapter_config_method(c)->oriented;
  case CONFIG_HELD_OUT:
    return !c->held_out.known;
  case CONFIG_COLUMNS:
    return ((const base_list *)value)->count == 0;
  case CONFIG_PROBLEM:
    return c->problem == CDL_PROBLEM_SINGLE_LABEL;
  case CONFIG_THRESHOLDS:
    return c->thresholds == NULL;
  default:
    return false;
  }
}

static json_t *value_of(const config_row *row, const adapter_config *c)
{
  const void *value = adapter_config_value(row, c);
  switch (row->kind) {
  case CONFIG_INT:
    return json_integer(*(const int64_t *)value);
  case CONFIG_REAL:
    return json_real(*(const double *)value);
  case CONFIG_NUMBER:
    return number(*(const double *)value);
  case CONFIG_FLAG:
  case CONFIG_INFERENCE_MODE:
    return json_true();
  case CONFIG_STRING:
  case CONFIG_BASE_MODEL:
    return base_json_string_of(*(char *const *)value);
  case CONFIG_LIST:
    return list_of(value);
  case CONFIG_MODULES:
    return *adapter_config_pattern(row, c) != NULL
               ? base_json_string_of(*adapter_config_pattern(row, c))
               : list_of(value);
  case CONFIG_VALUES:
    return object_of(value);
  case CONFIG_LAYERS:
    return layers_of(&c->settings);
  case CONFIG_TYPE:
    return json_string(adapter_peft_type(c->settings.method));
  case CONFIG_TASK_TYPE:
    return json_string("SEQ_CLS");
  case CONFIG_MODULES_TO_SAVE:
    return ((const base_list *)value)->count > 0 ? list_of(value) : json_null();
  case CONFIG_BIAS:
    return bias_of(c);
  case CONFIG_INIT:
    return word_of(ADAPTER_INIT_WORDS, (int)c->settings.init);
  case CONFIG_ORIENTATION:
    return word_of(ADAPTER_ORIENTATION_WORDS, (int)c->settings.orientation);
  case CONFIG_HELD_OUT:
    return held_out_of(&c->held_out);
  case CONFIG_COLUMNS:
    return columns_of(value);
  case CONFIG_PROBLEM:
    return json_string(cdl_problem_name(c->problem));
  case CONFIG_THRESHOLDS:
    return thresholds_of(c, c->labels.count);
  case CONFIG_REGRESSION:
  case CONFIG_HARMLESS:
  case CONFIG_TOKEN_ROWS:
  case CONFIG_OPTIONS:
  case CONFIG_KINDS:
    break;
  }
  return NULL;
}

cdl_status adapter_config_to_json(const char *path, const adapter_config *config, json_t **object)
{
  *object = NULL;
  CDL_TRY(check(path, config));
  json_t *o = json_object();
  size_t count;
  const config_row *rows = adapter_config_rows(&count);
  for (size_t i = 0; i < count; i++) {
    const char *key = adapter_config_key(&rows[i], adapter_config_method(config));
    if (rows[i].kind == CONFIG_OPTIONS)
      set_options(&o, &config->settings);
    else if (key != NULL && !rows[i].read_only && !is_default(&rows[i], config))
      base_json_set(&o, key, value_of(&rows[i], config));
  }
  *object = o;
  return o != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
}

void adapter_columns_to_json(const adapter_config *c, json_t **object)
{
  if (c->label_columns.count > 0)
    base_json_set(object, "label_column", columns_of(&c->label_columns));
  if (c->label_separator != NULL)
    base_json_set(object, "label_separator", base_json_string_of(c->label_separator));
  if (c->thresholds != NULL)
    base_json_set(object, "thresholds", thresholds_of(c, c->labels.count));
  if (c->text_columns.count > 0)
    base_json_set(object, "text_columns", list_of(&c->text_columns));
}
