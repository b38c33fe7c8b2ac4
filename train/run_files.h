/* The files in a run's folder: their paths, the log of steps, metrics.json and run.json. */
#ifndef CONDLORA_TRAIN_RUN_FILES_H
#define CONDLORA_TRAIN_RUN_FILES_H

#include <stdio.h>

#include "base/lock.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

typedef struct {
  char *folder, *adapter, *model, *checkpoint, *log_path, *metrics, *run;
  FILE *log;
  base_lock *lock; /* lock of the folder */
  bool writes;     /* false: another rank writes; writing does nothing */
} train_run_files;

/* Creates the folder and locks it until train_run_files_close, if this process `writes`. Errors:
 * IO if another process works in it; USAGE if it is not empty and `resume` is false. */
CDL_MUST_USE cdl_status train_run_files_open(train_run_files *files, const char *folder,
                                             bool resume, bool writes);
void train_run_files_close(train_run_files *files);

/* Opens train.jsonl for appending, after cutting it to its first `bytes`. */
CDL_MUST_USE cdl_status train_run_log_open(train_run_files *files, int64_t bytes);
CDL_MUST_USE cdl_status train_run_log_step(train_run_files *files, const train_step_report *report);
/* Syncs the log to disk and gives its length. */
CDL_MUST_USE cdl_status train_run_log_sync(train_run_files *files, int64_t *bytes);

/* Returns {"accuracy": …, "loss": …, …}, with null for NaN. */
json_t *train_result_json(const inference_model *model, const train_result *result);
/* Reads the summary of a finished run from its metrics.json. */
CDL_MUST_USE cdl_status train_metrics_read(const train_run_files *files,
                                           const train_session *session, train_summary *summary);
/* `process` is of train_process_json; this function takes it over, and adds it to the processes
 * that worked on the run before. */
CDL_MUST_USE cdl_status train_run_json_write(const train_run_files *files,
                                             const train_session *session,
                                             const train_settings *settings, json_t *process);
/* Notes in run.json why this process's part of the run ended. A failure is ignored: there is one to
 * report already. */
void train_run_json_fail(const train_run_files *files, const char *message);

#endif
