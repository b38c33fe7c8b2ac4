#include "train/columns.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/path.h"
#include "model/adapter/config.h"

static cdl_status set_columns(adapter_config *c, char **texts, size_t count, const char *label)
{
  c->text_columns.item = calloc(count + 1, sizeof *c->text_columns.item);
  c->label_column = strdup(label);
  bool whole = c->text_columns.item != NULL && c->label_column != NULL;
  for (size_t i = 0; whole && i < count; i++)
    if ((whole = (c->text_columns.item[i] = strdup(texts[i])) != NULL))
      c->text_columns.count++;
  return whole ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "out of memory: the names of columns");
}

cdl_status train_columns_describe(const train_session *session, const train_settings *s,
                                  adapter_config *c)
{
  if (session->task != NULL)
    return set_columns(c, (char **)(uintptr_t)session->task->text_column,
                       session->task->text_column[1] != NULL ? 2 : 1, session->task->label_column);
  base_list columns;
  CDL_TRY(base_list_split("--text-columns", s->text_columns, &columns));
  const cdl_status status = set_columns(c, columns.item, columns.count, s->label_column);
  base_list_release(&columns);
  return status;
}

static cdl_status open_config(const char *model, char **path, json_t **object)
{
  *object = NULL;
  *path = base_path_join(model, "config.json");
  return *path != NULL ? base_json_read(*path, object)
                       : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", model);
}

cdl_status train_columns_read(const char *model, adapter_config *config)
{
  char *path;
  json_t *object;
  cdl_status status = open_config(model, &path, &object);
  if (status == CDL_STATUS_OK)
    status = adapter_columns_from_json(path, object, config);
  json_decref(object);
  free(path);
  return status;
}

cdl_status train_columns_write(const char *model, const adapter_config *config)
{
  char *path;
  json_t *object;
  cdl_status status = open_config(model, &path, &object);
  if (status == CDL_STATUS_OK) {
    adapter_columns_to_json(config, &object);
    status = base_json_write(path, object);
  }
  json_decref(object);
  free(path);
  return status;
}
