/* Queues: launches, waiting, times. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "device.h"

/* ---- Their life ---- */

static cdl_status create(opencl_device *device, cl_command_queue command_queue, void **queue)
{
  opencl_queue *created = calloc(1, sizeof *created);
  if (created == NULL) {
    cl.clReleaseCommandQueue(command_queue);
    return opencl_host->fail(CDL_STATUS_MEMORY, "the host has no memory for a queue");
  }
  created->common.device = &device->common;
  created->device = device;
  created->queue = command_queue;
  *queue = created;
  return CDL_STATUS_OK;
}

cdl_status opencl_queue_create(void *device, void **queue)
{
  opencl_device *d = device;
  cl_int code;
  cl_command_queue command_queue =
      cl.clCreateCommandQueue(d->context, d->id, CL_QUEUE_PROFILING_ENABLE, &code);
  CDL_TRY(opencl_check(code, "clCreateCommandQueue"));
  return create(d, command_queue, queue);
}

cdl_status opencl_wrap_queue(void *device, void *foreign, void **queue)
{
  opencl_device *d = device;
  cl_command_queue command_queue = foreign;
  cl_device_id id = NULL;
  cl_context context = NULL;
  cl_command_queue_properties properties = 0;
  CDL_TRY(
      opencl_check(cl.clGetCommandQueueInfo(command_queue, CL_QUEUE_DEVICE, sizeof id, &id, NULL),
                   "clGetCommandQueueInfo of the given queue"));
  CDL_TRY(opencl_check(
      cl.clGetCommandQueueInfo(command_queue, CL_QUEUE_CONTEXT, sizeof context, &context, NULL),
      "clGetCommandQueueInfo of the given queue"));
  CDL_TRY(opencl_check(cl.clGetCommandQueueInfo(command_queue, CL_QUEUE_PROPERTIES,
                                                sizeof properties, &properties, NULL),
                       "clGetCommandQueueInfo of the given queue"));
  if (id != d->id || context != d->context)
    return opencl_host->fail(CDL_STATUS_ARGUMENT, "the given queue is of another %s",
                             id != d->id ? "device" : "context");
  if (properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE)
    return opencl_host->fail(CDL_STATUS_ARGUMENT,
                             "the given queue is out of order; an in-order one is needed");
  CDL_TRY(opencl_check(cl.clRetainCommandQueue(command_queue), "clRetainCommandQueue"));
  return create(d, command_queue, queue);
}

void opencl_queue_destroy(void *queue)
{
  opencl_queue *q = queue;
  cl.clFinish(q->queue);
  opencl_release_staged(q, true);
  for (int kernel = 0; kernel < KERNEL_COUNT; kernel++)
    if (q->kernels[kernel] != NULL)
      cl.clReleaseKernel(q->kernels[kernel]);
  kernel_scratch_release(&q->common);
  cl.clReleaseCommandQueue(q->queue);
  free(q);
}

/* clFinish alone need not tell of a command that failed while it ran; the event of a marker behind
 * all commands does. */
cdl_status opencl_sync(void *queue)
{
  opencl_queue *q = queue;
  cl_event all;
  cl_int status = CL_COMPLETE;
  CDL_TRY(opencl_check(cl.clEnqueueMarkerWithWaitList(q->queue, 0, NULL, &all),
                       "clEnqueueMarkerWithWaitList"));
  const cl_int finished = cl.clFinish(q->queue);
  const cl_int asked =
      cl.clGetEventInfo(all, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL);
  cl.clReleaseEvent(all);
  opencl_release_staged(q, true);
  CDL_TRY(opencl_check(finished, "clFinish"));
  CDL_TRY(opencl_check(asked, "clGetEventInfo"));
  return status < 0 ? opencl_check(status, "a command of the queue") : CDL_STATUS_OK;
}

/* ---- Launching ---- */

static cdl_status set_arguments(cl_kernel kernel, const kernel_launch *launch)
{
  const kernel_info *info = &kernel_list[launch->kernel];
  for (int i = 0; i < info->buffer_count; i++) {
    const cdl_buffer *buffer = launch->buffers[i];
    cl_mem memory = buffer != NULL ? buffer->handle : NULL;
    CDL_TRY(opencl_check(
        cl.clSetKernelArg(kernel, (cl_uint)i, sizeof memory, memory != NULL ? &memory : NULL),
        "clSetKernelArg"));
  }
  return opencl_check(cl.clSetKernelArg(kernel, (cl_uint)info->buffer_count, info->parameter_bytes,
                                        launch->parameters),
                      "clSetKernelArg");
}

cdl_status opencl_launch(kernel_queue *queue, const kernel_launch *launch)
{
  opencl_queue *q = (opencl_queue *)queue;
  cl_kernel *kernel = &q->kernels[launch->kernel];
  if (*kernel == NULL)
    CDL_TRY(opencl_kernel_create(q->device, launch->kernel, kernel));
  CDL_TRY(set_arguments(*kernel, launch));
  const size_t group = (size_t)queue->device->group_size;
  const size_t local[3] = {group, 1, 1};
  const size_t global[3] = {(size_t)launch->groups[0] * group, (size_t)launch->groups[1],
                            (size_t)launch->groups[2]};
  const int code =
      cl.clEnqueueNDRangeKernel(q->queue, *kernel, 3, NULL, global, local, 0, NULL, NULL);
  if (code == CL_SUCCESS)
    return CDL_STATUS_OK;
  char call[96];
  snprintf(call, sizeof call, "clEnqueueNDRangeKernel of %s", kernel_list[launch->kernel].name);
  return opencl_check(code, call);
}

/* ---- Times ---- */

typedef struct {
  cl_event marker; /* NULL until recorded */
} timer;

cdl_status opencl_event_create(void *device, void **event)
{
  (void)device;
  *event = calloc(1, sizeof(timer));
  return *event != NULL
             ? CDL_STATUS_OK
             : opencl_host->fail(CDL_STATUS_MEMORY, "the host has no memory for an event");
}

void opencl_event_destroy(void *event)
{
  timer *t = event;
  if (t->marker != NULL)
    cl.clReleaseEvent(t->marker);
  free(t);
}

cdl_status opencl_event_record(void *queue, void *event)
{
  opencl_queue *q = queue;
  timer *t = event;
  if (t->marker != NULL)
    cl.clReleaseEvent(t->marker);
  t->marker = NULL;
  return opencl_check(cl.clEnqueueMarkerWithWaitList(q->queue, 0, NULL, &t->marker),
                      "clEnqueueMarkerWithWaitList");
}

cdl_status opencl_event_elapsed(void *from, void *to, uint64_t *nanoseconds)
{
  const timer *ends[2] = {from, to};
  cl_ulong times[2];
  for (int i = 0; i < 2; i++) {
    if (ends[i]->marker == NULL)
      return opencl_host->fail(CDL_STATUS_ARGUMENT, "the event has not been recorded");
    CDL_TRY(opencl_check(cl.clWaitForEvents(1, &ends[i]->marker), "clWaitForEvents"));
    CDL_TRY(opencl_check(cl.clGetEventProfilingInfo(ends[i]->marker, CL_PROFILING_COMMAND_END,
                                                    sizeof times[i], &times[i], NULL),
                         "clGetEventProfilingInfo"));
  }
  *nanoseconds = times[1] > times[0] ? times[1] - times[0] : 0;
  return CDL_STATUS_OK;
}
