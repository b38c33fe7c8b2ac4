#include "train/settings.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/list.h"
#include "base/nearest.h"
#include "base/number.h"
#include "base/utf8.h"
#include "condlora/backend.h"
#include "condlora/metrics.h"
#include "train/schedule.h"

/* "condlora|lora|…", in the order of adapter_methods. */
#define METHOD(name, word) "|" word
static const char listed_methods[] =
#include "model/adapter/methods.def"
    ;
#undef METHOD
#define TRAIN_METHOD_WORDS (&listed_methods[1])

/* How each kind in settings.def becomes a row of a table of options, with its default. */
#define AS_STRING(initial) .kind = BASE_OPTION_STRING, .default_string = initial
#define AS_LIST(initial) .kind = BASE_OPTION_LIST, .default_string = initial
#define AS_MODULES(initial) AS_LIST(initial), .is_other = train_is_module_pattern
#define AS_WEIGHTS(initial) \
  AS_LIST(initial), .is_other = train_weights_are_balanced, .number_items = true
#define AS_MAP(initial) .kind = BASE_OPTION_MAP, .default_string = initial
#define AS_INTS(initial) .kind = BASE_OPTION_INTS, .default_string = initial
#define AS_CHOICE(initial) .kind = BASE_OPTION_CHOICE, .default_value = initial
#define AS_INT(initial) .kind = BASE_OPTION_INT, .default_value = initial
#define AS_FLOAT(initial) .kind = BASE_OPTION_FLOAT, .default_value = initial
#define AS_FLAG(initial) .kind = BASE_OPTION_FLAG, .default_value = initial

static const base_option lines[] = {
#define SECTION(title) {.kind = BASE_OPTION_SECTION, .help = title},
#define SETTING(kind_, field_, initial, placeholder_, changes, of, ...) \
  {AS_##kind_(initial),                                                 \
   .name = #field_,                                                     \
   .placeholder = placeholder_,                                         \
   .traits = (changes ? TRAIN_CHANGES_RESULT : 0) | TRAIN_OF_##of,      \
   .offset = offsetof(train_settings, field_),                          \
   .help = __VA_ARGS__},
#include "train/settings.def"
#undef SETTING
#undef SECTION
};
enum { LINE_COUNT = sizeof lines / sizeof lines[0], HELP_BYTES = 320 };

/* ---- The list ---- */

static base_option list[TRAIN_SETTINGS_MAX];
static size_t list_count;
static char option_help[TRAIN_METHOD_OPTIONS_MAX][HELP_BYTES];
static pthread_once_t list_once = PTHREAD_ONCE_INIT;

static bool of_methods(const base_option *setting)
{
  return (setting->traits & TRAIN_OF_METHODS) != 0;
}

/* Whether the method has a setting of the table. */
static bool method_has(const char *method, const base_option *setting)
{
  const unsigned of = setting->traits;
  size_t count;
  const base_option *options = adapter_options(method, &count);
  if (of_methods(setting))
    return base_option_find(options, count, setting->name) != NULL;
  return ((of & TRAIN_OF_LOW_RANK) == 0 || adapter_is_low_rank(method)) &&
         ((of & TRAIN_OF_ORIENTATION) == 0 || adapter_is_oriented(method)) &&
         (of >> TRAIN_OF_SHIFT == 0 ||
          adapter_has(method, (adapter_setting)(of >> TRAIN_OF_SHIFT)));
}

static bool schedule_has(int schedule, const base_option *setting)
{
  const bool cosine =
      schedule == TRAIN_SCHEDULE_COSINE || schedule == TRAIN_SCHEDULE_COSINE_WITH_RESTARTS;
  return ((setting->traits & TRAIN_OF_COSINE) == 0 || cosine) &&
         ((setting->traits & TRAIN_OF_POLYNOMIAL) == 0 || schedule == TRAIN_SCHEDULE_POLYNOMIAL);
}

enum { OWNERS_BYTES = 160 };

static void add_owner(char *text, const char *name, size_t bytes)
{
  const size_t used = strlen(text);
  snprintf(text + used, OWNERS_BYTES - used, "%s%.*s", used > 0 ? ", " : "", (int)bytes, name);
}

/* Lists methods that have an option: "condlora, lora". */
static void methods_with(const base_option *setting, char text[OWNERS_BYTES])
{
  text[0] = '\0';
  for (const char *const *m = adapter_methods(); *m != NULL; m++)
    if (method_has(*m, setting))
      add_owner(text, *m, strlen(*m));
}

/* "cosine, cosine-with-restarts" */
static void schedules_with(const base_option *setting, char text[OWNERS_BYTES])
{
  text[0] = '\0';
  for (int i = 0; i <= TRAIN_SCHEDULE_POLYNOMIAL; i++) {
    const base_word word = base_word_at(TRAIN_SCHEDULE_WORDS, i);
    if (schedule_has(i, setting))
      add_owner(text, word.text, word.bytes);
  }
}

static const char *placeholder_of(const base_option *o)
{
  return o->kind == BASE_OPTION_INT ? "N" : o->kind == BASE_OPTION_FLOAT ? "X" : o->placeholder;
}

static void add_option(const base_option *o, size_t place)
{
  char methods[OWNERS_BYTES];
  base_option *added = &list[list_count++];
  *added = *o;
  added->placeholder = placeholder_of(o);
  added->traits = TRAIN_CHANGES_RESULT | TRAIN_OF_METHODS;
  added->offset = offsetof(train_settings, options) + place * sizeof(double);
  methods_with(added, methods);
  snprintf(option_help[place], HELP_BYTES, "%s: %s", methods, o->help);
  added->help = option_help[place];
}

static void make_list(void)
{
  size_t place = 0;
  memcpy(list, lines, sizeof lines);
  list_count = LINE_COUNT;
  for (const char *const *m = adapter_methods(); *m != NULL; m++) {
    size_t count;
    const base_option *options = adapter_options(*m, &count);
    for (size_t i = 0; i < count; i++) {
      const base_option *known = base_option_find(list, list_count, options[i].name);
      if (known != NULL || place == TRAIN_METHOD_OPTIONS_MAX || list_count + 2 > TRAIN_SETTINGS_MAX)
        continue;
      if (place == 0)
        list[list_count++] = (base_option)BASE_SECTION("Options of some methods");
      add_option(&options[i], place++);
    }
  }
}

const base_option *train_setting_list(size_t *count)
{
  (void)pthread_once(&list_once, make_list);
  *count = list_count;
  return list;
}

const base_option *train_setting_find(const char *name)
{
  size_t count;
  const base_option *all = train_setting_list(&count);
  return base_option_find(all, count, name);
}

static cdl_status set_values(void *values, const base_option *setting, const char *text)
{
  return train_settings_set(values, setting, text);
}

base_options train_setting_options(train_settings *settings, bool *given)
{
  base_options options = {
      .values = settings, .set = set_values, .given = given, .shows_defaults = true};
  options.item = train_setting_list(&options.count);
  return options;
}

static base_hint hint_of_setting(const char *name)
{
  const char *names[TRAIN_SETTINGS_MAX];
  size_t count = 0;
  for (size_t i = 0; i < list_count; i++)
    if (list[i].kind != BASE_OPTION_SECTION)
      names[count++] = list[i].name;
  return base_hint_for(name, names, count, "");
}

/* ---- Memory ---- */

static void *place(const train_settings *settings, const base_option *setting)
{
  return (char *)(uintptr_t)settings + setting->offset;
}

static bool is_text(const base_option *line)
{
  return line->kind == BASE_OPTION_STRING || line->kind == BASE_OPTION_LIST ||
         line->kind == BASE_OPTION_MAP || line->kind == BASE_OPTION_INTS;
}

/* Replaces borrowed strings of `settings` by copies. */
static cdl_status copy_texts(train_settings *settings)
{
  bool whole = true;
  for (size_t i = 0; i < LINE_COUNT; i++) {
    char **slot = place(settings, &lines[i]);
    if (!is_text(&lines[i]) || *slot == NULL)
      continue;
    *slot = strdup(*slot);
    whole = whole && *slot != NULL;
  }
  if (whole)
    return CDL_STATUS_OK;
  train_settings_release(settings);
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: settings");
}

/* `text` of a setting that has one is borrowed. */
static cdl_status store(train_settings *settings, const base_option *setting,
                        base_option_value value)
{
  void *slot = place(settings, setting);
  if (!of_methods(setting))
    return base_option_store(setting, slot, value);
  *(double *)slot = value.number;
  return CDL_STATUS_OK;
}

static base_option_value default_of(const base_option *setting)
{
  base_option_value value = base_option_number(setting->default_value);
  value.text = setting->default_string;
  return value;
}

cdl_status train_settings_init(train_settings *settings)
{
  size_t count;
  const base_option *all = train_setting_list(&count);
  *settings = (train_settings){0};
  for (size_t i = 0; i < count; i++)
    CDL_TRY(store(settings, &all[i], default_of(&all[i])));
  return copy_texts(settings);
}

void train_settings_release(train_settings *settings)
{
  for (size_t i = 0; i < LINE_COUNT; i++)
    if (is_text(&lines[i])) {
      char **slot = place(settings, &lines[i]);
      free(*slot);
      *slot = NULL;
    }
}

cdl_status train_settings_copy(train_settings *copy, const train_settings *settings)
{
  *copy = *settings;
  return copy_texts(copy);
}

/* ---- From text ---- */

bool train_is_module_pattern(const char *text)
{
  bool quoted = false;
  for (const char *c = text; *c != '\0'; c++) {
    if (*c == '"' && quoted && c[1] == '"')
      c++; /* belongs to the name */
    else if (*c == '"' && (quoted || c == text || c[-1] == ','))
      quoted = !quoted;
    if (!quoted && strchr("*+?()[]|\\^$", *c) != NULL)
      return true;
  }
  return strcmp(text, "all-linear") == 0;
}

bool train_weights_are_balanced(const char *text)
{
  return strcmp(text, "balanced") == 0;
}

static cdl_status set_text(char **slot, const char *value)
{
  char *copy = strdup(value);
  if (copy == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: settings");
  free(*slot);
  *slot = copy;
  return CDL_STATUS_OK;
}

/* Other strings could not be written to run.json and the adapter's config. */
static cdl_status check_utf8(const base_option *setting, const char *text)
{
  const size_t bytes = text != NULL ? strlen(text) : 0,
               valid = base_utf8_well_formed((const uint8_t *)text, bytes);
  return valid == bytes
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_USAGE, "%s: byte %zu of its value, 0x%02x, is not valid UTF-8",
                        base_option_shown(setting->name).text, valid + 1,
                        (unsigned)(unsigned char)text[valid]);
}

cdl_status train_settings_set(train_settings *settings, const base_option *setting,
                              const char *text)
{
  base_option_value value;
  CDL_TRY(check_utf8(setting, text));
  CDL_TRY(base_option_parse(setting, text, &value));
  CDL_TRY(is_text(setting) ? set_text(place(settings, setting), text)
                           : store(settings, setting, value));
  settings->set[setting - list] = true;
  return CDL_STATUS_OK;
}

/* ---- From JSON ---- */

static cdl_status set_from_json(train_settings *settings, const base_option *setting,
                                const char *path, const json_t *json)
{
  char *text;
  CDL_TRY(base_option_from_json(setting, path, json, &text));
  const cdl_status status =
      text != NULL ? cdl_context(train_settings_set(settings, setting, text), "%s", path)
                   : CDL_STATUS_OK;
  free(text);
  return status;
}

cdl_status train_settings_take(train_settings *settings, const char *path, const json_t *object,
                               const bool *given)
{
  cdl_status status = CDL_STATUS_OK;
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)object, key, value)
  {
    const base_option *setting = train_setting_find(key);
    if (strcmp(key, "paper") == 0 || strcmp(key, "comment") == 0)
      continue;
    if (setting == NULL)
      status = cdl_fail(CDL_STATUS_USAGE, "%s: there is no setting '%s'; %s", path, key,
                        hint_of_setting(key).text);
    else if (given == NULL || !given[setting - list])
      status = set_from_json(settings, setting, path, value);
    if (status != CDL_STATUS_OK)
      break;
  }
  return status;
}

cdl_status train_settings_read(train_settings *settings, const char *path, const bool *given)
{
  json_t *object;
  CDL_TRY(base_json_read(path, &object));
  const cdl_status status = train_settings_take(settings, path, object, given);
  json_decref(object);
  return status;
}

/* ---- To JSON ---- */

static json_t *value_json(const train_settings *settings, const base_option *setting)
{
  const void *slot = place(settings, setting);
  return base_option_to_json(setting, of_methods(setting)
                                          ? base_option_number(*(const double *)slot)
                                          : base_option_load(setting, slot));
}

json_t *train_settings_json(const train_settings *settings, bool results_only)
{
  json_t *object = json_object();
  size_t count;
  const base_option *all = train_setting_list(&count);
  const char *method = train_method_name(settings);
  for (size_t i = 0; i < count; i++) {
    const base_option *line = &all[i];
    if (line->kind == BASE_OPTION_SECTION ||
        (results_only && (line->traits & TRAIN_CHANGES_RESULT) == 0) || !method_has(method, line) ||
        !schedule_has(settings->schedule, line))
      continue;
    base_json_set(&object, line->name, value_json(settings, line));
  }
  return object;
}

uint64_t train_settings_seed(const train_settings *settings, int64_t own)
{
  return (uint64_t)(own >= 0 ? own : settings->seed);
}

cdl_status train_eval_every(const train_settings *s, int64_t steps_per_epoch, int64_t *steps)
{
  *steps = steps_per_epoch;
  if (strcmp(s->eval_every, "epoch") == 0 ||
      base_integer_parse(s->eval_every, strlen(s->eval_every), steps))
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_USAGE, "--eval-every is a number of steps, epoch or 0, not '%s'",
                  s->eval_every);
}

/* ---- Options of methods ---- */

const char *train_method_name(const train_settings *settings)
{
  return adapter_methods()[settings->method];
}

double *train_settings_option(train_settings *settings, const char *name)
{
  const base_option *setting = train_setting_find(name);
  return setting != NULL && of_methods(setting) ? place(settings, setting) : NULL;
}

cdl_status train_settings_drop_options(train_settings *s)
{
  size_t count;
  const base_option *all = train_setting_list(&count);
  for (size_t i = 0; i < count; i++) {
    if (all[i].kind == BASE_OPTION_SECTION ||
        (method_has(train_method_name(s), &all[i]) && schedule_has(s->schedule, &all[i])))
      continue;
    const base_option_value value = default_of(&all[i]);
    if (is_text(&all[i]) && value.text != NULL)
      CDL_TRY(set_text(place(s, &all[i]), value.text));
    else {
      if (is_text(&all[i]))
        free(*(char **)place(s, &all[i]));
      CDL_TRY(store(s, &all[i], value));
    }
    s->set[i] = false;
  }
  return CDL_STATUS_OK;
}

cdl_status train_settings_check_options(const train_settings *s)
{
  size_t count;
  const base_option *all = train_setting_list(&count);
  const char *method = train_method_name(s), *reason = adapter_lack_reason(method);
  for (size_t i = 0; i < count; i++) {
    char owners[OWNERS_BYTES];
    if (!s->set[i])
      continue;
    if (!method_has(method, &all[i])) {
      methods_with(&all[i], owners);
      const bool lacks = all[i].traits >> TRAIN_OF_SHIFT != 0 && reason[0] != '\0';
      return cdl_fail(CDL_STATUS_USAGE, "%s goes with --method %s, not with %s%s%s",
                      base_option_shown(all[i].name).text, owners, method, lacks ? ": " : "",
                      lacks ? reason : "");
    }
    if (!schedule_has(s->schedule, &all[i])) {
      schedules_with(&all[i], owners);
      const base_word schedule = base_word_at(TRAIN_SCHEDULE_WORDS, s->schedule);
      return cdl_fail(CDL_STATUS_USAGE, "%s goes with --schedule %s, not with %.*s",
                      base_option_shown(all[i].name).text, owners, (int)schedule.bytes,
                      schedule.text);
    }
  }
  return CDL_STATUS_OK;
}

/* ---- Combinations ---- */

cdl_status train_settings_reports(const train_settings *s, train_reports *reports)
{
  base_list words = {0};
  *reports = (train_reports){false, false};
  if (s->report_to != NULL && strcmp(s->report_to, "none") != 0)
    CDL_TRY(base_list_split("--report-to", s->report_to, &words));
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; i < words.count && status == CDL_STATUS_OK; i++) {
    if (strcmp(words.item[i], "tensorboard") == 0)
      reports->tensorboard = true;
    else if (strcmp(words.item[i], "csv") == 0)
      reports->csv = true;
    else
      status = cdl_fail(CDL_STATUS_USAGE,
                        "--report-to takes none, tensorboard, csv or tensorboard,csv, not '%s'",
                        words.item[i]);
  }
  base_list_release(&words);
  return status;
}

static cdl_status check_reports(const train_settings *s)
{
  train_reports reports;
  CDL_TRY(train_settings_reports(s, &reports));
  return s->logging_dir == NULL || reports.tensorboard
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_USAGE, "--logging-dir goes with --report-to tensorboard");
}

static cdl_status check_data(const train_settings *s)
{
  if ((s->task != NULL) == (s->train != NULL))
    return cdl_fail(CDL_STATUS_USAGE, "give --task with --data, or --train with your own file");
  if (s->task != NULL && s->data == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "--task wants --data: the folder that holds %s/train.tsv",
                    s->task);
  if (s->train != NULL && (s->text_columns == NULL || s->label_column == NULL))
    return cdl_fail(CDL_STATUS_USAGE, "--train wants --text-columns and --label-column");
  if (s->train != NULL && s->data != NULL)
    return cdl_fail(CDL_STATUS_USAGE, "--data goes with --task, not with --train");
  if (s->task != NULL && (s->dev != NULL || s->text_columns != NULL || s->label_column != NULL ||
                          s->labels != NULL || s->regression || s->multi_label))
    return cdl_fail(CDL_STATUS_USAGE,
                    "--dev, --text-columns, --label-column, --labels, --regression and "
                    "--multi-label go with --train, not with --task");
  if (s->regression && s->multi_label)
    return cdl_fail(CDL_STATUS_USAGE, "give --regression or --multi-label, not both");
  if (s->label_separator != NULL && !s->multi_label)
    return cdl_fail(CDL_STATUS_USAGE, "--label-separator goes with --multi-label");
  if (s->skip_label != NULL && (s->task != NULL || s->regression))
    return cdl_fail(CDL_STATUS_USAGE, "--skip-label goes with classes of --train, not with %s",
                    s->task != NULL ? "--task" : "--regression");
  if (s->regression && s->labels != NULL)
    return cdl_fail(CDL_STATUS_USAGE, "--labels goes with classes, not with --regression");
  return CDL_STATUS_OK;
}

cdl_status train_settings_check(const train_settings *s)
{
  if (s->resume && s->output == NULL)
    return cdl_fail(CDL_STATUS_USAGE,
                    "give --output: the folder of the run that --resume goes on with");
  if (s->model == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "give --model: the Hugging Face folder of an encoder");
  if (s->output == NULL && !s->dry_run)
    return cdl_fail(CDL_STATUS_USAGE, "give --output: the folder for the run's files");
  CDL_TRY(check_data(s));
  CDL_TRY(check_reports(s));
  if (s->epochs < 1 && s->max_steps < 1)
    return cdl_fail(CDL_STATUS_USAGE, "--epochs is at least 1");
  int64_t every;
  cdl_metric metric;
  CDL_TRY(train_eval_every(s, 1, &every));
  if (s->metric != NULL)
    CDL_TRY(cdl_metric_find(s->metric, &metric));
  if (s->cache_type == TRAIN_CACHE_BF16 && s->cache_frozen == TRAIN_CACHE_OFF)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--cache-type bf16 rounds what --cache-frozen keeps; it does not go with off");
  if (s->compat == TRAIN_COMPAT_REFERENCE && adapter_is_whole_model(train_method_name(s)))
    return cdl_fail(CDL_STATUS_USAGE,
                    "--compat reference goes with adapters, not with --method full");
  return CDL_STATUS_OK;
}
