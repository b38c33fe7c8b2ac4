/* Dropout masks. Their parameters are read once per call. */
#ifndef CONDLORA_BACKENDS_CPU_DROPOUT_H
#define CONDLORA_BACKENDS_CPU_DROPOUT_H

#include "backends/cpu/device.h"

/* Sets all members except `example`, which is 0. */
cpu_mask cpu_mask_from(const cdl_dropout_mask *mask);

/* A mask over the rows of packed sequences. */
typedef struct {
  cpu_mask mask;
  const cdl_packing *packing;
  bool per_sequence;
} cpu_dropping;

/* out = dropout(x), in place too, for `rows` rows; `row` is the place of the first one. */
void cpu_drop_rows(const cpu_kernels *kernels, const cpu_dropping *dropping, int64_t row,
                   int64_t rows, int64_t columns, cpu_rows out, cpu_rows x);

#endif
