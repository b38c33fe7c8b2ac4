/* The parameters of a dropout mask for kernels. */
#ifndef CONDLORA_BACKENDS_KERNELS_DROPOUT_H
#define CONDLORA_BACKENDS_KERNELS_DROPOUT_H

#include "backends/kernels/kernel.h"

/* For p = 0 these are zeros: no threshold, and scale 1. */
mask_parameters mask_parameters_of(const cdl_dropout_mask *mask);
/* Returns the offset of the step record, in words of four bytes. */
int64_t step_offset_of(const cdl_tensor *step);

#endif
