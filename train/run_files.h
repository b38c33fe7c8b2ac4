/* The files of a run's folder: their paths, the log of steps, metrics.json and run.json. */
#ifndef CONDLORA_TRAIN_RUN_FILES_H
#define CONDLORA_TRAIN_RUN_FILES_H

#include <stdio.h>

#include "base/lock.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

typedef struct {
  char *folder, *adapter, *model, *checkpoint, *log_path, *metrics, *run;
  FILE *log;
  cdl_lock *lock; /* of the folder */
} cdl_run_files;

/* Makes the folder and locks it until cdl_run_files_close: IO where another process is at work in
 * it. Without `resume` one that holds anything is a USAGE error. */
CDL_MUST_USE cdl_status cdl_run_files_open(cdl_run_files *files, const char *folder, bool resume);
void cdl_run_files_close(cdl_run_files *files);

/* Opens train.jsonl for appending, cut to its first `bytes`. */
CDL_MUST_USE cdl_status cdl_run_log_open(cdl_run_files *files, int64_t bytes);
CDL_MUST_USE cdl_status cdl_run_log_step(cdl_run_files *files, const cdl_step_report *report);
/* Makes what was logged durable and tells its length. */
CDL_MUST_USE cdl_status cdl_run_log_sync(cdl_run_files *files, int64_t *bytes);

/* {"accuracy": …, "loss": …, …}; NaN as null. */
json_t *cdl_result_json(const cdl_job *job, const cdl_result *result);
/* What a finished run's metrics.json says, as far as a summary goes. */
CDL_MUST_USE cdl_status cdl_metrics_read(const cdl_run_files *files, const cdl_job *job,
                                         cdl_train_summary *summary);
CDL_MUST_USE cdl_status cdl_run_json_write(const cdl_run_files *files, const cdl_job *job,
                                           const cdl_settings *settings);

#endif
