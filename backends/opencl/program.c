/* The kernels as a program of the device: compiled, or taken from the cache. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "device.h"

static const unsigned char source[] = {
#include "kernels_source.inc"
};

enum { KEY_BYTES = 2048, OPTIONS_BYTES = 128 };

static void write_options(const opencl_device *device, char options[OPTIONS_BYTES])
{
  snprintf(options, OPTIONS_BYTES, "-DDIALECT_OPENCL -DGROUP_SIZE=%d%s", device->common.group_size,
           device->common.has_f64 ? " -DHAS_F64" : "");
}

/* All that a compiled program depends on. */
static void write_key(const opencl_device *device, const char *options, char key[KEY_BYTES])
{
  snprintf(key, KEY_BYTES,
           "source %016llx\noptions %s\ndevice %s\nversion %s\ndriver %s\n"
           "platform %s\nplatform version %s\n",
           (unsigned long long)opencl_hash(opencl_hash_start, source, sizeof source), options,
           device->name, device->version, device->driver, device->platform_name,
           device->platform_version);
}

/* ---- Compiling ---- */

static cdl_status build_failed(const opencl_device *device, cl_program program, cl_int code)
{
  size_t bytes = 0;
  char *log = NULL;
  if (cl.clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes) ==
      CL_SUCCESS)
    log = calloc(bytes + 1, 1);
  if (log != NULL)
    cl.clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, bytes, log, NULL);
  const char *name = opencl_code_name(code);
  const cdl_status status =
      opencl_host->fail(CDL_DEVICE, "clBuildProgram of the kernels: %s: %.600s",
                        name != NULL ? name : "unknown code", log != NULL ? log : "no log");
  free(log);
  return status;
}

static cdl_status compile(opencl_device *device, const char *options)
{
  const char *text = (const char *)source;
  const size_t length = sizeof source;
  cl_int code;
  device->program = cl.clCreateProgramWithSource(device->context, 1, &text, &length, &code);
  CDL_TRY(opencl_check(code, "clCreateProgramWithSource"));
  code = cl.clBuildProgram(device->program, 1, &device->id, options, NULL, NULL);
  return code == CL_SUCCESS ? CDL_OK : build_failed(device, device->program, code);
}

/* Some devices compile the rest only when asked for the binary. */
static void keep(const opencl_device *device, const char *key)
{
  size_t bytes = 0;
  if (cl.clGetProgramInfo(device->program, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, NULL) !=
          CL_SUCCESS ||
      bytes == 0)
    return;
  unsigned char *binary = malloc(bytes);
  if (binary == NULL)
    return;
  if (cl.clGetProgramInfo(device->program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) ==
      CL_SUCCESS)
    opencl_cache_write(key, binary, bytes);
  free(binary);
}

static bool take_kept(opencl_device *device, const char *key, const char *options)
{
  size_t bytes = 0;
  unsigned char *binary = opencl_cache_read(key, &bytes);
  if (binary == NULL)
    return false;
  const unsigned char *given = binary;
  cl_int of_device = CL_SUCCESS, code;
  device->program = cl.clCreateProgramWithBinary(device->context, 1, &device->id, &bytes, &given,
                                                 &of_device, &code);
  free(binary);
  if (code == CL_SUCCESS && of_device == CL_SUCCESS &&
      cl.clBuildProgram(device->program, 1, &device->id, options, NULL, NULL) == CL_SUCCESS)
    return true;
  opencl_host->log(CDL_LOG_DEBUG, "opencl: the driver refuses the kept kernels");
  if (device->program != NULL)
    cl.clReleaseProgram(device->program);
  device->program = NULL;
  return false;
}

static cdl_status create(opencl_device *device)
{
  char options[OPTIONS_BYTES], key[KEY_BYTES];
  write_options(device, options);
  write_key(device, options, key);
  if (take_kept(device, key, options))
    return CDL_OK;
  CDL_TRY(compile(device, options));
  keep(device, key);
  return CDL_OK;
}

/* ---- Whether its kernels can run ---- */

static cdl_status check_kernel(const opencl_device *device, const char *name, size_t *largest)
{
  cl_int code;
  cl_kernel kernel = cl.clCreateKernel(device->program, name, &code);
  if (code != CL_SUCCESS) {
    char call[96];
    snprintf(call, sizeof call, "clCreateKernel of %s", name);
    return opencl_check(code, call);
  }
  size_t group = 0;
  cl_ulong local = 0;
  code = cl.clGetKernelWorkGroupInfo(kernel, device->id, CL_KERNEL_WORK_GROUP_SIZE, sizeof group,
                                     &group, NULL);
  if (code == CL_SUCCESS)
    code = cl.clGetKernelWorkGroupInfo(kernel, device->id, CL_KERNEL_LOCAL_MEM_SIZE, sizeof local,
                                       &local, NULL);
  cl.clReleaseKernel(kernel);
  CDL_TRY(opencl_check(code, "clGetKernelWorkGroupInfo"));
  if (local > device->local_bytes)
    group = 0;
  if (group < *largest)
    *largest = group;
  return CDL_OK;
}

static cdl_status check_kernels(const opencl_device *device, size_t *largest)
{
  *largest = SIZE_MAX;
  for (int kernel = 0; kernel < KERNEL_COUNT; kernel++)
    CDL_TRY(check_kernel(device, kernel_list[kernel].name, largest));
  return CDL_OK;
}

/* A kernel's registers and local memory may leave less than the device's limit. */
static cdl_status create_fitting(opencl_device *device)
{
  for (;;) {
    size_t largest;
    CDL_TRY(create(device));
    CDL_TRY(check_kernels(device, &largest));
    if (largest >= (size_t)device->common.group_size)
      return CDL_OK;
    if (device->common.group_size == 1)
      return opencl_host->fail(CDL_ABSENT,
                               "device %s is too small for the kernels: %zu bytes of "
                               "local memory",
                               device->name, device->local_bytes);
    device->common.group_size /= 2;
    cl.clReleaseProgram(device->program);
    device->program = NULL;
  }
}

cdl_status opencl_program_create(opencl_device *device)
{
  const uint64_t start = opencl_now();
  const cdl_status status = create_fitting(device);
  device->compile_ns += opencl_now() - start;
  return status;
}
