/* A device without hardware for `bench-condlora model`: the CUDA backend itself, as it is, over
 * functions of driver and cuBLAS that compute nothing and note what they are asked for. Memory has
 * addresses and sizes but no contents: uploads are forgotten, and downloads give zeros. */
#ifndef CONDLORA_BENCH_MODEL_DRIVER_H
#define CONDLORA_BENCH_MODEL_DRIVER_H

#include "backends/cuda/types.h"
#include "backends/kernels/kernel.h"
#include "condlora/backend.h"

/* The device that the backend is to see. */
typedef struct {
  const char *name;
  int multiprocessors, threads, capability; /* threads of a multiprocessor; 90 is 9.0 */
  size_t memory_bytes;
} bench_driver_device;

typedef enum { BENCH_WORK_KERNEL, BENCH_WORK_PRODUCT, BENCH_WORK_COPY } bench_work_kind;

typedef struct {
  kernel_id id;
  int64_t groups;    /* of all dimensions */
  int items;         /* of a group */
  unsigned present;  /* bit i: buffer i is there */
  size_t parameters; /* where the bytes of its struct begin: bench_driver_parameters */
} bench_kernel_work;

/* cuBLAS's product of m x k and k x n, columns first. */
typedef struct {
  int64_t m, n, k, batch;
  cudaDataType a, b, out;
  cublasComputeType_t compute;
  bool adds, repeats_a, repeats_b; /* adds: β is not 0; repeats: one matrix for the whole batch */
} bench_product_work;

/* What the backend enqueued by one call. */
typedef struct {
  bench_work_kind kind;
  bool recorded; /* as a node of a graph */
  union {
    bench_kernel_work kernel;
    bench_product_work product;
    size_t copied_bytes; /* between host and device */
  };
} bench_work;

/* Opens the backend on such a device. With `records` false it records no work. One device is open
 * at a time. */
CDL_MUST_USE cdl_status bench_driver_open(const bench_driver_device *device,
                                          cdl_precision precision, bool records,
                                          cdl_backend **backend);
/* Closes the backend and releases the list of works. */
void bench_driver_close(cdl_backend *backend);

/* The works since the last bench_driver_forget. Errors: MEMORY if the list had no room. */
CDL_MUST_USE cdl_status bench_driver_works(const bench_work **works, size_t *count);
void bench_driver_forget(void);
/* The parameters of a kernel in that list. */
const void *bench_driver_parameters(const bench_kernel_work *kernel);
/* Bytes that the backend holds of the device's memory, and the most that it held. */
size_t bench_driver_peak_bytes(void);

#endif
