#include "bench/model_driver.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backends/core/loader.h"
#include "backends/cuda/api.h"
#include "backends/cuda/image.h"

/* As backends/cuda/meson.build compiles the kernels that have no group size of their own. */
enum { GROUP_ITEMS = 256 };

/* There is one device and one process, as with the real driver. */
static struct {
  bench_driver_device device;
  bool recording;
  struct {
    CUdeviceptr address;
    size_t bytes;
  } * memory;
  size_t memory_count, memory_capacity, used_bytes, peak_bytes;
  CUdeviceptr next_address;
  bench_work *works;
  size_t work_count, work_capacity;
  unsigned char *parameters;
  size_t parameter_bytes, parameter_capacity;
  bool out_of_memory;
} driver;

/* What handles of the driver point to. */
static char an_object;
#define AN_OBJECT ((void *)&an_object)

/* ---- The list of works ---- */

static void *grown(void *list, size_t *capacity, size_t wanted, size_t bytes)
{
  if (wanted <= *capacity)
    return list;
  const size_t next = wanted > 2 * *capacity ? wanted + 64 : 2 * *capacity;
  void *longer = realloc(list, next * bytes);
  if (longer != NULL)
    *capacity = next;
  else
    driver.out_of_memory = true;
  return longer;
}

static void note(bench_work work)
{
  bench_work *works =
      grown(driver.works, &driver.work_capacity, driver.work_count + 1, sizeof *works);
  if (works == NULL)
    return;
  driver.works = works;
  work.recorded = driver.recording;
  works[driver.work_count++] = work;
}

static size_t keep_parameters(const void *parameters, size_t bytes)
{
  unsigned char *kept =
      grown(driver.parameters, &driver.parameter_capacity, driver.parameter_bytes + bytes, 1);
  if (kept == NULL)
    return 0;
  driver.parameters = kept;
  const size_t begin = driver.parameter_bytes;
  memcpy(kept + begin, parameters, bytes);
  const size_t alignment = sizeof(int64_t);
  driver.parameter_bytes += (bytes + alignment - 1) / alignment * alignment;
  return begin;
}

cdl_status bench_driver_works(const bench_work **works, size_t *count)
{
  *works = driver.works;
  *count = driver.work_count;
  return driver.out_of_memory ? cdl_fail(CDL_STATUS_MEMORY, "out of memory: the work of a step")
                              : CDL_STATUS_OK;
}

void bench_driver_forget(void)
{
  driver.work_count = 0;
  driver.parameter_bytes = 0;
}

const void *bench_driver_parameters(const bench_kernel_work *kernel)
{
  return driver.parameters + kernel->parameters;
}

size_t bench_driver_peak_bytes(void)
{
  return driver.peak_bytes;
}

/* ---- The device ---- */

static CUresult count_cuInit(unsigned int flags)
{
  (void)flags;
  return CUDA_SUCCESS;
}

static CUresult count_cuDriverGetVersion(int *version)
{
  *version = 13000;
  return CUDA_SUCCESS;
}

static CUresult count_cuGetErrorName(CUresult code, const char **name)
{
  *name = code == CUDA_ERROR_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : NULL;
  return CUDA_SUCCESS;
}

static CUresult count_cuDeviceGetCount(int *count)
{
  *count = 1;
  return CUDA_SUCCESS;
}

static CUresult count_cuDeviceGet(CUdevice *device, int ordinal)
{
  *device = ordinal;
  return CUDA_SUCCESS;
}

static CUresult count_cuDeviceGetName(char *name, int bytes, CUdevice device)
{
  (void)device;
  strncpy(name, driver.device.name, (size_t)bytes);
  return CUDA_SUCCESS;
}

static CUresult count_cuDeviceGetPCIBusId(char *name, int bytes, CUdevice device)
{
  (void)device;
  strncpy(name, "0000:00:00.0", (size_t)bytes);
  return CUDA_SUCCESS;
}

static CUresult count_cuDeviceGetAttribute(int *value, CUdevice_attribute attribute,
                                           CUdevice device)
{
  (void)device;
  switch (attribute) {
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
    *value = driver.device.multiprocessors;
    return CUDA_SUCCESS;
  case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR:
    *value = driver.device.threads;
    return CUDA_SUCCESS;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
    *value = driver.device.capability / 10;
    return CUDA_SUCCESS;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
    *value = driver.device.capability % 10;
    return CUDA_SUCCESS;
  default:
    return CUDA_ERROR_INVALID_VALUE;
  }
}

static CUresult count_cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
  (void)device;
  *context = AN_OBJECT;
  return CUDA_SUCCESS;
}

static CUresult count_cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
  (void)device;
  return CUDA_SUCCESS;
}

static CUresult count_cuCtxPushCurrent_v2(CUcontext context)
{
  (void)context;
  return CUDA_SUCCESS;
}

static CUresult count_cuCtxPopCurrent_v2(CUcontext *context)
{
  *context = AN_OBJECT;
  return CUDA_SUCCESS;
}

/* ---- Kernels: the handle of one points to its row of kernels.def ---- */

static const unsigned char no_code[] = {0};
const cuda_image cuda_images[] = {{CUDA_IMAGE_CUBIN, 80, no_code, 0},
                                  {CUDA_IMAGE_CUBIN, 90, no_code, 0},
                                  {CUDA_IMAGE_PTX, 80, no_code, 0}};
const int cuda_image_count = sizeof cuda_images / sizeof cuda_images[0];
const char *const cuda_image_options[] = {NULL};
const int cuda_image_release[2] = {13, 0};

int cuda_least_driver(int major)
{
  (void)major;
  return 0;
}

static CUresult count_cuModuleLoadData(CUmodule *module, const void *image)
{
  (void)image;
  *module = AN_OBJECT;
  return CUDA_SUCCESS;
}

static CUresult count_cuModuleUnload(CUmodule module)
{
  (void)module;
  return CUDA_SUCCESS;
}

static CUresult count_cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
  (void)module;
  for (size_t i = 0; i < KERNEL_COUNT; i++)
    if (strcmp(kernel_list[i].name, name) == 0) {
      *function = (CUfunction)(uintptr_t)&kernel_list[i];
      return CUDA_SUCCESS;
    }
  return CUDA_ERROR_NOT_FOUND;
}

static CUresult count_cuFuncGetAttribute(int *value, CUfunction_attribute attribute,
                                         CUfunction function)
{
  const int own = ((const kernel_info *)(const void *)function)->group_size;
  *value = own > 0 ? own : GROUP_ITEMS;
  return attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? CUDA_SUCCESS
                                                              : CUDA_ERROR_INVALID_VALUE;
}

static CUresult count_cuLaunchKernel(CUfunction function, unsigned int groups_x,
                                     unsigned int groups_y, unsigned int groups_z,
                                     unsigned int items_x, unsigned int items_y,
                                     unsigned int items_z, unsigned int shared_bytes,
                                     CUstream stream, void **parameters, void **extra)
{
  (void)shared_bytes, (void)stream, (void)extra;
  const kernel_info *kernel = (const void *)function;
  bench_kernel_work work = {.id = (kernel_id)(kernel - kernel_list),
                            .groups = (int64_t)groups_x * groups_y * groups_z,
                            .items = (int)(items_x * items_y * items_z)};
  for (int i = 0; i < kernel->buffer_count; i++) {
    CUdeviceptr address;
    memcpy(&address, parameters[i], sizeof address);
    work.present |= (unsigned)(address != 0) << i;
  }
  work.parameters = keep_parameters(parameters[kernel->buffer_count], kernel->parameter_bytes);
  note((bench_work){.kind = BENCH_WORK_KERNEL, .kernel = work});
  return CUDA_SUCCESS;
}

/* ---- Memory ---- */

enum { MEMORY_ALIGNMENT = 1 << 21, STAGING_ALIGNMENT = 64 };

static CUresult count_cuMemAlloc_v2(CUdeviceptr *memory, size_t bytes)
{
  if (bytes > driver.device.memory_bytes - driver.used_bytes)
    return CUDA_ERROR_OUT_OF_MEMORY;
  void *list =
      grown(driver.memory, &driver.memory_capacity, driver.memory_count + 1, sizeof *driver.memory);
  if (list == NULL)
    return CUDA_ERROR_OUT_OF_MEMORY;
  driver.memory = list;
  driver.next_address += MEMORY_ALIGNMENT;
  *memory = driver.next_address;
  driver.next_address += (bytes + MEMORY_ALIGNMENT - 1) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT;
  driver.memory[driver.memory_count].address = *memory;
  driver.memory[driver.memory_count++].bytes = bytes;
  driver.used_bytes += bytes;
  driver.peak_bytes = driver.used_bytes > driver.peak_bytes ? driver.used_bytes : driver.peak_bytes;
  return CUDA_SUCCESS;
}

static CUresult count_cuMemFree_v2(CUdeviceptr memory)
{
  for (size_t i = 0; i < driver.memory_count; i++)
    if (driver.memory[i].address == memory) {
      driver.used_bytes -= driver.memory[i].bytes;
      driver.memory[i] = driver.memory[--driver.memory_count];
      return CUDA_SUCCESS;
    }
  return CUDA_ERROR_INVALID_VALUE;
}

static CUresult count_cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes)
{
  *total_bytes = driver.device.memory_bytes;
  *free_bytes = driver.device.memory_bytes - driver.used_bytes;
  return CUDA_SUCCESS;
}

static CUresult count_cuMemAllocHost_v2(void **memory, size_t bytes)
{
  return posix_memalign(memory, STAGING_ALIGNMENT, bytes > 0 ? bytes : 1) == 0
             ? CUDA_SUCCESS
             : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult count_cuMemFreeHost(void *memory)
{
  free(memory);
  return CUDA_SUCCESS;
}

static CUresult count_cuMemcpyHtoDAsync_v2(CUdeviceptr out, const void *host, size_t bytes,
                                           CUstream stream)
{
  (void)out, (void)host, (void)stream;
  note((bench_work){.kind = BENCH_WORK_COPY, .copied_bytes = bytes});
  return CUDA_SUCCESS;
}

static CUresult count_cuMemcpyDtoHAsync_v2(void *host, CUdeviceptr x, size_t bytes, CUstream stream)
{
  (void)x, (void)stream;
  memset(host, 0, bytes);
  note((bench_work){.kind = BENCH_WORK_COPY, .copied_bytes = bytes});
  return CUDA_SUCCESS;
}

/* ---- Streams, events and graphs: a replay is not noted, because its nodes were ---- */

static CUresult count_cuStreamCreate(CUstream *stream, unsigned int flags)
{
  (void)flags;
  *stream = AN_OBJECT;
  return CUDA_SUCCESS;
}

static CUresult count_cuStreamDestroy_v2(CUstream stream)
{
  (void)stream;
  return CUDA_SUCCESS;
}

static CUresult count_cuStreamSynchronize(CUstream stream)
{
  (void)stream;
  return CUDA_SUCCESS;
}

static CUresult count_cuStreamQuery(CUstream stream)
{
  (void)stream;
  return CUDA_SUCCESS;
}

static CUresult count_cuEventCreate(CUevent *event, unsigned int flags)
{
  (void)flags;
  *event = AN_OBJECT;
  return CUDA_SUCCESS;
}

static CUresult count_cuEventDestroy_v2(CUevent event)
{
  (void)event;
  return CUDA_SUCCESS;
}

static CUresult count_cuEventRecord(CUevent event, CUstream stream)
{
  (void)event, (void)stream;
  return CUDA_SUCCESS;
}

static CUresult count_cuEventSynchronize(CUevent event)
{
  (void)event;
  return CUDA_SUCCESS;
}

static CUresult count_cuEventQuery(CUevent event)
{
  (void)event;
  return CUDA_SUCCESS;
}

static CUresult count_cuEventElapsedTime(float *milliseconds, CUevent from, CUevent to)
{
  (void)from, (void)to;
  *milliseconds = 0;
  return CUDA_SUCCESS;
}

static CUresult count_cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode)
{
  (void)stream, (void)mode;
  driver.recording = true;
  return CUDA_SUCCESS;
}

static CUresult count_cuStreamEndCapture(CUstream stream, CUgraph *graph)
{
  (void)stream;
  driver.recording = false;
  *graph = AN_OBJECT;
  return CUDA_SUCCESS;
}

static CUresult count_cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph,
                                                  unsigned long long flags)
{
  (void)graph, (void)flags;
  *executable = AN_OBJECT;
  return CUDA_SUCCESS;
}

static CUresult count_cuGraphDestroy(CUgraph graph)
{
  (void)graph;
  return CUDA_SUCCESS;
}

static CUresult count_cuGraphLaunch(CUgraphExec executable, CUstream stream)
{
  (void)executable, (void)stream;
  return CUDA_SUCCESS;
}

static CUresult count_cuGraphExecDestroy(CUgraphExec executable)
{
  (void)executable;
  return CUDA_SUCCESS;
}

/* ---- cuBLAS ---- */

static cublasStatus_t count_cublasCreate_v2(cublasHandle_t *handle)
{
  *handle = AN_OBJECT;
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t count_cublasDestroy_v2(cublasHandle_t handle)
{
  (void)handle;
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t count_cublasGetProperty(libraryPropertyType property, int *value)
{
  *value = property == MAJOR_VERSION ? 13 : 0;
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t count_cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream)
{
  (void)handle, (void)stream;
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t count_cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace,
                                                  size_t bytes)
{
  (void)handle, (void)workspace, (void)bytes;
  return CUBLAS_STATUS_SUCCESS;
}

static bool is_zero(const void *factor, cublasComputeType_t compute)
{
  double f64;
  float f32;
  if (compute == CUBLAS_COMPUTE_64F) {
    memcpy(&f64, factor, sizeof f64);
    return f64 == 0;
  }
  memcpy(&f32, factor, sizeof f32);
  return f32 == 0;
}

static cublasStatus_t count_cublasGemmStridedBatchedEx(
    cublasHandle_t handle, cublasOperation_t transpose_a, cublasOperation_t transpose_b, int m,
    int n, int k, const void *alpha, const void *a, cudaDataType a_type, int lda,
    long long int a_stride, const void *b, cudaDataType b_type, int ldb, long long int b_stride,
    const void *beta, void *c, cudaDataType c_type, int ldc, long long int c_stride, int batch,
    cublasComputeType_t compute, cublasGemmAlgo_t algorithm)
{
  (void)handle, (void)transpose_a, (void)transpose_b, (void)alpha, (void)a, (void)lda, (void)b;
  (void)ldb, (void)c, (void)ldc, (void)c_stride, (void)algorithm;
  note((bench_work){.kind = BENCH_WORK_PRODUCT,
                    .product = {.m = m,
                                .n = n,
                                .k = k,
                                .batch = batch,
                                .a = a_type,
                                .b = b_type,
                                .out = c_type,
                                .compute = compute,
                                .adds = !is_zero(beta, compute),
                                .repeats_a = a_stride == 0,
                                .repeats_b = b_stride == 0}});
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t count_cublasGemmEx(cublasHandle_t handle, cublasOperation_t transpose_a,
                                         cublasOperation_t transpose_b, int m, int n, int k,
                                         const void *alpha, const void *a, cudaDataType a_type,
                                         int lda, const void *b, cudaDataType b_type, int ldb,
                                         const void *beta, void *c, cudaDataType c_type, int ldc,
                                         cublasComputeType_t compute, cublasGemmAlgo_t algorithm)
{
  return count_cublasGemmStridedBatchedEx(handle, transpose_a, transpose_b, m, n, k, alpha, a,
                                          a_type, lda, 0, b, b_type, ldb, 0, beta, c, c_type, ldc,
                                          0, 1, compute, algorithm);
}

/* ---- cublasLt ---- */

static cublasStatus_t count_cublasLtCreate(cublasLtHandle_t *handle)
{
  *handle = AN_OBJECT;
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t count_cublasLtDestroy(cublasLtHandle_t handle)
{
  (void)handle;
  return CUBLAS_STATUS_SUCCESS;
}

/* What a product's size is read from: behind a layout's handle, and behind an operation's. */
struct cublasLtMatrixLayoutOpaque {
  cudaDataType type;
  int rows, columns;
};

struct cublasLtMatmulDescOpaque {
  cublasComputeType_t compute;
  int32_t transpose_a;
};

static cublasStatus_t count_cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *operation,
                                                     cublasComputeType_t compute,
                                                     cudaDataType scale_type)
{
  (void)scale_type;
  *operation = malloc(sizeof **operation);
  if (*operation == NULL)
    return CUBLAS_STATUS_ALLOC_FAILED;
  **operation = (struct cublasLtMatmulDescOpaque){.compute = compute, .transpose_a = CUBLAS_OP_N};
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t count_cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation)
{
  free(operation);
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t count_cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation,
                                                           cublasLtMatmulDescAttributes_t attribute,
                                                           const void *value, size_t bytes)
{
  (void)bytes;
  if (attribute == CUBLASLT_MATMUL_DESC_TRANSA)
    memcpy(&operation->transpose_a, value, sizeof operation->transpose_a);
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t count_cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout,
                                                       cudaDataType type, uint64_t rows,
                                                       uint64_t columns, int64_t leading)
{
  (void)leading;
  *layout = malloc(sizeof **layout);
  if (*layout == NULL)
    return CUBLAS_STATUS_ALLOC_FAILED;
  **layout = (struct cublasLtMatrixLayoutOpaque){type, (int)rows, (int)columns};
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t count_cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
  free(layout);
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t count_cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference)
{
  *preference = AN_OBJECT;
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t count_cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
  (void)preference;
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t
count_cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                           cublasLtMatmulPreferenceAttributes_t attribute,
                                           const void *value, size_t bytes)
{
  (void)preference, (void)attribute, (void)value, (void)bytes;
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t
count_cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                                     cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                     cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                     cublasLtMatmulPreference_t preference, int wanted,
                                     cublasLtMatmulHeuristicResult_t *results, int *count)
{
  (void)handle, (void)operation, (void)a, (void)b, (void)c, (void)d, (void)preference, (void)wanted;
  results[0] = (cublasLtMatmulHeuristicResult_t){.state = CUBLAS_STATUS_SUCCESS};
  *count = 1;
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t
count_cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algorithm,
                                           cublasLtMatmulAlgoConfigAttributes_t attribute,
                                           void *value, size_t bytes, size_t *written)
{
  (void)algorithm, (void)attribute, (void)value, (void)bytes, (void)written;
  return CUBLAS_STATUS_NOT_SUPPORTED;
}

static cublasStatus_t count_cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                                           const void *alpha, const void *a,
                                           cublasLtMatrixLayout_t a_layout, const void *b,
                                           cublasLtMatrixLayout_t b_layout, const void *beta,
                                           const void *c, cublasLtMatrixLayout_t c_layout, void *d,
                                           cublasLtMatrixLayout_t d_layout,
                                           const cublasLtMatmulAlgo_t *algorithm, void *workspace,
                                           size_t workspace_bytes, cudaStream_t stream)
{
  (void)handle, (void)alpha, (void)a, (void)b, (void)c, (void)c_layout, (void)d, (void)algorithm;
  (void)workspace, (void)workspace_bytes, (void)stream;
  note((bench_work){
      .kind = BENCH_WORK_PRODUCT,
      .product = {.m = d_layout->rows,
                  .n = d_layout->columns,
                  .k = operation->transpose_a == CUBLAS_OP_T ? a_layout->rows : a_layout->columns,
                  .batch = 1,
                  .a = a_layout->type,
                  .b = b_layout->type,
                  .out = d_layout->type,
                  .compute = operation->compute,
                  .adds = !is_zero(beta, operation->compute)}});
  return CUBLAS_STATUS_SUCCESS;
}

/* ---- Opening ---- */

/* A function that the backend begins to use and that is not counted here does not compile. */
static const cuda_functions functions = {
#define COUNT_cuda(name) count_##name
#define COUNT_cublas(name) count_##name
#define COUNT_cublasLt(name) count_##name
#define COUNT_cusolver(name) NULL /* training decomposes nothing */
#define COUNT_nvrtc(name) NULL    /* the kernels are there */
#define COUNT_nccl(name) NULL     /* and no other process */
#define FUNCTION(library, result, name, parameters) .name = COUNT_##library(name),
#include "backends/cuda/api.def"
#undef FUNCTION
};

cdl_plugin_entry cdl_plugin; /* of backends/cuda/table.c */

cdl_status bench_driver_open(const bench_driver_device *device, cdl_precision precision,
                             bool records, cdl_backend **backend)
{
  static cdl_backend_table table;
  driver.device = *device;
  driver.peak_bytes = 0;
  driver.out_of_memory = false;
  cuda_api_give(&functions);
  CDL_TRY(core_adopt(cdl_plugin(&core_host), "model", &table));
  if (!records) {
    table.capture_begin = NULL;
    table.capture_end = NULL;
    table.replay = NULL;
    table.graph_destroy = NULL;
  }
  cdl_backend_options options = cdl_backend_options_init();
  options.precision = precision;
  return core_open(&table, "", &options, backend);
}

void bench_driver_close(cdl_backend *backend)
{
  cdl_backend_close(backend);
  free(driver.memory);
  free(driver.works);
  free(driver.parameters);
  memset(&driver, 0, sizeof driver);
}
