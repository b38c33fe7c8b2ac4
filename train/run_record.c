#include "train/run_record.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/nearest.h"
#include "base/path.h"

json_t *train_run_record_settings(json_t *object)
{
  static const char *const of_the_call[] = {"output", "resume", "dry_run", "trace"};
  json_t *settings = json_object_get(object, "settings"), *value;
  if (!json_is_string(json_object_get(object, "condlora")) || !json_is_object(settings))
    return NULL;
  const char *key;
  void *next;
  json_object_foreach_safe(settings, next, key, value)
  {
    const bool unsaid = json_is_number(value) && json_number_value(value) < 0;
    if (unsaid || base_is_one_of(key, of_the_call, sizeof of_the_call / sizeof of_the_call[0]))
      (void)json_object_del(settings, key);
  }
  return settings;
}

bool train_run_record_may_change(const char *field)
{
  static const char *const fields[] = {"epochs", "max_steps", "model", "data", "train", "dev"};
  return base_is_one_of(field, fields, sizeof fields / sizeof fields[0]);
}

static bool is_same(const json_t *a, const json_t *b)
{
  return json_is_number(a) && json_is_number(b) ? json_number_value(a) == json_number_value(b)
                                                : json_equal(a, b) != 0;
}

static cdl_status contradiction(const char *path, const char *field, const json_t *recorded,
                                const json_t *given)
{
  char *before = base_json_line(recorded), *now = base_json_line(given);
  const cdl_status status =
      before != NULL && now != NULL
          ? cdl_fail(CDL_STATUS_USAGE,
                     "%s: the run has %s %s, not %s; --resume goes on with the run's settings",
                     path, field, before, now)
          : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  free(before);
  free(now);
  return status;
}

/* A setting that is missing in the record had its default. */
static cdl_status check_given(const train_settings *s, const bool *given, const char *path,
                              const json_t *recorded)
{
  size_t count;
  const base_option *list = train_setting_list(&count);
  json_t *present = train_settings_json(s, true);
  cdl_status status =
      present != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  for (size_t i = 0; i < count && status == CDL_STATUS_OK; i++) {
    const char *field = list[i].name;
    if (!given[i] || (list[i].traits & TRAIN_CHANGES_RESULT) == 0 ||
        train_run_record_may_change(field))
      continue;
    const json_t *before = json_object_get(recorded, field), *now = json_object_get(present, field);
    if (before != NULL && now != NULL && !is_same(before, now))
      status = contradiction(path, field, before, now);
  }
  json_decref(present);
  return status;
}

/* The settings of the length may make a run longer, never shorter. */
static cdl_status check_length(const train_settings *s, const bool *given, const char *path,
                               const json_t *recorded)
{
  const base_option *list = train_setting_list(&(size_t){0});
  const json_int_t steps = json_integer_value(json_object_get(recorded, "max_steps")),
                   epochs = json_integer_value(json_object_get(recorded, "epochs"));
  const bool steps_given = given[train_setting_find("max_steps") - list],
             epochs_given = given[train_setting_find("epochs") - list];
  if (steps > 0 && ((steps_given && s->max_steps < steps) ||
                    (epochs_given && !steps_given && s->epochs != epochs)))
    return cdl_fail(CDL_STATUS_USAGE,
                    "%s: the run is of %lld steps (max_steps); --resume makes it longer with more "
                    "--max-steps",
                    path, (long long)steps);
  if (steps == 0 && epochs_given && s->epochs < epochs)
    return cdl_fail(CDL_STATUS_USAGE,
                    "%s: the run is of %lld epochs; --resume makes it longer, not of %lld", path,
                    (long long)epochs, (long long)s->epochs);
  return CDL_STATUS_OK;
}

/* What is recorded was checked when the run began, and the user did not give it now. */
static cdl_status take_recorded(train_settings *s, const char *path, const json_t *recorded,
                                const bool *given)
{
  bool set[TRAIN_SETTINGS_MAX];
  memcpy(set, s->set, sizeof set);
  const cdl_status status = train_settings_take(s, path, recorded, given);
  memcpy(s->set, set, sizeof set);
  return status;
}

cdl_status train_run_record_resume(train_settings *s, const bool *given)
{
  json_t *object;
  char *path = base_path_join(s->output, "run.json");
  if (path == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", s->output);
  cdl_status status = base_json_read(path, &object);
  if (status == CDL_STATUS_OK) {
    json_t *recorded = train_run_record_settings(object);
    if (recorded == NULL)
      status = cdl_fail(CDL_STATUS_DATA,
                        "%s: expected \"condlora\" and \"settings\", as a run writes them", path);
    if (status == CDL_STATUS_OK)
      status = check_given(s, given, path, recorded);
    if (status == CDL_STATUS_OK)
      status = check_length(s, given, path, recorded);
    if (status == CDL_STATUS_OK)
      status = take_recorded(s, path, recorded, given);
    json_decref(object);
  }
  free(path);
  return status;
}
