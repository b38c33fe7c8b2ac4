#include "backends/cuda/api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "backends/cuda/libraries.h"

cuda_functions cuda_api;
bool cuda_has_blas_lt;
const cdl_host *cuda_host;

/* ---- Taking their functions ---- */

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

#define TAKE_cublas SKIP
#define TAKE_cublasLt SKIP
#define TAKE_cusolver SKIP
#define TAKE_nvrtc SKIP
#define TAKE_nccl SKIP
#define TAKE_cuda(result, name, parameters) \
  TAKE("libcuda.so.1", "the driver is too old, CUDA 11.4 (470) is the first that serves", name)
static cdl_status take_driver(void *library)
{
#include "backends/cuda/api.def"
  return CDL_STATUS_OK;
}
#undef TAKE_cuda
#define TAKE_cuda SKIP

#undef TAKE_cublas
#define TAKE_cublas(result, name, parameters) TAKE("libcublas", "it is too old", name)
/* cuBLAS brings cublasLt with it; without all of it, nothing is computed by it. */
#undef TAKE_cublasLt
#define TAKE_cublasLt(result, name, parameters)             \
  *(void **)(void *)&cuda_api.name = dlsym(library, #name); \
  cuda_has_blas_lt = cuda_has_blas_lt && cuda_api.name != NULL;
static cdl_status take_blas(void *library)
{
  cuda_has_blas_lt = true;
#include "backends/cuda/api.def"
  return CDL_STATUS_OK;
}
#undef TAKE_cublas
#undef TAKE_cublasLt
#define TAKE_cublasLt SKIP
#define TAKE_cublas SKIP

#undef TAKE_cusolver
#define TAKE_cusolver(result, name, parameters) TAKE("libcusolver", "it is too old", name)
static cdl_status take_solver(void *library)
{
#include "backends/cuda/api.def"
  return CDL_STATUS_OK;
}
#undef TAKE_cusolver
#define TAKE_cusolver SKIP

#undef TAKE_nvrtc
#define TAKE_nvrtc(result, name, parameters) TAKE("libnvrtc", "it is too old", name)
static cdl_status take_compiler(void *library)
{
#include "backends/cuda/api.def"
  return CDL_STATUS_OK;
}
#undef TAKE_nvrtc
#define TAKE_nvrtc SKIP

#undef TAKE_nccl
#define TAKE_nccl(result, name, parameters) TAKE("libnccl.so.2", "it is too old", name)
static cdl_status take_groups(void *library)
{
#include "backends/cuda/api.def"
  return CDL_STATUS_OK;
}
#undef FUNCTION

/* ---- Opening them ---- */

enum { NEWEST_MAJOR = 13, OLDEST_MAJOR = 11 };

typedef enum { BLAS, SOLVER, COMPILER, LIBRARIES } library_id;

/* A library of a later CUDA than the driver's does not start, so a search begins with the driver's
 * version. Versions as each is numbered, for CUDA 13, 12 and 11. */
static const struct {
  cuda_library library;
  cdl_status (*take)(void *library);
  const char *package, *pip; /* NVIDIA's package, and pip's, which have it, without their ends */
} libraries[LIBRARIES] = {
    [BLAS] = {{"libcublas", {"13", "12", "11"}, "cublas", {"libcublasLt"}},
              take_blas,
              "libcublas",
              "cublas"},
    /* libcusolver.so.11 belongs to CUDA 11 and to CUDA 12. */
    [SOLVER] = {{"libcusolver",
                 {"12", "11", "11"},
                 "cusolver",
                 {"libcublasLt", "libcublas", "libnvJitLink", "libcusparse"}},
                take_solver,
                "libcusolver",
                "cusolver"},
    [COMPILER] = {{"libnvrtc", {"13", "12", "11.2"}, "cuda_nvrtc", {"libnvrtc-builtins"}},
                  take_compiler,
                  "cuda-nvrtc",
                  "cuda-nvrtc"},
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Guarded by lock. Not NULL: all its functions are known. */
static void *driver, *groups, *opened[LIBRARIES];

/* Takes the functions of a library that was found, and keeps it in *place or closes it. */
static cdl_status keep(void *found, cdl_status (*take)(void *library), void **place)
{
  const cdl_status status = take(found);
  if (status == CDL_STATUS_OK)
    *place = found;
  else
    dlclose(found);
  return status;
}

static cdl_status open_driver(void)
{
  static const cuda_library library = {"libcuda", {"1"}, NULL, {NULL}};
  char looked[CUDA_LIBRARY_LOOKED_BYTES];
  if (driver != NULL)
    return CDL_STATUS_OK;
  void *found = cuda_library_open(cuda_host, &library, looked);
  if (found == NULL)
    return cuda_host->fail(CDL_STATUS_ABSENT,
                           "no NVIDIA driver: libcuda.so.1 is missing; searched: %s", looked);
  return keep(found, take_driver, &driver);
}

/* pip's packages have the major version in their names up to CUDA 12. */
static const char *pip_suffix(int major)
{
  return major > 12 ? "" : major == 12 ? "-cu12" : "-cu11";
}

/* `why` begins the message, "" for none. */
static cdl_status open_library(library_id which, int version, const char *why)
{
  const int major = version / 1000;
  cuda_library library = libraries[which].library;
  char looked[CUDA_LIBRARY_LOOKED_BYTES];
  if (opened[which] != NULL)
    return CDL_STATUS_OK;
  for (int skipped = NEWEST_MAJOR; skipped > major && skipped > OLDEST_MAJOR; skipped--) {
    memmove(library.versions, library.versions + 1, sizeof library.versions - sizeof(char *));
    library.versions[CUDA_LIBRARY_VERSIONS - 1] = NULL;
  }
  void *found = cuda_library_open(cuda_host, &library, looked);
  if (found == NULL)
    return cuda_host->fail(
        CDL_STATUS_ABSENT,
        "%s%s%s.so of CUDA %d to %d is missing; NVIDIA's package %s-%d-%d has it, and pip's "
        "nvidia-%s%s; searched: %s",
        why, why[0] != '\0' ? "; NVRTC would compile them here, but " : "", library.stem,
        OLDEST_MAJOR, major, libraries[which].package, major, version % 1000 / 10,
        libraries[which].pip, pip_suffix(major), looked);
  return keep(found, libraries[which].take, &opened[which]);
}

static cdl_status start_driver(int *version)
{
  const CUresult answer = cuda_api.cuInit(0);
  if (answer != CUDA_SUCCESS)
    return cuda_no_start(answer, cuda_library_path(driver));
  return CUDA_CALL(cuDriverGetVersion, version);
}

cdl_status cuda_api_open(int *version)
{
  CDL_TRY(cuda_libraries_check(cuda_host));
  pthread_mutex_lock(&lock);
  cdl_status status = open_driver();
  if (status == CDL_STATUS_OK)
    status = start_driver(version);
  if (status == CDL_STATUS_OK)
    status = open_library(BLAS, *version, "");
  pthread_mutex_unlock(&lock);
  return status;
}

static cdl_status open_later(library_id which, int version, const char *why)
{
  CDL_TRY(cuda_libraries_check(cuda_host));
  pthread_mutex_lock(&lock);
  const cdl_status status = open_library(which, version, why);
  pthread_mutex_unlock(&lock);
  return status;
}

cdl_status cuda_api_open_solver(int version)
{
  return open_later(SOLVER, version, "");
}

/* The first whose gathers can be recorded. */
static cdl_status check_group_version(const char *file)
{
  enum { LEAST = 20906 };
  int version = 0;
  CDL_TRY(CUDA_GROUP_CALL(ncclGetVersion, &version));
  return version >= LEAST ? CDL_STATUS_OK
                          : cuda_host->fail(CDL_STATUS_ABSENT,
                                            "%s is NCCL of version code %d, 20906 (2.9.6) is the "
                                            "first that serves",
                                            file, version);
}

static cdl_status take_new_groups(void *library)
{
  CDL_TRY(take_groups(library));
  return check_group_version(cuda_library_path(library));
}

static cdl_status open_groups(void)
{
  static const cuda_library library = {"libnccl", {"2"}, "nccl", {NULL}};
  char looked[CUDA_LIBRARY_LOOKED_BYTES];
  if (groups != NULL)
    return CDL_STATUS_OK;
  void *found = cuda_library_open(cuda_host, &library, looked);
  if (found == NULL)
    return cuda_host->fail(CDL_STATUS_ABSENT,
                           "NCCL is missing: libnccl.so.2; NVIDIA's package libnccl2 has it, and "
                           "pip's nvidia-nccl-cu12; searched: %s",
                           looked);
  return keep(found, take_new_groups, &groups);
}

cdl_status cuda_api_open_groups(void)
{
  CDL_TRY(cuda_libraries_check(cuda_host));
  pthread_mutex_lock(&lock);
  const cdl_status status = open_groups();
  pthread_mutex_unlock(&lock);
  return status;
}

void cuda_api_give(const cuda_functions *functions)
{
  pthread_mutex_lock(&lock);
  cuda_api = *functions;
  cuda_has_blas_lt = functions->cublasLtMatmul != NULL;
  driver = opened[BLAS] = &cuda_api;
  pthread_mutex_unlock(&lock);
}

cdl_status cuda_api_open_compiler(int version, const char *why)
{
  return open_later(COMPILER, version, why);
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
