/* Bytes to and from the device. Copies are made from and to page-locked memory, so that the host
 * need not wait: an upload goes through a ring of slots, small ones side by side in one; a download
 * lands in memory of the queue's own, from which sync delivers. */
#include "backends/cuda/device.h"

#include <string.h>

enum { STAGED_ALIGNMENT = 64, STAGING_BYTES = CUDA_SLOTS * CUDA_SLOT_BYTES + CUDA_DOWNLOAD_BYTES };

static cdl_status make_slots(cuda_queue *queue)
{
  for (int i = 0; i < CUDA_SLOTS; i++) {
    cuda_slot *slot = &queue->slots[i];
    slot->memory = queue->staging + (size_t)i * CUDA_SLOT_BYTES;
    if (slot->done != NULL)
      continue;
    const cdl_status status =
        CUDA_DEVICE_CALL(queue->device, cuEventCreate, &slot->done, CU_EVENT_DISABLE_TIMING);
    if (status != CDL_STATUS_OK) {
      slot->done = NULL;
      return status;
    }
  }
  return CDL_STATUS_OK;
}

static cdl_status need_staging(cuda_queue *queue)
{
  if (queue->staging == NULL) {
    void *memory;
    CDL_TRY(CUDA_DEVICE_CALL(queue->device, cuMemAllocHost_v2, &memory, STAGING_BYTES));
    queue->staging = memory;
    queue->download = queue->staging + (size_t)CUDA_SLOTS * CUDA_SLOT_BYTES;
  }
  return queue->slots[CUDA_SLOTS - 1].done != NULL ? CDL_STATUS_OK : make_slots(queue);
}

void cuda_staging_destroy(cuda_queue *queue)
{
  for (int i = 0; i < CUDA_SLOTS; i++)
    if (queue->slots[i].done != NULL)
      CUDA_CALL_OR_WARN(cuEventDestroy_v2, queue->slots[i].done);
  if (queue->staging != NULL)
    CUDA_CALL_OR_WARN(cuMemFreeHost, queue->staging);
}

/* ---- Uploads ---- */

static cdl_status next_slot(cuda_queue *queue)
{
  cuda_slot *full = &queue->slots[queue->slot];
  CDL_TRY(CUDA_DEVICE_CALL(queue->device, cuEventRecord, full->done, queue->stream));
  full->pending = true;
  queue->slot = (queue->slot + 1) % CUDA_SLOTS;
  queue->slot_used = 0;
  cuda_slot *next = &queue->slots[queue->slot];
  if (!next->pending)
    return CDL_STATUS_OK;
  CDL_TRY(cuda_wait_event(queue->device, next->done));
  next->pending = false;
  return CDL_STATUS_OK;
}

static cdl_status upload_staged(cuda_queue *queue, CUdeviceptr out, const char *host, size_t bytes)
{
  CDL_TRY(need_staging(queue));
  while (bytes > 0) {
    if (queue->slot_used == CUDA_SLOT_BYTES ||
        (bytes <= CUDA_SLOT_BYTES && queue->slot_used + bytes > CUDA_SLOT_BYTES))
      CDL_TRY(next_slot(queue));
    const size_t room = CUDA_SLOT_BYTES - queue->slot_used;
    const size_t part = bytes < room ? bytes : room;
    char *staged = queue->slots[queue->slot].memory + queue->slot_used;
    memcpy(staged, host, part);
    CDL_TRY(
        CUDA_DEVICE_CALL(queue->device, cuMemcpyHtoDAsync_v2, out, staged, part, queue->stream));
    const size_t taken = (part + STAGED_ALIGNMENT - 1) / STAGED_ALIGNMENT * STAGED_ALIGNMENT;
    queue->slot_used += taken < room ? taken : room;
    out += part;
    host += part;
    bytes -= part;
  }
  return CDL_STATUS_OK;
}

/* Much of what is page-locked anyway is quicker copied from there, even with waiting for it: the
 * caller may change it as soon as we return. */
static cdl_status upload_pinned(cuda_queue *queue, CUdeviceptr out, const void *host, size_t bytes)
{
  CDL_TRY(CUDA_DEVICE_CALL(queue->device, cuMemcpyHtoDAsync_v2, out, host, bytes, queue->stream));
  return cuda_wait(queue->device, queue->stream);
}

cdl_status cuda_upload(void *given, cdl_buffer *out, size_t offset, const void *host, size_t bytes)
{
  cuda_queue *queue = given;
  const CUdeviceptr to = cuda_address(out) + offset;
  CDL_TRY(cuda_refuse_recording(queue, "an upload"));
  const bool direct = bytes > CUDA_SLOT_BYTES && cuda_is_pinned(queue->device, host, bytes);
  CDL_TRY(cuda_enter(queue->device));
  return cuda_leave(queue->device, direct ? upload_pinned(queue, to, host, bytes)
                                          : upload_staged(queue, to, host, bytes));
}

/* ---- Downloads ---- */

static cdl_status make_room_for_delivery(cuda_queue *queue)
{
  if (queue->delivery_count < queue->delivery_capacity)
    return CDL_STATUS_OK;
  const size_t capacity = queue->delivery_capacity > 0 ? 2 * queue->delivery_capacity : 16;
  cuda_delivery *longer = cuda_host->allocate(capacity * sizeof *longer, 64);
  if (longer == NULL)
    return cuda_host->fail(CDL_STATUS_MEMORY, "no host memory for a list of %zu downloads",
                           capacity);
  if (queue->delivery_count > 0)
    memcpy(longer, queue->deliveries, queue->delivery_count * sizeof *longer);
  cuda_host->release(queue->deliveries);
  queue->deliveries = longer;
  queue->delivery_capacity = capacity;
  return CDL_STATUS_OK;
}

/* After the stream has been waited for. */
static void deliver(cuda_queue *queue)
{
  for (size_t i = 0; i < queue->delivery_count; i++) {
    const cuda_delivery *delivery = &queue->deliveries[i];
    memcpy(delivery->host, queue->download + delivery->from, delivery->bytes);
  }
  queue->delivery_count = 0;
  queue->download_used = 0;
}

static cdl_status download_staged(cuda_queue *queue, char *host, CUdeviceptr x, size_t bytes)
{
  CDL_TRY(need_staging(queue));
  while (bytes > 0) {
    if (queue->download_used == CUDA_DOWNLOAD_BYTES) {
      CDL_TRY(cuda_wait(queue->device, queue->stream));
      deliver(queue);
    }
    CDL_TRY(make_room_for_delivery(queue));
    const size_t room = CUDA_DOWNLOAD_BYTES - queue->download_used;
    const size_t part = bytes < room ? bytes : room;
    CDL_TRY(CUDA_DEVICE_CALL(queue->device, cuMemcpyDtoHAsync_v2,
                             queue->download + queue->download_used, x, part, queue->stream));
    queue->deliveries[queue->delivery_count++] = (cuda_delivery){host, queue->download_used, part};
    const size_t taken = (part + STAGED_ALIGNMENT - 1) / STAGED_ALIGNMENT * STAGED_ALIGNMENT;
    queue->download_used += taken < room ? taken : room;
    x += part;
    host += part;
    bytes -= part;
  }
  return CDL_STATUS_OK;
}

cdl_status cuda_download(void *given, void *host, const cdl_buffer *x, size_t offset, size_t bytes)
{
  cuda_queue *queue = given;
  const CUdeviceptr from = cuda_address(x) + offset;
  CDL_TRY(cuda_refuse_recording(queue, "a download"));
  const bool direct = cuda_is_pinned(queue->device, host, bytes);
  CDL_TRY(cuda_enter(queue->device));
  return cuda_leave(queue->device, direct ? CUDA_DEVICE_CALL(queue->device, cuMemcpyDtoHAsync_v2,
                                                             host, from, bytes, queue->stream)
                                          : download_staged(queue, host, from, bytes));
}

cdl_status cuda_sync(void *given)
{
  cuda_queue *queue = given;
  CDL_TRY(cuda_refuse_recording(queue, "a sync"));
  CDL_TRY(cuda_enter(queue->device));
  CDL_TRY(cuda_leave(queue->device, cuda_wait(queue->device, queue->stream)));
  deliver(queue);
  return CDL_STATUS_OK;
}
