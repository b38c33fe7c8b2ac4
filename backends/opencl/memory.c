/* Buffers are cl_mem objects. A copy from the host's memory may continue after its call. */
#include <stdlib.h>
#include <string.h>

#include "device.h"

/* For larger uploads waiting is cheaper than a second copy. */
enum { LARGEST_STAGED = 1 << 20 };

cdl_status opencl_allocate(void *device, size_t bytes, void **handle)
{
  opencl_device *d = device;
  if (bytes > d->largest_allocation)
    return opencl_host->fail(CDL_STATUS_MEMORY, "one allocation may have %zu bytes at most",
                             d->largest_allocation);
  cl_int code;
  *handle = cl.clCreateBuffer(d->context, CL_MEM_READ_WRITE, bytes, NULL, &code);
  if (code == CL_OUT_OF_RESOURCES || code == CL_INVALID_BUFFER_SIZE)
    return opencl_host->fail(CDL_STATUS_MEMORY, "clCreateBuffer: %s", opencl_code_name(code));
  return opencl_check(code, "clCreateBuffer");
}

/* Enqueued commands keep the memory until they are done (specification of clReleaseMemObject), so
 * there is nothing to wait for. */
void opencl_free(void *device, void *handle)
{
  (void)device;
  cl.clReleaseMemObject(handle);
}

cdl_status opencl_wrap_memory(void *device, void *foreign, size_t bytes, void **handle)
{
  opencl_device *d = device;
  cl_mem memory = foreign;
  size_t size = 0;
  cl_context context = NULL;
  CDL_TRY(opencl_check(cl.clGetMemObjectInfo(memory, CL_MEM_SIZE, sizeof size, &size, NULL),
                       "clGetMemObjectInfo of the given memory"));
  CDL_TRY(
      opencl_check(cl.clGetMemObjectInfo(memory, CL_MEM_CONTEXT, sizeof context, &context, NULL),
                   "clGetMemObjectInfo of the given memory"));
  if (context != d->context)
    return opencl_host->fail(CDL_STATUS_ARGUMENT, "the given memory is of another context");
  if (bytes > size)
    return opencl_host->fail(CDL_STATUS_ARGUMENT, "%zu bytes of memory that has %zu", bytes, size);
  CDL_TRY(opencl_check(cl.clRetainMemObject(memory), "clRetainMemObject"));
  *handle = memory;
  return CDL_STATUS_OK;
}

cdl_status opencl_memory_address(void *device, void *handle, cdl_memory_address *address)
{
  *address = (cdl_memory_address){.kind = CDL_MEMORY_OPENCL,
                                  .device = ((const opencl_device *)device)->number,
                                  .memory = handle};
  return CDL_STATUS_OK;
}

/* OpenCL has no query for free memory. */
cdl_status opencl_memory_info(void *device, cdl_device_memory *memory)
{
  const opencl_device *d = device;
  *memory = (cdl_device_memory){0, d->total_bytes};
  return CDL_STATUS_OK;
}

void opencl_release_staged(opencl_queue *queue, bool all)
{
  while (queue->oldest != NULL) {
    opencl_staged *staged = queue->oldest;
    cl_int status = CL_COMPLETE;
    if (!all && (cl.clGetEventInfo(staged->done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status,
                                   &status, NULL) != CL_SUCCESS ||
                 status > CL_COMPLETE))
      return;
    queue->oldest = staged->next;
    cl.clReleaseEvent(staged->done);
    free(staged);
  }
  queue->newest = NULL;
}

cdl_status opencl_upload(void *queue, cdl_buffer *out, size_t offset, const void *host,
                         size_t bytes)
{
  opencl_queue *q = queue;
  opencl_release_staged(q, false);
  opencl_staged *staged = bytes <= LARGEST_STAGED ? malloc(sizeof *staged + bytes) : NULL;
  if (staged == NULL)
    return opencl_check(
        cl.clEnqueueWriteBuffer(q->queue, out->handle, 1, offset, bytes, host, 0, NULL, NULL),
        "clEnqueueWriteBuffer");
  staged->next = NULL;
  memcpy(staged + 1, host, bytes);
  const int code = cl.clEnqueueWriteBuffer(q->queue, out->handle, 0, offset, bytes, staged + 1, 0,
                                           NULL, &staged->done);
  if (code != CL_SUCCESS) {
    free(staged);
    return opencl_check(code, "clEnqueueWriteBuffer");
  }
  if (q->oldest == NULL)
    q->oldest = staged;
  else
    q->newest->next = staged;
  q->newest = staged;
  return CDL_STATUS_OK;
}

cdl_status opencl_download(void *queue, void *host, const cdl_buffer *x, size_t offset,
                           size_t bytes)
{
  opencl_queue *q = queue;
  return opencl_check(
      cl.clEnqueueReadBuffer(q->queue, x->handle, 0, offset, bytes, host, 0, NULL, NULL),
      "clEnqueueReadBuffer");
}
