/* The state of a training run in one file, from which it goes on to the same bytes. */
#ifndef CONDLORA_TRAIN_CHECKPOINT_H
#define CONDLORA_TRAIN_CHECKPOINT_H

#include <jansson.h>

#include "model/adapter/io.h"
#include "train/optimizer.h"

/* What of a run is not a tensor. */
typedef struct {
  int64_t step;           /* optimizer steps done */
  int64_t evaluated_step; /* of the last evaluation */
  int64_t best_step;      /* of the best evaluation; 0: none yet */
  double best_value;      /* NaN: none yet */
  int64_t since_best;     /* evaluations without a new best */
  int64_t log_bytes;      /* length of train.jsonl */
  bool finished;
  json_t *evaluations; /* array of what each evaluation measured; owned */
  json_t *settings;    /* those that change the result; owned */
  char *kernels;       /* the backend and its kernel set, threads aside; owned */
} train_run_state;

void train_run_state_release(train_run_state *state);

/* Trained values, moments and the best values so far. `moments` [2 · values.count]. */
typedef struct {
  adapter_snapshot *values, *best;
  float *moments;
} train_run_tensors;

/* Writes `path` whole or not at all, with a checksum over everything. */
CDL_MUST_USE cdl_status train_checkpoint_write(const char *path, const train_run_state *state,
                                               const train_run_tensors *tensors);
/* Reads what was written for tensors of these sizes by a run of at most `steps` steps. ABSENT when
 * there is none; DATA when the file is damaged, of another run, or says what no run writes: each
 * field has a type and a range, and agrees with the others. */
CDL_MUST_USE cdl_status train_checkpoint_load(const char *path, int64_t steps,
                                              train_run_state *state,
                                              const train_run_tensors *tensors);

#endif
