/* NVIDIA's types and constants for api.def, with NVIDIA's names and values, so that the build needs
 * no toolkit. If a toolkit is installed, a test checks every line against its headers. */
#ifndef CONDLORA_BACKENDS_CUDA_TYPES_H
#define CONDLORA_BACKENDS_CUDA_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* cublasLtMatmulAlgo_t: a kernel of cublasLt's and its settings, which may be copied. */
typedef struct {
  uint64_t data[8];
} cuda_algorithm;

/* cublasLtMatmulHeuristicResult_t. Members of the same names as NVIDIA's. */
typedef struct {
  cuda_algorithm algo;
  size_t workspaceSize;
  int state; /* a cublasStatus_t */
  float wavesCount;
  int reserved[4];
} cuda_heuristic_result;

/* ncclUniqueId. */
typedef struct {
  char internal[128];
} cuda_unique_id;

/* Enumerations are passed as int. */
/*   name                what it is here */
#define CUDA_TYPES(X)                                                    \
  X(CUresult, int)                                                       \
  X(CUdevice, int)                                                       \
  X(CUdevice_attribute, int)                                             \
  X(CUfunction_attribute, int)                                           \
  X(CUstreamCaptureMode, int)                                            \
  X(CUdeviceptr, unsigned long long)                                     \
  X(CUcontext, struct CUctx_st *)                                        \
  X(CUmodule, struct CUmod_st *)                                         \
  X(CUfunction, struct CUfunc_st *)                                      \
  X(CUstream, struct CUstream_st *)                                      \
  X(CUevent, struct CUevent_st *)                                        \
  X(CUgraph, struct CUgraph_st *)                                        \
  X(CUgraphExec, struct CUgraphExec_st *)                                \
  X(libraryPropertyType, int)                                            \
  X(cudaDataType, int)                                                   \
  X(cudaStream_t, struct CUstream_st *)                                  \
  X(cublasHandle_t, struct cublasContext *)                              \
  X(cublasStatus_t, int)                                                 \
  X(cublasOperation_t, int)                                              \
  X(cublasFillMode_t, int)                                               \
  X(cublasComputeType_t, int)                                            \
  X(cublasGemmAlgo_t, int)                                               \
  X(cublasLtHandle_t, struct cublasLtContext *)                          \
  X(cublasLtMatmulDesc_t, struct cublasLtMatmulDescOpaque *)             \
  X(cublasLtMatrixLayout_t, struct cublasLtMatrixLayoutOpaque *)         \
  X(cublasLtMatmulPreference_t, struct cublasLtMatmulPreferenceOpaque *) \
  X(cublasLtMatmulDescAttributes_t, int)                                 \
  X(cublasLtMatmulPreferenceAttributes_t, int)                           \
  X(cublasLtMatmulAlgoConfigAttributes_t, int)                           \
  X(cublasLtMatmulAlgo_t, cuda_algorithm)                                \
  X(cublasLtMatmulHeuristicResult_t, cuda_heuristic_result)              \
  X(cusolverDnHandle_t, struct cusolverDnContext *)                      \
  X(cusolverStatus_t, int)                                               \
  X(cusolverEigMode_t, int)                                              \
  X(nvrtcProgram, struct _nvrtcProgram *)                                \
  X(nvrtcResult, int)

/* NCCL's, which comes apart from CUDA. */
#define CUDA_NCCL_TYPES(X)         \
  X(ncclResult_t, int)             \
  X(ncclDataType_t, int)           \
  X(ncclComm_t, struct ncclComm *) \
  X(ncclUniqueId, cuda_unique_id)

#ifndef CUDA_TYPES_ARE_THE_VENDORS
#define CUDA_TYPE(name, is) typedef is name;
CUDA_TYPES(CUDA_TYPE)
CUDA_NCCL_TYPES(CUDA_TYPE)
#undef CUDA_TYPE
#endif

#define CUDA_CONSTANTS(X)                                   \
  X(CUDA_SUCCESS, 0)                                        \
  X(CUDA_ERROR_INVALID_VALUE, 1)                            \
  X(CUDA_ERROR_OUT_OF_MEMORY, 2)                            \
  X(CUDA_ERROR_NOT_INITIALIZED, 3)                          \
  X(CUDA_ERROR_DEINITIALIZED, 4)                            \
  X(CUDA_ERROR_STUB_LIBRARY, 34)                            \
  X(CUDA_ERROR_DEVICE_UNAVAILABLE, 46)                      \
  X(CUDA_ERROR_NO_DEVICE, 100)                              \
  X(CUDA_ERROR_INVALID_DEVICE, 101)                         \
  X(CUDA_ERROR_INVALID_IMAGE, 200)                          \
  X(CUDA_ERROR_INVALID_CONTEXT, 201)                        \
  X(CUDA_ERROR_NO_BINARY_FOR_GPU, 209)                      \
  X(CUDA_ERROR_ECC_UNCORRECTABLE, 214)                      \
  X(CUDA_ERROR_INVALID_PTX, 218)                            \
  X(CUDA_ERROR_NVLINK_UNCORRECTABLE, 220)                   \
  X(CUDA_ERROR_JIT_COMPILER_NOT_FOUND, 221)                 \
  X(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, 222)                \
  X(CUDA_ERROR_JIT_COMPILATION_DISABLED, 223)               \
  X(CUDA_ERROR_OPERATING_SYSTEM, 304)                       \
  X(CUDA_ERROR_INVALID_HANDLE, 400)                         \
  X(CUDA_ERROR_NOT_FOUND, 500)                              \
  X(CUDA_ERROR_NOT_READY, 600)                              \
  X(CUDA_ERROR_ILLEGAL_ADDRESS, 700)                        \
  X(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, 701)                \
  X(CUDA_ERROR_LAUNCH_TIMEOUT, 702)                         \
  X(CUDA_ERROR_CONTEXT_IS_DESTROYED, 709)                   \
  X(CUDA_ERROR_ASSERT, 710)                                 \
  X(CUDA_ERROR_HARDWARE_STACK_ERROR, 714)                   \
  X(CUDA_ERROR_ILLEGAL_INSTRUCTION, 715)                    \
  X(CUDA_ERROR_MISALIGNED_ADDRESS, 716)                     \
  X(CUDA_ERROR_INVALID_ADDRESS_SPACE, 717)                  \
  X(CUDA_ERROR_INVALID_PC, 718)                             \
  X(CUDA_ERROR_LAUNCH_FAILED, 719)                          \
  X(CUDA_ERROR_NOT_SUPPORTED, 801)                          \
  X(CUDA_ERROR_SYSTEM_NOT_READY, 802)                       \
  X(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, 803)                 \
  X(CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE, 804)         \
  X(CUDA_ERROR_MPS_CONNECTION_FAILED, 805)                  \
  X(CUDA_ERROR_MPS_MAX_CLIENTS_REACHED, 808)                \
  X(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, 900)             \
  X(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, 901)             \
  X(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, 905)               \
  X(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, 906)                \
  X(CUDA_ERROR_UNKNOWN, 999)                                \
  X(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 16)           \
  X(CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, 20)                   \
  X(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 39) \
  X(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 75)       \
  X(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 76)       \
  X(CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 0)             \
  X(CU_COMPUTEMODE_PROHIBITED, 2)                           \
  X(CU_COMPUTEMODE_EXCLUSIVE_PROCESS, 3)                    \
  X(CU_STREAM_NON_BLOCKING, 1)                              \
  X(CU_EVENT_DEFAULT, 0)                                    \
  X(CU_EVENT_DISABLE_TIMING, 2)                             \
  X(CU_STREAM_CAPTURE_MODE_RELAXED, 2)                      \
  X(MAJOR_VERSION, 0)                                       \
  X(MINOR_VERSION, 1)                                       \
  X(PATCH_LEVEL, 2)                                         \
  X(CUDA_R_32F, 0)                                          \
  X(CUDA_R_64F, 1)                                          \
  X(CUDA_R_16BF, 14)                                        \
  X(CUBLAS_STATUS_SUCCESS, 0)                               \
  X(CUBLAS_STATUS_NOT_INITIALIZED, 1)                       \
  X(CUBLAS_STATUS_ALLOC_FAILED, 3)                          \
  X(CUBLAS_STATUS_INVALID_VALUE, 7)                         \
  X(CUBLAS_STATUS_ARCH_MISMATCH, 8)                         \
  X(CUBLAS_STATUS_MAPPING_ERROR, 11)                        \
  X(CUBLAS_STATUS_EXECUTION_FAILED, 13)                     \
  X(CUBLAS_STATUS_INTERNAL_ERROR, 14)                       \
  X(CUBLAS_STATUS_NOT_SUPPORTED, 15)                        \
  X(CUBLAS_STATUS_LICENSE_ERROR, 16)                        \
  X(CUBLAS_OP_N, 0)                                         \
  X(CUBLAS_OP_T, 1)                                         \
  X(CUBLAS_FILL_MODE_LOWER, 0)                              \
  X(CUBLAS_FILL_MODE_UPPER, 1)                              \
  X(CUBLAS_COMPUTE_32F, 68)                                 \
  X(CUBLAS_COMPUTE_32F_FAST_TF32, 77)                       \
  X(CUBLAS_COMPUTE_64F, 70)                                 \
  X(CUBLAS_GEMM_DEFAULT, -1)                                \
  X(CUBLASLT_MATMUL_DESC_TRANSA, 3)                         \
  X(CUBLASLT_MATMUL_DESC_TRANSB, 4)                         \
  X(CUBLASLT_MATMUL_DESC_EPILOGUE, 7)                       \
  X(CUBLASLT_MATMUL_DESC_BIAS_POINTER, 8)                   \
  X(CUBLASLT_EPILOGUE_DEFAULT, 1)                           \
  X(CUBLASLT_EPILOGUE_BIAS, 4)                              \
  X(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, 1)            \
  X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, 5)          \
  X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, 6)          \
  X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, 7)          \
  X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, 8)          \
  X(CUBLASLT_ALGO_CONFIG_ID, 0)                             \
  X(CUBLASLT_ALGO_CONFIG_TILE_ID, 1)                        \
  X(CUBLASLT_ALGO_CONFIG_SPLITK_NUM, 2)                     \
  X(CUSOLVER_STATUS_SUCCESS, 0)                             \
  X(CUSOLVER_STATUS_NOT_INITIALIZED, 1)                     \
  X(CUSOLVER_STATUS_ALLOC_FAILED, 2)                        \
  X(CUSOLVER_STATUS_INVALID_VALUE, 3)                       \
  X(CUSOLVER_STATUS_ARCH_MISMATCH, 4)                       \
  X(CUSOLVER_STATUS_MAPPING_ERROR, 5)                       \
  X(CUSOLVER_STATUS_EXECUTION_FAILED, 6)                    \
  X(CUSOLVER_STATUS_INTERNAL_ERROR, 7)                      \
  X(CUSOLVER_STATUS_MATRIX_TYPE_NOT_SUPPORTED, 8)           \
  X(CUSOLVER_STATUS_NOT_SUPPORTED, 9)                       \
  X(CUSOLVER_EIG_MODE_NOVECTOR, 0)                          \
  X(CUSOLVER_EIG_MODE_VECTOR, 1)                            \
  X(NVRTC_SUCCESS, 0)                                       \
  X(NVRTC_ERROR_OUT_OF_MEMORY, 1)                           \
  X(NVRTC_ERROR_PROGRAM_CREATION_FAILURE, 2)                \
  X(NVRTC_ERROR_INVALID_INPUT, 3)                           \
  X(NVRTC_ERROR_INVALID_PROGRAM, 4)                         \
  X(NVRTC_ERROR_INVALID_OPTION, 5)                          \
  X(NVRTC_ERROR_COMPILATION, 6)                             \
  X(NVRTC_ERROR_BUILTIN_OPERATION_FAILURE, 7)               \
  X(NVRTC_ERROR_INTERNAL_ERROR, 11)

/* Those that came after CUDA 12.0. */
#define CUDA_NEWER_CONSTANTS(X)            \
  X(CUDA_ERROR_CONTAINED, 226)             \
  X(CUDA_ERROR_TENSOR_MEMORY_LEAK, 721)    \
  X(CUDA_ERROR_MPS_CLIENT_TERMINATED, 810) \
  X(CUDA_ERROR_EXTERNAL_DEVICE, 911)

#define CUDA_NCCL_CONSTANTS(X) \
  X(ncclSuccess, 0)            \
  X(ncclUnhandledCudaError, 1) \
  X(ncclSystemError, 2)        \
  X(ncclInternalError, 3)      \
  X(ncclInvalidArgument, 4)    \
  X(ncclInvalidUsage, 5)       \
  X(ncclRemoteError, 6)        \
  X(ncclInProgress, 7)         \
  X(ncclInt8, 0)

#ifndef CUDA_TYPES_ARE_THE_VENDORS
enum {
#define CUDA_CONSTANT(name, value) name = value,
  CUDA_CONSTANTS(CUDA_CONSTANT) CUDA_NEWER_CONSTANTS(CUDA_CONSTANT)
      CUDA_NCCL_CONSTANTS(CUDA_CONSTANT)
#undef CUDA_CONSTANT
};
#endif

#endif
