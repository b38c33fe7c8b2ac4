/* A file of CLBlast's parameters; CLBlast itself is replaced by a function that reads what it is
 * given. */
#include "backends/opencl/tuning.h"

#include <stdlib.h>
#include <string.h>

#include "backends/core/loader.h"
#include "tests/fuzz/fuzz.h"

static cl_int device_info(cl_device_id device, cl_device_info what, size_t bytes, void *answer,
                          size_t *size)
{
  (void)device, (void)what, (void)size;
  const cl_device_type type = CL_DEVICE_TYPE_GPU; /* for which nothing is shipped */
  if (bytes != sizeof type)
    abort();
  memcpy(answer, &type, sizeof type);
  return CL_SUCCESS;
}

static int override(cl_device_id device, const char *kernel, unsigned precision, size_t count,
                    const char **names, const size_t *values)
{
  (void)device;
  size_t read = strlen(kernel) + precision;
  for (size_t i = 0; i < count; i++)
    read += strlen(names[i]) + values[i];
  return read % 7 == 0 ? CLBlastInvalidOverrideKernel : CL_SUCCESS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static opencl_device device = {.name = "Radiance 9 (tm)", .common = {.has_f64 = true}};
  opencl_host = &core_host;
  cl.clGetDeviceInfo = device_info;
  cl.CLBlastOverrideParameters = override;
  setenv("CDL_OPENCL_TUNING", fuzz_file("tuning.txt", (fuzz_part){data, size}), 1);
  (void)fuzz_ok(opencl_tune(&device));
  return 0;
}
