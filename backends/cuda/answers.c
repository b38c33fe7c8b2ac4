/* What NVIDIA's libraries answer: names, statuses, and what is to be done. */
#include <string.h>

#include "backends/cuda/api.h"

/* Searches the names of one library, because two libraries may use the same number. */
static const char *constant_name(const char *prefix, int code)
{
  static const struct {
    const char *name;
    int value;
  } constants[] = {
#define CONSTANT(name, value) {#name, value},
      CUDA_CONSTANTS(CONSTANT) CUDA_NEWER_CONSTANTS(CONSTANT) CUDA_NCCL_CONSTANTS(CONSTANT)
#undef CONSTANT
  };
  for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++)
    if (constants[i].value == code && strncmp(constants[i].name, prefix, strlen(prefix)) == 0)
      return constants[i].name;
  return "an error unknown to this version";
}

static cdl_status refuse(cdl_status status, const char *call, const char *name, int code)
{
  return cuda_host->fail(status, "%s: %s (%d)", call, name, code);
}

const char *cuda_error_name(CUresult code)
{
  const char *name = NULL;
  return cuda_api.cuGetErrorName(code, &name) == CUDA_SUCCESS && name != NULL
             ? name
             : constant_name("CUDA_ERROR", code);
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

/* Those of which NVIDIA's header says that the process must end, or the context; those of hardware
 * that is lost; and an unknown error, after which a device rarely works. */
bool cuda_is_lasting(CUresult answer)
{
  switch (answer) {
  case CUDA_ERROR_DEINITIALIZED:
  case CUDA_ERROR_DEVICE_UNAVAILABLE:
  case CUDA_ERROR_ECC_UNCORRECTABLE:
  case CUDA_ERROR_NVLINK_UNCORRECTABLE:
  case CUDA_ERROR_CONTAINED:
  case CUDA_ERROR_ILLEGAL_ADDRESS:
  case CUDA_ERROR_LAUNCH_TIMEOUT:
  case CUDA_ERROR_CONTEXT_IS_DESTROYED:
  case CUDA_ERROR_ASSERT:
  case CUDA_ERROR_HARDWARE_STACK_ERROR:
  case CUDA_ERROR_ILLEGAL_INSTRUCTION:
  case CUDA_ERROR_MISALIGNED_ADDRESS:
  case CUDA_ERROR_INVALID_ADDRESS_SPACE:
  case CUDA_ERROR_INVALID_PC:
  case CUDA_ERROR_LAUNCH_FAILED:
  case CUDA_ERROR_TENSOR_MEMORY_LEAK:
  case CUDA_ERROR_MPS_CLIENT_TERMINATED:
  case CUDA_ERROR_EXTERNAL_DEVICE:
  case CUDA_ERROR_UNKNOWN:
    return true;
  default:
    return false;
  }
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

cdl_status cuda_check_compiler(const char *call, nvrtcResult answer)
{
  if (answer == NVRTC_SUCCESS)
    return CDL_STATUS_OK;
  return refuse(answer == NVRTC_ERROR_OUT_OF_MEMORY ? CDL_STATUS_MEMORY : CDL_STATUS_DEVICE, call,
                constant_name("NVRTC", answer), answer);
}

const char *cuda_group_error_name(ncclResult_t code)
{
  return constant_name("nccl", code);
}

cdl_status cuda_check_group(const char *call, ncclResult_t answer)
{
  return answer == ncclSuccess
             ? CDL_STATUS_OK
             : refuse(CDL_STATUS_DEVICE, call, cuda_group_error_name(answer), answer);
}

/* ---- A driver that does not start ---- */

static const struct {
  CUresult answer;
  const char *advice;
} advices[] = {
    {CUDA_ERROR_STUB_LIBRARY,
     "this libcuda.so.1 is a toolkit's stub for linking, not the driver: take its folder from "
     "LD_LIBRARY_PATH"},
    {CUDA_ERROR_NO_DEVICE,
     "it sees no device: nvidia-smi lists them, and CUDA_VISIBLE_DEVICES may hide them"},
    {CUDA_ERROR_SYSTEM_NOT_READY,
     "a service of the system does not run yet: on machines with NVSwitch start "
     "nvidia-fabricmanager"},
    {CUDA_ERROR_SYSTEM_DRIVER_MISMATCH,
     "this libcuda.so.1 and the loaded kernel module have different versions: restart the machine "
     "after an update of the driver; in a container use the host's library"},
    {CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE,
     "this libcuda.so.1 is of a package for forward compatibility (cuda-compat), which serves only "
     "data-center devices: take its folder from the loader's path"},
    {CUDA_ERROR_OPERATING_SYSTEM,
     "this process may not open /dev/nvidia*: check the permissions, or give the container its "
     "devices"},
    {CUDA_ERROR_MPS_CONNECTION_FAILED, "the server of MPS does not answer"},
    {CUDA_ERROR_MPS_MAX_CLIENTS_REACHED, "the server of MPS takes no more processes"},
    {CUDA_ERROR_UNKNOWN,
     "check that the kernel modules nvidia and nvidia_uvm are loaded (nvidia-smi, "
     "nvidia-modprobe -u) and that this process may open /dev/nvidia*"},
};

cdl_status cuda_no_start(CUresult answer, const char *library)
{
  const char *advice = "nvidia-smi may say more";
  for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++)
    if (advices[i].answer == answer)
      advice = advices[i].advice;
  return cuda_host->fail(CDL_STATUS_ABSENT,
                         "the NVIDIA driver does not start: cuInit of %s: %s (%d): %s", library,
                         cuda_error_name(answer), answer, advice);
}
