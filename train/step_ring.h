/* A ring with loss and gradient norm of the steps in flight. They are read when the device has
 * finished them, so that a device that works ahead does not wait for the host. */
#ifndef CONDLORA_TRAIN_STEP_RING_H
#define CONDLORA_TRAIN_STEP_RING_H

#include "condlora/backend.h"
#include "train/trainer.h"

enum { TRAIN_STEP_RING_SLOTS = 4 };

typedef struct {
  train_step_report report; /* train_step_ring_take sets loss and norm */
  size_t examples;
  double operations; /* operations of its matrix products */
} train_pending_step;

typedef struct {
  cdl_queue *queue;
  float
      /* [TRAIN_STEP_RING_SLOTS, 2] loss and norm, in host memory that downloads fill
       * asynchronously */
      *numbers;
  cdl_event
      /* NULL: the backend has no events, so every step is waited for */
      *event[TRAIN_STEP_RING_SLOTS];
  train_pending_step step[TRAIN_STEP_RING_SLOTS];
  size_t depth; /* maximum number of steps in flight */
  uint64_t added, taken;
} train_step_ring;

CDL_MUST_USE cdl_status train_step_ring_create(train_step_ring *watch, cdl_queue *queue);
/* Waits for steps that were not taken. The thread's last error message may change. */
void train_step_ring_release(train_step_ring *watch);

/* Adds a step that was just enqueued. The ring must not be full. */
void train_step_ring_add(train_step_ring *watch, const train_pending_step *step, cdl_tensor loss,
                         cdl_tensor norm);
bool train_step_ring_full(const train_step_ring *watch);
bool train_step_ring_empty(const train_step_ring *watch);
/* Waits for the oldest step. */
CDL_MUST_USE cdl_status train_step_ring_take(train_step_ring *watch, train_pending_step *step);

#endif
