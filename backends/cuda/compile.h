/* Kernels compiled on the machine that runs them, by NVRTC. */
#ifndef CONDLORA_BACKENDS_CUDA_COMPILE_H
#define CONDLORA_BACKENDS_CUDA_COMPILE_H

#include <stdbool.h>
#include <stddef.h>

#include "condlora/status.h"

enum { CUDA_COMPILED_WHAT_BYTES = 96 };

typedef struct {
  void *image;                         /* for cuModuleLoadData; the caller frees it */
  bool kept;                           /* it comes from the cache, and was not compiled now */
  char what[CUDA_COMPILED_WHAT_BYTES]; /* "machine code for sm_90 by NVRTC 12.4" */
} cuda_compiled;

/* Gives the kernels for a device of this compute capability under a driver of this version: machine
 * code if NVRTC knows the device, else PTX of the newest that it knows. They are kept in the cache;
 * `again` compiles them even if they are there. `why` says why the images of the build do not
 * serve; the notice before compiling and every error begin with it. Errors: ABSENT without NVRTC,
 * UNSUPPORTED, DEVICE with the compiler's log, MEMORY. */
CDL_MUST_USE cdl_status cuda_compile(int version, int capability, const char *why, bool again,
                                     cuda_compiled *compiled);

#endif
