/* The collectives of a warp, as kernels compiled for the CPU call them: see the kernels' warp.h. */
#ifndef CONDLORA_TESTS_CUDA_EMULATOR_WARP_H
#define CONDLORA_TESTS_CUDA_EMULATOR_WARP_H

#include <stdint.h>

#include "tests/cuda_emulator/kernel_list.h"

#pragma GCC visibility push(default)

void *dialect_warp_memory(int bytes);
void dialect_mma(float (*d)[4], const uint32_t *a, const void *row, int transposed);
void dialect_mma_registers(float *d, const uint32_t *a, const uint32_t *b);
void dialect_ldmatrix(uint32_t *r, const void *row, int transposed);
void dialect_copy_async(void *local, const void *global, int bytes);
void dialect_copy_commit(void);
void dialect_copy_wait(int groups);
uint32_t dialect_warp_from(uint32_t x, int lane);

#pragma GCC visibility pop

#endif
