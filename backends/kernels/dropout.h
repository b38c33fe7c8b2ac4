/* What kernels need of a dropout mask. */
#ifndef CONDLORA_BACKENDS_KERNELS_DROPOUT_H
#define CONDLORA_BACKENDS_KERNELS_DROPOUT_H

#include "backends/kernels/kernel.h"

/* Zeros, that is no threshold and scale 1, for p = 0. */
mask_parameters mask_parameters_of(const cdl_dropout_mask *mask);
/* The step record's place, in words of four bytes. */
int64_t step_offset_of(const cdl_tensor *step);

#endif
