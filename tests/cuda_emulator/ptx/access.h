/* What loads and stores, and the copies between spaces, need. */
#ifndef CONDLORA_TESTS_CUDA_EMULATOR_PTX_ACCESS_H
#define CONDLORA_TESTS_CUDA_EMULATOR_PTX_ACCESS_H

#include "tests/cuda_emulator/ptx/code.h"

/* The address that a lane accesses: a register, or a constant, and the instruction's offset. */
uint64_t ptx_address(const ptx_warp *warp, const ptx_instruction *in, uint32_t operand, int lane);
/* Where it lies, and in which space: NULL, and a violation, where it is nowhere or misaligned. */
char *ptx_find(ptx_warp *warp, const ptx_instruction *in, int lane, uint64_t address, size_t bytes,
               ptx_space *space);
void ptx_count_global(ptx_block *block, uint32_t mask, const uint64_t *addresses, size_t bytes,
                      bool writes);
void ptx_count_shared(ptx_block *block, uint32_t mask, char *const *places, size_t bytes,
                      bool writes);

#endif
