#include "train/settings_object.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "train/run_record.h"

static cdl_status no_memory(void)
{
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: settings");
}

cdl_status cdl_settings_create(cdl_settings **settings)
{
  *settings = NULL;
  cdl_settings *made = calloc(1, sizeof *made);
  if (made == NULL)
    return no_memory();
  const cdl_status status = train_settings_init(&made->settings);
  if (status != CDL_STATUS_OK)
    cdl_settings_destroy(made);
  else
    *settings = made;
  return status;
}

void cdl_settings_destroy(cdl_settings *settings)
{
  if (settings == NULL)
    return;
  train_settings_release(&settings->settings);
  free(settings->text);
  free(settings);
}

cdl_status train_settings_object_copy(const cdl_settings *settings, cdl_settings **copy)
{
  *copy = NULL;
  cdl_settings *made = calloc(1, sizeof *made);
  if (made == NULL)
    return no_memory();
  memcpy(made->given, settings->given, sizeof made->given);
  const cdl_status status = train_settings_copy(&made->settings, &settings->settings);
  if (status != CDL_STATUS_OK)
    cdl_settings_destroy(made);
  else
    *copy = made;
  return status;
}

/* ---- Setting ---- */

static cdl_status no_setting(const char *name)
{
  return cdl_fail(CDL_STATUS_USAGE, "there is no setting '%s'", name);
}

static size_t place_of(const base_option *setting)
{
  size_t count;
  return (size_t)(setting - train_setting_list(&count));
}

cdl_status cdl_settings_set(cdl_settings *settings, const char *name, const char *value)
{
  const base_option *setting = train_setting_find(name);
  if (setting == NULL)
    return no_setting(name);
  CDL_TRY(train_settings_set(&settings->settings, setting, value));
  settings->given[place_of(setting)] = true;
  return CDL_STATUS_OK;
}

static void mark_given(cdl_settings *settings, const json_t *object)
{
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)object, key, value)
  {
    const base_option *setting = train_setting_find(key);
    if (setting != NULL && !json_is_null(value))
      settings->given[place_of(setting)] = true;
  }
}

/* Sets all settings that `object` names, or none after an error. */
static cdl_status take(cdl_settings *settings, const char *path, json_t *object)
{
  const json_t *record = train_run_record_settings(object),
               *taken = record != NULL ? record : object;
  train_settings changed;
  CDL_TRY(train_settings_copy(&changed, &settings->settings));
  const cdl_status status = train_settings_take(&changed, path, taken, NULL);
  if (status != CDL_STATUS_OK) {
    train_settings_release(&changed);
    return status;
  }
  train_settings_release(&settings->settings);
  settings->settings = changed;
  mark_given(settings, taken);
  return CDL_STATUS_OK;
}

cdl_status cdl_settings_parse(cdl_settings *settings, const char *json)
{
  json_t *object;
  CDL_TRY(base_json_parse("settings", json, strlen(json), &object));
  const cdl_status status = take(settings, "settings", object);
  json_decref(object);
  return status;
}

cdl_status cdl_settings_read(cdl_settings *settings, const char *path)
{
  json_t *object;
  CDL_TRY(base_json_read(path, &object));
  const cdl_status status = take(settings, path, object);
  json_decref(object);
  return status;
}

/* ---- Getting ---- */

/* Returns a string as it is, "" for null, and JSON for anything else. */
static char *text_of(const json_t *value)
{
  if (value == NULL || json_is_null(value))
    return strdup("");
  return json_is_string(value) ? strdup(json_string_value(value)) : base_json_line(value);
}

cdl_status cdl_settings_get(cdl_settings *settings, const char *name, const char **value)
{
  const base_option *setting = train_setting_find(name);
  *value = NULL;
  if (setting == NULL)
    return no_setting(name);
  json_t *all = train_settings_json(&settings->settings, false);
  char *text = all != NULL ? text_of(json_object_get(all, setting->name)) : NULL;
  json_decref(all);
  if (text == NULL)
    return no_memory();
  free(settings->text);
  *value = settings->text = text;
  return CDL_STATUS_OK;
}

cdl_status cdl_settings_json(cdl_settings *settings, const char **json)
{
  *json = NULL;
  json_t *all = train_settings_json(&settings->settings, false);
  char *text = all != NULL ? base_json_line(all) : NULL;
  json_decref(all);
  if (text == NULL)
    return no_memory();
  free(settings->text);
  *json = settings->text = text;
  return CDL_STATUS_OK;
}
