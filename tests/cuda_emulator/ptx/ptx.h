/* An interpreter of PTX: the text that a compiler of CUDA C writes and that a driver loads. Kernels
 * run warp by warp, with checks that a GPU does not make; README.md of the emulator lists them.
 * One thread at a time, under the emulator's lock. */
#ifndef CONDLORA_TESTS_CUDA_EMULATOR_PTX_PTX_H
#define CONDLORA_TESTS_CUDA_EMULATOR_PTX_PTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/cuda_emulator/control.h"

#pragma GCC visibility push(default)

typedef struct ptx_module ptx_module;
typedef struct ptx_kernel ptx_kernel;

/* Whether an image is PTX, and not machine code. */
bool ptx_is_text(const void *image);
/* Reads the declarations of a module. NULL, and one line in `error`, where that fails. A text that
 * was read before gives the same module. Modules live as long as the process. */
ptx_module *ptx_module_read(const char *text, char *error, size_t error_bytes);
/* A kernel of the module, its instructions decoded: NULL where there is none of this name
 * (`error` is empty), or where something in it cannot be executed. */
ptx_kernel *ptx_kernel_find(ptx_module *module, const char *name, char *error, size_t error_bytes);

typedef struct {
  const char *name;
  int parameters;
  size_t parameter_bytes; /* all of them, each at its alignment */
  int max_threads;        /* of a block: .maxntid, or 1024 */
  size_t shared_bytes;    /* static */
  size_t local_bytes;     /* of each thread */
} ptx_facts;
ptx_facts ptx_kernel_facts(const ptx_kernel *kernel);
/* Where parameter i lies among the parameter bytes, and how long it is. */
size_t ptx_parameter_offset(const ptx_kernel *kernel, int i);
size_t ptx_parameter_bytes(const ptx_kernel *kernel, int i);

typedef struct {
  int64_t blocks[3];
  int threads[3];
  size_t dynamic_bytes; /* of shared memory */
  const void *parameters;
} ptx_launch;
/* Runs all blocks; false after a fault, which it has reported. */
bool ptx_run(ptx_kernel *kernel, const ptx_launch *launch);

#pragma GCC visibility pop
#endif
