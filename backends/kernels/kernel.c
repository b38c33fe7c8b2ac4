#include "backends/kernels/kernel.h"

enum {
#define KERNEL_PROGRAM(name, files, options, backends) BACKENDS_OF_##name = KERNEL_FOR_##backends,
#include "backends/kernels/programs.def"
#undef KERNEL_PROGRAM
};

enum { GROUP_OF_PLAIN = 0, GROUP_OF_BARRIERS = 0, GROUP_OF_WARPS = KERNEL_WARP_GROUP };

const kernel_info kernel_list[KERNEL_COUNT] = {
#define KERNEL_ENTRY(name, buffers, parameters, barriers, program) \
  {#name,                                                          \
   buffers,                                                        \
   sizeof(parameters),                                             \
   PROGRAM_##program,                                              \
   (kernel_backends)BACKENDS_OF_##program,                         \
   GROUP_OF_##barriers},
#include "backends/kernels/kernels.def"
#undef KERNEL_ENTRY
};

#define KERNEL_ENTRY(name, buffers, parameters, barriers, program) \
  _Static_assert(buffers <= KERNEL_BUFFERS, #name " has more buffers than a launch holds");
#include "backends/kernels/kernels.def"
#undef KERNEL_ENTRY

struct kernel_retired {
  void *handle;
  kernel_retired *next;
};

/* Gives up a slot's memory, now or when the queue ends. */
static cdl_status retire(kernel_queue *queue, cdl_buffer *scratch)
{
  const kernel_driver *driver = queue->device->driver;
  if (!queue->recorded) {
    driver->release(queue->device, scratch->handle);
  } else {
    kernel_retired *retired = driver->host()->allocate(sizeof *retired, _Alignof(kernel_retired));
    if (retired == NULL)
      return driver->host()->fail(CDL_STATUS_MEMORY, "the host has no more");
    *retired = (kernel_retired){scratch->handle, queue->retired};
    queue->retired = retired;
  }
  *scratch = (cdl_buffer){0};
  return CDL_STATUS_OK;
}

cdl_status kernel_scratch(kernel_queue *queue, kernel_scratch_slot slot, size_t bytes,
                          const cdl_buffer **buffer)
{
  cdl_buffer *scratch = &queue->scratch[slot];
  *buffer = scratch;
  if (scratch->handle != NULL && scratch->bytes >= bytes)
    return CDL_STATUS_OK;
  if (scratch->handle != NULL)
    CDL_TRY(retire(queue, scratch));
  CDL_TRY(queue->device->driver->allocate(queue->device, bytes, &scratch->handle));
  scratch->bytes = bytes;
  return CDL_STATUS_OK;
}

void kernel_scratch_release(kernel_queue *queue)
{
  const kernel_driver *driver = queue->device->driver;
  for (int slot = 0; slot < SCRATCH_COUNT; slot++)
    if (queue->scratch[slot].handle != NULL) {
      driver->release(queue->device, queue->scratch[slot].handle);
      queue->scratch[slot] = (cdl_buffer){0};
    }
  while (queue->retired != NULL) {
    kernel_retired *retired = queue->retired;
    queue->retired = retired->next;
    driver->release(queue->device, retired->handle);
    driver->host()->release(retired);
  }
}
