#include "tools/study/reproduce_manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/path.h"
#include "model/files/checkpoint.h"
#include "train/data/task_files.h"

static const char file_name[] = "reproduce.json";

/* ---- The request ---- */

/* Returns {"model": …, "data": …, "settings": {"epochs": "2", "adalora:lr": "0.002"}}. */
static json_t *requested_json(const study_reproduction *r)
{
  char *model = realpath(r->asked.model, NULL), *data = realpath(r->asked.data, NULL);
  json_t *settings = json_object();
  for (size_t i = 0; i < r->settings.count; i++) {
    const char *equals = strchr(r->settings.item[i], '=');
    char *name = strndup(r->settings.item[i], (size_t)(equals - r->settings.item[i]));
    base_json_set(&settings, name, base_json_string_of(equals + 1));
    free(name);
  }
  json_t *object = json_pack(
      "{so so so}", "model", base_json_string_of(model != NULL ? model : r->asked.model), "data",
      base_json_string_of(data != NULL ? data : r->asked.data), "settings", settings);
  free(model);
  free(data);
  return object;
}

static const char *text_or_nothing(const json_t *object, const char *key)
{
  const json_t *value = json_object_get(object, key);
  return json_is_string(value) ? json_string_value(value) : "nothing";
}

/* Compares values; 1e-3 and 0.001 are equal. */
static bool same_value(const char *a, const char *b)
{
  char *ends[2];
  const double numbers[] = {strtod(a, &ends[0]), strtod(b, &ends[1])};
  const bool both = ends[0] != a && *ends[0] == '\0' && ends[1] != b && *ends[1] == '\0';
  return strcmp(a, b) == 0 || (both && numbers[0] == numbers[1]);
}

static cdl_status compare_requests(const char *folder, const json_t *now, const json_t *before)
{
  const json_t *pairs[][2] = {
      {now, before}, {json_object_get(now, "settings"), json_object_get(before, "settings")}};
  for (size_t i = 0; i < 2; i++)
    for (int side = 0; side < 2; side++) {
      const char *key;
      json_t *value;
      json_object_foreach((json_t *)(uintptr_t)pairs[i][side], key, value)
      {
        if (json_is_string(value) &&
            !same_value(text_or_nothing(pairs[i][0], key), text_or_nothing(pairs[i][1], key)))
          return cdl_fail(
              CDL_STATUS_USAGE, "%s was begun with %s %s, not %s; another --output begins anew",
              folder, key, text_or_nothing(pairs[i][1], key), text_or_nothing(pairs[i][0], key));
      }
    }
  return CDL_STATUS_OK;
}

/* ---- Contents of model and data ---- */

cdl_status study_hash_model(const char *folder, uint64_t *hash)
{
  model_checkpoint *checkpoint;
  CDL_TRY(model_checkpoint_open(folder, NULL, &checkpoint));
  *hash = model_checkpoint_fingerprint(checkpoint);
  model_checkpoint_close(checkpoint);
  return CDL_STATUS_OK;
}

static cdl_status hash_file(const char *folder, const char *name, uint64_t *hash)
{
  base_mapping file;
  char *path = base_path_join(folder, name);
  cdl_status status = path != NULL ? base_file_map(path, &file)
                                   : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  free(path);
  CDL_TRY(status);
  *hash = base_fnv(*hash, file.data, file.size);
  base_file_unmap(&file);
  return CDL_STATUS_OK;
}

cdl_status study_hash_task(const cdl_task *task, const char *data, uint64_t *hash)
{
  static const char *const splits[] = {"train", "dev"};
  char *folder = base_path_join(data, task->name);
  cdl_status status =
      folder != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", task->name);
  *hash = BASE_FNV_START;
  for (size_t i = 0; i < sizeof splits / sizeof splits[0] && status == CDL_STATUS_OK; i++) {
    data_task_split files = {0};
    status = data_task_split_find(task, splits[i], &files);
    for (size_t f = 0; f < files.count && status == CDL_STATUS_OK; f++)
      status = hash_file(folder, files.file[f].name, hash);
  }
  free(folder);
  return status;
}

static void set_hash(json_t **contents, const char *key, uint64_t hash)
{
  char text[20];
  snprintf(text, sizeof text, "%016" PRIx64, hash);
  base_json_set(contents, key, json_string(text));
}

/* Returns {"model": "0123…", "RTE": "4567…"}, with the hashes of tasks that earlier calls ran.
 * Errors: DATA if contents have changed. */
static cdl_status read_contents(const study_reproduction *r, const json_t *before,
                                json_t **contents)
{
  uint64_t hash = 0;
  CDL_TRY(study_hash_model(cdl_hub_source_folder(r->model), &hash));
  set_hash(contents, "model", hash);
  for (size_t t = 0; t < r->comparison.task_count; t++) {
    CDL_TRY(study_hash_task(r->comparison.tasks[t], r->asked.data, &hash));
    set_hash(contents, r->comparison.tasks[t]->name, hash);
  }
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)before, key, value)
  {
    const json_t *now = json_object_get(*contents, key);
    if (now == NULL)
      base_json_set(contents, key, json_incref(value));
    else if (!json_equal(now, value))
      return cdl_fail(CDL_STATUS_DATA,
                      "%s was begun with another content of %s%s; another --output begins anew",
                      r->asked.output, strcmp(key, "model") == 0 ? "the " : "", key);
  }
  return CDL_STATUS_OK;
}

/* ---- Both ---- */

static cdl_status note(const study_reproduction *r, const char *path, json_t **now)
{
  json_t *before = NULL, *contents = json_object();
  cdl_status status = CDL_STATUS_OK;
  if (base_file_exists(path)) {
    status = base_json_read(path, &before);
    if (status == CDL_STATUS_OK)
      status = compare_requests(r->asked.output, *now, before);
  }
  if (status == CDL_STATUS_OK)
    status = read_contents(r, json_object_get(before, "contents"), &contents);
  base_json_set(now, "contents", contents);
  if (status == CDL_STATUS_OK && !json_equal(*now, before))
    status = base_json_write(path, *now);
  json_decref(before);
  return status;
}

cdl_status study_reproduce_manifest(const study_reproduction *r)
{
  char *path = base_path_join(r->asked.output, file_name);
  json_t *now = requested_json(r);
  const cdl_status status = path != NULL && now != NULL
                                ? note(r, path, &now)
                                : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", r->asked.output);
  json_decref(now);
  free(path);
  return status;
}
