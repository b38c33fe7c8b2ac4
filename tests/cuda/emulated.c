#include "tests/cuda/emulated.h"

#include <check.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

void *emulated_symbol(const char *name)
{
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/libcuda.so.1", getenv("CDL_CUDA_LIBRARIES"));
  void *opened = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  ck_assert_msg(opened != NULL, "%s", dlerror());
  void *symbol = dlsym(opened, name);
  ck_assert_msg(symbol != NULL, "%s", dlerror());
  return symbol;
}

void emulated_fail_at(const char *what, uint64_t k)
{
  void (*called)(const char *, uint64_t);
  *(void **)(void *)&called = emulated_symbol("emulator_fail_at");
  called(what, k);
}

void emulated_answer(const char *what, uint64_t k, int code, bool from_then_on)
{
  void (*called)(const char *, uint64_t, int, bool);
  *(void **)(void *)&called = emulated_symbol("emulator_answer");
  called(what, k, code, from_then_on);
}

int emulated_count(const char *name)
{
  int (*called)(void);
  *(void **)(void *)&called = emulated_symbol(name);
  return called();
}
