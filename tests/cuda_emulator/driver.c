/* libcuda.so.1: the driver. */
#include <stdio.h>
#include <string.h>

#include "tests/cuda_emulator/emulator.h"

static const char device_name[] = "condlora CUDA emulator";

/* ---- Device and context ---- */

CUresult cuInit(unsigned int flags)
{
  ENTER_OR(CUDA_ERROR_NO_DEVICE);
  if (flags != 0)
    return CUDA_ERROR_INVALID_VALUE;
  if (setting_devices() == 0)
    return CUDA_ERROR_NO_DEVICE;
  context_initialize();
  return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version)
{
  ENTER_OR(CUDA_ERROR_UNKNOWN);
  *version = setting_driver();
  return CUDA_SUCCESS;
}

static const struct {
  CUresult code;
  const char *name;
} error_names[] = {
#define CUDA_CONSTANT(name, value) {value, #name},
    CUDA_CONSTANTS(CUDA_CONSTANT) CUDA_NEWER_CONSTANTS(CUDA_CONSTANT)
#undef CUDA_CONSTANT
        {ERROR_ILLEGAL_STATE, "CUDA_ERROR_ILLEGAL_STATE"},
    {ERROR_CAPTURED_EVENT, "CUDA_ERROR_CAPTURED_EVENT"},
    {ERROR_CAPTURE_WRONG_THREAD, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD"},
};

/* Other constants than errors have the same numbers. */
static bool is_error_name(const char *name)
{
  return strncmp(name, "CUDA_ERROR_", 11) == 0 || strcmp(name, "CUDA_SUCCESS") == 0;
}

CUresult cuGetErrorName(CUresult code, const char **name)
{
  ENTER();
  *name = NULL;
  for (size_t i = 0; !this_call.fails && i < sizeof error_names / sizeof error_names[0]; i++)
    if (error_names[i].code == code && is_error_name(error_names[i].name)) {
      *name = error_names[i].name;
      return CUDA_SUCCESS;
    }
  return CUDA_ERROR_INVALID_VALUE;
}

static CUresult check_device(CUdevice device)
{
  CHECK(context_check_initialized());
  return device < 0 || device >= setting_devices() ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count)
{
  ENTER_OR(CUDA_ERROR_UNKNOWN);
  *count = setting_devices();
  return check_device(0);
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
  ENTER_OR(CUDA_ERROR_INVALID_DEVICE);
  *device = ordinal;
  return check_device(ordinal);
}

CUresult cuDeviceGetName(char *name, int bytes, CUdevice device)
{
  ENTER_OR(CUDA_ERROR_UNKNOWN);
  if (bytes <= 0)
    return CUDA_ERROR_INVALID_VALUE;
  if (device == 0 || setting_devices_are_alike())
    snprintf(name, (size_t)bytes, "%s", device_name);
  else
    snprintf(name, (size_t)bytes, "%s, number %d", device_name, device);
  return check_device(device);
}

CUresult cuDeviceGetPCIBusId(char *name, int bytes, CUdevice device)
{
  ENTER_OR(CUDA_ERROR_UNKNOWN);
  if (snprintf(name, (size_t)bytes, "0000:%02x:00.0", device) >= bytes)
    return CUDA_ERROR_INVALID_VALUE;
  return check_device(device);
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
  ENTER_OR(CUDA_ERROR_UNKNOWN);
  *value = 0;
  switch (attribute) {
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
    *value = setting_multiprocessors();
    break;
  case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR:
    *value = setting_items();
    break;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_MODE:
    *value = setting_compute_mode();
    break;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
    *value = setting_capability() / 10;
    break;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
    *value = setting_capability() % 10;
    break;
  default:
    emulator_violation("cuDeviceGetAttribute: attribute %d is not emulated", attribute);
    return CUDA_ERROR_INVALID_VALUE;
  }
  return check_device(device);
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *retained, CUdevice device)
{
  ENTER_OR(CUDA_ERROR_OUT_OF_MEMORY);
  CHECK(check_device(device));
  if (setting_compute_mode() == CU_COMPUTEMODE_PROHIBITED)
    return CUDA_ERROR_DEVICE_UNAVAILABLE;
  *retained = context_retain(device);
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
  ENTER();
  CHECK(check_device(device));
  CHECK(context_release(device));
  return this_call.fails ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext pushed)
{
  ENTER_OR(CUDA_ERROR_INVALID_CONTEXT);
  return context_push(pushed);
}

CUresult cuCtxPopCurrent_v2(CUcontext *popped)
{
  ENTER();
  CUcontext context;
  CHECK(context_pop(&context));
  if (popped != NULL)
    *popped = context;
  return this_call.fails ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

/* NVIDIA's own NVRTC, where a test compiles with it, asks every driver of its process for a table
 * of functions that no header describes. A table begins with its bytes; this one has no functions.
 */
EMULATOR_EXPORT CUresult cuGetExportTable(const void **table, const void *id);
CUresult cuGetExportTable(const void **table, const void *id)
{
  static const size_t empty[8] = {sizeof(size_t)};
  (void)id;
  *table = empty;
  return CUDA_SUCCESS;
}
