/* Recorded work: which work may be recorded, and errors while it is. */
#include <stdlib.h>

#include "backends/core/capture.h"
#include "backends/core/queue.h"

struct cdl_graph {
  cdl_queue *queue;
  void *handle;
};

bool cdl_backend_captures(const cdl_backend *backend)
{
  return backend->table->capture_begin != NULL;
}

/* Composed attention is cut by the lengths that the host has at the time of the call, so a replay
 * would not follow the device's. */
cdl_status core_check_recordable(const cdl_queue *queue, cdl_op op, cdl_path path)
{
  if (path == CDL_PATH_HOST)
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: it runs on the host here and cannot be recorded",
                    cdl_op_name(op));
  if (path == CDL_PATH_COMPOSED && (op == CDL_OP_attention || op == CDL_OP_attention_grad))
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: %s composes it by the lengths of one batch, so it cannot be recorded",
                    cdl_op_name(op), queue->backend->table->name);
  return CDL_STATUS_OK;
}

cdl_status cdl_queue_capture_begin(cdl_queue *queue)
{
  if (queue == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_queue_capture_begin: queue is NULL");
  const cdl_backend_table *table = queue->backend->table;
  if (table->capture_begin == NULL)
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: records no work", table->name);
  if (queue->recording)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_queue_capture_begin: the queue is recording already");
  CDL_TRY(cdl_queue_status(queue));
  base_clear_message();
  const cdl_status status = table->capture_begin(queue->handle);
  if (status != CDL_STATUS_OK)
    return cdl_context(core_call_failed(queue, status), "%s: recording", table->name);
  queue->recording = true;
  return CDL_STATUS_OK;
}

cdl_status cdl_queue_capture_end(cdl_queue *queue, cdl_graph **graph)
{
  if (queue == NULL || graph == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_queue_capture_end: %s is NULL",
                    queue == NULL ? "queue" : "graph");
  *graph = NULL;
  if (!queue->recording)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_queue_capture_end: the queue is not recording");
  const cdl_backend_table *table = queue->backend->table;
  void *handle = NULL;
  base_clear_message();
  cdl_status status = table->capture_end(queue->handle, &handle);
  queue->recording = false;
  if (queue->status !=
      CDL_STATUS_OK) { /* the first error, and nothing has run: the queue continues */
    if (status == CDL_STATUS_OK)
      table->graph_destroy(handle);
    status = cdl_queue_status(queue);
    queue->status = CDL_STATUS_OK;
    return status;
  }
  if (status != CDL_STATUS_OK)
    return cdl_context(core_call_failed(queue, status), "%s: recording", table->name);
  cdl_graph *created = malloc(sizeof *created);
  if (created == NULL) {
    table->graph_destroy(handle);
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory for recorded work", table->name);
  }
  *created = (cdl_graph){queue, handle};
  queue->graphs++;
  *graph = created;
  return CDL_STATUS_OK;
}

void cdl_queue_replay(cdl_queue *queue, cdl_graph *graph)
{
  if (queue->status != CDL_STATUS_OK)
    return;
  if (graph == NULL || graph->queue != queue || queue->recording) {
    core_queue_fail(queue,
                    cdl_fail(CDL_STATUS_ARGUMENT, "replay: %s",
                             graph == NULL           ? "graph is NULL"
                             : graph->queue != queue ? "the work was recorded on another queue"
                                                     : "it cannot be recorded"));
    return;
  }
  base_clear_message();
  const cdl_status status = core_enqueued(
      queue, CORE_REPLAY, queue->backend->table->replay(queue->handle, graph->handle));
  if (status != CDL_STATUS_OK)
    core_queue_fail(queue, cdl_context(status, "replay"));
}

void cdl_graph_destroy(cdl_graph *graph)
{
  if (graph == NULL)
    return;
  graph->queue->backend->table->graph_destroy(graph->handle);
  graph->queue->graphs--;
  free(graph);
}
