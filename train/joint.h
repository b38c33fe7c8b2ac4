/* Several runs at once on one base: their batches go through its frozen layers end to end, as one. */
#ifndef CONDLORA_TRAIN_JOINT_H
#define CONDLORA_TRAIN_JOINT_H

#include "train/trainer.h"

enum { TRAIN_JOINT_RUNS_MAX = ENCODER_JOINT_MAX };

/* One of the runs. Each has settings, seeds, steps and a folder of its own, and tells `events` what
 * train_run would. */
typedef struct {
  train_session *session; /* its encoder shares a base with the others', its queue is theirs */
  const train_settings *settings;
  const train_events *events;
  /* Filled in: as train_run leaves them. */
  cdl_status status;
  char message[1024]; /* of a status that is not OK */
  train_summary summary;
} train_joint_run;

/* Trains `count` runs side by side, 1 to TRAIN_JOINT_RUNS_MAX. One that ends, finished, stopped by its
 * events' `stop` or failed, leaves the others going. Losses are those of train_run but for rounding;
 * so a run resumed from a checkpoint goes on, but not to the same bytes. Passes of several runs are
 * not recorded. Returns OK once every run has ended, however it did: their statuses say. ARGUMENT where
 * the encoders do not share a base, or the queue is not the same; no run has begun then. */
CDL_MUST_USE cdl_status train_joint(train_joint_run *runs, size_t count);

#endif
