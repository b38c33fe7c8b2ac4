/* A comparison: runs of several methods on several tasks with several seeds, read from their
 * folders. */
#ifndef CONDLORA_TOOLS_REPORTS_COMPARISON_H
#define CONDLORA_TOOLS_REPORTS_COMPARISON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/task.h"
#include "tools/reports/methods.h"
#include "train/evaluate.h"

/* The results of a finished run. Arrays are owned. */
typedef struct {
  json_t *settings; /* the settings that change results */
  json_t *used;     /* values used for settings that refer to the model: dropout, max_length */
  int64_t adapter_numbers, head_numbers, steps, kept_step;
  double kept_epoch, examples_per_s;
  train_result valid, dev;
  size_t examples; /* examples of dev */
  double *score; /* [examples] 1 if right, 0 if wrong; in a regression the negative squared error */
  double commonest; /* share of the most frequent class in dev; NaN for a regression */
  size_t points;    /* lines of train.jsonl */
  double *step, *epoch, *loss, *rate;
  size_t evaluations;
  double *evaluated_at, *evaluated; /* epoch, and the task's first metric at it */
} report_compared_run;

typedef struct {
  const char *folder; /* holds runs/TASK/METHOD/seedN */
  const cdl_task **tasks;
  const report_compared_method **methods;
  const int64_t *seeds;
  size_t task_count, method_count, seed_count;
  report_compared_run *runs; /* [task_count, method_count, seed_count]; owned */
} report_comparison;

static inline report_compared_run *report_compared_run_at(const report_comparison *c, size_t task,
                                                          size_t method, size_t seed)
{
  return &c->runs[(task * c->method_count + method) * c->seed_count + seed];
}

/* Returns the index of the method that others are compared with: LoRA, or else the first. */
size_t report_baseline(const report_comparison *comparison);

/* Returns "FOLDER/runs/RTE/lora/seed0", which the caller frees; NULL when memory is out. */
char *report_compared_run_folder(const report_comparison *comparison, size_t task, size_t method,
                                 size_t seed);

/* Returns whether a run is finished: it has the predictions of its kept adapter on dev, which are
 * written last. */
bool report_compared_run_finished(const char *run_folder);
/* Writes a line for each example of `dataset`: index, label and the prediction by `logits`,
 * [examples, labels]; as names of classes, or as numbers in a regression. */
CDL_MUST_USE cdl_status report_predictions_write(const char *run_folder, const cdl_dataset *dataset,
                                                 const float *logits, int labels);

/* Reads the lines of train.jsonl: points, step, epoch, loss and rate of `run`, which is zero or was
 * read before. Errors: ABSENT if there is no file; DATA, naming the line. */
CDL_MUST_USE cdl_status report_steps_read(const char *path, report_compared_run *run);
/* Frees what a run owns. */
void report_compared_run_release(report_compared_run *run);

/* Reads the run of every task, method and seed of the comparison. Release with
 * report_comparison_release. Errors: those of files; DATA, naming file and line, if a run's files
 * are not those of a finished run. */
CDL_MUST_USE cdl_status report_comparison_read(report_comparison *comparison);
void report_comparison_release(report_comparison *comparison);

#endif
