#include "train/session_adapter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/number.h"
#include "base/path.h"
#include "condlora/log.h"
#include "model/adapter/fold.h"
#include "model/adapter/io.h"
#include "model/files/family.h"
#include "model/inference/adapted.h"

static cdl_status no_memory(void)
{
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the adapter's settings");
}

/* ---- Texts of settings ---- */

static cdl_status values_from_json(const char *option, const char *text,
                                   adapter_module_values *values)
{
  json_t *object;
  CDL_TRY(base_json_parse(option, text, strlen(text), &object));
  cdl_status status = CDL_STATUS_OK;
  const char *pattern;
  json_t *value;
  json_object_foreach(object, pattern, value)
  {
    status =
        json_is_number(value)
            ? adapter_module_values_add(values, pattern, strlen(pattern), json_number_value(value))
            : cdl_fail(CDL_STATUS_USAGE, "%s: '%s' wants a number", option, pattern);
    if (status != CDL_STATUS_OK)
      break;
  }
  json_decref(object);
  return status;
}

static cdl_status values_from_text(const char *option, const char *text,
                                   adapter_module_values *values)
{
  base_list items;
  CDL_TRY(base_list_split(option, text, &items));
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; i < items.count && status == CDL_STATUS_OK; i++) {
    const char *item = items.item[i], *equals = strrchr(item, '=');
    double value;
    if (equals == NULL || equals == item ||
        !base_number_parse(equals + 1, strlen(equals + 1), &value))
      status =
          cdl_fail(CDL_STATUS_USAGE, "%s wants RE=NUMBER,RE=NUMBER or an object in JSON, not '%s'",
                   option, text);
    else
      status = adapter_module_values_add(values, item, (size_t)(equals - item), value);
  }
  base_list_release(&items);
  return status;
}

/* Parses "query=4,layer\.0\..*=2" or a JSON object. The last '=' of an item separates the value,
 * and an item with commas is quoted. */
static cdl_status parse_values(const char *option, const char *text, bool whole,
                               adapter_module_values *values)
{
  *values = (adapter_module_values){0};
  cdl_status status = CDL_STATUS_OK;
  if (text != NULL && text[0] == '{') {
    status = values_from_json(option, text, values);
    status =
        status == CDL_STATUS_DATA ? cdl_fail(CDL_STATUS_USAGE, "%s", cdl_error_message()) : status;
  } else if (text != NULL)
    status = values_from_text(option, text, values);
  for (size_t i = 0; i < values->count && status == CDL_STATUS_OK; i++) {
    const double value = values->item[i].value;
    if (!(value > 0 && value <= 1e9) || (whole && value != (double)(int64_t)value))
      status = cdl_fail(CDL_STATUS_USAGE, "%s: '%s' wants a %s above 0, not %g", option,
                        values->item[i].pattern, whole ? "whole number" : "number", value);
  }
  if (status != CDL_STATUS_OK)
    adapter_module_values_release(values);
  return status;
}

/* Parses a setting of kind INTS, which contains only digits and commas. */
static cdl_status parse_layers(const char *text, int64_t **layers, size_t *count)
{
  *layers = NULL;
  *count = 0;
  if (text == NULL)
    return CDL_STATUS_OK;
  *layers = calloc(strlen(text) + 1, sizeof **layers);
  if (*layers == NULL)
    return no_memory();
  for (const char *c = text; c != NULL; c = strchr(c, ',') != NULL ? strchr(c, ',') + 1 : NULL)
    (*layers)[(*count)++] = strtoll(c, NULL, 10);
  return CDL_STATUS_OK;
}

/* Sets `names` or the pattern and leaves the other empty; both stay empty if `text` is NULL. */
static cdl_status parse_names(const char *option, const char *text, base_list *names,
                              char **pattern)
{
  if (text == NULL)
    return CDL_STATUS_OK;
  if (pattern != NULL && train_is_module_pattern(text)) {
    *pattern = strdup(text);
    return *pattern != NULL ? CDL_STATUS_OK : no_memory();
  }
  return base_list_split(option, text, names);
}

/* ---- The config ---- */

static bool add_name(base_list *names, const char *name)
{
  return base_list_add(names, name, strlen(name));
}

static cdl_status set_columns(adapter_config *c, char **texts, size_t count, char **labels,
                              size_t label_count)
{
  bool whole = true;
  for (size_t i = 0; whole && i < count; i++)
    whole = add_name(&c->text_columns, texts[i]);
  for (size_t i = 0; whole && i < label_count; i++)
    whole = add_name(&c->label_columns, labels[i]);
  return whole ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "out of memory: the names of columns");
}

/* Names the columns of the table that the run trains on. */
static cdl_status describe_columns(const train_session *session, const train_settings *s,
                                   adapter_config *c)
{
  if (session->task != NULL)
    return set_columns(c, (char **)(uintptr_t)session->task->text_column,
                       session->task->text_column[1] != NULL ? 2 : 1,
                       (char **)(uintptr_t)&session->task->label_column, 1);
  base_list columns, labels = {0};
  if (s->text_columns == NULL) /* a fresh adapter without data */
    return CDL_STATUS_OK;
  CDL_TRY(base_list_split("--text-columns", s->text_columns, &columns));
  cdl_status status = base_list_split("--label-column", s->label_column, &labels);
  if (status == CDL_STATUS_OK)
    status = set_columns(c, columns.item, columns.count, labels.item, labels.count);
  if (status == CDL_STATUS_OK && s->label_separator != NULL &&
      (c->label_separator = strdup(s->label_separator)) == NULL)
    status = no_memory();
  base_list_release(&columns);
  base_list_release(&labels);
  return status;
}

static cdl_status describe_low_rank(const train_settings *s, adapter_settings *a)
{
  a->rank = s->rank;
  a->alpha = s->alpha;
  a->dropout = s->adapter_dropout;
  a->rslora = s->rslora;
  a->init = (adapter_init)s->init;
  a->bias = (adapter_bias)s->bias;
  a->orientation = (adapter_orientation)s->orientation;
  CDL_TRY(parse_values("--rank-pattern", s->rank_pattern, true, &a->rank_pattern));
  CDL_TRY(parse_values("--alpha-pattern", s->alpha_pattern, false, &a->alpha_pattern));
  CDL_TRY(parse_layers(s->layers_to_transform, &a->layers, &a->layer_count));
  CDL_TRY(parse_names("--layers-pattern", s->layers_pattern, &a->layers_pattern, NULL));
  CDL_TRY(parse_names("--exclude-modules", s->exclude_modules, &a->excluded, &a->excluded_pattern));
  return parse_names("--targets", s->targets, &a->targets, &a->target_pattern);
}

static void describe_options(const train_settings *s, adapter_settings *a)
{
  size_t count;
  const base_option *options = adapter_options(a->method, &count);
  for (size_t i = 0; i < count; i++)
    a->options[i] = *train_settings_option((train_settings *)(uintptr_t)s, options[i].name);
}

data_split_form train_split_form_of(const train_settings *s)
{
  return s->compat == TRAIN_COMPAT_REFERENCE ? DATA_SPLIT_REFERENCE : DATA_SPLIT_STRATIFIED;
}

/* Fills the adapter's config; a fresh pooler is saved too. */
static cdl_status describe_adapter(const train_session *session, const train_settings *s,
                                   adapter_config *c)
{
  char fingerprint[INFERENCE_FINGERPRINT_BYTES];
  const cdl_hub_source *source = session->model.base_source;
  const char *name = source != NULL ? cdl_hub_source_name(source) : NULL,
             *commit = source != NULL ? cdl_hub_source_commit(source) : NULL;
  inference_fingerprint(&session->model, fingerprint);
  *c = (adapter_config){
      .settings = adapter_settings_of(train_method_name(s)),
      .problem = session->model.problem,
      .zero_token_types = session->model.types_zero,
      .held_out = {.known = session->train != NULL,
                   .fraction = s->dev_fraction,
                   .reference_split = train_split_form_of(s) == DATA_SPLIT_REFERENCE},
      .base_model = strdup(name != NULL ? name : s->model),
      .base_revision = commit != NULL ? strdup(commit) : NULL,
      .fingerprint = strdup(fingerprint)};
  if (c->base_model == NULL || (commit != NULL && c->base_revision == NULL) ||
      c->fingerprint == NULL)
    return no_memory();
  if (session->task != NULL && (c->task = strdup(session->task->name)) == NULL)
    return no_memory();
  CDL_TRY(describe_columns(session, s, c));
  if (adapter_is_low_rank(train_method_name(s)))
    CDL_TRY(describe_low_rank(s, &c->settings));
  describe_options(s, &c->settings);
  CDL_TRY(parse_names("--modules-to-save", s->modules_to_save, &c->settings.modules_to_save, NULL));
  if (session->model.loaded.fresh_pooler &&
      !base_list_has(&c->settings.modules_to_save, "pooler") &&
      !add_name(&c->settings.modules_to_save, "pooler"))
    return no_memory();
  for (int i = 0; i < session->model.labels && session->model.label_names != NULL; i++)
    if (!add_name(&c->labels, session->model.label_names[i]))
      return no_memory();
  return CDL_STATUS_OK;
}

/* Some targets of the folder that training starts from are whole tensors now. The other targets are
 * named by their full paths, so that PEFT does not adapt what is saved whole. The head is always
 * saved. */
static cdl_status settle_folded(const train_session *session, const char *folder, adapter_config *c)
{
  const size_t count = adapter_module_count(session->model.adapter);
  if (adapter_folded_count(session->model.adapter) == 0)
    return CDL_STATUS_OK;
  if (count == 0)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: adapter_config.json: \"target_modules\": no layer of the encoder is among "
                    "them: there is nothing to go on from with this method",
                    folder);
  free(c->settings.target_pattern);
  c->settings.target_pattern = NULL;
  base_list_release(&c->settings.targets);
  for (size_t i = 0; i < count; i++)
    if (!add_name(&c->settings.targets, adapter_module_at(session->model.adapter, i).path))
      return no_memory();
  const char *path;
  for (size_t i = 0; (path = adapter_folded_table(session->model.adapter, i)) != NULL; i++)
    if (!base_list_has(&c->settings.modules_to_save, path) &&
        !add_name(&c->settings.modules_to_save, path))
      return no_memory();
  return CDL_STATUS_OK;
}

cdl_status train_make_adapter(train_session *session, const train_settings *s)
{
  adapter_config *c = &session->model.adapter_config;
  CDL_TRY(describe_adapter(session, s, c));
  c->settings.config_extra = json_incref(session->initial.settings.config_extra);
  adapter_settings adapter = c->settings;
  adapter.dropout_hits_base = adapter.reference_compat = s->compat == TRAIN_COMPAT_REFERENCE;
  adapter.lora_plus_ratio = s->lora_plus_ratio != 1 ? s->lora_plus_ratio : 0;
  adapter.ignore_unmatched = s->init_adapter != NULL;
  adapter.train_pooler = session->model.loaded.fresh_pooler;
  const bool starts = s->init_adapter != NULL;
  const cdl_status status = adapter_create_stored(
      session->model.queue, session->model.encoder, &adapter, starts ? &session->initial : NULL,
      starts ? session->initial_tensors : NULL, &session->model.adapter);
  adapter_config_converted(c);
  if (status != CDL_STATUS_OK)
    return starts ? inference_in_folder(status, s->init_adapter) : status;
  return settle_folded(session, s->init_adapter, c);
}

cdl_status train_check_adapter_settings(const train_settings *s)
{
  if (s->fresh_head && s->init_adapter != NULL)
    return cdl_fail(CDL_STATUS_USAGE, "--fresh-head: the head is that of --init-adapter");
  CDL_TRY(train_settings_check_options(s));
  if (!adapter_is_low_rank(train_method_name(s)))
    return CDL_STATUS_OK;
  adapter_config c = {0};
  const cdl_status status = describe_low_rank(s, &c.settings);
  adapter_config_free(&c);
  return status;
}

/* ---- Settings from an adapter ---- */

static bool was_given(const bool *given, const char *field)
{
  size_t count;
  const base_option *list = train_setting_list(&count);
  return given != NULL && given[train_setting_find(field) - list];
}

static cdl_status adopt_text(char **setting, const bool *given, const char *field,
                             const char *value, const char *folder)
{
  if (was_given(given, field) && (*setting == NULL || strcmp(*setting, value) != 0))
    return cdl_fail(CDL_STATUS_USAGE, "%s %s contradicts the adapter in %s, which has %s",
                    base_option_shown(field).text, *setting != NULL ? *setting : "", folder, value);
  char *copy = strdup(value);
  if (copy == NULL)
    return no_memory();
  free(*setting);
  *setting = copy;
  return CDL_STATUS_OK;
}

static cdl_status adopt_number(double *setting, const bool *given, const char *field, double value,
                               const char *folder)
{
  if (was_given(given, field) && *setting != value)
    return cdl_fail(CDL_STATUS_USAGE, "%s %g contradicts the adapter in %s, which has %g",
                    base_option_shown(field).text, *setting, folder, value);
  *setting = value;
  return CDL_STATUS_OK;
}

static int compare_text(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Compares lists as sets. */
static bool same_set(const char *text, const base_list *names)
{
  base_list list;
  if (base_list_split("", text, &list) != CDL_STATUS_OK)
    return false;
  char **sorted = calloc(names->count + 1, sizeof *sorted);
  bool same = sorted != NULL && list.count == names->count;
  if (same) {
    memcpy(sorted, names->item, names->count * sizeof *sorted);
    qsort(sorted, names->count, sizeof *sorted, compare_text);
    qsort(list.item, list.count, sizeof *list.item, compare_text);
    for (size_t i = 0; same && i < list.count; i++)
      same = strcmp(sorted[i], list.item[i]) == 0;
  }
  free(sorted);
  base_list_release(&list);
  return same;
}

/* Takes over a setting that is a list or an expression. `pattern` and the setting may be NULL. */
static cdl_status adopt_names(train_settings *s, char **setting, const bool *given,
                              const char *field, const base_list *names, const char *pattern)
{
  const bool was = was_given(given, field), none = pattern == NULL && names->count == 0;
  if (none && was && *setting != NULL)
    return cdl_fail(CDL_STATUS_USAGE, "%s %s contradicts the adapter in %s, which has none",
                    base_option_shown(field).text, *setting, s->init_adapter);
  if (none || (was && pattern == NULL && same_set(*setting, names)))
    return CDL_STATUS_OK;
  char *text = pattern != NULL ? strdup(pattern)
                               : base_list_join((const char *const *)names->item, names->count);
  if (text == NULL)
    return no_memory();
  const cdl_status status = adopt_text(setting, given, field, text, s->init_adapter);
  free(text);
  return status;
}

/* Returns a JSON object as text; NULL if memory is out. */
static char *values_text(const adapter_module_values *values)
{
  json_t *object = json_object();
  for (size_t i = 0; i < values->count; i++)
    base_json_set(&object, values->item[i].pattern, json_real(values->item[i].value));
  char *text = base_json_line(object);
  json_decref(object);
  return text;
}

/* Two lists of patterns are equal if their texts and order are equal. */
static cdl_status adopt_values(train_settings *s, char **setting, const bool *given,
                               const char *field, const adapter_module_values *values)
{
  if (!was_given(given, field) && values->count == 0)
    return CDL_STATUS_OK;
  adapter_module_values own = {0};
  char *text = values_text(values), *own_text = NULL;
  cdl_status status = text != NULL ? CDL_STATUS_OK : no_memory();
  if (status == CDL_STATUS_OK && was_given(given, field))
    status = parse_values(base_option_shown(field).text, *setting, false, &own);
  if (status == CDL_STATUS_OK && was_given(given, field)) {
    own_text = values_text(&own);
    if (own_text == NULL || strcmp(text, own_text) != 0)
      status = cdl_fail(CDL_STATUS_USAGE, "%s %s contradicts the adapter in %s, which has %s",
                        base_option_shown(field).text, *setting, s->init_adapter, text);
  }
  if (status == CDL_STATUS_OK) {
    free(*setting);
    *setting = text;
    text = NULL;
  }
  free(own_text);
  free(text);
  adapter_module_values_release(&own);
  return status;
}

static cdl_status adopt_layers(train_settings *s, const bool *given, const adapter_config *c)
{
  base_list numbers = {0};
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; i < c->settings.layer_count && status == CDL_STATUS_OK; i++) {
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, c->settings.layers[i]);
    status = add_name(&numbers, digits) ? CDL_STATUS_OK : no_memory();
  }
  if (status == CDL_STATUS_OK)
    status = adopt_names(s, &s->layers_to_transform, given, "layers_to_transform", &numbers, NULL);
  base_list_release(&numbers);
  return status;
}

static cdl_status adopt_choice(const train_settings *s, int *setting, const bool *given,
                               const char *field, int place)
{
  const char *words = train_setting_find(field)->placeholder;
  const base_word own = base_word_at(words, *setting), adapters = base_word_at(words, place);
  if (was_given(given, field) && *setting != place)
    return cdl_fail(CDL_STATUS_USAGE, "%s %.*s contradicts the adapter in %s, which has %.*s",
                    base_option_shown(field).text, (int)own.bytes, own.text, s->init_adapter,
                    (int)adapters.bytes, adapters.text);
  *setting = place;
  return CDL_STATUS_OK;
}

static cdl_status adopt_options(train_settings *s, const adapter_config *c)
{
  size_t count;
  const base_option *list = train_setting_list(&count);
  const base_option *options = adapter_options(train_method_name(s), &count);
  for (size_t i = 0; i < count; i++) {
    double *value = train_settings_option(s, options[i].name);
    const base_option *setting = train_setting_find(options[i].name);
    const base_option_kind kind = options[i].kind;
    if (s->set[setting - list] && *value != c->settings.options[i]) {
      if (kind == BASE_OPTION_INT || kind == BASE_OPTION_FLOAT)
        return cdl_fail(CDL_STATUS_USAGE, "%s %g contradicts the adapter in %s, which has %g",
                        base_option_shown(options[i].name).text, *value, s->init_adapter,
                        c->settings.options[i]);
      return cdl_fail(CDL_STATUS_USAGE, "%s contradicts the adapter in %s",
                      base_option_shown(options[i].name).text, s->init_adapter);
    }
    *value = c->settings.options[i];
  }
  return CDL_STATUS_OK;
}

/* Modules that the adapter holds whole remain trained. PEFT always lists both classifier and
 * score. */
static cdl_status adopt_modules(train_settings *s, const bool *given, const adapter_config *config)
{
  if (was_given(given, "modules_to_save") || config->settings.modules_to_save.count == 0)
    return CDL_STATUS_OK;
  char *text = base_list_join((const char *const *)config->settings.modules_to_save.item,
                              config->settings.modules_to_save.count);
  if (text == NULL)
    return no_memory();
  free(s->modules_to_save);
  s->modules_to_save = text;
  return CDL_STATUS_OK;
}

static cdl_status adopt_low_rank(train_settings *s, const bool *given, const adapter_config *c)
{
  const char *folder = s->init_adapter;
  double rank = (double)s->rank;
  CDL_TRY(adopt_number(&rank, given, "rank", (double)c->settings.rank, folder));
  s->rank = c->settings.rank;
  if (adapter_has(train_method_name(s), ADAPTER_HAS_ALPHA))
    CDL_TRY(adopt_number(&s->alpha, given, "alpha", c->settings.alpha, folder));
  if (was_given(given, "rslora") && s->rslora != c->settings.rslora)
    return cdl_fail(CDL_STATUS_USAGE, "--rslora contradicts the adapter in %s", folder);
  s->rslora = c->settings.rslora;
  CDL_TRY(adopt_values(s, &s->rank_pattern, given, "rank_pattern", &c->settings.rank_pattern));
  CDL_TRY(adopt_values(s, &s->alpha_pattern, given, "alpha_pattern", &c->settings.alpha_pattern));
  CDL_TRY(adopt_choice(s, &s->init, given, "init", (int)c->settings.init));
  CDL_TRY(adopt_choice(s, &s->bias, given, "bias", (int)c->settings.bias));
  if (adapter_is_oriented(c->settings.method))
    CDL_TRY(adopt_choice(s, &s->orientation, given, "orientation", (int)c->settings.orientation));
  CDL_TRY(adopt_layers(s, given, c));
  CDL_TRY(adopt_names(s, &s->layers_pattern, given, "layers_pattern", &c->settings.layers_pattern,
                      NULL));
  CDL_TRY(adopt_names(s, &s->exclude_modules, given, "exclude_modules", &c->settings.excluded,
                      c->settings.excluded_pattern));
  return adopt_names(s, &s->targets, given, "targets", &c->settings.targets,
                     c->settings.target_pattern);
}

cdl_status train_adopt_adapter(train_settings *s, const bool *given, const adapter_config *config)
{
  const char *method = config->settings.method;
  CDL_TRY(adopt_choice(s, &s->method, given, "method",
                       base_word_place(train_setting_find("method")->placeholder, method)));
  CDL_TRY(adopt_modules(s, given, config));
  CDL_TRY(adopt_options(s, config));
  return adapter_is_low_rank(method) ? adopt_low_rank(s, given, config) : CDL_STATUS_OK;
}
