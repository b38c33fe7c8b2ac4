#include "model/adapter/io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "condlora/log.h"
#include "model/adapter/fold.h"
#include "model/adapter/state.h"
#include "model/files/checkpoint.h"
#include "model/hub/files.h"

enum { FILE_NAME_BYTES = MODEL_NAME_BYTES + sizeof ADAPTER_PREFIX + sizeof ".base_layer" };

typedef struct {
  char text[FILE_NAME_BYTES];
} file_name;

static size_t elements_of(const encoder_parameter *p)
{
  return (size_t)cdl_tensor_elements(p->value);
}

/* Returns a tensor of the method's state, or after those a frozen matrix. */
static cdl_tensor state_tensor(const model_adapter *adapter, size_t index)
{
  /* The method returns tensors that can be written; taking a snapshot only reads them. */
  model_adapter *a = (model_adapter *)(uintptr_t)adapter;
  size_t states = 0;
  for (; a->method->state != NULL; states++) {
    const cdl_tensor t = a->method->state(a, states);
    if (!cdl_tensor_present(t))
      break;
    if (states == index)
      return t;
  }
  return index - states < a->frozen_count ? a->frozen[index - states].value : (cdl_tensor){0};
}

/* Returns the place of the frozen matrices in a snapshot. */
static float *frozen_values(const model_adapter *a, const adapter_snapshot *snapshot)
{
  float *values = snapshot->state + snapshot->state_count;
  for (size_t i = 0; i < a->frozen_count; i++)
    values -= cdl_tensor_elements(a->frozen[i].value);
  return values;
}

cdl_status adapter_snapshot_create(const model_adapter *adapter, adapter_snapshot *snapshot)
{
  *snapshot = (adapter_snapshot){0};
  for (size_t i = 0; i < adapter_parameter_count(adapter); i++)
    snapshot->count += elements_of(adapter_parameter(adapter, i));
  for (size_t i = 0; cdl_tensor_present(state_tensor(adapter, i)); i++)
    snapshot->state_count += (size_t)cdl_tensor_elements(state_tensor(adapter, i));
  snapshot->values = calloc(snapshot->count + snapshot->state_count + 1, sizeof *snapshot->values);
  if (snapshot->values == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a copy of %zu trainable parameters",
                    snapshot->count);
  snapshot->state = snapshot->values + snapshot->count;
  return CDL_STATUS_OK;
}

void adapter_snapshot_release(adapter_snapshot *snapshot)
{
  free(snapshot->values);
  *snapshot = (adapter_snapshot){0};
}

cdl_status adapter_snapshot_take(adapter_snapshot *snapshot, const model_adapter *adapter,
                                 cdl_queue *queue)
{
  float *next = snapshot->values;
  for (size_t i = 0; i < adapter_parameter_count(adapter); i++) {
    const encoder_parameter *p = adapter_parameter(adapter, i);
    cdl_queue_download(queue, next, p->value, elements_of(p) * sizeof *next);
    next += elements_of(p);
  }
  for (size_t i = 0; cdl_tensor_present(state_tensor(adapter, i)); i++) {
    const cdl_tensor t = state_tensor(adapter, i);
    cdl_queue_download(queue, next, t, (size_t)cdl_tensor_elements(t) * sizeof *next);
    next += cdl_tensor_elements(t);
  }
  return cdl_queue_sync(queue);
}

cdl_status adapter_snapshot_restore(const adapter_snapshot *snapshot, model_adapter *adapter,
                                    cdl_queue *queue)
{
  const float *next = snapshot->values;
  for (size_t i = 0; i < adapter_parameter_count(adapter); i++) {
    const encoder_parameter *p = adapter_parameter(adapter, i);
    cdl_queue_upload(queue, p->value, next, elements_of(p) * sizeof *next);
    next += elements_of(p);
  }
  for (size_t i = 0; cdl_tensor_present(state_tensor(adapter, i)); i++) {
    const cdl_tensor t = state_tensor(adapter, i);
    cdl_queue_upload(queue, t, next, (size_t)cdl_tensor_elements(t) * sizeof *next);
    next += cdl_tensor_elements(t);
  }
  if (adapter->method->restored != NULL)
    CDL_TRY(adapter->method->restored(adapter, queue));
  adapter_materialize(adapter, queue);
  return cdl_queue_status(queue);
}

static cdl_stored_tensor stored(const encoder_parameter *p, const char *name, const float *values)
{
  cdl_stored_tensor t = {
      .name = name, .type = CDL_STORED_F32, .rank = (uint32_t)p->dimensions, .data = values};
  if (p->dimensions == 2) {
    t.shape[0] = p->value.size[2];
    t.shape[1] = p->value.size[3];
  } else
    t.shape[0] = p->value.size[3];
  return t;
}

/* PEFT wraps adapted layers: the layer's own tensors are then called base_layer. */
void adapter_name_in_file(const model_adapter *adapter, const encoder_parameter *p, char *name,
                          size_t bytes)
{
  snprintf(name, bytes, ADAPTER_PREFIX "%s", p->name);
  for (size_t i = 0; i < adapter_module_count(adapter); i++) {
    const char *path = adapter_module_at(adapter, i).path;
    const size_t n = strlen(path);
    if (strncmp(p->name, path, n) == 0 && strcmp(p->name + n, ".bias") == 0)
      snprintf(name, bytes, ADAPTER_PREFIX "%s.base_layer.bias", path);
  }
}

static file_name name_in_file(const model_adapter *adapter, const encoder_parameter *p)
{
  file_name name;
  adapter_name_in_file(adapter, p, name.text, sizeof name.text);
  return name;
}

static bool in_base_layer(const char *name)
{
  return strstr(name, ".base_layer.bias") != NULL;
}

/* ---- Writing ---- */

typedef struct {
  cdl_stored_tensor *tensors; /* [count] */
  file_name *names;
  stored_values *replaced; /* tensors that the method stores instead of parameters */
  size_t parameters, count;
} adapter_tensors;

static void collect_frozen(const model_adapter *a, const adapter_snapshot *snapshot,
                           adapter_tensors *t)
{
  const float *next = frozen_values(a, snapshot);
  for (size_t i = 0; i < a->frozen_count; i++) {
    const cdl_tensor f = a->frozen[i].value;
    t->tensors[t->parameters + i] = (cdl_stored_tensor){.name = a->frozen[i].name,
                                                        .type = CDL_STORED_F32,
                                                        .rank = 2,
                                                        .shape = {f.size[2], f.size[3]},
                                                        .data = next};
    next += cdl_tensor_elements(f);
  }
}

static cdl_status collect_tensors(const model_adapter *a, const adapter_snapshot *snapshot,
                                  adapter_tensors *t)
{
  const float *next = snapshot->values;
  collect_frozen(a, snapshot, t);
  for (size_t i = 0; i < t->parameters; i++) {
    const encoder_parameter *p = adapter_parameter(a, i);
    t->names[i] = name_in_file(a, p);
    t->tensors[i] = stored(p, t->names[i].text, next);
    next += elements_of(p);
    if (i < a->own_count && a->method->store != NULL) {
      stored_values *r = &t->replaced[i];
      CDL_TRY(a->method->store(a, snapshot, i, r));
      if (r->values != NULL) {
        t->tensors[i].data = r->values;
        t->tensors[i].shape[0] = r->rows;
        t->tensors[i].shape[1] = r->columns;
      }
    }
  }
  return CDL_STATUS_OK;
}

static cdl_status write_with_extra(const model_adapter *a, const adapter_snapshot *snapshot,
                                   const char *folder, const adapter_config *config,
                                   const adapter_tensors *t)
{
  adapter_config written = *config;
  json_t *extra = NULL;
  cdl_status status = adapter_saved_modules(a, &config->settings.modules_to_save,
                                            &written.settings.modules_to_save);
  if (status == CDL_STATUS_OK && a->method->config_extra != NULL) {
    written.settings.config_extra = extra = a->method->config_extra(a, snapshot);
    if (extra == NULL)
      status = cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  }
  if (status == CDL_STATUS_OK)
    status = adapter_folder_write(folder, &written, t->tensors, t->count);
  base_list_release(&written.settings.modules_to_save);
  json_decref(extra);
  return status;
}

cdl_status adapter_write(const model_adapter *adapter, const adapter_snapshot *snapshot,
                         const char *folder, const adapter_config *config)
{
  const size_t parameters = adapter_parameter_count(adapter),
               count = parameters + adapter->frozen_count;
  adapter_tensors t = {.tensors = calloc(count + 1, sizeof *t.tensors),
                       .names = calloc(count + 1, sizeof *t.names),
                       .replaced = calloc(count + 1, sizeof *t.replaced),
                       .parameters = parameters,
                       .count = count};
  cdl_status status = CDL_STATUS_OK;
  if (t.tensors == NULL || t.names == NULL || t.replaced == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  if (status == CDL_STATUS_OK)
    status = collect_tensors(adapter, snapshot, &t);
  if (status == CDL_STATUS_OK)
    status = write_with_extra(adapter, snapshot, folder, config, &t);
  for (size_t i = 0; t.replaced != NULL && i < count; i++)
    free(t.replaced[i].values);
  free(t.replaced);
  free(t.names);
  free(t.tensors);
  return status;
}

/* ---- Reading ---- */

/* Extra tensors that PEFT writes with bias "all": the head's original bias, and a second copy. */
static bool is_repeated(const char *name)
{
  return strstr(name, ".original_module.") != NULL || strstr(name, ".modules_to_save.") != NULL;
}

/* Buffers of modules in older versions of Transformers. */
static bool is_buffer(const char *name)
{
  static const char *const names[] = {"position_ids", "token_type_ids"};
  const char *last = strrchr(name, '.');
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (last != NULL && strcmp(last + 1, names[i]) == 0)
      return true;
  return false;
}

static bool is_frozen(const model_adapter *adapter, const char *name)
{
  for (size_t i = 0; i < adapter->frozen_count; i++)
    if (strcmp(adapter->frozen[i].name, name) == 0)
      return true;
  return false;
}

static cdl_status refuse_others(const model_adapter *adapter, const char *folder)
{
  const cdl_safetensors *tensors = adapter->stored;
  for (size_t i = 0; i < cdl_safetensors_count(tensors); i++) {
    const char *name = cdl_safetensors_get(tensors, i)->name;
    bool known = is_repeated(name) || is_buffer(name) || adapter_folds(adapter, name) ||
                 is_frozen(adapter, name);
    for (size_t j = 0; j < adapter_parameter_count(adapter) && !known; j++)
      known =
          adapter_stored(adapter, adapter_parameter(adapter, j)) == cdl_safetensors_get(tensors, i);
    if (!known)
      return cdl_fail(CDL_STATUS_DATA,
                      "%s: tensor %s has no place in this model under the adapter's settings",
                      folder, name);
  }
  return CDL_STATUS_OK;
}

/* Tensors that are missing in a folder. They are an error unless PEFT leaves them to the model. */
typedef struct {
  const char *folder;
  bool has_biases;   /* of adapted layers; then it has all of them */
  bool biases, head; /* whether some of them were missing */
} reading;

static cdl_status leave_missing(reading *r, const model_adapter *adapter,
                                const encoder_parameter *p)
{
  const file_name name = name_in_file(adapter, p);
  if (model_checkpoint_is_head(p->name) && !adapter_says_saved(adapter, p->name))
    r->head = true;
  else if (in_base_layer(name.text) && !r->has_biases)
    r->biases = true;
  else
    return cdl_fail(CDL_STATUS_DATA, "%s: the adapter has no tensor %s; is it for another model?",
                    r->folder, name.text);
  return CDL_STATUS_OK;
}

static void report_missing(const reading *r)
{
  if (r->biases)
    cdl_log(CDL_LOG_NOTICE,
            "%s: the biases of adapted layers are not in the adapter: those of the model stay",
            r->folder);
  if (r->head)
    cdl_log(CDL_LOG_NOTICE, "%s: the adapter does not hold the whole head: the model's own is used",
            r->folder);
}

static cdl_status read_frozen(const model_adapter *adapter, const char *folder, float *values)
{
  for (size_t i = 0; i < adapter->frozen_count; i++) {
    const adapter_frozen *f = &adapter->frozen[i];
    const cdl_stored_tensor *t = adapter_stored_frozen(adapter, i);
    const int64_t shape[] = {f->value.size[2], f->value.size[3]};
    if (t != NULL)
      CDL_TRY(cdl_safetensors_read(adapter->stored, t, 2, shape, values));
    else if (adapter->method->draw_frozen == NULL)
      return cdl_fail(CDL_STATUS_DATA, "%s: the adapter has no tensor %s; is it for another model?",
                      folder, f->name);
    values += cdl_tensor_elements(f->value);
  }
  return CDL_STATUS_OK;
}

static cdl_status read_values(model_adapter *adapter, cdl_queue *queue, const char *folder,
                              adapter_snapshot *snapshot)
{
  const cdl_safetensors *tensors = adapter->stored;
  reading r = {.folder = folder};
  for (size_t i = 0; i < cdl_safetensors_count(tensors) && !r.has_biases; i++)
    r.has_biases = in_base_layer(cdl_safetensors_get(tensors, i)->name);
  CDL_TRY(
      /* tensors that are not in the folder keep their values */
      adapter_snapshot_take(snapshot, adapter, queue));
  float *next = snapshot->values;
  for (size_t i = 0; i < adapter_parameter_count(adapter); i++) {
    const encoder_parameter *p = adapter_parameter(adapter, i);
    const cdl_stored_tensor *t = adapter_stored(adapter, p);
    if (t != NULL) {
      const cdl_stored_tensor wanted = stored(p, p->name, next);
      CDL_TRY(cdl_safetensors_read(tensors, t, wanted.rank, wanted.shape, next));
    } else if (!adapter_holds(adapter, p))
      CDL_TRY(leave_missing(&r, adapter, p));
    CDL_TRY(adapter_fold(adapter, folder, p, next));
    next += elements_of(p);
  }
  CDL_TRY(read_frozen(adapter, folder, frozen_values(adapter, snapshot)));
  CDL_TRY(refuse_others(adapter, folder));
  report_missing(&r);
  return adapter_snapshot_restore(snapshot, adapter, queue);
}

cdl_status adapter_create_stored(cdl_queue *queue, model_encoder *encoder,
                                 const adapter_settings *settings, const adapter_config *source,
                                 const cdl_safetensors *stored, model_adapter **adapter)
{
  return adapter_create_from(queue, encoder, settings, source, stored, adapter);
}

cdl_status adapter_read(model_adapter *adapter, cdl_queue *queue, const char *folder)
{
  adapter_snapshot snapshot;
  CDL_TRY(adapter_snapshot_create(adapter, &snapshot));
  const cdl_status status = read_values(adapter, queue, folder, &snapshot);
  adapter_snapshot_release(&snapshot);
  adapter->source = NULL;
  adapter->stored = NULL;
  return status;
}

/* ---- A whole model ---- */

static cdl_status copy_file(const char *from_folder, const char *to_folder, const char *name)
{
  char *from = base_path_join(from_folder, name), *to = base_path_join(to_folder, name);
  base_mapping mapping;
  base_output *output;
  cdl_status status = from == NULL || to == NULL
                          ? cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", name)
                          : CDL_STATUS_OK;
  if (status == CDL_STATUS_OK && base_file_exists(from)) {
    status = base_file_map(from, &mapping);
    if (status == CDL_STATUS_OK) {
      status = base_output_begin(to, &output);
      if (status == CDL_STATUS_OK) {
        base_output_write(output, mapping.data, mapping.size);
        status = base_output_commit(output);
      }
      base_file_unmap(&mapping);
    }
  }
  free(from);
  free(to);
  return status;
}

static cdl_status write_weights(model_encoder *encoder, cdl_queue *queue, const char *path)
{
  const size_t count = encoder_parameter_count(encoder);
  const encoder_parameter *parameters = encoder_parameters(encoder);
  size_t total = 0;
  for (size_t i = 0; i < count; i++)
    total += elements_of(&parameters[i]);
  float *values = malloc((total + 1) * sizeof *values);
  cdl_stored_tensor *tensors = calloc(count + 1, sizeof *tensors);
  if (values == NULL || tensors == NULL) {
    free(tensors);
    free(values);
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  }
  float *next = values;
  for (size_t i = 0; i < count; i++) {
    cdl_queue_download(queue, next, parameters[i].value,
                       elements_of(&parameters[i]) * sizeof *next);
    tensors[i] = stored(&parameters[i], parameters[i].name, next);
    next += elements_of(&parameters[i]);
  }
  cdl_status status = cdl_queue_sync(queue);
  if (status == CDL_STATUS_OK) {
    const cdl_metadata format = {"format", "pt"};
    status = cdl_safetensors_write(path, tensors, count, &format, 1);
  }
  free(tensors);
  free(values);
  return status;
}

cdl_status adapter_tokenizer_files_copy(const char *from_folder, const char *folder)
{
  for (const char *const *name = hub_tokenizer_files; *name != NULL; name++)
    CDL_TRY(copy_file(from_folder, folder, *name));
  return CDL_STATUS_OK;
}

/* Writes the base's config.json, with the vocabulary size, which an adapter may have changed. */
static cdl_status write_config(const model_encoder *encoder, const adapter_model_origin *o,
                               const char *path)
{
  model_config base;
  json_t *object;
  CDL_TRY(model_config_write(o->base, path, encoder_labels(encoder), o->labels, o->problem));
  CDL_TRY(model_config_read(path, &base));
  const int64_t words = encoder_config(encoder)->vocabulary_size, before = base.vocabulary_size;
  model_config_release(&base);
  if (words == before)
    return CDL_STATUS_OK;
  CDL_TRY(base_json_read(path, &object));
  cdl_status status = json_object_set_new(object, "vocab_size", json_integer(words)) == 0
                          ? base_json_write(path, object)
                          : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  json_decref(object);
  return status;
}

cdl_status adapter_model_write_settings(const model_encoder *encoder,
                                        const adapter_model_origin *origin, const char *folder)
{
  CDL_TRY(base_folder_make(folder));
  CDL_TRY(adapter_tokenizer_files_copy(origin->tokenizer, folder));
  char *config = base_path_join(folder, "config.json");
  const cdl_status status = config != NULL
                                ? write_config(encoder, origin, config)
                                : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  free(config);
  return status;
}

cdl_status adapter_model_write(model_encoder *encoder, cdl_queue *queue,
                               const adapter_model_origin *origin, const char *folder)
{
  CDL_TRY(adapter_model_write_settings(encoder, origin, folder));
  char *weights = base_path_join(folder, "model.safetensors");
  const cdl_status status = weights != NULL
                                ? write_weights(encoder, queue, weights)
                                : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  free(weights);
  return status;
}
