/* The kernels as programs of the device. Each is made when one of its kernels is first needed:
 * compiled, or taken from the cache. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kernels/cache.h"
#include "base/dispositions.h"
#include "base/hash.h"
#include "device.h"

static const struct {
  const char *name;
  const unsigned char *text;
  size_t bytes;
} files[] = {
#include "kernels_source.inc"
};

enum { FILE_COUNT = sizeof files / sizeof files[0], KEY_BYTES = 2048, OPTIONS_BYTES = 160 };

static const struct {
  const char *name, *files, *options;
} programs[] = {
#define KERNEL_PROGRAM(name, files, options, backends) {#name, files, options},
#include "backends/kernels/programs.def"
#undef KERNEL_PROGRAM
};

/* The text of a program: every header, then the files that its list names. */
typedef struct {
  const char *text[FILE_COUNT];
  size_t bytes[FILE_COUNT];
  cl_uint count;
} source;

static bool lists(const char *list, const char *name)
{
  const size_t length = strlen(name);
  for (const char *at = list; (at = strstr(at, name)) != NULL; at += length)
    if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
      return true;
  return false;
}

static source source_of(kernel_program program)
{
  source s = {.count = 0};
  for (int i = 0; i < FILE_COUNT; i++) {
    const char *name = files[i].name;
    const bool header = strcmp(name + strlen(name) - 2, ".h") == 0;
    if (header || lists(programs[program].files, name)) {
      s.text[s.count] = (const char *)files[i].text;
      s.bytes[s.count++] = files[i].bytes;
    }
  }
  return s;
}

static void write_options(const opencl_device *device, kernel_program program,
                          char options[OPTIONS_BYTES])
{
  snprintf(options, OPTIONS_BYTES, "-DDIALECT_OPENCL -DGROUP_SIZE=%d%s %s",
           device->common.group_size, device->common.has_f64 ? " -DHAS_F64" : "",
           programs[program].options);
}

/* Writes everything that a compiled program depends on. */
static void write_key(const opencl_device *device, const source *s, const char *options,
                      char key[KEY_BYTES])
{
  uint64_t hash = BASE_FNV_START;
  for (cl_uint i = 0; i < s->count; i++)
    hash = base_fnv(hash, s->text[i], s->bytes[i]);
  snprintf(key, KEY_BYTES,
           "source %016llx\noptions %s\ndevice %s\nversion %s\ndriver %s\n"
           "platform %s\nplatform version %s\n",
           (unsigned long long)hash, options, device->name, device->version, device->driver,
           device->platform_name, device->platform_version);
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
      opencl_host->fail(CDL_STATUS_DEVICE, "clBuildProgram of the kernels: %s: %.600s",
                        name != NULL ? name : "unknown code", log != NULL ? log : "no log");
  free(log);
  return status;
}

static cdl_status compile(const opencl_device *device, const source *s, const char *options,
                          cl_program *program)
{
  const char *text[FILE_COUNT];
  cl_int code;
  memcpy(text, s->text, sizeof text);
  *program = cl.clCreateProgramWithSource(device->context, s->count, text, s->bytes, &code);
  CDL_TRY(opencl_check(code, "clCreateProgramWithSource"));
  code = cl.clBuildProgram(*program, 1, &device->id, options, NULL, NULL);
  if (code == CL_SUCCESS)
    return CDL_STATUS_OK;
  const cdl_status status = build_failed(device, *program, code);
  cl.clReleaseProgram(*program);
  return status;
}

/* Drivers for CPUs compile a kernel when it is launched and keep the result themselves. If they are
 * asked for a binary, they compile every possible launch, which takes longer than everything else
 * together. So their programs are kept only if the user has named a folder; others are always
 * kept. */
static void keep(const opencl_device *device, cl_program program, const char *key)
{
  size_t bytes = 0;
  if (device->common.is_cpu && !kernel_cache_chosen())
    return;
  if (cl.clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, NULL) !=
          CL_SUCCESS ||
      bytes == 0)
    return;
  unsigned char *binary = malloc(bytes);
  if (binary == NULL)
    return;
  if (cl.clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) == CL_SUCCESS)
    kernel_cache_write(&(kernel_cache){opencl_host, "opencl"}, key, binary, bytes);
  free(binary);
}

static bool take_kept(const opencl_device *device, const char *key, const char *options,
                      cl_program *program)
{
  size_t bytes = 0;
  unsigned char *binary = kernel_cache_read(&(kernel_cache){opencl_host, "opencl"}, key, &bytes);
  if (binary == NULL)
    return false;
  const unsigned char *given = binary;
  cl_int of_device = CL_SUCCESS, code;
  *program = cl.clCreateProgramWithBinary(device->context, 1, &device->id, &bytes, &given,
                                          &of_device, &code);
  free(binary);
  if (code == CL_SUCCESS && of_device == CL_SUCCESS &&
      cl.clBuildProgram(*program, 1, &device->id, options, NULL, NULL) == CL_SUCCESS)
    return true;
  opencl_host->log(CDL_LOG_DEBUG, "opencl: the driver refuses the kept kernels");
  if (*program != NULL)
    cl.clReleaseProgram(*program);
  return false;
}

static cdl_status create(opencl_device *device, kernel_program which)
{
  const uint64_t start = opencl_now();
  const source s = source_of(which);
  char options[OPTIONS_BYTES], key[KEY_BYTES];
  cl_program program = NULL;
  cdl_status status = CDL_STATUS_OK;
  write_options(device, which, options);
  write_key(device, &s, options, key);
  base_dispositions kept;
  base_dispositions_keep(&kept);
  if (!take_kept(device, key, options, &program)) {
    status = compile(device, &s, options, &program);
    if (status == CDL_STATUS_OK)
      keep(device, program, key);
  }
  base_dispositions_restore(&kept);
  const uint64_t spent = opencl_now() - start;
  device->compile_ns += spent;
  CDL_TRY(status);
  opencl_host->log(CDL_LOG_DEBUG, "opencl: program %s ready after %.3f s", programs[which].name,
                   (double)spent * 1e-9);
  device->programs[which] = program;
  return CDL_STATUS_OK;
}

cdl_status opencl_kernel_create(opencl_device *device, kernel_id which, cl_kernel *kernel)
{
  const kernel_info *info = &kernel_list[which];
  *kernel = NULL;
  pthread_mutex_lock(&device->program_lock);
  const cdl_status status =
      device->programs[info->program] == NULL ? create(device, info->program) : CDL_STATUS_OK;
  const cl_program program = device->programs[info->program];
  pthread_mutex_unlock(&device->program_lock);
  CDL_TRY(status);
  cl_int code;
  *kernel = cl.clCreateKernel(program, info->name, &code);
  if (code == CL_SUCCESS)
    return CDL_STATUS_OK;
  char call[96];
  *kernel = NULL;
  snprintf(call, sizeof call, "clCreateKernel of %s", info->name);
  return opencl_check(code, call);
}

/* ---- Whether its kernels can run ---- */

static cdl_status check_kernel(opencl_device *device, kernel_id which, size_t *largest)
{
  cl_kernel kernel;
  size_t group = 0;
  cl_ulong local = 0;
  CDL_TRY(opencl_kernel_create(device, which, &kernel));
  cl_int code = cl.clGetKernelWorkGroupInfo(kernel, device->id, CL_KERNEL_WORK_GROUP_SIZE,
                                            sizeof group, &group, NULL);
  if (code == CL_SUCCESS)
    code = cl.clGetKernelWorkGroupInfo(kernel, device->id, CL_KERNEL_LOCAL_MEM_SIZE, sizeof local,
                                       &local, NULL);
  cl.clReleaseKernel(kernel);
  CDL_TRY(opencl_check(code, "clGetKernelWorkGroupInfo"));
  if (local > device->local_bytes)
    group = 0;
  if (group < *largest)
    *largest = group;
  return CDL_STATUS_OK;
}

static cdl_status too_small(const opencl_device *device)
{
  return opencl_host->fail(CDL_STATUS_ABSENT,
                           "device %s is too small for the kernels: %zu bytes of local memory",
                           device->name, device->local_bytes);
}

void opencl_programs_release(opencl_device *device)
{
  for (int program = 0; program < PROGRAM_COUNT; program++) {
    if (device->programs[program] != NULL)
      cl.clReleaseProgram(device->programs[program]);
    device->programs[program] = NULL;
  }
}

cdl_status opencl_fit_groups(opencl_device *device)
{
  enum {
    LOCAL_BYTES = 32 << 10
  }; /* guaranteed by OpenCL's full profile; the kernels stay within it */
  if (device->common.group_size == 1)
    return device->local_bytes >= LOCAL_BYTES ? CDL_STATUS_OK : too_small(device);
  for (;;) {
    size_t largest = SIZE_MAX;
    for (int kernel = 0; kernel < KERNEL_COUNT; kernel++)
      if ((kernel_list[kernel].backends & KERNEL_FOR_OPENCL) != 0)
        CDL_TRY(check_kernel(device, (kernel_id)kernel, &largest));
    if (largest >= (size_t)device->common.group_size)
      return CDL_STATUS_OK;
    if (device->common.group_size == 1)
      return too_small(device);
    device->common.group_size /= 2;
    opencl_programs_release(device);
  }
}
