/* Predictions as the GLUE site wants them: a file a test set, "index<TAB>prediction". */
#ifndef CONDLORA_TRAIN_DATA_SUBMISSION_H
#define CONDLORA_TRAIN_DATA_SUBMISSION_H

#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "condlora/status.h"
#include "condlora/task.h"

/* Name of the file for a part of a task's test split: "RTE.tsv", "MNLI-m.tsv", "MNLI-mm.tsv";
 * `part` as cdl_dataset_part says. Errors: USAGE when `name` [bytes] is too short. */
CDL_MUST_USE cdl_status data_submission_name(const cdl_task *task, const char *part, char *name,
                                             size_t bytes);

/* Writes one test set: rows are numbered from 0. `classes` [count] for a classification, `scores`
 * [count] for STS-B, clipped to [0, 5] and written with 3 decimals whatever the locale; the other
 * one is NULL. Errors: ARGUMENT for a class that is not there; NUMERIC for a score that is NaN.
 * Writing errors wait for base_output_commit. */
CDL_MUST_USE cdl_status data_submission_write(base_output *output, const cdl_task *task,
                                              const int32_t *classes, const double *scores,
                                              size_t count);

#endif
