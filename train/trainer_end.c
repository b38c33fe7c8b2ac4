/* The end of a run: what was kept is measured and written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "train/class_json.h"
#include "train/columns.h"
#include "train/trainer_state.h"

/* Measures one split with the kept adapter. */
static cdl_status measure_split(cdl_trainer *t, const cdl_dataset *dataset, const uint32_t *rows,
                                size_t count, const char *name, cdl_result *result,
                                json_t **metrics)
{
  cdl_job *job = t->job;
  const size_t labels = (size_t)job->labels;
  cdl_evaluation evaluation;
  CDL_TRY(
      cdl_evaluation_create(&evaluation, dataset, rows, count, job->labels, job->first_position));
  evaluation.types_zero = job->types_zero;
  float *logits = calloc(cdl_dataset_count(dataset) * labels + 1, sizeof *logits);
  cdl_class_details details = {0};
  cdl_status status = logits == NULL ? cdl_fail(CDL_MEMORY, "out of memory: %s", name) : CDL_OK;
  if (status == CDL_OK)
    status = cdl_encoder_plan(job->encoder, job->queue, (cdl_batch_limits){0},
                              cdl_evaluation_limits(&evaluation));
  if (status == CDL_OK)
    status = cdl_evaluation_run(&evaluation, job->encoder, job->queue, logits, NULL);
  if (status == CDL_OK)
    status = cdl_score(dataset, rows, count, logits, job->labels, &details, result);
  if (status == CDL_OK)
    status = cdl_add_penalty(job, result);
  if (status == CDL_OK) {
    json_t *entry = cdl_result_json(job, result);
    cdl_json_update(&entry, cdl_class_json(job->label_names, labels, &details, count));
    for (size_t p = 0; dataset == job->dev && cdl_dataset_part_count(dataset) > 1 &&
                       p < cdl_dataset_part_count(dataset);
         p++) {
      const cdl_dataset_part part = cdl_dataset_get_part(dataset, p);
      cdl_result of_part;
      status =
          cdl_score(dataset, rows + part.first, part.count, logits, job->labels, NULL, &of_part);
      if (status == CDL_OK)
        status = cdl_add_penalty(job, &of_part);
      if (status != CDL_OK)
        break;
      cdl_json_set(&entry, part.name, cdl_result_json(job, &of_part));
    }
    cdl_json_set(metrics, name, entry);
  }
  free(logits);
  cdl_class_details_release(&details);
  cdl_evaluation_release(&evaluation);
  return status;
}

static cdl_status measure(cdl_trainer *t, cdl_train_summary *s, json_t **metrics)
{
  const cdl_train_plan *plan = &t->plan;
  cdl_job *job = t->job;
  const bool best = strcmp(t->settings->keep, "best") == 0 && t->state.best_step > 0;
  *s = (cdl_train_summary){
      .adapter_numbers = plan->adapter_numbers,
      .head_numbers = plan->head_numbers,
      .steps = t->state.step,
      .best_step = best ? t->state.best_step : t->state.step,
      .best_epoch = cdl_trainer_epoch(t, best ? t->state.best_step : t->state.step),
      .examples_per_s = t->train_seconds > 0 ? (double)t->trained_examples / t->train_seconds : 0,
      .has_valid = t->eval_every > 0 && job->split.valid_count > 0,
      .has_dev = t->eval_every > 0 && job->dev != NULL && cdl_dataset_has_labels(job->dev)};
  if (best)
    CDL_TRY(cdl_snapshot_restore(&t->best, job->adapter, job->queue));
  const bool whole = strcmp(t->settings->method, "full") == 0;
  snprintf(s->adapter_path, sizeof s->adapter_path, "%s",
           whole ? t->files.model : t->files.adapter);
  cdl_json_set(metrics, "method", json_string(t->settings->method));
  cdl_json_set(metrics, "parameters",
               json_pack("{sI sI}", "adapter", (json_int_t)s->adapter_numbers, "head",
                         (json_int_t)s->head_numbers));
  cdl_json_set(metrics, "steps", json_integer((json_int_t)s->steps));
  cdl_json_set(metrics, "kept",
               json_pack("{ss sI sf}", "which", best ? "best" : "last", "step",
                         (json_int_t)s->best_step, "epoch", s->best_epoch));
  cdl_json_set(metrics, "evaluations", json_incref(t->state.evaluations));
  if (t->eval_every == 0)
    cdl_json_set(metrics, "note", json_string("nothing was evaluated (--eval-every 0)"));
  if (s->has_valid)
    CDL_TRY(measure_split(t, job->train, job->split.valid, job->split.valid_count, "valid",
                          &s->valid, metrics));
  if (s->has_dev)
    CDL_TRY(measure_split(t, job->dev, job->dev_rows, cdl_dataset_count(job->dev), "dev", &s->dev,
                          metrics));
  s->peak_bytes = cdl_process_peak_bytes();
  cdl_json_set(metrics, "timing",
               json_pack("{sf sI}", "examples_per_s", s->examples_per_s, "peak_bytes",
                         (json_int_t)s->peak_bytes));
  return CDL_OK;
}

static cdl_status keep_result(cdl_trainer *t)
{
  cdl_job *job = t->job;
  const cdl_model_origin origin = {.base = t->settings->model,
                                   .tokenizer = t->settings->model,
                                   .labels = (const char *const *)job->label_names,
                                   .problem = job->regression ? CDL_PROBLEM_REGRESSION
                                                              : CDL_PROBLEM_CLASSIFICATION};
  if (strcmp(t->settings->method, "full") == 0) {
    CDL_TRY(cdl_model_write(job->encoder, job->queue, &origin, t->files.model));
    return cdl_columns_write(t->files.model, &job->adapter_config);
  }
  CDL_TRY(cdl_snapshot_take(&t->now, job->adapter, job->queue));
  return cdl_trainer_write_adapter(t, &t->now);
}

cdl_status cdl_trainer_finish(cdl_trainer *t, cdl_train_summary *summary)
{
  t->state.finished = true;
  CDL_TRY(cdl_trainer_save(t)); /* before the best values replace the last */
  json_t *metrics = json_object();
  cdl_status status = measure(t, summary, &metrics);
  if (status == CDL_OK)
    status = keep_result(t);
  if (status == CDL_OK)
    status = cdl_json_write(t->files.metrics, metrics);
  json_decref(metrics);
  return status;
}
