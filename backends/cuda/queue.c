/* Queues: a stream each, with the libraries' handles that belong to it; launches, events, recorded
 * work. */
#include "backends/cuda/device.h"

#include <stdio.h>
#include <string.h>

/* ---- Making and ending ---- */

/* cublasSetStream takes the workspace away again, so the two always come together. */
static cdl_status bind_blas(cuda_queue *queue)
{
  const cuda_block *workspace = queue->workspace;
  CDL_TRY(CUDA_BLAS_CALL(cublasSetStream_v2, queue->blas, queue->stream));
  return CUDA_BLAS_CALL(cublasSetWorkspace_v2, queue->blas, (void *)(uintptr_t)workspace->address,
                        queue->device->workspace_bytes);
}

/* Until now one queue may have been alone, and memory that it gave back still in its use. */
static cdl_status link_queue(cuda_queue *queue)
{
  cuda_device *device = queue->device;
  cdl_status status = CDL_STATUS_OK;
  pthread_mutex_lock(&device->lock);
  for (cuda_queue *other = device->queues; other != NULL && status == CDL_STATUS_OK;
       other = other->next)
    if (!other->recording)
      status = cuda_wait(device, other->stream);
  if (status == CDL_STATUS_OK) {
    queue->next = device->queues;
    device->queues = queue;
  }
  pthread_mutex_unlock(&device->lock);
  return status;
}

static void unlink_queue(cuda_queue *queue)
{
  cuda_device *device = queue->device;
  pthread_mutex_lock(&device->lock);
  for (cuda_queue **at = &device->queues; *at != NULL; at = &(*at)->next)
    if (*at == queue) {
      *at = queue->next;
      break;
    }
  pthread_mutex_unlock(&device->lock);
}

/* For products that store BF16, which only --precision bf16 has. */
static cdl_status make_lt(cuda_queue *queue)
{
  if (!cuda_has_blas_lt || queue->device->precision != CDL_PRECISION_BF16)
    return CDL_STATUS_OK;
  const cublasStatus_t answer = cuda_api.cublasLtCreate(&queue->lt);
  if (answer != CUBLAS_STATUS_SUCCESS)
    queue->lt = NULL;
  return cuda_check_blas("cublasLtCreate", answer);
}

static cdl_status fill_queue(cuda_queue *queue, void *foreign)
{
  cuda_device *device = queue->device;
  if (foreign != NULL)
    queue->stream = foreign;
  else
    CDL_TRY(CUDA_DEVICE_CALL(device, cuStreamCreate, &queue->stream, CU_STREAM_NON_BLOCKING));
  CDL_TRY(link_queue(queue)); /* before it is given memory */
  CDL_TRY(cuda_allocate(device, device->workspace_bytes, &queue->workspace));
  const cublasStatus_t answer = cuda_api.cublasCreate_v2(&queue->blas);
  if (answer != CUBLAS_STATUS_SUCCESS)
    queue->blas = NULL;
  CDL_TRY(cuda_check_blas("cublasCreate_v2", answer));
  CDL_TRY(make_lt(queue));
  return bind_blas(queue);
}

static cdl_status create(cuda_device *device, void *foreign, void **queue)
{
  cuda_queue *created = cuda_host->allocate(sizeof *created, 64);
  if (created == NULL)
    return cuda_host->fail(CDL_STATUS_MEMORY, "no host memory for a queue");
  memset(created, 0, sizeof *created);
  created->common.device = &device->common;
  created->device = device;
  created->is_foreign = foreign != NULL;
  cdl_status status = cuda_enter(device);
  if (status == CDL_STATUS_OK)
    status = cuda_leave(device, fill_queue(created, foreign));
  if (status != CDL_STATUS_OK) {
    cuda_queue_destroy(created);
    return status;
  }
  *queue = created;
  return CDL_STATUS_OK;
}

cdl_status cuda_queue_create(void *device, void **queue)
{
  return create(device, NULL, queue);
}

cdl_status cuda_wrap_queue(void *device, void *foreign, void **queue)
{
  return create(device, foreign, queue);
}

static void end_work(cuda_queue *queue)
{
  if (queue->recording)
    cuda_capture_abandon(queue);
  pthread_mutex_lock(&queue->device->lock);
  cuda_settle(queue);
  pthread_mutex_unlock(&queue->device->lock);
}

void cuda_queue_destroy(void *given)
{
  cuda_queue *queue = given;
  cuda_device *device = queue->device;
  CUcontext popped;
  const bool entered = CUDA_CALL_OR_WARN(cuCtxPushCurrent_v2, device->context);
  if (queue->stream != NULL)
    end_work(queue);
  cuda_solver_destroy(queue);
  if (queue->blas != NULL) {
    const cublasStatus_t answer = cuda_api.cublasDestroy_v2(queue->blas);
    if (answer != CUBLAS_STATUS_SUCCESS)
      cuda_host->log(CDL_LOG_WARNING, "cuda: cublasDestroy_v2: %d", answer);
  }
  if (queue->lt != NULL) {
    const cublasStatus_t answer = cuda_api.cublasLtDestroy(queue->lt);
    if (answer != CUBLAS_STATUS_SUCCESS)
      cuda_host->log(CDL_LOG_WARNING, "cuda: cublasLtDestroy: %d", answer);
  }
  cuda_staging_destroy(queue);
  kernel_scratch_release(&queue->common);
  cuda_free(device, queue->workspace);
  unlink_queue(queue);
  if (queue->stream != NULL && !queue->is_foreign)
    CUDA_CALL_OR_WARN(cuStreamDestroy_v2, queue->stream);
  if (entered)
    CUDA_CALL_OR_WARN(cuCtxPopCurrent_v2, &popped);
  cuda_host->release(queue->choices);
  cuda_host->release(queue->deliveries);
  cuda_host->release(queue);
}

/* ---- Launches ---- */

static unsigned int extent(int64_t groups)
{
  return groups > 1 ? (unsigned int)groups : 1;
}

static cdl_status launch_failed(cuda_device *device, const kernel_launch *launch, CUresult answer)
{
  char call[96];
  snprintf(call, sizeof call, "cuLaunchKernel of %s", kernel_list[launch->kernel].name);
  cuda_remember(device, "cuLaunchKernel", answer);
  return cuda_check(call, answer);
}

static unsigned int group_size(const cuda_device *device, kernel_id kernel)
{
  const int own = kernel_list[kernel].group_size;
  return (unsigned int)(own > 0 ? own : device->common.group_size);
}

cdl_status cuda_launch(kernel_queue *given, const kernel_launch *launch)
{
  const cuda_queue *queue = (const cuda_queue *)given;
  cuda_device *device = queue->device;
  const int buffers = kernel_list[launch->kernel].buffer_count;
  CUdeviceptr addresses[KERNEL_BUFFERS];
  void *parameters[KERNEL_BUFFERS + 1];
  for (int i = 0; i < buffers; i++) {
    addresses[i] = launch->buffers[i] != NULL ? cuda_address(launch->buffers[i]) : 0;
    parameters[i] = &addresses[i];
  }
  memcpy(&parameters[buffers], &launch->parameters, sizeof parameters[buffers]); /* only read */
  CDL_TRY(cuda_enter(device));
  const CUresult answer = cuda_api.cuLaunchKernel(
      device->functions[launch->kernel], extent(launch->groups[0]), extent(launch->groups[1]),
      extent(launch->groups[2]), group_size(device, launch->kernel), 1, 1, 0, queue->stream,
      parameters, NULL);
  return cuda_leave(device,
                    answer == CUDA_SUCCESS ? CDL_STATUS_OK : launch_failed(device, launch, answer));
}
