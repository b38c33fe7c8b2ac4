/* The curves of a run for other programs, where the setting report_to asks for them: TensorBoard's
 * event file and steps.csv. */
#ifndef CONDLORA_TRAIN_CURVES_H
#define CONDLORA_TRAIN_CURVES_H

#include <stdio.h>

#include "train/event_file.h"
#include "train/trainer.h"

typedef struct {
  train_event_file *events; /* NULL: not asked for */
  FILE *table;              /* the same */
  char *table_path;
} train_curves;

/* Opens the files in the folder of a run that goes on after `step` steps; what an earlier process
 * wrote of later steps is void. Errors: IO, MEMORY. After an error nothing stays open. */
CDL_MUST_USE cdl_status train_curves_open(train_curves *curves, const train_settings *settings,
                                          const char *folder, int64_t step);
CDL_MUST_USE cdl_status train_curves_step(train_curves *curves, const train_step_report *report);
CDL_MUST_USE cdl_status train_curves_evaluation(train_curves *curves,
                                                const train_evaluation_report *report);
CDL_MUST_USE cdl_status train_curves_finish(train_curves *curves, int64_t step);
void train_curves_close(train_curves *curves);

#endif
