/* condlora predict */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/examples.h"
#include "cli/sink.h"
#include "model/json.h"
#include "train/evaluate.h"
#include "train/submission.h"

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

static void write_line(cli_sink *sink, const cdl_job *job, uint32_t index, const float *logits,
                       double *probabilities, char *const *labels)
{
  cli_sink_printf(sink, "{\"index\": %" PRIu32 ", \"logits\": [", index);
  for (int c = 0; c < job->labels; c++)
    cli_sink_printf(sink, "%s%.9g", c > 0 ? ", " : "", (double)logits[c]);
  if (job->regression) {
    cli_sink_printf(sink, "], \"prediction\": %.9g}\n", (double)logits[0]);
    return;
  }
  cdl_probabilities(logits, job->labels, probabilities);
  cli_sink_printf(sink, "], \"probabilities\": [");
  for (int c = 0; c < job->labels; c++)
    cli_sink_printf(sink, "%s%.9g", c > 0 ? ", " : "", probabilities[c]);
  cli_sink_printf(sink, "], \"prediction\": %s}\n", labels[cdl_argmax(logits, job->labels)]);
}

static cdl_status write_lines(const prediction *p, const cdl_job *job, const cli_examples *e,
                              const float *logits)
{
  double *probabilities = calloc((size_t)job->labels, sizeof *probabilities);
  char **labels = probabilities != NULL ? quote_labels(job) : NULL;
  if (labels == NULL) {
    free(probabilities);
    return cdl_fail(CDL_MEMORY, "out of memory: %d labels", job->labels);
  }
  cli_sink sink;
  cdl_status status = cli_sink_begin(&sink, p->output);
  if (status == CDL_OK) {
    for (size_t i = 0; i < e->count; i++)
      write_line(&sink, job, e->rows[i], logits + (size_t)e->rows[i] * (size_t)job->labels,
                 probabilities, labels);
    status = cli_sink_finish(&sink, CDL_OK);
  }
  for (int c = 0; c < job->labels; c++)
    free(labels[c]);
  free(labels);
  free(probabilities);
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
  cdl_status status = cdl_output_begin(path, &output);
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

static cdl_status run(const void *command, cli_notices *notices)
{
  const prediction *p = command;
  CDL_TRY(check(p));
  cdl_job job;
  cli_examples examples;
  CDL_TRY(cli_open_for_inference(&p->model, &p->source, CLI_LABELS_OPTIONAL, &job, &examples));
  cli_notices_release(notices);
  float *logits;
  cdl_status status = cli_logits(&job, &examples, &logits);
  if (status == CDL_OK)
    status = strcmp(p->format, "glue") == 0 ? write_submissions(p, &job, &examples, logits)
                                            : write_lines(p, &job, &examples, logits);
  free(logits);
  cli_examples_close(&examples);
  cdl_job_close(&job);
  return status;
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
