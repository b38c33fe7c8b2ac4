#include "train/settings.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/nearest.h"
#include "base/number.h"
#include "base/utf8.h"
#include "model/adapter/config.h"

/* "condlora|lora|…" */
#define METHOD(name) "|" #name
static const char listed_methods[] =
#include "model/adapter/methods.def"
    ;
#undef METHOD
#define METHOD_CHOICES (&listed_methods[1])

static const train_setting lines[] = {
#define GROUP(title) {.kind = TRAIN_KIND_GROUP, .help = title},
#define SETTING(kind_, field_, initial, placeholder_, changes, help_) \
  {.kind = TRAIN_KIND_##kind_,                                        \
   .field = #field_,                                                  \
   .placeholder = placeholder_,                                       \
   .help = help_,                                                     \
   .changes_result = changes,                                         \
   .offset = offsetof(train_settings, field_)},
#include "train/settings.def"
#undef SETTING
#undef GROUP
};
enum { LINE_COUNT = sizeof lines / sizeof lines[0], HELP_BYTES = 320 };

/* ---- The list ---- */

static train_setting list[TRAIN_SETTINGS_MAX];
static size_t list_count;
static char option_help[TRAIN_METHOD_OPTIONS_MAX][HELP_BYTES];
static pthread_once_t list_once = PTHREAD_ONCE_INIT;

static bool method_has(const char *method, const char *option)
{
  size_t count;
  const adapter_option *options = adapter_options(method, &count);
  for (size_t i = 0; i < count; i++)
    if (strcmp(options[i].name, option) == 0)
      return true;
  return false;
}

/* "condlora, lora" */
static void methods_with(const char *option, char *text, size_t bytes)
{
  text[0] = '\0';
  for (const char *const *m = adapter_methods(); *m != NULL; m++) {
    const size_t used = strlen(text);
    if (method_has(*m, option))
      snprintf(text + used, bytes - used, "%s%s", used > 0 ? ", " : "", *m);
  }
}

static const char *placeholder_of(const adapter_option *o)
{
  return o->kind == ADAPTER_OPTION_INT      ? "N"
         : o->kind == ADAPTER_OPTION_FLOAT  ? "X"
         : o->kind == ADAPTER_OPTION_CHOICE ? o->choices
                                            : NULL;
}

static void add_option(const adapter_option *o, size_t place)
{
  static const train_setting_kind kinds[] = {[ADAPTER_OPTION_INT] = TRAIN_KIND_WHOLE,
                                             [ADAPTER_OPTION_FLOAT] = TRAIN_KIND_REAL,
                                             [ADAPTER_OPTION_FLAG] = TRAIN_KIND_FLAG,
                                             [ADAPTER_OPTION_CHOICE] = TRAIN_KIND_CHOICE};
  char methods[128];
  methods_with(o->name, methods, sizeof methods);
  snprintf(option_help[place], HELP_BYTES, "%s: %s", methods, o->help);
  list[list_count++] = (train_setting){.kind = kinds[o->kind],
                                       .field = o->name,
                                       .placeholder = placeholder_of(o),
                                       .help = option_help[place],
                                       .changes_result = true,
                                       .offset = offsetof(train_settings, options) +
                                                 place * sizeof(train_method_option),
                                       .option = o};
}

static void make_list(void)
{
  size_t place = 0;
  memcpy(list, lines, sizeof lines);
  list_count = LINE_COUNT;
  for (const char *const *m = adapter_methods(); *m != NULL; m++) {
    size_t count;
    const adapter_option *options = adapter_options(*m, &count);
    for (size_t i = 0; i < count; i++) {
      bool known = false;
      for (size_t j = 0; j < list_count && !known; j++)
        known = list[j].option != NULL && strcmp(list[j].field, options[i].name) == 0;
      if (known || place == TRAIN_METHOD_OPTIONS_MAX || list_count + 2 > TRAIN_SETTINGS_MAX)
        continue;
      if (place == 0)
        list[list_count++] =
            (train_setting){.kind = TRAIN_KIND_GROUP, .help = "Options of some methods"};
      add_option(&options[i], place++);
    }
  }
}

const train_setting *train_setting_list(size_t *count)
{
  (void)pthread_once(&list_once, make_list);
  *count = list_count;
  return list;
}

/* '-' and '_' are the same in names. */
static bool same_name(const char *a, const char *b)
{
  for (; *a != '\0' && *b != '\0'; a++, b++)
    if (*a != *b && !((*a == '-' || *a == '_') && (*b == '-' || *b == '_')))
      return false;
  return *a == *b;
}

const train_setting *train_setting_find(const char *name)
{
  size_t count;
  const train_setting *all = train_setting_list(&count);
  for (size_t i = 0; i < count; i++)
    if (all[i].kind != TRAIN_KIND_GROUP && same_name(all[i].field, name))
      return &all[i];
  return NULL;
}

static base_hint hint_of_setting(const char *name)
{
  const char *names[TRAIN_SETTINGS_MAX];
  size_t count = 0;
  for (size_t i = 0; i < list_count; i++)
    if (list[i].kind != TRAIN_KIND_GROUP)
      names[count++] = list[i].field;
  return base_hint_for(name, names, count, "");
}

static void *place(const train_settings *settings, const train_setting *setting)
{
  return (char *)(uintptr_t)settings + setting->offset;
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

static cdl_status init_TEXT(char **slot, const char *value)
{
  *slot = NULL;
  return value != NULL ? set_text(slot, value) : CDL_STATUS_OK;
}

cdl_status train_settings_init(train_settings *settings)
{
  *settings = (train_settings){0};
  cdl_status status = CDL_STATUS_OK;
#define START_TEXT(field, initial) \
  status = status == CDL_STATUS_OK ? init_TEXT(&settings->field, initial) : status;
#define START_LIST(field, initial) START_TEXT(field, initial)
#define START_MAP(field, initial) START_TEXT(field, initial)
#define START_WHOLES(field, initial) START_TEXT(field, initial)
#define START_CHOICE(field, initial) START_TEXT(field, initial)
#define START_WHOLE(field, initial) settings->field = initial;
#define START_REAL(field, initial) settings->field = initial;
#define START_FLAG(field, initial) settings->field = initial;
#define GROUP(title)
#define SETTING(kind, field, initial, placeholder, changes, help) START_##kind(field, initial)
#include "train/settings.def"
#undef SETTING
#undef GROUP
  size_t count;
  const train_setting *all = train_setting_list(&count);
  for (size_t i = 0; i < count; i++)
    if (all[i].option != NULL)
      ((train_method_option *)place(settings, &all[i]))->value = all[i].option->fallback;
  if (status != CDL_STATUS_OK)
    train_settings_release(settings);
  return status;
}

static bool is_text(const train_setting *line)
{
  return line->kind == TRAIN_KIND_TEXT || line->kind == TRAIN_KIND_LIST ||
         line->kind == TRAIN_KIND_CHOICE || line->kind == TRAIN_KIND_MAP ||
         line->kind == TRAIN_KIND_WHOLES;
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
  bool whole = true;
  *copy = *settings;
  for (size_t i = 0; i < LINE_COUNT; i++) {
    char **slot = place(copy, &lines[i]);
    if (!is_text(&lines[i]) || *slot == NULL)
      continue;
    *slot = strdup(*slot);
    whole = whole && *slot != NULL;
  }
  if (whole)
    return CDL_STATUS_OK;
  train_settings_release(copy);
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: settings");
}

/* ---- From text ---- */

/* "--batch-size" for messages. */
typedef struct {
  char text[48];
} option_name;

static option_name named(const train_setting *setting)
{
  option_name name;
  snprintf(name.text, sizeof name.text, "--%s", setting->field);
  for (char *c = name.text; *c != '\0'; c++)
    if (*c == '_')
      *c = '-';
  return name;
}

/* "no-bias" and "no_bias" are the same choice. */
static bool is_choice(const char *choices, const char *value)
{
  for (const char *c = choices;; c++) {
    const char *end = strchrnul(c, '|');
    char choice[64];
    snprintf(choice, sizeof choice, "%.*s", (int)(end - c), c);
    if (same_name(choice, value))
      return true;
    if (*end == '\0')
      return false;
    c = end;
  }
}

static cdl_status parse_whole(const train_setting *setting, const char *value, int64_t *slot)
{
  char *end;
  errno = 0;
  const long long number = strtoll(value, &end, 10);
  if (end == value || *end != '\0' || errno != 0 || number < 0 ||
      (value[0] < '0' || value[0] > '9'))
    return cdl_fail(CDL_STATUS_USAGE, "%s wants a whole number from 0, not '%s'",
                    named(setting).text, value);
  *slot = number;
  return CDL_STATUS_OK;
}

static cdl_status set_wholes(const train_setting *setting, const char *value, char **slot)
{
  enum { DIGITS_MOST = 9 };
  for (const char *c = value;; c++) {
    const size_t digits = strspn(c, "0123456789");
    if (digits == 0 || digits > DIGITS_MOST || (c[digits] != '\0' && c[digits] != ','))
      return cdl_fail(CDL_STATUS_USAGE, "%s wants whole numbers with commas, not '%s'",
                      named(setting).text, value);
    c += digits;
    if (*c == '\0')
      return set_text(slot, value);
  }
}

bool train_is_module_pattern(const char *text)
{
  bool quoted = false;
  for (const char *c = text; *c != '\0'; c++) {
    if (*c == '"' && quoted && c[1] == '"')
      c++; /* one of the name's */
    else if (*c == '"' && (quoted || c == text || c[-1] == ','))
      quoted = !quoted;
    if (!quoted && strchr("*+?()[]|\\^$", *c) != NULL)
      return true;
  }
  return strcmp(text, "all-linear") == 0;
}

/* Whether a list's setting has the other form that its placeholder allows. */
static bool is_no_list(const train_setting *setting, const char *text)
{
  return (strstr(setting->placeholder, "|REGEX") != NULL && train_is_module_pattern(text)) ||
         (strncmp(setting->placeholder, "balanced|", 9) == 0 && strcmp(text, "balanced") == 0);
}

static cdl_status set_list(const train_setting *setting, const char *value, char **slot)
{
  base_list names = {0};
  if (!is_no_list(setting, value))
    CDL_TRY(base_list_split(named(setting).text, value, &names));
  base_list_release(&names);
  return set_text(slot, value);
}

/* `value` fits the option's kind. */
static cdl_status set_option(const train_setting *setting, const char *value,
                             train_method_option *slot)
{
  const adapter_option *o = setting->option;
  int64_t whole = 0;
  double number = 0;
  switch (o->kind) {
  case ADAPTER_OPTION_FLAG:
    number = value == NULL || strcmp(value, "true") == 0;
    break;
  case ADAPTER_OPTION_CHOICE:
    number = adapter_choice(o, value);
    break;
  case ADAPTER_OPTION_INT:
    CDL_TRY(parse_whole(setting, value, &whole));
    number = (double)whole;
    break;
  case ADAPTER_OPTION_FLOAT:
    if (!base_number_parse(value, strlen(value), &number))
      return cdl_fail(CDL_STATUS_USAGE, "%s wants a number, not '%s'", named(setting).text, value);
    break;
  }
  const bool ranged = o->kind == ADAPTER_OPTION_INT || o->kind == ADAPTER_OPTION_FLOAT;
  if (ranged && !(number >= o->low && number <= o->high))
    return cdl_fail(CDL_STATUS_USAGE, "%s is %g to %g, not %s", named(setting).text, o->low,
                    o->high, value);
  *slot = (train_method_option){number, true};
  return CDL_STATUS_OK;
}

cdl_status train_settings_set(train_settings *settings, const train_setting *setting,
                              const char *value)
{
  void *slot = place(settings, setting);
  if (setting->kind == TRAIN_KIND_FLAG) {
    if (value != NULL && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
      return cdl_fail(CDL_STATUS_USAGE, "%s is true or false, not '%s'", named(setting).text,
                      value);
    if (setting->option != NULL)
      return set_option(setting, value, slot);
    *(bool *)slot = value == NULL || strcmp(value, "true") == 0;
    return CDL_STATUS_OK;
  }
  if (value == NULL || (value[0] == '\0' && setting->kind != TRAIN_KIND_TEXT))
    return cdl_fail(CDL_STATUS_USAGE, "%s wants a value: %s", named(setting).text,
                    setting->placeholder);
  const size_t bytes = strlen(value), valid = base_utf8_well_formed((const uint8_t *)value, bytes);
  if (valid < bytes) /* run.json and the adapter's config could not hold it */
    return cdl_fail(CDL_STATUS_USAGE, "%s: byte %zu of its value, 0x%02x, is not valid UTF-8",
                    named(setting).text, valid + 1, (unsigned)(unsigned char)value[valid]);
  switch (setting->kind) {
  case TRAIN_KIND_CHOICE:
    if (!is_choice(setting->placeholder, value))
      return cdl_fail(CDL_STATUS_USAGE, "%s is one of %s, not '%s'", named(setting).text,
                      setting->placeholder, value);
    return setting->option != NULL ? set_option(setting, value, slot) : set_text(slot, value);
  case TRAIN_KIND_TEXT:
  case TRAIN_KIND_MAP:
    return set_text(slot, value);
  case TRAIN_KIND_LIST:
    return set_list(setting, value, slot);
  case TRAIN_KIND_WHOLES:
    return set_wholes(setting, value, slot);
  case TRAIN_KIND_WHOLE:
    return setting->option != NULL ? set_option(setting, value, slot)
                                   : parse_whole(setting, value, slot);
  case TRAIN_KIND_REAL:
    if (setting->option != NULL)
      return set_option(setting, value, slot);
    if (!base_number_parse(value, strlen(value), slot))
      return cdl_fail(CDL_STATUS_USAGE, "%s wants a number, not '%s'", named(setting).text, value);
    return CDL_STATUS_OK;
  case TRAIN_KIND_GROUP:
  case TRAIN_KIND_FLAG:
    break;
  }
  return cdl_fail(CDL_STATUS_ARGUMENT, "a group is no setting");
}

/* ---- From JSON ---- */

/* ["a", "b, c"] is a,"b, c" and [0, 2] is 0,2: each element is one name or number. */
static cdl_status join_items(const train_setting *setting, const char *path, const json_t *array,
                             char **joined)
{
  const bool wholes = setting->kind == TRAIN_KIND_WHOLES,
             numbers = wholes || strcmp(setting->field, "class_weights") == 0;
  const size_t count = json_array_size(array);
  base_list items = {.item = calloc(count + 1, sizeof *items.item)};
  cdl_status status =
      items.item != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  for (size_t i = 0; status == CDL_STATUS_OK && i < count; i++) {
    const json_t *item = json_array_get(array, i);
    if (wholes ? !json_is_integer(item)
               : !json_is_string(item) && !(numbers && json_is_number(item)))
      status = cdl_fail(CDL_STATUS_USAGE, "%s: %s wants %s", path, setting->field,
                        wholes    ? "whole numbers"
                        : numbers ? "numbers"
                                  : "strings");
    else if ((items.item[i] = json_is_string(item) ? strdup(json_string_value(item))
                                                   : base_json_line(item)) == NULL)
      status = cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
    else
      items.count++;
  }
  if (status == CDL_STATUS_OK &&
      (*joined = base_list_join((const char *const *)items.item, items.count)) == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  base_list_release(&items);
  return status;
}

static cdl_status set_from_json(train_settings *settings, const train_setting *setting,
                                const char *path, const json_t *value)
{
  char number[40];
  const char *text = NULL;
  char *joined = NULL;
  if (json_is_null(value))
    return CDL_STATUS_OK;
  if (json_is_array(value) &&
      (setting->kind == TRAIN_KIND_LIST || setting->kind == TRAIN_KIND_WHOLES)) {
    CDL_TRY(join_items(setting, path, value, &joined));
    text = joined;
  } else if (json_is_object(value) && setting->kind == TRAIN_KIND_MAP) {
    joined = base_json_line(value);
    if (joined == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
    text = joined;
  } else if (json_is_string(value))
    text = json_string_value(value);
  else if (json_is_boolean(value) && setting->kind == TRAIN_KIND_FLAG)
    text = json_is_true(value) ? "true" : "false";
  else if (json_is_integer(value) && setting->kind != TRAIN_KIND_FLAG) {
    snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
    text = number;
  } else if (json_is_real(value) && setting->kind == TRAIN_KIND_REAL) {
    if (setting->option != NULL) {
      snprintf(number, sizeof number, "%.17g", json_real_value(value));
      return cdl_context(train_settings_set(settings, setting, number), "%s", path);
    }
    *(double *)place(settings, setting) = json_real_value(value);
    return CDL_STATUS_OK;
  } else
    return cdl_fail(CDL_STATUS_USAGE, "%s: %s wants %s", path, setting->field,
                    setting->kind == TRAIN_KIND_FLAG ? "true or false" : setting->placeholder);
  const cdl_status status = cdl_context(train_settings_set(settings, setting, text), "%s", path);
  free(joined);
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
    const train_setting *setting = train_setting_find(key);
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

/* The text where it has but names and commas between them; an array where a name has one itself, or
 * quotes, so that nobody needs to know how these are written here. */
static json_t *list_json(const train_setting *setting, const char *text)
{
  base_list names;
  if (text == NULL)
    return json_null();
  const cdl_status status =
      is_no_list(setting, text) ? CDL_STATUS_USAGE : base_list_split("", text, &names);
  if (status != CDL_STATUS_OK)
    return status == CDL_STATUS_MEMORY ? NULL : base_json_string_of(text);
  bool plain = true; /* as the text is then */
  json_t *array = json_array();
  for (size_t i = 0; i < names.count; i++) {
    plain = plain && !base_list_needs_quotes(names.item[i]);
    base_json_append(&array, json_string(names.item[i]));
  }
  base_list_release(&names);
  if (!plain)
    return array;
  json_decref(array);
  return base_json_string_of(text);
}

static json_t *value_json(const train_settings *settings, const train_setting *setting)
{
  const void *slot = place(settings, setting);
  if (setting->option != NULL)
    return adapter_option_json(setting->option, ((const train_method_option *)slot)->value);
  switch (setting->kind) {
  case TRAIN_KIND_LIST:
    return list_json(setting, *(char *const *)slot);
  case TRAIN_KIND_TEXT:
  case TRAIN_KIND_MAP:
  case TRAIN_KIND_WHOLES:
  case TRAIN_KIND_CHOICE:
    return base_json_string_of(*(char *const *)slot);
  case TRAIN_KIND_WHOLE: /* below 0: not set, which no file needs to know how it is kept */
    return *(const int64_t *)slot < 0 ? json_null() : json_integer(*(const int64_t *)slot);
  case TRAIN_KIND_REAL:
    return *(const double *)slot < 0 ? json_null() : json_real(*(const double *)slot);
  case TRAIN_KIND_FLAG:
    return json_boolean(*(const bool *)slot);
  case TRAIN_KIND_GROUP:
    break;
  }
  return NULL;
}

json_t *train_settings_json(const train_settings *settings, bool results_only)
{
  json_t *object = json_object();
  size_t count;
  const train_setting *all = train_setting_list(&count);
  for (size_t i = 0; i < count; i++) {
    const train_setting *line = &all[i];
    if (line->kind == TRAIN_KIND_GROUP || (results_only && !line->changes_result) ||
        (line->option != NULL && !method_has(settings->method, line->field)))
      continue;
    base_json_set(&object, line->field, value_json(settings, line));
  }
  return object;
}

uint64_t train_settings_seed(const train_settings *settings, int64_t own)
{
  return (uint64_t)(own >= 0 ? own : settings->seed);
}

/* ---- Options of methods ---- */

train_method_option *train_settings_option(train_settings *settings, const char *name)
{
  const train_setting *setting = train_setting_find(name);
  return setting != NULL && setting->option != NULL ? place(settings, setting) : NULL;
}

void train_settings_drop_options(train_settings *s)
{
  size_t count;
  const train_setting *all = train_setting_list(&count);
  for (size_t i = 0; i < count; i++)
    if (all[i].option != NULL && !method_has(s->method, all[i].field))
      *(train_method_option *)place(s, &all[i]) =
          (train_method_option){.value = all[i].option->fallback};
}

cdl_status train_settings_check_options(const train_settings *s)
{
  size_t count;
  const train_setting *all = train_setting_list(&count);
  for (size_t i = 0; i < count; i++) {
    if (all[i].option == NULL || method_has(s->method, all[i].field) ||
        !((const train_method_option *)place(s, &all[i]))->set)
      continue;
    char methods[128];
    methods_with(all[i].field, methods, sizeof methods);
    return cdl_fail(CDL_STATUS_USAGE, "%s goes with --method %s, not with %s", named(&all[i]).text,
                    methods, s->method);
  }
  return CDL_STATUS_OK;
}

/* ---- What goes together ---- */

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
                          s->labels != NULL || s->regression))
    return cdl_fail(CDL_STATUS_USAGE,
                    "--dev, --text-columns, --label-column, --labels and --regression go "
                    "with --train, not with --task");
  if (s->skip_label != NULL && (s->task != NULL || s->regression))
    return cdl_fail(CDL_STATUS_USAGE, "--skip-label goes with classes of --train, not with %s",
                    s->task != NULL ? "--task" : "--regression");
  if (s->regression && s->labels != NULL)
    return cdl_fail(CDL_STATUS_USAGE, "--labels goes with classes, not with --regression");
  if (!(s->dev_fraction >= 0 && s->dev_fraction < 1))
    return cdl_fail(CDL_STATUS_USAGE, "--dev-fraction is at least 0 and below 1, not %g",
                    s->dev_fraction);
  return CDL_STATUS_OK;
}

static cdl_status check_range(const char *option, double value, double least, double below)
{
  if (!(value >= least && value < below))
    return cdl_fail(CDL_STATUS_USAGE, "%s is at least %g and below %g, not %g", option, least,
                    below, value);
  return CDL_STATUS_OK;
}

static cdl_status check_rates(const train_settings *s)
{
  CDL_TRY(check_range("--lr", s->lr, 0, 1e6));
  if (!(s->warmup_ratio >= 0 && s->warmup_ratio <= 1))
    return cdl_fail(CDL_STATUS_USAGE, "--warmup-ratio is 0 to 1, not %g", s->warmup_ratio);
  CDL_TRY(check_range("--num-cycles", s->num_cycles, 0, 1e9));
  CDL_TRY(check_range("--power", s->power, 0, 1e9));
  CDL_TRY(check_range("--end-lr", s->end_lr, 0, 1e6));
  CDL_TRY(check_range("--weight-decay", s->weight_decay, 0, 1e6));
  CDL_TRY(check_range("--max-grad-norm", s->max_grad_norm, 0, 1e30));
  CDL_TRY(check_range("--label-smoothing", s->label_smoothing, 0, 1));
  if (s->dropout != -1)
    CDL_TRY(check_range("--dropout", s->dropout, 0, 1));
  /* What an adapter's folder can hold. */
  CDL_TRY(check_range("--adapter-dropout", s->adapter_dropout, 0, 0.999999));
  if (!(s->alpha > 0 && s->alpha <= 1e9))
    return cdl_fail(CDL_STATUS_USAGE, "--alpha is above 0 and at most 1e9, not %g", s->alpha);
  if (!(s->lora_plus_ratio > 0 && s->lora_plus_ratio <= 1e6))
    return cdl_fail(CDL_STATUS_USAGE, "--lora-plus-ratio is above 0 and at most 1e6, not %g",
                    s->lora_plus_ratio);
  return CDL_STATUS_OK;
}

/* Numbers whose products must stay whole numbers. */
static cdl_status check_sizes(const train_settings *s)
{
  const struct {
    const char *option;
    int64_t value, most;
  } sizes[] = {{"--rank", s->rank, 65536},
               {"--epochs", s->epochs, 1000000},
               {"--max-steps", s->max_steps, INT32_MAX},
               {"--threads", s->threads, 4096}};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    if (sizes[i].value > sizes[i].most)
      return cdl_fail(CDL_STATUS_USAGE, "%s is at most %lld, not %lld", sizes[i].option,
                      (long long)sizes[i].most, (long long)sizes[i].value);
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
  const int64_t largest_batch = 65536;
  if (s->batch_size < 1 || s->batch_size > largest_batch || s->accumulate < 1 ||
      s->accumulate > largest_batch)
    return cdl_fail(CDL_STATUS_USAGE, "--batch-size and --accumulate are 1 to %lld",
                    (long long)largest_batch);
  if (s->epochs < 1 && s->max_steps < 1)
    return cdl_fail(CDL_STATUS_USAGE, "--epochs is at least 1");
  CDL_TRY(check_sizes(s));
  CDL_TRY(check_rates(s));
  if (strcmp(s->compat, "reference") == 0 && strcmp(s->method, "full") == 0)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--compat reference goes with adapters, not with --method full");
  return CDL_STATUS_OK;
}
