/* The CUDA backend's host code, on the emulator: devices, memory, transfers, recorded work, foreign
 * objects, errors. What the ops compute is the conformance suite's. */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/types.h"
#include "condlora/backend.h"
#include "condlora/log.h"
#include "tests/cuda/emulated.h"
#include "tests/run_suite.h"

static cdl_backend *backend;
static cdl_queue *queue;

/* ---- The emulator ---- */

/* A local variable of this name: a function of the emulated driver. */
#define DRIVER(name, parameters) \
  CUresult(*name) parameters;    \
  *(void **)(void *)&name = emulated_symbol(#name)

/* ---- Opening and closing ---- */

static void open_with(const char *name, cdl_precision precision)
{
  const cdl_backend_options options = {.size = sizeof options, .precision = precision};
  ck_assert_msg(cdl_backend_open(name, &options, &backend) == CDL_STATUS_OK, "%s",
                cdl_error_message());
  ck_assert_msg(cdl_queue_create(backend, &queue) == CDL_STATUS_OK, "%s", cdl_error_message());
}

static void close_it(void)
{
  cdl_queue_destroy(queue);
  ck_assert_msg(cdl_backend_close(backend) == CDL_STATUS_OK, "%s", cdl_error_message());
  ck_assert_int_eq(emulated_count("emulator_leaks"), 0);
  ck_assert_int_eq(emulated_count("emulator_violations"), 0);
}

static void assert_message(const char *word)
{
  ck_assert_msg(strstr(cdl_error_message(), word) != NULL, "'%s' lacks '%s'", cdl_error_message(),
                word);
}

static cdl_buffer *buffer_of(size_t bytes)
{
  cdl_buffer *buffer;
  ck_assert_msg(cdl_buffer_create(backend, bytes, &buffer) == CDL_STATUS_OK, "%s",
                cdl_error_message());
  return buffer;
}

static void sync_it(void)
{
  ck_assert_msg(cdl_queue_sync(queue) == CDL_STATUS_OK, "%s", cdl_error_message());
}

static cdl_tensor bytes_of(cdl_buffer *buffer, size_t offset, size_t bytes)
{
  return cdl_tensor_1d(buffer, CDL_DTYPE_U8, (int64_t)offset, (int64_t)bytes);
}

static cdl_tensor vector(cdl_buffer *buffer, int64_t count)
{
  return cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, count);
}

static void fill(cdl_tensor out, double value)
{
  cdl_fill(queue, CDL_ARGS(fill, .out = out, .value = value));
}

static float first_of(cdl_tensor x)
{
  float value = NAN;
  cdl_queue_download(queue, &value, cdl_tensor_columns(x, 0, 1), sizeof value);
  sync_it();
  return value;
}

/* ---- Devices and precisions ---- */

START_TEST(devices_by_number_and_name)
{
  static const char *const good[] = {"cuda", "cuda:0", "cuda:EMUL", "cuda:condlora cuda"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    open_with(good[i], CDL_PRECISION_FP32);
    ck_assert_ptr_nonnull(
        strstr(cdl_backend_description(backend), "condlora CUDA emulator, sm_80"));
    close_it();
  }
  static const struct {
    const char *name, *message;
  } bad[] = {{"cuda:1", "no device 1, only 0 to 0"},
             {"cuda:99999999999999999999", "has '99999999999999999999'"},
             {"cuda:0x", "has '0x' in its name"},
             {"cuda:A100", "none of the 1 devices has 'A100'"}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    ck_assert_int_eq(cdl_backend_open(bad[i].name, NULL, &backend), CDL_STATUS_ABSENT);
    assert_message(bad[i].message);
  }
}
END_TEST

START_TEST(relative_folder_is_refused)
{
  char *folder = strdup(getenv("CDL_CUDA_LIBRARIES"));
  setenv("CDL_CUDA_LIBRARIES", "somewhere", 1);
  ck_assert_int_eq(cdl_backend_open("cuda", NULL, &backend), CDL_STATUS_ABSENT);
  assert_message("'somewhere' is not an absolute path");
  setenv("CDL_CUDA_LIBRARIES", folder, 1);
  free(folder);
}
END_TEST

/* [1, 1] x [1, 2]ᵀ with elements that TF32 and BF16 cannot hold. */
static double product_of(double x, double w, bool frozen)
{
  cdl_buffer *buffer = buffer_of(12);
  const float values[] = {(float)x, (float)w, 0};
  cdl_queue_upload(queue, vector(buffer, 3), values, sizeof values);
  const cdl_tensor left = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 0, 1, 1);
  const cdl_tensor right = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 1, 1, 1);
  cdl_tensor out = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 2, 1, 1);
  if (frozen) {
    cdl_weight *weight;
    ck_assert_int_eq(cdl_weight_create(queue, &right, 1, &weight), CDL_STATUS_OK);
    cdl_linear(queue, CDL_ARGS(linear, .out = out, .x = left, .weight = weight));
    sync_it();
    cdl_weight_destroy(weight);
  } else {
    cdl_gemm(queue, CDL_ARGS(gemm, .out = out, .a = left, .b = right, .alpha = 1));
  }
  const double result = (double)first_of(out);
  cdl_buffer_destroy(buffer);
  return result;
}

START_TEST(precision_rounds_operands)
{
  const double ulp10 = 0x1p-10, beyond = 1 + 0x1p-12; /* TF32 keeps 10 bits, BF16 7 */
  static const char *const names[] = {"fp32", "tf32", "bf16"};
  for (cdl_precision p = CDL_PRECISION_FP32; p <= CDL_PRECISION_BF16; p++) {
    open_with("cuda", p);
    ck_assert_ptr_nonnull(strstr(cdl_backend_description(backend), names[p]));
    ck_assert_double_eq(product_of(beyond, 1, false), p == CDL_PRECISION_FP32 ? beyond : 1);
    ck_assert_double_eq(product_of(beyond, 1, true), p == CDL_PRECISION_FP32 ? beyond : 1);
    ck_assert_double_eq(product_of(1 + ulp10, 1, false), 1 + ulp10);
    ck_assert_double_eq(product_of(1 + ulp10, 1, true), p == CDL_PRECISION_BF16 ? 1 : 1 + ulp10);
    ck_assert_double_eq(product_of(1, 1 + ulp10, true), p == CDL_PRECISION_BF16 ? 1 : 1 + ulp10);
    close_it();
  }
}
END_TEST

/* ---- Transfers ---- */

static unsigned char pattern(size_t i, unsigned seed)
{
  return (unsigned char)((i * 131 + (i >> 8) * 17 + seed) & 0xff);
}

/* Up and down again; the source is overwritten as soon as upload has returned. */
static void round_trip(cdl_buffer *buffer, unsigned char *host, size_t offset, size_t bytes,
                       unsigned seed)
{
  for (size_t i = 0; i < bytes; i++)
    host[i] = pattern(i, seed);
  cdl_queue_upload(queue, bytes_of(buffer, offset, bytes), host, bytes);
  memset(host, 0xee, bytes);
  cdl_queue_download(queue, host, bytes_of(buffer, offset, bytes), bytes);
  sync_it();
  for (size_t i = 0; i < bytes; i++)
    if (host[i] != pattern(i, seed))
      ck_abort_msg("byte %zu of %zu from %zu is wrong", i, bytes, offset);
}

START_TEST(transfers_of_all_sizes)
{
  const size_t slot = 1 << 20, most = 10 * slot;
  const size_t sizes[] = {1, 3, 64, 4097, slot - 1, slot, slot + 1, 3 * slot, most};
  open_with("cuda", CDL_PRECISION_FP32);
  cdl_buffer *buffer = buffer_of(most + 7);
  unsigned char *pageable = malloc(most);
  void *pinned;
  ck_assert_int_eq(cdl_host_allocate(backend, most, &pinned), CDL_STATUS_OK);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    round_trip(buffer, pageable, i % 8, sizes[i], (unsigned)i);
    round_trip(buffer, pinned, i % 8, sizes[i], (unsigned)i + 100);
  }
  cdl_host_free(backend, pinned);
  free(pageable);
  cdl_buffer_destroy(buffer);
  close_it();
}
END_TEST

/* More than the ring holds, and more downloads than one piece of memory, without a sync between. */
START_TEST(many_small_transfers)
{
  enum { COUNT = 3000, BYTES = 5000 };
  open_with("cuda", CDL_PRECISION_FP32);
  cdl_buffer *buffer = buffer_of((size_t)COUNT * BYTES);
  unsigned char *host = malloc(BYTES), *all = malloc((size_t)COUNT * BYTES);
  for (unsigned k = 0; k < COUNT; k++) {
    memset(host, (int)(k % 251), BYTES);
    cdl_queue_upload(queue, bytes_of(buffer, (size_t)k * BYTES, BYTES), host, BYTES);
  }
  for (unsigned k = 0; k < COUNT; k++)
    cdl_queue_download(queue, all + (size_t)k * BYTES, bytes_of(buffer, (size_t)k * BYTES, BYTES),
                       BYTES);
  sync_it();
  for (size_t i = 0; i < (size_t)COUNT * BYTES; i++)
    if (all[i] != i / BYTES % 251)
      ck_abort_msg("byte %zu is wrong", i);
  free(all);
  free(host);
  cdl_buffer_destroy(buffer);
  close_it();
}
END_TEST

/* ---- Memory ---- */

static uint32_t draw(uint32_t *state)
{
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

/* Buffers of all sizes come and go; none may change another's first and last element. */
START_TEST(memory_comes_and_goes)
{
  enum { LIVE = 24, ROUNDS = 250 };
  cdl_buffer *live[LIVE] = {NULL};
  int64_t count[LIVE];
  float value[LIVE];
  uint32_t state = 7;
  open_with("cuda", CDL_PRECISION_FP32);
  for (int round = 0; round < ROUNDS; round++) {
    const uint32_t i = draw(&state) % LIVE;
    if (live[i] != NULL) {
      float ends[2];
      cdl_queue_download(queue, &ends[0], cdl_tensor_columns(vector(live[i], count[i]), 0, 1),
                         sizeof(float));
      cdl_queue_download(queue, &ends[1],
                         cdl_tensor_columns(vector(live[i], count[i]), count[i] - 1, 1),
                         sizeof(float));
      sync_it();
      ck_assert_float_eq(ends[0], value[i]);
      ck_assert_float_eq(ends[1], value[i]);
      cdl_buffer_destroy(live[i]);
      live[i] = NULL;
      continue;
    }
    count[i] = 1 + draw(&state) % (draw(&state) % 4 == 0 ? 900000 : 3000);
    value[i] = (float)round;
    live[i] = buffer_of((size_t)count[i] * sizeof(float));
    fill(cdl_tensor_columns(vector(live[i], count[i]), 0, 1), (double)value[i]);
    fill(cdl_tensor_columns(vector(live[i], count[i]), count[i] - 1, 1), (double)value[i]);
  }
  for (int i = 0; i < LIVE; i++)
    cdl_buffer_destroy(live[i]);
  cdl_memory_info info = {.size = sizeof info};
  ck_assert_int_eq(cdl_backend_memory(backend, &info), CDL_STATUS_OK);
  ck_assert_uint_eq(info.used_bytes, 0);
  ck_assert_uint_gt(info.peak_bytes, 0);
  ck_assert_uint_le(info.free_bytes, info.total_bytes);
  close_it();
}
END_TEST

/* The free pieces of the pool go back before the device counts as full. */
START_TEST(out_of_memory_names_wanted_and_free)
{
  open_with("cuda", CDL_PRECISION_FP32);
  cdl_memory_info info = {.size = sizeof info};
  ck_assert_int_eq(cdl_backend_memory(backend, &info), CDL_STATUS_OK);
  const size_t part = info.free_bytes / 3;
  cdl_buffer *some[2] = {buffer_of(part), buffer_of(part)}, *none = NULL;
  ck_assert_int_eq(cdl_buffer_create(backend, 2 * part, &none), CDL_STATUS_MEMORY);
  char wanted[64];
  snprintf(wanted, sizeof wanted, "wanted %zu bytes", 2 * part);
  assert_message(wanted);
  assert_message("are free");
  assert_message("CUDA_ERROR_OUT_OF_MEMORY (2)");
  ck_assert_int_eq(cdl_buffer_create(backend, SIZE_MAX / 2, &none), CDL_STATUS_MEMORY);
  cdl_buffer_destroy(some[0]);
  cdl_buffer_destroy(some[1]);
  cdl_buffer_destroy(buffer_of(2 * part)); /* neither piece is large enough alone */
  close_it();
}
END_TEST

/* ---- Threads ---- */

static void *work_alone(void *given)
{
  cdl_queue *own;
  const int number = *(const int *)given;
  ck_assert_msg(cdl_queue_create(backend, &own) == CDL_STATUS_OK, "%s", cdl_error_message());
  for (int round = 0; round < 30; round++) {
    enum { COUNT = 5000 };
    float got[COUNT];
    cdl_buffer *x = buffer_of(sizeof got), *y = buffer_of(sizeof got);
    cdl_fill(own, CDL_ARGS(fill, .out = vector(x, COUNT), .value = number));
    cdl_copy(own, CDL_ARGS(copy, .out = vector(y, COUNT), .x = vector(x, COUNT)));
    cdl_buffer_destroy(x); /* the copy may not have run */
    cdl_queue_download(own, got, vector(y, COUNT), sizeof got);
    ck_assert_msg(cdl_queue_sync(own) == CDL_STATUS_OK, "%s", cdl_error_message());
    for (int i = 0; i < COUNT; i++)
      ck_assert_float_eq(got[i], (float)number);
    cdl_buffer_destroy(y);
  }
  cdl_queue_destroy(own);
  return NULL;
}

START_TEST(two_queues_share_memory)
{
  pthread_t threads[2];
  int numbers[2] = {3, 4};
  open_with("cuda", CDL_PRECISION_FP32);
  for (int i = 0; i < 2; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, work_alone, &numbers[i]), 0);
  for (int i = 0; i < 2; i++)
    pthread_join(threads[i], NULL);
  close_it();
}
END_TEST

/* ---- Recorded work ---- */

/* x ← x + y, replayed with another y each time. */
START_TEST(recorded_work_reads_what_is_there)
{
  open_with("cuda", CDL_PRECISION_FP32);
  cdl_buffer *x = buffer_of(400), *y = buffer_of(400);
  cdl_graph *graph;
  fill(vector(x, 100), 1);
  ck_assert_int_eq(cdl_queue_capture_begin(queue), CDL_STATUS_OK);
  cdl_axpby(queue,
            CDL_ARGS(axpby, .out = vector(x, 100), .x = vector(y, 100), .alpha = 1, .beta = 1));
  ck_assert_msg(cdl_queue_capture_end(queue, &graph) == CDL_STATUS_OK, "%s", cdl_error_message());
  ck_assert_float_eq(first_of(vector(x, 100)), 1); /* recorded, not run */
  for (int step = 1; step <= 3; step++) {
    fill(vector(y, 100), step);
    cdl_queue_replay(queue, graph);
  }
  ck_assert_float_eq(first_of(vector(x, 100)), 7);
  cdl_graph_destroy(graph);
  cdl_buffer_destroy(x);
  cdl_buffer_destroy(y);
  close_it();
}
END_TEST

/* ---- Groups; those of several processes are tested by the jobs of ranks_devices.py ---- */

static cdl_group *join_alone(void)
{
  cdl_group_key key;
  cdl_group *group;
  ck_assert_msg(cdl_group_key_create(backend, &key) == CDL_STATUS_OK, "%s", cdl_error_message());
  ck_assert_msg(cdl_group_join(backend, &key, 0, 1, 5, &group) == CDL_STATUS_OK, "%s",
                cdl_error_message());
  return group;
}

START_TEST(a_group_gathers_and_is_left)
{
  char place[CDL_GROUP_PLACE_BYTES];
  cdl_group_key key = {{0}};
  cdl_group *second;
  open_with("cuda", CDL_PRECISION_FP32);
  cdl_buffer *x = buffer_of(400), *y = buffer_of(400);
  cdl_graph *graph;
  ck_assert_int_eq(cdl_group_place(backend, place), CDL_STATUS_OK);
  ck_assert_str_eq(place, "0000:00:00.0");
  ck_assert_int_eq(cdl_group_join(backend, &key, 1, 1, 5, &second), CDL_STATUS_ARGUMENT);
  cdl_group *group = join_alone();
  ck_assert_int_eq(cdl_group_join(backend, &key, 0, 1, 5, &second), CDL_STATUS_ARGUMENT);
  assert_message("already");
  fill(vector(x, 100), 3);
  fill(vector(y, 100), 0);
  cdl_queue_gather(queue, group, vector(y, 100), vector(x, 100));
  ck_assert_float_eq(first_of(vector(y, 100)), 3);
  cdl_queue_gather(queue, group, vector(y, 100), vector(y, 100)); /* in place */
  ck_assert_int_eq(cdl_queue_capture_begin(queue), CDL_STATUS_OK);
  cdl_queue_gather(queue, group, vector(y, 100), vector(x, 100));
  ck_assert_msg(cdl_queue_capture_end(queue, &graph) == CDL_STATUS_OK, "%s", cdl_error_message());
  for (int step = 4; step < 7; step++) {
    fill(vector(x, 100), step);
    cdl_queue_replay(queue, graph);
    ck_assert_float_eq(first_of(vector(y, 100)), (float)step);
  }
  cdl_graph_destroy(graph);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_ARGUMENT);
  assert_message("1 groups");
  cdl_group_leave(group);
  cdl_buffer_destroy(x);
  cdl_buffer_destroy(y);
  close_it();
}
END_TEST

START_TEST(a_gather_of_wrong_sizes_is_refused)
{
  open_with("cuda", CDL_PRECISION_FP32);
  cdl_buffer *x = buffer_of(400);
  cdl_group *group = join_alone();
  cdl_queue_gather(queue, group, vector(x, 100), vector(x, 99));
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_ARGUMENT);
  assert_message("1 times those of x");
  cdl_group_leave(group);
  cdl_buffer_destroy(x);
  close_it();
}
END_TEST

START_TEST(an_abandoned_group_gathers_nothing)
{
  open_with("cuda", CDL_PRECISION_FP32);
  cdl_buffer *x = buffer_of(400);
  fill(vector(x, 100), 3);
  cdl_group *group = join_alone();
  cdl_group_abandon(group);
  cdl_group_abandon(group);
  cdl_queue_gather(queue, group, vector(x, 100), vector(x, 100));
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_DEVICE);
  assert_message("the group was given up");
  cdl_group_leave(group);
  cdl_buffer_destroy(x);
  close_it();
}
END_TEST

START_TEST(what_cannot_be_recorded_is_refused)
{
  open_with("cuda", CDL_PRECISION_FP32);
  cdl_buffer *x = buffer_of(400), *none = NULL;
  cdl_graph *graph = NULL;
  float value = 0;
  ck_assert_int_eq(cdl_queue_capture_begin(queue), CDL_STATUS_OK);
  ck_assert_int_ne(cdl_buffer_create(backend, 4, &none), CDL_STATUS_OK);
  assert_message("nothing is allocated while a queue records");
  fill(vector(x, 100), 1);
  cdl_queue_download(queue, &value, vector(x, 1), sizeof value);
  ck_assert_int_eq(cdl_queue_capture_end(queue, &graph), CDL_STATUS_UNSUPPORTED);
  assert_message("recorded");
  ck_assert_ptr_null(graph);
  /* A decomposition waits for the device. */
  const cdl_tensor a = cdl_tensor_2d(x, CDL_DTYPE_F32, 0, 3, 3);
  fill(vector(x, 100), 1);
  ck_assert_int_eq(cdl_queue_capture_begin(queue), CDL_STATUS_OK);
  cdl_svd(queue, CDL_ARGS(svd, .sigma = cdl_tensor_1d(x, CDL_DTYPE_F32, 50, 3), .a = a));
  ck_assert_int_eq(cdl_queue_capture_end(queue, &graph), CDL_STATUS_UNSUPPORTED);
  assert_message("svd cannot be recorded");
  ck_assert_float_eq(first_of(vector(x, 100)), 1); /* the queue goes on */
  /* A recording that nobody ends. */
  ck_assert_int_eq(cdl_queue_capture_begin(queue), CDL_STATUS_OK);
  fill(vector(x, 100), 2);
  cdl_queue_destroy(queue);
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  cdl_buffer_destroy(x);
  close_it();
}
END_TEST

/* ---- Foreign objects ---- */

START_TEST(foreign_memory_and_streams)
{
  open_with("cuda", CDL_PRECISION_FP32);
  DRIVER(cuDevicePrimaryCtxRetain, (CUcontext *, CUdevice));
  DRIVER(cuDevicePrimaryCtxRelease_v2, (CUdevice));
  DRIVER(cuCtxPushCurrent_v2, (CUcontext));
  DRIVER(cuCtxPopCurrent_v2, (CUcontext *));
  DRIVER(cuMemAlloc_v2, (CUdeviceptr *, size_t));
  DRIVER(cuMemFree_v2, (CUdeviceptr));
  DRIVER(cuStreamCreate, (CUstream *, unsigned));
  DRIVER(cuStreamSynchronize, (CUstream));
  DRIVER(cuStreamDestroy_v2, (CUstream));
  CUcontext context, popped;
  CUdeviceptr memory;
  CUstream stream;
  ck_assert_int_eq(cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
  ck_assert_int_eq(cuCtxPushCurrent_v2(context), CUDA_SUCCESS);
  ck_assert_int_eq(cuMemAlloc_v2(&memory, 400), CUDA_SUCCESS);
  ck_assert_int_eq(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
  cdl_buffer *wrapped;
  cdl_queue *own = queue;
  ck_assert_int_eq(cdl_buffer_wrap(backend, (void *)(uintptr_t)memory, 400, &wrapped),
                   CDL_STATUS_OK);
  ck_assert_int_eq(cdl_queue_wrap(backend, stream, &queue), CDL_STATUS_OK);
  cdl_memory_address address;
  ck_assert_int_eq(cdl_buffer_address(wrapped, &address), CDL_STATUS_OK);
  ck_assert(address.kind == CDL_MEMORY_CUDA && address.device == 0 &&
            (uintptr_t)address.memory == memory);
  fill(vector(wrapped, 100), 5);
  ck_assert_float_eq(first_of(vector(wrapped, 100)), 5);
  fill(vector(wrapped, 100), 6);
  cdl_buffer_destroy(wrapped); /* waits, so the memory may be freed */
  ck_assert_int_eq(cuMemFree_v2(memory), CUDA_SUCCESS);
  cdl_queue_destroy(queue);
  queue = own;
  ck_assert_int_eq(cuStreamSynchronize(stream), CUDA_SUCCESS); /* both are still the caller's */
  ck_assert_int_eq(cuStreamDestroy_v2(stream), CUDA_SUCCESS);
  ck_assert_int_eq(cuCtxPopCurrent_v2(&popped), CUDA_SUCCESS);
  ck_assert_int_eq(cuDevicePrimaryCtxRelease_v2(0), CUDA_SUCCESS);
  close_it();
}
END_TEST

START_TEST(events_order_time)
{
  open_with("cuda", CDL_PRECISION_FP32);
  cdl_event *from, *to;
  uint64_t elapsed = UINT64_MAX;
  ck_assert_int_eq(cdl_event_create(backend, &from), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_event_create(backend, &to), CDL_STATUS_OK);
  cdl_queue_record_event(queue, from);
  cdl_queue_record_event(queue, to);
  ck_assert_int_eq(cdl_event_elapsed(from, to, &elapsed), CDL_STATUS_OK);
  ck_assert_uint_lt(elapsed, UINT64_MAX);
  cdl_event_destroy(from);
  cdl_event_destroy(to);
  close_it();
}
END_TEST

/* ---- The ops of cuSOLVER ---- */

START_TEST(decompositions_are_native)
{
  open_with("cuda", CDL_PRECISION_FP32);
  cdl_buffer *x = buffer_of(400);
  const cdl_tensor a = cdl_tensor_2d(x, CDL_DTYPE_F32, 0, 3, 3);
  const cdl_lu_inverse_args args = {sizeof args, .out = cdl_tensor_2d(x, CDL_DTYPE_F32, 20, 3, 3),
                                    a};
  ck_assert_int_eq(cdl_op_path(backend, CDL_OP_lu_inverse, &args), CDL_PATH_NATIVE);
  fill(a, 1);
  cdl_lu_inverse(queue, &args);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_NUMERIC);
  assert_message("singular");
  cdl_queue_destroy(queue);
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  fill(a, NAN);
  cdl_lu_inverse(queue, &args);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_NUMERIC);
  assert_message("not finite");
  cdl_buffer_destroy(x);
  close_it();
}
END_TEST

/* ---- Errors ---- */

START_TEST(errors_name_call_and_code)
{
  open_with("cuda", CDL_PRECISION_FP32);
  cdl_buffer *x = buffer_of(400);
  emulated_fail_at("cuLaunchKernel", 1);
  fill(vector(x, 100), 1);
  ck_assert_int_eq(cdl_queue_status(queue), CDL_STATUS_DEVICE);
  assert_message("fill");
  assert_message("cuLaunchKernel of ");
  assert_message("(701)");
  cdl_queue_destroy(queue);
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  emulated_fail_at("cublasGemmEx", 1);
  const cdl_tensor a = cdl_tensor_2d(x, CDL_DTYPE_F32, 0, 3, 3),
                   b = cdl_tensor_2d(x, CDL_DTYPE_F32, 9, 3, 3);
  cdl_gemm(queue, CDL_ARGS(gemm, .out = cdl_tensor_2d(x, CDL_DTYPE_F32, 18, 3, 3), .a = a, .b = b,
                           .alpha = 1));
  ck_assert_int_eq(cdl_queue_status(queue), CDL_STATUS_DEVICE);
  assert_message("cublasGemmEx: CUBLAS_STATUS_");
  cdl_buffer_destroy(x);
  close_it();
}
END_TEST

/* A fault of the device itself is found at sync, and everything after it says so. */
START_TEST(lasting_faults_stay)
{
  open_with("cuda", CDL_PRECISION_FP32);
  cdl_buffer *x = buffer_of(400), *none = NULL;
  cdl_queue *other = NULL;
  emulated_fail_at("late", 1);
  fill(vector(x, 100), 1);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_DEVICE);
  assert_message("CUDA_ERROR_ILLEGAL_ADDRESS (700)");
  assert_message("since the last sync: fill");
  ck_assert_int_eq(cdl_queue_create(backend, &other), CDL_STATUS_DEVICE);
  assert_message("the device failed before");
  assert_message("CUDA_ERROR_ILLEGAL_ADDRESS (700)");
  ck_assert_int_eq(cdl_buffer_create(backend, 4, &none), CDL_STATUS_DEVICE);
  assert_message("the device failed before");
  emulated_fail_at("*", 0);
  cdl_buffer_destroy(x);
  cdl_queue_destroy(queue);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
  ck_assert_int_eq(emulated_count("emulator_violations"), 0);
}
END_TEST

/* ---- Every call may fail ---- */

static int complaints; /* statuses other than OK, and warnings where there is no status */
static char complaint[1024];

static bool went_well(cdl_status status)
{
  if (status == CDL_STATUS_OK)
    return true;
  complaints++;
  snprintf(complaint, sizeof complaint, "%s", cdl_error_message());
  return false;
}

static void note_warning(void *user, cdl_log_level level, const char *line)
{
  (void)user;
  if (level != CDL_LOG_WARNING)
    return;
  complaints++;
  snprintf(complaint, sizeof complaint, "%s", line);
}

static void enqueue_some(cdl_queue *q, cdl_buffer *x, const cdl_weight *weight)
{
  const cdl_tensor a = cdl_tensor_2d(x, CDL_DTYPE_F32, 0, 4, 4),
                   b = cdl_tensor_2d(x, CDL_DTYPE_F32, 16, 4, 4);
  cdl_gemm(q, CDL_ARGS(gemm, .out = b, .a = a, .b = a, .alpha = 1));
  cdl_linear(q, CDL_ARGS(linear, .out = cdl_tensor_2d(x, CDL_DTYPE_F32, 128, 4, 8), .x = b,
                         .weight = weight));
}

static void record_some(cdl_queue *q, cdl_buffer *x, const cdl_weight *weight)
{
  cdl_graph *graph = NULL;
  if (!went_well(cdl_queue_capture_begin(q)))
    return;
  enqueue_some(q, x, weight);
  if (!went_well(cdl_queue_capture_end(q, &graph)))
    return;
  cdl_queue_replay(q, graph);
  went_well(cdl_queue_sync(q));
  cdl_graph_destroy(graph);
}

static void decompose_some(cdl_queue *q, cdl_buffer *x)
{
  const cdl_tensor a = cdl_tensor_2d(x, CDL_DTYPE_F32, 0, 4, 4),
                   b = cdl_tensor_2d(x, CDL_DTYPE_F32, 64, 4, 4),
                   c = cdl_tensor_2d(x, CDL_DTYPE_F32, 80, 4, 4),
                   v = cdl_tensor_1d(x, CDL_DTYPE_F32, 96, 4);
  cdl_svd(q, CDL_ARGS(svd, .u = b, .sigma = v, .vt = c, .a = a));
  cdl_qr(q, CDL_ARGS(qr, .q = b, .r = c, .a = a));
  cdl_eigh(q, CDL_ARGS(eigh, .values = v, .vectors = b, .a = a));
  cdl_lu_inverse(q, CDL_ARGS(lu_inverse, .out = b, .a = a));
  cdl_lu_solve(q, CDL_ARGS(lu_solve, .x = c, .a = a, .b = b));
  went_well(cdl_queue_sync(q));
}

static void use_queue(cdl_backend *opened, cdl_queue *q, cdl_buffer *x)
{
  static unsigned char host[(2 << 20) + 1];
  float sources[100];
  const cdl_tensor rows[] = {cdl_tensor_2d(x, CDL_DTYPE_F32, 0, 2, 4),
                             cdl_tensor_2d(x, CDL_DTYPE_F32, 20, 6, 4)};
  cdl_weight *weight;
  void *pinned;
  for (int i = 0; i < 100; i++)
    sources[i] = (float)(i % 5 == 0) + 0.01f * (float)(i % 7);
  cdl_queue_upload(q, vector(x, 100), sources, sizeof sources);
  if (went_well(cdl_host_allocate(opened, 4000, &pinned))) {
    cdl_queue_download(q, pinned, vector(x, 1000), 4000);
    went_well(cdl_queue_sync(q));
    cdl_host_free(opened, pinned);
  }
  if (went_well(cdl_weight_create(q, rows, 2, &weight))) {
    enqueue_some(q, x, weight);
    went_well(cdl_queue_sync(q));
    record_some(q, x, weight);
    cdl_weight_update(q, weight);
    cdl_weight_destroy(weight);
  }
  decompose_some(q, x);
  cdl_queue_upload(q, bytes_of(x, 0, sizeof host), host, sizeof host);
  cdl_queue_download(q, host, bytes_of(x, 0, sizeof host), sizeof host);
  went_well(cdl_queue_sync(q));
}

static void time_some(cdl_backend *opened, cdl_queue *q)
{
  cdl_event *event;
  uint64_t elapsed;
  if (!went_well(cdl_event_create(opened, &event)))
    return;
  cdl_queue_record_event(q, event);
  if (went_well(cdl_queue_status(q)))
    went_well(cdl_event_elapsed(event, event, &elapsed));
  cdl_event_destroy(event);
}

static void use_everything(cdl_precision precision)
{
  const cdl_backend_options options = {.size = sizeof options, .precision = precision};
  cdl_backend *opened;
  cdl_queue *first, *second;
  cdl_buffer *x;
  cdl_memory_info info = {.size = sizeof info};
  if (!went_well(cdl_backend_open("cuda", &options, &opened)))
    return;
  if (went_well(cdl_buffer_create(opened, 3 << 20, &x))) {
    if (went_well(cdl_queue_create(opened, &first))) {
      use_queue(opened, first, x);
      if (went_well(cdl_queue_create(opened, &second))) {
        time_some(opened, second);
        cdl_queue_destroy(second);
      }
      cdl_queue_destroy(first);
    }
    went_well(cdl_backend_memory(opened, &info));
    cdl_buffer_destroy(x);
  }
  went_well(cdl_backend_close(opened));
}

/* The k-th call of all fails, for each k in turn: one clear error, and nothing is left behind. */
START_TEST(every_call_may_fail)
{
  const char *(*failed_call)(void);
  *(void **)(void *)&failed_call = emulated_symbol("emulator_failed_call");
  const cdl_precision precision = _i == 0 ? CDL_PRECISION_FP32 : CDL_PRECISION_BF16;
  cdl_log_to(note_warning, NULL);
  for (uint64_t k = 1;; k++) {
    complaints = 0;
    complaint[0] = '\0';
    emulated_fail_at("*", k);
    use_everything(precision);
    const char *failed = failed_call();
    ck_assert_msg(emulated_count("emulator_leaks") == 0, "call %lu, %s: left behind: %d; %s",
                  (unsigned long)k, failed != NULL ? failed : "none",
                  emulated_count("emulator_leaks"), complaint);
    ck_assert_msg(emulated_count("emulator_violations") == 0, "call %lu, %s", (unsigned long)k,
                  failed != NULL ? failed : "none");
    if (failed == NULL) {
      ck_assert_msg(complaints == 0, "without a failure: %s", complaint);
      ck_assert_uint_gt(k, 400);
      break;
    }
    /* Without memory the backend gives free pieces back, or asks for a smaller one. */
    ck_assert_msg(complaints > 0 || strcmp(failed, "cuMemAlloc_v2") == 0,
                  "call %lu, %s, fails unnoticed", (unsigned long)k, failed);
  }
  emulated_fail_at("*", 0);
  cdl_log_to(NULL, NULL);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("cuda");
  TCase *cases = tcase_create("host code");
  tcase_set_timeout(cases, 120);
  tcase_add_test(cases, devices_by_number_and_name);
  tcase_add_test(cases, relative_folder_is_refused);
  tcase_add_test(cases, precision_rounds_operands);
  tcase_add_test(cases, transfers_of_all_sizes);
  tcase_add_test(cases, many_small_transfers);
  tcase_add_test(cases, memory_comes_and_goes);
  tcase_add_test(cases, out_of_memory_names_wanted_and_free);
  tcase_add_test(cases, two_queues_share_memory);
  tcase_add_test(cases, a_group_gathers_and_is_left);
  tcase_add_test(cases, a_gather_of_wrong_sizes_is_refused);
  tcase_add_test(cases, an_abandoned_group_gathers_nothing);
  tcase_add_test(cases, recorded_work_reads_what_is_there);
  tcase_add_test(cases, what_cannot_be_recorded_is_refused);
  tcase_add_test(cases, foreign_memory_and_streams);
  tcase_add_test(cases, events_order_time);
  tcase_add_test(cases, decompositions_are_native);
  tcase_add_test(cases, errors_name_call_and_code);
  tcase_add_test(cases, lasting_faults_stay);
  suite_add_tcase(suite, cases);
  TCase *failures = tcase_create("failures");
  tcase_set_timeout(failures, 240);
  tcase_add_loop_test(failures, every_call_may_fail, 0, 2);
  suite_add_tcase(suite, failures);
  return run_suite(suite);
}
