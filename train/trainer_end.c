/* The end of a run: measures the kept adapter and writes the results. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "model/inference/columns.h"
#include "train/card.h"
#include "train/class_json.h"
#include "train/run_facts.h"
#include "train/trainer_state.h"

/* Adds the result of each part of dev to `entry` if dev has several, such as the two of MNLI. */
static cdl_status measure_parts(train_session *session, const cdl_dataset *dataset,
                                const uint32_t *rows, const float *logits, json_t **entry)
{
  const size_t parts = cdl_dataset_part_count(dataset);
  if (dataset != session->dev || parts < 2)
    return CDL_STATUS_OK;
  for (size_t p = 0; p < parts; p++) {
    const cdl_dataset_part part = cdl_dataset_get_part(dataset, p);
    train_result result;
    CDL_TRY(train_score(&session->model, dataset, rows + part.first, part.count, logits, NULL,
                        &result));
    CDL_TRY(train_add_penalty(session, &result));
    base_json_set(entry, part.name, train_result_json(&session->model, &result));
  }
  return CDL_STATUS_OK;
}

/* Measures one split with the kept adapter. */
static cdl_status measure_split(train_trainer *t, const cdl_dataset *dataset, const uint32_t *rows,
                                size_t count, const char *name, train_result *result,
                                json_t **metrics)
{
  train_session *session = t->session;
  const size_t labels = (size_t)session->model.labels;
  inference_evaluation evaluation;
  const cdl_tokens tokens = cdl_dataset_tokens(dataset);
  CDL_TRY(inference_evaluation_create(&evaluation, &session->model, &tokens, rows, count));
  float *logits = calloc(cdl_dataset_count(dataset) * labels + 1, sizeof *logits);
  train_class_details details = {0};
  cdl_status status =
      logits == NULL ? cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", name) : CDL_STATUS_OK;
  if (status == CDL_STATUS_OK)
    status = encoder_plan(session->model.encoder, session->model.queue, (encoder_batch_limits){0},
                          inference_evaluation_limits(&evaluation));
  if (status == CDL_STATUS_OK)
    status = inference_evaluation_run(&evaluation, session->model.encoder, session->model.queue,
                                      logits, NULL);
  if (status == CDL_STATUS_OK)
    status = strcmp(name, t->evaluated_split) == 0
                 ? trainer_choose_thresholds(session, dataset, rows, count, logits)
                 : CDL_STATUS_OK;
  if (status == CDL_STATUS_OK)
    status = train_score(&session->model, dataset, rows, count, logits, &details, result);
  if (status == CDL_STATUS_OK)
    status = train_add_penalty(session, result);
  if (status == CDL_STATUS_OK) {
    json_t *entry = train_result_json(&session->model, result);
    base_json_update(&entry, train_class_json(&session->model, &details, count));
    status = measure_parts(session, dataset, rows, logits, &entry);
    base_json_set(metrics, name, entry);
  }
  free(logits);
  train_class_details_release(&details);
  inference_evaluation_release(&evaluation);
  return status;
}

/* Numbers of examples whose states were there, and were computed. Runs that train together have
 * those of all of them. */
static json_t *cached_json(const train_trainer *t)
{
  const frozen_cache_counts now = frozen_cache_count(t->session->model.frozen);
  return json_pack("{si sI sI}", "first_block", t->plan.frozen.block, "held",
                   (json_int_t)(now.held - t->cached.held), "computed",
                   (json_int_t)(now.computed - t->cached.computed));
}

/* What is not the same in each repetition of a run. */
static json_t *timing_json(const train_trainer *t, const train_summary *s)
{
  json_t *timing = train_process_json(t->session->model.job, t->started.text, t->first_step);
  base_json_set_text(&timing, "finished", base_time_now().text);
  base_json_set(&timing, "train_seconds", base_json_rounded(t->train_seconds, 3));
  base_json_set(&timing, "examples_per_s", base_json_rounded(s->examples_per_s, 3));
  if (t->session->model.job != NULL)
    base_json_set(&timing, "waiting", base_json_rounded(s->waiting, 4));
  base_json_set(&timing, "peak_bytes", json_integer((json_int_t)s->peak_bytes));
  if (t->plan.frozen.block > 0)
    base_json_set(&timing, "frozen", cached_json(t));
  return timing;
}

static cdl_status measure(train_trainer *t, train_summary *s, json_t **metrics)
{
  const train_plan *plan = &t->plan;
  train_session *session = t->session;
  const bool best = t->settings->keep == TRAIN_KEEP_BEST && t->state.best_step > 0;
  *s = (train_summary){
      .adapter_numbers = plan->adapter_numbers,
      .head_numbers = plan->head_numbers,
      .steps = t->state.step,
      .best_step = best ? t->state.best_step : t->state.step,
      .best_epoch = trainer_epoch(t, best ? t->state.best_step : t->state.step),
      .examples_per_s = t->train_seconds > 0 ? (double)t->trained_examples / t->train_seconds : 0,
      .waiting = t->train_seconds > 0 ? t->waited_seconds / t->train_seconds : 0,
      .has_valid = t->eval_every > 0 && session->split.valid_count > 0,
      .has_dev = t->eval_every > 0 && session->dev != NULL && cdl_dataset_has_labels(session->dev)};
  if (best)
    CDL_TRY(adapter_snapshot_restore(&t->best, session->model.adapter, session->model.queue));
  const bool whole = adapter_is_whole_model(train_method_name(t->settings));
  snprintf(s->adapter_path, sizeof s->adapter_path, "%s",
           whole ? t->files.model : t->files.adapter);
  base_json_set(metrics, "method", json_string(train_method_name(t->settings)));
  base_json_set(metrics, "parameters",
                json_pack("{sI sI}", "adapter", (json_int_t)s->adapter_numbers, "head",
                          (json_int_t)s->head_numbers));
  base_json_set(metrics, "steps", json_integer((json_int_t)s->steps));
  base_json_set(metrics, "kept",
                json_pack("{ss sI sf}", "which", best ? "best" : "last", "step",
                          (json_int_t)s->best_step, "epoch", s->best_epoch));
  base_json_set(metrics, "evaluations", json_incref(t->state.evaluations));
  if (t->eval_every == 0)
    base_json_set(metrics, "note", json_string("nothing was evaluated (--eval-every 0)"));
  if (s->has_valid)
    CDL_TRY(measure_split(t, session->train, session->split.valid, session->split.valid_count,
                          "valid", &s->valid, metrics));
  if (s->has_dev)
    CDL_TRY(measure_split(t, session->dev, session->dev_rows, cdl_dataset_count(session->dev),
                          "dev", &s->dev, metrics));
  s->peak_bytes = base_process_peak_bytes();
  base_json_set(metrics, "timing", timing_json(t, s));
  return CDL_STATUS_OK;
}

static cdl_status keep_result(train_trainer *t)
{
  train_session *session = t->session;
  const char *base = cdl_hub_source_folder(session->model.base_source);
  const adapter_model_origin origin = {.base = base,
                                       .tokenizer = base,
                                       .labels = (const char *const *)session->model.label_names,
                                       .problem = session->model.problem};
  if (!t->files.writes)
    return CDL_STATUS_OK;
  if (adapter_is_whole_model(train_method_name(t->settings))) {
    CDL_TRY(
        adapter_model_write(session->model.encoder, session->model.queue, &origin, t->files.model));
    return inference_columns_write(t->files.model, &session->model.adapter_config);
  }
  CDL_TRY(adapter_snapshot_take(&t->now, session->model.adapter, session->model.queue));
  return trainer_write_adapter(t, &t->now);
}

cdl_status trainer_finish(train_trainer *t, train_summary *summary)
{
  t->state.finished = true;
  CDL_TRY(trainer_save(t)); /* before the best values replace the last ones */
  json_t *metrics = json_object();
  cdl_status status = measure(t, summary, &metrics);
  if (status == CDL_STATUS_OK)
    status = keep_result(t);
  if (status == CDL_STATUS_OK && t->files.writes)
    status = train_card_write(summary->adapter_path, t->session, t->settings, summary);
  if (status == CDL_STATUS_OK && t->files.writes)
    status = base_json_write(t->files.metrics, metrics);
  json_decref(metrics);
  return status == CDL_STATUS_OK ? train_curves_finish(&t->curves, t->state.step) : status;
}
