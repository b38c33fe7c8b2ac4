/* condlora eval */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/process.h"
#include "tools/cli/command.h"
#include "tools/cli/example_options.h"
#include "tools/console/output.h"
#include "tools/console/signals.h"
#include "train/class_json.h"
#include "train/run_files.h"

typedef struct {
  inference_settings model;
  study_example_source source;
  const char *compare; /* a second precision; NULL: none */
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

/* One precision's evaluation. */
typedef struct {
  json_t *object; /* the metrics */
  float *logits;  /* [examples, labels] */
  double seconds; /* of the passes alone */
} evaluation;

static void release(evaluation *e)
{
  json_decref(e->object);
  free(e->logits);
}

static cdl_status pass(inference_model *model, const study_examples *examples, evaluation *e)
{
  const double start = base_process_seconds();
  cdl_status status = study_examples_logits(model, examples, console_signals_flag(), &e->logits);
  e->seconds = base_process_seconds() - start;
  e->object = status == CDL_STATUS_OK ? measure(model, examples, e->logits, &status) : NULL;
  return status == CDL_STATUS_OK ? add_parts(&e->object, model, examples, e->logits) : status;
}

/* How far one precision's logits are from another's, and how many examples have another answer. */
static json_t *difference_json(const inference_model *model, const study_examples *e,
                               const float *one, const float *other)
{
  double most = 0;
  size_t changed = 0;
  const size_t labels = (size_t)model->labels;
  bool *chosen = malloc(2 * labels * sizeof *chosen);
  for (size_t i = 0; chosen != NULL && i < e->count; i++) {
    const float *a = one + e->rows[i] * labels, *b = other + e->rows[i] * labels;
    inference_decide(model, a, chosen);
    inference_decide(model, b, chosen + labels);
    changed += memcmp(chosen, chosen + labels, labels * sizeof *chosen) != 0;
    for (size_t l = 0; l < labels; l++)
      most = fmax(most, fabs((double)a[l] - (double)b[l]));
  }
  json_t *object = chosen != NULL ? json_object() : NULL;
  free(chosen);
  base_json_set(&object, "largest_logit_difference", base_json_number(most));
  if (model->problem != CDL_PROBLEM_REGRESSION)
    base_json_set(&object, "changed_answers", json_integer((json_int_t)changed));
  return object;
}

static void set_speed(json_t **object, const char *precision, size_t examples, double seconds)
{
  base_json_set_text(object, "precision", precision);
  base_json_set(object, "examples_per_s", base_json_number((double)examples / seconds));
}

/* Evaluates once more in the other precision and adds "compared" with its metrics and speed. The
 * first model is closed, so that the memory is one model's. */
static cdl_status compare(const measurement *m, evaluation *first)
{
  inference_settings settings = m->model;
  inference_model model;
  study_examples examples;
  evaluation second = {.object = NULL};
  settings.precision = m->compare;
  CDL_TRY(cli_open_examples(&settings, &m->source, STUDY_LABELS_REQUIRED, &model, &examples));
  const cdl_status status = pass(&model, &examples, &second);
  if (status == CDL_STATUS_OK) {
    set_speed(&first->object, m->model.precision, examples.count, first->seconds);
    set_speed(&second.object, m->compare, examples.count, second.seconds);
    base_json_update(&second.object,
                     difference_json(&model, &examples, first->logits, second.logits));
    base_json_set(&first->object, "compared", json_incref(second.object));
  }
  release(&second);
  study_examples_close(&examples);
  inference_close(&model);
  return status;
}

static cdl_status check_compare(const measurement *m)
{
  cdl_precision precision;
  if (m->compare == NULL)
    return CDL_STATUS_OK;
  CDL_TRY(cdl_precision_find(m->compare, &precision));
  if (strcmp(m->compare, m->model.precision) == 0)
    return cdl_fail(CDL_STATUS_USAGE, "--compare %s is the --precision itself; name another",
                    m->compare);
  if (m->source.input != NULL && strcmp(m->source.input, "-") == 0)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--compare reads the examples twice; standard input can be read once");
  return CDL_STATUS_OK;
}

static cdl_status run(void *command, console_notices *notices)
{
  measurement *m = command;
  inference_model model;
  study_examples examples;
  evaluation first = {.object = NULL};
  cli_job_share_threads(&m->model.threads);
  m->model.job = cli_job();
  CDL_TRY(ranks_agree(cli_job(), cli_job_check_input(m->source.input), "the options"));
  CDL_TRY(check_compare(m));
  CDL_TRY(cli_open_examples(&m->model, &m->source, STUDY_LABELS_REQUIRED, &model, &examples));
  console_notices_release(notices);
  console_signals_defer();
  cdl_status status = pass(&model, &examples, &first);
  study_examples_close(&examples);
  inference_close(&model);
  if (status == CDL_STATUS_OK && m->compare != NULL)
    status = compare(m, &first);
  if (status == CDL_STATUS_OK)
    status = console_stdout_json(json_incref(first.object));
  release(&first);
  return status;
}

cdl_status cli_eval(int count, char **arguments)
{
  measurement m = {.model = {.backend = "auto", .precision = "fp32"},
                   .source = STUDY_EXAMPLE_DEFAULTS};
  const base_option options[] = {
      CLI_MODEL_OPTIONS(m.model), CLI_CACHE_OPTIONS(m.model), CLI_EXAMPLE_OPTIONS(m.source),
      CLI_LABEL_OPTIONS(m.source),
      BASE_OPTION(STRING, "compare", &m.compare, "P",
                  "evaluate once more in precision P, such as fp32, and print its metrics and both "
                  "speeds: a second pass over all examples")};
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
