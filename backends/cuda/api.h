/* NVIDIA's libraries, opened at run time, and what becomes of their answers. */
#ifndef CONDLORA_BACKENDS_CUDA_API_H
#define CONDLORA_BACKENDS_CUDA_API_H

#include "backends/cuda/types.h"
#include "condlora/plugin.h"

typedef struct {
#define FUNCTION(library, result, name, parameters) result(*name) parameters;
#include "backends/cuda/api.def"
#undef FUNCTION
} cuda_functions;

extern cuda_functions cuda_api;   /* filled by cuda_api_open, and cuSOLVER's part by its own */
extern const cdl_host *cuda_host; /* as cdl_plugin was given it */

/* The driver and cuBLAS, once for the process; *version is the driver's, 12040 for CUDA 12.4.
 * Errors: ABSENT, saying what is missing and what has it. */
CDL_MUST_USE cdl_status cuda_api_open(int *version);
/* cuSOLVER likewise, for the version that cuda_api_open gave: it is large, and a training run does
 * not need it. */
CDL_MUST_USE cdl_status cuda_api_open_solver(int version);
/* Of cuBLAS: "13.0.2". */
CDL_MUST_USE cdl_status cuda_blas_version(char text[32]);

/* A status of `answer`, its message naming the call and the code. MEMORY where the device has no
 * more. */
cdl_status cuda_check(const char *call, CUresult answer);
cdl_status cuda_check_blas(const char *call, cublasStatus_t answer);
cdl_status cuda_check_solver(const char *call, cusolverStatus_t answer);
/* What a device does not recover from: every later call of the process gives the same. */
bool cuda_is_lasting(CUresult answer);

#define CUDA_CALL(name, ...) cuda_check(#name, cuda_api.name(__VA_ARGS__))
#define CUDA_BLAS_CALL(name, ...) cuda_check_blas(#name, cuda_api.name(__VA_ARGS__))
/* For what has no way to return an error: a warning in the log. Whether all is well. */
bool cuda_warn(const char *call, CUresult answer);
#define CUDA_CALL_OR_WARN(name, ...) cuda_warn(#name, cuda_api.name(__VA_ARGS__))

#endif
