/* The device's memory: large pieces from the driver, cut into blocks. With one queue, a block that
 * is given back may be handed out again while the device still uses it, because later work on the
 * queue runs later. With several queues, giving back waits for all of them. */
#include "backends/cuda/device.h"

#include <string.h>

enum {
  ALIGNMENT = 512, /* cuMemAlloc aligns to at least 256 */
  SMALL =
      1 << 20, /* smaller blocks have their own segments, so that they do not break large ones */
  SMALL_SEGMENT = 2 << 20,
  LARGE_SEGMENT = 32 << 20, /* or the block itself, if it is larger */
};

static void *new_record(size_t bytes)
{
  void *record = cuda_host->allocate(bytes, 64);
  if (record != NULL)
    memset(record, 0, bytes);
  return record;
}

/* ---- Waiting: the lock is held, the context current ---- */

/* The owner keeps the memory that a recorded graph uses, and recording waits for the queue before
 * it begins. So a queue that records has no work under way. */
static bool settle_all(const cuda_device *device)
{
  bool settled = true;
  for (cuda_queue *queue = device->queues; queue != NULL; queue = queue->next)
    if (!queue->recording)
      settled = cuda_settle(queue) && settled;
  return settled;
}

static bool records_here(const cuda_device *device)
{
  for (const cuda_queue *queue = device->queues; queue != NULL; queue = queue->next)
    if (queue->recording && pthread_equal(queue->recorder, pthread_self()))
      return true;
  return false;
}

/* ---- Blocks ---- */

static cuda_block *best_fit(const cuda_device *device, size_t bytes)
{
  cuda_block *best = NULL;
  for (const cuda_segment *segment = device->segments; segment != NULL; segment = segment->next) {
    if (segment->small != (bytes < SMALL))
      continue;
    for (cuda_block *block = segment->first; block != NULL; block = block->after)
      if (block->state == CUDA_BLOCK_FREE && block->bytes >= bytes &&
          (best == NULL || block->bytes < best->bytes))
        best = block;
  }
  return best;
}

/* Cuts off the surplus. Without host memory for the rest's record the block stays whole. */
static void take(cuda_block *block, size_t bytes)
{
  block->state = CUDA_BLOCK_USED;
  if (block->bytes - bytes < ALIGNMENT)
    return;
  cuda_block *rest = new_record(sizeof *rest);
  if (rest == NULL)
    return;
  *rest = (cuda_block){.address = block->address + bytes,
                       .bytes = block->bytes - bytes,
                       .segment = block->segment,
                       .before = block,
                       .after = block->after};
  if (rest->after != NULL)
    rest->after->before = rest;
  block->after = rest;
  block->bytes = bytes;
}

/* Joins `block` with the one after it. */
static void join(cuda_block *block)
{
  cuda_block *after = block->after;
  block->bytes += after->bytes;
  block->after = after->after;
  if (block->after != NULL)
    block->after->before = block;
  cuda_host->release(after);
}

static void give_back(cuda_block *block)
{
  block->state = CUDA_BLOCK_FREE;
  if (block->after != NULL && block->after->state == CUDA_BLOCK_FREE)
    join(block);
  if (block->before != NULL && block->before->state == CUDA_BLOCK_FREE)
    join(block->before);
}

/* ---- Segments ---- */

static void segment_free(cuda_segment *segment)
{
  for (cuda_block *block = segment->first, *after; block != NULL; block = after) {
    after = block->after;
    cuda_host->release(block);
  }
  cuda_host->release(segment);
}

/* Gives entirely free segments back to the driver; returns true if there were some. */
static bool trim(cuda_device *device)
{
  bool trimmed = false;
  if (!settle_all(device))
    return false;
  for (cuda_segment **at = &device->segments; *at != NULL;) {
    cuda_segment *segment = *at;
    const bool whole = segment->first->state == CUDA_BLOCK_FREE && segment->first->after == NULL;
    if (!whole || !CUDA_CALL_OR_WARN(cuMemFree_v2, segment->address)) {
      at = &segment->next;
      continue;
    }
    *at = segment->next;
    segment_free(segment);
    trimmed = true;
  }
  return trimmed;
}

static cdl_status segment_create(cuda_device *device, size_t bytes, bool small)
{
  cuda_segment *segment = new_record(sizeof *segment);
  cuda_block *block = new_record(sizeof *block);
  cdl_status status = CDL_STATUS_OK;
  if (segment == NULL || block == NULL)
    status = cuda_host->fail(CDL_STATUS_MEMORY, "no host memory to keep account of the device's");
  if (status == CDL_STATUS_OK)
    status = CUDA_DEVICE_CALL(device, cuMemAlloc_v2, &segment->address, bytes);
  if (status != CDL_STATUS_OK) {
    cuda_host->release(segment);
    cuda_host->release(block);
    return status;
  }
  *block = (cuda_block){.address = segment->address, .bytes = bytes, .segment = segment};
  segment->bytes = bytes;
  segment->small = small;
  segment->first = block;
  segment->next = device->segments;
  device->segments = segment;
  return CDL_STATUS_OK;
}

static cdl_status grow(cuda_device *device, size_t bytes)
{
  const bool small = bytes < SMALL;
  const size_t usual = small ? SMALL_SEGMENT : LARGE_SEGMENT;
  const size_t exact = (bytes + SMALL_SEGMENT - 1) / SMALL_SEGMENT * SMALL_SEGMENT;
  cdl_status status = segment_create(device, exact > usual ? exact : usual, small);
  if (status == CDL_STATUS_MEMORY && (trim(device) || exact < usual))
    status = segment_create(device, exact, small);
  return status;
}

/* ---- The table's functions ---- */

static cdl_status allocate_locked(cuda_device *device, size_t bytes, void **handle)
{
  if (records_here(device))
    return cuda_host->fail(CDL_STATUS_UNSUPPORTED,
                           "nothing is allocated while a queue records: wanted %zu bytes", bytes);
  if (bytes > SIZE_MAX / 2)
    return cuda_host->fail(CDL_STATUS_MEMORY, "no device has that much");
  const size_t whole = bytes > 0 ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
  cuda_block *block = best_fit(device, whole);
  if (block == NULL) {
    CDL_TRY(grow(device, whole));
    block = best_fit(device, whole);
  }
  take(block, whole);
  *handle = block;
  return CDL_STATUS_OK;
}

cdl_status cuda_allocate(void *given, size_t bytes, void **handle)
{
  cuda_device *device = given;
  CDL_TRY(cuda_enter(device));
  pthread_mutex_lock(&device->lock);
  const cdl_status status = allocate_locked(device, bytes, handle);
  pthread_mutex_unlock(&device->lock);
  const cdl_status left = cuda_leave(device, status);
  if (status == CDL_STATUS_OK && left != CDL_STATUS_OK) {
    cuda_free(device, *handle);
    *handle = NULL;
  }
  return left;
}

/* After a fault that the device cannot recover from, the driver must not be called; then no work
 * runs either. */
void cuda_free(void *given, void *handle)
{
  cuda_device *device = given;
  cuda_block *block = handle;
  if (block == NULL)
    return;
  CUcontext popped;
  const bool entered = CUDA_CALL_OR_WARN(cuCtxPushCurrent_v2, device->context);
  pthread_mutex_lock(&device->lock);
  const bool shared = device->queues != NULL && device->queues->next != NULL;
  const bool foreign = block->segment == NULL; /* its owner may do anything with it afterwards */
  const bool settled = !(shared || foreign) || settle_all(device);
  if (foreign)
    cuda_host->release(block);
  else if (settled)
    give_back(block);
  else
    block->state = CUDA_BLOCK_LOST; /* work may still use it: kept until the device closes */
  pthread_mutex_unlock(&device->lock);
  if (entered)
    CUDA_CALL_OR_WARN(cuCtxPopCurrent_v2, &popped);
}

cdl_status cuda_wrap_memory(void *device, void *foreign, size_t bytes, void **handle)
{
  (void)device;
  cuda_block *block = new_record(sizeof *block);
  if (block == NULL)
    return cuda_host->fail(CDL_STATUS_MEMORY, "no host memory to keep account of foreign memory");
  *block = (cuda_block){
      .address = (CUdeviceptr)(uintptr_t)foreign, .bytes = bytes, .state = CUDA_BLOCK_USED};
  *handle = block;
  return CDL_STATUS_OK;
}

/* The driver's handle of a device is its number. */
cdl_status cuda_memory_address(void *device, void *handle, cdl_memory_address *address)
{
  const cuda_block *block = handle;
  *address = (cdl_memory_address){.kind = CDL_MEMORY_CUDA,
                                  .device = ((const cuda_device *)device)->id,
                                  .memory = (void *)(uintptr_t)block->address};
  return CDL_STATUS_OK;
}

cdl_status cuda_memory_info(void *given, cdl_device_memory *memory)
{
  cuda_device *device = given;
  *memory = (cdl_device_memory){0};
  CDL_TRY(cuda_enter(device));
  const cdl_status status =
      CUDA_DEVICE_CALL(device, cuMemGetInfo_v2, &memory->free_bytes, &memory->total_bytes);
  pthread_mutex_lock(&device->lock);
  for (const cuda_segment *segment = device->segments; segment != NULL; segment = segment->next)
    for (const cuda_block *block = segment->first; block != NULL; block = block->after)
      if (block->state == CUDA_BLOCK_FREE)
        memory->free_bytes += block->bytes;
  pthread_mutex_unlock(&device->lock);
  return cuda_leave(device, status);
}

void cuda_pool_destroy(cuda_device *device)
{
  for (cuda_segment *segment = device->segments, *next; segment != NULL; segment = next) {
    next = segment->next;
    CUDA_CALL_OR_WARN(cuMemFree_v2, segment->address);
    segment_free(segment);
  }
  device->segments = NULL;
}

/* ---- Page-locked host memory ---- */

static cdl_status pin(cuda_device *device, size_t bytes, void **memory)
{
  cuda_pinned *pinned = new_record(sizeof *pinned);
  if (pinned == NULL)
    return cuda_host->fail(CDL_STATUS_MEMORY,
                           "no host memory to keep account of page-locked memory");
  const cdl_status status = CUDA_DEVICE_CALL(device, cuMemAllocHost_v2, memory, bytes);
  if (status != CDL_STATUS_OK) {
    cuda_host->release(pinned);
    return status;
  }
  *pinned = (cuda_pinned){device->pinned, *memory, bytes};
  device->pinned = pinned;
  return CDL_STATUS_OK;
}

cdl_status cuda_pinned_allocate(void *given, size_t bytes, void **memory)
{
  cuda_device *device = given;
  CDL_TRY(cuda_enter(device));
  pthread_mutex_lock(&device->lock);
  const cdl_status status =
      records_here(device)
          ? cuda_host->fail(CDL_STATUS_UNSUPPORTED, "nothing is allocated while a queue records")
          : pin(device, bytes, memory);
  pthread_mutex_unlock(&device->lock);
  const cdl_status left = cuda_leave(device, status);
  if (status == CDL_STATUS_OK && left != CDL_STATUS_OK)
    cuda_pinned_free(device, *memory);
  return left;
}

/* Downloads go there directly, so it waits for every queue. */
void cuda_pinned_free(void *given, void *memory)
{
  cuda_device *device = given;
  CUcontext popped;
  const bool entered = CUDA_CALL_OR_WARN(cuCtxPushCurrent_v2, device->context);
  pthread_mutex_lock(&device->lock);
  settle_all(device);
  for (cuda_pinned **at = &device->pinned; *at != NULL; at = &(*at)->next)
    if ((*at)->memory == memory) {
      cuda_pinned *found = *at;
      *at = found->next;
      CUDA_CALL_OR_WARN(cuMemFreeHost, memory);
      cuda_host->release(found);
      break;
    }
  pthread_mutex_unlock(&device->lock);
  if (entered)
    CUDA_CALL_OR_WARN(cuCtxPopCurrent_v2, &popped);
}

bool cuda_is_pinned(cuda_device *device, const void *memory, size_t bytes)
{
  const char *from = memory;
  bool found = false;
  pthread_mutex_lock(&device->lock);
  for (const cuda_pinned *at = device->pinned; at != NULL && !found; at = at->next)
    found = from >= at->memory && from + bytes <= at->memory + at->bytes;
  pthread_mutex_unlock(&device->lock);
  return found;
}
