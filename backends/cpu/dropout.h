/* What an op needs of a dropout mask, read once a call. */
#ifndef CONDLORA_BACKENDS_CPU_DROPOUT_H
#define CONDLORA_BACKENDS_CPU_DROPOUT_H

#include "backends/cpu/device.h"

/* `example` is left 0. */
cpu_mask cpu_mask_from(const cdl_dropout_mask *mask);

#endif
