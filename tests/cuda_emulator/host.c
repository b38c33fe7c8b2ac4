#include <dlfcn.h>
#include <stdlib.h>

#include "tests/cuda_emulator/emulator.h"

/* OpenBLAS reads the environment once, while it is loaded; its own threads are of no use here. */
static void *open_openblas(void)
{
  static const char variable[] = "OPENBLAS_NUM_THREADS";
  const bool set = getenv(variable) == NULL && setenv(variable, "1", 1) == 0;
  void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (set)
    unsetenv(variable);
  return library;
}

const host_libraries *host_libraries_find(void)
{
  static host_libraries found;
  static bool complete;
  if (complete)
    return &found;
  void *openblas = open_openblas(), *lapacke = dlopen("liblapacke.so.3", RTLD_NOW | RTLD_LOCAL);
  complete = openblas != NULL && lapacke != NULL;
#define HOST_FUNCTION(library, result, name, parameters)   \
  if (complete) {                                          \
    *(void **)(void *)&found.name = dlsym(library, #name); \
    complete = found.name != NULL;                         \
  }
#include "tests/cuda_emulator/host.def"
#undef HOST_FUNCTION
  if (!complete) {
    emulator_violation("libopenblas.so.0 or liblapacke.so.3 cannot be used: %s", dlerror());
    return NULL;
  }
  found.openblas_set_num_threads(1);
  return &found;
}
