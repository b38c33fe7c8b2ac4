/* Predictions in the form of the GLUE site: one file per test set, "index<TAB>prediction". */
#ifndef CONDLORA_TRAIN_DATA_SUBMISSION_H
#define CONDLORA_TRAIN_DATA_SUBMISSION_H

#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "condlora/status.h"
#include "condlora/task.h"

/* Writes the name of the file for a part of a task's test split: "RTE.tsv", "MNLI-m.tsv",
 * "MNLI-mm.tsv". `part` is that of cdl_dataset_part. Errors: USAGE if `name` [bytes] is too
 * short. */
CDL_MUST_USE cdl_status data_submission_name(const cdl_task *task, const char *part, char *name,
                                             size_t bytes);

/* Writes one test set with rows numbered from 0. A classification gives `classes` [count]; STS-B
 * gives `scores` [count], which are clipped to [0, 5] and written with 3 decimals in any locale.
 * The other one is NULL. Errors: ARGUMENT for a class that does not exist; NUMERIC for a score that
 * is NaN. base_output_commit reports writing errors. */
CDL_MUST_USE cdl_status data_submission_write(base_output *output, const cdl_task *task,
                                              const int32_t *classes, const double *scores,
                                              size_t count);

#endif
