#include "api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

opencl_api cl;
const cdl_host *opencl_host;

typedef struct {
  const char *file, *package;
  void *handle;
} library;

static library opencl = {"libOpenCL.so.1", "ocl-icd-libopencl1", NULL};
static library clblast = {"libclblast.so.1", "libclblast1", NULL};

static cdl_status open_library(library *l)
{
  if (l->handle == NULL)
    l->handle = dlopen(l->file, RTLD_NOW | RTLD_LOCAL);
  if (l->handle != NULL)
    return CDL_STATUS_OK;
  const char *reason = dlerror();
  return opencl_host->fail(CDL_STATUS_ABSENT, "%s (Debian's package %s has it)",
                           reason != NULL ? reason : l->file, l->package);
}

static cdl_status find(const library *l, const char *name, void *function)
{
  void **slot = function;
  *slot = dlsym(l->handle, name);
  return *slot != NULL
             ? CDL_STATUS_OK
             : opencl_host->fail(CDL_STATUS_ABSENT, "%s has no %s (Debian's package %s does)",
                                 l->file, name, l->package);
}

static cdl_status load(void)
{
  CDL_TRY(open_library(&opencl));
  CDL_TRY(open_library(&clblast));
#define FUNCTION(library, result, name, parameters) \
  CDL_TRY(find(&library, #name, (void *)&cl.name));
#include "api.def"
#undef FUNCTION
  return CDL_STATUS_OK;
}

cdl_status opencl_load(void)
{
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static bool loaded;
  pthread_mutex_lock(&lock);
  const cdl_status status = loaded ? CDL_STATUS_OK : load();
  loaded = status == CDL_STATUS_OK;
  pthread_mutex_unlock(&lock);
  return status;
}

const char *opencl_code_name(int code)
{
  switch (code) {
#define CODE(name, value) \
  case value:             \
    return #name;
#include "codes.def"
#undef CODE
  default:
    return NULL;
  }
}

cdl_status opencl_check(int code, const char *call)
{
  if (code == CL_SUCCESS)
    return CDL_STATUS_OK;
  const cdl_status status =
      code == CL_MEM_OBJECT_ALLOCATION_FAILURE || code == CL_OUT_OF_HOST_MEMORY ? CDL_STATUS_MEMORY
                                                                                : CDL_STATUS_DEVICE;
  const char *name = opencl_code_name(code);
  return name != NULL ? opencl_host->fail(status, "%s: %s", call, name)
                      : opencl_host->fail(status, "%s: code %d", call, code);
}
