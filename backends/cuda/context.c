/* What is current on a thread, lasting faults, and streams that have come to rest. */
#include "backends/cuda/device.h"

#include <stdio.h>

void cuda_remember(cuda_device *device, const char *call, CUresult answer)
{
  CUresult none = CUDA_SUCCESS;
  if (cuda_is_lasting(answer) && atomic_compare_exchange_strong(&device->fault, &none, answer))
    atomic_store(&device->fault_call, call);
}

cdl_status cuda_answer(cuda_device *device, const char *call, CUresult answer)
{
  cuda_remember(device, call, answer);
  return cuda_check(call, answer);
}

cdl_status cuda_enter(cuda_device *device)
{
  const CUresult fault = atomic_load(&device->fault);
  if (fault != CUDA_SUCCESS) {
    const char *call = atomic_load(&device->fault_call);
    char text[128];
    snprintf(text, sizeof text, "the device failed before%s%s, and does nothing any more",
             call != NULL ? ", in " : "", call != NULL ? call : "");
    return cuda_check(text, fault);
  }
  return CUDA_DEVICE_CALL(device, cuCtxPushCurrent_v2, device->context);
}

cdl_status cuda_leave(cuda_device *device, cdl_status status)
{
  CUcontext popped;
  if (status == CDL_STATUS_OK)
    return CUDA_DEVICE_CALL(device, cuCtxPopCurrent_v2, &popped);
  CUDA_CALL_OR_WARN(cuCtxPopCurrent_v2, &popped); /* the first message stays */
  return status;
}

bool cuda_settle(cuda_queue *queue)
{
  /* An error may be that of work before it, said once; what counts is that nothing runs. */
  for (int attempt = 0; attempt < 2; attempt++) {
    cuda_watch(queue->device, queue->stream);
    const CUresult answer = cuda_api.cuStreamSynchronize(queue->stream);
    if (cuda_warn("cuStreamSynchronize", answer) || cuda_is_lasting(answer))
      return true;
  }
  return false;
}
