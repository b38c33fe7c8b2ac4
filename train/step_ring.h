/* Loss and gradient norm of the steps under way, read when the device has got there: a device that
 * works ahead is not kept waiting for its host. */
#ifndef CONDLORA_TRAIN_STEP_RING_H
#define CONDLORA_TRAIN_STEP_RING_H

#include "condlora/backend.h"
#include "train/trainer.h"

enum { TRAIN_STEP_RING_SLOTS = 4 };

typedef struct {
  train_step_report report; /* its loss and norm come with train_step_ring_take */
  size_t examples;
  double operations; /* of its matrix products */
} train_pending_step;

typedef struct {
  cdl_queue *queue;
  float
      *numbers; /* [TRAIN_STEP_RING_SLOTS, 2] loss and norm, where downloads arrive by themselves */
  cdl_event
      *event[TRAIN_STEP_RING_SLOTS]; /* NULL: the backend has none, so each step is waited for */
  train_pending_step step[TRAIN_STEP_RING_SLOTS];
  size_t depth; /* steps that may be under way */
  uint64_t added, taken;
} train_step_ring;

CDL_MUST_USE cdl_status train_step_ring_create(train_step_ring *watch, cdl_queue *queue);
/* Waits for steps that were not taken; the thread's last message may change. */
void train_step_ring_release(train_step_ring *watch);

/* A step that has just been enqueued. To be called only while the watch is not full. */
void train_step_ring_add(train_step_ring *watch, const train_pending_step *step, cdl_tensor loss,
                         cdl_tensor norm);
bool train_step_ring_full(const train_step_ring *watch);
bool train_step_ring_empty(const train_step_ring *watch);
/* Waits for the oldest step. */
CDL_MUST_USE cdl_status train_step_ring_take(train_step_ring *watch, train_pending_step *step);

#endif
