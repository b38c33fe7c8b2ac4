#include "backends/cuda/api.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/trust.h"

cuda_functions cuda_api;
const cdl_host *cuda_host;

/* ---- Finding the libraries ---- */

enum { NEWEST_MAJOR = 13, OLDEST_MAJOR = 11 };

/* The folder of a toolkit that a package has not put on the loader's path. */
static const char usual_folder[] = "/usr/local/cuda/lib64";

/* Gives CDL_CUDA_LIBRARIES, or NULL. */
static cdl_status given_folder(const char **folder)
{
  *folder = secure_getenv("CDL_CUDA_LIBRARIES");
  if (*folder != NULL && **folder != '/')
    return cuda_host->fail(CDL_STATUS_ABSENT, "CDL_CUDA_LIBRARIES: '%s' is not an absolute path",
                           *folder);
  return CDL_STATUS_OK;
}

/* Opens the file if it exists and is trusted. Files on the loader's own path are the system's
 * responsibility. */
static void *open_in(const char *folder, const char *file)
{
  char path[PATH_MAX], resolved[PATH_MAX], reason[BASE_DISTRUST_BYTES];
  const int length = snprintf(path, sizeof path, "%s/%s", folder, file);
  if (length >= (int)sizeof path || access(path, F_OK) != 0)
    return NULL;
  if (base_trust(path, resolved, reason))
    return dlopen(resolved, RTLD_NOW | RTLD_LOCAL);
  cuda_host->log(CDL_LOG_NOTICE, "cuda: %s is not loaded: %s", path, reason);
  return NULL;
}

static void *open_file(const char *folder, const char *file)
{
  void *library = folder != NULL ? open_in(folder, file) : NULL;
  return library != NULL ? library : dlopen(file, RTLD_NOW | RTLD_LOCAL);
}

/* Tries "libcublas.so.12" and so on: a library of a later CUDA than the driver's does not start. */
static void *open_newest(const char *folder, const char *stem, int newest)
{
  void *library = NULL;
  for (int major = newest; library == NULL && major >= OLDEST_MAJOR; major--) {
    char file[64];
    snprintf(file, sizeof file, "%s.so.%d", stem, major);
    library = open_file(folder, file);
    if (library == NULL)
      library = open_in(usual_folder, file);
  }
  return library;
}

static cdl_status lacks(const char *file, const char *name, const char *advice)
{
  return cuda_host->fail(CDL_STATUS_ABSENT, "%s has no %s: %s", file, name, advice);
}

/* Stores each function of one library in cuda_api. */
#define FUNCTION(library, result, name, parameters) TAKE_##library(result, name, parameters)
#define TAKE(file, advice, name)                            \
  *(void **)(void *)&cuda_api.name = dlsym(library, #name); \
  if (cuda_api.name == NULL)                                \
    return lacks(file, #name, advice);
#define SKIP(result, name, parameters)

#define TAKE_cuda(result, name, parameters) \
  TAKE("libcuda.so.1", "the driver is too old, CUDA 11.4 (470) is the first that serves", name)
#define TAKE_cublas SKIP
#define TAKE_cusolver SKIP
static cdl_status take_driver(void *library)
{
#include "backends/cuda/api.def"
  return CDL_STATUS_OK;
}
#undef TAKE_cuda
#undef TAKE_cublas
#undef TAKE_cusolver

#define TAKE_cuda SKIP
#define TAKE_cublas(result, name, parameters) TAKE("libcublas", "it is too old", name)
#define TAKE_cusolver SKIP
static cdl_status take_blas(void *library)
{
#include "backends/cuda/api.def"
  return CDL_STATUS_OK;
}
#undef TAKE_cublas
#undef TAKE_cusolver

#define TAKE_cublas SKIP
#define TAKE_cusolver(result, name, parameters) TAKE("libcusolver", "it is too old", name)
static cdl_status take_solver(void *library)
{
#include "backends/cuda/api.def"
  return CDL_STATUS_OK;
}
#undef FUNCTION

/* ---- Opening them ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *driver, *blas, *solver; /* guarded by lock; not NULL: all functions are known */

static cdl_status open_driver(const char *folder)
{
  if (driver != NULL)
    return CDL_STATUS_OK;
  void *library = open_file(folder, "libcuda.so.1");
  if (library == NULL) {
    const char *reason = dlerror();
    return cuda_host->fail(CDL_STATUS_ABSENT, "no NVIDIA driver: %s",
                           reason != NULL ? reason : "libcuda.so.1 is missing");
  }
  const cdl_status status = take_driver(library);
  if (status == CDL_STATUS_OK)
    driver = library;
  else
    dlclose(library);
  return status;
}

static cdl_status open_library(const char *folder, const char *stem, const char *package,
                               int newest, int version, cdl_status (*take)(void *library),
                               void **opened)
{
  if (*opened != NULL)
    return CDL_STATUS_OK;
  const int driver_major = version / 1000;
  void *library = open_newest(folder, stem, newest);
  if (library == NULL)
    return cuda_host->fail(CDL_STATUS_ABSENT,
                           "%s.so of CUDA %d to %d is neither on the loader's path nor in %s "
                           "(NVIDIA's package %s-%d-%d has it)",
                           stem, OLDEST_MAJOR, driver_major, usual_folder, package, driver_major,
                           version % 1000 / 10);
  const cdl_status status = take(library);
  if (status == CDL_STATUS_OK)
    *opened = library;
  else
    dlclose(library);
  return status;
}

static int newest_of(int version)
{
  return version / 1000 < NEWEST_MAJOR ? version / 1000 : NEWEST_MAJOR;
}

static cdl_status start_driver(int *version)
{
  const CUresult answer = cuda_api.cuInit(0);
  if (answer == CUDA_ERROR_NO_DEVICE)
    return cuda_host->fail(CDL_STATUS_ABSENT,
                           "the NVIDIA driver sees no device (CUDA_ERROR_NO_DEVICE)");
  CDL_TRY(cuda_check("cuInit", answer));
  return CUDA_CALL(cuDriverGetVersion, version);
}

cdl_status cuda_api_open(int *version)
{
  const char *folder;
  CDL_TRY(given_folder(&folder));
  pthread_mutex_lock(&lock);
  cdl_status status = open_driver(folder);
  if (status == CDL_STATUS_OK)
    status = start_driver(version);
  if (status == CDL_STATUS_OK)
    status = open_library(folder, "libcublas", "libcublas", newest_of(*version), *version,
                          take_blas, &blas);
  pthread_mutex_unlock(&lock);
  return status;
}

cdl_status cuda_api_open_solver(int version)
{
  const char *folder;
  CDL_TRY(given_folder(&folder));
  pthread_mutex_lock(&lock);
  /* cuSOLVER's number is one behind from CUDA 12 on: libcusolver.so.11 belongs to CUDA 11 and
   * 12. */
  const int newest = newest_of(version) > OLDEST_MAJOR ? newest_of(version) - 1 : OLDEST_MAJOR;
  const cdl_status status =
      open_library(folder, "libcusolver", "libcusolver", newest, version, take_solver, &solver);
  pthread_mutex_unlock(&lock);
  return status;
}

void cuda_api_give(const cuda_functions *functions)
{
  pthread_mutex_lock(&lock);
  cuda_api = *functions;
  driver = blas = &cuda_api;
  pthread_mutex_unlock(&lock);
}

cdl_status cuda_blas_version(char text[32])
{
  int major, minor, patch;
  CDL_TRY(CUDA_BLAS_CALL(cublasGetProperty, MAJOR_VERSION, &major));
  CDL_TRY(CUDA_BLAS_CALL(cublasGetProperty, MINOR_VERSION, &minor));
  CDL_TRY(CUDA_BLAS_CALL(cublasGetProperty, PATCH_LEVEL, &patch));
  snprintf(text, 32, "%d.%d.%d", major, minor, patch);
  return CDL_STATUS_OK;
}

/* ---- Results ---- */

static cdl_status refuse(cdl_status status, const char *call, const char *name, int code)
{
  return cuda_host->fail(status, "%s: %s (%d)", call, name, code);
}

const char *cuda_error_name(CUresult code)
{
  const char *name = NULL;
  return cuda_api.cuGetErrorName(code, &name) == CUDA_SUCCESS && name != NULL
             ? name
             : "an error unknown to the driver";
}

cdl_status cuda_check(const char *call, CUresult answer)
{
  if (answer == CUDA_SUCCESS)
    return CDL_STATUS_OK;
  return refuse(answer == CUDA_ERROR_OUT_OF_MEMORY ? CDL_STATUS_MEMORY : CDL_STATUS_DEVICE, call,
                cuda_error_name(answer), answer);
}

bool cuda_warn(const char *call, CUresult answer)
{
  if (answer != CUDA_SUCCESS)
    cuda_host->log(CDL_LOG_WARNING, "cuda: %s: %s (%d)", call, cuda_error_name(answer), answer);
  return answer == CUDA_SUCCESS;
}

bool cuda_is_lasting(CUresult answer)
{
  switch (answer) {
  case CUDA_ERROR_ECC_UNCORRECTABLE:
  case CUDA_ERROR_ILLEGAL_ADDRESS:
  case CUDA_ERROR_LAUNCH_TIMEOUT:
  case CUDA_ERROR_ASSERT:
  case CUDA_ERROR_HARDWARE_STACK_ERROR:
  case CUDA_ERROR_ILLEGAL_INSTRUCTION:
  case CUDA_ERROR_MISALIGNED_ADDRESS:
  case CUDA_ERROR_INVALID_ADDRESS_SPACE:
  case CUDA_ERROR_INVALID_PC:
  case CUDA_ERROR_LAUNCH_FAILED:
    return true;
  default:
    return false;
  }
}

/* Searches the names of one library, because two libraries may use the same number. */
static const char *constant_name(const char *prefix, int code)
{
  static const struct {
    const char *name;
    int value;
  } constants[] = {
#define CONSTANT(name, value) {#name, value},
      CUDA_CONSTANTS(CONSTANT)
#undef CONSTANT
  };
  for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++)
    if (constants[i].value == code && strncmp(constants[i].name, prefix, strlen(prefix)) == 0)
      return constants[i].name;
  return "an error unknown to this version";
}

cdl_status cuda_check_blas(const char *call, cublasStatus_t answer)
{
  if (answer == CUBLAS_STATUS_SUCCESS)
    return CDL_STATUS_OK;
  return refuse(answer == CUBLAS_STATUS_ALLOC_FAILED ? CDL_STATUS_MEMORY : CDL_STATUS_DEVICE, call,
                constant_name("CUBLAS_STATUS", answer), answer);
}

cdl_status cuda_check_solver(const char *call, cusolverStatus_t answer)
{
  if (answer == CUSOLVER_STATUS_SUCCESS)
    return CDL_STATUS_OK;
  return refuse(answer == CUSOLVER_STATUS_ALLOC_FAILED ? CDL_STATUS_MEMORY : CDL_STATUS_DEVICE,
                call, constant_name("CUSOLVER_STATUS", answer), answer);
}
