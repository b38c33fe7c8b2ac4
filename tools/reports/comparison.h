/* Runs of several methods on several tasks with several seeds, read back from their folders. */
#ifndef CONDLORA_TOOLS_REPORTS_COMPARISON_H
#define CONDLORA_TOOLS_REPORTS_COMPARISON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "condlora/task.h"
#include "tools/reports/methods.h"
#include "train/evaluate.h"

/* What a finished run left. Arrays are owned. */
typedef struct {
  json_t *settings; /* those that change the result */
  json_t *used;     /* in place of settings that say "as the model has it": dropout, max_length */
  int64_t adapter_numbers, head_numbers, steps, kept_step;
  double kept_epoch, examples_per_s;
  train_result valid, dev;
  size_t examples;  /* of dev */
  double *score;    /* [examples] 1 right, 0 wrong; of a regression the squared error, negative */
  double commonest; /* share of dev that the commonest class is; NaN of a regression */
  size_t points;    /* of train.jsonl */
  double *step, *epoch, *loss, *rate;
  size_t evaluations;
  double *evaluated_at, *evaluated; /* epoch, and the task's first metric there */
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

/* The method that others are held against: LoRA, or else the first. */
size_t report_baseline(const report_comparison *comparison);

/* "FOLDER/runs/RTE/lora/seed0", to be freed by the caller; NULL when memory is out. */
char *report_compared_run_folder(const report_comparison *comparison, size_t task, size_t method,
                                 size_t seed);

/* The predictions of a run's kept adapter on dev, written last: a run that has them is finished. */
bool report_compared_run_finished(const char *run_folder);
/* A line an example of `dataset`: index, label, prediction by `logits` [count, labels]; names of
 * classes, or numbers. */
CDL_MUST_USE cdl_status report_predictions_write(const char *run_folder, const cdl_dataset *dataset,
                                                 const float *logits, int labels);

/* Reads every run of tasks, methods and seeds as set. Ends with report_comparison_release. Errors:
 * those of files; DATA, naming file and line, for one that no finished run leaves. */
CDL_MUST_USE cdl_status report_comparison_read(report_comparison *comparison);
void report_comparison_release(report_comparison *comparison);

#endif
