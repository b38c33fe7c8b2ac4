/* Frozen weights: one plain matrix, F32 if products are computed in F32 or TF32, otherwise BF16. */
#include "backends/cuda/device.h"

#include <string.h>

enum { BF16_STRIDE = 8 }; /* rows start at multiples of 16 bytes, which suits tensor cores */

/* Begins with the tensor that the shared ops expect. */
typedef struct {
  cdl_tensor plain;
  cdl_buffer buffer; /* the memory of `plain` if it is a copy; handle NULL: in place */
} cuda_weight;

/* Gives the sources as one matrix, if they are one below the other with the same distance between
 * rows. */
static bool lie_stacked(const cdl_tensor *sources, size_t count, cdl_tensor *stacked)
{
  const int64_t stride = sources[0].size[2] > 1 ? sources[0].stride[2] : sources[0].size[3];
  *stacked = sources[0];
  stacked->stride[2] = stride;
  for (size_t i = 1; i < count; i++) {
    if (sources[i].buffer != stacked->buffer ||
        (sources[i].size[2] > 1 && sources[i].stride[2] != stride) ||
        sources[i].offset != stacked->offset + stacked->size[2] * stride)
      return false;
    stacked->size[2] += sources[i].size[2];
  }
  return true;
}

static cdl_status copy_sources(void *queue, const cuda_weight *weight, const cdl_tensor *sources,
                               size_t count)
{
  int64_t row = 0;
  for (size_t i = 0; i < count; i++) {
    const cdl_tensor out = cdl_tensor_rows(weight->plain, row, sources[i].size[2]);
    row += sources[i].size[2];
    if (cdl_tensor_elements(sources[i]) == 0)
      continue;
    CDL_TRY(out.dtype == CDL_DTYPE_BF16
                ? kernel_op_cast(queue, CDL_ARGS(cast, .out = out, .x = sources[i]))
                : kernel_op_copy(queue, CDL_ARGS(copy, .out = out, .x = sources[i])));
  }
  return CDL_STATUS_OK;
}

static cdl_status keep_copy(cuda_queue *queue, cuda_weight *weight, const cdl_tensor *sources,
                            size_t count)
{
  const cdl_dtype dtype =
      queue->device->precision == CDL_PRECISION_BF16 ? CDL_DTYPE_BF16 : CDL_DTYPE_F32;
  const int64_t columns = sources[0].size[3];
  const int64_t stride =
      dtype == CDL_DTYPE_BF16 ? (columns + BF16_STRIDE - 1) / BF16_STRIDE * BF16_STRIDE : columns;
  int64_t rows = 0;
  for (size_t i = 0; i < count; i++)
    rows += sources[i].size[2];
  size_t bytes;
  if (__builtin_mul_overflow((size_t)rows, (size_t)stride, &bytes) ||
      __builtin_mul_overflow(bytes, cdl_dtype_bytes(dtype), &bytes))
    return cuda_host->fail(CDL_STATUS_MEMORY, "a matrix of %lld x %lld is too large",
                           (long long)rows, (long long)columns);
  CDL_TRY(cuda_allocate(queue->device, bytes, &weight->buffer.handle));
  weight->buffer.bytes = bytes;
  weight->buffer.owner = sources[0].buffer->owner;
  weight->plain = cdl_tensor_2d(&weight->buffer, dtype, 0, rows, columns);
  weight->plain.stride[2] = stride;
  return copy_sources(queue, weight, sources, count);
}

cdl_status cuda_weight_create(void *given, const cdl_tensor *sources, size_t count, void **handle,
                              size_t *bytes)
{
  cuda_queue *queue = given;
  CDL_TRY(cuda_refuse_recording(queue, "the making of a weight"));
  cuda_weight *weight = cuda_host->allocate(sizeof *weight, 64);
  if (weight == NULL)
    return cuda_host->fail(CDL_STATUS_MEMORY, "no host memory for a weight");
  memset(weight, 0, sizeof *weight);
  const bool in_place =
      queue->device->precision != CDL_PRECISION_BF16 && lie_stacked(sources, count, &weight->plain);
  const cdl_status status = in_place ? CDL_STATUS_OK : keep_copy(queue, weight, sources, count);
  if (status != CDL_STATUS_OK) {
    cuda_weight_destroy(queue->device, weight);
    return status;
  }
  *handle = weight;
  *bytes = weight->buffer.bytes;
  return CDL_STATUS_OK;
}

cdl_status cuda_weight_update(void *queue, void *handle, const cdl_tensor *sources, size_t count)
{
  const cuda_weight *weight = handle;
  return weight->buffer.handle != NULL ? copy_sources(queue, weight, sources, count)
                                       : CDL_STATUS_OK;
}

void cuda_weight_destroy(void *device, void *handle)
{
  cuda_weight *weight = handle;
  cuda_free(device, weight->buffer.handle);
  cuda_host->release(weight);
}
