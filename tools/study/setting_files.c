#include "tools/study/setting_files.h"

#include <stdlib.h>

#include "base/json.h"
#include "tools/study/recipe.h"
#include "train/run_record.h"

static void mark_given(bool *given, const json_t *object)
{
  size_t count;
  const base_option *list = train_setting_list(&count);
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)object, key, value)
  {
    const base_option *setting = train_setting_find(key);
    if (setting != NULL && !json_is_null(value))
      given[setting - list] = true;
  }
}

static cdl_status read_file(train_settings *settings, bool *given, const char *path, json_t **space)
{
  json_t *object;
  CDL_TRY(base_json_read(path, &object));
  if (space != NULL) {
    *space = json_incref(json_object_get(object, "space"));
    (void)json_object_del(object, "space");
  }
  const json_t *record = train_run_record_settings(object),
               *taken = record != NULL ? record : object;
  const cdl_status status = train_settings_take(settings, path, taken, given);
  if (status == CDL_STATUS_OK)
    mark_given(given, taken);
  json_decref(object);
  return status;
}

cdl_status study_setting_files_read(train_settings *settings, bool *given, const char *recipe,
                                    const char *config, json_t **space)
{
  if (config != NULL)
    CDL_TRY(read_file(settings, given, config, space));
  if (recipe == NULL)
    return CDL_STATUS_OK;
  char *path;
  CDL_TRY(study_recipe_find(recipe, &path));
  const cdl_status status = read_file(settings, given, path, NULL);
  free(path);
  return status;
}
