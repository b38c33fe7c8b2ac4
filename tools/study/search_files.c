#include "tools/study/search_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/path.h"
#include "tools/study/search_trial.h"

cdl_status study_search_write_best(const study_search *s, const json_t *best)
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
               cdl_metric_name(s->session.metric),
               json_number_value(json_object_get(best, "value"))) < 0)
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

/* Returns the URL without its password, which must not be written into a file:
 * "postgresql://user@host/db". */
static char *without_password(const char *url)
{
  const char *login = strstr(url, "://"), *at = login != NULL ? strrchr(login, '@') : NULL;
  const char *colon = at != NULL ? memchr(login + 3, ':', (size_t)(at - login - 3)) : NULL;
  char *text = NULL;
  if (colon == NULL)
    return strdup(url);
  return asprintf(&text, "%.*s%s", (int)(colon - url), url, at) < 0 ? NULL : text;
}

cdl_status study_search_write(const study_search *s)
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
