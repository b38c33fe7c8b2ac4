/* A queue as the core keeps it: its first error, the work since the last sync, scratch memory. */
#ifndef CONDLORA_BACKENDS_CORE_QUEUE_H
#define CONDLORA_BACKENDS_CORE_QUEUE_H

#include "backends/core/backend.h"

/* What a queue remembers since its last sync: each op, and the calls that are not ops. */
enum {
  CORE_UPLOAD = CDL_OP_COUNT,
  CORE_DOWNLOAD,
  CORE_WEIGHT,
  CORE_REPLAY,
  CORE_GATHER,
  CORE_WORK_COUNT
};

struct cdl_queue {
  cdl_backend *backend;
  void *handle;
  cdl_status status; /* the first error, with its message */
  char message[CORE_MESSAGE_BYTES];
  bool sync_each; /* CDL_SYNC=1 */
  bool recording; /* between cdl_queue_capture_begin and end */
  size_t graphs;  /* number that exist */
  uint32_t since_sync[CORE_WORK_COUNT];
  cdl_buffer *scratch;   /* scratch of composed ops, grown on demand */
  cdl_buffer **outgrown; /* [outgrown_count] old scratch that recorded work may still use */
  size_t outgrown_count;
  cdl_queue *host; /* queue of backend->host */
};

/* Stores `status` and this thread's message as the queue's error, if it is the first. */
void core_queue_fail(cdl_queue *queue, cdl_status status);
/* Call after a function of the table failed: adds its reason, and the work that may have caused a
 * fault of the device. The caller continues as after core_enqueued. */
cdl_status core_call_failed(const cdl_queue *queue, cdl_status status);
/* Notes that `work` was enqueued with this result, and syncs if CDL_SYNC is set. The caller adds
 * details to the message and passes a failure to core_queue_fail. */
cdl_status core_enqueued(cdl_queue *queue, int work, cdl_status status);
/* Gives device memory to a composed op, until the next composed op. Offsets into it are multiples
 * of four bytes. */
cdl_status core_scratch(cdl_queue *queue, size_t bytes, cdl_buffer **buffer);

#endif
