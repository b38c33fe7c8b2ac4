/* What work costs a device, whichever it is: backends/kernels/costs.def for a kernel, arithmetic
 * for a product. */
#ifndef CONDLORA_BENCH_MODEL_COSTS_H
#define CONDLORA_BENCH_MODEL_COSTS_H

#include "bench/model_driver.h"

/* The sequences of a batch; attention's cost depends on their lengths, which only the device's
 * memory would have. */
typedef struct {
  const int32_t *offsets; /* [count + 1], ascending */
  size_t count;
} bench_sequences;

typedef struct {
  double read_bytes, written_bytes;
  double instructions, tiles; /* of all work-items in innermost loops; tiles of the grid's tiling */
  double tensor_flop;
  bool low_occupancy;
} bench_kernel_cost;

/* `parameters` are the kernel's. Errors: UNSUPPORTED for a kernel that costs.def does not have. */
CDL_MUST_USE cdl_status bench_cost_of_kernel(const bench_kernel_work *work, const void *parameters,
                                             const bench_sequences *sequences,
                                             bench_kernel_cost *cost);

/* Bytes of each matrix once, 2 m n k batch operations. */
double bench_product_bytes(const bench_product_work *product);
double bench_product_flop(const bench_product_work *product);

#endif
