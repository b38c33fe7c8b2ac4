/* NVIDIA's libraries, opened at run time, and the handling of their results. */
#ifndef CONDLORA_BACKENDS_CUDA_API_H
#define CONDLORA_BACKENDS_CUDA_API_H

#include "backends/cuda/types.h"
#include "condlora/plugin.h"

typedef struct {
#define FUNCTION(library, result, name, parameters) result(*name) parameters;
#include "backends/cuda/api.def"
#undef FUNCTION
} cuda_functions;

/* filled by cuda_api_open; the parts of cuSOLVER, NVRTC and NCCL by the functions that open them */
extern cuda_functions cuda_api;
extern bool cuda_has_blas_lt;     /* whether cublasLt's part is filled too */
extern const cdl_host *cuda_host; /* the argument of cdl_plugin */

/* Opens the driver and cuBLAS, once for the process. *version is the driver's, 12040 for CUDA 12.4.
 * Errors: ABSENT, naming what is missing and the package that has it. */
CDL_MUST_USE cdl_status cuda_api_open(int *version);
/* Opens cuSOLVER for the version that cuda_api_open gave. It is separate, because cuSOLVER is large
 * and training does not need it. */
CDL_MUST_USE cdl_status cuda_api_open_solver(int version);
/* Takes the driver's, cuBLAS's and cublasLt's functions from the caller: cuda_api_open then
 * opens no library. For programs that count the work of this backend instead of running it. */
void cuda_api_give(const cuda_functions *functions);
/* Opens NVRTC, the compiler of kernels, for the same version. `why` says what for: the message of a
 * missing library begins with it. */
CDL_MUST_USE cdl_status cuda_api_open_compiler(int version, const char *why);
/* Opens NCCL, for groups of devices. */
CDL_MUST_USE cdl_status cuda_api_open_groups(void);
/* Gives cuBLAS's version: "13.0.2". */
CDL_MUST_USE cdl_status cuda_blas_version(char text[32]);

/* Returns the driver's name of a code. */
const char *cuda_error_name(CUresult code);
/* Returns a status for `answer`; its message names the call and the code. MEMORY if the device has
 * no more. */
cdl_status cuda_check(const char *call, CUresult answer);
cdl_status cuda_check_blas(const char *call, cublasStatus_t answer);
cdl_status cuda_check_solver(const char *call, cusolverStatus_t answer);
const char *cuda_group_error_name(ncclResult_t code); /* NCCL's */
cdl_status cuda_check_group(const char *call, ncclResult_t answer);
cdl_status cuda_check_compiler(const char *call, nvrtcResult answer);
/* Fails with ABSENT for the answer of cuInit, with advice. `library` is the driver's file. */
cdl_status cuda_no_start(CUresult answer, const char *library);
/* Returns whether the device cannot recover: every later call of the process gives the same. */
bool cuda_is_lasting(CUresult answer);

#define CUDA_CALL(name, ...) cuda_check(#name, cuda_api.name(__VA_ARGS__))
#define CUDA_BLAS_CALL(name, ...) cuda_check_blas(#name, cuda_api.name(__VA_ARGS__))
#define CUDA_COMPILER_CALL(name, ...) cuda_check_compiler(#name, cuda_api.name(__VA_ARGS__))
#define CUDA_GROUP_CALL(name, ...) cuda_check_group(#name, cuda_api.name(__VA_ARGS__))
/* For calls that cannot return an error: logs a warning. Returns whether all is well. */
bool cuda_warn(const char *call, CUresult answer);
#define CUDA_CALL_OR_WARN(name, ...) cuda_warn(#name, cuda_api.name(__VA_ARGS__))

#endif
