/* condlora predict */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/process.h"
#include "tools/cli/command.h"
#include "tools/cli/signals.h"
#include "tools/cli/sink.h"
#include "tools/cli/windows.h"
#include "train/data/submission.h"
#include "train/evaluate.h"

/* Examples that are answered together where so many are at hand: enough for batches that are full
 * but for the last, few enough for the first answers to come soon. */
enum { WINDOW = 512 };

typedef struct {
  cdl_inference_settings model;
  cli_example_source source;
  const char *output, *format;
} prediction;

/* ---- JSON lines ---- */

/* The labels as JSON strings, [job->labels], each to be freed. */
static char **quote_labels(const cdl_job *job)
{
  char **quoted = calloc((size_t)job->labels + 1, sizeof *quoted);
  for (int i = 0; quoted != NULL && job->label_names != NULL && i < job->labels; i++) {
    json_t *name = json_string(job->label_names[i]);
    quoted[i] = cdl_json_line(name);
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

/* What lines are made with, and where they go. */
typedef struct {
  cli_sink sink;
  double *probabilities; /* [labels] */
  char **labels;         /* [labels] as JSON strings; none for a regression */
} line_writer;

static void write_line(line_writer *w, const cdl_job *job, uint64_t index, const float *logits)
{
  cli_sink *sink = &w->sink;
  cli_sink_printf(sink, "{\"index\": %" PRIu64 ", \"logits\": [", index);
  for (int c = 0; c < job->labels; c++)
    cli_sink_printf(sink, "%s%.9g", c > 0 ? ", " : "", (double)logits[c]);
  if (job->regression) {
    cli_sink_printf(sink, "], \"prediction\": %.9g}\n", (double)logits[0]);
    return;
  }
  cdl_probabilities(logits, job->labels, w->probabilities);
  cli_sink_printf(sink, "], \"probabilities\": [");
  for (int c = 0; c < job->labels; c++)
    cli_sink_printf(sink, "%s%.9g", c > 0 ? ", " : "", w->probabilities[c]);
  cli_sink_printf(sink, "], \"prediction\": %s}\n", w->labels[cdl_argmax(logits, job->labels)]);
}

/* The window's lines; those before an output that is not finite are written. */
static cdl_status write_window(line_writer *writer, cdl_job *job, cli_windows *w)
{
  float *logits;
  cdl_status status = cli_windows_logits(w, job, &logits);
  for (size_t i = 0; status == CDL_OK && i < w->count; i++) {
    const float *row = logits + (size_t)w->rows[i] * (size_t)job->labels;
    status = cli_check_finite(job, &w->all, w->rows[i], w->before + w->rows[i], row);
    if (status == CDL_OK)
      write_line(writer, job, w->before + w->rows[i], row);
  }
  free(logits);
  const cdl_status flushed = cli_sink_flush(&writer->sink);
  return status == CDL_OK ? flushed : status;
}

static cdl_status write_windows(line_writer *writer, cdl_job *job, cli_windows *w,
                                cli_notices *notices)
{
  CDL_TRY(cli_windows_plan(job));
  CDL_TRY(cdl_encoder_merge(job->encoder, job->queue));
  for (;;) {
    CDL_TRY(cli_windows_next(w));
    cli_notices_release(notices);
    if (w->count == 0)
      return CDL_OK;
    CDL_TRY(write_window(writer, job, w));
  }
}

static cdl_status write_lines(const prediction *p, cdl_job *job, cli_windows *w,
                              cli_notices *notices)
{
  line_writer writer = {.probabilities = calloc((size_t)job->labels, sizeof(double)),
                        .labels = quote_labels(job)};
  cdl_status status = writer.probabilities != NULL && writer.labels != NULL
                          ? cli_sink_begin(&writer.sink, p->output)
                          : cdl_fail(CDL_MEMORY, "out of memory: %d labels", job->labels);
  if (status == CDL_OK)
    status = cli_sink_finish(&writer.sink, write_windows(&writer, job, w, notices));
  for (int c = 0; writer.labels != NULL && c < job->labels; c++)
    free(writer.labels[c]);
  free(writer.labels);
  free(writer.probabilities);
  return status;
}

/* ---- Submissions ---- */

static cdl_status write_submission(const char *path, const cdl_job *job, const cli_examples *e,
                                   cdl_dataset_part part, const float *logits)
{
  int32_t *classes = calloc(part.count + 1, sizeof *classes);
  double *scores = calloc(part.count + 1, sizeof *scores);
  if (classes == NULL || scores == NULL) {
    free(classes);
    free(scores);
    return cdl_fail(CDL_MEMORY, "out of memory: %s", path);
  }
  cdl_output *output = NULL;
  cdl_status status = cdl_output_begin_named(path, &output);
  if (status == CDL_OK) {
    for (size_t i = 0; i < part.count; i++) {
      const float *row = logits + (part.first + i) * (size_t)job->labels;
      classes[i] = cdl_argmax(row, job->labels);
      scores[i] = (double)row[0];
    }
    status = cdl_submission_write(output, e->task, job->regression ? NULL : classes,
                                  job->regression ? scores : NULL, part.count);
    if (status == CDL_OK)
      status = cdl_output_commit(output);
    else
      cdl_output_abort(output);
  }
  free(classes);
  free(scores);
  return status;
}

/* --output is the file; where a split is two files (MNLI), it is the folder for both. */
static cdl_status write_submissions(const prediction *p, const cdl_job *job, const cli_examples *e,
                                    const float *logits)
{
  const size_t parts = cdl_dataset_part_count(e->dataset);
  if (parts == 1)
    return write_submission(p->output, job, e, cdl_dataset_get_part(e->dataset, 0), logits);
  CDL_TRY(cdl_folder_make(p->output));
  for (size_t i = 0; i < parts; i++) {
    const cdl_dataset_part part = cdl_dataset_get_part(e->dataset, i);
    char name[64];
    CDL_TRY(cdl_submission_name(e->task, part.name, name, sizeof name));
    char *path = cdl_path_join(p->output, name);
    const cdl_status status = path != NULL ? write_submission(path, job, e, part, logits)
                                           : cdl_fail(CDL_MEMORY, "out of memory: %s", p->output);
    free(path);
    CDL_TRY(status);
  }
  return CDL_OK;
}

/* ---- The command ---- */

static cdl_status check(const prediction *p)
{
  CDL_TRY(cli_sink_check(p->output, p->source.input));
  if (strcmp(p->format, "glue") != 0)
    return CDL_OK;
  if (p->source.task == NULL)
    return cdl_fail(CDL_USAGE, "--format glue wants --task: a submission is for a task of GLUE");
  if (p->output == NULL || strcmp(p->output, "-") == 0)
    return cdl_fail(
        CDL_USAGE,
        "--format glue wants --output: the submission's file, for MNLI's two the folder");
  if (p->source.split != NULL && strcmp(p->source.split, "valid") == 0)
    return cdl_fail(CDL_USAGE, "--format glue numbers the rows of a file; --split valid is none");
  return CDL_OK;
}

static cdl_status check_ids(const void *job, const cdl_dataset *dataset)
{
  return cdl_job_check_ids(job, dataset);
}

static cdl_status predict_lines(const prediction *p, cli_notices *notices)
{
  cdl_job job;
  cli_windows windows;
  CDL_TRY(cli_open_model(&p->model, &p->source, &job));
  cli_signals_defer();
  const cdl_window_tokenizer tokenizer = {.tokenizer = job.tokenizer,
                                          .max_length = job.max_length,
                                          .threads = cdl_process_processors(),
                                          .check = check_ids,
                                          .user = &job};
  cdl_status status =
      cli_windows_open(&p->source, CLI_LABELS_OPTIONAL, &job, &tokenizer, WINDOW, &windows);
  if (status == CDL_OK) {
    status = write_lines(p, &job, &windows, notices);
    cli_windows_close(&windows);
  }
  cdl_job_close(&job);
  return status;
}

static cdl_status predict_submission(const prediction *p, cli_notices *notices)
{
  cdl_job job;
  cli_examples examples;
  CDL_TRY(cli_open_for_inference(&p->model, &p->source, CLI_LABELS_OPTIONAL, &job, &examples));
  cli_notices_release(notices);
  float *logits;
  cdl_status status = cli_logits(&job, &examples, &logits);
  if (status == CDL_OK)
    status = write_submissions(p, &job, &examples, logits);
  free(logits);
  cli_examples_close(&examples);
  cdl_job_close(&job);
  return status;
}

static cdl_status run(const void *command, cli_notices *notices)
{
  const prediction *p = command;
  CDL_TRY(check(p));
  return strcmp(p->format, "glue") == 0 ? predict_submission(p, notices)
                                        : predict_lines(p, notices);
}

cdl_status cli_predict(int count, char **arguments)
{
  prediction p = {.model = {.backend = "auto", .precision = "fp32"},
                  .source = CLI_EXAMPLE_DEFAULTS,
                  .format = "jsonl"};
  const cli_option options[] = {
      CLI_MODEL_OPTIONS(p.model),
      CLI_EXAMPLE_OPTIONS(p.source),
      {CLI_TEXT, "label-column", &p.source.label_column, "Y",
       "column with the label: not needed, checked where it is"},
      {CLI_GROUP, .help = "What it writes"},
      {CLI_TEXT, "output", &p.output, "FILE", "where to [standard output]"},
      {CLI_TEXT, "format", &p.format, "jsonl|glue",
       "jsonl, or a submission for GLUE's site [jsonl]"}};
  const cli_grammar grammar = {.usage = "condlora predict --model DIR [--adapter DIR] --task NAME "
                                        "--data DIR [--split NAME] [--output FILE]\n"
                                        "condlora predict --model DIR [--adapter DIR] --input FILE "
                                        "[--text-columns A[,B]] [--output FILE]",
                               .summary = "Applies an adapter, or a model that was fine-tuned "
                                          "whole: a line of JSON for each example, with index, "
                                          "logits, probabilities and prediction.",
                               .notes = "echo 'a small domesticated mammal' | condlora predict "
                                        "--model DIR --adapter DIR --input -",
                               .options = options,
                               .option_count = sizeof options / sizeof options[0]};
  return cli_run(&grammar, count, arguments, run, &p);
}
