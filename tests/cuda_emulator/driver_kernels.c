/* libcuda.so.1: modules, kernels and launches. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/ptx/ptx.h"

enum { MAX_GROUPS_X = 0x7fffffff, MAX_GROUPS_YZ = 65535, BUFFER_ALIGNMENT = 16 };

/* ---- Modules ---- */

typedef struct {
  ptx_module *ptx; /* NULL: the kernels that are compiled in */
} module_object;

/* The file that takes the place of machine code: NULL, and a violation, where it cannot be read. */
static char *read_file(const char *path)
{
  FILE *file = fopen(path, "rb");
  char *text = NULL;
  size_t length = 0;
  if (file != NULL && fseek(file, 0, SEEK_END) == 0 && ftell(file) >= 0) {
    const size_t bytes = (size_t)ftell(file);
    rewind(file);
    text = malloc(bytes + 1);
    length = text != NULL ? fread(text, 1, bytes, file) : 0;
  }
  if (file != NULL)
    fclose(file);
  if (text == NULL)
    emulator_violation("CUDA_EMULATOR_PTX: %s cannot be read", path);
  else
    text[length] = '\0';
  return text;
}

/* Machine code and what the emulated NVRTC made are not PTX; the named file takes their place. */
static bool is_ptx(const void *image)
{
  return ptx_is_text(image) && strncmp(image, emulated_image, strlen(emulated_image)) != 0;
}

static CUresult read_ptx(const void *image, ptx_module **module)
{
  char error[512], *replacement = NULL;
  const char *path = getenv("CUDA_EMULATOR_PTX");
  if (!is_ptx(image)) {
    replacement = path != NULL ? read_file(path) : NULL;
    if (replacement == NULL)
      return CUDA_ERROR_NO_BINARY_FOR_GPU;
  }
  *module = ptx_module_read(replacement != NULL ? replacement : image, error, sizeof error);
  free(replacement);
  if (*module != NULL)
    return CUDA_SUCCESS;
  emulator_violation("cuModuleLoadData: %s", error);
  return CUDA_ERROR_INVALID_PTX;
}

CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
  ENTER_OR(CUDA_ERROR_OUT_OF_MEMORY);
  CHECK(context_check());
  CHECK(stream_check_no_capture());
  if (image == NULL)
    return CUDA_ERROR_INVALID_VALUE;
  CHECK(image_judge(image));
  ptx_module *ptx = NULL;
  if (setting_runs_ptx())
    CHECK(read_ptx(image, &ptx));
  module_object *made;
  *module = object_create(OBJECT_MODULE, sizeof *made, (void **)&made);
  made->ptx = ptx;
  return CUDA_SUCCESS;
}

/* Without PTX, `ptx` is NULL; with it, `kernel` is the host's entry of the same name, if there is
 * one. */
typedef struct {
  CUmodule module;
  const emulated_kernel *kernel;
  ptx_kernel *ptx;
} function_object;

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

static const emulated_kernel *find_compiled(const char *name)
{
  for (int i = 0; i < emulated_kernel_count; i++)
    if (emulated_kernels[i].in_image && strcmp(emulated_kernels[i].name, name) == 0)
      return &emulated_kernels[i];
  return NULL;
}

/* The compiler of the device and that of the host have laid out the parameters alike. */
static void compare_parameters(const emulated_kernel *host, const ptx_kernel *ptx)
{
  const ptx_facts facts = ptx_kernel_facts(ptx);
  const int last = facts.parameters - 1;
  if (facts.parameters != host->buffers + 1)
    emulator_violation("kernel %s: %d parameters in PTX, %d on the host", host->name,
                       facts.parameters, host->buffers + 1);
  else if (ptx_parameter_bytes(ptx, last) != host->parameter_bytes)
    emulator_violation("kernel %s: the last parameter has %zu bytes in PTX, %zu on the host",
                       host->name, ptx_parameter_bytes(ptx, last), host->parameter_bytes);
}

static CUresult find_ptx(ptx_module *module, const char *name, function_object *found)
{
  char error[512];
  found->ptx = ptx_kernel_find(module, name, error, sizeof error);
  if (found->ptx == NULL && error[0] == '\0')
    return CUDA_ERROR_NOT_FOUND;
  if (found->ptx == NULL) {
    emulator_violation("cuModuleGetFunction: %s", error);
    return CUDA_ERROR_INVALID_PTX;
  }
  if (found->kernel != NULL)
    compare_parameters(found->kernel, found->ptx);
  return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
  ENTER_OR(CUDA_ERROR_NOT_FOUND);
  CHECK(context_check());
  const module_object *within = object_find(OBJECT_MODULE, module);
  if (within == NULL)
    return CUDA_ERROR_INVALID_HANDLE;
  function_object found = {.module = module, .kernel = find_compiled(name)};
  if (within->ptx != NULL)
    CHECK(find_ptx(within->ptx, name, &found));
  else if (found.kernel == NULL)
    return CUDA_ERROR_NOT_FOUND;
  function_object *made;
  *function = object_create(OBJECT_FUNCTION, sizeof *made, (void **)&made);
  *made = found;
  return CUDA_SUCCESS;
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
  *value = found->ptx != NULL ? ptx_kernel_facts(found->ptx).max_threads
                              : kernel_group_size(found->kernel);
  return CUDA_SUCCESS;
}

/* ---- Launches ---- */

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

typedef struct {
  ptx_kernel *kernel;
  ptx_launch launch;
  _Alignas(16) unsigned char parameters[];
} ptx_payload;

static void run_ptx_launch(work *item)
{
  ptx_payload *payload = (void *)item->payload;
  payload->launch.parameters = payload->parameters;
  emulator_note_launch();
  ptx_run(payload->kernel, &payload->launch);
}

static work *ptx_launch_work(ptx_kernel *kernel, const ptx_launch *launch, void **parameters)
{
  const ptx_facts facts = ptx_kernel_facts(kernel);
  work *item = work_create(facts.name, sizeof(ptx_payload) + facts.parameter_bytes, run_ptx_launch);
  ptx_payload *payload = (void *)item->payload;
  payload->kernel = kernel;
  payload->launch = *launch;
  for (int i = 0; i < facts.parameters; i++)
    memcpy(payload->parameters + ptx_parameter_offset(kernel, i), parameters[i],
           ptx_parameter_bytes(kernel, i));
  return item;
}

static const char *name_of(const function_object *function)
{
  return function->ptx != NULL ? ptx_kernel_facts(function->ptx).name : function->kernel->name;
}

static bool has_extents(const function_object *function, const unsigned groups[3],
                        const unsigned items[3], size_t shared_bytes)
{
  if (groups[0] == 0 || groups[1] == 0 || groups[2] == 0 || groups[0] > MAX_GROUPS_X ||
      groups[1] > MAX_GROUPS_YZ || groups[2] > MAX_GROUPS_YZ) {
    emulator_violation("cuLaunchKernel: %s on %u x %u x %u groups", name_of(function), groups[0],
                       groups[1], groups[2]);
    return false;
  }
  const uint64_t all = (uint64_t)items[0] * items[1] * items[2];
  const bool fits = function->ptx != NULL
                        ? all > 0 && all <= (uint64_t)ptx_kernel_facts(function->ptx).max_threads
                        : all == (uint64_t)kernel_group_size(function->kernel) && items[1] == 1 &&
                              items[2] == 1 && shared_bytes == 0;
  if (!fits)
    emulator_violation("cuLaunchKernel: %s by %u x %u x %u work-items with %zu bytes",
                       name_of(function), items[0], items[1], items[2], shared_bytes);
  return fits;
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
  const unsigned groups[3] = {groups_x, groups_y, groups_z};
  const unsigned items[3] = {items_x, items_y, items_z};
  if (!has_extents(found, groups, items, shared_bytes))
    return CUDA_ERROR_INVALID_VALUE;
  if (parameters == NULL || extra != NULL) {
    emulator_violation("cuLaunchKernel: %s without an array of parameters", name_of(found));
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (found->ptx == NULL)
    return stream_enqueue(target, launch_work(found->kernel, groups, parameters));
  const ptx_launch launch = {.blocks = {groups_x, groups_y, groups_z},
                             .threads = {(int)items_x, (int)items_y, (int)items_z},
                             .dynamic_bytes = shared_bytes};
  return stream_enqueue(target, ptx_launch_work(found->ptx, &launch, parameters));
}
