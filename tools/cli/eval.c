/* condlora eval */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tools/cli/command.h"
#include "tools/cli/example_options.h"
#include "tools/console/output.h"
#include "tools/console/signals.h"
#include "train/class_json.h"
#include "train/run_files.h"

typedef struct {
  inference_settings model;
  study_example_source source;
} measurement;

/* Returns {"split": …, "accuracy": …, "per_class": …}, which the caller releases. */
static json_t *measure(const inference_model *model, const study_examples *e, const float *logits,
                       cdl_status *status)
{
  train_class_details details;
  train_result result;
  *status = train_score(model, e->dataset, e->rows, e->count, logits, &details, &result);
  if (*status != CDL_STATUS_OK)
    return NULL;
  json_t *object = json_object();
  base_json_set(&object, e->task != NULL ? "split" : "input", base_json_string_of(e->split));
  base_json_update(&object, train_result_json(model, &result));
  base_json_update(&object, train_class_json(model, &details, e->count));
  train_class_details_release(&details);
  return object;
}

/* Adds the metrics of each part of a split of several files, as MNLI's dev is. */
static cdl_status add_parts(json_t **object, const inference_model *model, const study_examples *e,
                            const float *logits)
{
  const size_t parts = cdl_dataset_part_count(e->dataset);
  if (parts < 2)
    return CDL_STATUS_OK;
  for (size_t i = 0; i < parts; i++) {
    const cdl_dataset_part part = cdl_dataset_get_part(e->dataset, i);
    train_result result;
    CDL_TRY(
        train_score(model, e->dataset, e->rows + part.first, part.count, logits, NULL, &result));
    base_json_set(object, part.name, train_result_json(model, &result));
  }
  return CDL_STATUS_OK;
}

static cdl_status run(void *command, console_notices *notices)
{
  measurement *m = command;
  inference_model model;
  study_examples examples;
  cli_job_share_threads(&m->model.threads);
  m->model.job = cli_job();
  CDL_TRY(ranks_agree(cli_job(), cli_job_check_input(m->source.input), "the options"));
  CDL_TRY(cli_open_examples(&m->model, &m->source, STUDY_LABELS_REQUIRED, &model, &examples));
  console_notices_release(notices);
  float *logits;
  console_signals_defer();
  cdl_status status = study_examples_logits(&model, &examples, console_signals_flag(), &logits);
  json_t *object = status == CDL_STATUS_OK ? measure(&model, &examples, logits, &status) : NULL;
  if (status == CDL_STATUS_OK)
    status = add_parts(&object, &model, &examples, logits);
  if (status == CDL_STATUS_OK)
    status = console_stdout_json(json_incref(object));
  json_decref(object);
  free(logits);
  study_examples_close(&examples);
  inference_close(&model);
  return status;
}

cdl_status cli_eval(int count, char **arguments)
{
  measurement m = {.model = {.backend = "auto", .precision = "fp32"},
                   .source = STUDY_EXAMPLE_DEFAULTS};
  const base_option options[] = {CLI_MODEL_OPTIONS(m.model), CLI_CACHE_OPTIONS(m.model),
                                 CLI_EXAMPLE_OPTIONS(m.source), CLI_LABEL_OPTIONS(m.source)};
  const base_command_line line = {
      .usage =
          "condlora eval --adapter ADAPTER [--model MODEL] --task NAME --data DIR [--split NAME]\n"
          "condlora eval --adapter ADAPTER [--model MODEL] --input FILE --text-columns A[,B] "
          "--label-column Y",
      .summary = "Evaluates an adapter or a fully fine-tuned model on labelled examples and prints "
                 "its metrics as JSON.",
      .options = BASE_OPTIONS(options)};
  return cli_run(&line, count, arguments, run, &m);
}
