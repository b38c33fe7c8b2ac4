/* Checkpoints: the state of a training run in one file. A resumed run gives the same bytes as an
 * uninterrupted one. */
#ifndef CONDLORA_TRAIN_CHECKPOINT_H
#define CONDLORA_TRAIN_CHECKPOINT_H

#include <jansson.h>

#include "model/adapter/io.h"
#include "train/optimizer.h"

/* The state of a run besides its tensors. */
typedef struct {
  int64_t step;           /* finished optimizer steps */
  int64_t evaluated_step; /* of the last evaluation */
  int64_t best_step;      /* step of the best evaluation; 0: none yet */
  double best_value;      /* NaN: no evaluation yet */
  int64_t since_best;     /* number of evaluations since the best one */
  int64_t log_bytes;      /* length of train.jsonl */
  bool finished;
  json_t *evaluations; /* array with the results of each evaluation; owned */
  json_t *settings;    /* the settings that affect the result; owned */
  char *kernels;       /* the backend and its kernel set, without the number of threads; owned */
} train_run_state;

void train_run_state_release(train_run_state *state);

/* Trained values, moments [2 · values.count], and the best values so far. */
typedef struct {
  adapter_snapshot *values, *best;
  float *moments;
} train_run_tensors;

/* Writes `path` complete or not at all, with a checksum of everything. */
CDL_MUST_USE cdl_status train_checkpoint_write(const char *path, const train_run_state *state,
                                               const train_run_tensors *tensors);
/* Reads a checkpoint that was written for tensors of these sizes by a run of at most `steps` steps.
 * Each field is checked for type and range, and against the others. Errors: ABSENT if there is no
 * file; DATA if it is damaged, belongs to another run, or holds values that no run writes. */
CDL_MUST_USE cdl_status train_checkpoint_load(const char *path, int64_t steps,
                                              train_run_state *state,
                                              const train_run_tensors *tensors);

#endif
