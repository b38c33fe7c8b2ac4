/* condlora predict */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "base/process.h"
#include "model/inference/evaluation.h"
#include "tools/cli/answers.h"
#include "tools/cli/command.h"
#include "tools/cli/example_options.h"
#include "tools/console/log.h"
#include "tools/console/signals.h"
#include "tools/study/windows.h"
#include "train/data/submission.h"
#include "train/examples.h"

/* Most examples of a window: enough to fill all batches except the last, few enough for the first
 * answers to come soon. */
enum { WINDOW = 512 };

/* The forms of answers, then GLUE's. */
#define FORMAT_WORDS "table|jsonl|csv|tsv|glue"
enum { FORMAT_OPEN = -1, FORMAT_GLUE = CLI_ANSWERS_TSV + 1 };

typedef struct {
  inference_settings model;
  study_example_source source;
  const char *output;
  int format; /* a place in FORMAT_WORDS */
  int64_t top;
} prediction;

/* ---- Answers ---- */

/* Writes a line for each example of the window. If an output is not finite, it writes the lines
 * before it and fails. */
static cdl_status write_window(cli_answers *answers, inference_model *model, study_windows *w)
{
  float *logits;
  cdl_status status = study_windows_logits(w, model, &logits);
  for (size_t i = 0; status == CDL_STATUS_OK && i < w->count; i++) {
    const float *row = logits + (size_t)w->rows[i] * (size_t)model->labels;
    status = train_check_finite(model, w->all.dataset, w->all.split, w->rows[i],
                                w->before + w->rows[i], row);
    const cdl_example example = cdl_dataset_get(w->all.dataset, w->rows[i]);
    if (status == CDL_STATUS_OK)
      cli_answers_write(answers, w->before + w->rows[i], &example, row);
  }
  free(logits);
  const cdl_status flushed = console_output_flush(&answers->output);
  return status == CDL_STATUS_OK ? flushed : status;
}

static cdl_status write_windows(cli_answers *answers, inference_model *model, study_windows *w,
                                console_notices *notices)
{
  CDL_TRY(study_windows_plan(model));
  CDL_TRY(encoder_merge(model->encoder, model->queue));
  for (;;) {
    CDL_TRY(study_windows_next(w));
    console_notices_release(notices);
    if (w->count == 0)
      return CDL_STATUS_OK;
    CDL_TRY(write_window(answers, model, w));
  }
}

static cdl_status write_answers(const prediction *p, inference_model *model, study_windows *w,
                                console_notices *notices)
{
  cli_answers answers;
  CDL_TRY(cli_answers_begin(&answers, model, p->output, (cli_answers_form)p->format, p->top));
  return cli_answers_finish(&answers, write_windows(&answers, model, w, notices));
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
  CDL_TRY(cli_job_check_input(p->source.input));
  CDL_TRY(console_output_check(p->output, p->source.input));
  if (p->format == FORMAT_GLUE && p->top > 0)
    return cdl_fail(CDL_STATUS_USAGE, "--top does not go with --format glue");
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

static cdl_status predict_answers(const prediction *p, console_notices *notices)
{
  inference_model model;
  study_windows windows;
  const cdl_status own = study_examples_open_model(&p->model, &p->source, &model);
  const cdl_status opened = ranks_agree(cli_job(), own, "the opening of the model");
  if (opened != CDL_STATUS_OK && own == CDL_STATUS_OK)
    inference_close(&model);
  CDL_TRY(opened);
  console_signals_defer();
  const data_window_tokenizer tokenizer = {.tokenizer = model.tokenizer,
                                           .max_length = model.max_length,
                                           .threads = base_process_processors(),
                                           .check = check_ids,
                                           .user = &model};
  cdl_status status = study_windows_open(&p->source, STUDY_LABELS_OPTIONAL, &model, &tokenizer,
                                         WINDOW, console_signals_flag(), &windows);
  if (status == CDL_STATUS_OK) {
    status = write_answers(p, &model, &windows, notices);
    study_windows_close(&windows);
  }
  inference_close(&model);
  return status;
}

static cdl_status predict_submission(const prediction *p, console_notices *notices)
{
  inference_model model;
  study_examples examples;
  CDL_TRY(cli_open_examples(&p->model, &p->source, STUDY_LABELS_OPTIONAL, &model, &examples));
  console_notices_release(notices);
  float *logits;
  console_signals_defer();
  cdl_status status = study_examples_logits(&model, &examples, console_signals_flag(), &logits);
  if (status == CDL_STATUS_OK && !console_log_is_quiet())
    status = write_submissions(p, &model, &examples, logits);
  free(logits);
  study_examples_close(&examples);
  inference_close(&model);
  return status;
}

/* A terminal shows a table; files, pipes and devices get JSON lines. Launchers give their processes
 * a terminal where they have none themselves. */
static int usual_format(const prediction *p)
{
  const bool to_stdout = p->output == NULL || strcmp(p->output, "-") == 0;
  return to_stdout && cli_job() == NULL && isatty(STDOUT_FILENO) != 0 ? CLI_ANSWERS_TABLE
                                                                      : CLI_ANSWERS_JSONL;
}

static cdl_status run(void *command, console_notices *notices)
{
  prediction *p = command;
  if (p->format == FORMAT_OPEN)
    p->format = usual_format(p);
  CDL_TRY(ranks_agree(cli_job(), check(p), "the options"));
  cli_job_share_threads(&p->model.threads);
  p->model.job = cli_job();
  if (console_log_is_quiet() && p->format != FORMAT_GLUE)
    p->output = "/dev/null"; /* the first rank writes */
  return p->format == FORMAT_GLUE ? predict_submission(p, notices) : predict_answers(p, notices);
}

cdl_status cli_predict(int count, char **arguments)
{
  prediction p = {.model = {.backend = "auto", .precision = "fp32"},
                  .source = STUDY_EXAMPLE_DEFAULTS,
                  .format = FORMAT_OPEN};
  const base_option options[] = {
      CLI_MODEL_OPTIONS(p.model),
      CLI_CACHE_OPTIONS(p.model),
      CLI_EXAMPLE_OPTIONS(p.source),
      BASE_OPTION(STRING, "label_column", &p.source.label_column, "Y[,Z]",
                  "column with the label, or several columns; optional, values are checked"),
      BASE_OPTION(STRING, "label_separator", &p.source.label_separator, "C",
                  "multi-label: the character between labels in a field [that of training]"),
      BASE_SECTION("Output"),
      BASE_OPTION(STRING, "output", &p.output, "FILE", "file for the results [standard output]"),
      BASE_OPTION(CHOICE, "format", &p.format, FORMAT_WORDS,
                  "table: prediction, score and text, for people; jsonl: one JSON object a line; "
                  "csv, tsv: a header and one row for each example; glue: a submission for GLUE's "
                  "site [table on a terminal, otherwise jsonl]"),
      BASE_OPTION(INT, "top", &p.top, "K",
                  "also list the K labels with the highest scores, with the scores [0]",
                  .high = INT32_MAX)};
  const base_command_line line = {
      .usage = "condlora predict --adapter ADAPTER [--model MODEL] --task NAME "
               "--data DIR [--split NAME] [--output FILE]\n"
               "condlora predict --adapter ADAPTER [--model MODEL] --input FILE "
               "[--text-columns A[,B]] [--output FILE]\n"
               "condlora predict --model MODEL …",
      .summary = "Applies an adapter or a fully fine-tuned model to examples. A terminal shows the "
                 "prediction, its score and the text of each; a file or a pipe gets one line of "
                 "JSON for each, with index, logits, probabilities and prediction.",
      .notes = "echo 'a small domesticated mammal' | condlora predict --adapter ADAPTER --input -",
      .options = BASE_OPTIONS(options)};
  return cli_run(&line, count, arguments, run, &p);
}
