#include "model/hub/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/growing.h"
#include "base/json.h"
#include "base/path.h"

enum { SHARDS_MOST = 1024 };

static const char model_config[] = "config.json";
static const char adapter_config[] = "adapter_config.json";

/* The vocabularies first. */
enum { VOCABULARIES = 4 };
const char *const hub_tokenizer_files[] = {
    "tokenizer.json",          "vocab.txt",         "vocab.json",
    "sentencepiece.bpe.model", "merges.txt",        "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", NULL};

/* In the order in which a folder's weights are looked for. */
static const struct {
  const char *name;
  bool is_index;
} model_weights[] = {{"model.safetensors", false},
                     {"model.safetensors.index.json", true},
                     {"pytorch_model.bin", false},
                     {"pytorch_model.bin.index.json", true}};
static const char *const adapter_weights[] = {"adapter_model.safetensors", "adapter_model.bin"};

typedef struct {
  hub_files *files;
  const hub_cache *cache;
  const char *commit;
  bool only_there;
} look;

static cdl_status add(hub_file_list *list, const char *file)
{
  for (size_t i = 0; i < list->count; i++)
    if (strcmp(list->name[i], file) == 0)
      return CDL_STATUS_OK;
  CDL_TRY(base_grow(&list->name, list->count + 1, sizeof *list->name));
  snprintf(list->name[list->count++], sizeof *list->name, "%s", file);
  return CDL_STATUS_OK;
}

static cdl_status find(const look *l, const char *file, hub_file_state *state)
{
  CDL_TRY(hub_cache_find(l->cache, l->commit, file, state));
  if (*state == HUB_FILE_UNKNOWN && l->only_there)
    *state = HUB_FILE_ABSENT;
  return *state == HUB_FILE_UNKNOWN ? add(&l->files->unknown, file) : CDL_STATUS_OK;
}

static cdl_status need(const look *l, const char *file)
{
  hub_file_state state;
  CDL_TRY(find(l, file, &state));
  if (state != HUB_FILE_THERE)
    l->files->lacks = file;
  return CDL_STATUS_OK;
}

/* ---- Shards ---- */

static cdl_status need_named(const look *l, const char *index, const json_t *value)
{
  hub_file_state state;
  const char *name = json_string_value(value);
  if (name == NULL || !hub_is_inner_path(name) || strchr(name, '/') != NULL ||
      strlen(name) >= HUB_FILE_BYTES)
    return cdl_fail(CDL_STATUS_DATA, "%s: weight_map: \"%.100s\" is no name of a file beside it",
                    index, name != NULL ? name : "");
  if (l->files->unknown.count > SHARDS_MOST)
    return cdl_fail(CDL_STATUS_DATA, "%s: weight_map: names more than %d files", index,
                    SHARDS_MOST);
  CDL_TRY(find(l, name, &state));
  if (state != HUB_FILE_THERE)
    l->files->lacks = "a shard of its weights";
  return CDL_STATUS_OK;
}

static cdl_status need_map(const look *l, const char *index, const json_t *map)
{
  const char *tensor;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)map, tensor, value)
  {
    CDL_TRY(need_named(l, index, value));
  }
  return CDL_STATUS_OK;
}

static cdl_status need_shards(const look *l, const char *index)
{
  char *folder, *path;
  json_t *document;
  CDL_TRY(hub_cache_snapshot(l->cache, l->commit, &folder));
  path = base_path_join(folder, index);
  free(folder);
  if (path == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", index);
  cdl_status status = base_json_read(path, &document);
  if (status == CDL_STATUS_OK) {
    status = need_map(l, path, json_object_get(document, "weight_map"));
    json_decref(document);
  }
  free(path);
  return status;
}

/* ---- Kinds ---- */

static cdl_status need_model_weights(const look *l)
{
  for (size_t i = 0; i < sizeof model_weights / sizeof model_weights[0]; i++) {
    hub_file_state state;
    CDL_TRY(find(l, model_weights[i].name, &state));
    if (state == HUB_FILE_THERE)
      return model_weights[i].is_index ? need_shards(l, model_weights[i].name) : CDL_STATUS_OK;
    if (state == HUB_FILE_UNKNOWN)
      break; /* the answer decides whether the next is needed */
  }
  l->files->lacks = "model.safetensors and pytorch_model.bin";
  return CDL_STATUS_OK;
}

static cdl_status need_adapter_weights(const look *l)
{
  for (size_t i = 0; i < sizeof adapter_weights / sizeof adapter_weights[0]; i++) {
    hub_file_state state;
    CDL_TRY(find(l, adapter_weights[i], &state));
    if (state == HUB_FILE_THERE)
      return CDL_STATUS_OK;
    if (state == HUB_FILE_UNKNOWN)
      break;
  }
  l->files->lacks = "adapter_model.safetensors and adapter_model.bin";
  return CDL_STATUS_OK;
}

/* Only what opens the folder knows which of them its class needs. */
static cdl_status want_tokenizer(const look *l, bool needed)
{
  bool has_vocabulary = false;
  for (size_t i = 0; hub_tokenizer_files[i] != NULL; i++) {
    hub_file_state state;
    CDL_TRY(find(l, hub_tokenizer_files[i], &state));
    has_vocabulary = has_vocabulary || (i < VOCABULARIES && state == HUB_FILE_THERE);
  }
  if (needed && !has_vocabulary)
    l->files->lacks = "a vocabulary";
  return CDL_STATUS_OK;
}

static cdl_status look_for_adapter(const look *l)
{
  CDL_TRY(need(l, adapter_config));
  CDL_TRY(need_adapter_weights(l));
  return want_tokenizer(l, false);
}

static cdl_status look_for_model(const look *l)
{
  CDL_TRY(need(l, model_config));
  CDL_TRY(need_model_weights(l));
  return want_tokenizer(l, true);
}

static cdl_status look_for_any(const look *l)
{
  hub_file_state state;
  CDL_TRY(find(l, adapter_config, &state));
  if (state == HUB_FILE_UNKNOWN) {
    l->files->lacks = adapter_config;
    return CDL_STATUS_OK;
  }
  return state == HUB_FILE_THERE ? look_for_adapter(l) : look_for_model(l);
}

cdl_status hub_files_look(hub_files *files, const hub_cache *cache, const char *commit,
                          cdl_hub_kind kind, bool only_there)
{
  const look l = {files, cache, commit, only_there};
  *files = (hub_files){0};
  switch (kind) {
  case CDL_HUB_MODEL:
    return look_for_model(&l);
  case CDL_HUB_ADAPTER:
    return look_for_adapter(&l);
  case CDL_HUB_TOKENIZER:
    CDL_TRY(need(&l, model_config));
    return want_tokenizer(&l, true);
  default:
    return look_for_any(&l);
  }
}

void hub_files_release(hub_files *files)
{
  free(files->unknown.name);
  *files = (hub_files){0};
}

const char *hub_files_first(cdl_hub_kind kind)
{
  return kind == CDL_HUB_ANY || kind == CDL_HUB_ADAPTER ? adapter_config : model_config;
}

bool hub_files_is_large(const char *file)
{
  const char *ending = strrchr(file, '.');
  return ending != NULL && (strcmp(ending, ".safetensors") == 0 || strcmp(ending, ".bin") == 0);
}
