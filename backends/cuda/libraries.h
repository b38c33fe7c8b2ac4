/* Where NVIDIA's libraries lie. They are searched
 *   1. in CDL_CUDA_LIBRARIES, one absolute path;
 *   2. on the loader's path;
 *   3. in lib64 of CUDA_HOME, of CUDA_PATH, of /usr/local/cuda and of /usr/local/cuda-*, the newest
 *      first;
 *   4. where pip and conda put them, below VIRTUAL_ENV, CONDA_PREFIX, ~/.local, /usr/local, /usr.
 * A file is opened only if it is trusted (base/trust.h). The loader's own path is the system's
 * responsibility. */
#ifndef CONDLORA_BACKENDS_CUDA_LIBRARIES_H
#define CONDLORA_BACKENDS_CUDA_LIBRARIES_H

#include <stddef.h>

#include "condlora/plugin.h"

enum { CUDA_LIBRARY_VERSIONS = 4, CUDA_LIBRARY_LOOKED_BYTES = 480 };

typedef struct {
  const char *stem;                            /* "libcublas" */
  const char *versions[CUDA_LIBRARY_VERSIONS]; /* "13", "12": in this order; NULL: no more */
  const char *pip_folder; /* "cublas": of nvidia/cublas/lib; NULL: only 1 and 2 are searched */
  const char
      *needs[4]; /* stems of libraries that it needs itself, each after its own; NULL: no more */
} cuda_library;

/* Opens the library, in the first place that has it. Otherwise returns NULL, and `looked` says
 * where it was looked for, and why a file that is there was not taken. */
void *cuda_library_open(const cdl_host *host, const cuda_library *library,
                        char looked[CUDA_LIBRARY_LOOKED_BYTES]);
/* Gives the path of a library that is open; "" if it is unknown. */
const char *cuda_library_path(void *opened);
/* Refuses CDL_CUDA_LIBRARIES if it is no absolute path. */
CDL_MUST_USE cdl_status cuda_libraries_check(const cdl_host *host);

#endif
