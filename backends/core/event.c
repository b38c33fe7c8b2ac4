/* Events: a device's own clock. */
#include <stdlib.h>

#include "backends/core/queue.h"

struct cdl_event {
  cdl_backend *backend;
  void *handle;
};

cdl_status cdl_event_create(cdl_backend *backend, cdl_event **event)
{
  if (backend == NULL || event == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_event_create: %s is NULL",
                    backend == NULL ? "backend" : "event");
  *event = NULL;
  const cdl_backend_table *table = backend->table;
  if (table->event_create == NULL)
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: keeps no times", table->name);
  cdl_event *created = malloc(sizeof *created);
  if (created == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory for an event", table->name);
  created->backend = backend;
  base_clear_message();
  const cdl_status status = table->event_create(backend->device, &created->handle);
  if (status != CDL_STATUS_OK) {
    free(created);
    return cdl_context(base_give_reason(status), "%s: event", table->name);
  }
  atomic_fetch_add(&backend->events, 1);
  *event = created;
  return CDL_STATUS_OK;
}

void cdl_event_destroy(cdl_event *event)
{
  if (event == NULL)
    return;
  cdl_backend *backend = event->backend;
  backend->table->event_destroy(event->handle);
  free(event);
  atomic_fetch_sub(&backend->events, 1);
}

void cdl_queue_record_event(cdl_queue *queue, cdl_event *event)
{
  if (queue->status != CDL_STATUS_OK)
    return;
  const char *wrong = event == NULL                      ? "event is NULL"
                      : event->backend != queue->backend ? "the event is of another backend"
                      : queue->recording                 ? "it cannot be recorded"
                                                         : NULL;
  base_clear_message();
  const cdl_status status = wrong != NULL
                                ? cdl_fail(CDL_STATUS_ARGUMENT, "%s", wrong)
                                : queue->backend->table->event_record(queue->handle, event->handle);
  if (status != CDL_STATUS_OK)
    core_queue_fail(queue, cdl_context(core_call_failed(queue, status), "event"));
}

cdl_status cdl_event_wait(cdl_event *event)
{
  uint64_t nothing;
  return cdl_event_elapsed(event, event, &nothing);
}

cdl_status cdl_event_elapsed(cdl_event *from, cdl_event *to, uint64_t *nanoseconds)
{
  if (from == NULL || to == NULL || nanoseconds == NULL || from->backend != to->backend)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_event_elapsed: two events of one backend are wanted");
  const cdl_backend_table *table = from->backend->table;
  base_clear_message();
  const cdl_status status = table->event_elapsed(from->handle, to->handle, nanoseconds);
  return status == CDL_STATUS_OK ? CDL_STATUS_OK
                                 : cdl_context(base_give_reason(status), "%s: event", table->name);
}
