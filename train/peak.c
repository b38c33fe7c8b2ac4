#include "train/peak.h"

#include "base/process.h"

enum { RUNS = 5 };

static double operations(int64_t n)
{
  return 2.0 * (double)n * (double)n * (double)n;
}

static cdl_status time_products(cdl_queue *queue, cdl_buffer *buffer, int64_t n, double *best)
{
  const cdl_tensor a = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 0, n, n),
                   b = cdl_tensor_2d(buffer, CDL_DTYPE_F32, n * n, n, n);
  const cdl_tensor c = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 2 * n * n, n, n);
  cdl_fill(queue, CDL_ARGS(fill, .out = a, .value = 0.5));
  cdl_fill(queue, CDL_ARGS(fill, .out = b, .value = 0.25));
  CDL_TRY(cdl_queue_sync(queue));
  for (int i = 0; i < RUNS; i++) {
    const double start = base_process_seconds();
    cdl_gemm(queue, CDL_ARGS(gemm, .out = c, .a = a, .b = b, .transpose_b = true, .alpha = 1));
    CDL_TRY(cdl_queue_sync(queue));
    const double rate = operations(n) / (base_process_seconds() - start);
    *best = rate > *best ? rate : *best;
  }
  return CDL_STATUS_OK;
}

cdl_status train_measure_gemm(cdl_queue *queue, double *operations_per_s)
{
  static const int64_t sizes[] = {64, 256, 1024};
  static const double patience = 0.5; /* seconds */
  const int64_t most = sizes[2];
  *operations_per_s = 0;
  cdl_buffer *buffer;
  CDL_TRY(cdl_buffer_create(cdl_queue_backend(queue), (size_t)(3 * most * most) * sizeof(float),
                            &buffer));
  cdl_status status = CDL_STATUS_OK;
  for (int i = 0; i < 3 && status == CDL_STATUS_OK; i++)
    if (RUNS * operations(sizes[i]) <= patience * *operations_per_s || i == 0)
      status = time_products(queue, buffer, sizes[i], operations_per_s);
  cdl_buffer_destroy(buffer);
  return status;
}
