#include "train/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/process.h"
#include "condlora/log.h"
#include "model/adapter/io.h"
#include "model/files/checkpoint.h"
#include "train/columns.h"
#include "train/session_adapter.h"

/* ---- Data ---- */

static cdl_status copy_label_names(train_session *session, const cdl_dataset *dataset)
{
  const size_t count = cdl_dataset_label_count(dataset);
  session->regression = cdl_dataset_is_regression(dataset);
  session->labels = session->regression ? 1 : (int)count;
  if (session->regression)
    return CDL_STATUS_OK;
  if (count < 2)
    return cdl_fail(CDL_STATUS_DATA,
                    "the training examples have %zu label; a classifier wants at least two", count);
  session->label_names = calloc(count, sizeof *session->label_names);
  for (size_t i = 0; session->label_names != NULL && i < count; i++)
    if ((session->label_names[i] = strdup(cdl_dataset_label_name(dataset, (int32_t)i))) == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu labels", count);
  return session->label_names != NULL
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu labels", count);
}

static cdl_status read_own_files(train_session *session, const train_settings *s,
                                 const adapter_names *adapter_labels)
{
  base_list columns = {0}, labels = {0};
  cdl_status status = base_list_split("--text-columns", s->text_columns, &columns);
  if (status == CDL_STATUS_OK && columns.count > 2)
    status = cdl_fail(CDL_STATUS_USAGE,
                      "--text-columns names one column, or two for pairs, not %zu", columns.count);
  if (status == CDL_STATUS_OK && s->labels != NULL)
    status = base_list_split("--labels", s->labels, &labels);
  if (status == CDL_STATUS_OK) {
    cdl_dataset_source source = {
        .path = s->train,
        .text_column = {columns.item[0], columns.count > 1 ? columns.item[1] : NULL},
        .label_column = s->label_column,
        .regression = s->regression,
        .skip_label = s->skip_label};
    if (labels.count > 0) {
      source.labels = (const char *const *)labels.item;
      source.label_count = labels.count;
    } else if (adapter_labels != NULL && adapter_labels->count > 0) {
      source.labels = (const char *const *)adapter_labels->item;
      source.label_count = adapter_labels->count;
    }
    status = cdl_dataset_read_file(&source, &session->train);
    if (status == CDL_STATUS_OK)
      status = copy_label_names(session, session->train);
    if (status == CDL_STATUS_OK && s->dev != NULL) {
      source.path = s->dev;
      source.labels = (const char *const *)session->label_names;
      source.label_count = session->regression ? 0 : (size_t)session->labels;
      status = cdl_dataset_read_file(&source, &session->dev);
    }
  }
  base_list_release(&columns);
  base_list_release(&labels);
  return status;
}

static cdl_status read_task(train_session *session, const train_settings *s)
{
  CDL_TRY(cdl_task_find(s->task, &session->task));
  CDL_TRY(cdl_dataset_read_task(session->task, s->data, "train", &session->train));
  CDL_TRY(copy_label_names(session, session->train));
  int64_t every;
  CDL_TRY(train_eval_every(s, 1, &every));
  const bool needed = s->dev_fraction == 0 && every != 0;
  const cdl_status status = cdl_dataset_read_task(session->task, s->data, "dev", &session->dev);
  if (status == CDL_STATUS_ABSENT && !needed) {
    cdl_log(CDL_LOG_NOTICE, "%s; the dev split is not measured", cdl_error_message());
    return CDL_STATUS_OK;
  }
  return status;
}

uint32_t *train_all_rows(size_t count)
{
  uint32_t *rows = malloc((count + 1) * sizeof *rows);
  for (size_t i = 0; rows != NULL && i < count; i++)
    rows[i] = (uint32_t)i;
  return rows;
}

data_split_form train_split_form_of(const train_settings *s)
{
  return s->compat == TRAIN_COMPAT_REFERENCE ? DATA_SPLIT_REFERENCE : DATA_SPLIT_STRATIFIED;
}

static cdl_status read_data(train_session *session, const train_settings *s,
                            const adapter_names *adapter_labels)
{
  CDL_TRY(s->task != NULL ? read_task(session, s) : read_own_files(session, s, adapter_labels));
  CDL_TRY(
      data_split_dataset(session->train, s->dev_fraction, train_split_form_of(s), &session->split));
  if (session->split.train_count == 0)
    return cdl_fail(CDL_STATUS_DATA, "there is no training example");
  CDL_TRY(data_census_take(session->train, &session->split, session->dev, &session->census));
  if (session->dev == NULL)
    return CDL_STATUS_OK;
  session->dev_rows = train_all_rows(cdl_dataset_count(session->dev));
  return session->dev_rows != NULL ? CDL_STATUS_OK
                                   : cdl_fail(CDL_STATUS_MEMORY, "out of memory: the dev split");
}

/* ---- Model ---- */

cdl_status train_example_length(const model_config *config, int64_t wanted, size_t *length)
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

static cdl_status find_length(train_session *session, const model_config *config, int64_t wanted)
{
  session->first_position = (int32_t)model_config_first_position(config);
  return train_example_length(config, wanted, &session->max_length);
}

static cdl_status outside(const cdl_dataset *dataset, size_t example, const char *what, int id,
                          int64_t limit)
{
  size_t p = 0;
  while (p + 1 < cdl_dataset_part_count(dataset) &&
         example >= cdl_dataset_get_part(dataset, p + 1).first)
    p++;
  return cdl_fail(CDL_STATUS_DATA,
                  "%s:%u: the tokenizer gives a %s of %d, the model has %" PRId64 " of them",
                  cdl_dataset_get_part(dataset, p).path, cdl_dataset_get(dataset, example).line,
                  what, id, limit);
}

cdl_status train_session_check_ids(const train_session *session, const cdl_dataset *dataset)
{
  const model_config *config = encoder_config(session->encoder);
  const cdl_tokens tokens = cdl_dataset_tokens(dataset);
  for (size_t i = 0; i < tokens.count; i++)
    for (uint64_t k = tokens.offsets[i]; k < tokens.offsets[i + 1]; k++) {
      if (tokens.ids[k] < 0 || tokens.ids[k] >= config->vocabulary_size)
        return outside(dataset, i, "token id", tokens.ids[k], config->vocabulary_size);
      if (!session->types_zero && config->type_count > 0 &&
          tokens.type_ids[k] >= config->type_count)
        return outside(dataset, i, "token type", tokens.type_ids[k], config->type_count);
    }
  return CDL_STATUS_OK;
}

cdl_status train_session_tokenize(const train_session *session, cdl_dataset *dataset)
{
  CDL_TRY(cdl_dataset_tokenize(dataset, session->tokenizer, session->max_length,
                               base_process_processors()));
  return train_session_check_ids(session, dataset);
}

static cdl_status open_backend(train_session *session, const char *name, cdl_precision precision,
                               int64_t threads, bool no_fallback)
{
  const cdl_backend_options options = {
      .threads = (int)threads, .precision = precision, .no_fallback = no_fallback};
  CDL_TRY(cdl_backend_open(name, &options, &session->backend));
  return cdl_queue_create(session->backend, &session->queue);
}

cdl_status train_session_open_tokenizer(train_session *session, const char *model)
{
  model = session->tokenizer_folder != NULL ? session->tokenizer_folder : model;
  CDL_TRY(cdl_tokenizer_open(model, &session->tokenizer));
  const int64_t vocabulary = encoder_config(session->encoder)->vocabulary_size;
  if (cdl_tokenizer_vocabulary_size(session->tokenizer) > vocabulary)
    cdl_log(CDL_LOG_WARNING,
            "%s: the tokenizer has ids up to %d, the model's embeddings end at %" PRId64, model,
            cdl_tokenizer_vocabulary_size(session->tokenizer) - 1, vocabulary - 1);
  return CDL_STATUS_OK;
}

static cdl_status load_encoder(train_session *session, const char *model,
                               const encoder_load_options *options)
{
  return encoder_load(session->queue, model, options, &session->encoder, &session->loaded);
}

static cdl_status default_targets(train_settings *s, model_family family)
{
  if (s->targets != NULL)
    return CDL_STATUS_OK;
  const char *targets =
      s->compat == TRAIN_COMPAT_REFERENCE ? adapter_reference_targets(train_method_name(s)) : NULL;
  s->targets = strdup(targets != NULL ? targets : model_family_targets(family));
  return s->targets != NULL ? CDL_STATUS_OK
                            : cdl_fail(CDL_STATUS_MEMORY, "out of memory: settings");
}

/* Whether the run trains, or has taken initial values off, more than adapter, pooler and head. */
static bool changes_body(const train_session *session, const train_settings *s)
{
  const encoder_parameter *first = encoder_parameters(session->encoder),
                          *end = first + encoder_parameter_count(session->encoder);
  for (const encoder_parameter *p = first; p < end; p++)
    if (p->trained && !model_checkpoint_is_head(p->name) && strstr(p->name, "pooler.") == NULL)
      return true;
  return s->init == ADAPTER_INIT_PISSA || s->init == ADAPTER_INIT_OLORA;
}

static encoder_load_options load_options(const train_session *session, const train_settings *s,
                                         const model_config *config)
{
  encoder_load_options options = {0};
  if (s->init_adapter != NULL)
    options = train_adapter_load_options(session->initial_tensors, config);
  options.labels = session->labels;
  options.fresh_head = options.fresh_head || s->fresh_head;
  options.seed = train_settings_seed(s, s->seed_init);
  return options;
}

/* Data, tokenizer, backend and model. */
static cdl_status open_base(train_session *session, const train_settings *s)
{
  model_config config;
  CDL_TRY(model_config_read(s->model, &config));
  const cdl_status status = find_length(session, &config, s->max_length);
  model_config_release(&config); /* its label names alone */
  CDL_TRY(status);
  bool own_tokenizer = false;
  if (s->init_adapter != NULL)
    CDL_TRY(train_adapter_brings_tokenizer(s->init_adapter, &session->initial,
                                           session->initial_tensors, &own_tokenizer));
  if (own_tokenizer)
    session->tokenizer_folder = s->init_adapter;
  session->types_zero = s->compat == TRAIN_COMPAT_REFERENCE || session->initial.zero_token_types;
  CDL_TRY(read_data(session, s, s->init_adapter != NULL ? &session->initial.labels : NULL));
  CDL_TRY(
      open_backend(session, s->backend, (cdl_precision)s->precision, s->threads, s->no_fallback));
  const encoder_load_options options = load_options(session, s, &config);
  CDL_TRY(load_encoder(session, s->model, &options));
  CDL_TRY(train_session_open_tokenizer(session, s->model));
  CDL_TRY(train_session_tokenize(session, session->train));
  if (session->dev != NULL)
    CDL_TRY(train_session_tokenize(session, session->dev));
  data_census_count_truncated(&session->census, session->train, session->dev);
  return s->init_adapter != NULL ? train_check_base(session, s->init_adapter, &session->initial)
                                 : CDL_STATUS_OK;
}

static cdl_status make_adapter(train_session *session, train_settings *s)
{
  CDL_TRY(default_targets(s, encoder_config(session->encoder)->family));
  CDL_TRY(train_make_adapter(session, s));
  session->body_changed = session->body_changed || changes_body(session, s);
  /* Of an adapter whose initial values were taken off the weights, they are taken off again. */
  const bool takes_off =
      session->initial.init == ADAPTER_INIT_PISSA || session->initial.init == ADAPTER_INIT_OLORA;
  if (s->init_adapter == NULL || takes_off)
    CDL_TRY(
        adapter_initialize(session->adapter, session->queue, train_settings_seed(s, s->seed_init)));
  if (s->init_adapter == NULL)
    return CDL_STATUS_OK;
  return adapter_read(session->adapter, session->queue, s->init_adapter);
}

static cdl_status adopt_initial(train_session *session, train_settings *s, const bool *given)
{
  return s->init_adapter != NULL ? train_adopt_adapter(s, given, &session->initial) : CDL_STATUS_OK;
}

static cdl_status open_initial(train_session *session, train_settings *s, const bool *given)
{
  if (s->init_adapter != NULL)
    CDL_TRY(adapter_folder_open(s->init_adapter, &session->initial, &session->initial_tensors));
  return adopt_initial(session, s, given);
}

cdl_status train_session_open(train_session *session, train_settings *settings, const bool *given)
{
  *session = (train_session){0};
  cdl_status status = open_initial(session, settings, given);
  if (status == CDL_STATUS_OK)
    status = train_check_adapter_settings(settings);
  if (status == CDL_STATUS_OK)
    status = open_base(session, settings);
  if (status == CDL_STATUS_OK)
    status = make_adapter(session, settings);
  if (status != CDL_STATUS_OK)
    train_session_close(session);
  return status;
}

/* ---- Several runs ---- */

cdl_status train_session_open_base(train_session *session, train_settings *settings,
                                   const bool *given)
{
  *session = (train_session){0};
  cdl_status status = open_initial(session, settings, given);
  if (status == CDL_STATUS_OK)
    status = open_base(session, settings);
  if (status != CDL_STATUS_OK)
    train_session_close(session);
  return status;
}

/* The encoder as a run with these settings finds it; the body is read only where a run changed it. */
static cdl_status reload(train_session *session, const train_settings *s)
{
  encoder_load_options options = load_options(session, s, encoder_config(session->encoder));
  options.part = session->body_changed ? ENCODER_LOAD_ALL : ENCODER_LOAD_HEAD;
  CDL_TRY(encoder_reload(session->encoder, session->queue, s->model, &options,
                         session->loaded.fingerprint));
  session->body_changed = false;
  return CDL_STATUS_OK;
}

cdl_status train_session_begin_run(train_session *session, train_settings *settings,
                                   const bool *given)
{
  CDL_TRY(adopt_initial(session, settings, given));
  CDL_TRY(train_check_adapter_settings(settings));
  CDL_TRY(reload(session, settings));
  const cdl_status status = make_adapter(session, settings);
  if (status != CDL_STATUS_OK)
    train_session_end_run(session);
  return status;
}

void train_session_end_run(train_session *session)
{
  adapter_destroy(session->adapter);
  session->adapter = NULL;
  adapter_config_free(&session->adapter_config);
  session->adapter_config = (adapter_config){0};
  encoder_release_plan(session->encoder);
}

cdl_status train_session_share(train_session *base, train_settings *settings, const bool *given,
                               train_session *session)
{
  CDL_TRY(adopt_initial(base, settings, given));
  CDL_TRY(train_check_adapter_settings(settings));
  if (base->body_changed)
    CDL_TRY(reload(base, settings));
  *session = *base;
  session->encoder = NULL;
  cdl_status status =
      encoder_share(session->queue, base->encoder,
                    train_settings_seed(settings, settings->seed_init), &session->encoder);
  if (status == CDL_STATUS_OK)
    status = make_adapter(session, settings);
  if (status != CDL_STATUS_OK)
    train_session_unshare(session);
  return status;
}

void train_session_unshare(train_session *session)
{
  adapter_destroy(session->adapter);
  adapter_config_free(&session->adapter_config);
  encoder_destroy(session->encoder);
  *session = (train_session){0};
}

/* ---- What was read ---- */

static uint64_t hash_examples(uint64_t hash, const cdl_dataset *dataset)
{
  const cdl_tokens tokens = cdl_dataset_tokens(dataset);
  hash = base_fnv(hash, tokens.offsets, (tokens.count + 1) * sizeof *tokens.offsets);
  hash = base_fnv(hash, tokens.ids, tokens.offsets[tokens.count] * sizeof *tokens.ids);
  for (size_t i = 0; i < tokens.count; i++) {
    const cdl_example example = cdl_dataset_get(dataset, i);
    hash = base_fnv(hash, &example.label, sizeof example.label);
    hash = base_fnv(hash, &example.target, sizeof example.target);
  }
  return hash;
}

uint64_t train_session_examples_hash(const train_session *session)
{
  const uint64_t hash = hash_examples(BASE_FNV_START, session->train);
  return session->dev != NULL ? hash_examples(hash, session->dev) : hash;
}

/* ---- For eval and predict ---- */

static cdl_status adopt_labels(train_session *session, const adapter_names *names, bool regression,
                               int64_t outputs)
{
  session->regression = regression;
  session->labels = (int)outputs;
  if (regression)
    return CDL_STATUS_OK;
  session->label_names = calloc((size_t)outputs, sizeof *session->label_names);
  if (session->label_names == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %" PRId64 " labels", outputs);
  for (int64_t i = 0; i < outputs; i++) {
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, i);
    session->label_names[i] = strdup(names->count > 0 ? names->item[i] : number);
    if (session->label_names[i] == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %" PRId64 " labels", outputs);
  }
  return CDL_STATUS_OK;
}

/* What config.json of a whole model says of its outputs. */
static cdl_status adopt_model_labels(train_session *session, const char *folder,
                                     const model_config *config, const adapter_names *names)
{
  const int outputs = encoder_labels(session->encoder);
  if (names->count > 0 && (int)names->count != outputs)
    return cdl_fail(CDL_STATUS_DATA, "%s: config.json names %zu labels, the head has %d outputs",
                    folder, names->count, outputs);
  if (config->problem == MODEL_PROBLEM_MULTI_LABEL)
    return cdl_fail(
        CDL_STATUS_UNSUPPORTED,
        "%s: config.json asks for several labels at once; one label or a number is known", folder);
  return adopt_labels(session, names, config->problem == MODEL_PROBLEM_REGRESSION, outputs);
}

/* Outputs and their names: the adapter's, where it has a head of its own; else the model's. */
static cdl_status adopt_adapter_labels(train_session *session, const train_inference_settings *s,
                                       const adapter_config *c, bool own_head,
                                       const model_config *model)
{
  const int outputs = encoder_labels(session->encoder);
  const adapter_names of_model = {.item = model->label_names,
                                  .count =
                                      model->label_names != NULL ? (size_t)model->label_count : 0};
  if (c->labels.count > 0 && (int)c->labels.count != outputs)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: adapter_config.json names %zu labels, the head has %d outputs", s->adapter,
                    c->labels.count, outputs);
  if (own_head || c->labels.count > 0 || c->regression)
    return adopt_labels(session, &c->labels,
                        c->regression || (c->labels.count == 0 && outputs == 1), outputs);
  return adopt_model_labels(session, s->model, model, &of_model);
}

static cdl_status load_beside(train_session *session, const train_inference_settings *s,
                              const adapter_config *c, const cdl_safetensors *tensors,
                              const model_config *model)
{
  const bool whole = s->part == TRAIN_OPEN_MODEL;
  encoder_load_options options = train_adapter_load_options(tensors, model);
  options.part = whole ? ENCODER_LOAD_ALL : ENCODER_LOAD_HEAD;
  const bool own_head = options.fresh_head;
  const cdl_status loaded = load_encoder(session, s->model, &options);
  if (loaded == CDL_STATUS_DATA && options.labels == 0) /* of a head that neither has, say */
    return cdl_context(loaded, "%s", s->adapter);
  CDL_TRY(loaded);
  if (session->loaded.fresh_head && !own_head)
    return cdl_fail(CDL_STATUS_DATA,
                    "%s: the adapter does not hold the whole classification head, and %s "
                    "has none",
                    s->adapter, s->model);
  CDL_TRY(adopt_adapter_labels(session, s, c, own_head, model));
  bool own_tokenizer;
  CDL_TRY(train_adapter_brings_tokenizer(s->adapter, c, tensors, &own_tokenizer));
  if (own_tokenizer)
    session->tokenizer_folder = s->adapter;
  return whole ? train_session_open_tokenizer(session, s->model) : CDL_STATUS_OK;
}

static cdl_status open_with_adapter(train_session *session, const train_inference_settings *s)
{
  cdl_safetensors *tensors;
  model_config model;
  CDL_TRY(adapter_folder_open(s->adapter, &session->adapter_config, &tensors));
  const adapter_config *c = &session->adapter_config;
  cdl_status status = CDL_STATUS_OK;
  if (adapter_method_of(c->peft_type) == NULL)
    status = cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: adapters of type %s are not read", s->adapter,
                      c->peft_type);
  if (status == CDL_STATUS_OK)
    status = model_config_read(s->model, &model);
  if (status == CDL_STATUS_OK) {
    status = load_beside(session, s, c, tensors, &model);
    model_config_release(&model);
  }
  if (status == CDL_STATUS_OK)
    status = train_check_base(session, s->adapter, c);
  session->types_zero = c->zero_token_types;
  if (status == CDL_STATUS_OK)
    status = train_open_adapter(session, s, c, tensors);
  if (status == CDL_STATUS_OK && s->rank != 0)
    status = adapter_use_rank(session->adapter, session->queue, s->rank);
  cdl_safetensors_close(tensors);
  return status;
}

static cdl_status open_whole_model(train_session *session, const train_inference_settings *s)
{
  if (s->rank != 0)
    return cdl_fail(CDL_STATUS_USAGE, "--rank goes with --adapter");
  CDL_TRY(load_encoder(session, s->model, &(encoder_load_options){0}));
  CDL_TRY(train_session_open_tokenizer(session, s->model));
  if (session->loaded.fresh_pooler)
    return cdl_fail(CDL_STATUS_DATA, "%s: the model has a classification head but no pooler",
                    s->model);
  model_config config;
  CDL_TRY(model_config_read(s->model, &config));
  const adapter_names names = {.item = config.label_names,
                               .count =
                                   config.label_names != NULL ? (size_t)config.label_count : 0};
  const cdl_status status = adopt_model_labels(session, s->model, &config, &names);
  model_config_release(&config);
  return status == CDL_STATUS_OK ? train_columns_read(s->model, &session->adapter_config) : status;
}

static cdl_status open_model(train_session *session, const train_inference_settings *s)
{
  if (s->part == TRAIN_OPEN_BODY)
    return load_encoder(session, s->model,
                        &(encoder_load_options){.labels = 1, .fresh_head = true});
  return s->adapter != NULL ? open_with_adapter(session, s) : open_whole_model(session, s);
}

static cdl_status open_inference(train_session *session, const train_inference_settings *s)
{
  cdl_precision precision;
  CDL_TRY(cdl_precision_find(s->precision, &precision));
  CDL_TRY(open_backend(session, s->backend, precision, s->threads, s->no_fallback));
  CDL_TRY(open_model(session, s));
  return find_length(session, encoder_config(session->encoder), s->max_length);
}

cdl_status train_session_open_inference(train_session *session,
                                        const train_inference_settings *settings)
{
  *session = (train_session){0};
  const cdl_status status = open_inference(session, settings);
  if (status != CDL_STATUS_OK)
    train_session_close(session);
  return status;
}

void train_session_close(train_session *session)
{
  data_census_release(&session->census);
  adapter_destroy(session->adapter);
  encoder_destroy(session->encoder);
  if (session->queue != NULL)
    cdl_queue_destroy(session->queue);
  if (session->backend != NULL)
    (void)cdl_backend_close(session->backend);
  if (session->tokenizer != NULL)
    cdl_tokenizer_close(session->tokenizer);
  if (session->train != NULL)
    cdl_dataset_close(session->train);
  if (session->dev != NULL)
    cdl_dataset_close(session->dev);
  data_split_release(&session->split);
  free(session->dev_rows);
  for (int i = 0; session->label_names != NULL && i < session->labels; i++)
    free(session->label_names[i]);
  free(session->label_names);
  adapter_config_free(&session->adapter_config);
  adapter_config_free(&session->initial);
  cdl_safetensors_close(session->initial_tensors);
  *session = (train_session){0};
}

cdl_metric train_session_main_metric(const train_session *session)
{
  return session->task != NULL ? session->task->metrics[0]
         : session->regression ? CDL_METRIC_PEARSON
                               : CDL_METRIC_ACCURACY;
}

bool train_session_has_metric(const train_session *session, cdl_metric metric)
{
  const bool of_regression = metric == CDL_METRIC_PEARSON || metric == CDL_METRIC_SPEARMAN;
  return of_regression == session->regression && (metric != CDL_METRIC_F1 || session->labels == 2);
}
