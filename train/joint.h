/* Several runs at once on one base: their batches go through its frozen layers end to end, as one. */
#ifndef CONDLORA_TRAIN_JOINT_H
#define CONDLORA_TRAIN_JOINT_H

#include "train/trainer.h"

enum { CDL_JOINT_RUNS_MAX = CDL_JOINT_ENCODERS_MAX };

/* One of the runs. Each has settings, seeds, steps and a folder of its own, and tells `events` what
 * cdl_train would. */
typedef struct {
  cdl_job *job; /* its encoder shares a base with the others', its queue is theirs */
  const cdl_settings *settings;
  const cdl_train_events *events;
  /* Filled in: as cdl_train leaves them. */
  cdl_status status;
  char message[1024]; /* of a status that is not OK */
  cdl_train_summary summary;
} cdl_joint_run;

/* Trains `count` runs side by side, 1 to CDL_JOINT_RUNS_MAX. One that ends, finished, stopped by its
 * events' `stop` or failed, leaves the others going. Losses are those of cdl_train but for rounding;
 * so a run resumed from a checkpoint goes on, but not to the same bytes. Passes of several runs are
 * not recorded. Returns OK once every run has ended, however it did: their statuses say. ARGUMENT where
 * the encoders do not share a base, or the queue is not the same; no run has begun then. */
CDL_MUST_USE cdl_status cdl_train_joint(cdl_joint_run *runs, size_t count);

#endif
