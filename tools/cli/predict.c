/* condlora predict */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/path.h"
#include "base/process.h"
#include "model/inference/evaluation.h"
#include "tools/cli/command.h"
#include "tools/cli/example_options.h"
#include "tools/console/output.h"
#include "tools/console/signals.h"
#include "tools/study/windows.h"
#include "train/data/submission.h"
#include "train/examples.h"

/* Most examples of a window: enough to fill all batches except the last, few enough for the first
 * answers to come soon. */
enum { WINDOW = 512 };

typedef enum { FORMAT_JSONL, FORMAT_GLUE } prediction_format;

typedef struct {
  inference_settings model;
  study_example_source source;
  const char *output;
  int format; /* prediction_format */
} prediction;

/* ---- JSON lines ---- */

/* Returns the labels as JSON strings, [model->labels]. The caller frees each and the array. */
static char **quote_labels(const inference_model *model)
{
  char **quoted = calloc((size_t)model->labels + 1, sizeof *quoted);
  for (int i = 0; quoted != NULL && model->label_names != NULL && i < model->labels; i++) {
    json_t *name = json_string(model->label_names[i]);
    quoted[i] = base_json_line(name);
    json_decref(name);
    if (quoted[i] == NULL) {
      while (i > 0)
        free(quoted[--i]);
      free(quoted);
      return NULL;
    }
  }
  return quoted;
}

/* The output, and the memory that writing a line needs. */
typedef struct {
  console_output output;
  double *probabilities; /* [labels] */
  char **labels;         /* [labels] as JSON strings; NULL entries for a regression */
} line_writer;

static void write_line(line_writer *w, const inference_model *model, uint64_t index,
                       const float *logits)
{
  console_output *output = &w->output;
  console_output_printf(output, "{\"index\": %" PRIu64 ", \"logits\": [", index);
  for (int c = 0; c < model->labels; c++)
    console_output_printf(output, "%s%.9g", c > 0 ? ", " : "", (double)logits[c]);
  if (model->problem == CDL_PROBLEM_REGRESSION) {
    console_output_printf(output, "], \"prediction\": %.9g}\n", (double)logits[0]);
    return;
  }
  inference_probabilities(logits, model->labels, w->probabilities);
  console_output_printf(output, "], \"probabilities\": [");
  for (int c = 0; c < model->labels; c++)
    console_output_printf(output, "%s%.9g", c > 0 ? ", " : "", w->probabilities[c]);
  console_output_printf(output, "], \"prediction\": %s}\n",
                        w->labels[inference_argmax(logits, model->labels)]);
}

/* Writes a line for each example of the window. If an output is not finite, it writes the lines
 * before it and fails. */
static cdl_status write_window(line_writer *writer, inference_model *model, study_windows *w)
{
  float *logits;
  cdl_status status = study_windows_logits(w, model, &logits);
  for (size_t i = 0; status == CDL_STATUS_OK && i < w->count; i++) {
    const float *row = logits + (size_t)w->rows[i] * (size_t)model->labels;
    status = train_check_finite(model, w->all.dataset, w->all.split, w->rows[i],
                                w->before + w->rows[i], row);
    if (status == CDL_STATUS_OK)
      write_line(writer, model, w->before + w->rows[i], row);
  }
  free(logits);
  const cdl_status flushed = console_output_flush(&writer->output);
  return status == CDL_STATUS_OK ? flushed : status;
}

static cdl_status write_windows(line_writer *writer, inference_model *model, study_windows *w,
                                console_notices *notices)
{
  CDL_TRY(study_windows_plan(model));
  CDL_TRY(encoder_merge(model->encoder, model->queue));
  for (;;) {
    CDL_TRY(study_windows_next(w));
    console_notices_release(notices);
    if (w->count == 0)
      return CDL_STATUS_OK;
    CDL_TRY(write_window(writer, model, w));
  }
}

static cdl_status write_lines(const prediction *p, inference_model *model, study_windows *w,
                              console_notices *notices)
{
  line_writer writer = {.probabilities = calloc((size_t)model->labels, sizeof(double)),
                        .labels = quote_labels(model)};
  cdl_status status = writer.probabilities != NULL && writer.labels != NULL
                          ? console_output_begin(&writer.output, p->output)
                          : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %d labels", model->labels);
  if (status == CDL_STATUS_OK)
    status = console_output_finish(&writer.output, write_windows(&writer, model, w, notices));
  for (int c = 0; writer.labels != NULL && c < model->labels; c++)
    free(writer.labels[c]);
  free(writer.labels);
  free(writer.probabilities);
  return status;
}

/* ---- Submissions ---- */

static cdl_status write_submission(const char *path, const inference_model *model,
                                   const study_examples *e, cdl_dataset_part part,
                                   const float *logits)
{
  int32_t *classes = calloc(part.count + 1, sizeof *classes);
  double *scores = calloc(part.count + 1, sizeof *scores);
  if (classes == NULL || scores == NULL) {
    free(classes);
    free(scores);
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", path);
  }
  const bool regression = model->problem == CDL_PROBLEM_REGRESSION;
  base_output *output = NULL;
  cdl_status status = base_output_begin_named(path, &output);
  if (status == CDL_STATUS_OK) {
    for (size_t i = 0; i < part.count; i++) {
      const float *row = logits + (part.first + i) * (size_t)model->labels;
      classes[i] = inference_argmax(row, model->labels);
      scores[i] = (double)row[0];
    }
    status = data_submission_write(output, e->task, regression ? NULL : classes,
                                   regression ? scores : NULL, part.count);
    if (status == CDL_STATUS_OK)
      status = base_output_commit(output);
    else
      base_output_abort(output);
  }
  free(classes);
  free(scores);
  return status;
}

/* Writes --output as a file or, for a split of two files (MNLI), as a folder of two files. */
static cdl_status write_submissions(const prediction *p, const inference_model *model,
                                    const study_examples *e, const float *logits)
{
  const size_t parts = cdl_dataset_part_count(e->dataset);
  if (parts == 1)
    return write_submission(p->output, model, e, cdl_dataset_get_part(e->dataset, 0), logits);
  CDL_TRY(base_folder_make(p->output));
  for (size_t i = 0; i < parts; i++) {
    const cdl_dataset_part part = cdl_dataset_get_part(e->dataset, i);
    char name[64];
    CDL_TRY(data_submission_name(e->task, part.name, name, sizeof name));
    char *path = base_path_join(p->output, name);
    const cdl_status status = path != NULL
                                  ? write_submission(path, model, e, part, logits)
                                  : cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", p->output);
    free(path);
    CDL_TRY(status);
  }
  return CDL_STATUS_OK;
}

/* ---- The command ---- */

static cdl_status check(const prediction *p)
{
  CDL_TRY(console_output_check(p->output, p->source.input));
  if (p->format != FORMAT_GLUE)
    return CDL_STATUS_OK;
  if (p->source.task == NULL)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--format glue needs --task: a submission belongs to a task of GLUE");
  if (p->output == NULL || strcmp(p->output, "-") == 0)
    return cdl_fail(CDL_STATUS_USAGE, "--format glue needs --output: the submission's file, or for "
                                      "MNLI the folder of its two files");
  if (p->source.split != NULL && strcmp(p->source.split, "valid") == 0)
    return cdl_fail(CDL_STATUS_USAGE,
                    "--format glue needs the rows of a file; --split valid is a part of train");
  return CDL_STATUS_OK;
}

static cdl_status check_ids(const void *model, const cdl_dataset *dataset)
{
  return train_check_ids(model, dataset);
}

static cdl_status predict_lines(const prediction *p, console_notices *notices)
{
  inference_model model;
  study_windows windows;
  CDL_TRY(study_examples_open_model(&p->model, &p->source, &model));
  console_signals_defer();
  const data_window_tokenizer tokenizer = {.tokenizer = model.tokenizer,
                                           .max_length = model.max_length,
                                           .threads = base_process_processors(),
                                           .check = check_ids,
                                           .user = &model};
  cdl_status status = study_windows_open(&p->source, STUDY_LABELS_OPTIONAL, &model, &tokenizer,
                                         WINDOW, console_signals_flag(), &windows);
  if (status == CDL_STATUS_OK) {
    status = write_lines(p, &model, &windows, notices);
    study_windows_close(&windows);
  }
  inference_close(&model);
  return status;
}

static cdl_status predict_submission(const prediction *p, console_notices *notices)
{
  inference_model model;
  study_examples examples;
  CDL_TRY(study_examples_open(&p->model, &p->source, STUDY_LABELS_OPTIONAL, &model, &examples));
  console_notices_release(notices);
  float *logits;
  console_signals_defer();
  cdl_status status = study_examples_logits(&model, &examples, console_signals_flag(), &logits);
  if (status == CDL_STATUS_OK)
    status = write_submissions(p, &model, &examples, logits);
  free(logits);
  study_examples_close(&examples);
  inference_close(&model);
  return status;
}

static cdl_status run(void *command, console_notices *notices)
{
  const prediction *p = command;
  CDL_TRY(check(p));
  return p->format == FORMAT_GLUE ? predict_submission(p, notices) : predict_lines(p, notices);
}

cdl_status cli_predict(int count, char **arguments)
{
  prediction p = {.model = {.backend = "auto", .precision = "fp32"},
                  .source = STUDY_EXAMPLE_DEFAULTS};
  const base_option options[] = {
      CLI_MODEL_OPTIONS(p.model),
      CLI_EXAMPLE_OPTIONS(p.source),
      BASE_OPTION(STRING, "label_column", &p.source.label_column, "Y[,Z]",
                  "column with the label, or several columns; optional, values are checked"),
      BASE_OPTION(STRING, "label_separator", &p.source.label_separator, "C",
                  "multi-label: the character between labels in a field [that of training]"),
      BASE_SECTION("Output"),
      BASE_OPTION(STRING, "output", &p.output, "FILE", "file for the results [standard output]"),
      BASE_OPTION(CHOICE, "format", &p.format, "jsonl|glue",
                  "jsonl: one JSON object a line; glue: a submission for GLUE's site [jsonl]")};
  const base_command_line line = {
      .usage = "condlora predict --model DIR [--adapter DIR] --task NAME "
               "--data DIR [--split NAME] [--output FILE]\n"
               "condlora predict --model DIR [--adapter DIR] --input FILE "
               "[--text-columns A[,B]] [--output FILE]",
      .summary = "Applies an adapter or a fully fine-tuned model to examples. It writes one line "
                 "of JSON for each, with index, logits, probabilities and prediction.",
      .notes = "echo 'a small domesticated mammal' | condlora predict "
               "--model DIR --adapter DIR --input -",
      .options = BASE_OPTIONS(options)};
  return cli_run(&line, count, arguments, run, &p);
}
