/* Devices: listing them, and opening one. */
#include "backends/cuda/device.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAME_BYTES = 128, LEAST_CAPABILITY = 80 };

/* ---- Choosing ---- */

cdl_status cuda_enumerate(int *count)
{
  int version;
  *count = 0;
  CDL_TRY(cuda_api_open(&version));
  return CUDA_CALL(cuDeviceGetCount, count);
}

static cdl_status name_of(int ordinal, CUdevice *id, char name[NAME_BYTES])
{
  CDL_TRY(CUDA_CALL(cuDeviceGet, id, ordinal));
  CDL_TRY(CUDA_CALL(cuDeviceGetName, name, NAME_BYTES, *id));
  name[NAME_BYTES - 1] = '\0';
  return CDL_STATUS_OK;
}

/* Chooses by a number, by part of a name in any case, or "" for the first. */
static cdl_status choose(const char *text, CUdevice *id, char name[NAME_BYTES])
{
  int count;
  CDL_TRY(CUDA_CALL(cuDeviceGetCount, &count));
  if (count <= 0)
    return cuda_host->fail(CDL_STATUS_ABSENT, "the NVIDIA driver counts no device");
  char *end;
  errno = 0;
  const long number = text[0] == '\0' ? 0 : strtol(text, &end, 10);
  if (text[0] == '\0' || (isdigit((unsigned char)text[0]) && *end == '\0' && errno == 0)) {
    if (number >= count)
      return cuda_host->fail(CDL_STATUS_ABSENT, "no device %s, only 0 to %d", text, count - 1);
    return name_of((int)number, id, name);
  }
  for (int i = 0; i < count; i++) {
    CDL_TRY(name_of(i, id, name));
    if (strcasestr(name, text) != NULL)
      return CDL_STATUS_OK;
  }
  return cuda_host->fail(CDL_STATUS_ABSENT, "none of the %d devices has '%s' in its name", count,
                         text);
}

static uint64_t now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- Opening ---- */

static const kernel_driver shared_driver;

static cdl_status attribute(CUdevice id, CUdevice_attribute which, int *value)
{
  return CUDA_CALL(cuDeviceGetAttribute, value, which, id);
}

static cdl_status capability_of(CUdevice id, const char *name, int *capability)
{
  int major, minor;
  CDL_TRY(attribute(id, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major));
  CDL_TRY(attribute(id, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor));
  *capability = 10 * major + minor;
  if (*capability < LEAST_CAPABILITY)
    return cuda_host->fail(CDL_STATUS_UNSUPPORTED,
                           "%s has compute capability %d.%d, 8.0 (Ampere) is the first that serves",
                           name, major, minor);
  return CDL_STATUS_OK;
}

static cdl_status describe(cuda_device *device, const char *name, int capability)
{
  static const char *const precisions[] = {"fp32", "tf32", "bf16"};
  size_t free_bytes, total_bytes;
  char blas[32];
  CDL_TRY(CUDA_DEVICE_CALL(device, cuMemGetInfo_v2, &free_bytes, &total_bytes));
  CDL_TRY(cuda_blas_version(blas));
  snprintf(device->description, sizeof device->description,
           "%s, sm_%d, %.1f GiB, driver of CUDA %d.%d, cuBLAS %s, %s", name, capability,
           (double)total_bytes / (1 << 30), device->version / 1000, device->version % 1000 / 10,
           blas, precisions[device->precision]);
  return CDL_STATUS_OK;
}

/* Runs with the context current. */
static cdl_status prepare(cuda_device *device, const char *name)
{
  int capability, processors, items;
  CDL_TRY(capability_of(device->id, name, &capability));
  CDL_TRY(attribute(device->id, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &processors));
  CDL_TRY(attribute(device->id, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, &items));
  /* The size that cuBLAS would take itself: 32 MiB from Hopper on, 4 MiB before. */
  device->workspace_bytes = capability >= 90 ? (size_t)32 << 20 : (size_t)4 << 20;
  const uint64_t start = now_ns();
  CDL_TRY(cuda_load_kernels(device, name, capability));
  device->compile_ns = now_ns() - start;
  const int resident = items / device->common.group_size;
  device->common.preferred_groups = (int64_t)processors * (resident > 1 ? resident : 1);
  return describe(device, name, capability);
}

static cdl_status wanted_precision(const cdl_open_options *options, cdl_precision *precision)
{
  *precision = options->struct_size >= offsetof(cdl_open_options, precision) + sizeof *precision
                   ? options->precision
                   : CDL_PRECISION_FP32;
  if ((unsigned)*precision > CDL_PRECISION_BF16)
    return cuda_host->fail(CDL_STATUS_UNSUPPORTED, "precision %d: it has fp32, tf32 and bf16",
                           (int)*precision);
  return CDL_STATUS_OK;
}

/* Says why a device lets no context be made on it, and which others there are. */
static cdl_status no_context(const cuda_device *device, const char *name, CUresult answer)
{
  int mode = 0, count = 1;
  char others[96] = "";
  (void)cuda_warn("cuDeviceGetAttribute", cuda_api.cuDeviceGetAttribute(
                                              &mode, CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, device->id));
  (void)cuda_warn("cuDeviceGetCount", cuda_api.cuDeviceGetCount(&count));
  if (count > 1)
    snprintf(others, sizeof others, "; the devices are cuda:0 to cuda:%d", count - 1);
  const char *why =
      mode == CU_COMPUTEMODE_PROHIBITED
          ? "its compute mode forbids every process (nvidia-smi -c DEFAULT allows them)"
      : answer == CUDA_ERROR_OUT_OF_MEMORY
          ? "other processes have left no memory on it (nvidia-smi lists them)"
      : mode == CU_COMPUTEMODE_EXCLUSIVE_PROCESS
          ? "another process uses it, and its compute mode takes one at a time (nvidia-smi lists "
            "them)"
          : "it lets no context be made";
  return cuda_host->fail(answer == CUDA_ERROR_OUT_OF_MEMORY ? CDL_STATUS_MEMORY : CDL_STATUS_DEVICE,
                         "device %d, %s, is not free: %s: cuDevicePrimaryCtxRetain: %s (%d)%s",
                         device->id, name, why, cuda_error_name(answer), answer, others);
}

static cdl_status open_device(cuda_device *device, const char *device_name,
                              const cdl_open_options *options)
{
  char name[NAME_BYTES];
  CDL_TRY(wanted_precision(options, &device->precision));
  CDL_TRY(cuda_api_open(&device->version));
  CDL_TRY(choose(device_name, &device->id, name));
  CUcontext context;
  const CUresult answer = cuda_api.cuDevicePrimaryCtxRetain(&context, device->id);
  if (answer != CUDA_SUCCESS)
    return no_context(device, name, answer);
  device->context = context;
  CDL_TRY(cuda_enter(device));
  return cuda_leave(device, prepare(device, name));
}

cdl_status cuda_open(const char *device_name, const cdl_open_options *options, void **device)
{
  cuda_device *opened = cuda_host->allocate(sizeof *opened, 64);
  if (opened == NULL)
    return cuda_host->fail(CDL_STATUS_MEMORY, "no host memory for a device");
  memset(opened, 0, sizeof *opened);
  opened->common = (kernel_device){.driver = &shared_driver, .has_f64 = true, .takes_bf16 = true};
  pthread_mutex_init(&opened->lock, NULL);
  const cdl_status status = open_device(opened, device_name, options);
  if (status != CDL_STATUS_OK) {
    cuda_close(opened);
    return status;
  }
  *device = opened;
  return CDL_STATUS_OK;
}

void cuda_close(void *given)
{
  cuda_device *device = given;
  if (device->context != NULL) {
    CUcontext popped;
    const bool pushed = CUDA_CALL_OR_WARN(cuCtxPushCurrent_v2, device->context);
    cuda_pool_destroy(device);
    if (device->module != NULL)
      CUDA_CALL_OR_WARN(cuModuleUnload, device->module);
    if (pushed)
      CUDA_CALL_OR_WARN(cuCtxPopCurrent_v2, &popped);
    CUDA_CALL_OR_WARN(cuDevicePrimaryCtxRelease_v2, device->id);
  }
  pthread_mutex_destroy(&device->lock);
  cuda_host->release(device);
}

const char *cuda_description(void *device)
{
  return ((cuda_device *)device)->description;
}

uint64_t cuda_compile_nanoseconds(void *device)
{
  return ((cuda_device *)device)->compile_ns;
}

bool cuda_supports(void *device, cdl_op op, const void *args)
{
  switch (op) {
  case CDL_OP_svd:
  case CDL_OP_lu_solve:
  case CDL_OP_lu_inverse:
  case CDL_OP_qr:
  case CDL_OP_eigh:
    return cuda_solver_supports(device);
  default:
    return kernel_supports(device, op, args);
  }
}

static const cdl_host *host_of_plugin(void)
{
  return cuda_host;
}

static const kernel_driver shared_driver = {
    .host = host_of_plugin,
    .launch = cuda_launch,
    .multiply = cuda_multiply,
    .takes_bias = cuda_takes_bias,
    .allocate = cuda_allocate,
    .release = cuda_free,
};
