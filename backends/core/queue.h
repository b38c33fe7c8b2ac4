/* A queue as the core keeps it: its first error, what was enqueued since the last sync, scratch. */
#ifndef CONDLORA_BACKENDS_CORE_QUEUE_H
#define CONDLORA_BACKENDS_CORE_QUEUE_H

#include "backends/core/backend.h"

/* What a queue remembers since its last sync: each op, and the calls that are not ops. */
enum { CORE_UPLOAD = CDL_OP_COUNT, CORE_DOWNLOAD, CORE_WEIGHT, CORE_REPLAY, CORE_WORK_COUNT };

struct cdl_queue {
  cdl_backend *backend;
  void *handle;
  cdl_status status; /* the first error, with its message */
  char message[CORE_MESSAGE_BYTES];
  bool sync_each; /* CDL_SYNC=1 */
  bool recording; /* between cdl_queue_capture_begin and end */
  size_t graphs;  /* alive */
  uint32_t since_sync[CORE_WORK_COUNT];
  cdl_buffer *scratch;   /* of composed ops, grown on demand */
  cdl_buffer **outgrown; /* [outgrown_count] scratch that recorded work may still use */
  size_t outgrown_count;
  cdl_queue *host; /* of backend->host */
};

/* Keeps this thread's message and `status` as the queue's error, if it is the first. */
void core_queue_fail(cdl_queue *queue, cdl_status status);
/* After a call of the table that failed: its reason, and the work that may be behind a fault of the
 * device. The caller goes on as after core_enqueued. */
cdl_status core_call_failed(const cdl_queue *queue, cdl_status status);
/* Notes that `work` was enqueued with this result; syncs where CDL_SYNC asks for it. The caller
 * adds what it knows to the message and hands a failure to core_queue_fail. */
cdl_status core_enqueued(cdl_queue *queue, int work, cdl_status status);
/* Device memory for a composed op, until the next one. Offsets into it are multiples of four
 * bytes. */
cdl_status core_scratch(cdl_queue *queue, size_t bytes, cdl_buffer **buffer);

#endif
