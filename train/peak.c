#include "train/peak.h"

#include "train/process.h"

static cdl_status time_products(cdl_queue *queue, cdl_buffer *buffer, int64_t n, double *best)
{
  enum { RUNS = 5 };
  const cdl_tensor a = cdl_tensor_2d(buffer, CDL_F32, 0, n, n),
                   b = cdl_tensor_2d(buffer, CDL_F32, n * n, n, n);
  const cdl_tensor c = cdl_tensor_2d(buffer, CDL_F32, 2 * n * n, n, n);
  cdl_fill(queue, CDL_ARGS(fill, .out = a, .value = 0.5));
  cdl_fill(queue, CDL_ARGS(fill, .out = b, .value = 0.25));
  CDL_TRY(cdl_sync(queue));
  for (int i = 0; i < RUNS; i++) {
    const double start = cdl_process_seconds();
    cdl_gemm(queue, CDL_ARGS(gemm, .out = c, .a = a, .b = b, .transpose_b = true, .alpha = 1));
    CDL_TRY(cdl_sync(queue));
    const double rate = 2.0 * (double)n * (double)n * (double)n / (cdl_process_seconds() - start);
    *best = rate > *best ? rate : *best;
  }
  return CDL_OK;
}

cdl_status cdl_measure_gemm(cdl_queue *queue, double *operations_per_s)
{
  const int64_t n = 1024;
  *operations_per_s = 0;
  cdl_buffer *buffer;
  CDL_TRY(
      cdl_buffer_create(cdl_queue_backend(queue), (size_t)(3 * n * n) * sizeof(float), &buffer));
  const cdl_status status = time_products(queue, buffer, n, operations_per_s);
  cdl_buffer_destroy(buffer);
  return status;
}
