/* The OpenCL backend on the first device that is here: choosing, memory, times, foreign objects,
 * the cache, threads. What each op computes is the conformance suite's. */
#include <pthread.h>
#include <sys/wait.h>

#include "backends/opencl/device.h"
#include "condlora/backend.h"
#include "tests/required.h"
#include "tests/unit/scratch.h"

static cdl_backend *backend;
static cdl_queue *queue;

static void open_device(void)
{
  expect_ok(cdl_backend_open("opencl:0", NULL, &backend));
  expect_ok(cdl_queue_create(backend, &queue));
}

static void close_device(void)
{
  cdl_queue_destroy(queue);
  expect_ok(cdl_backend_close(backend));
}

/* ---- Choosing ---- */

START_TEST(a_device_opens_by_its_name_in_any_case)
{
  open_device();
  char name[64] = "opencl:";
  const char *description = cdl_backend_description(backend);
  ck_assert_ptr_nonnull(strstr(description, "CLBlast"));
  ck_assert_ptr_nonnull(strstr(description, "driver "));
  size_t length = strcspn(description, ",");
  length = length < 40 ? length : 40;
  for (size_t i = 0; i < length; i++) {
    const char c = description[i];
    name[7 + i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  cdl_backend *again;
  expect_ok(cdl_backend_open(name, NULL, &again));
  ck_assert_str_eq(cdl_backend_description(again), description);
  expect_ok(cdl_backend_close(again));
  close_device();
}
END_TEST

START_TEST(what_is_not_there_is_refused)
{
  cdl_backend *none;
  expect_failure(cdl_backend_open("opencl:77", NULL, &none), CDL_STATUS_ABSENT, "no device '77'");
  expect_failure(cdl_backend_open("opencl:no such thing", NULL, &none), CDL_STATUS_ABSENT,
                 "no device's or platform's name has 'no such thing'; there is 0: ");
  const cdl_backend_options options = {.size = sizeof options, .precision = CDL_PRECISION_BF16};
  expect_failure(cdl_backend_open("opencl:0", &options, &none), CDL_STATUS_UNSUPPORTED, "fp32");
}
END_TEST

START_TEST(a_group_size_must_be_a_power_of_two)
{
  cdl_backend *none;
  setenv("CDL_OPENCL_GROUP_SIZE", "24", 1);
  expect_failure(cdl_backend_open("opencl:0", NULL, &none), CDL_STATUS_USAGE,
                 "CDL_OPENCL_GROUP_SIZE");
}
END_TEST

/* ---- Memory ---- */

START_TEST(more_than_the_device_has_is_out_of_memory)
{
  open_device();
  cdl_buffer *buffer;
  expect_failure(cdl_buffer_create(backend, (size_t)1 << 50, &buffer), CDL_STATUS_MEMORY,
                 "wanted 1125899906842624 bytes");
  close_device();
}
END_TEST

START_TEST(host_memory_may_change_after_an_upload)
{
  enum { TIMES = 200 };
  static const size_t sizes[] = {1, 4096, 65536, ((size_t)1 << 20) + 1};
  open_device();
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
    const size_t bytes = sizes[s], times = bytes < 100000 ? TIMES : 3;
    cdl_buffer *buffer;
    expect_ok(cdl_buffer_create(backend, bytes * times, &buffer));
    uint8_t *host = malloc(bytes), *back = malloc(bytes * times);
    ck_assert(host != NULL && back != NULL);
    for (size_t i = 0; i < times; i++) {
      memset(host, (int)(i % 251), bytes);
      cdl_queue_upload(queue,
                       cdl_tensor_1d(buffer, CDL_DTYPE_U8, (int64_t)(i * bytes), (int64_t)bytes),
                       host, bytes);
      memset(host, 255, bytes);
    }
    cdl_queue_download(queue, back,
                       cdl_tensor_1d(buffer, CDL_DTYPE_U8, 0, (int64_t)(bytes * times)),
                       bytes * times);
    expect_ok(cdl_queue_sync(queue));
    size_t wrong = 0;
    for (size_t i = 0; i < bytes * times; i++)
      wrong += back[i] != i / bytes % 251;
    ck_assert_uint_eq(wrong, 0);
    cdl_buffer_destroy(buffer);
    free(host);
    free(back);
  }
  close_device();
}
END_TEST

START_TEST(a_buffer_may_go_while_work_uses_it)
{
  enum { N = 1 << 20 };
  open_device();
  cdl_buffer *kept, *gone;
  expect_ok(cdl_buffer_create(backend, sizeof(float) * N, &kept));
  expect_ok(cdl_buffer_create(backend, sizeof(float) * N, &gone));
  const cdl_tensor a = cdl_tensor_1d(kept, CDL_DTYPE_F32, 0, N),
                   b = cdl_tensor_1d(gone, CDL_DTYPE_F32, 0, N);
  cdl_fill(queue, CDL_ARGS(fill, .out = b, .value = 3.0));
  for (int i = 0; i < 20; i++)
    cdl_copy(queue, CDL_ARGS(copy, .out = i % 2 == 0 ? a : b, .x = i % 2 == 0 ? b : a));
  cdl_buffer_destroy(gone);
  float last;
  cdl_queue_download(queue, &last, cdl_tensor_1d(kept, CDL_DTYPE_F32, N - 1, 1), sizeof last);
  expect_ok(cdl_queue_sync(queue));
  ck_assert_float_eq(last, 3.0f);
  cdl_buffer_destroy(kept);
  close_device();
}
END_TEST

/* ---- Times ---- */

START_TEST(events_follow_each_other)
{
  enum { N = 1 << 20 };
  open_device();
  cdl_buffer *buffer;
  cdl_event *first, *second;
  expect_ok(cdl_buffer_create(backend, sizeof(float) * N, &buffer));
  expect_ok(cdl_event_create(backend, &first));
  expect_ok(cdl_event_create(backend, &second));
  cdl_queue_record_event(queue, first);
  cdl_fill(queue, CDL_ARGS(fill, .out = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, N), .value = 1.0));
  cdl_queue_record_event(queue, second);
  uint64_t ns = 0, backwards = 1;
  expect_ok(cdl_event_elapsed(first, second, &ns));
  expect_ok(cdl_event_elapsed(second, first, &backwards));
  ck_assert_uint_gt(ns, 0);
  ck_assert_uint_eq(backwards, 0);
  cdl_event_destroy(first);
  cdl_event_destroy(second);
  cdl_buffer_destroy(buffer);
  close_device();
}
END_TEST

/* ---- Foreign objects ---- */

typedef struct {
  cl_context context;
  cl_device_id id;
} foreign_place;

/* The context of the backend, as a program finds it out: of any buffer. */
static foreign_place place_of(cdl_buffer *buffer)
{
  foreign_place place;
  expect_ok(opencl_load());
  ck_assert_int_eq(cl.clGetMemObjectInfo(buffer->handle, CL_MEM_CONTEXT, sizeof place.context,
                                         &place.context, NULL),
                   CL_SUCCESS);
  opencl_found *found;
  int count;
  expect_ok(opencl_find_devices(&found, &count));
  place.id = found[0].id;
  free(found);
  return place;
}

static cl_mem foreign_memory(foreign_place place, size_t bytes)
{
  cl_int code;
  cl_mem memory = cl.clCreateBuffer(place.context, CL_MEM_READ_WRITE, bytes, NULL, &code);
  ck_assert_int_eq(code, CL_SUCCESS);
  return memory;
}

START_TEST(foreign_memory_is_used_and_stays_the_callers)
{
  open_device();
  cdl_buffer *own, *wrapped;
  expect_ok(cdl_buffer_create(backend, 16, &own));
  cl_mem memory = foreign_memory(place_of(own), 16);
  expect_failure(cdl_buffer_wrap(backend, memory, 17, &wrapped), CDL_STATUS_ARGUMENT, "17 bytes");
  expect_ok(cdl_buffer_wrap(backend, memory, 16, &wrapped));
  cdl_fill(queue, CDL_ARGS(fill, .out = cdl_tensor_1d(wrapped, CDL_DTYPE_F32, 0, 4), .value = 2.5));
  expect_ok(cdl_queue_sync(queue));
  cdl_memory_address address;
  expect_ok(cdl_buffer_address(wrapped, &address));
  ck_assert(address.kind == CDL_MEMORY_OPENCL && address.memory == memory);
  cdl_buffer_destroy(wrapped);
  expect_ok(cdl_buffer_wrap(backend, memory, 16, &wrapped)); /* still there */
  float back[4];
  cdl_queue_download(queue, back, cdl_tensor_1d(wrapped, CDL_DTYPE_F32, 0, 4), sizeof back);
  expect_ok(cdl_queue_sync(queue));
  ck_assert_float_eq(back[3], 2.5f);
  cdl_buffer_destroy(wrapped);
  ck_assert_int_eq(cl.clReleaseMemObject(memory), CL_SUCCESS);
  cdl_buffer_destroy(own);
  close_device();
}
END_TEST

START_TEST(a_foreign_queue_keeps_its_order)
{
  open_device();
  cdl_buffer *buffer;
  expect_ok(cdl_buffer_create(backend, 32, &buffer));
  const foreign_place place = place_of(buffer);
  cl_int code;
  cl_command_queue theirs = cl.clCreateCommandQueue(place.context, place.id, 0, &code);
  ck_assert_int_eq(code, CL_SUCCESS);
  static const float before[4] = {1, 2, 3, 4};
  ck_assert_int_eq(
      cl.clEnqueueWriteBuffer(theirs, buffer->handle, 0, 0, sizeof before, before, 0, NULL, NULL),
      CL_SUCCESS);
  cdl_queue *wrapped;
  expect_ok(cdl_queue_wrap(backend, theirs, &wrapped));
  const cdl_tensor x = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, 4);
  cdl_copy(wrapped, CDL_ARGS(copy, .out = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 4, 4), .x = x));
  expect_ok(cdl_queue_sync(wrapped));
  cdl_queue_destroy(wrapped);
  float after[4];
  ck_assert_int_eq(cl.clEnqueueReadBuffer(theirs, buffer->handle, 1, sizeof before, sizeof after,
                                          after, 0, NULL, NULL),
                   CL_SUCCESS); /* theirs is still a queue */
  ck_assert_int_eq(memcmp(after, before, sizeof after), 0);
  ck_assert_int_eq(cl.clReleaseCommandQueue(theirs), CL_SUCCESS);
  theirs = cl.clCreateCommandQueue(place.context, place.id, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE,
                                   &code);
  if (code == CL_SUCCESS) { /* where the device has such */
    expect_failure(cdl_queue_wrap(backend, theirs, &wrapped), CDL_STATUS_ARGUMENT, "out of order");
    ck_assert_int_eq(cl.clReleaseCommandQueue(theirs), CL_SUCCESS);
  }
  cdl_buffer_destroy(buffer);
  close_device();
}
END_TEST

/* ---- Two threads ---- */

enum { M = 96, N = 80, K = 64, PRODUCTS = 20 };

/* Products of a queue of its own, against sums of small integers, which float32 holds exactly. */
static void *multiply_much(void *user)
{
  const int which = *(const int *)user;
  static float a[2][M * K], b[2][K * N], out[2][M * N];
  cdl_queue *own;
  cdl_buffer *buffer;
  expect_ok(cdl_queue_create(backend, &own));
  expect_ok(cdl_buffer_create(backend, sizeof a[0] + sizeof b[0] + sizeof out[0], &buffer));
  const cdl_tensor ta = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 0, M, K),
                   tb = cdl_tensor_2d(buffer, CDL_DTYPE_F32, M * K, K, N),
                   to = cdl_tensor_2d(buffer, CDL_DTYPE_F32, M * K + K * N, M, N);
  for (int i = 0; i < M * K; i++)
    a[which][i] = (float)((i * 7 + which) % 5 - 2);
  for (int i = 0; i < K * N; i++)
    b[which][i] = (float)((i * 3 + which) % 7 - 3);
  cdl_queue_upload(own, ta, a[which], sizeof a[which]);
  cdl_queue_upload(own, tb, b[which], sizeof b[which]);
  cdl_fill(own, CDL_ARGS(fill, .out = to, .value = 0.0));
  for (int i = 0; i < PRODUCTS; i++)
    cdl_gemm(own, CDL_ARGS(gemm, .out = to, .a = ta, .b = tb, .alpha = 1.0f, .beta = 1.0f));
  cdl_queue_download(own, out[which], to, sizeof out[which]);
  expect_ok(cdl_queue_sync(own));
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++) {
      float sum = 0;
      for (int k = 0; k < K; k++)
        sum += a[which][i * K + k] * b[which][k * N + j];
      ck_assert_float_eq(out[which][i * N + j], PRODUCTS * sum);
    }
  cdl_buffer_destroy(buffer);
  cdl_queue_destroy(own);
  return NULL;
}

START_TEST(two_queues_work_in_two_threads)
{
  open_device();
  pthread_t thread;
  static const int first = 0, second = 1;
  ck_assert_int_eq(pthread_create(&thread, NULL, multiply_much, (void *)(uintptr_t)&first), 0);
  multiply_much((void *)(uintptr_t)&second);
  ck_assert_int_eq(pthread_join(thread, NULL), 0);
  close_device();
}
END_TEST

/* ---- What was compiled is kept ---- */

static void remember_lines(void *user, cdl_log_level level, const char *line)
{
  (void)level;
  const size_t used = strlen(user);
  snprintf((char *)user + used, 4096 - used, "%s\n", line);
}

/* Runs an op in a process of its own and returns what was said; what that process compiled is gone
 * with it. */
static void log_of_an_op(char log[4096])
{
  int ends[2];
  ck_assert_int_eq(pipe(ends), 0);
  const pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    static char lines[4096];
    cdl_buffer *buffer;
    cdl_log_to(remember_lines, lines);
    open_device();
    ck_assert_int_eq(cdl_buffer_create(backend, 64, &buffer), CDL_STATUS_OK);
    const cdl_tensor x = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, 16);
    cdl_softmax(queue, CDL_ARGS(softmax, .out = x, .x = x, .scale = 0));
    ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
    cdl_buffer_destroy(buffer);
    close_device();
    _exit(write(ends[1], lines, sizeof lines) == (ssize_t)sizeof lines ? 0 : 1);
  }
  close(ends[1]);
  size_t used = 0;
  for (ssize_t got; used < 4096 && (got = read(ends[0], log + used, 4096 - used)) > 0;)
    used += (size_t)got;
  close(ends[0]);
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
  ck_assert_uint_eq(used, 4096);
}

START_TEST(a_second_process_compiles_nothing)
{
  static char log[4096];
  char folder[PATH_MAX], path[PATH_MAX];
  ck_assert_ptr_nonnull(realpath(scratch_folder, folder));
  setenv("CDL_CACHE_DIR", folder, 1);
  log_of_an_op(log);
  ck_assert_msg(strstr(log, "compiled kernels kept in") != NULL, "%s", log);
  log_of_an_op(log);
  ck_assert_msg(strstr(log, "kernels taken from ") != NULL, "%s", log);
  ck_assert_ptr_null(strstr(log, "kept in"));

  /* A copy that is broken in the middle. */
  const char *line = strstr(log, "kernels taken from ") + strlen("kernels taken from ");
  snprintf(path, sizeof path, "%.*s", (int)strcspn(line, "\n"), line);
  size_t bytes;
  uint8_t *content = scratch_get(path, &bytes);
  content[bytes / 2] ^= 1;
  scratch_put(path, content, bytes);
  free(content);
  log_of_an_op(log);
  ck_assert_msg(strstr(log, "is broken or not ours") != NULL, "%s", log);
  ck_assert_msg(strstr(log, "compiled kernels kept in") != NULL, "%s", log);
  log_of_an_op(log);
  ck_assert_msg(strstr(log, "kernels taken from") != NULL, "%s", log);
}
END_TEST

int main(void)
{
  cdl_backend *opened;
  const pid_t child = fork(); /* a look, so that this process stays without the driver's threads */
  if (child == 0) {
    const cdl_status status = cdl_backend_open("opencl:0", NULL, &opened);
    if (status == CDL_STATUS_ABSENT)
      printf("no OpenCL device: %s\n", cdl_error_message());
    fflush(stdout);
    _exit(status == CDL_STATUS_ABSENT ? 77 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
    return is_required("opencl") ? EXIT_FAILURE : 77;
  static const cdl_host host = {.struct_size = sizeof(cdl_host), .fail = cdl_fail, .log = cdl_log};
  opencl_host = &host; /* of the parts that are linked in here, to look at OpenCL from outside */
  const TTest *const tests[] = {a_device_opens_by_its_name_in_any_case,
                                what_is_not_there_is_refused,
                                a_group_size_must_be_a_power_of_two,
                                more_than_the_device_has_is_out_of_memory,
                                host_memory_may_change_after_an_upload,
                                a_buffer_may_go_while_work_uses_it,
                                events_follow_each_other,
                                foreign_memory_is_used_and_stays_the_callers,
                                a_foreign_queue_keeps_its_order,
                                two_queues_work_in_two_threads,
                                a_second_process_compiles_nothing};
  Suite *suite = suite_create("opencl");
  TCase *group = tcase_create("opencl");
  tcase_add_checked_fixture(group, scratch_make, scratch_remove);
  tcase_set_timeout(group, 300); /* some compile */
  for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
    tcase_add_test(group, tests[i]);
  suite_add_tcase(suite, group);
  return run_suite(suite);
}
