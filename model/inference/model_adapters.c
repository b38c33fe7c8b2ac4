/* cdl_model: its adapters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "model/adapter/config.h"
#include "model/adapter/io.h"
#include "model/inference/inference.h"
#include "model/inference/model_state.h"

static cdl_status no_memory(void)
{
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter of the model");
}

/* ---- Members ---- */

cdl_status inference_member_create(cdl_model *m, const char *name, uint64_t seed,
                                   inference_member **member)
{
  *member = NULL;
  inference_member *made = calloc(1, sizeof *made);
  if (made == NULL || (name != NULL && (made->name = strdup(name)) == NULL)) {
    free(made);
    return no_memory();
  }
  made->model = m->base;
  made->model.base_source = made->model.adapter_source = NULL;
  made->model.encoder = NULL;
  made->model.adapter = NULL;
  made->model.adapter_config = (adapter_config){0};
  made->model.label_names = NULL;
  const cdl_status status =
      encoder_share(m->base.queue, m->base.encoder, seed, &made->model.encoder);
  if (status != CDL_STATUS_OK)
    inference_member_free(made);
  else
    *member = made;
  return status;
}

void inference_member_free(inference_member *member)
{
  if (member == NULL)
    return;
  inference_model own = member->model;
  own.backend = NULL; /* the base's */
  own.queue = NULL;
  own.tokenizer = NULL;
  inference_close(&own);
  free(member->name);
  free(member);
}

cdl_status inference_model_add(cdl_model *m, inference_member *member)
{
  inference_member **grown = realloc(m->member, (m->count + 1) * sizeof *grown);
  if (grown == NULL)
    return no_memory();
  m->member = grown;
  m->member[m->count++] = member;
  return CDL_STATUS_OK;
}

cdl_status inference_model_check_name(const cdl_model *m, const char *name)
{
  if (name == NULL || name[0] == '\0')
    return cdl_fail(CDL_STATUS_ARGUMENT, "an adapter wants a name");
  for (size_t i = 0; i < m->count; i++)
    if (strcmp(m->member[i]->name, name) == 0)
      return cdl_fail(CDL_STATUS_ARGUMENT, "there is an adapter '%s' already", name);
  if (m->alone)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: the adapter changes its base, so that no other can be held beside it",
                    m->adapter_folder);
  return CDL_STATUS_OK;
}

cdl_status inference_model_find(const cdl_model *m, const char *name, inference_member **member)
{
  char list[512] = "";
  for (size_t i = 0; i < m->count; i++) {
    if (name != NULL && strcmp(m->member[i]->name, name) == 0) {
      *member = m->member[i];
      return CDL_STATUS_OK;
    }
    const size_t used = strlen(list);
    snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "", m->member[i]->name);
  }
  *member = NULL;
  return cdl_fail(CDL_STATUS_ARGUMENT, "there is no adapter '%s'; there is %s",
                  name != NULL ? name : "", m->count > 0 ? list : "none");
}

/* ---- Calls ---- */

cdl_status cdl_model_load_adapter(cdl_model *m, const char *folder, const char *name)
{
  CDL_TRY(inference_model_check_name(m, name));
  inference_model_settle(m);
  inference_member *member;
  CDL_TRY(inference_member_create(m, name, 0, &member));
  inference_settings settings = m->settings;
  settings.part = INFERENCE_OPEN_MODEL;
  settings.rank = 0;
  cdl_status status = inference_find_adapter(&member->model, folder, &settings.adapter);
  if (status == CDL_STATUS_OK)
    status = inference_open_with_adapter(&member->model, &settings);
  if (status == CDL_STATUS_OK)
    status = inference_model_add(m, member);
  if (status != CDL_STATUS_OK)
    inference_member_free(member);
  return status;
}

/* The model alone. */
static cdl_status make_bare(cdl_model *m)
{
  if (m->bare != NULL)
    return CDL_STATUS_OK;
  if (m->alone)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: the adapter changes its base, which so is not there without it",
                    m->adapter_folder);
  if (!m->base_has_head)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: the model has no head for these labels without an adapter",
                    m->base_folder);
  inference_member *bare;
  CDL_TRY(inference_member_create(m, NULL, 0, &bare));
  const cdl_status status = inference_copy_labels(&m->base, &bare->model);
  if (status == CDL_STATUS_OK)
    m->bare = bare;
  else
    inference_member_free(bare);
  return status;
}

cdl_status cdl_model_set_adapter(cdl_model *m, const char *name)
{
  inference_model_settle(m);
  inference_member *member;
  if (name == NULL) {
    CDL_TRY(make_bare(m));
    member = m->bare;
  } else
    CDL_TRY(inference_model_find(m, name, &member));
  m->active = member;
  return CDL_STATUS_OK;
}

cdl_status cdl_model_delete_adapter(cdl_model *m, const char *name)
{
  inference_member *member;
  CDL_TRY(inference_model_find(m, name, &member));
  if (member == m->active)
    return cdl_fail(CDL_STATUS_ARGUMENT, "the adapter '%s' is active; set another one before",
                    name);
  inference_model_settle(m);
  size_t at = 0;
  while (m->member[at] != member)
    at++;
  m->count--;
  memmove(m->member + at, m->member + at + 1, (m->count - at) * sizeof *m->member);
  inference_member_free(member);
  return CDL_STATUS_OK;
}

cdl_status cdl_model_save_adapter(cdl_model *m, const char *name, const char *folder)
{
  inference_member *member;
  CDL_TRY(inference_model_find(m, name, &member));
  inference_model_settle(m);
  const inference_model *saved = &member->model;
  adapter_snapshot snapshot;
  CDL_TRY(adapter_snapshot_create(saved->adapter, &snapshot));
  cdl_status status = adapter_snapshot_take(&snapshot, saved->adapter, saved->queue);
  if (status == CDL_STATUS_OK)
    status = adapter_write(saved->adapter, &snapshot, folder, &saved->adapter_config);
  adapter_snapshot_release(&snapshot);
  return status;
}

size_t cdl_model_adapter_count(const cdl_model *m)
{
  return m->count;
}

const char *cdl_model_get_adapter(const cdl_model *m, size_t index)
{
  return index < m->count ? m->member[index]->name : NULL;
}

const char *cdl_model_active_adapter(const cdl_model *m)
{
  return m->active->name;
}

cdl_status cdl_model_adapter_config(cdl_model *m, const char **json)
{
  json_t *object = NULL;
  *json = NULL;
  cdl_status status = CDL_STATUS_OK;
  if (m->active->name == NULL)
    object = json_object();
  else
    status = adapter_config_to_json(m->active->name, &m->active->model.adapter_config, &object);
  if (status == CDL_STATUS_OK) {
    free(m->json);
    m->json = base_json_line(object);
    *json = m->json;
    status = m->json != NULL ? CDL_STATUS_OK : no_memory();
  }
  json_decref(object);
  return status;
}
