#include "model/inference/inference.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/log.h"
#include "model/hub/resolve.h"
#include "model/inference/adapted.h"
#include "model/inference/base.h"
#include "model/inference/columns.h"
#include "model/inference/evaluation.h"

/* ---- Parts ---- */

cdl_status inference_example_length(const model_config *config, int64_t wanted, size_t *length)
{
  enum { DEFAULT_LENGTH = 512 };
  const int64_t usable = model_config_max_tokens(config);
  if (wanted > usable)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--max-length %" PRId64 " is above what the model can take, %" PRId64 " tokens",
                    wanted, usable);
  *length = (size_t)(wanted > 0 ? wanted : usable < DEFAULT_LENGTH ? usable : DEFAULT_LENGTH);
  return CDL_STATUS_OK;
}

cdl_status inference_find_length(inference_model *model, const model_config *config, int64_t wanted)
{
  model->first_position = (int32_t)model_config_first_position(config);
  return inference_example_length(config, wanted, &model->max_length);
}

bool inference_has_tokens(const inference_model *model, const int32_t *ids, const uint8_t *types,
                          size_t count, const char **what, int32_t *id, int64_t *limit)
{
  const model_config *config = encoder_config(model->encoder);
  for (size_t k = 0; k < count; k++) {
    const bool known = ids[k] >= 0 && ids[k] < config->vocabulary_size;
    if (known && (model->types_zero || config->type_count <= 0 || types[k] < config->type_count))
      continue;
    *what = known ? "token type" : "token id";
    *id = known ? types[k] : ids[k];
    *limit = known ? config->type_count : config->vocabulary_size;
    return false;
  }
  return true;
}

cdl_status inference_find_base(inference_model *model, const char *name, const char **folder)
{
  CDL_TRY(hub_resolve(name, CDL_HUB_MODEL, &model->base_source));
  *folder = cdl_hub_source_folder(model->base_source);
  return CDL_STATUS_OK;
}

cdl_status inference_find_adapter(inference_model *model, const char *name, const char **folder)
{
  *folder = NULL;
  if (name == NULL)
    return CDL_STATUS_OK;
  CDL_TRY(hub_resolve(name, CDL_HUB_ADAPTER, &model->adapter_source));
  *folder = cdl_hub_source_folder(model->adapter_source);
  return CDL_STATUS_OK;
}

cdl_status inference_open_backend(inference_model *model, const char *name, cdl_precision precision,
                                  int64_t threads, bool no_fallback)
{
  cdl_backend_options options = {.size = sizeof options,
                                 .threads = (int)threads,
                                 .precision = precision,
                                 .no_fallback = no_fallback};
  ranks_share_devices(model->job, &options.process, &options.processes);
  CDL_TRY(cdl_backend_open(name, &options, &model->backend));
  return cdl_queue_create(model->backend, &model->queue);
}

cdl_status inference_open_tokenizer(inference_model *model, const char *base, int64_t vocabulary)
{
  base = model->tokenizer_folder != NULL ? model->tokenizer_folder : base;
  CDL_TRY(cdl_tokenizer_open(base, &model->tokenizer));
  if (cdl_tokenizer_vocabulary_size(model->tokenizer) > vocabulary)
    cdl_log(CDL_LOG_WARNING,
            "%s: the tokenizer has ids up to %d, the model's embeddings end at %" PRId64, base,
            cdl_tokenizer_vocabulary_size(model->tokenizer) - 1, vocabulary - 1);
  return CDL_STATUS_OK;
}

/* Batches of texts up to the settings' length must fit beside the weights. */
static cdl_status load_encoder(inference_model *model, const inference_settings *s,
                               const model_config *config, const encoder_load_options *options)
{
  encoder_load_options with_room = *options;
  size_t longest = 0;
  CDL_TRY(inference_example_length(config, s->max_length, &longest));
  with_room.evaluation = inference_evaluation_most(longest);
  with_room.config = config;
  return encoder_load(model->queue, s->model, &with_room, &model->encoder, &model->loaded);
}

/* ---- Labels ---- */

static cdl_status adopt_labels(inference_model *model, const base_list *names, cdl_problem problem,
                               int64_t outputs)
{
  model->problem = problem;
  model->labels = (int)outputs;
  if (problem == CDL_PROBLEM_REGRESSION && outputs == 1)
    return CDL_STATUS_OK;
  model->label_names = calloc((size_t)outputs, sizeof *model->label_names);
  if (model->label_names == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %" PRId64 " labels", outputs);
  for (int64_t i = 0; i < outputs; i++) {
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, i);
    model->label_names[i] = strdup(names->count > 0 ? names->item[i] : number);
    if (model->label_names[i] == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %" PRId64 " labels", outputs);
  }
  return CDL_STATUS_OK;
}

cdl_status inference_copy_labels(const inference_model *from, inference_model *to)
{
  const base_list names = {.item = from->label_names,
                           .count = from->label_names != NULL ? (size_t)from->labels : 0};
  CDL_TRY(adopt_labels(to, &names, from->problem, from->labels));
  const double *thresholds = from->adapter_config.thresholds;
  if (thresholds == NULL)
    return CDL_STATUS_OK;
  const size_t bytes = (size_t)from->labels * sizeof *thresholds;
  to->adapter_config.thresholds = malloc(bytes);
  if (to->adapter_config.thresholds == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the thresholds of %d labels", from->labels);
  memcpy(to->adapter_config.thresholds, thresholds, bytes);
  return CDL_STATUS_OK;
}

/* What config.json of a whole model says of its outputs. */
static cdl_status adopt_model_labels(inference_model *model, const char *folder,
                                     const model_config *config, const base_list *names)
{
  const int outputs = encoder_labels(model->encoder);
  if (names->count > 0 && (int)names->count != outputs)
    return cdl_fail(CDL_STATUS_DATA, "%s: config.json names %zu labels, the head has %d outputs",
                    folder, names->count, outputs);
  return adopt_labels(model, names, config->problem, outputs);
}

/* Outputs and their names: the adapter's, where it has a head of its own; else the model's. */
static cdl_status adopt_adapter_labels(inference_model *model, const inference_settings *s,
                                       const adapter_config *c, bool own_head,
                                       const model_config *base)
{
  const int outputs = encoder_labels(model->encoder);
  const base_list of_model = {.item = base->label_names,
                              .count = base->label_names != NULL ? (size_t)base->label_count : 0};
  if (c->labels.count > 0 && (int)c->labels.count != outputs)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: adapter_config.json names %zu labels, the head has %d outputs", s->adapter,
                    c->labels.count, outputs);
  const bool named = c->labels.count > 0 || c->problem != CDL_PROBLEM_SINGLE_LABEL;
  if (own_head || named)
    return adopt_labels(model, &c->labels,
                        named || outputs > 1 ? c->problem : CDL_PROBLEM_REGRESSION, outputs);
  return adopt_model_labels(model, s->model, base, &of_model);
}

/* The encoder, with what the adapter wants beside it. */
static cdl_status load_for_adapter(inference_model *model, const inference_settings *s,
                                   const model_config *base, encoder_load_options options)
{
  const bool whole = s->part == INFERENCE_OPEN_MODEL || s->part == INFERENCE_OPEN_BESIDE;
  options.part = whole ? ENCODER_LOAD_ALL : ENCODER_LOAD_HEAD;
  const cdl_status loaded = load_encoder(model, s, base, &options);
  if (loaded == CDL_STATUS_DATA && options.labels == 0) /* of a head that neither has, say */
    return cdl_context(loaded, "%s", s->adapter);
  return loaded;
}

/* Whether an adapter can stand on an encoder that is there already. */
static cdl_status fit_encoder(const inference_model *model, const inference_settings *s,
                              const encoder_load_options *options)
{
  const int outputs = encoder_labels(model->encoder);
  if (options->labels != 0 && options->labels != outputs)
    return cdl_fail(CDL_STATUS_DATA, "%s: the adapter's head has %d outputs, the model's %d",
                    s->adapter, options->labels, outputs);
  if (options->vocabulary != 0)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: the adapter brings a table of words of its own: it can only be opened "
                    "alone",
                    s->adapter);
  return CDL_STATUS_OK;
}

static cdl_status load_beside(inference_model *model, const inference_settings *s,
                              const adapter_config *c, const cdl_safetensors *tensors,
                              const model_config *base)
{
  const encoder_load_options options = inference_load_options(tensors, base);
  const bool own_head = options.fresh_head;
  CDL_TRY(model->encoder != NULL ? fit_encoder(model, s, &options)
                                 : load_for_adapter(model, s, base, options));
  if (model->loaded.fresh_head && !own_head)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: the adapter does not hold the whole classification head, and %s "
                    "has none",
                    s->adapter, s->model);
  CDL_TRY(adopt_adapter_labels(model, s, c, own_head, base));
  if (s->part == INFERENCE_OPEN_ADAPTED || model->tokenizer != NULL)
    return CDL_STATUS_OK;
  bool own_tokenizer;
  CDL_TRY(inference_brings_tokenizer(s->adapter, c, tensors, &own_tokenizer));
  if (own_tokenizer)
    model->tokenizer_folder = s->adapter;
  return inference_open_tokenizer(model, s->model, encoder_config(model->encoder)->vocabulary_size);
}

static cdl_status load_beside_base(inference_model *model, const inference_settings *s,
                                   const adapter_config *c, const cdl_safetensors *tensors)
{
  model_config base;
  CDL_TRY(model_config_read(s->model, &base));
  const cdl_status status = load_beside(model, s, c, tensors, &base);
  model_config_release(&base);
  return status;
}

static cdl_status open_stored(inference_model *model, const inference_settings *s,
                              const cdl_safetensors *tensors)
{
  const adapter_config *c = &model->adapter_config;
  CDL_TRY(model->encoder != NULL ? load_beside(model, s, c, tensors, encoder_config(model->encoder))
                                 : load_beside_base(model, s, c, tensors));
  CDL_TRY(inference_check_base(model, s->adapter, c));
  model->types_zero = c->zero_token_types;
  if (s->part == INFERENCE_OPEN_BESIDE)
    return CDL_STATUS_OK;
  CDL_TRY(inference_open_adapter(model, s, c, tensors));
  return s->rank != 0 ? adapter_use_rank(model->adapter, model->queue, s->rank) : CDL_STATUS_OK;
}

cdl_status inference_open_with_adapter(inference_model *model, const inference_settings *settings)
{
  cdl_safetensors *tensors;
  CDL_TRY(adapter_folder_open(settings->adapter, &model->adapter_config, &tensors));
  const cdl_status status = open_stored(model, settings, tensors);
  cdl_safetensors_close(tensors);
  return status;
}

static cdl_status open_whole_model(inference_model *model, const inference_settings *s,
                                   const model_config *config)
{
  if (s->rank != 0)
    return cdl_fail(CDL_STATUS_USAGE, "--rank goes with --adapter");
  CDL_TRY(load_encoder(model, s, config, &(encoder_load_options){0}));
  CDL_TRY(
      inference_open_tokenizer(model, s->model, encoder_config(model->encoder)->vocabulary_size));
  if (model->loaded.fresh_pooler)
    return cdl_fail(CDL_STATUS_DATA, "%s: the model has a classification head but no pooler",
                    s->model);
  const base_list names = {.item = config->label_names,
                           .count = config->label_names != NULL ? (size_t)config->label_count : 0};
  CDL_TRY(adopt_model_labels(model, s->model, config, &names));
  return inference_columns_read(s->model, (size_t)model->labels, &model->adapter_config);
}

static cdl_status open_body(inference_model *model, const inference_settings *s,
                            const model_config *config)
{
  const encoder_load_options options = {.labels = 1, .fresh_head = true};
  return load_encoder(model, s, config, &options);
}

static cdl_status open_model(inference_model *model, const inference_settings *s)
{
  const bool body = s->part == INFERENCE_OPEN_BODY;
  model_config config;
  if (s->adapter != NULL && !body)
    return inference_open_with_adapter(model, s);
  CDL_TRY(model_config_read(s->model, &config));
  const cdl_status status =
      body ? open_body(model, s, &config) : open_whole_model(model, s, &config);
  model_config_release(&config);
  return status;
}

/* Completes the settings if no model is named: with the adapter's base, or, for a run that trained
 * the whole model, with that model. */
static cdl_status find_model(inference_model *model, inference_settings *s)
{
  bool is_adapter;
  char *whole = NULL;
  if (s->model != NULL || s->adapter == NULL)
    return inference_find_base(model, s->model, &s->model);
  char *folder = adapter_folder_find(s->adapter);
  if (folder == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", s->adapter);
  const cdl_status status = inference_has_file(folder, "adapter_config.json", &is_adapter);
  free(folder);
  CDL_TRY(status);
  if (!is_adapter)
    CDL_TRY(inference_find_whole(s->adapter, &whole));
  if (whole == NULL) {
    CDL_TRY(inference_resolve_base(s->adapter, NULL, &model->base_source, NULL));
    s->model = cdl_hub_source_folder(model->base_source);
    return CDL_STATUS_OK;
  }
  s->adapter = NULL;
  const cdl_status found = inference_find_base(model, whole, &s->model);
  free(whole);
  return found;
}

/* Lets evaluations begin above the layers that the adapter leaves as they are. */
static cdl_status keep_frozen(inference_model *model, const inference_settings *s,
                              cdl_precision precision)
{
  const double gigabyte = 1e9;
  const frozen_cache_settings settings = {.on_disk = true,
                                          .limit = (uint64_t)(s->cache_limit * gigabyte),
                                          .folder = s->cache_dir,
                                          .precision = precision};
  CDL_TRY(frozen_cache_create(&settings, &model->frozen));
  encoder_begin_at(model->encoder, encoder_frozen_blocks(model->encoder));
  return CDL_STATUS_OK;
}

static cdl_status open_all(inference_model *model, const inference_settings *settings)
{
  cdl_precision precision;
  inference_settings found = *settings, *s = &found;
  model->job = settings->job;
  CDL_TRY(inference_find_adapter(model, settings->adapter, &found.adapter));
  CDL_TRY(find_model(model, &found));
  CDL_TRY(cdl_precision_find(s->precision, &precision));
  CDL_TRY(inference_open_backend(model, s->backend, precision, s->threads, s->no_fallback));
  CDL_TRY(open_model(model, s));
  CDL_TRY(inference_find_length(model, encoder_config(model->encoder), s->max_length));
  return s->cache_frozen == INFERENCE_CACHE_DISK ? keep_frozen(model, s, precision) : CDL_STATUS_OK;
}

cdl_status inference_open(inference_model *model, const inference_settings *settings)
{
  *model = (inference_model){0};
  const cdl_status status = open_all(model, settings);
  if (status != CDL_STATUS_OK)
    inference_close(model);
  return status;
}

const char *inference_base_name(const inference_model *model)
{
  const char *name = cdl_hub_source_name(model->base_source);
  return name != NULL ? name : cdl_hub_source_folder(model->base_source);
}

void inference_close(inference_model *model)
{
  adapter_destroy(model->adapter);
  encoder_destroy(model->encoder);
  frozen_cache_destroy(model->frozen);
  if (model->queue != NULL)
    cdl_queue_destroy(model->queue);
  if (model->backend != NULL)
    (void)cdl_backend_close(model->backend);
  if (model->tokenizer != NULL)
    cdl_tokenizer_close(model->tokenizer);
  for (int i = 0; model->label_names != NULL && i < model->labels; i++)
    free(model->label_names[i]);
  free(model->label_names);
  adapter_config_free(&model->adapter_config);
  cdl_hub_source_close(model->base_source);
  cdl_hub_source_close(model->adapter_source);
  *model = (inference_model){0};
}
