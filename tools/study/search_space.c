#include "tools/study/search_space.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/nearest.h"
#include "base/number.h"

static const char *const kind_names[] = {[STUDY_SEARCH_LOG] = "log",
                                         [STUDY_SEARCH_UNIFORM] = "uniform",
                                         [STUDY_SEARCH_INT] = "int",
                                         [STUDY_SEARCH_CHOICE] = "choice"};
enum { KIND_COUNT = sizeof kind_names / sizeof kind_names[0], NUMBER_BYTES = 40 };

/* ---- Which settings ---- */

/* Returns whether all trials share a setting: it is opened once, or does not change results. */
static bool is_shared(const base_option *setting)
{
  static const char *const fields[] = {
      "model",           "task",       "data",        "train",        "dev",
      "text_columns",    "labels",     "regression",  "multi_label",  "metric",
      "label_separator", "skip_label", "precision",   "label_column", "max_length",
      "dev_fraction",    "compat",     "init_adapter"};
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    if (strcmp(setting->name, fields[i]) == 0)
      return true;
  return (setting->traits & TRAIN_CHANGES_RESULT) == 0;
}

static cdl_status find_setting(const char *name, const base_option **found)
{
  size_t count, names_count = 0;
  const base_option *list = train_setting_list(&count);
  *found = train_setting_find(name);
  if (*found == NULL) {
    const char *names[TRAIN_SETTINGS_MAX];
    for (size_t i = 0; i < count; i++)
      if (list[i].kind != BASE_OPTION_SECTION && !is_shared(&list[i]))
        names[names_count++] = list[i].name;
    return cdl_fail(CDL_STATUS_USAGE, "--space: there is no setting %s; %s", name,
                    base_hint_for(name, names, names_count, "").text);
  }
  if (is_shared(*found))
    return cdl_fail(CDL_STATUS_USAGE,
                    "--space: %s is not searched: data, base model, backend and files are one for "
                    "all trials",
                    name);
  return CDL_STATUS_OK;
}

static study_search_dimension *find_dimension(const study_search_space *space,
                                              const base_option *setting)
{
  for (size_t i = 0; i < space->count; i++)
    if (space->item[i].setting == setting)
      return &space->item[i];
  return NULL;
}

/* ---- Reading ---- */

static void release_dimension(study_search_dimension *d)
{
  for (size_t i = 0; i < d->choice_count; i++)
    free(d->choices[i]);
  free(d->choices);
}

void study_search_space_release(study_search_space *space)
{
  for (size_t i = 0; i < space->count; i++)
    release_dimension(&space->item[i]);
  free(space->item);
  *space = (study_search_space){0};
}

/* Takes ownership of `dimension`, also on failure. */
static cdl_status insert(study_search_space *space, study_search_dimension *dimension)
{
  study_search_dimension *grown = realloc(space->item, (space->count + 1) * sizeof *grown);
  if (grown == NULL) {
    release_dimension(dimension);
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: --space");
  }
  size_t at = space->count++;
  space->item = grown;
  for (; at > 0 && strcmp(grown[at - 1].setting->name, dimension->setting->name) > 0; at--)
    grown[at] = grown[at - 1];
  grown[at] = *dimension;
  return CDL_STATUS_OK;
}

/* Reads "LOW:HIGH". */
static cdl_status read_bounds(study_search_dimension *d, const char *text)
{
  const char *field = d->setting->name, *kind = kind_names[d->kind];
  const char *colon = strchr(text, ':');
  if (colon == NULL || !base_number_parse(text, (size_t)(colon - text), &d->low) ||
      !base_number_parse(colon + 1, strlen(colon + 1), &d->high) || !isfinite(d->low) ||
      !isfinite(d->high))
    return cdl_fail(CDL_STATUS_USAGE, "--space %s: %s needs LOW:HIGH, two numbers, not '%s'", field,
                    kind, text);
  if (!(d->low < d->high))
    return cdl_fail(CDL_STATUS_USAGE, "--space %s: %g is not below %g", field, d->low, d->high);
  if (d->kind == STUDY_SEARCH_LOG && d->low <= 0)
    return cdl_fail(CDL_STATUS_USAGE, "--space %s: log needs bounds above 0, not %g", field,
                    d->low);
  const double most = 1e15; /* integers below this are exact in a double */
  if (d->kind == STUDY_SEARCH_INT && (d->low != floor(d->low) || d->high != floor(d->high) ||
                                      fabs(d->low) > most || fabs(d->high) > most))
    return cdl_fail(CDL_STATUS_USAGE, "--space %s: int needs whole numbers, not %g and %g", field,
                    d->low, d->high);
  return CDL_STATUS_OK;
}

/* Takes ownership of `choices`. */
static cdl_status take_choices(study_search_dimension *d, base_list choices)
{
  d->choices = choices.item;
  d->choice_count = choices.count;
  for (size_t i = 0; i < d->choice_count; i++)
    for (size_t j = 0; j < i; j++)
      if (strcmp(d->choices[i], d->choices[j]) == 0)
        return cdl_fail(CDL_STATUS_USAGE, "--space %s: the choice %s is there twice",
                        d->setting->name, d->choices[i]);
  return CDL_STATUS_OK;
}

static cdl_status check_kind(const study_search_dimension *d)
{
  const base_option_kind kind = d->setting->kind;
  const bool fits = d->kind == STUDY_SEARCH_CHOICE || kind == BASE_OPTION_FLOAT ||
                    (kind == BASE_OPTION_INT && d->kind == STUDY_SEARCH_INT);
  return fits ? CDL_STATUS_OK
              : cdl_fail(CDL_STATUS_USAGE, "--space %s: %s is for %s; this setting needs %s",
                         d->setting->name, kind_names[d->kind],
                         d->kind == STUDY_SEARCH_INT ? "numbers" : "real numbers",
                         kind == BASE_OPTION_INT ? "int or choice" : "choice");
}

/* Reads "log:5e-5:5e-3" or "choice:4,8". */
static cdl_status read_dimension(study_search_dimension *d, const char *text)
{
  const char *colon = strchrnul(text, ':');
  int kind = 0;
  while (kind < KIND_COUNT && (strlen(kind_names[kind]) != (size_t)(colon - text) ||
                               strncmp(kind_names[kind], text, (size_t)(colon - text)) != 0))
    kind++;
  if (kind == KIND_COUNT || *colon == '\0')
    return cdl_fail(CDL_STATUS_USAGE,
                    "--space %s needs log:LOW:HIGH, uniform:LOW:HIGH, int:LOW:HIGH or "
                    "choice:A,B, not '%s'",
                    d->setting->name, text);
  d->kind = (study_search_kind)kind;
  CDL_TRY(check_kind(d));
  if (d->kind != STUDY_SEARCH_CHOICE)
    return read_bounds(d, colon + 1);
  base_list choices;
  CDL_TRY(base_list_split("--space", colon + 1, &choices));
  return take_choices(d, choices);
}

cdl_status study_search_space_add(study_search_space *space, const char *text)
{
  const char *equals = strchr(text, '=');
  char name[64];
  if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof name)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--space needs SETTING=KIND:…, for example lr=log:5e-5:5e-3, not '%s'", text);
  snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
  study_search_dimension d = {0};
  CDL_TRY(find_setting(name, &d.setting));
  if (find_dimension(space, d.setting) != NULL)
    return cdl_fail(CDL_STATUS_USAGE, "--space %s is given twice", name);
  const cdl_status status = read_dimension(&d, equals + 1);
  if (status == CDL_STATUS_OK)
    return insert(space, &d);
  release_dimension(&d);
  return status;
}

/* Joins an array of names into the text of a list; NULL for another array, or when memory is
 * out. */
static char *join_names(const json_t *array)
{
  const size_t count = json_array_size(array);
  const char **names = calloc(count + 1, sizeof *names);
  bool whole = names != NULL && count > 0;
  for (size_t i = 0; whole && i < count; i++)
    whole = (names[i] = json_string_value(json_array_get(array, i))) != NULL;
  char *text = whole ? base_list_join(names, count) : NULL;
  free(names);
  return text;
}

/* Reads an array of choices. Numbers and booleans become the texts of a command line, and arrays of
 * names become lists. */
static cdl_status read_array(study_search_dimension *d, const char *path, const json_t *array)
{
  base_list choices = {.item = calloc(json_array_size(array) + 1, sizeof *choices.item)};
  if (choices.item == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  d->kind = STUDY_SEARCH_CHOICE;
  for (size_t i = 0; i < json_array_size(array); i++) {
    const json_t *item = json_array_get(array, i);
    char *text = NULL;
    if (json_is_string(item))
      text = strdup(json_string_value(item));
    else if (json_is_array(item) && d->setting->kind == BASE_OPTION_LIST)
      text = join_names(item);
    else if (json_is_number(item) || json_is_boolean(item))
      text = base_json_line(item);
    else {
      base_list_release(&choices);
      return cdl_fail(
          CDL_STATUS_USAGE,
          "%s: space: %s needs texts, numbers or booleans in its array, or arrays of names", path,
          d->setting->name);
    }
    if (text == NULL) {
      base_list_release(&choices);
      return json_is_array(item)
                 ? cdl_fail(CDL_STATUS_USAGE, "%s: space: %s needs names in its arrays", path,
                            d->setting->name)
                 : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
    }
    choices.item[choices.count++] = text;
  }
  if (choices.count == 0) {
    base_list_release(&choices);
    return cdl_fail(CDL_STATUS_USAGE, "%s: space: %s has no choices", path, d->setting->name);
  }
  return take_choices(d, choices);
}

cdl_status study_search_space_read(study_search_space *space, const char *path,
                                   const json_t *object)
{
  const char *name;
  json_t *value;
  if (!json_is_object(object))
    return cdl_fail(CDL_STATUS_USAGE, "%s: space needs an object: {\"lr\": \"log:5e-5:5e-3\"}",
                    path);
  json_object_foreach((json_t *)(uintptr_t)object, name, value)
  {
    study_search_dimension d = {0};
    CDL_TRY(cdl_context(find_setting(name, &d.setting), "%s", path));
    if (find_dimension(space, d.setting) != NULL)
      continue;
    cdl_status status;
    if (json_is_array(value))
      status = read_array(&d, path, value);
    else if (json_is_string(value))
      status = cdl_context(read_dimension(&d, json_string_value(value)), "%s", path);
    else
      status = cdl_fail(CDL_STATUS_USAGE, "%s: space: %s needs a text or an array", path, name);
    if (status != CDL_STATUS_OK) {
      release_dimension(&d);
      return status;
    }
    CDL_TRY(insert(space, &d));
  }
  return CDL_STATUS_OK;
}

/* ---- Values ---- */

/* Writes a number so that it reads back as the same value; integers have no decimal point. */
static void write_number(double value, char text[NUMBER_BYTES])
{
  if (value == floor(value) && fabs(value) < 1e15)
    snprintf(text, NUMBER_BYTES, "%.0f", value);
  else
    snprintf(text, NUMBER_BYTES, "%.17g", value);
}

static cdl_status try_value(const study_search_dimension *d, const char *text,
                            const train_settings *base)
{
  train_settings settings;
  CDL_TRY(train_settings_copy(&settings, base));
  cdl_status status = train_settings_set(&settings, d->setting, text);
  if (status == CDL_STATUS_OK)
    status = train_settings_check(&settings);
  train_settings_release(&settings);
  return cdl_context(status, "--space %s", d->setting->name);
}

cdl_status study_search_space_check(const study_search_space *space, const train_settings *base)
{
  for (size_t i = 0; i < space->count; i++) {
    const study_search_dimension *d = &space->item[i];
    for (size_t c = 0; c < d->choice_count; c++)
      CDL_TRY(try_value(d, d->choices[c], base));
    if (d->kind == STUDY_SEARCH_CHOICE)
      continue;
    char low[NUMBER_BYTES], high[NUMBER_BYTES];
    write_number(d->low, low);
    write_number(d->high, high);
    CDL_TRY(try_value(d, low, base));
    CDL_TRY(try_value(d, high, base));
  }
  return CDL_STATUS_OK;
}

static json_t *choices_json(const study_search_dimension *d)
{
  json_t *array = json_array();
  for (size_t i = 0; i < d->choice_count; i++)
    base_json_append(&array, json_string(d->choices[i]));
  return array;
}

json_t *study_search_space_json(const study_search_space *space)
{
  json_t *object = json_object();
  for (size_t i = 0; i < space->count; i++) {
    const study_search_dimension *d = &space->item[i];
    json_t *entry =
        d->kind == STUDY_SEARCH_CHOICE
            ? json_pack("{ss so}", "kind", kind_names[d->kind], "choices", choices_json(d))
        : d->kind == STUDY_SEARCH_INT
            ? json_pack("{ss sI sI}", "kind", kind_names[d->kind], "low", (json_int_t)d->low,
                        "high", (json_int_t)d->high)
            : json_pack("{ss sf sf}", "kind", kind_names[d->kind], "low", d->low, "high", d->high);
    base_json_set(&object, d->setting->name, entry);
  }
  return object;
}

/* Gets the text of a trial's value of one setting; `number` is the memory for the text of a
 * number. */
static cdl_status value_text(const study_search_dimension *d, const json_t *value,
                             char number[NUMBER_BYTES], const char **text)
{
  *text = NULL;
  if (d->kind == STUDY_SEARCH_CHOICE && json_is_string(value)) {
    for (size_t i = 0; i < d->choice_count; i++)
      if (strcmp(d->choices[i], json_string_value(value)) == 0)
        *text = d->choices[i];
  } else if (d->kind != STUDY_SEARCH_CHOICE && json_is_number(value)) {
    const double x = json_number_value(value);
    const bool whole = d->kind != STUDY_SEARCH_INT || x == floor(x);
    if (whole && x >= d->low && x <= d->high) {
      write_number(x, number);
      *text = number;
    }
  }
  return *text != NULL
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_DATA, "the sampler's value of %s is not in the search space",
                        d->setting->name);
}

bool study_search_decides_owner(const study_search_dimension *d)
{
  return strcmp(d->setting->name, "method") == 0 || strcmp(d->setting->name, "schedule") == 0;
}

cdl_status study_search_space_apply(const study_search_space *space, const json_t *parameters,
                                    train_settings *settings)
{
  bool decides = false;
  for (size_t i = 0; i < space->count; i++) {
    const study_search_dimension *d = &space->item[i];
    char number[NUMBER_BYTES];
    const char *text;
    CDL_TRY(value_text(d, json_object_get(parameters, d->setting->name), number, &text));
    CDL_TRY(train_settings_set(settings, d->setting, text));
    decides = decides || study_search_decides_owner(d);
  }
  return decides ? train_settings_drop_options(settings) : CDL_STATUS_OK;
}
