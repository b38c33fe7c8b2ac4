/* The parameters of a dropout mask, read once per call. */
#ifndef CONDLORA_BACKENDS_CPU_DROPOUT_H
#define CONDLORA_BACKENDS_CPU_DROPOUT_H

#include "backends/cpu/device.h"

/* Sets all members except `example`, which is 0. */
cpu_mask cpu_mask_from(const cdl_dropout_mask *mask);

#endif
