/* A frozen weight refers to its sources in place, and copies them only in narrow precisions. */
#ifndef CONDLORA_BACKENDS_CPU_WEIGHT_H
#define CONDLORA_BACKENDS_CPU_WEIGHT_H

#include "backends/cpu/device.h"

typedef struct {
  const float *data;
  int64_t rows, first, stride; /* `first`: the source's first row in the weight */
} cpu_weight_part;

typedef struct cpu_narrow_weight cpu_narrow_weight;

typedef struct {
  cpu_narrow_weight *narrow; /* NULL in fp32 */
  int64_t columns;
  size_t count;
  cpu_weight_part parts[];
} cpu_weight;

cdl_status cpu_weight_create(void *queue, const cdl_tensor *sources, size_t count, void **handle,
                             size_t *bytes);
cdl_status cpu_weight_update(void *queue, void *handle, const cdl_tensor *sources, size_t count);
void cpu_weight_destroy(void *device, void *handle);

#endif
