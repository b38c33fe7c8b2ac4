/* The heads that the attention kernels support. */
#ifndef CONDLORA_BACKENDS_KERNELS_ATTENTION_H
#define CONDLORA_BACKENDS_KERNELS_ATTENTION_H

#include "backends/kernels/kernel.h"

/* `out` is that of cdl_attention_args, or d_out. */
bool attention_fits(const cdl_tensor *out, int32_t heads);

#endif
