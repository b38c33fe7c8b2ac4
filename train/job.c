#include "train/job.h"

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
#include "train/job_adapter.h"

/* ---- Data ---- */

static cdl_status copy_label_names(cdl_job *job, const cdl_dataset *dataset)
{
  const size_t count = cdl_dataset_label_count(dataset);
  job->regression = cdl_dataset_is_regression(dataset);
  job->labels = job->regression ? 1 : (int)count;
  if (job->regression)
    return CDL_OK;
  if (count < 2)
    return cdl_fail(CDL_DATA,
                    "the training examples have %zu label; a classifier wants at least two", count);
  job->label_names = calloc(count, sizeof *job->label_names);
  for (size_t i = 0; job->label_names != NULL && i < count; i++)
    if ((job->label_names[i] = strdup(cdl_dataset_label_name(dataset, (int32_t)i))) == NULL)
      return cdl_fail(CDL_MEMORY, "out of memory: %zu labels", count);
  return job->label_names != NULL ? CDL_OK
                                  : cdl_fail(CDL_MEMORY, "out of memory: %zu labels", count);
}

static cdl_status read_own_files(cdl_job *job, const cdl_settings *s,
                                 const cdl_names *adapter_labels)
{
  cdl_list columns = {0}, labels = {0};
  cdl_status status = cdl_list_split("--text-columns", s->text_columns, &columns);
  if (status == CDL_OK && columns.count > 2)
    status = cdl_fail(CDL_USAGE, "--text-columns names one column, or two for pairs, not %zu",
                      columns.count);
  if (status == CDL_OK && s->labels != NULL)
    status = cdl_list_split("--labels", s->labels, &labels);
  if (status == CDL_OK) {
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
    status = cdl_dataset_read_file(&source, &job->train);
    if (status == CDL_OK)
      status = copy_label_names(job, job->train);
    if (status == CDL_OK && s->dev != NULL) {
      source.path = s->dev;
      source.labels = (const char *const *)job->label_names;
      source.label_count = job->regression ? 0 : (size_t)job->labels;
      status = cdl_dataset_read_file(&source, &job->dev);
    }
  }
  cdl_list_release(&columns);
  cdl_list_release(&labels);
  return status;
}

static cdl_status read_task(cdl_job *job, const cdl_settings *s)
{
  CDL_TRY(cdl_task_find(s->task, &job->task));
  CDL_TRY(cdl_dataset_read_task(job->task, s->data, "train", &job->train));
  CDL_TRY(copy_label_names(job, job->train));
  const bool needed = s->dev_fraction == 0 && strcmp(s->eval_every, "0") != 0;
  const cdl_status status = cdl_dataset_read_task(job->task, s->data, "dev", &job->dev);
  if (status == CDL_ABSENT && !needed) {
    cdl_log(CDL_LOG_NOTICE, "%s; the dev split is not measured", cdl_error_message());
    return CDL_OK;
  }
  return status;
}

uint32_t *cdl_all_rows(size_t count)
{
  uint32_t *rows = malloc((count + 1) * sizeof *rows);
  for (size_t i = 0; rows != NULL && i < count; i++)
    rows[i] = (uint32_t)i;
  return rows;
}

cdl_split_form cdl_split_form_of(const cdl_settings *s)
{
  return strcmp(s->compat, "reference") == 0 ? CDL_SPLIT_REFERENCE : CDL_SPLIT_STRATIFIED;
}

static cdl_status read_data(cdl_job *job, const cdl_settings *s, const cdl_names *adapter_labels)
{
  CDL_TRY(s->task != NULL ? read_task(job, s) : read_own_files(job, s, adapter_labels));
  CDL_TRY(cdl_split_dataset(job->train, s->dev_fraction, cdl_split_form_of(s), &job->split));
  if (job->split.train_count == 0)
    return cdl_fail(CDL_DATA, "there is no training example");
  CDL_TRY(cdl_census_take(job->train, &job->split, job->dev, &job->census));
  if (job->dev == NULL)
    return CDL_OK;
  job->dev_rows = cdl_all_rows(cdl_dataset_count(job->dev));
  return job->dev_rows != NULL ? CDL_OK : cdl_fail(CDL_MEMORY, "out of memory: the dev split");
}

/* ---- Model ---- */

cdl_status cdl_example_length(const cdl_model_config *config, int64_t wanted, size_t *length)
{
  enum { DEFAULT_LENGTH = 512 };
  const int64_t usable = cdl_model_config_max_tokens(config);
  if (wanted > usable)
    return cdl_fail(CDL_USAGE,
                    "--max-length %" PRId64 " is above what the model can take, %" PRId64 " tokens",
                    wanted, usable);
  *length = (size_t)(wanted > 0 ? wanted : usable < DEFAULT_LENGTH ? usable : DEFAULT_LENGTH);
  return CDL_OK;
}

static cdl_status find_length(cdl_job *job, const cdl_model_config *config, int64_t wanted)
{
  job->first_position = (int32_t)cdl_model_config_first_position(config);
  return cdl_example_length(config, wanted, &job->max_length);
}

static cdl_status outside(const cdl_dataset *dataset, size_t example, const char *what, int id,
                          int64_t limit)
{
  size_t p = 0;
  while (p + 1 < cdl_dataset_part_count(dataset) &&
         example >= cdl_dataset_get_part(dataset, p + 1).first)
    p++;
  return cdl_fail(CDL_DATA,
                  "%s:%u: the tokenizer gives a %s of %d, the model has %" PRId64 " of them",
                  cdl_dataset_get_part(dataset, p).path, cdl_dataset_example(dataset, example).line,
                  what, id, limit);
}

cdl_status cdl_job_check_ids(const cdl_job *job, const cdl_dataset *dataset)
{
  const cdl_model_config *config = cdl_encoder_config(job->encoder);
  const cdl_tokens tokens = cdl_dataset_tokens(dataset);
  for (size_t i = 0; i < tokens.count; i++)
    for (uint64_t k = tokens.offsets[i]; k < tokens.offsets[i + 1]; k++) {
      if (tokens.ids[k] < 0 || tokens.ids[k] >= config->vocabulary_size)
        return outside(dataset, i, "token id", tokens.ids[k], config->vocabulary_size);
      if (!job->types_zero && config->type_count > 0 && tokens.type_ids[k] >= config->type_count)
        return outside(dataset, i, "token type", tokens.type_ids[k], config->type_count);
    }
  return CDL_OK;
}

cdl_status cdl_job_tokenize(const cdl_job *job, cdl_dataset *dataset)
{
  CDL_TRY(cdl_dataset_tokenize(dataset, job->tokenizer, job->max_length, cdl_process_processors()));
  return cdl_job_check_ids(job, dataset);
}

static cdl_status open_backend(cdl_job *job, const char *name, const char *precision, int threads,
                               bool no_fallback)
{
  cdl_backend_options options = {.threads = threads, .no_fallback = no_fallback};
  CDL_TRY(cdl_precision_find(precision, &options.precision));
  CDL_TRY(cdl_backend_open(name, &options, &job->backend));
  return cdl_queue_create(job->backend, &job->queue);
}

cdl_status cdl_job_open_tokenizer(cdl_job *job, const char *model)
{
  model = job->tokenizer_folder != NULL ? job->tokenizer_folder : model;
  CDL_TRY(cdl_tokenizer_open(model, &job->tokenizer));
  const int64_t vocabulary = cdl_encoder_config(job->encoder)->vocabulary_size;
  if (cdl_tokenizer_vocabulary_size(job->tokenizer) > vocabulary)
    cdl_log(CDL_LOG_WARNING,
            "%s: the tokenizer has ids up to %d, the model's embeddings end at %" PRId64, model,
            cdl_tokenizer_vocabulary_size(job->tokenizer) - 1, vocabulary - 1);
  return CDL_OK;
}

static cdl_status load_encoder(cdl_job *job, const char *model, const cdl_load_options *options)
{
  return cdl_encoder_load(job->queue, model, options, &job->encoder, &job->loaded);
}

static cdl_status default_targets(cdl_settings *s, cdl_family family)
{
  if (s->targets != NULL)
    return CDL_OK;
  const bool fork = strcmp(s->method, "adalora") == 0 && strcmp(s->compat, "reference") == 0;
  s->targets = strdup(fork ? "query,key,value,dense" : cdl_family_targets(family));
  return s->targets != NULL ? CDL_OK : cdl_fail(CDL_MEMORY, "out of memory: settings");
}

/* Whether the run trains, or has taken initial values off, more than adapter, pooler and head. */
static bool changes_body(const cdl_job *job, const cdl_settings *s)
{
  const cdl_parameter *first = cdl_encoder_parameters(job->encoder),
                      *end = first + cdl_encoder_parameter_count(job->encoder);
  for (const cdl_parameter *p = first; p < end; p++)
    if (p->trained && !cdl_checkpoint_is_head(p->name) && strstr(p->name, "pooler.") == NULL)
      return true;
  return strcmp(s->init, "pissa") == 0 || strcmp(s->init, "olora") == 0;
}

static cdl_load_options load_options(const cdl_job *job, const cdl_settings *s,
                                     const cdl_model_config *config)
{
  cdl_load_options options = {0};
  if (s->init_adapter != NULL)
    options = cdl_adapter_load_options(job->initial_tensors, config);
  options.labels = job->labels;
  options.fresh_head = options.fresh_head || s->fresh_head;
  options.seed = cdl_settings_seed(s, s->seed_init);
  return options;
}

/* Data, tokenizer, backend and model. */
static cdl_status open_base(cdl_job *job, const cdl_settings *s)
{
  cdl_model_config config;
  CDL_TRY(cdl_model_config_read(s->model, &config));
  const cdl_status status = find_length(job, &config, s->max_length);
  cdl_model_config_free(&config); /* its label names alone */
  CDL_TRY(status);
  bool own_tokenizer = false;
  if (s->init_adapter != NULL)
    CDL_TRY(cdl_adapter_brings_tokenizer(s->init_adapter, &job->initial, job->initial_tensors,
                                         &own_tokenizer));
  if (own_tokenizer)
    job->tokenizer_folder = s->init_adapter;
  job->types_zero = strcmp(s->compat, "reference") == 0 || job->initial.types_zero;
  CDL_TRY(read_data(job, s, s->init_adapter != NULL ? &job->initial.labels : NULL));
  CDL_TRY(open_backend(job, s->backend, s->precision, (int)s->threads, s->no_fallback));
  const cdl_load_options options = load_options(job, s, &config);
  CDL_TRY(load_encoder(job, s->model, &options));
  CDL_TRY(cdl_job_open_tokenizer(job, s->model));
  CDL_TRY(cdl_job_tokenize(job, job->train));
  if (job->dev != NULL)
    CDL_TRY(cdl_job_tokenize(job, job->dev));
  cdl_census_count_truncated(&job->census, job->train, job->dev);
  return s->init_adapter != NULL ? cdl_check_base(job, s->init_adapter, &job->initial) : CDL_OK;
}

static cdl_status make_adapter(cdl_job *job, cdl_settings *s)
{
  CDL_TRY(default_targets(s, cdl_encoder_config(job->encoder)->family));
  CDL_TRY(cdl_make_adapter(job, s));
  job->body_changed = job->body_changed || changes_body(job, s);
  /* Of an adapter whose initial values were taken off the weights, they are taken off again. */
  const bool takes_off = job->initial.init == CDL_INIT_PISSA || job->initial.init == CDL_INIT_OLORA;
  if (s->init_adapter == NULL || takes_off)
    CDL_TRY(cdl_adapter_initialize(job->adapter, job->queue, cdl_settings_seed(s, s->seed_init)));
  if (s->init_adapter == NULL)
    return CDL_OK;
  return cdl_adapter_read(job->adapter, job->queue, s->init_adapter);
}

static cdl_status adopt_initial(cdl_job *job, cdl_settings *s, const bool *given)
{
  return s->init_adapter != NULL ? cdl_adopt_adapter(s, given, &job->initial) : CDL_OK;
}

static cdl_status open_initial(cdl_job *job, cdl_settings *s, const bool *given)
{
  if (s->init_adapter != NULL)
    CDL_TRY(cdl_adapter_folder_open(s->init_adapter, &job->initial, &job->initial_tensors));
  return adopt_initial(job, s, given);
}

cdl_status cdl_job_open(cdl_job *job, cdl_settings *settings, const bool *given)
{
  *job = (cdl_job){0};
  cdl_status status = open_initial(job, settings, given);
  if (status == CDL_OK)
    status = cdl_check_adapter_settings(settings);
  if (status == CDL_OK)
    status = open_base(job, settings);
  if (status == CDL_OK)
    status = make_adapter(job, settings);
  if (status != CDL_OK)
    cdl_job_close(job);
  return status;
}

/* ---- Several runs ---- */

cdl_status cdl_job_open_base(cdl_job *job, cdl_settings *settings, const bool *given)
{
  *job = (cdl_job){0};
  cdl_status status = open_initial(job, settings, given);
  if (status == CDL_OK)
    status = open_base(job, settings);
  if (status != CDL_OK)
    cdl_job_close(job);
  return status;
}

/* The encoder as a run with these settings finds it; the body is read only where a run changed it. */
static cdl_status reload(cdl_job *job, const cdl_settings *s)
{
  cdl_load_options options = load_options(job, s, cdl_encoder_config(job->encoder));
  options.part = job->body_changed ? CDL_LOAD_ALL : CDL_LOAD_HEAD;
  CDL_TRY(
      cdl_encoder_reload(job->encoder, job->queue, s->model, &options, job->loaded.fingerprint));
  job->body_changed = false;
  return CDL_OK;
}

cdl_status cdl_job_begin_run(cdl_job *job, cdl_settings *settings, const bool *given)
{
  CDL_TRY(adopt_initial(job, settings, given));
  CDL_TRY(cdl_check_adapter_settings(settings));
  CDL_TRY(reload(job, settings));
  const cdl_status status = make_adapter(job, settings);
  if (status != CDL_OK)
    cdl_job_end_run(job);
  return status;
}

void cdl_job_end_run(cdl_job *job)
{
  cdl_adapter_destroy(job->adapter);
  job->adapter = NULL;
  cdl_adapter_config_free(&job->adapter_config);
  job->adapter_config = (cdl_adapter_config){0};
  cdl_encoder_release_plan(job->encoder);
}

cdl_status cdl_job_share(cdl_job *base, cdl_settings *settings, const bool *given, cdl_job *job)
{
  CDL_TRY(adopt_initial(base, settings, given));
  CDL_TRY(cdl_check_adapter_settings(settings));
  if (base->body_changed)
    CDL_TRY(reload(base, settings));
  *job = *base;
  job->encoder = NULL;
  cdl_status status = cdl_encoder_share(
      job->queue, base->encoder, cdl_settings_seed(settings, settings->seed_init), &job->encoder);
  if (status == CDL_OK)
    status = make_adapter(job, settings);
  if (status != CDL_OK)
    cdl_job_unshare(job);
  return status;
}

void cdl_job_unshare(cdl_job *job)
{
  cdl_adapter_destroy(job->adapter);
  cdl_adapter_config_free(&job->adapter_config);
  cdl_encoder_destroy(job->encoder);
  *job = (cdl_job){0};
}

/* ---- What was read ---- */

static uint64_t hash_examples(uint64_t hash, const cdl_dataset *dataset)
{
  const cdl_tokens tokens = cdl_dataset_tokens(dataset);
  hash = cdl_fnv(hash, tokens.offsets, (tokens.count + 1) * sizeof *tokens.offsets);
  hash = cdl_fnv(hash, tokens.ids, tokens.offsets[tokens.count] * sizeof *tokens.ids);
  for (size_t i = 0; i < tokens.count; i++) {
    const cdl_example example = cdl_dataset_example(dataset, i);
    hash = cdl_fnv(hash, &example.label, sizeof example.label);
    hash = cdl_fnv(hash, &example.target, sizeof example.target);
  }
  return hash;
}

uint64_t cdl_job_examples_hash(const cdl_job *job)
{
  const uint64_t hash = hash_examples(CDL_FNV_START, job->train);
  return job->dev != NULL ? hash_examples(hash, job->dev) : hash;
}

/* ---- For eval and predict ---- */

static cdl_status adopt_labels(cdl_job *job, const cdl_names *names, bool regression,
                               int64_t outputs)
{
  job->regression = regression;
  job->labels = (int)outputs;
  if (regression)
    return CDL_OK;
  job->label_names = calloc((size_t)outputs, sizeof *job->label_names);
  if (job->label_names == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: %" PRId64 " labels", outputs);
  for (int64_t i = 0; i < outputs; i++) {
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, i);
    job->label_names[i] = strdup(names->count > 0 ? names->item[i] : number);
    if (job->label_names[i] == NULL)
      return cdl_fail(CDL_MEMORY, "out of memory: %" PRId64 " labels", outputs);
  }
  return CDL_OK;
}

/* What config.json of a whole model says of its outputs. */
static cdl_status adopt_model_labels(cdl_job *job, const char *folder,
                                     const cdl_model_config *config, const cdl_names *names)
{
  const int outputs = cdl_encoder_labels(job->encoder);
  if (names->count > 0 && (int)names->count != outputs)
    return cdl_fail(CDL_DATA, "%s: config.json names %zu labels, the head has %d outputs", folder,
                    names->count, outputs);
  if (config->problem == CDL_PROBLEM_MULTI_LABEL)
    return cdl_fail(
        CDL_UNSUPPORTED,
        "%s: config.json asks for several labels at once; one label or a number is known", folder);
  return adopt_labels(job, names, config->problem == CDL_PROBLEM_REGRESSION, outputs);
}

/* Outputs and their names: the adapter's, where it has a head of its own; else the model's. */
static cdl_status adopt_adapter_labels(cdl_job *job, const cdl_inference_settings *s,
                                       const cdl_adapter_config *c, bool own_head,
                                       const cdl_model_config *model)
{
  const int outputs = cdl_encoder_labels(job->encoder);
  const cdl_names of_model = {.item = model->label_names,
                              .count = model->label_names != NULL ? (size_t)model->label_count : 0};
  if (c->labels.count > 0 && (int)c->labels.count != outputs)
    return cdl_fail(CDL_DATA, "%s: adapter_config.json names %zu labels, the head has %d outputs",
                    s->adapter, c->labels.count, outputs);
  if (own_head || c->labels.count > 0 || c->regression)
    return adopt_labels(job, &c->labels, c->regression || (c->labels.count == 0 && outputs == 1),
                        outputs);
  return adopt_model_labels(job, s->model, model, &of_model);
}

static cdl_status load_beside(cdl_job *job, const cdl_inference_settings *s,
                              const cdl_adapter_config *c, const cdl_safetensors *tensors,
                              const cdl_model_config *model)
{
  const bool whole = s->part == CDL_OPEN_MODEL;
  cdl_load_options options = cdl_adapter_load_options(tensors, model);
  options.part = whole ? CDL_LOAD_ALL : CDL_LOAD_HEAD;
  const bool own_head = options.fresh_head;
  const cdl_status loaded = load_encoder(job, s->model, &options);
  if (loaded == CDL_DATA && options.labels == 0) /* of a head that neither has, say */
    return cdl_context(loaded, "%s", s->adapter);
  CDL_TRY(loaded);
  if (job->loaded.fresh_head && !own_head)
    return cdl_fail(CDL_DATA,
                    "%s: the adapter does not hold the whole classification head, and %s "
                    "has none",
                    s->adapter, s->model);
  CDL_TRY(adopt_adapter_labels(job, s, c, own_head, model));
  bool own_tokenizer;
  CDL_TRY(cdl_adapter_brings_tokenizer(s->adapter, c, tensors, &own_tokenizer));
  if (own_tokenizer)
    job->tokenizer_folder = s->adapter;
  return whole ? cdl_job_open_tokenizer(job, s->model) : CDL_OK;
}

static cdl_status open_with_adapter(cdl_job *job, const cdl_inference_settings *s)
{
  cdl_safetensors *tensors;
  cdl_model_config model;
  CDL_TRY(cdl_adapter_folder_open(s->adapter, &job->adapter_config, &tensors));
  const cdl_adapter_config *c = &job->adapter_config;
  cdl_status status = CDL_OK;
  if (cdl_adapter_method_of(c->peft_type) == NULL)
    status =
        cdl_fail(CDL_UNSUPPORTED, "%s: adapters of type %s are not read", s->adapter, c->peft_type);
  if (status == CDL_OK)
    status = cdl_model_config_read(s->model, &model);
  if (status == CDL_OK) {
    status = load_beside(job, s, c, tensors, &model);
    cdl_model_config_free(&model);
  }
  if (status == CDL_OK)
    status = cdl_check_base(job, s->adapter, c);
  job->types_zero = c->types_zero;
  if (status == CDL_OK)
    status = cdl_open_adapter(job, s, c, tensors);
  if (status == CDL_OK && s->rank != 0)
    status = cdl_adapter_use_rank(job->adapter, job->queue, s->rank);
  cdl_safetensors_close(tensors);
  return status;
}

static cdl_status open_whole_model(cdl_job *job, const cdl_inference_settings *s)
{
  if (s->rank != 0)
    return cdl_fail(CDL_USAGE, "--rank goes with --adapter");
  CDL_TRY(load_encoder(job, s->model, &(cdl_load_options){0}));
  CDL_TRY(cdl_job_open_tokenizer(job, s->model));
  if (job->loaded.fresh_pooler)
    return cdl_fail(CDL_DATA, "%s: the model has a classification head but no pooler", s->model);
  cdl_model_config config;
  CDL_TRY(cdl_model_config_read(s->model, &config));
  const cdl_names names = {.item = config.label_names,
                           .count = config.label_names != NULL ? (size_t)config.label_count : 0};
  const cdl_status status = adopt_model_labels(job, s->model, &config, &names);
  cdl_model_config_free(&config);
  return status == CDL_OK ? cdl_columns_read(s->model, &job->adapter_config) : status;
}

static cdl_status open_model(cdl_job *job, const cdl_inference_settings *s)
{
  if (s->part == CDL_OPEN_BODY)
    return load_encoder(job, s->model, &(cdl_load_options){.labels = 1, .fresh_head = true});
  return s->adapter != NULL ? open_with_adapter(job, s) : open_whole_model(job, s);
}

static cdl_status open_inference(cdl_job *job, const cdl_inference_settings *s)
{
  CDL_TRY(open_backend(job, s->backend, s->precision, s->threads, s->no_fallback));
  CDL_TRY(open_model(job, s));
  return find_length(job, cdl_encoder_config(job->encoder), s->max_length);
}

cdl_status cdl_job_open_inference(cdl_job *job, const cdl_inference_settings *settings)
{
  *job = (cdl_job){0};
  const cdl_status status = open_inference(job, settings);
  if (status != CDL_OK)
    cdl_job_close(job);
  return status;
}

void cdl_job_close(cdl_job *job)
{
  cdl_census_release(&job->census);
  cdl_adapter_destroy(job->adapter);
  cdl_encoder_destroy(job->encoder);
  if (job->queue != NULL)
    cdl_queue_destroy(job->queue);
  if (job->backend != NULL)
    (void)cdl_backend_close(job->backend);
  if (job->tokenizer != NULL)
    cdl_tokenizer_close(job->tokenizer);
  if (job->train != NULL)
    cdl_dataset_close(job->train);
  if (job->dev != NULL)
    cdl_dataset_close(job->dev);
  cdl_split_release(&job->split);
  free(job->dev_rows);
  for (int i = 0; job->label_names != NULL && i < job->labels; i++)
    free(job->label_names[i]);
  free(job->label_names);
  cdl_adapter_config_free(&job->adapter_config);
  cdl_adapter_config_free(&job->initial);
  cdl_safetensors_close(job->initial_tensors);
  *job = (cdl_job){0};
}

cdl_metric cdl_job_main_metric(const cdl_job *job)
{
  return job->task != NULL ? job->task->metrics[0]
         : job->regression ? CDL_METRIC_PEARSON
                           : CDL_METRIC_ACCURACY;
}

bool cdl_job_has_metric(const cdl_job *job, cdl_metric metric)
{
  const bool of_regression = metric == CDL_METRIC_PEARSON || metric == CDL_METRIC_SPEARMAN;
  return of_regression == job->regression && (metric != CDL_METRIC_F1 || job->labels == 2);
}
