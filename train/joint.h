/* Trains several runs at once on one base: their batches pass its frozen layers together. */
#ifndef CONDLORA_TRAIN_JOINT_H
#define CONDLORA_TRAIN_JOINT_H

#include "train/trainer.h"

enum { TRAIN_JOINT_RUNS_MAX = ENCODER_JOINT_MAX };

/* One of the runs. It has its own settings, seeds, steps and folder, and sends `events` the same
 * reports as train_run. */
typedef struct {
  train_session *session; /* its encoder shares the base of the others, and all use one queue */
  const train_settings *settings;
  const train_events *events;
  /* Results, as train_run returns them. */
  cdl_status status;
  char message[1024]; /* error message if the status is not OK */
  train_summary summary;
} train_joint_run;

/* Trains `count` runs together, 1 to TRAIN_JOINT_RUNS_MAX. When a run finishes, fails, or is
 * stopped by the `stop` of its events, the others continue. Runs whose activations are of different
 * types pass one type after the other. On the CPU each ends in the bytes of train_run; on other
 * backends losses are equal up to rounding. Returns OK when every run has ended, in any way; each
 * run has its own status. Errors: ARGUMENT if the encoders do not share a base or the queues
 * differ; then no run has started. */
CDL_MUST_USE cdl_status train_joint(train_joint_run *runs, size_t count);

#endif
