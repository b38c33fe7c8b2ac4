#include "tools/reports/record_file.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/path.h"

static int is_record(const struct dirent *entry)
{
  static const char suffix[] = ".json";
  const size_t n = strlen(entry->d_name), end = sizeof suffix - 1;
  return entry->d_name[0] != '.' && n > end && strcmp(entry->d_name + n - end, suffix) == 0;
}

static int compare_entries(const struct dirent **a, const struct dirent **b)
{
  return strcmp((*a)->d_name, (*b)->d_name); /* alphasort follows the locale */
}

static cdl_status read_file(const char *folder, const char *name,
                            const report_record_reader *reader, void *user)
{
  char *path = base_path_join(folder, name);
  if (path == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  json_t *object;
  cdl_status status = base_json_read(path, &object);
  if (status == CDL_STATUS_OK) {
    status = reader->take(user, path, object);
    json_decref(object);
  }
  free(path);
  return status;
}

cdl_status report_record_files_read(const char *folder, const report_record_reader *reader,
                                    void *user)
{
  struct dirent **entries = NULL;
  if (!base_file_exists(folder))
    return CDL_STATUS_OK;
  const int found = scandir(folder, &entries, is_record, compare_entries);
  if (found < 0)
    return cdl_fail(CDL_STATUS_IO, "%s: the folder cannot be read", folder);
  cdl_status status = reader->begin(user, (size_t)found);
  for (int i = 0; i < found; i++) {
    if (status == CDL_STATUS_OK)
      status = read_file(folder, entries[i]->d_name, reader, user);
    free(entries[i]);
  }
  free(entries);
  return status;
}

cdl_status report_record_semantics(const char *path, const json_t *object)
{
  int64_t semantics = 0;
  CDL_TRY(base_json_integer(path, object, "semantics", 1, INT32_MAX, &semantics));
  return semantics == REPORT_SEMANTICS ? CDL_STATUS_OK
                                       : cdl_fail(CDL_STATUS_DATA,
                                                  "%s: a record of semantics %" PRId64
                                                  ", but runs have %d now; it is obsolete",
                                                  path, semantics, REPORT_SEMANTICS);
}

cdl_status report_record_task(const char *path, const json_t *object, const cdl_task **task)
{
  const char *name;
  CDL_TRY(base_json_string(path, object, "task", false, &name));
  return cdl_task_find(name, task) == CDL_STATUS_OK
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_DATA, "%s: there is no task '%s'", path, name);
}

cdl_status report_record_method(const char *path, const json_t *object,
                                const report_compared_method **method)
{
  const char *name;
  CDL_TRY(base_json_string(path, object, "method", false, &name));
  return report_compared_method_find(name, method) == CDL_STATUS_OK
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_DATA, "%s: there is no method '%s'", path, name);
}

cdl_status report_record_hash(const char *path, const json_t *object, const char *key,
                              uint64_t *hash)
{
  const char *text;
  char *end;
  CDL_TRY(base_json_string(path, object, key, false, &text));
  *hash = strtoull(text, &end, 16);
  if (strlen(text) != 16 || *end != '\0')
    return cdl_fail(CDL_STATUS_DATA, "%s: \"%s\" is not 16 hexadecimal digits", path, key);
  return CDL_STATUS_OK;
}
