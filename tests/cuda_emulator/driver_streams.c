/* libcuda.so.1: streams, events and graphs. */
#include <string.h>

#include "tests/cuda_emulator/emulator.h"

/* ---- Streams ---- */

CUresult cuStreamCreate(CUstream *handle, unsigned int flags)
{
  ENTER_OR(CUDA_ERROR_OUT_OF_MEMORY);
  CHECK(context_check());
  CHECK(stream_check_no_capture());
  if (flags != CU_STREAM_NON_BLOCKING) {
    emulator_violation("cuStreamCreate: flags %#x are not emulated", flags);
    return CUDA_ERROR_INVALID_VALUE;
  }
  return stream_create(handle);
}

CUresult cuStreamDestroy_v2(CUstream handle)
{
  ENTER();
  CHECK(stream_destroy(handle));
  return this_call.fails ? CUDA_ERROR_UNKNOWN : context_check();
}

/* A capture ends where something waits for a stream that it records. */
static CUresult check_wait(stream *target)
{
  if (target == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!stream_is_capturing(target))
    return CUDA_SUCCESS;
  stream_invalidate_capture(target);
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult cuStreamSynchronize(CUstream handle)
{
  ENTER_OR(CUDA_ERROR_LAUNCH_FAILED);
  CHECK(context_check());
  stream *target = stream_find(handle);
  CHECK(check_wait(target));
  stream_drain(target);
  return emulator_fault_code();
}

CUresult cuStreamQuery(CUstream handle)
{
  ENTER_OR(CUDA_ERROR_LAUNCH_FAILED);
  CHECK(context_check());
  stream *target = stream_find(handle);
  CHECK(check_wait(target));
  const bool done = stream_proceed(target);
  CHECK(emulator_fault_code());
  return done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

/* ---- Events ---- */

CUresult cuEventCreate(CUevent *handle, unsigned int flags)
{
  ENTER_OR(CUDA_ERROR_OUT_OF_MEMORY);
  CHECK(context_check());
  if (flags != CU_EVENT_DEFAULT && flags != CU_EVENT_DISABLE_TIMING) {
    emulator_violation("cuEventCreate: flags %#x are not emulated", flags);
    return CUDA_ERROR_INVALID_VALUE;
  }
  return event_create(handle, flags == CU_EVENT_DEFAULT);
}

CUresult cuEventDestroy_v2(CUevent handle)
{
  ENTER();
  CHECK(event_destroy(handle));
  return this_call.fails ? CUDA_ERROR_UNKNOWN : context_check();
}

CUresult cuEventRecord(CUevent handle, CUstream stream_handle)
{
  ENTER_OR(CUDA_ERROR_UNKNOWN);
  CHECK(context_check());
  stream *target = stream_find(stream_handle);
  return target != NULL ? event_record(handle, target) : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuEventSynchronize(CUevent handle)
{
  ENTER_OR(CUDA_ERROR_LAUNCH_FAILED);
  CHECK(context_check());
  CHECK(stream_check_no_capture());
  CHECK(event_wait(handle));
  return emulator_fault_code();
}

CUresult cuEventQuery(CUevent handle)
{
  ENTER_OR(CUDA_ERROR_LAUNCH_FAILED);
  CHECK(context_check());
  const CUresult answer = event_query(handle);
  CHECK(emulator_fault_code());
  return answer;
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent from, CUevent to)
{
  ENTER_OR(CUDA_ERROR_UNKNOWN);
  CHECK(context_check());
  return event_elapsed(milliseconds, from, to);
}

/* ---- Graphs ---- */

CUresult cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode)
{
  ENTER_OR(CUDA_ERROR_UNKNOWN);
  CHECK(context_check());
  if (mode < 0 || mode > CU_STREAM_CAPTURE_MODE_RELAXED)
    return CUDA_ERROR_INVALID_VALUE;
  stream *target = stream_find(handle);
  return target != NULL ? capture_begin(target) : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuStreamEndCapture(CUstream handle, CUgraph *graph)
{
  ENTER();
  CHECK(context_check());
  *graph = NULL;
  stream *target = stream_find(handle);
  if (target == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  recording *list;
  if (this_call.fails)
    stream_invalidate_capture(target);
  const CUresult ended = capture_end(target, &list);
  if (this_call.fails && this_call.code != 0)
    return this_call.code;
  CHECK(ended);
  *graph = graph_create(OBJECT_GRAPH, list);
  return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph,
                                     unsigned long long flags)
{
  ENTER_OR(CUDA_ERROR_OUT_OF_MEMORY);
  CHECK(context_check());
  recording *list = graph_find(OBJECT_GRAPH, graph);
  if (list == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  if (flags != 0) {
    emulator_violation("cuGraphInstantiateWithFlags: flags %#llx are not emulated", flags);
    return CUDA_ERROR_INVALID_VALUE;
  }
  *executable = graph_create(OBJECT_GRAPH_EXEC, recording_retain(list));
  return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph graph)
{
  ENTER();
  CHECK(graph_destroy(OBJECT_GRAPH, graph));
  return this_call.fails ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec executable, CUstream handle)
{
  ENTER_OR(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
  CHECK(context_check());
  recording *list = graph_find(OBJECT_GRAPH_EXEC, executable);
  stream *target = stream_find(handle);
  if (list == NULL || target == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  CHECK(check_wait(target)); /* a graph within a graph is not emulated */
  return recording_replay(list, target);
}

CUresult cuGraphExecDestroy(CUgraphExec executable)
{
  ENTER();
  CHECK(graph_destroy(OBJECT_GRAPH_EXEC, executable));
  return this_call.fails ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
}
