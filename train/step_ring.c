#include "train/step_ring.h"

cdl_status train_step_ring_create(train_step_ring *watch, cdl_queue *queue)
{
  cdl_backend *backend = cdl_queue_backend(queue);
  void *memory;
  *watch = (train_step_ring){.queue = queue, .depth = 1};
  CDL_TRY(cdl_host_allocate(backend, TRAIN_STEP_RING_SLOTS * 2 * sizeof(float), &memory));
  watch->numbers = memory;
  for (size_t i = 0; i < TRAIN_STEP_RING_SLOTS; i++) {
    const cdl_status status = cdl_event_create(backend, &watch->event[i]);
    if (status == CDL_STATUS_UNSUPPORTED)
      return CDL_STATUS_OK;
    if (status != CDL_STATUS_OK) {
      train_step_ring_release(watch);
      return status;
    }
  }
  watch->depth = TRAIN_STEP_RING_SLOTS;
  return CDL_STATUS_OK;
}

void train_step_ring_release(train_step_ring *watch)
{
  /* Steps in flight still write to `numbers`. A caller that ends early has its own error to
   * report. */
  if (!train_step_ring_empty(watch)) {
    const cdl_status ignored = cdl_queue_sync(watch->queue);
    (void)ignored;
  }
  for (size_t i = 0; i < TRAIN_STEP_RING_SLOTS; i++)
    cdl_event_destroy(watch->event[i]);
  if (watch->queue != NULL)
    cdl_host_free(cdl_queue_backend(watch->queue), watch->numbers);
  *watch = (train_step_ring){0};
}

void train_step_ring_add(train_step_ring *watch, const train_pending_step *step, cdl_tensor loss,
                         cdl_tensor norm)
{
  const size_t slot = watch->added++ % TRAIN_STEP_RING_SLOTS;
  watch->step[slot] = *step;
  cdl_queue_download(watch->queue, watch->numbers + 2 * slot, loss, sizeof(float));
  cdl_queue_download(watch->queue, watch->numbers + 2 * slot + 1, norm, sizeof(float));
  if (watch->event[slot] != NULL)
    cdl_queue_record_event(watch->queue, watch->event[slot]);
}

bool train_step_ring_full(const train_step_ring *watch)
{
  return watch->added - watch->taken == watch->depth;
}

bool train_step_ring_empty(const train_step_ring *watch)
{
  return watch->added == watch->taken;
}

cdl_status train_step_ring_take(train_step_ring *watch, train_pending_step *step)
{
  const size_t slot = watch->taken % TRAIN_STEP_RING_SLOTS;
  CDL_TRY(cdl_queue_status(watch->queue));
  CDL_TRY(watch->event[slot] != NULL ? cdl_event_wait(watch->event[slot])
                                     : cdl_queue_sync(watch->queue));
  watch->taken++;
  *step = watch->step[slot];
  step->report.loss = (double)watch->numbers[2 * slot];
  step->report.gradient_norm = (double)watch->numbers[2 * slot + 1];
  return CDL_STATUS_OK;
}
