/* Recorded work, and the device's own clock. */
#include "backends/cuda/device.h"

#include <math.h>

/* ---- Recording ---- */

cdl_status cuda_refuse_recording(const cuda_queue *queue, const char *what)
{
  return queue->recording ? cuda_host->fail(CDL_STATUS_UNSUPPORTED, "%s cannot be recorded", what)
                          : CDL_STATUS_OK;
}

typedef struct {
  cuda_device *device;
  CUgraphExec executable;
} cuda_graph;

/* Relaxed mode: work that must not be recorded is refused by name before the driver sees it, and
 * cuBLAS may load a kernel at first use. */
static cdl_status begin(cuda_queue *queue)
{
  cuda_device *device = queue->device;
  /* So a queue that records has no work under way, and nobody has to wait for it. */
  CDL_TRY(cuda_wait(device, queue->stream));
  pthread_mutex_lock(&device->lock);
  const cdl_status status = CUDA_DEVICE_CALL(device, cuStreamBeginCapture_v2, queue->stream,
                                             CU_STREAM_CAPTURE_MODE_RELAXED);
  if (status == CDL_STATUS_OK) {
    queue->recording = true;
    queue->recorder = pthread_self();
    queue->common.recorded = true;
  }
  pthread_mutex_unlock(&device->lock);
  return status;
}

cdl_status cuda_capture_begin(void *given)
{
  cuda_queue *queue = given;
  CDL_TRY(cuda_enter(queue->device));
  const cdl_status status = cuda_leave(queue->device, begin(queue));
  if (status != CDL_STATUS_OK && queue->recording)
    cuda_capture_abandon(queue);
  return status;
}

/* The recording is over, whatever the driver answers. */
static CUresult end(cuda_queue *queue, CUgraph *graph)
{
  *graph = NULL;
  pthread_mutex_lock(&queue->device->lock);
  const CUresult answer = cuda_api.cuStreamEndCapture(queue->stream, graph);
  queue->recording = false;
  pthread_mutex_unlock(&queue->device->lock);
  return answer;
}

void cuda_capture_abandon(cuda_queue *queue)
{
  CUgraph graph;
  CUcontext popped;
  const bool entered = CUDA_CALL_OR_WARN(cuCtxPushCurrent_v2, queue->device->context);
  cuda_warn("cuStreamEndCapture", end(queue, &graph));
  if (graph != NULL)
    CUDA_CALL_OR_WARN(cuGraphDestroy, graph);
  if (entered)
    CUDA_CALL_OR_WARN(cuCtxPopCurrent_v2, &popped);
}

static cdl_status instantiate(cuda_queue *queue, cuda_graph *created)
{
  cuda_device *device = queue->device;
  CUgraph graph;
  const CUresult answer = end(queue, &graph);
  cdl_status status = cuda_answer(device, "cuStreamEndCapture", answer);
  if (status == CDL_STATUS_OK && graph == NULL)
    status = cuda_host->fail(CDL_STATUS_DEVICE, "cuStreamEndCapture gives no graph");
  if (status == CDL_STATUS_OK) {
    status = CUDA_DEVICE_CALL(device, cuGraphInstantiateWithFlags, &created->executable, graph, 0);
    if (status != CDL_STATUS_OK)
      created->executable = NULL;
  }
  if (graph != NULL)
    /* the executable graph has everything that it needs */
    CUDA_CALL_OR_WARN(cuGraphDestroy, graph);
  return status;
}

cdl_status cuda_capture_end(void *given, void **graph)
{
  cuda_queue *queue = given;
  cuda_device *device = queue->device;
  cuda_graph *created = cuda_host->allocate(sizeof *created, 64);
  const cdl_status entered = cuda_enter(device);
  if (created == NULL || entered != CDL_STATUS_OK) {
    cuda_capture_abandon(queue);
    cuda_host->release(created);
    return entered != CDL_STATUS_OK
               ? entered
               : cuda_leave(device,
                            cuda_host->fail(CDL_STATUS_MEMORY, "no host memory for a graph"));
  }
  *created = (cuda_graph){.device = device};
  const cdl_status status = cuda_leave(device, instantiate(queue, created));
  if (status != CDL_STATUS_OK) {
    cuda_graph_destroy(created);
    return status;
  }
  *graph = created;
  return CDL_STATUS_OK;
}

cdl_status cuda_replay(void *given, void *graph)
{
  cuda_queue *queue = given;
  CDL_TRY(cuda_refuse_recording(queue, "a replay"));
  CDL_TRY(cuda_enter(queue->device));
  return cuda_leave(queue->device,
                    CUDA_DEVICE_CALL(queue->device, cuGraphLaunch,
                                     ((cuda_graph *)graph)->executable, queue->stream));
}

/* The driver lets a running replay finish first. */
void cuda_graph_destroy(void *given)
{
  cuda_graph *graph = given;
  if (graph->executable != NULL) {
    CUcontext popped;
    const bool entered = CUDA_CALL_OR_WARN(cuCtxPushCurrent_v2, graph->device->context);
    CUDA_CALL_OR_WARN(cuGraphExecDestroy, graph->executable);
    if (entered)
      CUDA_CALL_OR_WARN(cuCtxPopCurrent_v2, &popped);
  }
  cuda_host->release(graph);
}

/* ---- Events ---- */

typedef struct {
  cuda_device *device;
  CUevent event;
} cuda_event;

cdl_status cuda_event_create(void *given, void **event)
{
  cuda_device *device = given;
  cuda_event *created = cuda_host->allocate(sizeof *created, 64);
  if (created == NULL)
    return cuda_host->fail(CDL_STATUS_MEMORY, "no host memory for an event");
  *created = (cuda_event){.device = device};
  cdl_status status = cuda_enter(device);
  if (status == CDL_STATUS_OK) {
    status = CUDA_DEVICE_CALL(device, cuEventCreate, &created->event, CU_EVENT_DEFAULT);
    if (status != CDL_STATUS_OK)
      created->event = NULL;
    status = cuda_leave(device, status);
  }
  if (status != CDL_STATUS_OK) {
    cuda_event_destroy(created);
    return status;
  }
  *event = created;
  return CDL_STATUS_OK;
}

void cuda_event_destroy(void *given)
{
  cuda_event *event = given;
  if (event->event != NULL) {
    CUcontext popped;
    const bool entered = CUDA_CALL_OR_WARN(cuCtxPushCurrent_v2, event->device->context);
    CUDA_CALL_OR_WARN(cuEventDestroy_v2, event->event);
    if (entered)
      CUDA_CALL_OR_WARN(cuCtxPopCurrent_v2, &popped);
  }
  cuda_host->release(event);
}

cdl_status cuda_event_record(void *given, void *event)
{
  cuda_queue *queue = given;
  CDL_TRY(cuda_refuse_recording(queue, "an event"));
  CDL_TRY(cuda_enter(queue->device));
  return cuda_leave(queue->device, CUDA_DEVICE_CALL(queue->device, cuEventRecord,
                                                    ((cuda_event *)event)->event, queue->stream));
}

static cdl_status elapsed(cuda_device *device, CUevent from, CUevent to, float *milliseconds)
{
  CDL_TRY(cuda_wait_event(device, from));
  CDL_TRY(cuda_wait_event(device, to));
  return CUDA_DEVICE_CALL(device, cuEventElapsedTime, milliseconds, from, to);
}

cdl_status cuda_event_elapsed(void *from, void *to, uint64_t *nanoseconds)
{
  const cuda_event *first = from, *second = to;
  cuda_device *device = first->device;
  float milliseconds = 0;
  CDL_TRY(cuda_enter(device));
  CDL_TRY(cuda_leave(device, elapsed(device, first->event, second->event, &milliseconds)));
  *nanoseconds = milliseconds > 0 ? (uint64_t)llround((double)milliseconds * 1e6) : 0;
  return CDL_STATUS_OK;
}
