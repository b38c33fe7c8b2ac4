#include "train/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/process.h"
#include "condlora/log.h"
#include "model/adapter/io.h"
#include "model/encoder/packing.h"
#include "model/files/checkpoint.h"
#include "model/inference/adapted.h"
#include "model/inference/inference.h"
#include "train/examples.h"
#include "train/frozen.h"
#include "train/rank_group.h"
#include "train/session_adapter.h"

/* ---- Data ---- */

static cdl_status copy_label_names(train_session *session, const cdl_dataset *dataset)
{
  const size_t count = cdl_dataset_output_count(dataset);
  session->model.problem = cdl_dataset_problem(dataset);
  session->model.labels = (int)count;
  if (cdl_dataset_output_name(dataset, 0) == NULL) /* one number */
    return CDL_STATUS_OK;
  if (count < 2 && session->model.problem == CDL_PROBLEM_SINGLE_LABEL)
    return cdl_fail(CDL_STATUS_DATA,
                    "the training examples have %zu label; a classifier wants at least two", count);
  session->model.label_names = calloc(count, sizeof *session->model.label_names);
  for (size_t i = 0; session->model.label_names != NULL && i < count; i++)
    if ((session->model.label_names[i] = strdup(cdl_dataset_output_name(dataset, i))) == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu labels", count);
  return session->model.label_names != NULL
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu labels", count);
}

static cdl_status read_own_files(train_session *session, const train_settings *s,
                                 const base_list *adapter_labels)
{
  base_list columns = {0}, labels = {0}, label_columns = {0};
  cdl_status status = base_list_split("--text-columns", s->text_columns, &columns);
  if (status == CDL_STATUS_OK && columns.count > 2)
    status = cdl_fail(CDL_STATUS_USAGE,
                      "--text-columns names one column, or two for pairs, not %zu", columns.count);
  if (status == CDL_STATUS_OK && s->labels != NULL)
    status = base_list_split("--labels", s->labels, &labels);
  if (status == CDL_STATUS_OK)
    status = base_list_split("--label-column", s->label_column, &label_columns);
  if (status == CDL_STATUS_OK) {
    cdl_dataset_source source = {
        .size = sizeof source,
        .path = s->train,
        .text_column = {columns.item[0], columns.count > 1 ? columns.item[1] : NULL},
        .label_columns = (const char *const *)label_columns.item,
        .label_column_count = label_columns.count,
        .regression = s->regression,
        .multi_label = s->multi_label,
        .label_separator = s->label_separator,
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
      source.labels = (const char *const *)session->model.label_names;
      source.label_count = source.labels != NULL ? (size_t)session->model.labels : 0;
      status = cdl_dataset_read_file(&source, &session->dev);
    }
  }
  base_list_release(&columns);
  base_list_release(&labels);
  base_list_release(&label_columns);
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

/* ---- The metric ---- */

/* The task's first metric, or the usual one of the problem. */
static cdl_metric usual_metric(const train_session *session)
{
  static const cdl_metric usual[CDL_PROBLEM_COUNT] = {
      [CDL_PROBLEM_SINGLE_LABEL] = CDL_METRIC_ACCURACY,
      [CDL_PROBLEM_MULTI_LABEL] = CDL_METRIC_MICRO_F1,
      [CDL_PROBLEM_REGRESSION] = CDL_METRIC_PEARSON};
  return session->task != NULL ? session->task->metrics[0] : usual[session->model.problem];
}

static cdl_status choose_metric(train_session *session, const train_settings *s)
{
  const cdl_problem problem = session->model.problem;
  const size_t outputs = (size_t)session->model.labels;
  char list[256] = "";
  session->metric = usual_metric(session);
  if (s->metric == NULL)
    return CDL_STATUS_OK;
  CDL_TRY(cdl_metric_find(s->metric, &session->metric));
  if (cdl_metric_applies(session->metric, problem, outputs))
    return CDL_STATUS_OK;
  for (int m = 0; m < CDL_METRIC_COUNT; m++) {
    const size_t used = strlen(list);
    if (cdl_metric_applies((cdl_metric)m, problem, outputs))
      snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "",
               cdl_metric_name((cdl_metric)m));
  }
  return cdl_fail(CDL_STATUS_USAGE,
                  "--metric %s: the examples are for %s with %zu output%s, which "
                  "has %s",
                  s->metric, cdl_problem_name(problem), outputs, outputs == 1 ? "" : "s", list);
}

static cdl_status read_data(train_session *session, const train_settings *s,
                            const base_list *adapter_labels)
{
  CDL_TRY(s->task != NULL ? read_task(session, s) : read_own_files(session, s, adapter_labels));
  CDL_TRY(choose_metric(session, s));
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

/* Returns whether the run changes the body: it trains more than adapter, pooler and head, or
 * subtracts initial values from the weights. */
static bool changes_body(const train_session *session, const train_settings *s)
{
  const encoder_parameter *first = encoder_parameters(session->model.encoder),
                          *end = first + encoder_parameter_count(session->model.encoder);
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
    options = inference_load_options(session->initial_tensors, config);
  options.labels = session->model.labels;
  options.fresh_head = options.fresh_head || s->fresh_head;
  options.seed = train_settings_seed(s, s->seed_init);
  return options;
}

/* Gives the largest batch of training if the backward pass is known to reach every block: with the
 * usual targets in all layers. */
static cdl_status find_batches(const train_session *session, const train_settings *s,
                               encoder_batch_limits *limits)
{
  const cdl_tokens tokens = cdl_dataset_tokens(session->train);
  encoder_batch_bound bound;
  *limits = (encoder_batch_limits){0};
  if (strcmp(train_method_name(s), "none") == 0 || s->targets != NULL ||
      s->layers_to_transform != NULL || s->exclude_modules != NULL)
    return CDL_STATUS_OK;
  CDL_TRY(encoder_batch_bound_of(&tokens, session->split.train, session->split.train_count,
                                 (size_t)s->batch_size, &bound));
  *limits = (encoder_batch_limits){.tokens = (int32_t)bound.tokens,
                                   .sequences = (int32_t)bound.examples,
                                   .longest = (int32_t)bound.longest};
  return CDL_STATUS_OK;
}

/* The folder of --init-adapter. */
static const char *initial_folder(const train_session *session)
{
  return cdl_hub_source_folder(session->model.adapter_source);
}

/* Opens data, tokenizer, backend and model. */
static cdl_status open_base(train_session *session, const train_settings *s)
{
  model_config read, config;
  const char *base;
  CDL_TRY(inference_find_base(&session->model, s->model, &base));
  CDL_TRY(model_config_read(base, &read));
  const cdl_status status = inference_find_length(&session->model, &read, s->max_length);
  config = read; /* its numbers */
  config.label_names = NULL;
  model_config_release(&read);
  CDL_TRY(status);
  bool own_tokenizer = false;
  if (s->init_adapter != NULL)
    CDL_TRY(inference_brings_tokenizer(initial_folder(session), &session->initial,
                                       session->initial_tensors, &own_tokenizer));
  if (own_tokenizer)
    session->model.tokenizer_folder = initial_folder(session);
  session->model.types_zero =
      s->compat == TRAIN_COMPAT_REFERENCE || session->initial.zero_token_types;
  CDL_TRY(read_data(session, s, s->init_adapter != NULL ? &session->initial.labels : NULL));
  CDL_TRY(inference_open_backend(&session->model, s->backend, (cdl_precision)s->precision,
                                 s->threads, s->no_fallback));
  encoder_load_options options = load_options(session, s, &config);
  CDL_TRY(inference_open_tokenizer(
      &session->model, base, options.vocabulary > 0 ? options.vocabulary : config.vocabulary_size));
  session->met = true;
  CDL_TRY(train_split_tokens(&session->model, (cdl_dataset *[]){session->train, session->dev}, 2));
  /* The texts first, so that a device that is too small is found before a weight is read. */
  CDL_TRY(find_batches(session, s, &options.training));
  CDL_TRY(encoder_load(session->model.queue, base, &options, &session->model.encoder,
                       &session->model.loaded));
  CDL_TRY(train_check_ids(&session->model, session->train));
  if (session->dev != NULL)
    CDL_TRY(train_check_ids(&session->model, session->dev));
  data_census_count_truncated(&session->census, session->train, session->dev);
  CDL_TRY(train_frozen_open(session, s));
  return s->init_adapter != NULL
             ? inference_check_base(&session->model, initial_folder(session), &session->initial)
             : CDL_STATUS_OK;
}

cdl_status train_session_make_adapter(train_session *session, train_settings *s)
{
  CDL_TRY(default_targets(s, encoder_config(session->model.encoder)->family));
  CDL_TRY(train_make_adapter(session, s));
  session->body_changed = session->body_changed || changes_body(session, s);
  /* An adapter whose initial values were subtracted from the weights subtracts them again. */
  const bool takes_off = session->initial.settings.init == ADAPTER_INIT_PISSA ||
                         session->initial.settings.init == ADAPTER_INIT_OLORA;
  if (s->init_adapter == NULL || takes_off)
    CDL_TRY(adapter_initialize(session->model.adapter, session->model.queue,
                               train_settings_seed(s, s->seed_init)));
  if (s->init_adapter == NULL)
    return CDL_STATUS_OK;
  return adapter_read(session->model.adapter, session->model.queue, initial_folder(session));
}

static cdl_status adopt_initial(train_session *session, train_settings *s, const bool *given)
{
  return s->init_adapter != NULL ? train_adopt_adapter(s, given, &session->initial) : CDL_STATUS_OK;
}

static cdl_status open_initial(train_session *session, train_settings *s, const bool *given)
{
  const char *folder;
  CDL_TRY(inference_find_adapter(&session->model, s->init_adapter, &folder));
  if (folder != NULL)
    CDL_TRY(adapter_folder_open(folder, &session->initial, &session->initial_tensors));
  return adopt_initial(session, s, given);
}

/* Closes a session that could not be opened. */
static void give_up(train_session *session)
{
  const bool met = session->met;
  train_session_close(session);
  session->met = met;
}

cdl_status train_session_open(train_session *session, train_settings *settings, const bool *given,
                              ranks_job *job)
{
  *session = (train_session){.model.job = job};
  cdl_status status = open_initial(session, settings, given);
  if (status == CDL_STATUS_OK)
    status = train_check_adapter_settings(settings);
  if (status == CDL_STATUS_OK)
    status = open_base(session, settings);
  if (status == CDL_STATUS_OK)
    status = train_session_make_adapter(session, settings);
  if (status != CDL_STATUS_OK)
    give_up(session);
  return status;
}

/* ---- Several runs ---- */

cdl_status train_session_open_base(train_session *session, train_settings *settings,
                                   const bool *given, ranks_job *job)
{
  *session = (train_session){.model.job = job, .serves_runs = true};
  cdl_status status = open_initial(session, settings, given);
  if (status == CDL_STATUS_OK)
    status = open_base(session, settings);
  if (status != CDL_STATUS_OK)
    give_up(session);
  return status;
}

/* Prepares the encoder for a run with these settings. The body is read again only if a run changed
 * it. */
static cdl_status reload(train_session *session, const train_settings *s)
{
  encoder_load_options options = load_options(session, s, encoder_config(session->model.encoder));
  options.part = session->body_changed ? ENCODER_LOAD_ALL : ENCODER_LOAD_HEAD;
  CDL_TRY(encoder_reload(session->model.encoder, session->model.queue,
                         cdl_hub_source_folder(session->model.base_source), &options,
                         session->model.loaded.fingerprint));
  session->body_changed = false;
  return CDL_STATUS_OK;
}

cdl_status train_session_begin_run(train_session *session, train_settings *settings,
                                   const bool *given)
{
  CDL_TRY(adopt_initial(session, settings, given));
  CDL_TRY(train_check_adapter_settings(settings));
  CDL_TRY(reload(session, settings));
  const cdl_status status = train_session_make_adapter(session, settings);
  if (status != CDL_STATUS_OK)
    train_session_end_run(session);
  return status;
}

void train_session_end_run(train_session *session)
{
  adapter_destroy(session->model.adapter);
  session->model.adapter = NULL;
  adapter_config_free(&session->model.adapter_config);
  session->model.adapter_config = (adapter_config){0};
  encoder_release_plan(session->model.encoder);
}

cdl_status train_session_share(train_session *base, train_settings *settings, const bool *given,
                               train_session *session)
{
  CDL_TRY(adopt_initial(base, settings, given));
  CDL_TRY(train_check_adapter_settings(settings));
  if (base->body_changed)
    CDL_TRY(reload(base, settings));
  *session = *base;
  session->model.encoder = NULL;
  cdl_status status =
      encoder_share(session->model.queue, base->model.encoder,
                    train_settings_seed(settings, settings->seed_init), &session->model.encoder);
  if (status == CDL_STATUS_OK)
    status = train_session_make_adapter(session, settings);
  if (status != CDL_STATUS_OK)
    train_session_unshare(session);
  return status;
}

void train_session_unshare(train_session *session)
{
  adapter_destroy(session->model.adapter);
  adapter_config_free(&session->model.adapter_config);
  encoder_destroy(session->model.encoder);
  *session = (train_session){0};
}

/* ---- Facts of what was opened ---- */

/* `targets` is scratch [outputs] for what an example does not hold by itself, or NULL. */
static uint64_t hash_examples(uint64_t hash, const cdl_dataset *dataset, double *targets)
{
  const size_t outputs = cdl_dataset_output_count(dataset);
  const cdl_tokens tokens = cdl_dataset_tokens(dataset);
  hash = base_fnv(hash, tokens.offsets, (tokens.count + 1) * sizeof *tokens.offsets);
  hash = base_fnv(hash, tokens.ids, tokens.offsets[tokens.count] * sizeof *tokens.ids);
  for (size_t i = 0; i < tokens.count; i++) {
    const cdl_example example = cdl_dataset_get(dataset, i);
    hash = base_fnv(hash, &example.label, sizeof example.label);
    hash = base_fnv(hash, &example.target, sizeof example.target);
    if (targets != NULL) {
      cdl_dataset_targets(dataset, i, targets);
      hash = base_fnv(hash, targets, outputs * sizeof *targets);
    }
  }
  return hash;
}

cdl_status train_session_examples_hash(const train_session *session, uint64_t *hash)
{
  const size_t outputs = (size_t)session->model.labels;
  const bool several = session->model.problem == CDL_PROBLEM_MULTI_LABEL ||
                       (session->model.problem == CDL_PROBLEM_REGRESSION && outputs > 1);
  double *targets = several ? calloc(outputs, sizeof *targets) : NULL;
  if (several && targets == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the targets of an example");
  *hash = hash_examples(BASE_FNV_START, session->train, targets);
  if (session->dev != NULL)
    *hash = hash_examples(*hash, session->dev, targets);
  free(targets);
  return CDL_STATUS_OK;
}

void train_session_close(train_session *session)
{
  data_census_release(&session->census);
  train_rank_group_close(session);
  inference_close(&session->model);
  if (session->train != NULL)
    cdl_dataset_close(session->train);
  if (session->dev != NULL)
    cdl_dataset_close(session->dev);
  data_split_release(&session->split);
  free(session->dev_rows);
  adapter_config_free(&session->initial);
  cdl_safetensors_close(session->initial_tensors);
  *session = (train_session){0};
}
