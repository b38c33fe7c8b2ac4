/* Elementwise ops over any strides: tensors of one size are walked as runs of contiguous elements, as few and as long
 * as their strides allow, spread over the pool. */
#ifndef CONDLORA_BACKENDS_CPU_WALK_H
#define CONDLORA_BACKENDS_CPU_WALK_H

#include "backends/cpu/device.h"

enum { CPU_WALK_TENSORS = 4 };

typedef struct {
  int tensors;
  int64_t columns; /* of a run */
  int64_t rows, size[3];
  int64_t stride[CPU_WALK_TENSORS][3],
      inner[CPU_WALK_TENSORS]; /* bytes; `inner` is 0 for one that repeats */
  char *start[CPU_WALK_TENSORS];
} cpu_walk;

/* `tensors` have the sizes of the first, or 1 where they repeat. Within a run only the last may repeat an element, and
 * only with `last_repeats`. At most three dimensions may remain when no run is found: so it is where every innermost
 * stride is 1. */
cpu_walk cpu_walk_over(const cdl_tensor *tensors, int count, bool last_repeats);

/* run(context, pointers, n) handles n elements from each tensor's pointer on. */
typedef void cpu_run(const void *context, char *const *pointers, int64_t n);
cdl_status cpu_walk_run(cpu_device *device, const cpu_walk *walk, cpu_run *run,
                        const void *context);

/* Start of row `row` of t's matrices, counted through all of them, in elements. */
int64_t cpu_row_start(const cdl_tensor *t, int64_t row);

#endif
