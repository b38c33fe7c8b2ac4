#include "model/adapter_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/file.h"

/* What PEFT puts before every name. */
#define FILE_PREFIX "base_model.model."
enum { FILE_NAME_BYTES = CDL_NAME_BYTES + sizeof FILE_PREFIX };

static size_t elements_of(const cdl_parameter *p)
{
  return (size_t)cdl_elements(p->value);
}

cdl_status cdl_snapshot_create(const cdl_adapter *adapter, cdl_snapshot *snapshot)
{
  *snapshot = (cdl_snapshot){0};
  for (size_t i = 0; i < cdl_adapter_parameter_count(adapter); i++)
    snapshot->count += elements_of(cdl_adapter_parameter(adapter, i));
  snapshot->values = calloc(snapshot->count + 1, sizeof *snapshot->values);
  if (snapshot->values == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: a copy of %zu trained numbers", snapshot->count);
  return CDL_OK;
}

void cdl_snapshot_release(cdl_snapshot *snapshot)
{
  free(snapshot->values);
  *snapshot = (cdl_snapshot){0};
}

cdl_status cdl_snapshot_take(cdl_snapshot *snapshot, const cdl_adapter *adapter, cdl_queue *queue)
{
  float *next = snapshot->values;
  for (size_t i = 0; i < cdl_adapter_parameter_count(adapter); i++) {
    const cdl_parameter *p = cdl_adapter_parameter(adapter, i);
    cdl_download(queue, next, p->value, elements_of(p) * sizeof *next);
    next += elements_of(p);
  }
  return cdl_sync(queue);
}

void cdl_snapshot_restore(const cdl_snapshot *snapshot, cdl_adapter *adapter, cdl_queue *queue)
{
  const float *next = snapshot->values;
  for (size_t i = 0; i < cdl_adapter_parameter_count(adapter); i++) {
    const cdl_parameter *p = cdl_adapter_parameter(adapter, i);
    cdl_upload(queue, p->value, next, elements_of(p) * sizeof *next);
    next += elements_of(p);
  }
  cdl_adapter_materialize(adapter, queue);
}

static cdl_stored_tensor stored(const cdl_parameter *p, const char *name, const float *values)
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

cdl_status cdl_adapter_write(const cdl_adapter *adapter, const cdl_snapshot *snapshot,
                             const char *folder, const cdl_adapter_config *config)
{
  const size_t count = cdl_adapter_parameter_count(adapter);
  cdl_stored_tensor *tensors = calloc(count + 1, sizeof *tensors);
  char(*names)[FILE_NAME_BYTES] = calloc(count + 1, sizeof *names);
  if (tensors == NULL || names == NULL) {
    free(names);
    free(tensors);
    return cdl_fail(CDL_MEMORY, "%s: out of memory", folder);
  }
  const float *next = snapshot->values;
  for (size_t i = 0; i < count; i++) {
    const cdl_parameter *p = cdl_adapter_parameter(adapter, i);
    snprintf(names[i], sizeof names[i], FILE_PREFIX "%s", p->name);
    tensors[i] = stored(p, names[i], next);
    next += elements_of(p);
  }
  const cdl_status status = cdl_adapter_folder_write(folder, config, tensors, count);
  free(names);
  free(tensors);
  return status;
}

static cdl_status read_values(cdl_adapter *adapter, cdl_queue *queue, const char *folder,
                              const cdl_safetensors *tensors, cdl_snapshot *snapshot)
{
  const size_t count = cdl_adapter_parameter_count(adapter);
  float *next = snapshot->values;
  for (size_t i = 0; i < count; i++) {
    const cdl_parameter *p = cdl_adapter_parameter(adapter, i);
    char name[FILE_NAME_BYTES];
    snprintf(name, sizeof name, FILE_PREFIX "%s", p->name);
    const cdl_stored_tensor *t = cdl_safetensors_find(tensors, name);
    if (t == NULL)
      return cdl_fail(CDL_DATA, "%s: the adapter has no tensor %s; is it for another model?",
                      folder, name);
    const cdl_stored_tensor wanted = stored(p, name, next);
    CDL_TRY(cdl_safetensors_read(tensors, t, wanted.rank, wanted.shape, next));
    next += elements_of(p);
  }
  if (cdl_safetensors_count(tensors) != count)
    for (size_t i = 0; i < cdl_safetensors_count(tensors); i++) {
      const char *name = cdl_safetensors_at(tensors, i)->name;
      bool known = false;
      const char *inner =
          strncmp(name, FILE_PREFIX, strlen(FILE_PREFIX)) == 0 ? name + strlen(FILE_PREFIX) : "";
      for (size_t j = 0; j < count && !known; j++)
        known = strcmp(inner, cdl_adapter_parameter(adapter, j)->name) == 0;
      if (!known)
        return cdl_fail(CDL_DATA,
                        "%s: tensor %s has no place in this model under the adapter's settings",
                        folder, name);
    }
  cdl_snapshot_restore(snapshot, adapter, queue);
  return cdl_queue_status(queue);
}

cdl_status cdl_adapter_read(cdl_adapter *adapter, cdl_queue *queue, const char *folder,
                            const cdl_safetensors *tensors)
{
  cdl_snapshot snapshot;
  CDL_TRY(cdl_snapshot_create(adapter, &snapshot));
  const cdl_status status = read_values(adapter, queue, folder, tensors, &snapshot);
  cdl_snapshot_release(&snapshot);
  return status;
}

/* ---- A whole model ---- */

static cdl_status copy_file(const char *from_folder, const char *to_folder, const char *name)
{
  char *from = cdl_path_join(from_folder, name), *to = cdl_path_join(to_folder, name);
  cdl_mapping mapping;
  cdl_output *output;
  cdl_status status =
      from == NULL || to == NULL ? cdl_fail(CDL_MEMORY, "%s: out of memory", name) : CDL_OK;
  if (status == CDL_OK && cdl_file_exists(from)) {
    status = cdl_file_map(from, &mapping);
    if (status == CDL_OK) {
      status = cdl_output_begin(to, &output);
      if (status == CDL_OK) {
        cdl_output_write(output, mapping.data, mapping.size);
        status = cdl_output_commit(output);
      }
      cdl_file_unmap(&mapping);
    }
  }
  free(from);
  free(to);
  return status;
}

static cdl_status write_weights(cdl_encoder *encoder, cdl_queue *queue, const char *path)
{
  const size_t count = cdl_encoder_parameter_count(encoder);
  const cdl_parameter *parameters = cdl_encoder_parameters(encoder);
  size_t total = 0;
  for (size_t i = 0; i < count; i++)
    total += elements_of(&parameters[i]);
  float *values = malloc((total + 1) * sizeof *values);
  cdl_stored_tensor *tensors = calloc(count + 1, sizeof *tensors);
  if (values == NULL || tensors == NULL) {
    free(tensors);
    free(values);
    return cdl_fail(CDL_MEMORY, "%s: out of memory", path);
  }
  float *next = values;
  for (size_t i = 0; i < count; i++) {
    cdl_download(queue, next, parameters[i].value, elements_of(&parameters[i]) * sizeof *next);
    tensors[i] = stored(&parameters[i], parameters[i].name, next);
    next += elements_of(&parameters[i]);
  }
  cdl_status status = cdl_sync(queue);
  if (status == CDL_OK) {
    const cdl_metadata format = {"format", "pt"};
    status = cdl_safetensors_write(path, tensors, count, &format, 1);
  }
  free(tensors);
  free(values);
  return status;
}

cdl_status cdl_model_write(cdl_encoder *encoder, cdl_queue *queue, const char *base_folder,
                           const char *folder, const char *const *labels, cdl_problem problem)
{
  static const char *const tokenizer_files[] = {"tokenizer.json",
                                                "tokenizer_config.json",
                                                "special_tokens_map.json",
                                                "added_tokens.json",
                                                "vocab.json",
                                                "merges.txt",
                                                "vocab.txt"};
  CDL_TRY(cdl_folder_make(folder));
  for (size_t i = 0; i < sizeof tokenizer_files / sizeof tokenizer_files[0]; i++)
    CDL_TRY(copy_file(base_folder, folder, tokenizer_files[i]));
  char *config = cdl_path_join(folder, "config.json"),
       *weights = cdl_path_join(folder, "model.safetensors");
  cdl_status status = config == NULL || weights == NULL
                          ? cdl_fail(CDL_MEMORY, "%s: out of memory", folder)
                          : CDL_OK;
  if (status == CDL_OK)
    status = write_weights(encoder, queue, weights);
  if (status == CDL_OK)
    status =
        cdl_model_config_write(base_folder, config, cdl_encoder_labels(encoder), labels, problem);
  free(config);
  free(weights);
  return status;
}
