/* Queues: the first error, the work before it, and transfers to and from a device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/core/buffer.h"
#include "backends/core/check.h"
#include "backends/core/check_views.h"
#include "backends/core/queue.h"

/* `foreign` NULL: a queue that the backend makes. */
static cdl_status create(cdl_backend *backend, void *foreign, cdl_queue **queue)
{
  const cdl_backend_table *table = backend->table;
  cdl_queue *created = calloc(1, sizeof *created);
  if (created == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory for a queue", table->name);
  base_clear_message();
  const cdl_status status = foreign == NULL
                                ? table->queue_create(backend->device, &created->handle)
                                : table->wrap_queue(backend->device, foreign, &created->handle);
  if (status != CDL_STATUS_OK) {
    free(created);
    return cdl_context(base_give_reason(status), "%s: queue", backend->table->name);
  }
  const char *sync = getenv("CDL_SYNC");
  created->sync_each = sync != NULL && strcmp(sync, "1") == 0;
  created->backend = backend;
  atomic_fetch_add(&backend->queues, 1);
  *queue = created;
  return CDL_STATUS_OK;
}

cdl_status cdl_queue_create(cdl_backend *backend, cdl_queue **queue)
{
  if (backend == NULL || queue == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_queue_create: %s is NULL",
                    backend == NULL ? "backend" : "queue");
  *queue = NULL;
  return create(backend, NULL, queue);
}

cdl_status cdl_queue_wrap(cdl_backend *backend, void *foreign, cdl_queue **queue)
{
  if (backend == NULL || foreign == NULL || queue == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_queue_wrap: %s is NULL",
                    backend == NULL   ? "backend"
                    : foreign == NULL ? "the foreign queue"
                                      : "queue");
  *queue = NULL;
  if (backend->table->wrap_queue == NULL)
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: takes no foreign queues", backend->table->name);
  return create(backend, foreign, queue);
}

void cdl_queue_destroy(cdl_queue *queue)
{
  if (queue == NULL)
    return;
  cdl_backend *backend = queue->backend;
  cdl_queue_destroy(queue->host);
  core_buffer_destroy(queue->scratch);
  for (size_t i = 0; i < queue->outgrown_count; i++)
    core_buffer_destroy(queue->outgrown[i]);
  free(queue->outgrown);
  backend->table->queue_destroy(queue->handle);
  free(queue);
  atomic_fetch_sub(&backend->queues, 1);
}

cdl_backend *cdl_queue_backend(const cdl_queue *queue)
{
  return queue->backend;
}

/* ---- The first error ---- */

void core_queue_fail(cdl_queue *queue, cdl_status status)
{
  if (queue->status != CDL_STATUS_OK)
    return;
  queue->status = status;
  snprintf(queue->message, sizeof queue->message, "%s", cdl_error_message());
}

cdl_status cdl_queue_status(const cdl_queue *queue)
{
  return queue->status == CDL_STATUS_OK ? CDL_STATUS_OK
                                        : cdl_fail(queue->status, "%s", queue->message);
}

static const char *work_name(int work)
{
  static const char *const others[] = {"upload", "download", "weight", "replay", "gather"};
  return work < CDL_OP_COUNT ? cdl_op_name((cdl_op)work) : others[work - CDL_OP_COUNT];
}

/* Writes "gemm x3, softmax": the work that may have caused a fault that was found late. */
static void list_work(const cdl_queue *queue, char *text, size_t bytes)
{
  size_t used = 0;
  text[0] = '\0';
  for (int work = 0; work < CORE_WORK_COUNT; work++) {
    const uint32_t times = queue->since_sync[work];
    if (times == 0)
      continue;
    const char *between = used > 0 ? ", " : "";
    const int written =
        times == 1
            ? snprintf(text + used, bytes - used, "%s%s", between, work_name(work))
            : snprintf(text + used, bytes - used, "%s%s x%u", between, work_name(work), times);
    if (written < 0 || (size_t)written >= bytes - used)
      return;
    used += (size_t)written;
  }
}

static cdl_status sync_now(cdl_queue *queue)
{
  base_clear_message();
  const cdl_status status = queue->backend->table->sync(queue->handle);
  if (status == CDL_STATUS_OK) {
    memset(queue->since_sync, 0, sizeof queue->since_sync);
    return CDL_STATUS_OK;
  }
  char work[CORE_MESSAGE_BYTES / 2];
  list_work(queue, work, sizeof work);
  base_give_reason(status);
  return cdl_fail(status, "%s: found at sync: %s; since the last sync: %s",
                  queue->backend->table->name, cdl_error_message(),
                  work[0] != '\0' ? work : "nothing");
}

cdl_status core_call_failed(const cdl_queue *queue, cdl_status status)
{
  base_give_reason(status);
  char others[CORE_MESSAGE_BYTES / 2];
  list_work(queue, others, sizeof others);
  if (status != CDL_STATUS_DEVICE || others[0] == '\0')
    return status;
  /* Earlier work may have caused this. */
  return cdl_fail(status, "%s; enqueued before it since the last sync: %s", cdl_error_message(),
                  others);
}

cdl_status core_enqueued(cdl_queue *queue, int work, cdl_status status)
{
  if (status != CDL_STATUS_OK)
    return core_call_failed(queue, status);
  queue->since_sync[work]++;
  return queue->sync_each && !queue->recording ? sync_now(queue) : CDL_STATUS_OK;
}

cdl_status cdl_queue_sync(cdl_queue *queue)
{
  if (queue == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_queue_sync: queue is NULL");
  /* Also for a failed queue: earlier work may still write to the host's memory. */
  const cdl_status status = queue->recording
                                ? cdl_fail(CDL_STATUS_UNSUPPORTED, "a sync cannot be recorded")
                                : sync_now(queue);
  if (status != CDL_STATUS_OK)
    core_queue_fail(queue, status);
  return cdl_queue_status(queue);
}

/* ---- Moving bytes ---- */

static cdl_status check_transfer(const cdl_queue *queue, const char *what, const cdl_tensor *tensor,
                                 const void *host, size_t bytes)
{
  if (queue->recording)
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: it cannot be recorded", what);
  CDL_TRY(core_check_tensor(queue->backend, what, "the tensor", tensor));
  char shape[CORE_SHAPE_BYTES];
  core_shape(tensor, shape);
  if (!core_is_dense(tensor))
    return cdl_fail(CDL_STATUS_ARGUMENT, "%s: the tensor %s has gaps; it must be dense", what,
                    shape);
  const size_t wanted = (size_t)cdl_tensor_elements(*tensor) * cdl_dtype_bytes(tensor->dtype);
  if (bytes != wanted)
    return cdl_fail(CDL_STATUS_ARGUMENT, "%s: %zu bytes for a tensor %s of %zu bytes", what, bytes,
                    shape, wanted);
  if (host == NULL && bytes > 0)
    return cdl_fail(CDL_STATUS_ARGUMENT, "%s: host memory is NULL", what);
  return CDL_STATUS_OK;
}

static void transferred(cdl_queue *queue, int work, cdl_status status, size_t bytes)
{
  status = core_enqueued(queue, work, status);
  if (status != CDL_STATUS_OK)
    core_queue_fail(queue, cdl_context(status, "%s of %zu bytes", work_name(work), bytes));
}

void cdl_queue_upload(cdl_queue *queue, cdl_tensor out, const void *host, size_t bytes)
{
  if (queue->status != CDL_STATUS_OK)
    return;
  cdl_status checked = check_transfer(queue, "upload", &out, host, bytes);
  if (checked == CDL_STATUS_OK && out.buffer->is_file)
    checked = cdl_fail(CDL_STATUS_ARGUMENT, "upload: the tensor lies in a mapped file");
  if (checked != CDL_STATUS_OK) {
    core_queue_fail(queue, checked);
    return;
  }
  if (bytes == 0)
    return;
  base_clear_message();
  const cdl_status status = queue->backend->table->upload(
      queue->handle, out.buffer, (size_t)out.offset * cdl_dtype_bytes(out.dtype), host, bytes);
  transferred(queue, CORE_UPLOAD, status, bytes);
}

void cdl_queue_download(cdl_queue *queue, void *host, cdl_tensor x, size_t bytes)
{
  if (queue->status != CDL_STATUS_OK)
    return;
  const cdl_status checked = check_transfer(queue, "download", &x, host, bytes);
  if (checked != CDL_STATUS_OK) {
    core_queue_fail(queue, checked);
    return;
  }
  if (bytes == 0)
    return;
  base_clear_message();
  const cdl_status status = queue->backend->table->download(
      queue->handle, host, x.buffer, (size_t)x.offset * cdl_dtype_bytes(x.dtype), bytes);
  transferred(queue, CORE_DOWNLOAD, status, bytes);
}

/* ---- Scratch ---- */

static cdl_status keep_outgrown(cdl_queue *queue)
{
  if (queue->scratch == NULL)
    return CDL_STATUS_OK;
  cdl_buffer **longer =
      realloc(queue->outgrown, (queue->outgrown_count + 1) * sizeof *queue->outgrown);
  if (longer == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory for a list of %zu buffers",
                    queue->outgrown_count + 1);
  queue->outgrown = longer;
  queue->outgrown[queue->outgrown_count++] = queue->scratch;
  return CDL_STATUS_OK;
}

cdl_status core_scratch(cdl_queue *queue, size_t bytes, cdl_buffer **buffer)
{
  if (queue->scratch == NULL || queue->scratch->bytes < bytes) {
    if (queue->graphs > 0 || queue->recording)
      CDL_TRY(keep_outgrown(queue));
    else
      core_buffer_destroy(queue->scratch); /* waits until the ops that use it are done */
    queue->scratch = NULL;
    CDL_TRY(core_buffer_create(queue->backend, bytes, &queue->scratch));
  }
  *buffer = queue->scratch;
  return CDL_STATUS_OK;
}
