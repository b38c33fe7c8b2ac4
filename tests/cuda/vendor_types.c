/* Nothing to run: the compiler holds api.def and types.h against NVIDIA's own headers. */
#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda.h>
#include <cusolverDn.h>
#include <nvrtc.h>
#if __has_include(<nccl.h>) /* it comes apart from a toolkit */
#include <nccl.h>
#define HELD_nccl HELD
#else
struct ncclComm;
#define HELD_nccl(name, result, parameters)
#endif

#define CUDA_TYPES_ARE_THE_VENDORS
#include "backends/cuda/types.h"

#define HELD(name, result, parameters)                                                  \
  _Static_assert(__builtin_types_compatible_p(__typeof__(&name), result(*) parameters), \
                 #name ": another prototype");
#define HELD_cuda HELD
#define HELD_cublas HELD
#define HELD_cublasLt HELD
#define HELD_cusolver HELD
#define HELD_nvrtc HELD
#define FUNCTION(library, result, name, parameters) HELD_##library(name, result, parameters)
#include "backends/cuda/api.def"
#undef FUNCTION

#define CUDA_TYPE(name, is) _Static_assert(sizeof(name) == sizeof(is), #name ": another size");
CUDA_TYPES(CUDA_TYPE)
#if __has_include(<nccl.h>)
CUDA_NCCL_TYPES(CUDA_TYPE)
#endif
#undef CUDA_TYPE

#define CUDA_CONSTANT(name, value) _Static_assert((int)name == (value), #name ": another value");
CUDA_CONSTANTS(CUDA_CONSTANT)
#if CUDA_VERSION >= 13000
CUDA_NEWER_CONSTANTS(CUDA_CONSTANT)
#endif
#if __has_include(<nccl.h>)
CUDA_NCCL_CONSTANTS(CUDA_CONSTANT)
#endif
#undef CUDA_CONSTANT

int main(void)
{
  return 0;
}
