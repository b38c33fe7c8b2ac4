#include "train/watch.h"

cdl_status cdl_watch_create(cdl_watch *watch, cdl_queue *queue)
{
  cdl_backend *backend = cdl_queue_backend(queue);
  void *memory;
  *watch = (cdl_watch){.queue = queue, .depth = 1};
  CDL_TRY(cdl_host_allocate(backend, CDL_WATCHED_STEPS * 2 * sizeof(float), &memory));
  watch->numbers = memory;
  for (size_t i = 0; i < CDL_WATCHED_STEPS; i++) {
    const cdl_status status = cdl_event_create(backend, &watch->event[i]);
    if (status == CDL_UNSUPPORTED)
      return CDL_OK;
    if (status != CDL_OK) {
      cdl_watch_release(watch);
      return status;
    }
  }
  watch->depth = CDL_WATCHED_STEPS;
  return CDL_OK;
}

void cdl_watch_release(cdl_watch *watch)
{
  /* Steps under way still write to `numbers`. Whoever ends early has an error of his own to tell. */
  if (!cdl_watch_empty(watch)) {
    const cdl_status ignored = cdl_sync(watch->queue);
    (void)ignored;
  }
  for (size_t i = 0; i < CDL_WATCHED_STEPS; i++)
    cdl_event_destroy(watch->event[i]);
  if (watch->queue != NULL)
    cdl_host_free(cdl_queue_backend(watch->queue), watch->numbers);
  *watch = (cdl_watch){0};
}

void cdl_watch_add(cdl_watch *watch, const cdl_watched_step *step, cdl_tensor loss, cdl_tensor norm)
{
  const size_t slot = watch->added++ % CDL_WATCHED_STEPS;
  watch->step[slot] = *step;
  cdl_download(watch->queue, watch->numbers + 2 * slot, loss, sizeof(float));
  cdl_download(watch->queue, watch->numbers + 2 * slot + 1, norm, sizeof(float));
  if (watch->event[slot] != NULL)
    cdl_event_record(watch->queue, watch->event[slot]);
}

bool cdl_watch_full(const cdl_watch *watch)
{
  return watch->added - watch->taken == watch->depth;
}

bool cdl_watch_empty(const cdl_watch *watch)
{
  return watch->added == watch->taken;
}

cdl_status cdl_watch_take(cdl_watch *watch, cdl_watched_step *step)
{
  const size_t slot = watch->taken % CDL_WATCHED_STEPS;
  CDL_TRY(cdl_queue_status(watch->queue));
  CDL_TRY(watch->event[slot] != NULL ? cdl_event_wait(watch->event[slot]) : cdl_sync(watch->queue));
  watch->taken++;
  *step = watch->step[slot];
  step->report.loss = (double)watch->numbers[2 * slot];
  step->report.gradient_norm = (double)watch->numbers[2 * slot + 1];
  return CDL_OK;
}
