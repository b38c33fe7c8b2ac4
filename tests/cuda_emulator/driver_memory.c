/* libcuda.so.1: memory and copies. */
#include <string.h>

#include "tests/cuda_emulator/emulator.h"

CUresult cuMemAlloc_v2(CUdeviceptr *memory, size_t bytes)
{
  ENTER_OR(CUDA_ERROR_OUT_OF_MEMORY);
  CHECK(context_check());
  CHECK(stream_check_no_capture());
  uintptr_t address;
  const CUresult status = memory_allocate(bytes, &address);
  *memory = address;
  return status;
}

/* At once, whatever work still uses it: a device need not wait. */
CUresult cuMemFree_v2(CUdeviceptr memory)
{
  ENTER();
  const CUresult status = memory_free((uintptr_t)memory);
  CHECK(status);
  CHECK(stream_check_no_capture());
  return this_call.fails ? CUDA_ERROR_UNKNOWN : context_check();
}

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes)
{
  ENTER_OR(CUDA_ERROR_UNKNOWN);
  CHECK(context_check());
  *total_bytes = memory_total();
  *free_bytes = *total_bytes - memory_used();
  return CUDA_SUCCESS;
}

CUresult cuMemAllocHost_v2(void **memory, size_t bytes)
{
  ENTER_OR(CUDA_ERROR_OUT_OF_MEMORY);
  CHECK(context_check());
  CHECK(stream_check_no_capture());
  return pinned_allocate(bytes, memory);
}

CUresult cuMemFreeHost(void *memory)
{
  ENTER();
  const CUresult status = pinned_free(memory);
  CHECK(status);
  CHECK(stream_check_no_capture());
  return this_call.fails ? CUDA_ERROR_UNKNOWN : context_check();
}

typedef struct {
  CUdeviceptr device;
  void *host; /* NULL: the bytes that follow */
  size_t bytes;
  unsigned char staged[];
} copy_payload;

/* Page-locked memory is read and written when the work runs. */
static bool check_pinned(const copy_payload *copy, const char *call)
{
  if (copy->host == NULL || pinned_find(copy->host, copy->bytes) == PINNED_ALL)
    return true;
  emulator_violation("%s: the page-locked memory %p was freed before the copy ran", call,
                     copy->host);
  emulator_fault(CUDA_ERROR_ILLEGAL_ADDRESS);
  return false;
}

static void run_upload(work *item)
{
  const copy_payload *copy = (const void *)item->payload;
  void *view = memory_view(copy->device, copy->bytes, item->call);
  if (view == NULL)
    emulator_fault(CUDA_ERROR_ILLEGAL_ADDRESS);
  else if (check_pinned(copy, item->call))
    memcpy(view, copy->host != NULL ? copy->host : copy->staged, copy->bytes);
}

static void run_download(work *item)
{
  const copy_payload *copy = (const void *)item->payload;
  const void *view = memory_view(copy->device, copy->bytes, item->call);
  if (view == NULL)
    emulator_fault(CUDA_ERROR_ILLEGAL_ADDRESS);
  else if (check_pinned(copy, item->call))
    memcpy(copy->host, view, copy->bytes);
}

/* What a copy answers before it does anything; `kind` says how the host memory is. */
static CUresult check_copy(const char *call, CUdeviceptr device, const void *host, size_t bytes,
                           stream *target, pinned_kind *kind)
{
  CHECK(context_check());
  if (target == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  if (memory_view((uintptr_t)device, bytes, call) == NULL)
    return CUDA_ERROR_INVALID_VALUE;
  *kind = pinned_find(host, bytes);
  if (*kind == PINNED_SOME) {
    emulator_violation("%s: %zu bytes at %p are page-locked in part", call, bytes, host);
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (*kind == PINNED_NONE && stream_is_capturing(target)) {
    stream_invalidate_capture(target);
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  return CUDA_SUCCESS;
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr out, const void *host, size_t bytes, CUstream handle)
{
  ENTER_OR(CUDA_ERROR_INVALID_VALUE);
  stream *target = stream_find(handle);
  pinned_kind kind;
  CHECK(check_copy(__func__, out, host, bytes, target, &kind));
  const bool is_staged = kind == PINNED_NONE;
  work *item = work_create(__func__, sizeof(copy_payload) + (is_staged ? bytes : 0), run_upload);
  copy_payload *copy = (void *)item->payload;
  copy->device = out;
  copy->bytes = bytes;
  if (is_staged)
    memcpy(copy->staged, host, bytes);
  else
    copy->host = (void *)(uintptr_t)host;
  return stream_enqueue(target, item);
}

/* To pageable memory it returns when the copy is done. */
CUresult cuMemcpyDtoHAsync_v2(void *host, CUdeviceptr x, size_t bytes, CUstream handle)
{
  ENTER_OR(CUDA_ERROR_INVALID_VALUE);
  stream *target = stream_find(handle);
  pinned_kind kind;
  CHECK(check_copy(__func__, x, host, bytes, target, &kind));
  if (kind == PINNED_NONE) {
    stream_drain(target);
    CHECK(emulator_fault_code());
    const void *view = memory_view((uintptr_t)x, bytes, __func__);
    if (view == NULL)
      return CUDA_ERROR_INVALID_VALUE;
    memcpy(host, view, bytes);
    return CUDA_SUCCESS;
  }
  work *item = work_create(__func__, sizeof(copy_payload), run_download);
  copy_payload *copy = (void *)item->payload;
  copy->device = x;
  copy->bytes = bytes;
  copy->host = host;
  return stream_enqueue(target, item);
}
