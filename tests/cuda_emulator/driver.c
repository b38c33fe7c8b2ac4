/* libcuda.so.1: the driver. */
#include <stdio.h>
#include <string.h>

#include "tests/cuda_emulator/emulator.h"

enum {
  MULTIPROCESSORS = 4,
  ITEMS_OF_MULTIPROCESSOR = 64,
  MAX_GROUPS_X = 0x7fffffff,
  MAX_GROUPS_YZ = 65535,
  BUFFER_ALIGNMENT = 16
};
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
  if (device == 0)
    snprintf(name, (size_t)bytes, "%s", device_name);
  else
    snprintf(name, (size_t)bytes, "%s, number %d", device_name, device);
  return check_device(device);
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
  ENTER_OR(CUDA_ERROR_UNKNOWN);
  *value = 0;
  switch (attribute) {
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
    *value = MULTIPROCESSORS;
    break;
  case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR:
    *value = ITEMS_OF_MULTIPROCESSOR;
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

/* ---- Modules and kernels ---- */

typedef struct {
  CUmodule module;
  const emulated_kernel *kernel;
} function_object;

/* The kernels are compiled in, whatever the image. */
CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
  ENTER_OR(CUDA_ERROR_OUT_OF_MEMORY);
  CHECK(context_check());
  CHECK(stream_check_no_capture());
  if (image == NULL)
    return CUDA_ERROR_INVALID_VALUE;
  CHECK(image_judge(image));
  *module = object_create(OBJECT_MODULE, 1, NULL);
  return CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule module)
{
  ENTER();
  if (object_find(OBJECT_MODULE, module) == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  const void *handle;
  size_t place = 0;
  for (function_object *each; (each = object_next(OBJECT_FUNCTION, &place, &handle)) != NULL;)
    if (each->module == module)
      object_destroy(OBJECT_FUNCTION, handle);
  object_destroy(OBJECT_MODULE, module);
  return this_call.fails ? CUDA_ERROR_UNKNOWN : emulator_fault_code();
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
  ENTER_OR(CUDA_ERROR_NOT_FOUND);
  CHECK(context_check());
  if (object_find(OBJECT_MODULE, module) == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  for (int i = 0; i < emulated_kernel_count; i++)
    if (emulated_kernels[i].in_image && strcmp(emulated_kernels[i].name, name) == 0) {
      function_object *made;
      *function = object_create(OBJECT_FUNCTION, sizeof *made, (void **)&made);
      *made = (function_object){module, &emulated_kernels[i]};
      return CUDA_SUCCESS;
    }
  return CUDA_ERROR_NOT_FOUND;
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function)
{
  ENTER_OR(CUDA_ERROR_UNKNOWN);
  CHECK(context_check());
  const function_object *found = object_find(OBJECT_FUNCTION, function);
  if (found == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  if (attribute != CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK) {
    emulator_violation("cuFuncGetAttribute: attribute %d is not emulated", attribute);
    return CUDA_ERROR_INVALID_VALUE;
  }
  *value = kernel_group_size(found->kernel);
  return CUDA_SUCCESS;
}

typedef struct {
  const emulated_kernel *kernel;
  int64_t groups[3];
  CUdeviceptr buffers[EMULATOR_MAX_BUFFERS];
  _Alignas(16) unsigned char parameters[];
} launch_payload;

static void run_launch(work *item)
{
  const launch_payload *launch = (const void *)item->payload;
  void *views[EMULATOR_MAX_BUFFERS] = {NULL};
  emulator_note_launch();
  for (int i = 0; i < launch->kernel->buffers; i++) {
    if (launch->buffers[i] == 0)
      continue;
    views[i] = memory_view(launch->buffers[i], 0, launch->kernel->name);
    if (views[i] == NULL) {
      emulator_fault(CUDA_ERROR_ILLEGAL_ADDRESS);
      return;
    }
    if (launch->buffers[i] % BUFFER_ALIGNMENT != 0)
      emulator_violation("kernel %s: buffer %d at %#llx is not aligned", launch->kernel->name, i,
                         launch->buffers[i]);
  }
  launch_run(launch->kernel, launch->groups, views, launch->parameters);
}

static work *launch_work(const emulated_kernel *kernel, const unsigned groups[3], void **parameters)
{
  work *item =
      work_create(kernel->name, sizeof(launch_payload) + kernel->parameter_bytes, run_launch);
  launch_payload *launch = (void *)item->payload;
  launch->kernel = kernel;
  for (int i = 0; i < 3; i++)
    launch->groups[i] = groups[i];
  for (int i = 0; i < kernel->buffers; i++)
    memcpy(&launch->buffers[i], parameters[i], sizeof launch->buffers[i]);
  memcpy(launch->parameters, parameters[kernel->buffers], kernel->parameter_bytes);
  return item;
}

CUresult cuLaunchKernel(CUfunction function, unsigned int groups_x, unsigned int groups_y,
                        unsigned int groups_z, unsigned int items_x, unsigned int items_y,
                        unsigned int items_z, unsigned int shared_bytes, CUstream handle,
                        void **parameters, void **extra)
{
  ENTER_OR(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
  CHECK(context_check());
  const function_object *found = object_find(OBJECT_FUNCTION, function);
  stream *target = stream_find(handle);
  if (found == NULL || target == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  if (groups_x == 0 || groups_y == 0 || groups_z == 0 || groups_x > MAX_GROUPS_X ||
      groups_y > MAX_GROUPS_YZ || groups_z > MAX_GROUPS_YZ) {
    emulator_violation("cuLaunchKernel: %s on %u x %u x %u groups", found->kernel->name, groups_x,
                       groups_y, groups_z);
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (items_x != (unsigned)kernel_group_size(found->kernel) || items_y != 1 || items_z != 1 ||
      shared_bytes != 0 || parameters == NULL || extra != NULL) {
    emulator_violation("cuLaunchKernel: %s by %u x %u x %u work-items with %u bytes",
                       found->kernel->name, items_x, items_y, items_z, shared_bytes);
    return CUDA_ERROR_INVALID_VALUE;
  }
  const unsigned groups[3] = {groups_x, groups_y, groups_z};
  return stream_enqueue(target, launch_work(found->kernel, groups, parameters));
}
