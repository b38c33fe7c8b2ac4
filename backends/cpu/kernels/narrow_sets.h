/* The ways to multiply narrow operands that are compiled in; narrow_choose.c asks the processor. */
#ifndef CONDLORA_BACKENDS_CPU_KERNELS_NARROW_SETS_H
#define CONDLORA_BACKENDS_CPU_KERNELS_NARROW_SETS_H

#include "backends/cpu/kernels/narrow.h"

extern const cpu_narrow cpu_narrow_bf16_amx, cpu_narrow_bf16_avx512, cpu_narrow_bf16_emulated;
extern const cpu_narrow cpu_narrow_int8_amx, cpu_narrow_int8_avx512, cpu_narrow_int8_avxvnni,
    cpu_narrow_int8_avx2, cpu_narrow_int8_plain;

#endif
