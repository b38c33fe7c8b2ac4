/* Copies to shared memory that a thread has asked for and that have not arrived. */
#ifndef CONDLORA_TESTS_CUDA_EMULATOR_PTX_ASYNC_H
#define CONDLORA_TESTS_CUDA_EMULATOR_PTX_ASYNC_H

#include "tests/cuda_emulator/ptx/code.h"

typedef struct ptx_copy ptx_copy;

struct ptx_copies {
  ptx_copy *list; /* in the order of the calls */
  size_t count, capacity;
  uint64_t committed; /* groups */
};
/* A block of so many threads begins, or the launch ends: nothing is under way. */
void ptx_copies_forget(ptx_copies *copies, int threads);
void ptx_copies_free(ptx_copies *copies, int threads);

#endif
