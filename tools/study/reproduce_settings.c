#include "tools/study/reproduce_settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/inference/inference.h"
#include "tools/study/recipe.h"

/* Returns whether reproduce sets this field itself, or the field has no meaning for many runs. */
static bool is_taken(const char *field)
{
  static const char *const taken[] = {
      "model",        "task",         "data",        "train",           "dev",
      "text_columns", "label_column", "labels",      "skip_label",      "regression",
      "method",       "seed",         "multi_label", "label_separator", "metric",
      "seed_init",    "orientation",  "use_x",       "init_adapter",    "output",
      "resume",       "dry_run",      "backend",     "threads",         "trace",
      "no_record",    "no_fallback"};
  for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
    if (strcmp(field, taken[i]) == 0)
      return true;
  return false;
}

/* "METHOD:KEY=VALUE", split. `method` is NULL if the setting is for all methods. */
typedef struct {
  char *copy;
  const char *method, *key, *value;
} assignment;

static cdl_status split_assignment(const char *text, assignment *a)
{
  *a = (assignment){.copy = strdup(text)};
  if (a->copy == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: --setting");
  char *equals = strchr(a->copy, '='), *colon = strchr(a->copy, ':');
  if (equals == NULL || equals == a->copy) {
    free(a->copy);
    return cdl_fail(CDL_STATUS_USAGE, "--setting needs KEY=VALUE or METHOD:KEY=VALUE, not '%s'",
                    text);
  }
  *equals = '\0';
  a->value = equals + 1;
  a->key = a->copy;
  if (colon != NULL && colon < equals) {
    *colon = '\0';
    a->method = a->copy;
    a->key = colon + 1;
  }
  return CDL_STATUS_OK;
}

static cdl_status assign(train_settings *settings, const char *key, const char *value)
{
  const base_option *setting = train_setting_find(key);
  if (setting == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "--setting: there is no setting '%s'", key);
  return train_settings_set(settings, setting, value);
}

/* Applies a method's own settings, "a=b c=d". */
static cdl_status assign_all(train_settings *settings, const char *text)
{
  while (*text != '\0') {
    const size_t length = strcspn(text, " ");
    char *piece = strndup(text, length);
    assignment a;
    cdl_status status = piece != NULL ? split_assignment(piece, &a)
                                      : cdl_fail(CDL_STATUS_MEMORY, "out of memory: settings");
    free(piece);
    CDL_TRY(status);
    status = assign(settings, a.key, a.value);
    free(a.copy);
    CDL_TRY(status);
    text += length + strspn(text + length, " ");
  }
  return CDL_STATUS_OK;
}

/* Reads the recipe of a task, for example "rte-lora". */
static cdl_status read_recipe(const cdl_task *task, const char *method, train_settings *settings)
{
  char name[64];
  size_t used = 0;
  for (const char *c = task->name; *c != '\0' && used + 1 < sizeof name / 2; c++)
    if (*c != '-')
      name[used++] = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
  snprintf(name + used, sizeof name - used, "-%s", method);
  char *path;
  CDL_TRY(cdl_context(study_recipe_find(name, &path), "%s", task->name));
  const cdl_status status = train_settings_read(settings, path, NULL);
  free(path);
  return status;
}

static cdl_status assign_given(const study_reproduction *r, const char *method,
                               train_settings *settings)
{
  for (size_t i = 0; i < r->settings.count; i++) {
    assignment a;
    CDL_TRY(split_assignment(r->settings.item[i], &a));
    cdl_status status = CDL_STATUS_OK;
    if (a.method == NULL || strcmp(a.method, method) == 0)
      status = assign(settings, a.key, a.value);
    free(a.copy);
    CDL_TRY(status);
  }
  return CDL_STATUS_OK;
}

static cdl_status set_text(train_settings *settings, const char *key, const char *value)
{
  return value != NULL ? assign(settings, key, value) : CDL_STATUS_OK;
}

/* What the verdict has in place of a recipe's own: the same for all methods, and all of a run's
 * seeds are its own. */
static cdl_status unify(train_settings *settings)
{
  enum { EPOCHS = 20 };
  settings->seed_data = settings->seed_dropout = -1;
  free(settings->targets); /* query and value, by the names that the model has for them */
  settings->targets = NULL;
  settings->early_stopping = 0;
  settings->epochs = EPOCHS;
  return assign(settings, "compat", "none");
}

static cdl_status make_settings(const study_reproduction *r, const study_run *run,
                                train_settings *settings)
{
  const report_comparison *c = &r->comparison;
  const report_compared_method *m = c->methods[run->method];
  const bool verdict = r->kind->content == REPORT_VERDICT;
  CDL_TRY(read_recipe(c->tasks[run->task], verdict ? "lora" : m->recipe, settings));
  if (verdict)
    CDL_TRY(unify(settings));
  CDL_TRY(assign_all(settings, m->settings));
  CDL_TRY(train_settings_drop_options(settings)); /* of the recipe of another method */
  if (!run->recipe_only)
    CDL_TRY(assign_given(r, m->name, settings));
  CDL_TRY(set_text(settings, "model", r->asked.model));
  CDL_TRY(set_text(settings, "data", r->asked.data));
  CDL_TRY(set_text(settings, "backend", r->asked.backend));
  CDL_TRY(set_text(settings, "output", run->folder));
  if (run->folder == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", r->asked.output);
  if (!isnan(run->rate))
    settings->lr = run->rate;
  settings->seed = run->seed;
  settings->threads = r->asked.threads;
  settings->no_fallback = r->asked.no_fallback;
  return train_settings_check(settings);
}

cdl_status study_reproduce_settings(const study_reproduction *r, const study_run *run,
                                    train_settings *settings)
{
  CDL_TRY(train_settings_init(settings));
  const cdl_status status = make_settings(r, run, settings);
  if (status != CDL_STATUS_OK)
    train_settings_release(settings);
  return status;
}

/* ---- Checks ---- */

static cdl_status check_assignment(const study_reproduction *r, const char *text)
{
  assignment a;
  CDL_TRY(split_assignment(text, &a));
  const report_compared_method *method;
  cdl_status status =
      a.method != NULL ? report_compared_method_find(a.method, &method) : CDL_STATUS_OK;
  const base_option *setting = train_setting_find(a.key);
  bool used = a.method == NULL;
  for (size_t i = 0; i < r->comparison.method_count && !used; i++)
    used = strcmp(r->comparison.methods[i]->name, a.method) == 0;
  if (status == CDL_STATUS_OK && setting == NULL)
    status = cdl_fail(CDL_STATUS_USAGE,
                      "--setting: there is no setting '%s'; condlora train --help lists "
                      "all",
                      a.key);
  else if (status == CDL_STATUS_OK && is_taken(setting->name))
    status =
        cdl_fail(CDL_STATUS_USAGE, "--setting: %s is not for reproduce to be told", setting->name);
  else if (status == CDL_STATUS_OK && !used)
    status = cdl_fail(CDL_STATUS_USAGE, "--setting %s: %s is not among --methods", text, a.method);
  free(a.copy);
  return status;
}

static cdl_status check_data(const cdl_task *task, const char *data)
{
  static const char *const splits[] = {"train", "dev"};
  for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
    cdl_dataset *dataset;
    CDL_TRY(cdl_dataset_read_task(task, data, splits[i], &dataset));
    const bool labelled = cdl_dataset_has_labels(dataset) && cdl_dataset_count(dataset) > 0;
    cdl_dataset_close(dataset);
    if (!labelled)
      return cdl_fail(CDL_STATUS_DATA, "%s/%s: the split %s has no labelled examples", data,
                      task->name, splits[i]);
  }
  return CDL_STATUS_OK;
}

static cdl_status check_run(const study_reproduction *r, const model_config *model, size_t task,
                            size_t method)
{
  train_settings settings;
  size_t length;
  char folder[] = "run"; /* nothing is written */
  const study_run run = {.task = task,
                         .method = method,
                         .seed = r->comparison.seeds[0],
                         .rate = NAN,
                         .folder = folder};
  CDL_TRY(study_reproduce_settings(r, &run, &settings));
  const cdl_status status = inference_example_length(model, settings.max_length, &length);
  train_settings_release(&settings);
  return status;
}

static cdl_status check_runs(const study_reproduction *r, const model_config *model)
{
  for (size_t t = 0; t < r->comparison.task_count; t++) {
    for (size_t m = 0; m < r->comparison.method_count; m++)
      CDL_TRY(check_run(r, model, t, m));
    CDL_TRY(check_data(r->comparison.tasks[t], r->asked.data));
  }
  return CDL_STATUS_OK;
}

cdl_status study_reproduce_check(const study_reproduction *r)
{
  for (size_t i = 0; i < r->settings.count; i++)
    CDL_TRY(check_assignment(r, r->settings.item[i]));
  model_config model;
  CDL_TRY(model_config_read(cdl_hub_source_folder(r->model), &model));
  const cdl_status status = check_runs(r, &model);
  model_config_release(&model);
  return status;
}
