/* What the files of core/ share. Nothing here is seen by callers or by plug-ins. */
#ifndef CONDLORA_BACKENDS_CORE_CORE_H
#define CONDLORA_BACKENDS_CORE_CORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/message.h"
#include "condlora/backend.h"
#include "condlora/plugin.h"

enum { CORE_MESSAGE_BYTES = 1024 };

/* What a queue remembers since its last sync: each op, and the calls that are not ops. */
enum { CORE_UPLOAD = CDL_OP_COUNT, CORE_DOWNLOAD, CORE_WEIGHT, CORE_REPLAY, CORE_WORK_COUNT };

typedef enum { CORE_REQUIRED, CORE_COMPOSED, CORE_HOST } core_tier;

struct cdl_backend {
  const cdl_backend_table *table;
  void *device;
  bool is_host; /* the built-in one, whose memory and LAPACK are the host's */
  bool no_fallback;
  int threads;
  atomic_bool prefer_composed;
  atomic_size_t buffers, weights, queues, events; /* alive */
  atomic_size_t used_bytes, peak_bytes;
  pthread_mutex_t host_lock;
  struct cdl_backend *host; /* runs the host path; opened by the first op that takes it */
  atomic_uint_fast64_t calls[CDL_OP_COUNT][CDL_DTYPE_COUNT][CDL_PATH_NONE];
  cdl_observer observer; /* NULL: none */
  void *observer_user;
};

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

/* A weight as the core keeps it. Without weight functions in the table, `weight.handle` is
 * `parts`: one plain matrix. */
typedef struct {
  cdl_weight weight;
  cdl_buffer *stacked; /* a copy of the sources, where they do not lie stacked already */
  size_t native_bytes;
  size_t source_count, part_count;
  cdl_tensor *sources;
  /* Plain matrices that composed ops read: the stacked one, or the sources themselves. */
  cdl_tensor *parts;
} core_weight;

static inline const core_weight *core_weight_of(const cdl_weight *given)
{
  return (const core_weight *)given;
}

/* ---- loader.c ---- */

/* A built-in backend's table or a plug-in's. `file` is a path. */
cdl_status core_load(const char *file, const cdl_backend_table **table);
/* Takes over a table that an entry has given: versions, required functions and ops. `whose` begins
 * the messages. */
cdl_status core_adopt(const cdl_backend_table *given, const char *whose, cdl_backend_table *table);
/* The plug-in's file for a backend's name; ABSENT naming the folders searched. The caller frees
 * *path. */
cdl_status core_find_plugin(const char *name, char **path);
/* Calls `each` for every file condlora-NAME.so in the folders that are searched, in their order. */
void core_each_plugin(void (*each)(void *user, const char *name, const char *path), void *user);
extern const cdl_host core_host;

/* ---- buffer.c ---- */

/* As cdl_buffer_create and destroy, not counted among the caller's buffers. */
cdl_status core_buffer_create(cdl_backend *backend, size_t bytes, cdl_buffer **buffer);
void core_buffer_destroy(cdl_buffer *buffer);
void core_count_bytes(cdl_backend *backend, size_t bytes);
void core_uncount_bytes(cdl_backend *backend, size_t bytes);

/* ---- queue.c ---- */

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

/* ---- capture.c ---- */

/* Errors: UNSUPPORTED while the queue records, when the path of an op cannot be recorded. */
cdl_status core_check_recordable(const cdl_queue *queue, cdl_op op, cdl_path path);

/* ---- dispatch.c ---- */

/* Calls the table's own op. */
cdl_status core_run_native(const cdl_backend_table *table, void *queue, cdl_op op,
                           const void *args);

/* ---- compose.c, compose_attention.c, host_ops.c ---- */

cdl_status core_run_composed(cdl_queue *queue, cdl_op op, const void *args);
cdl_status core_compose_attention(cdl_queue *queue, const cdl_attention_args *args);
cdl_status core_compose_attention_grad(cdl_queue *queue, const cdl_attention_grad_args *args);
cdl_status core_run_on_host(cdl_queue *queue, cdl_op op, const void *args);

#endif
