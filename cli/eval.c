/* condlora eval */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/examples.h"
#include "cli/notices.h"
#include "cli/sink.h"
#include "train/run_files.h"

/* {"split": …, "accuracy": …, "per_class": …}; NULL with the status in `*status`. */
static json_t *measure(const cdl_job *job, const cli_examples *e, const float *logits,
                       cdl_status *status)
{
  const size_t labels = (size_t)job->labels;
  uint64_t *confusion = calloc(labels * labels, sizeof *confusion);
  cdl_result result;
  *status = confusion == NULL
                ? cdl_fail(CDL_MEMORY, "out of memory: %zu labels", labels)
                : cdl_score(e->dataset, e->rows, e->count, logits, job->labels, confusion, &result);
  if (*status != CDL_OK) {
    free(confusion);
    return NULL;
  }
  json_t *object = json_object(), *figures = cdl_result_json(job, &result),
         *details = cdl_confusion_json(job, confusion);
  json_object_set_new(object, e->task != NULL ? "split" : "input", json_string(e->split));
  json_object_update(object, figures);
  if (details != NULL)
    json_object_update(object, details);
  json_decref(figures);
  json_decref(details);
  free(confusion);
  return object;
}

/* MNLI's dev is two files: each has figures of its own. */
static cdl_status add_parts(json_t *object, const cdl_job *job, const cli_examples *e,
                            const float *logits)
{
  const size_t parts = cdl_dataset_part_count(e->dataset);
  if (parts < 2)
    return CDL_OK;
  for (size_t i = 0; i < parts; i++) {
    const cdl_dataset_part part = cdl_dataset_get_part(e->dataset, i);
    cdl_result result;
    CDL_TRY(cdl_score(e->dataset, e->rows + part.first, part.count, logits, job->labels, NULL,
                      &result));
    json_object_set_new(object, part.name, cdl_result_json(job, &result));
  }
  return CDL_OK;
}

static cdl_status run(const cdl_inference_settings *settings, const cli_example_source *source,
                      cli_notices *notices)
{
  cdl_job job;
  cli_examples examples;
  CDL_TRY(cli_open_for_inference(settings, source, CLI_LABELS_REQUIRED, &job, &examples));
  cli_notices_release(notices);
  float *logits;
  cdl_status status = cli_logits(&job, &examples, &logits);
  json_t *object = status == CDL_OK ? measure(&job, &examples, logits, &status) : NULL;
  if (status == CDL_OK)
    status = add_parts(object, &job, &examples, logits);
  if (status == CDL_OK)
    status = cli_stdout_json(json_incref(object));
  json_decref(object);
  free(logits);
  cli_examples_close(&examples);
  cdl_job_close(&job);
  return status;
}

cdl_status cli_eval(int count, char **arguments)
{
  cdl_inference_settings settings = {.backend = "auto", .precision = "fp32"};
  cli_example_source source = CLI_EXAMPLE_DEFAULTS;
  int64_t threads = 0;
  const cli_option options[] = {CLI_MODEL_OPTIONS(settings, threads, settings.max_length),
                                CLI_EXAMPLE_OPTIONS(source), CLI_LABEL_OPTION(source)};
  const cli_grammar grammar = {
      .usage = "condlora eval --model DIR [--adapter DIR] --task NAME --data DIR [--split NAME]\n"
               "condlora eval --model DIR [--adapter DIR] --input FILE --text-columns A[,B] "
               "--label-column Y",
      .summary =
          "Measures an adapter, or a model that was fine-tuned whole, and prints metrics as JSON.",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  bool helped;
  CDL_TRY(cli_options_read(&grammar, count, arguments, &helped));
  if (helped)
    return CDL_OK;
  CDL_TRY(cli_take_threads(threads, &settings.threads));
  cli_notices notices;
  cli_notices_begin(&notices);
  const cdl_status status = run(&settings, &source, &notices);
  cli_notices_end(&notices);
  return status;
}
