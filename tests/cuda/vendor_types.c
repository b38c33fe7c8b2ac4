/* Nothing to run: the compiler holds api.def and types.h against NVIDIA's own headers. */
#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda.h>
#include <cusolverDn.h>
#include <nvrtc.h>

#define CUDA_TYPES_ARE_THE_VENDORS
#include "backends/cuda/types.h"

#define FUNCTION(library, result, name, parameters)                                     \
  _Static_assert(__builtin_types_compatible_p(__typeof__(&name), result(*) parameters), \
                 #name ": another prototype");
#include "backends/cuda/api.def"
#undef FUNCTION

#define CUDA_TYPE(name, is) _Static_assert(sizeof(name) == sizeof(is), #name ": another size");
CUDA_TYPES(CUDA_TYPE)
#undef CUDA_TYPE

#define CUDA_CONSTANT(name, value) _Static_assert((int)name == (value), #name ": another value");
CUDA_CONSTANTS(CUDA_CONSTANT)
#if CUDA_VERSION >= 13000
CUDA_NEWER_CONSTANTS(CUDA_CONSTANT)
#endif
#undef CUDA_CONSTANT

int main(void)
{
  return 0;
}
