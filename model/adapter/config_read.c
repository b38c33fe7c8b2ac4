#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "model/adapter/config_table.h"

/* One key of the file. */
typedef struct {
  const char *path;
  json_t *object;
  const char *key;
  const config_row *row;
} source;

static cdl_status no_memory(const char *path)
{
  return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
}

static cdl_status copy_string(const char *path, const char *text, char **copy)
{
  *copy = strdup(text);
  return *copy != NULL ? CDL_STATUS_OK : no_memory(path);
}

static cdl_status read_text(const char *path, const json_t *object, const char *key, char **copy)
{
  const char *text = NULL;
  CDL_TRY(base_json_string(path, object, key, true, &text));
  return text == NULL ? CDL_STATUS_OK : copy_string(path, text, copy);
}

/* A missing key or null gives an empty list. */
static cdl_status read_names(const char *path, const json_t *object, const char *key,
                             base_list *names)
{
  const json_t *list = json_object_get(object, key);
  if (list == NULL || json_is_null(list))
    return CDL_STATUS_OK;
  if (!json_is_array(list))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected a list of strings", path, key);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const char *text = json_string_value(json_array_get(list, i));
    if (text == NULL)
      return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected a list of strings", path, key);
    if (!base_list_add(names, text, strlen(text)))
      return no_memory(path);
  }
  return CDL_STATUS_OK;
}

/* The same, or one name. */
static cdl_status read_one_or_more(const char *path, const json_t *object, const char *key,
                                   base_list *names)
{
  const json_t *value = json_object_get(object, key);
  if (!json_is_string(value))
    return read_names(path, object, key, names);
  return json_string_length(value) == 0 ||
                 base_list_add(names, json_string_value(value), json_string_length(value))
             ? CDL_STATUS_OK
             : no_memory(path);
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

/* ---- What a row says ---- */

static cdl_status read_int(const source *s, adapter_config *c)
{
  return base_json_integer(s->path, s->object, s->key, (int64_t)s->row->low, (int64_t)s->row->high,
                           adapter_config_value(s->row, c));
}

static cdl_status read_real(const source *s, adapter_config *c)
{
  return base_json_real(s->path, s->object, s->key, s->row->low, s->row->high, false,
                        adapter_config_value(s->row, c));
}

static cdl_status read_flag(const source *s, adapter_config *c)
{
  return base_json_boolean(s->path, s->object, s->key, adapter_config_value(s->row, c));
}

static cdl_status read_string(const source *s, adapter_config *c)
{
  return read_text(s->path, s->object, s->key, adapter_config_value(s->row, c));
}

static cdl_status read_problem(const source *s, adapter_config *c)
{
  const char *name = NULL;
  CDL_TRY(base_json_string(s->path, s->object, s->key, true, &name));
  return name == NULL || model_problem_find(name, &c->problem)
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": no problem \"%.100s\"; expected %s, %s or %s",
                        s->path, s->key, name, cdl_problem_name(CDL_PROBLEM_SINGLE_LABEL),
                        cdl_problem_name(CDL_PROBLEM_MULTI_LABEL),
                        cdl_problem_name(CDL_PROBLEM_REGRESSION));
}

static cdl_status read_regression(const source *s, adapter_config *c)
{
  bool regression = false;
  CDL_TRY(base_json_boolean(s->path, s->object, s->key, &regression));
  if (regression)
    c->problem = CDL_PROBLEM_REGRESSION;
  return CDL_STATUS_OK;
}

/* `labels` numbers from 0 to 1; NULL if the key is missing. */
static cdl_status thresholds_from(const char *path, const json_t *object, size_t labels,
                                  double **thresholds)
{
  const json_t *list = json_object_get(object, "thresholds");
  if (list == NULL || json_is_null(list))
    return CDL_STATUS_OK;
  bool good = json_is_array(list) && json_array_size(list) == labels;
  *thresholds = calloc(labels + 1, sizeof **thresholds);
  if (*thresholds == NULL)
    return no_memory(path);
  for (size_t i = 0; good && i < labels; i++) {
    const json_t *number = json_array_get(list, i);
    (*thresholds)[i] = json_number_value(number);
    good = json_is_number(number) && (*thresholds)[i] >= 0 && (*thresholds)[i] <= 1;
  }
  return good ? CDL_STATUS_OK
              : cdl_fail(CDL_STATUS_DATA,
                         "%s: \"thresholds\": expected %zu numbers from 0 to 1, one for each label",
                         path, labels);
}

static cdl_status read_thresholds(const source *s, adapter_config *c)
{
  return thresholds_from(s->path, s->object, c->labels.count, &c->thresholds);
}

/* To PEFT an empty string is nothing. */
static cdl_status read_list(const source *s, adapter_config *c)
{
  base_list *names = adapter_config_value(s->row, c);
  return s->row->or_name ? read_one_or_more(s->path, s->object, s->key, names)
                         : read_names(s->path, s->object, s->key, names);
}

/* A list of names, or one string that is an expression, where an empty one is nothing too. */
static cdl_status read_modules(const source *s, adapter_config *c)
{
  const json_t *value = json_object_get(s->object, s->key);
  if (!json_is_string(value))
    return read_names(s->path, s->object, s->key, adapter_config_value(s->row, c));
  return json_string_length(value) > 0
             ? copy_string(s->path, json_string_value(value), adapter_config_pattern(s->row, c))
             : CDL_STATUS_OK;
}

/* {"query": 4, …} in the order of the file, which decides. */
static cdl_status read_values(const source *s, adapter_config *c)
{
  json_t *list = json_object_get(s->object, s->key);
  if (list == NULL || json_is_null(list))
    return CDL_STATUS_OK;
  if (!json_is_object(list))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected an object of numbers", s->path, s->key);
  const char *pattern;
  json_t *value;
  json_object_foreach(list, pattern, value)
  {
    const double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= s->row->low && number <= s->row->high))
      return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": \"%.100s\": expected a number from %g to %g",
                      s->path, s->key, pattern, s->row->low, s->row->high);
    CDL_TRY(cdl_context(adapter_module_values_add(adapter_config_value(s->row, c), pattern,
                                                  strlen(pattern), number),
                        "%s", s->path));
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

static cdl_status read_layers(const source *s, adapter_config *c)
{
  const json_t *value = json_object_get(s->object, s->key);
  return value == NULL || json_is_null(value)
             ? CDL_STATUS_OK
             : read_numbers(s->path, s->key, value, &c->settings.layers, &c->settings.layer_count);
}

/* ---- One key each ---- */

static cdl_status read_task_type(const source *s, adapter_config *c)
{
  const char *type = NULL;
  CDL_TRY(base_json_string(s->path, s->object, s->key, true, &type));
  c->saves_head = type != NULL && strcmp(type, "SEQ_CLS") == 0;
  if (type == NULL || c->saves_head || strcmp(type, "FEATURE_EXTRACTION") == 0)
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_UNSUPPORTED,
                  "%s: \"task_type\" is \"%.100s\"; SEQ_CLS, FEATURE_EXTRACTION and none are "
                  "supported",
                  s->path, type);
}

static cdl_status read_bias(const source *s, adapter_config *c)
{
  const char *word = NULL, *adapted = adapter_keys_of(adapter_config_method(c))->adapted_bias;
  CDL_TRY(base_json_string(s->path, s->object, s->key, true, &word));
  const int place = word == NULL ? ADAPTER_BIAS_NONE : base_word_place(ADAPTER_BIAS_WORDS, word);
  if (word != NULL && strcmp(word, adapted) == 0) /* PEFT's own word for this method */
    c->settings.bias = ADAPTER_BIAS_ADAPTED;
  else if (place == ADAPTER_BIAS_NONE || place == ADAPTER_BIAS_ALL)
    c->settings.bias = (adapter_bias)place;
  else
    return cdl_fail(CDL_STATUS_DATA, "%s: \"bias\" is \"%.40s\", expected none, all or %s", s->path,
                    word, adapted);
  return CDL_STATUS_OK;
}

/* Ways of making initial values. Some change the base's weights, and of these those that are random
 * or made from data cannot be made again from the folder. */
static cdl_status read_init(const source *s, adapter_config *c)
{
  static const struct {
    const char *way;
    bool by_case; /* PEFT reads it in this case alone */
    adapter_init init;
  } ways[] = {{"true", false, ADAPTER_INIT_KAIMING}, {"false", false, ADAPTER_INIT_KAIMING},
              {"eva", false, ADAPTER_INIT_KAIMING},  {"orthogonal", false, ADAPTER_INIT_KAIMING},
              {"mica", false, ADAPTER_INIT_KAIMING}, {"gaussian", false, ADAPTER_INIT_GAUSSIAN},
              {"pissa", true, ADAPTER_INIT_PISSA},   {"olora", false, ADAPTER_INIT_OLORA}};
  const char *way = json_string_value(json_object_get(s->object, s->key));
  if (way == NULL)
    return CDL_STATUS_OK;
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    if ((ways[i].by_case ? strcmp : strcasecmp)(way, ways[i].way) == 0) {
      c->settings.init = ways[i].init;
      return CDL_STATUS_OK;
    }
  return cdl_fail(CDL_STATUS_UNSUPPORTED,
                  "%s: \"%s\" is \"%.40s\", which may have changed the base model; save the "
                  "adapter converted to LoRA",
                  s->path, s->key, way);
}

static cdl_status read_orientation(const source *s, adapter_config *c)
{
  const char *word = NULL;
  CDL_TRY(base_json_string(s->path, s->object, s->key, true, &word));
  const adapter_method *method = adapter_config_method(c);
  if (word == NULL && method->oriented)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: \"orientation\" is missing, expected \"paper\" or \"reference\"", s->path);
  if (word == NULL)
    return CDL_STATUS_OK;
  if (!method->oriented)
    return cdl_fail(CDL_STATUS_DATA, "%s: \"orientation\" is not for %s", s->path,
                    method->peft_type);
  const int place = base_word_place(ADAPTER_ORIENTATION_WORDS, word);
  if (place < 0)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: \"orientation\" is \"%.100s\", expected \"paper\" or \"reference\"",
                    s->path, word);
  c->settings.orientation = (adapter_orientation)place;
  return CDL_STATUS_OK;
}

/* Rows of the table of words: a list, or an object that names the table. */
static cdl_status read_token_rows(const source *s, adapter_config *c)
{
  static const char table[] = "word_embeddings";
  json_t *value = json_object_get(s->object, s->key);
  if (value == NULL || is_off(value))
    return CDL_STATUS_OK;
  const char *name;
  json_t *list = json_is_object(value) ? NULL : value, *item;
  json_object_foreach(value, name, item)
  {
    const size_t bytes = strlen(name), ending = sizeof table - 1;
    if (json_object_size(value) > 1 || bytes < ending || strcmp(name + bytes - ending, table) != 0)
      return cdl_fail(CDL_STATUS_UNSUPPORTED,
                      "%s: \"%s\": \"%.100s\": only rows of %s are supported", s->path, s->key,
                      name, table);
    list = item;
  }
  if (!json_is_array(list))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\": expected a list of whole numbers", s->path,
                    s->key);
  return read_numbers(s->path, s->key, list, &c->token_rows, &c->token_count);
}

/* {"fraction": 0.1, "split": "stratified"} */
static cdl_status read_held_out(const source *s, adapter_config *c)
{
  const char *path = s->path;
  adapter_held_out *held_out = &c->held_out;
  const json_t *value = json_object_get(s->object, s->key);
  const char *split = NULL;
  if (value == NULL || json_is_null(value))
    return CDL_STATUS_OK;
  if (!json_is_object(value))
    return cdl_fail(CDL_STATUS_DATA, "%s: \"held_out\": expected an object", path);
  held_out->fraction = -1;
  CDL_TRY(base_json_real(path, value, "fraction", 0, 1, false, &held_out->fraction));
  CDL_TRY(base_json_string(path, value, "split", false, &split));
  const int place = split != NULL ? base_word_place(CONFIG_SPLIT_WORDS, split) : -1;
  held_out->reference_split = place > 0;
  if (held_out->fraction < 0 || held_out->fraction >= 1 || place < 0)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: \"held_out\": expected a \"fraction\" from 0 and below 1, and a \"split\" "
                    "that is \"stratified\" or \"reference\"",
                    path);
  held_out->known = true;
  return CDL_STATUS_OK;
}

/* ---- The method's own ---- */

static cdl_status read_option(const char *path, const json_t *object, const base_option *o,
                              double *value)
{
  const char *key = adapter_config_option_key(o), *choice = NULL;
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

static cdl_status read_options(const source *s, adapter_config *c)
{
  const adapter_method *method = adapter_config_method(c);
  size_t count;
  const base_option *options = adapter_options(method->name, &count);
  for (size_t i = 0; i < count; i++)
    CDL_TRY(read_option(s->path, s->object, &options[i], &c->settings.options[i]));
  if (method->config_extra_keys == NULL)
    return CDL_STATUS_OK;
  c->settings.config_extra = json_object();
  for (const char *const *k = method->config_extra_keys; *k != NULL; k++)
    if (json_object_get(s->object, *k) != NULL)
      base_json_set(&c->settings.config_extra, *k, json_incref(json_object_get(s->object, *k)));
  return c->settings.config_extra != NULL ? CDL_STATUS_OK : no_memory(s->path);
}

/* ---- The whole ---- */

static bool is_of_method(const char *key, const adapter_method *method)
{
  size_t count;
  const base_option *options = adapter_options(method->name, &count);
  for (size_t i = 0; i < count; i++)
    if (strcmp(key, adapter_config_option_key(&options[i])) == 0)
      return true;
  for (const char *const *k = method->config_extra_keys; k != NULL && *k != NULL; k++)
    if (strcmp(*k, key) == 0)
      return true;
  return false;
}

static bool is_known(const char *key, const adapter_method *method)
{
  size_t count;
  const config_row *rows = adapter_config_rows(&count);
  for (size_t i = 0; i < count; i++) {
    const char *known = adapter_config_key(&rows[i], method);
    if (known != NULL && strcmp(key, known) == 0)
      return true;
  }
  return is_of_method(key, method);
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

/* NULL for a type that has no adapter folder. */
static const adapter_method *method_of(const char *peft_type)
{
  const char *name = adapter_method_of(peft_type);
  return name == NULL || adapter_is_whole_model(name) ? NULL : adapter_method_find(name);
}

static cdl_status read_method(const char *path, const json_t *object, const adapter_method **method)
{
  const char *type = NULL;
  CDL_TRY(base_json_string(path, object, "peft_type", true, &type));
  if (type == NULL)
    return cdl_fail(CDL_STATUS_DATA, "%s: \"peft_type\" is missing", path);
  if ((*method = method_of(type)) != NULL)
    return CDL_STATUS_OK;
  char list[256] = "";
  for (const char *const *m = adapter_methods(); *m != NULL; m++) {
    const char *known = adapter_peft_type(*m);
    const size_t used = strlen(list);
    if (method_of(known) != NULL)
      snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "", known);
  }
  return cdl_fail(CDL_STATUS_UNSUPPORTED,
                  "%s: \"peft_type\" is \"%.100s\", supported so far are %s", path, type, list);
}

static cdl_status check(const char *path, const adapter_config *c)
{
  if (adapter_config_method(c)->attach != NULL && c->settings.targets.count == 0 &&
      c->settings.target_pattern == NULL)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: \"target_modules\": expected a list of names or a regular expression",
                    path);
  if (c->text_columns.count > 2)
    return cdl_fail(CDL_STATUS_DATA, "%s: \"text_columns\": expected one name, or two for pairs",
                    path);
  return CDL_STATUS_OK;
}

cdl_status adapter_config_from_json(const char *path, json_t *object, adapter_config *config)
{
  static cdl_status (*const readers[CONFIG_KINDS])(const source *, adapter_config *) = {
      [CONFIG_INT] = read_int,
      [CONFIG_REAL] = read_real,
      [CONFIG_NUMBER] = read_real,
      [CONFIG_FLAG] = read_flag,
      [CONFIG_STRING] = read_string,
      [CONFIG_LIST] = read_list,
      [CONFIG_MODULES] = read_modules,
      [CONFIG_VALUES] = read_values,
      [CONFIG_LAYERS] = read_layers,
      [CONFIG_TASK_TYPE] = read_task_type,
      [CONFIG_BASE_MODEL] = read_string,
      [CONFIG_MODULES_TO_SAVE] = read_list,
      [CONFIG_BIAS] = read_bias,
      [CONFIG_INIT] = read_init,
      [CONFIG_ORIENTATION] = read_orientation,
      [CONFIG_HELD_OUT] = read_held_out,
      [CONFIG_PROBLEM] = read_problem,
      [CONFIG_REGRESSION] = read_regression,
      [CONFIG_COLUMNS] = read_list,
      [CONFIG_THRESHOLDS] = read_thresholds,
      [CONFIG_TOKEN_ROWS] = read_token_rows,
      [CONFIG_OPTIONS] = read_options};
  const adapter_method *method;
  CDL_TRY(read_method(path, object, &method));
  config->settings = adapter_settings_of(method->name);
  for (const char *const *k = method->void_keys; k != NULL && *k != NULL; k++)
    json_object_del(object, *k);
  CDL_TRY(refuse_unknown_settings(path, object, method));
  size_t count;
  const config_row *rows = adapter_config_rows(&count);
  for (size_t i = 0; i < count; i++) {
    const source from = {path, object, adapter_config_key(&rows[i], method), &rows[i]};
    if (readers[rows[i].kind] != NULL && (from.key != NULL || rows[i].kind == CONFIG_OPTIONS))
      CDL_TRY(readers[rows[i].kind](&from, config));
  }
  return check(path, config);
}

cdl_status adapter_columns_from_json(const char *path, const json_t *object, size_t labels,
                                     adapter_config *config)
{
  CDL_TRY(read_names(path, object, "text_columns", &config->text_columns));
  CDL_TRY(read_one_or_more(path, object, "label_column", &config->label_columns));
  CDL_TRY(read_text(path, object, "label_separator", &config->label_separator));
  CDL_TRY(thresholds_from(path, object, labels, &config->thresholds));
  return config->text_columns.count <= 2
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_DATA,
                        "%s: \"text_columns\": expected one name, or two for pairs", path);
}
