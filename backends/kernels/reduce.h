/* Sums over rows, for the ops that add up what several groups have found. */
#ifndef CONDLORA_BACKENDS_KERNELS_REDUCE_H
#define CONDLORA_BACKENDS_KERNELS_REDUCE_H

#include "backends/kernels/kernel.h"

/* out [columns] += Σ over the `rows` rows of x [rows, columns], dense, from element `offset` on. */
cdl_status reduce_add_rows(kernel_queue *queue, const cdl_tensor *out, const cdl_buffer *x,
                           int64_t offset, int64_t rows);

#endif
