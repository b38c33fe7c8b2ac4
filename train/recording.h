/* Work of the device that is recorded when it comes for the second time, and then replayed. */
#ifndef CONDLORA_TRAIN_RECORDING_H
#define CONDLORA_TRAIN_RECORDING_H

#include "condlora/backend.h"
#include "model/encoder/packing.h"

/* Enqueues the work on the queue. */
typedef void train_work(cdl_queue *queue, const void *context);

/* Whether work is recorded. */
typedef struct {
  bool wanted;  /* not the first time, because the work may still allocate */
  bool *failed; /* a recording was given up, so none is tried; those of several runs share it */
} train_recording;

/* Replays *graph, if the work is recorded there; otherwise records and replays it, or enqueues it.
 * A recording that fails is given up with a notice. */
CDL_MUST_USE cdl_status train_enqueue(cdl_queue *queue, train_recording recording,
                                      cdl_graph **graph, train_work *work, const void *context);

/* The batch of one run in a pass. */
typedef struct {
  int32_t tokens, sequences, longest;
} train_batch_shape;

/* A pass over the batches of one or several runs. */
typedef struct {
  train_batch_shape shape[ENCODER_JOINT_MAX];
  cdl_graph *graph; /* NULL: not recorded yet */
} train_recorded_pass;

enum { TRAIN_RECORDED_PASSES = 128 }; /* passes of more shapes run without recording */

/* Passes of the same runs, by the shapes of their batches. */
typedef struct {
  train_recorded_pass *pass;
  size_t count, capacity;
} train_recorded_passes;

/* Rounds the shape of a batch up within `bound`, so that few shapes are needed. */
void train_round_shape(train_batch_shape *shape, encoder_batch_bound bound);
/* Returns where the pass over `count` batches of these shapes is recorded, until the next call;
 * NULL if there is no room for another. `first`: it is new. */
cdl_graph **train_recorded_pass_of(train_recorded_passes *passes, const train_batch_shape *shapes,
                                   size_t count, bool *first);
void train_recorded_passes_release(train_recorded_passes *passes);

#endif
