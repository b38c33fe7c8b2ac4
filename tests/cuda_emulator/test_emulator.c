/* That the emulator is as hostile as it says: each rule is broken once, and caught. And that what
 * it computes is right, where a test can say so without a device. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cuda_emulator/control.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/fiber.h"
#include "tests/run_suite.h"

static CUcontext context;
static CUstream queue;

static void open_device(void)
{
  emulator_forget();
  emulator_fail_at("*", 0);
  ck_assert_int_eq(cuInit(0), CUDA_SUCCESS);
  ck_assert_int_eq(cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
  ck_assert_int_eq(cuCtxPushCurrent_v2(context), CUDA_SUCCESS);
  ck_assert_int_eq(cuStreamCreate(&queue, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
}

/* Whatever a test left in a broken state ends with the context. */
static void close_device(void)
{
  emulator_fail_at("*", 0);
  cuCtxPopCurrent_v2(NULL);
  cuDevicePrimaryCtxRelease_v2(0);
  emulator_forget();
}

static void expect_violation(const char *part)
{
  ck_assert_msg(strstr(emulator_last_violation(), part) != NULL, "'%s' is not in '%s'", part,
                emulator_last_violation());
  ck_assert_int_gt(emulator_violations(), 0);
  emulator_forget();
}

static CUdeviceptr device_memory(size_t bytes)
{
  CUdeviceptr memory = 0;
  ck_assert_int_eq(cuMemAlloc_v2(&memory, bytes), CUDA_SUCCESS);
  return memory;
}

static void *pinned_memory(size_t bytes)
{
  void *memory = NULL;
  ck_assert_int_eq(cuMemAllocHost_v2(&memory, bytes), CUDA_SUCCESS);
  return memory;
}

static void wait_for_queue(void)
{
  ck_assert_int_eq(cuStreamSynchronize(queue), CUDA_SUCCESS);
}

static void upload(CUdeviceptr out, const void *host, size_t bytes)
{
  ck_assert_int_eq(cuMemcpyHtoDAsync_v2(out, host, bytes, queue), CUDA_SUCCESS);
}

/* Pageable, so that it waits. */
static void download(void *host, CUdeviceptr x, size_t bytes)
{
  ck_assert_int_eq(cuMemcpyDtoHAsync_v2(host, x, bytes, queue), CUDA_SUCCESS);
}

/* ---- Memory ---- */

START_TEST(host_cannot_follow_a_device_pointer)
{
  const CUdeviceptr memory = device_memory(64);
  const pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    close(STDERR_FILENO);
    _exit(*(volatile char *)(uintptr_t)memory == 0 ? 0 : 0);
  }
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
  ck_assert_int_eq(cuMemFree_v2(memory), CUDA_SUCCESS);
}
END_TEST

START_TEST(fresh_memory_is_nan)
{
  const CUdeviceptr memory = device_memory(8 * sizeof(float));
  float values[8] = {0};
  download(values, memory, sizeof values);
  for (int i = 0; i < 8; i++)
    ck_assert(isnan(values[i]));
}
END_TEST

START_TEST(addresses_are_not_given_again)
{
  const CUdeviceptr first = device_memory(64);
  ck_assert_int_eq(cuMemFree_v2(first), CUDA_SUCCESS);
  ck_assert(device_memory(64) != first);
}
END_TEST

START_TEST(copies_stay_within_an_allocation)
{
  char host[65] = {0};
  const CUdeviceptr memory = device_memory(64);
  ck_assert_int_eq(cuMemcpyHtoDAsync_v2(memory, host, 65, queue), CUDA_ERROR_INVALID_VALUE);
  expect_violation("65 bytes at offset 0 of an allocation of 64");
  ck_assert_int_eq(cuMemcpyDtoHAsync_v2(host, memory + 60, 5, queue), CUDA_ERROR_INVALID_VALUE);
  expect_violation("5 bytes at offset 60");
  ck_assert_int_eq(cuMemcpyHtoDAsync_v2(64, host, 1, queue), CUDA_ERROR_INVALID_VALUE);
  expect_violation("no device memory");
}
END_TEST

START_TEST(freed_memory_is_not_used_by_later_work)
{
  char *host = pinned_memory(64);
  const CUdeviceptr memory = device_memory(64);
  emulator_seed(2); /* a seed by which nothing runs before the sync */
  upload(memory, host, 64);
  ck_assert_int_eq(cuMemFree_v2(memory), CUDA_SUCCESS);
  ck_assert_int_eq(cuStreamSynchronize(queue), CUDA_ERROR_ILLEGAL_ADDRESS);
  expect_violation("of freed memory of 64 bytes");
  /* The context is lost from here on. */
  CUdeviceptr another;
  ck_assert_int_eq(cuMemAlloc_v2(&another, 64), CUDA_ERROR_ILLEGAL_ADDRESS);
  ck_assert_int_eq(cuStreamSynchronize(queue), CUDA_ERROR_ILLEGAL_ADDRESS);
}
END_TEST

START_TEST(memory_is_freed_once)
{
  const CUdeviceptr memory = device_memory(64);
  ck_assert_int_eq(cuMemFree_v2(memory + 1), CUDA_ERROR_INVALID_VALUE);
  expect_violation("not the start of live device memory");
  ck_assert_int_eq(cuMemFree_v2(memory), CUDA_SUCCESS);
  ck_assert_int_eq(cuMemFree_v2(memory), CUDA_ERROR_INVALID_VALUE);
  expect_violation("not the start of live device memory");
  ck_assert_int_eq(cuMemFreeHost(&context), CUDA_ERROR_INVALID_VALUE);
  expect_violation("no page-locked memory");
}
END_TEST

START_TEST(memory_runs_out)
{
  size_t free_bytes, total_bytes;
  ck_assert_int_eq(cuMemGetInfo_v2(&free_bytes, &total_bytes), CUDA_SUCCESS);
  CUdeviceptr memory;
  ck_assert_int_eq(cuMemAlloc_v2(&memory, free_bytes + 1), CUDA_ERROR_OUT_OF_MEMORY);
  ck_assert_int_eq(emulator_violations(), 0);
}
END_TEST

/* ---- Work is late ---- */

START_TEST(page_locked_memory_is_read_late)
{
  char *host = pinned_memory(1);
  const CUdeviceptr memory = device_memory(1);
  host[0] = 'a';
  upload(memory, host, 1);
  host[0] = 'b';
  char seen = 0;
  download(&seen, memory, 1);
  ck_assert_int_eq(seen, 'b');
}
END_TEST

START_TEST(pageable_memory_is_read_at_once)
{
  char host = 'a', seen = 0;
  const CUdeviceptr memory = device_memory(1);
  upload(memory, &host, 1);
  host = 'b';
  download(&seen, memory, 1);
  ck_assert_int_eq(seen, 'a');
}
END_TEST

START_TEST(page_locked_memory_is_written_late)
{
  char *host = pinned_memory(1), value = 'x';
  host[0] = 'a';
  const CUdeviceptr memory = device_memory(1);
  upload(memory, &value, 1);
  wait_for_queue();
  download(host, memory, 1);
  ck_assert_int_eq(host[0], 'a');
  wait_for_queue();
  ck_assert_int_eq(host[0], 'x');
}
END_TEST

START_TEST(page_locked_memory_outlives_its_copies)
{
  char *host = pinned_memory(64);
  const CUdeviceptr memory = device_memory(64);
  emulator_seed(2);
  upload(memory, host, 64);
  ck_assert_int_eq(cuMemFreeHost(host), CUDA_SUCCESS);
  ck_assert_int_eq(cuStreamSynchronize(queue), CUDA_ERROR_ILLEGAL_ADDRESS);
  expect_violation("freed before the copy ran");
}
END_TEST

/* Work runs at some call or other before the sync: at which one, the seed says. */
START_TEST(work_runs_at_random_moments)
{
  char *host = pinned_memory(1);
  const CUdeviceptr memory = device_memory(1);
  int early = 0;
  for (uint64_t seed = 1; seed <= 64; seed++) {
    emulator_seed(seed);
    host[0] = 'a';
    upload(memory, host, 1);
    int version;
    ck_assert_int_eq(cuDriverGetVersion(&version), CUDA_SUCCESS);
    host[0] = 'b';
    char seen = 0;
    download(&seen, memory, 1);
    early += seen == 'a';
  }
  ck_assert_int_gt(early, 4);
  ck_assert_int_lt(early, 48);
}
END_TEST

START_TEST(events_mark_their_place)
{
  CUevent marker;
  ck_assert_int_eq(cuEventCreate(&marker, CU_EVENT_DISABLE_TIMING), CUDA_SUCCESS);
  char *host = pinned_memory(1);
  const CUdeviceptr memory = device_memory(1);
  host[0] = 'a';
  upload(memory, host, 1);
  ck_assert_int_eq(cuEventRecord(marker, queue), CUDA_SUCCESS);
  ck_assert_int_eq(cuEventSynchronize(marker), CUDA_SUCCESS);
  host[0] = 'b'; /* the copy has run */
  char seen = 0;
  download(&seen, memory, 1);
  ck_assert_int_eq(seen, 'a');
  float milliseconds;
  ck_assert_int_eq(cuEventElapsedTime(&milliseconds, marker, marker), CUDA_ERROR_INVALID_HANDLE);
  ck_assert_int_eq(cuEventDestroy_v2(marker), CUDA_SUCCESS);
  ck_assert_int_eq(cuEventSynchronize(marker), CUDA_ERROR_INVALID_HANDLE);
  expect_violation("destroyed event");
}
END_TEST

/* ---- Handles and enumerations ---- */

START_TEST(wrong_handles_are_refused)
{
  ck_assert_int_eq(cuStreamSynchronize((CUstream)(uintptr_t)0x7777), CUDA_ERROR_INVALID_HANDLE);
  expect_violation("is no stream");
  CUstream another;
  ck_assert_int_eq(cuStreamCreate(&another, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
  ck_assert_int_eq(cuStreamDestroy_v2(another), CUDA_SUCCESS);
  ck_assert_int_eq(cuStreamSynchronize(another), CUDA_ERROR_INVALID_HANDLE);
  expect_violation("destroyed stream");
  ck_assert_int_eq(cuEventRecord((CUevent)(void *)queue, queue), CUDA_ERROR_INVALID_HANDLE);
  expect_violation("not a live event");
  ck_assert_int_eq(cublasDestroy_v2(NULL), CUBLAS_STATUS_NOT_INITIALIZED);
  expect_violation("is no cuBLAS handle");
}
END_TEST

START_TEST(wrong_enumerations_are_refused)
{
  CUstream another;
  ck_assert_int_eq(cuStreamCreate(&another, 8), CUDA_ERROR_INVALID_VALUE);
  expect_violation("flags 0x8");
  int value;
  ck_assert_int_eq(cuDeviceGetAttribute(&value, 9999, 0), CUDA_ERROR_INVALID_VALUE);
  expect_violation("attribute 9999");
}
END_TEST

START_TEST(calls_need_a_current_context)
{
  CUcontext popped;
  ck_assert_int_eq(cuCtxPopCurrent_v2(&popped), CUDA_SUCCESS);
  CUdeviceptr memory;
  ck_assert_int_eq(cuMemAlloc_v2(&memory, 4), CUDA_ERROR_INVALID_CONTEXT);
  ck_assert_int_eq(cuCtxPopCurrent_v2(&popped), CUDA_ERROR_INVALID_CONTEXT);
  ck_assert_int_eq(cuCtxPushCurrent_v2(context), CUDA_SUCCESS);
}
END_TEST

START_TEST(leaks_are_counted)
{
  ck_assert_int_eq(cuStreamDestroy_v2(queue), CUDA_SUCCESS);
  const int before = emulator_leaks(); /* the context */
  ck_assert_int_eq(before, 1);
  const CUdeviceptr memory = device_memory(4);
  void *host = pinned_memory(4);
  CUevent marker;
  ck_assert_int_eq(cuEventCreate(&marker, CU_EVENT_DEFAULT), CUDA_SUCCESS);
  ck_assert_int_eq(emulator_leaks(), before + 3);
  ck_assert_int_eq(cuMemFree_v2(memory), CUDA_SUCCESS);
  ck_assert_int_eq(cuMemFreeHost(host), CUDA_SUCCESS);
  ck_assert_int_eq(emulator_leaks(), before + 1);
  /* What is alive when its context ends stays on the account. */
  ck_assert_int_eq(cuCtxPopCurrent_v2(NULL), CUDA_SUCCESS);
  ck_assert_int_eq(cuDevicePrimaryCtxRelease_v2(0), CUDA_SUCCESS);
  ck_assert_int_eq(emulator_leaks(), 1);
}
END_TEST

/* ---- Kernels ---- */

static void ends_early(void *const *buffers, const void *parameters)
{
  (void)buffers, (void)parameters;
  if (current_place.item != 3)
    launch_barrier();
}

static void has_a_barrier(void *const *buffers, const void *parameters)
{
  (void)buffers, (void)parameters;
  launch_barrier();
}

static const int64_t one_group[3] = {1, 1, 1};

START_TEST(divergence_at_a_barrier_is_caught)
{
  const emulated_kernel kernel = {"ends_early", 0, 0, KERNEL_BARRIERS, ends_early, true};
  ck_assert(!launch_run(&kernel, one_group, NULL, NULL));
  expect_violation("ends_early: 1 work-items of a group ended while 31 wait");
  ck_assert_int_eq(cuStreamSynchronize(queue), CUDA_ERROR_LAUNCH_FAILED);
}
END_TEST

START_TEST(a_plain_kernel_has_no_barrier)
{
  const emulated_kernel kernel = {"has_a_barrier", 0, 0, KERNEL_PLAIN, has_a_barrier, true};
  ck_assert(!launch_run(&kernel, one_group, NULL, NULL));
  expect_violation("says that it is plain");
  ck_assert_int_eq(cuStreamSynchronize(queue), CUDA_ERROR_LAUNCH_FAILED);
}
END_TEST

/* Sums by halves in memory that all share, right only if every barrier holds all back. */
static void sums_by_halves(void *const *buffers, const void *parameters)
{
  static int sums[EMULATOR_GROUP_SIZE];
  (void)parameters;
  int item = current_place.item;
  sums[item] = item + 1;
  for (int width = EMULATOR_GROUP_SIZE / 2; width > 0; width /= 2) {
    launch_barrier();
    if (item < width)
      sums[item] += sums[item + width];
  }
  launch_barrier();
  if (item == 0)
    ((int *)buffers[0])[current_place.group[0]] = sums[0];
}

START_TEST(barriers_hold_all_back)
{
  const emulated_kernel kernel = {"sums_by_halves", 1, 0, KERNEL_BARRIERS, sums_by_halves, true};
  int results[100] = {0};
  void *const buffers[1] = {results};
  for (uint64_t seed = 1; seed < 20; seed++) {
    emulator_seed(seed);
    const int64_t groups[3] = {100, 1, 1};
    ck_assert(launch_run(&kernel, groups, buffers, NULL));
    for (int i = 0; i < 100; i++)
      ck_assert_int_eq(results[i], EMULATOR_GROUP_SIZE * (EMULATOR_GROUP_SIZE + 1) / 2);
    memset(results, 0, sizeof results);
  }
}
END_TEST

/* A sum in the order of arrival, and which work-item came first. */
static void remembers_the_first(void *const *buffers, const void *parameters)
{
  (void)parameters;
  int *seen = buffers[0];
  if (seen[0]++ == 0)
    seen[1] = (int)current_place.group[1] * EMULATOR_GROUP_SIZE + current_place.item;
}

START_TEST(the_order_is_another_with_each_seed)
{
  for (int barriers = 0; barriers < 2; barriers++) {
    const emulated_kernel kernel = {"remembers_the_first", 1,   0, barriers == 1,
                                    remembers_the_first,   true};
    const int64_t groups[3] = {3, 4, 5};
    bool is_first[4 * EMULATOR_GROUP_SIZE] = {false};
    int different = 0;
    for (uint64_t seed = 1; seed <= 32; seed++) {
      emulator_seed(seed);
      int seen[2] = {0, -1};
      void *const buffers[1] = {seen};
      ck_assert(launch_run(&kernel, groups, buffers, NULL));
      ck_assert_int_eq(seen[0], 3 * 4 * 5 * EMULATOR_GROUP_SIZE);
      different += !is_first[seen[1]];
      is_first[seen[1]] = true;
    }
    ck_assert_int_gt(different, 10);
  }
}
END_TEST

/* What belongs to one device is of no use to another. */
START_TEST(devices_are_apart)
{
  CUcontext other;
  size_t free_bytes[2], total;
  setenv("CUDA_EMULATOR_DEVICES", "2", 1);
  const CUdeviceptr memory = device_memory(4096);
  ck_assert_int_eq(cuMemGetInfo_v2(&free_bytes[0], &total), CUDA_SUCCESS);
  ck_assert_uint_eq(free_bytes[0], total - 4096);
  ck_assert_int_eq(cuDevicePrimaryCtxRetain(&other, 1), CUDA_SUCCESS);
  ck_assert_int_eq(cuCtxPushCurrent_v2(other), CUDA_SUCCESS);
  ck_assert_int_eq(cuMemGetInfo_v2(&free_bytes[1], &total), CUDA_SUCCESS);
  ck_assert_uint_eq(free_bytes[1], total);
  ck_assert_int_eq(cuStreamSynchronize(queue), CUDA_ERROR_INVALID_HANDLE);
  expect_violation("belongs to device 0, and device 1 is current");
  ck_assert_int_ne(cuMemcpyHtoDAsync_v2(memory, "x", 1, NULL), CUDA_SUCCESS);
  expect_violation("is memory of device 0, not of device 1");
  ck_assert_int_eq(cuCtxPopCurrent_v2(NULL), CUDA_SUCCESS);
  ck_assert_int_eq(cuDevicePrimaryCtxRelease_v2(1), CUDA_SUCCESS); /* and leaves the first alone */
  ck_assert_int_eq(cuStreamSynchronize(queue), CUDA_SUCCESS);
  ck_assert_int_eq(cuMemFree_v2(memory), CUDA_SUCCESS);
}
END_TEST

START_TEST(launches_are_checked)
{
  CUmodule module;
  CUfunction function;
  ck_assert_int_eq(cuModuleLoadData(&module, ".version 7.0"), CUDA_SUCCESS);
  ck_assert_int_eq(cuModuleGetFunction(&function, module, "no such kernel"), CUDA_ERROR_NOT_FOUND);
  /* OpenCL's alone */
  ck_assert_int_eq(cuModuleGetFunction(&function, module, "low_rank_outer"), CUDA_ERROR_NOT_FOUND);
  ck_assert_int_eq(cuModuleGetFunction(&function, module, emulated_kernels[0].name), CUDA_SUCCESS);
  ck_assert_int_eq(cuLaunchKernel(function, 0, 1, 1, 32, 1, 1, 0, queue, NULL, NULL),
                   CUDA_ERROR_INVALID_VALUE);
  expect_violation("on 0 x 1 x 1 groups");
  ck_assert_int_eq(cuLaunchKernel(function, 1, 65536, 1, 32, 1, 1, 0, queue, NULL, NULL),
                   CUDA_ERROR_INVALID_VALUE);
  expect_violation("on 1 x 65536 x 1 groups");
  ck_assert_int_eq(cuLaunchKernel(function, 1, 1, 1, 64, 1, 1, 0, queue, NULL, NULL),
                   CUDA_ERROR_INVALID_VALUE);
  expect_violation("by 64 x 1 x 1 work-items");
  ck_assert_int_eq(cuModuleUnload(module), CUDA_SUCCESS);
  ck_assert_int_eq(cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, queue, NULL, NULL),
                   CUDA_ERROR_INVALID_HANDLE);
  expect_violation("destroyed function");
}
END_TEST

/* ---- Capture ---- */

static void begin_capture(void)
{
  ck_assert_int_eq(cuStreamBeginCapture_v2(queue, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
}

/* After a refusal the capture is over, and the stream works again. */
static void expect_invalidated(void)
{
  CUgraph graph;
  ck_assert_int_eq(cuStreamEndCapture(queue, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  ck_assert_ptr_null(graph);
  wait_for_queue();
}

START_TEST(a_capture_allows_no_allocation)
{
  begin_capture();
  CUdeviceptr memory;
  ck_assert_int_eq(cuMemAlloc_v2(&memory, 4), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  expect_invalidated();
  begin_capture();
  void *host;
  ck_assert_int_eq(cuMemAllocHost_v2(&host, 4), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  expect_invalidated();
}
END_TEST

START_TEST(a_capture_allows_no_waiting)
{
  begin_capture();
  ck_assert_int_eq(cuStreamSynchronize(queue), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  expect_invalidated();
}
END_TEST

START_TEST(a_capture_allows_no_pageable_copies)
{
  char host[4] = {0};
  const CUdeviceptr memory = device_memory(4);
  begin_capture();
  ck_assert_int_eq(cuMemcpyHtoDAsync_v2(memory, host, 4, queue),
                   CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  expect_invalidated();
  begin_capture();
  ck_assert_int_eq(cuMemcpyDtoHAsync_v2(host, memory, 4, queue),
                   CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  expect_invalidated();
}
END_TEST

static CUgraphExec end_capture(void)
{
  CUgraph graph;
  CUgraphExec executable;
  ck_assert_int_eq(cuStreamEndCapture(queue, &graph), CUDA_SUCCESS);
  ck_assert_int_eq(cuGraphInstantiateWithFlags(&executable, graph, 0), CUDA_SUCCESS);
  ck_assert_int_eq(cuGraphDestroy(graph), CUDA_SUCCESS);
  return executable;
}

START_TEST(a_graph_runs_when_launched)
{
  char *host = pinned_memory(1), seen = 0;
  const CUdeviceptr memory = device_memory(1);
  host[0] = 'x';
  upload(memory, "0", 1);
  wait_for_queue();
  begin_capture();
  upload(memory, host, 1);
  CUgraphExec graph = end_capture();
  download(&seen, memory, 1);
  ck_assert_int_eq(seen, '0'); /* recorded, not run */
  for (char value = 'a'; value < 'd'; value++) {
    host[0] = value;
    ck_assert_int_eq(cuGraphLaunch(graph, queue), CUDA_SUCCESS);
    download(&seen, memory, 1);
    ck_assert_int_eq(seen, value);
  }
  ck_assert_int_eq(cuGraphLaunch(graph, queue), CUDA_SUCCESS);
  ck_assert_int_eq(cuGraphExecDestroy(graph), CUDA_SUCCESS); /* before it has run */
  wait_for_queue();
  ck_assert_int_eq(cuGraphLaunch(graph, queue), CUDA_ERROR_INVALID_HANDLE);
  expect_violation("destroyed executable graph");
}
END_TEST

START_TEST(a_graph_needs_its_memory)
{
  char *host = pinned_memory(1);
  const CUdeviceptr memory = device_memory(1);
  begin_capture();
  upload(memory, host, 1);
  CUgraphExec graph = end_capture();
  ck_assert_int_eq(cuMemFree_v2(memory), CUDA_SUCCESS);
  ck_assert_int_eq(cuGraphLaunch(graph, queue), CUDA_SUCCESS);
  ck_assert_int_eq(cuStreamSynchronize(queue), CUDA_ERROR_ILLEGAL_ADDRESS);
  expect_violation("of freed memory");
}
END_TEST

/* ---- cuBLAS ---- */

enum { ORDER = 4 };

/* c = a b of ORDER x ORDER matrices at memory, memory + 1 KiB and memory + 2 KiB. */
static cublasStatus_t enqueue_product(cublasHandle_t blas, CUdeviceptr memory, cudaDataType type,
                                      cublasComputeType_t compute)
{
  const float one = 1, zero = 0;
  const double one_double = 1, zero_double = 0;
  const bool is_double = compute == CUBLAS_COMPUTE_64F;
  void *a = (void *)(uintptr_t)memory, *b = (char *)a + 1024, *c = (char *)a + 2048;
  const cudaDataType out = type == CUDA_R_16BF ? CUDA_R_32F : type;
  return cublasGemmStridedBatchedEx(blas, CUBLAS_OP_N, CUBLAS_OP_N, ORDER, ORDER, ORDER,
                                    is_double ? (const void *)&one_double : &one, a, type, ORDER, 0,
                                    b, type, ORDER, 0,
                                    is_double ? (const void *)&zero_double : &zero, c, out, ORDER,
                                    0, 1, compute, CUBLAS_GEMM_DEFAULT);
}

START_TEST(a_capture_needs_a_workspace_and_set_stream_drops_it)
{
  cublasHandle_t blas;
  const CUdeviceptr memory = device_memory(3072), workspace = device_memory(4096);
  ck_assert_int_eq(cublasCreate_v2(&blas), CUBLAS_STATUS_SUCCESS);
  ck_assert_int_eq(cublasSetWorkspace_v2(blas, (void *)(uintptr_t)workspace, 4096),
                   CUBLAS_STATUS_SUCCESS);
  ck_assert_int_eq(cublasSetStream_v2(blas, queue), CUBLAS_STATUS_SUCCESS);
  begin_capture();
  ck_assert_int_eq(enqueue_product(blas, memory, CUDA_R_32F, CUBLAS_COMPUTE_32F),
                   CUBLAS_STATUS_ALLOC_FAILED);
  expect_invalidated();
  ck_assert_int_eq(cublasSetWorkspace_v2(blas, (void *)(uintptr_t)workspace, 4096),
                   CUBLAS_STATUS_SUCCESS);
  begin_capture();
  ck_assert_int_eq(enqueue_product(blas, memory, CUDA_R_32F, CUBLAS_COMPUTE_32F),
                   CUBLAS_STATUS_SUCCESS);
  CUgraphExec graph = end_capture();
  ck_assert_int_eq(cuGraphLaunch(graph, queue), CUDA_SUCCESS);
  wait_for_queue();
  /* The workspace is written, so it must still be there. */
  ck_assert_int_eq(cuMemFree_v2(workspace), CUDA_SUCCESS);
  ck_assert_int_eq(cuGraphLaunch(graph, queue), CUDA_SUCCESS);
  ck_assert_int_eq(cuStreamSynchronize(queue), CUDA_ERROR_ILLEGAL_ADDRESS);
  expect_violation("workspace");
}
END_TEST

START_TEST(wrong_products_are_refused)
{
  cublasHandle_t blas;
  const CUdeviceptr memory = device_memory(3072);
  ck_assert_int_eq(cublasCreate_v2(&blas), CUBLAS_STATUS_SUCCESS);
  ck_assert_int_eq(cublasSetStream_v2(blas, queue), CUBLAS_STATUS_SUCCESS);
  ck_assert_int_eq(enqueue_product(blas, memory, CUDA_R_64F, CUBLAS_COMPUTE_32F),
                   CUBLAS_STATUS_NOT_SUPPORTED);
  expect_violation("with compute type");
  ck_assert_int_eq(enqueue_product(blas, memory + 2, CUDA_R_32F, CUBLAS_COMPUTE_32F),
                   CUBLAS_STATUS_INVALID_VALUE);
  expect_violation("invalid arguments");
  ck_assert_int_eq(enqueue_product(blas, memory + 1024, CUDA_R_32F, CUBLAS_COMPUTE_32F),
                   CUBLAS_STATUS_SUCCESS);
  ck_assert_int_eq(cuStreamSynchronize(queue), CUDA_ERROR_ILLEGAL_ADDRESS);
  expect_violation("cublasGemm");
}
END_TEST

static uint16_t bf16_of(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (uint16_t)(bits >> 16);
}

/* 1 + 2^-11 has no 10 bits of mantissa: TF32 rounds it to 1 + 2^-10, float32 keeps it. */
START_TEST(products_round_as_the_device_does)
{
  cublasHandle_t blas;
  const CUdeviceptr memory = device_memory(3072);
  ck_assert_int_eq(cublasCreate_v2(&blas), CUBLAS_STATUS_SUCCESS);
  ck_assert_int_eq(cublasSetStream_v2(blas, queue), CUBLAS_STATUS_SUCCESS);
  const float fine = 1 + 0x1p-11f;
  float a[ORDER * ORDER], b[ORDER * ORDER] = {0}, c[ORDER * ORDER];
  for (int i = 0; i < ORDER * ORDER; i++)
    a[i] = fine * (float)(1 << (i % 7));
  for (int i = 0; i < ORDER; i++)
    b[i * ORDER + (i + 1) % ORDER] = 3; /* column i of c: three times column i + 1 of a */
  upload(memory, a, sizeof a);
  upload(memory + 1024, b, sizeof b);
  for (int tf32 = 0; tf32 < 2; tf32++) {
    ck_assert_int_eq(enqueue_product(blas, memory, CUDA_R_32F,
                                     tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F),
                     CUBLAS_STATUS_SUCCESS);
    download(c, memory + 2048, sizeof c);
    for (int i = 0; i < ORDER * ORDER; i++) {
      const int from = (i / ORDER + 1) % ORDER * ORDER + i % ORDER;
      const float value = (tf32 ? 1 + 0x1p-10f : fine) * (float)(1 << (from % 7));
      ck_assert(c[i] == 3 * value);
    }
  }
  uint16_t a_bf16[ORDER * ORDER], b_bf16[ORDER * ORDER];
  for (int i = 0; i < ORDER * ORDER; i++) {
    a_bf16[i] = bf16_of((float)(i + 1));
    b_bf16[i] = bf16_of(b[i]);
  }
  upload(memory, a_bf16, sizeof a_bf16);
  upload(memory + 1024, b_bf16, sizeof b_bf16);
  ck_assert_int_eq(enqueue_product(blas, memory, CUDA_R_16BF, CUBLAS_COMPUTE_32F),
                   CUBLAS_STATUS_SUCCESS);
  download(c, memory + 2048, sizeof c);
  for (int i = 0; i < ORDER * ORDER; i++)
    ck_assert(c[i] == (float)(3 * ((i / ORDER + 1) % ORDER * ORDER + i % ORDER + 1)));
}
END_TEST

/* ---- cuSOLVER ---- */

START_TEST(singular_values_of_a_known_matrix)
{
  cusolverDnHandle_t solver;
  ck_assert_int_eq(cusolverDnCreate(&solver), CUSOLVER_STATUS_SUCCESS);
  ck_assert_int_eq(cusolverDnSetStream(solver, queue), CUSOLVER_STATUS_SUCCESS);
  int work_size;
  ck_assert_int_eq(cusolverDnDgesvd_bufferSize(solver, 3, 2, &work_size), CUSOLVER_STATUS_SUCCESS);
  const double a[6] = {3, 0, 0, 0, 0, -5}; /* columns (3, 0, 0) and (0, 0, -5) */
  const CUdeviceptr memory = device_memory(1024), scratch = device_memory(8 * (size_t)work_size);
  upload(memory, a, sizeof a);
  char *base = (char *)(uintptr_t)memory;
  ck_assert_int_eq(cusolverDnDgesvd(solver, 'S', 'S', 3, 2, (void *)base, 3, (void *)(base + 256),
                                    (void *)(base + 320), 3, (void *)(base + 384), 2,
                                    (double *)(uintptr_t)scratch, work_size, NULL,
                                    (int *)(void *)(base + 512)),
                   CUSOLVER_STATUS_SUCCESS);
  double values[2];
  int info;
  download(values, memory + 256, sizeof values);
  download(&info, memory + 512, sizeof info);
  ck_assert_int_eq(info, 0);
  ck_assert(fabs(values[0] - 5) < 1e-14 && fabs(values[1] - 3) < 1e-14);
  ck_assert_int_eq(cusolverDnDgesvd(solver, 'S', 'S', 2, 3, (void *)base, 2, (void *)(base + 256),
                                    (void *)(base + 320), 2, (void *)(base + 384), 3,
                                    (double *)(uintptr_t)scratch, work_size, NULL,
                                    (int *)(void *)(base + 512)),
                   CUSOLVER_STATUS_INVALID_VALUE);
  expect_violation("2 x 3");
}
END_TEST

/* ---- Failures on request ---- */

START_TEST(a_call_fails_on_request)
{
  emulator_fail_at("cuMemAlloc_v2", 2);
  const CUdeviceptr first = device_memory(4);
  CUdeviceptr second;
  ck_assert_int_eq(cuMemAlloc_v2(&second, 4), CUDA_ERROR_OUT_OF_MEMORY);
  ck_assert_str_eq(emulator_failed_call(), "cuMemAlloc_v2");
  second = device_memory(4); /* one alone fails */
  emulator_fail_at("*", 3);
  ck_assert_int_eq(cuMemFree_v2(first), CUDA_SUCCESS);
  wait_for_queue();
  const int before = emulator_leaks();
  ck_assert_int_ne(cuMemFree_v2(second), CUDA_SUCCESS); /* freed all the same */
  ck_assert_int_eq(emulator_leaks(), before - 1);
  ck_assert_int_eq((int)emulator_calls(), 3);
  ck_assert_int_eq(emulator_violations(), 0);
}
END_TEST

START_TEST(work_faults_on_request)
{
  const CUdeviceptr memory = device_memory(4);
  emulator_fail_at("late", 2);
  upload(memory, "abc", 4);
  upload(memory, "def", 4);
  upload(memory, "ghi", 4);
  ck_assert_int_eq(cuStreamSynchronize(queue), CUDA_ERROR_ILLEGAL_ADDRESS);
  ck_assert_int_eq(cuStreamSynchronize(queue), CUDA_ERROR_ILLEGAL_ADDRESS);
  ck_assert_int_eq((int)emulator_works(), 2);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *const *tests, size_t count)
{
  TCase *group = tcase_create(name);
  tcase_set_timeout(group, 60);
  tcase_add_checked_fixture(group, open_device, close_device);
  for (size_t i = 0; i < count; i++)
    tcase_add_test(group, tests[i]);
  suite_add_tcase(suite, group);
}
#define ADD(suite, name, ...)                      \
  add(suite, name, (const TTest *[]){__VA_ARGS__}, \
      sizeof(const TTest *[]){__VA_ARGS__} / sizeof(const TTest *))

int main(void)
{
  Suite *suite = suite_create("CUDA emulator");
  ADD(suite, "memory", host_cannot_follow_a_device_pointer, fresh_memory_is_nan,
      addresses_are_not_given_again, copies_stay_within_an_allocation,
      freed_memory_is_not_used_by_later_work, memory_is_freed_once, memory_runs_out);
  ADD(suite, "work", page_locked_memory_is_read_late, pageable_memory_is_read_at_once,
      page_locked_memory_is_written_late, page_locked_memory_outlives_its_copies,
      work_runs_at_random_moments, events_mark_their_place);
  ADD(suite, "handles", wrong_handles_are_refused, wrong_enumerations_are_refused,
      calls_need_a_current_context, leaks_are_counted);
  ADD(suite, "kernels", divergence_at_a_barrier_is_caught, a_plain_kernel_has_no_barrier,
      barriers_hold_all_back, the_order_is_another_with_each_seed, devices_are_apart,
      launches_are_checked);
  ADD(suite, "capture", a_capture_allows_no_allocation, a_capture_allows_no_waiting,
      a_capture_allows_no_pageable_copies, a_graph_runs_when_launched, a_graph_needs_its_memory);
  ADD(suite, "cuBLAS", a_capture_needs_a_workspace_and_set_stream_drops_it,
      wrong_products_are_refused, products_round_as_the_device_does);
  ADD(suite, "cuSOLVER", singular_values_of_a_known_matrix);
  ADD(suite, "failures", a_call_fails_on_request, work_faults_on_request);
  return run_suite(suite);
}
