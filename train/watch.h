/* Loss and gradient norm of the steps under way, read when the device has got there: a device that
 * works ahead is not kept waiting for its host. */
#ifndef CONDLORA_TRAIN_WATCH_H
#define CONDLORA_TRAIN_WATCH_H

#include "condlora/backend.h"
#include "train/trainer.h"

enum { CDL_WATCHED_STEPS = 4 };

typedef struct {
  cdl_step_report report; /* its loss and norm come with cdl_watch_take */
  size_t examples;
  double operations; /* of its matrix products */
} cdl_watched_step;

typedef struct {
  cdl_queue *queue;
  float *numbers; /* [CDL_WATCHED_STEPS, 2] loss and norm, where downloads arrive by themselves */
  cdl_event *event[CDL_WATCHED_STEPS]; /* NULL: the backend has none, so each step is waited for */
  cdl_watched_step step[CDL_WATCHED_STEPS];
  size_t depth; /* steps that may be under way */
  uint64_t added, taken;
} cdl_watch;

CDL_MUST_USE cdl_status cdl_watch_create(cdl_watch *watch, cdl_queue *queue);
/* Waits for steps that were not taken; the thread's last message may change. */
void cdl_watch_release(cdl_watch *watch);

/* A step that has just been enqueued. To be called only while the watch is not full. */
void cdl_watch_add(cdl_watch *watch, const cdl_watched_step *step, cdl_tensor loss,
                   cdl_tensor norm);
bool cdl_watch_full(const cdl_watch *watch);
bool cdl_watch_empty(const cdl_watch *watch);
/* Waits for the oldest step. */
CDL_MUST_USE cdl_status cdl_watch_take(cdl_watch *watch, cdl_watched_step *step);

#endif
