#include "model/export/adapter_export.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/adapter/io.h"
#include "model/adapter/state.h"

enum { NAME_BYTES = MODEL_NAME_BYTES + 64 };
static const char magnitude_ending[] = ".lora_magnitude_vector";

typedef struct {
  const model_adapter *adapter;
  cdl_queue *queue;
  adapter_config config; /* of the LoRA; its own lists alone are to be freed */
  cdl_stored_tensor *tensors;
  char (*names)[NAME_BYTES];
  float *values;
  cdl_buffer *dense;  /* as large as the largest factor */
  size_t count, used; /* tensors, floats of `values` */
} exported;

/* ---- What can be held ---- */

static bool is_magnitude(const encoder_parameter *p)
{
  const size_t length = strlen(p->name), ending = sizeof magnitude_ending - 1;
  return length > ending && strcmp(p->name + length - ending, magnitude_ending) == 0;
}

static cdl_status check(const model_adapter *a, const adapter_config *config)
{
  if (a->method->attach == NULL)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "an adapter of method %s has no A and B, which LoRA consists of",
                    a->method->name);
  if (config->settings.init == ADAPTER_INIT_PISSA || config->settings.init == ADAPTER_INIT_OLORA)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "the adapter's initial values have changed the base (init_lora_weights); PEFT "
                    "reads it as it is");
  for (size_t i = 0; i < a->module_count; i++)
    if (cdl_tensor_present(a->modules[i]->delta.pair.value))
      return cdl_fail(CDL_STATUS_UNSUPPORTED,
                      "use_x type2 multiplies tokens with each other: no LoRA holds it");
  return CDL_STATUS_OK;
}

/* PEFT wants a target. Where no layer has A and B, that is one of the encoder's, with zeros. */
static bool is_empty(const model_adapter *a)
{
  for (size_t i = 0; i < a->module_count; i++)
    if (cdl_tensor_present(a->modules[i]->delta.low_rank.a))
      return false;
  return true;
}

static bool is_trained_whole(const model_adapter *a, const encoder_module *module)
{
  const size_t n = strlen(module->path);
  for (size_t i = 0; i < a->trained_count; i++) {
    const char *name = adapter_parameter(a, i)->name;
    if (strncmp(name, module->path, n) == 0 && strcmp(name + n, ".weight") == 0)
      return true;
  }
  return false;
}

/* A target within a saved module would be none: the first that is not trained whole. */
static const encoder_module *stand_in(const model_adapter *a)
{
  const encoder_module *modules = encoder_modules(a->encoder);
  for (size_t i = 0; i < encoder_module_count(a->encoder); i++)
    if (!is_trained_whole(a, &modules[i]))
      return &modules[i];
  return &modules[0];
}

/* The bias of the layer that stands in is wrapped as that of any target. */
static void name_parameter(const model_adapter *a, const encoder_parameter *p, char *name)
{
  const char *path = is_empty(a) ? stand_in(a)->path : "";
  const size_t n = strlen(path);
  adapter_name_in_file(a, p, name, NAME_BYTES);
  if (n > 0 && strncmp(p->name, path, n) == 0 && strcmp(p->name + n, ".bias") == 0)
    snprintf(name, NAME_BYTES, "base_model.model.%s.base_layer.bias", path);
}

/* ---- Settings ---- */

static cdl_status add_target(adapter_settings *s, const char *path)
{
  return base_list_add(&s->targets, path, strlen(path))
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_MEMORY, "out of memory: a name");
}

/* A path is its own pattern but for dots, which match themselves too. */
static cdl_status add_value(adapter_module_values *values, const char *path, double value)
{
  return adapter_module_values_add(values, path, strlen(path), value);
}

/* Every adapted layer by its whole path. PEFT's scale is alpha / rank; of the layers that differ
 * from the first, rank and alpha are in patterns. */
static cdl_status set_modules(exported *e)
{
  const model_adapter *a = e->adapter;
  adapter_settings *s = &e->config.settings;
  s->rank = 0;
  for (size_t i = 0; i < a->module_count; i++) {
    const encoder_low_rank_term *delta = &a->modules[i]->delta.low_rank;
    if (!cdl_tensor_present(delta->a))
      continue;
    const char *path = a->modules[i]->path;
    const int64_t rank = delta->a.size[2];
    const double alpha = (double)delta->scale * (double)rank;
    if (s->rank == 0) {
      s->rank = rank;
      s->alpha = alpha;
    }
    CDL_TRY(add_target(s, path));
    if (rank != s->rank)
      CDL_TRY(add_value(&s->rank_pattern, path, (double)rank));
    if (alpha != s->alpha)
      CDL_TRY(add_value(&s->alpha_pattern, path, alpha));
  }
  if (!is_empty(a))
    return CDL_STATUS_OK;
  s->rank = 1;
  s->alpha = 1;
  return add_target(s, stand_in(a)->path);
}

/* Of LoRA's options PEFT knows DoRA. */
static void set_dora(adapter_settings *s, bool dora)
{
  size_t count;
  const base_option *options = adapter_options("lora", &count);
  for (size_t i = 0; i < count; i++)
    if (strcmp(options[i].name, "use_dora") == 0)
      s->options[i] = (double)dora;
}

/* What does not depend on the layers; strings and lists are the given config's. */
static adapter_config lora_config(const adapter_config *given)
{
  adapter_config c = *given;
  c.settings = adapter_settings_of("lora");
  c.settings.dropout = given->settings.dropout;
  c.settings.bias = given->settings.bias;
  return c;
}

/* ---- Tensors ---- */

static void add_tensor(exported *e, cdl_tensor value, int dimensions)
{
  float *values = e->values + e->used;
  cdl_queue_download(e->queue, values, value, (size_t)cdl_tensor_elements(value) * sizeof *values);
  e->used += (size_t)cdl_tensor_elements(value);
  cdl_stored_tensor *t = &e->tensors[e->count];
  *t = (cdl_stored_tensor){.name = e->names[e->count],
                           .type = CDL_STORED_F32,
                           .rank = (uint32_t)dimensions,
                           .data = values};
  t->shape[0] = value.size[dimensions == 2 ? 2 : 3];
  t->shape[1] = dimensions == 2 ? value.size[3] : 0;
  e->count++;
}

/* A lower rank's A and B are parts of wider matrices. */
static void add_factor(exported *e, cdl_tensor factor, const char *path, char letter)
{
  const cdl_tensor dense =
      cdl_tensor_2d(e->dense, CDL_DTYPE_F32, 0, factor.size[2], factor.size[3]);
  snprintf(e->names[e->count], NAME_BYTES, ADAPTER_PREFIX "%s.lora_%c.weight", path, letter);
  cdl_copy(e->queue, CDL_ARGS(copy, .out = dense, .x = factor));
  add_tensor(e, dense, 2);
}

static void add_zeros(exported *e, const char *path, char letter, int64_t rows, int64_t columns)
{
  float *values = e->values + e->used;
  cdl_stored_tensor *t = &e->tensors[e->count];
  snprintf(e->names[e->count], NAME_BYTES, ADAPTER_PREFIX "%s.lora_%c.weight", path, letter);
  for (int64_t i = 0; i < rows * columns; i++)
    values[i] = 0;
  *t = (cdl_stored_tensor){.name = e->names[e->count],
                           .type = CDL_STORED_F32,
                           .rank = 2,
                           .shape = {rows, columns},
                           .data = values};
  e->used += (size_t)(rows * columns);
  e->count++;
}

static cdl_status take_tensors(exported *e)
{
  const model_adapter *a = e->adapter;
  const encoder_module *first = stand_in(a);
  if (is_empty(a)) {
    add_zeros(e, first->path, 'A', 1, first->weight.size[3]);
    add_zeros(e, first->path, 'B', first->weight.size[2], 1);
  }
  for (size_t i = 0; i < a->module_count; i++) {
    const encoder_low_rank_term *delta = &a->modules[i]->delta.low_rank;
    if (!cdl_tensor_present(delta->a))
      continue;
    add_factor(e, delta->a, a->modules[i]->path, 'A');
    add_factor(e, delta->b, a->modules[i]->path, 'B');
  }
  for (size_t i = 0; i < a->trained_count; i++) {
    const encoder_parameter *p = adapter_parameter(a, i);
    if (i < a->own_count && !is_magnitude(p))
      continue;
    name_parameter(a, p, e->names[e->count]);
    add_tensor(e, p->value, p->dimensions);
  }
  return cdl_queue_sync(e->queue);
}

static cdl_status make_room(exported *e)
{
  const model_adapter *a = e->adapter;
  const encoder_module *first = stand_in(a);
  size_t floats = (size_t)(first->weight.size[2] + first->weight.size[3]), largest = 1;
  for (size_t i = 0; i < a->module_count; i++) {
    const encoder_low_rank_term *delta = &a->modules[i]->delta.low_rank;
    if (!cdl_tensor_present(delta->a))
      continue;
    const size_t down = (size_t)cdl_tensor_elements(delta->a),
                 up = (size_t)cdl_tensor_elements(delta->b);
    floats += down + up;
    largest = down > largest ? down : largest;
    largest = up > largest ? up : largest;
  }
  for (size_t i = 0; i < a->trained_count; i++)
    floats += (size_t)cdl_tensor_elements(adapter_parameter(a, i)->value);
  const size_t most = 2 * a->module_count + a->trained_count + 3;
  e->values = malloc((floats + 1) * sizeof *e->values);
  e->tensors = calloc(most, sizeof *e->tensors);
  e->names = calloc(most, sizeof *e->names);
  if (e->values == NULL || e->tensors == NULL || e->names == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu floats", floats);
  return cdl_buffer_create(cdl_queue_backend(e->queue), largest * sizeof(float), &e->dense);
}

/* ---- The whole ---- */

static cdl_status export_to(exported *e, const char *folder)
{
  const model_adapter *a = e->adapter;
  bool dora = false;
  for (size_t i = 0; i < a->own_count; i++)
    dora = dora || is_magnitude(&a->own_parameters[i]);
  set_dora(&e->config.settings, dora);
  CDL_TRY(set_modules(e));
  CDL_TRY(make_room(e));
  CDL_TRY(take_tensors(e));
  return adapter_folder_write(folder, &e->config, e->tensors, e->count);
}

cdl_status export_adapter(model_adapter *adapter, cdl_queue *queue, const char *folder,
                          const adapter_config *config)
{
  CDL_TRY(check(adapter, config));
  exported e = {.adapter = adapter, .queue = queue, .config = lora_config(config)};
  cdl_status status = adapter_saved_modules(adapter, &config->settings.modules_to_save,
                                            &e.config.settings.modules_to_save);
  if (status == CDL_STATUS_OK)
    status = export_to(&e, folder);
  base_list_release(&e.config.settings.modules_to_save);
  base_list_release(&e.config.settings.targets);
  adapter_module_values_release(&e.config.settings.rank_pattern);
  adapter_module_values_release(&e.config.settings.alpha_pattern);
  cdl_buffer_destroy(e.dense);
  free(e.values);
  free(e.tensors);
  free(e.names);
  return status;
}
