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
  base_lock *lock; /* of the folder */
} train_run_files;

/* Makes the folder and locks it until train_run_files_close: IO where another process is at work in
 * it. Without `resume` one that holds anything is a USAGE error. */
CDL_MUST_USE cdl_status train_run_files_open(train_run_files *files, const char *folder,
                                             bool resume);
void train_run_files_close(train_run_files *files);

/* Opens train.jsonl for appending, cut to its first `bytes`. */
CDL_MUST_USE cdl_status train_run_log_open(train_run_files *files, int64_t bytes);
CDL_MUST_USE cdl_status train_run_log_step(train_run_files *files, const train_step_report *report);
/* Makes what was logged durable and tells its length. */
CDL_MUST_USE cdl_status train_run_log_sync(train_run_files *files, int64_t *bytes);

/* {"accuracy": …, "loss": …, …}; NaN as null. */
json_t *train_result_json(const inference_model *model, const train_result *result);
/* What a finished run's metrics.json says, as far as a summary goes. */
CDL_MUST_USE cdl_status train_metrics_read(const train_run_files *files,
                                           const train_session *session, train_summary *summary);
CDL_MUST_USE cdl_status train_run_json_write(const train_run_files *files,
                                             const train_session *session,
                                             const train_settings *settings);

#endif
