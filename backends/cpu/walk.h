/* Elementwise ops over any strides. Tensors of one size are cut into runs of contiguous elements,
 * as few and as long as their strides allow, and the runs are spread over the pool. */
#ifndef CONDLORA_BACKENDS_CPU_WALK_H
#define CONDLORA_BACKENDS_CPU_WALK_H

#include "backends/cpu/device.h"

enum { CPU_WALK_TENSORS = 4 };

typedef struct {
  int tensors;
  int64_t columns; /* elements of a run */
  int64_t rows, size[3];
  int64_t stride[CPU_WALK_TENSORS][3],
      inner[CPU_WALK_TENSORS]; /* bytes; `inner` is 0 for a tensor that repeats one element */
  char *start[CPU_WALK_TENSORS];
} cpu_walk;

/* Plans the runs. `tensors` have the sizes of the first one, or 1 in a dimension that repeats. Only
 * the last tensor may repeat an element within a run, and only with `last_repeats`. If no run is
 * found, at most three dimensions may remain, which is so if every innermost stride is 1. */
cpu_walk cpu_walk_over(const cdl_tensor *tensors, int count, bool last_repeats);

/* run(context, pointers, n) computes n elements from each tensor's pointer on. */
typedef void cpu_run(const void *context, char *const *pointers, int64_t n);
cdl_status cpu_walk_run(cpu_device *device, const cpu_walk *walk, cpu_run *run,
                        const void *context);

/* Returns the offset of row `row`, counted through all matrices of t, in elements. */
int64_t cpu_row_start(const cdl_tensor *t, int64_t row);

#endif
