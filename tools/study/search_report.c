/* What a search says: a line a trial, the table at the end, and its files. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/path.h"
#include "base/visible.h"
#include "tools/console/output.h"
#include "tools/study/search.h"

enum { VALUE_BYTES = 64 };

static const char *metric_of(const study_search_state *s)
{
  return cdl_metric_name(train_session_main_metric(&s->session));
}

/* "0.00123", "reference" */
static void format_parameter(const json_t *value, char text[VALUE_BYTES])
{
  if (json_is_string(value))
    snprintf(text, VALUE_BYTES, "%s", json_string_value(value));
  else if (json_is_integer(value))
    snprintf(text, VALUE_BYTES, "%lld", (long long)json_integer_value(value));
  else if (json_is_number(value))
    snprintf(text, VALUE_BYTES, "%.4g", json_number_value(value));
  else
    snprintf(text, VALUE_BYTES, "-");
}

void study_search_say_trial(study_search_state *s, int64_t number, const json_t *parameters,
                            const char *state, double value, const char *note)
{
  console_progress_clear(&s->progress);
  fprintf(stderr, "trial %" PRId64 ": ", number);
  if (strcmp(state, "complete") == 0)
    fprintf(stderr, "%s %.4f", metric_of(s), value);
  else
    fputs(strcmp(state, "fail") == 0 ? "failed" : state, stderr);
  for (size_t i = 0; i < s->space.count; i++) {
    const char *field = s->space.item[i].setting->name;
    char text[VALUE_BYTES];
    format_parameter(json_object_get(parameters, field), text);
    fprintf(stderr, "%s%s %s", i == 0 ? " (" : ", ", field, text);
  }
  fprintf(stderr, ")%s%s\n", note != NULL ? ": " : "", note != NULL ? note : "");
}

/* ---- The table ---- */

static bool is_complete(const json_t *trial)
{
  return strcmp(json_string_value(json_object_get(trial, "state")), "complete") == 0 &&
         json_is_number(json_object_get(trial, "value"));
}

/* NULL where none is complete; of equals the first. */
static const json_t *find_best(const json_t *trials)
{
  const json_t *best = NULL;
  for (size_t i = 0; i < json_array_size(trials); i++) {
    const json_t *trial = json_array_get(trials, i);
    if (is_complete(trial) &&
        (best == NULL || json_number_value(json_object_get(trial, "value")) >
                             json_number_value(json_object_get(best, "value"))))
      best = trial;
  }
  return best;
}

/* One cell of the table: column 0 the number, 1 the state, 2 the value, then what is searched. */
static void format_cell(const study_search_state *s, const json_t *trial, size_t column,
                        char text[VALUE_BYTES])
{
  const json_t *value = json_object_get(trial, "value");
  if (column == 0)
    snprintf(text, VALUE_BYTES, "%lld",
             (long long)json_integer_value(json_object_get(trial, "number")));
  else if (column == 1)
    snprintf(text, VALUE_BYTES, "%s", json_string_value(json_object_get(trial, "state")));
  else if (column == 2 && json_is_number(value))
    snprintf(text, VALUE_BYTES, "%.4f", json_number_value(value));
  else if (column == 2)
    snprintf(text, VALUE_BYTES, "-");
  else
    format_parameter(json_object_get(json_object_get(trial, "parameters"),
                                     s->space.item[column - 3].setting->name),
                     text);
}

static void format_head(const study_search_state *s, size_t column, char text[VALUE_BYTES])
{
  static const char *const first[] = {"trial", "state"};
  snprintf(text, VALUE_BYTES, "%s",
           column < 2    ? first[column]
           : column == 2 ? metric_of(s)
                         : s->space.item[column - 3].setting->name);
}

static void print_table(const study_search_state *s, const json_t *trials, const json_t *best)
{
  const size_t columns = 3 + s->space.count;
  size_t width[3 + TRAIN_SETTINGS_MAX] = {0};
  char text[VALUE_BYTES];
  for (size_t c = 0; c < columns; c++) {
    format_head(s, c, text);
    width[c] = strlen(text);
    for (size_t i = 0; i < json_array_size(trials); i++) {
      format_cell(s, json_array_get(trials, i), c, text);
      width[c] = strlen(text) > width[c] ? strlen(text) : width[c];
    }
  }
  for (size_t i = 0; i <= json_array_size(trials); i++) {
    const json_t *trial = i > 0 ? json_array_get(trials, i - 1) : NULL;
    for (size_t c = 0; c < columns; c++) {
      if (trial == NULL)
        format_head(s, c, text);
      else
        format_cell(s, trial, c, text);
      printf(c == 1 ? "%s%-*s" : "%s%*s", c > 0 ? "  " : "", (int)width[c], text);
    }
    puts(trial != NULL && trial == best ? "  best" : "");
  }
}

/* ---- Files ---- */

/* The best trial's settings, for `condlora train --config`. */
static cdl_status write_best(const study_search_state *s, const json_t *best)
{
  train_settings settings;
  const int64_t number = json_integer_value(json_object_get(best, "number"));
  CDL_TRY(study_search_trial_settings(s, json_object_get(best, "parameters"), number, &settings));
  json_t *object = train_settings_json(&settings, true);
  train_settings_release(&settings);
  const char *key;
  json_t *value;
  void *next;
  json_object_foreach_safe(object, next, key, value)
  {
    if (json_is_null(value)) /* not set */
      json_object_del(object, key);
  }
  char *path = base_path_join(s->settings.output, "best.json"), *comment = NULL;
  if (asprintf(&comment, "trial %lld of the study %s: %s %.6g", (long long)number, s->study,
               metric_of(s), json_number_value(json_object_get(best, "value"))) < 0)
    comment = NULL;
  const cdl_status status =
      path != NULL && comment != NULL &&
              json_object_set_new(object, "comment", json_string(comment)) == 0
          ? base_json_write(path, object)
          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: best.json");
  json_decref(object);
  free(comment);
  free(path);
  return status;
}

cdl_status study_search_conclude(study_search_state *s)
{
  json_t *trials;
  CDL_TRY(study_optuna_list(s, &trials));
  const json_t *best = find_best(trials);
  print_table(s, trials, best);
  cdl_status status = CDL_STATUS_OK;
  if (best == NULL)
    status = cdl_fail(CDL_STATUS_DATA, "%s: no trial was completed", s->settings.output);
  else
    status = write_best(s, best);
  if (status == CDL_STATUS_OK)
    printf("\ntrial %lld is the best, %s %.4f: condlora train --config %s/best.json --output DIR\n",
           (long long)json_integer_value(json_object_get(best, "number")), metric_of(s),
           json_number_value(json_object_get(best, "value")),
           base_visible(s->settings.output).text);
  json_decref(trials);
  return status;
}

/* "postgresql://user@host/db": a password does not go into a file. */
static char *without_password(const char *url)
{
  const char *login = strstr(url, "://"), *at = login != NULL ? strrchr(login, '@') : NULL;
  const char *colon = at != NULL ? memchr(login + 3, ':', (size_t)(at - login - 3)) : NULL;
  char *text = NULL;
  if (colon == NULL)
    return strdup(url);
  return asprintf(&text, "%.*s%s", (int)(colon - url), url, at) < 0 ? NULL : text;
}

cdl_status study_search_write(const study_search_state *s)
{
  char *path = base_path_join(s->settings.output, "search.json"),
       *storage = without_password(s->storage);
  json_t *settings = train_settings_json(&s->settings, false);
  for (size_t i = 0; settings != NULL && i < s->space.count; i++)
    json_object_del(settings, s->space.item[i].setting->name);
  json_t *object =
      json_pack("{ss ss ss ss ss ss sI so so}", "owner", s->owner, "storage", storage, "study",
                s->study, "sampler", s->sampler, "pruner", s->pruner, "objective",
                study_search_objective_name(s), "trials", (json_int_t)s->trials, "space",
                study_search_space_json(&s->space), "settings", settings);
  const cdl_status status = path != NULL && storage != NULL && object != NULL
                                ? base_json_write(path, object)
                                : cdl_fail(CDL_STATUS_MEMORY, "out of memory: search.json");
  json_decref(object);
  free(storage);
  free(path);
  return status;
}
