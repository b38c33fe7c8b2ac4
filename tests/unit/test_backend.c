/* The core with a backend that notes what is asked of it: registry, buffers, transfers, errors,
 * weights, threads. The paths of ops are in test_backend_paths.c. */
#include <pthread.h>
#include <stdatomic.h>

#include "condlora/backend.h"
#include "condlora/log.h"
#include "condlora/plugin.h"
#include "tests/run_suite.h"
#include "tests/unit/plugins/opened.h"

/* ---- Registry ---- */

typedef struct {
  int lines, null, absent_without_reason;
} listed;

static void note_line(void *user, const cdl_backend_listing *line)
{
  listed *l = user;
  l->lines++;
  if (strcmp(line->name, "null") == 0 && line->reason == NULL && strcmp(line->device, "0") == 0 &&
      strcmp(line->description, "a template without ops") == 0 &&
      strstr(line->path, "condlora-null.so") != NULL)
    l->null++;
  if (line->description == NULL && (line->reason == NULL || line->reason[0] == '\0'))
    l->absent_without_reason++;
}

START_TEST(known_backends_are_listed)
{
  listed l = {0};
  ck_assert_int_eq(cdl_backend_list(note_line, &l), CDL_STATUS_OK);
  ck_assert_int_eq(l.null, 1);
  ck_assert_int_eq(l.absent_without_reason, 0);
  ck_assert_int_ge(l.lines, 3); /* cuda and opencl are always spoken of */
}
END_TEST

static void note_failing(void *user, const cdl_backend_listing *line)
{
  if (strcmp(line->name, "failing") == 0)
    *(bool *)user = line->reason != NULL && strstr(line->reason, "no driver of version 7") != NULL;
}

START_TEST(a_listing_says_why_a_plugin_fails)
{
  bool said = false;
  setenv("CDL_BACKEND_PATH", plugin_folder(), 1);
  ck_assert_int_eq(cdl_backend_list(note_failing, &said), CDL_STATUS_OK);
  ck_assert(said);
}
END_TEST

START_TEST(names_that_cannot_be_are_refused)
{
  cdl_backend *none = NULL;
  static const char *const names[] = {"", ":0", "no such", "no-such-backend", "../x.so"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    ck_assert_int_eq(cdl_backend_open(names[i], NULL, &none), CDL_STATUS_ABSENT);
    ck_assert_ptr_null(none);
    ck_assert_int_gt((int)strlen(cdl_error_message()), 10);
  }
  ck_assert_int_eq(cdl_backend_open(NULL, NULL, &none), CDL_STATUS_ARGUMENT);
  const cdl_backend_options options = {.size = sizeof options, .threads = -1};
  ck_assert_int_eq(cdl_backend_open("cpu", &options, &none), CDL_STATUS_ARGUMENT);
  const cdl_backend_options sizeless = {.threads = 1};
  ck_assert_int_eq(cdl_backend_open("cpu", &sizeless, &none), CDL_STATUS_ARGUMENT);
  ck_assert_ptr_nonnull(strstr(cdl_error_message(), "cdl_backend_options"));
}
END_TEST

/* There is one device of the template, and processes are not sent to one device unawares. */
START_TEST(processes_take_devices_of_their_own)
{
  cdl_backend *opened = NULL;
  cdl_backend_options options = {.size = sizeof options, .processes = 1};
  ck_assert_int_eq(cdl_backend_open("null", &options, &opened), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_backend_close(opened), CDL_STATUS_OK);
  options.processes = 2;
  for (options.process = 0; options.process < 2; options.process++) {
    ck_assert_int_eq(cdl_backend_open("null", &options, &opened), CDL_STATUS_USAGE);
    ck_assert_ptr_null(opened);
    ck_assert_ptr_nonnull(
        strstr(cdl_error_message(), "2 processes of this host would share 1 device: start 1"));
    ck_assert_int_eq(cdl_backend_open("null:0", &options, &opened), CDL_STATUS_OK);
    ck_assert_int_eq(cdl_backend_close(opened), CDL_STATUS_OK);
    ck_assert_int_eq(cdl_backend_open("cpu", &options, &opened), CDL_STATUS_OK);
    ck_assert_int_eq(cdl_backend_close(opened), CDL_STATUS_OK);
    opened = NULL;
  }
}
END_TEST

START_TEST(a_backend_without_groups_says_so)
{
  char place[CDL_GROUP_PLACE_BYTES];
  cdl_group_key key;
  cdl_group *group;
  ck_assert_int_eq(cdl_group_place(backend, place), CDL_STATUS_UNSUPPORTED);
  ck_assert_int_eq(cdl_group_key_create(backend, &key), CDL_STATUS_UNSUPPORTED);
  ck_assert_int_eq(cdl_group_join(backend, &key, 0, 1, 1, &group), CDL_STATUS_UNSUPPORTED);
  cdl_group_leave(NULL);
}
END_TEST

/* ---- Buffers ---- */

START_TEST(memory_is_counted)
{
  cdl_memory_info info = {.size = sizeof info}, sizeless = {0};
  cdl_buffer *more;
  ck_assert_int_eq(cdl_backend_memory(backend, &sizeless), CDL_STATUS_ARGUMENT);
  /* A program of an older version has room for less. */
  cdl_memory_info older = {.size = offsetof(cdl_memory_info, free_bytes), .total_bytes = 7};
  ck_assert_int_eq(cdl_backend_memory(backend, &older), CDL_STATUS_OK);
  ck_assert_uint_eq(older.size, offsetof(cdl_memory_info, free_bytes));
  ck_assert_uint_eq(older.total_bytes, 7);
  ck_assert_int_eq(cdl_buffer_create(backend, 1000, &more), CDL_STATUS_OK);
  ck_assert_uint_eq(cdl_buffer_bytes(more), 1000);
  ck_assert_int_eq(cdl_backend_memory(backend, &info), CDL_STATUS_OK);
  ck_assert_uint_eq(info.used_bytes, 5096);
  ck_assert_uint_eq(info.peak_bytes, 5096);
  cdl_buffer_destroy(more);
  ck_assert_int_eq(cdl_backend_memory(backend, &info), CDL_STATUS_OK);
  ck_assert_uint_eq(info.used_bytes, 4096);
  ck_assert_uint_eq(info.peak_bytes, 5096);
  ck_assert_uint_eq(info.free_bytes, 1000);
  ck_assert_uint_eq(info.total_bytes, 4000);
  cdl_buffer_destroy(NULL);
}
END_TEST

START_TEST(out_of_memory_names_wanted_and_free)
{
  cdl_buffer *none;
  ck_assert_int_eq(cdl_buffer_create(backend, 2000000, &none), CDL_STATUS_MEMORY);
  ck_assert_str_eq(
      cdl_error_message(),
      "recording: out of memory: wanted 2000000 bytes, 1000 of 4000 are free: too much");
  ck_assert_ptr_null(none);
  ck_assert_int_eq(cdl_buffer_create(backend, SIZE_MAX, &none), CDL_STATUS_MEMORY);
  assert_message("wanted 18446744073709551615 bytes");
}
END_TEST

START_TEST(an_empty_buffer_is_a_buffer)
{
  cdl_buffer *empty;
  ck_assert_int_eq(cdl_buffer_create(backend, 0, &empty), CDL_STATUS_OK);
  ck_assert_ptr_nonnull(empty->handle);
  cdl_fill(queue, CDL_ARGS(fill, .out = cdl_tensor_2d(empty, CDL_DTYPE_F32, 0, 0, 3)));
  cdl_queue_upload(queue, cdl_tensor_1d(empty, CDL_DTYPE_F32, 0, 0), NULL, 0);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
  ck_assert_int_eq(seen->calls[CDL_OP_fill], 0);
  cdl_fill(queue, CDL_ARGS(fill, .out = cdl_tensor_2d(empty, CDL_DTYPE_F32, 0, 1, 1)));
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_ARGUMENT);
  assert_message("reaches past its buffer");
  cdl_buffer_destroy(empty);
}
END_TEST

START_TEST(closing_counts_what_is_alive)
{
  cdl_queue *another;
  ck_assert_int_eq(cdl_queue_create(backend, &another), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_ARGUMENT);
  assert_message("recording: still alive: 1 buffers, 0 weights, 2 queues");
  cdl_queue_destroy(another);
  ck_assert_ptr_eq(cdl_queue_backend(queue), backend);
}
END_TEST

/* ---- Transfers ---- */

START_TEST(a_backend_may_keep_its_addresses)
{
  cdl_memory_address address;
  ck_assert_int_eq(cdl_buffer_address(buffer, &address), CDL_STATUS_UNSUPPORTED);
  assert_message("tells no address");
}
END_TEST

START_TEST(bytes_come_back)
{
  const float sent[6] = {1, -2, 3, -4, 5, -6};
  float received[6] = {0};
  cdl_queue_upload(queue, matrix(7, 2, 3), sent, sizeof sent);
  cdl_queue_download(queue, received, matrix(7, 2, 3), sizeof received);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
  ck_assert_mem_eq(sent, received, sizeof sent);
}
END_TEST

START_TEST(transfers_are_checked)
{
  float host[8] = {0};
  const struct {
    cdl_tensor tensor;
    void *host;
    size_t bytes;
    const char *word;
  } cases[] = {
      {matrix(0, 2, 3), host, 20, "upload: 20 bytes for a tensor [2, 3] of 24 bytes"},
      {cdl_tensor_columns(matrix(0, 2, 4), 0, 3), host, 24, "has gaps"},
      {matrix(0, 2, 3), NULL, 24, "host memory is NULL"},
      {matrix(1020, 2, 3), host, 24, "reaches past its buffer"},
      {(cdl_tensor){0}, host, 0, "is absent"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    cdl_queue *fresh;
    ck_assert_int_eq(cdl_queue_create(backend, &fresh), CDL_STATUS_OK);
    cdl_queue_upload(fresh, cases[i].tensor, cases[i].host, cases[i].bytes);
    ck_assert_int_eq(cdl_queue_sync(fresh), CDL_STATUS_ARGUMENT);
    assert_message(cases[i].word);
    cdl_queue_destroy(fresh);
    ck_assert_int_eq(cdl_queue_create(backend, &fresh), CDL_STATUS_OK);
    cdl_queue_download(fresh, cases[i].host, cases[i].tensor, cases[i].bytes);
    ck_assert_int_eq(cdl_queue_sync(fresh), CDL_STATUS_ARGUMENT);
    cdl_queue_destroy(fresh);
  }
}
END_TEST

/* ---- Errors ---- */

START_TEST(a_queue_keeps_its_first_error)
{
  seen->fail_op = CDL_OP_fill;
  seen->fail_status = CDL_STATUS_NUMERIC;
  ck_assert_int_eq(cdl_queue_status(queue), CDL_STATUS_OK);
  fill();
  cdl_copy(queue, CDL_ARGS(copy, .out = matrix(0, 2, 3),
                           .x = matrix(99999, 2, 3))); /* wrong too, but later */
  cdl_fail(CDL_STATUS_DATA, "another thing");
  ck_assert_int_eq(cdl_queue_status(queue), CDL_STATUS_NUMERIC);
  ck_assert_str_eq(cdl_error_message(), "fill(out F32 [2, 3]): error 42");
  seen->fail_op = -1;
  fill();
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_NUMERIC);
  ck_assert_str_eq(cdl_error_message(), "fill(out F32 [2, 3]): error 42");
  ck_assert_int_eq(seen->calls[CDL_OP_fill], 1);
  ck_assert_int_eq(seen->calls[CDL_OP_copy], 0);
  ck_assert_int_eq(seen->syncs, 1); /* what came before the error may be under way */
}
END_TEST

START_TEST(an_error_of_one_queue_is_not_anothers)
{
  cdl_queue *other;
  ck_assert_int_eq(cdl_queue_create(backend, &other), CDL_STATUS_OK);
  cdl_fill(queue, CDL_ARGS(fill, .out = {0}));
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_ARGUMENT);
  ck_assert_int_eq(cdl_queue_sync(other), CDL_STATUS_OK);
  cdl_queue_destroy(other);
}
END_TEST

START_TEST(an_error_without_words_has_some)
{
  cdl_fail(CDL_STATUS_DATA, "an older message");
  seen->fail_op = CDL_OP_fill;
  seen->fail_status = CDL_STATUS_UNSUPPORTED;
  seen->mute = true;
  fill();
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_UNSUPPORTED);
  ck_assert_str_eq(cdl_error_message(), "fill(out F32 [2, 3]): no reason given (UNSUPPORTED)");
}
END_TEST

START_TEST(a_late_fault_names_the_ops_since_the_last_sync)
{
  cdl_copy(queue, CDL_ARGS(copy, .out = matrix(0, 2, 3), .x = matrix(6, 2, 3)));
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
  fill();
  cdl_unary(queue, CDL_ARGS(unary, .out = matrix(0, 2, 3), .x = matrix(6, 2, 3),
                            .function = CDL_UNARY_EXP));
  fill();
  seen->fail_sync = true;
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_DEVICE);
  ck_assert_str_eq(cdl_error_message(),
                   "recording: found at sync: fault 77; since the last sync: fill x2, unary");
  seen->fail_sync = false;
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_DEVICE);
}
END_TEST

START_TEST(a_device_error_names_what_went_before)
{
  fill();
  seen->fail_op = CDL_OP_copy;
  seen->fail_status = CDL_STATUS_DEVICE;
  cdl_copy(queue, CDL_ARGS(copy, .out = matrix(0, 2, 3), .x = matrix(6, 2, 3)));
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_DEVICE);
  ck_assert_str_eq(cdl_error_message(),
                   "copy(out F32 [2, 3], x F32 [2, 3]): error 42; enqueued before it since the "
                   "last sync: fill");
}
END_TEST

START_TEST(sync_after_each_op_names_the_one)
{
  cdl_queue *careful;
  setenv("CDL_SYNC", "1", 1);
  ck_assert_int_eq(cdl_queue_create(backend, &careful), CDL_STATUS_OK);
  cdl_fill(careful, CDL_ARGS(fill, .out = matrix(0, 2, 3)));
  ck_assert_int_eq(seen->syncs, 1);
  seen->fail_sync = true;
  cdl_copy(careful, CDL_ARGS(copy, .out = matrix(0, 2, 3), .x = matrix(6, 2, 3)));
  ck_assert_int_eq(cdl_queue_status(careful), CDL_STATUS_DEVICE);
  ck_assert_str_eq(cdl_error_message(),
                   "copy(out F32 [2, 3], x F32 [2, 3]): recording: found at sync: fault 77; "
                   "since the last sync: copy");
  cdl_queue_destroy(careful);
}
END_TEST

/* ---- Weights ---- */

START_TEST(sources_that_lie_stacked_are_not_copied)
{
  const cdl_tensor sources[] = {matrix(10, 2, 5), matrix(20, 3, 5), matrix(35, 1, 5)};
  cdl_weight *weight;
  cdl_memory_info info = {.size = sizeof info};
  ck_assert_int_eq(cdl_weight_create(queue, sources, 3, &weight), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_weight_rows(weight), 6);
  ck_assert_int_eq(cdl_weight_columns(weight), 5);
  ck_assert_int_eq(cdl_backend_memory(backend, &info), CDL_STATUS_OK);
  ck_assert_uint_eq(info.used_bytes, 4096);
  cdl_weight_update(queue, weight);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
  ck_assert_int_eq(seen->calls[CDL_OP_copy], 0);
  const cdl_tensor *plain = weight->handle;
  ck_assert_int_eq(plain->offset, 10);
  ck_assert_int_eq(plain->size[2], 6);
  ck_assert_int_eq(plain->stride[2], 5);
  ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_ARGUMENT);
  assert_message("1 buffers, 1 weights, 1 queues");
  cdl_weight_destroy(weight);
}
END_TEST

START_TEST(sources_apart_are_copied_and_counted)
{
  const cdl_tensor sources[] = {matrix(10, 2, 5), matrix(40, 3, 5)};
  cdl_weight *weight;
  cdl_memory_info info = {.size = sizeof info};
  ck_assert_int_eq(cdl_weight_create(queue, sources, 2, &weight), CDL_STATUS_OK);
  ck_assert_int_eq(seen->calls[CDL_OP_copy], 2);
  ck_assert_int_eq(cdl_backend_memory(backend, &info), CDL_STATUS_OK);
  ck_assert_uint_eq(info.used_bytes, 4096 + 5 * 5 * 4);
  cdl_weight_update(queue, weight);
  ck_assert_int_eq(seen->calls[CDL_OP_copy], 4);
  cdl_weight_destroy(weight);
  ck_assert_int_eq(cdl_backend_memory(backend, &info), CDL_STATUS_OK);
  ck_assert_uint_eq(info.used_bytes, 4096);
  cdl_weight_destroy(NULL);
}
END_TEST

START_TEST(weights_are_checked)
{
  cdl_tensor halves = matrix(0, 2, 5);
  halves.dtype = CDL_DTYPE_BF16;
  const struct {
    cdl_tensor sources[2];
    size_t count;
    const char *word;
  } cases[] = {
      {{matrix(0, 2, 5), matrix(20, 3, 4)},
       2,
       "source 1 is [3, 4], expected 5 columns as in source 0"},
      {{matrix(0, 2, 5), halves}, 2, "source 1 is BF16, expected F32"},
      {{cdl_tensor_3d(buffer, CDL_DTYPE_F32, 0, 2, 2, 2)},
       1,
       "source 0 is [2, 2, 2], expected a matrix"},
      {{matrix(0, 200, 500)}, 1, "reaches past its buffer"},
      {{{0}}, 1, "source 0 is absent"},
      {{{0}}, 0, "no sources"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    cdl_weight *weight;
    ck_assert_int_eq(cdl_weight_create(queue, cases[i].sources, cases[i].count, &weight),
                     CDL_STATUS_ARGUMENT);
    ck_assert_ptr_null(weight);
    assert_message(cases[i].word);
  }
  ck_assert_int_eq(cdl_queue_sync(queue),
                   CDL_STATUS_OK); /* the caller was told: the queue goes on */
}
END_TEST

START_TEST(a_failing_copy_leaves_no_weight)
{
  const cdl_tensor sources[] = {matrix(10, 2, 5), matrix(40, 3, 5)};
  cdl_weight *weight;
  cdl_memory_info info = {.size = sizeof info};
  seen->fail_op = CDL_OP_copy;
  seen->fail_status = CDL_STATUS_DEVICE;
  ck_assert_int_eq(cdl_weight_create(queue, sources, 2, &weight), CDL_STATUS_DEVICE);
  ck_assert_ptr_null(weight);
  assert_message("weight [5, 5]: error 42");
  ck_assert_int_eq(cdl_backend_memory(backend, &info), CDL_STATUS_OK);
  ck_assert_uint_eq(info.used_bytes, 4096);
}
END_TEST

START_TEST(a_backends_own_weights)
{
  tear_down();
  open_plugin("weights", NULL);
  const int *made = plugin_variable("weights", "weights_seen");
  const cdl_tensor sources[] = {matrix(10, 2, 5), matrix(40, 3, 5)};
  cdl_weight *weight;
  cdl_memory_info info = {.size = sizeof info};
  ck_assert_int_eq(cdl_weight_create(queue, sources, 2, &weight), CDL_STATUS_OK);
  ck_assert_ptr_eq(weight->handle, &made[0]);
  ck_assert_int_eq(cdl_backend_memory(backend, &info), CDL_STATUS_OK);
  ck_assert_uint_eq(info.used_bytes, 4096 + 200);
  cdl_weight_update(queue, weight);
  /* A composed linear reads the sources themselves, a GEMM each. */
  cdl_linear(queue,
             CDL_ARGS(linear, .out = matrix(100, 4, 5), .x = matrix(200, 4, 5), .weight = weight));
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
  ck_assert_int_eq(seen->calls[CDL_OP_gemm], 2);
  cdl_weight_destroy(weight);
  ck_assert_int_eq(made[0], 1);
  ck_assert_int_eq(made[1], 1);
  ck_assert_int_eq(made[2], 1);
  ck_assert_int_eq(cdl_backend_memory(backend, &info), CDL_STATUS_OK);
  ck_assert_uint_eq(info.used_bytes, 4096);
}
END_TEST

/* ---- Threads ---- */

enum { THREADS = 4, ROUNDS = 200 };

static const char *one_round(void)
{
  cdl_queue *own;
  cdl_buffer *memory;
  cdl_memory_info info = {.size = sizeof info};
  if (cdl_queue_create(backend, &own) != CDL_STATUS_OK ||
      cdl_buffer_create(backend, 256, &memory) != CDL_STATUS_OK)
    return "creating failed";
  const cdl_tensor x = cdl_tensor_2d(memory, CDL_DTYPE_F32, 0, 4, 4);
  cdl_unary(own, CDL_ARGS(unary, .out = x, .x = x, .function = CDL_UNARY_EXP));
  cdl_clip_norm(own, CDL_ARGS(clip_norm, .norm = cdl_tensor_1d(memory, CDL_DTYPE_F32, 20, 1),
                              .factor = cdl_tensor_1d(memory, CDL_DTYPE_F32, 21, 1), .gradient = x,
                              .max_norm = 1));
  if (cdl_queue_sync(own) != CDL_STATUS_OK || cdl_backend_memory(backend, &info) != CDL_STATUS_OK)
    return "an op failed";
  cdl_fill(own, CDL_ARGS(fill, .out = {0}));
  if (cdl_queue_sync(own) != CDL_STATUS_ARGUMENT ||
      strcmp(cdl_error_message(), "fill: out is absent") != 0)
    return "the error is not this thread's";
  cdl_buffer_destroy(memory);
  cdl_queue_destroy(own);
  return NULL;
}

static void *work(void *failure)
{
  const char **what = failure;
  for (int round = 0; *what == NULL && round < ROUNDS; round++)
    *what = one_round();
  return NULL;
}

START_TEST(threads_share_a_backend)
{
  pthread_t threads[THREADS];
  const char *failures[THREADS] = {NULL};
  for (int i = 0; i < THREADS; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &failures[i]), 0);
  for (int i = 0; i < THREADS; i++) {
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_msg(failures[i] == NULL, "%s", failures[i]);
  }
  ck_assert_int_eq(seen->calls[CDL_OP_unary], THREADS * ROUNDS * 2); /* and a root in each norm */
  cdl_path_count counts[2];
  ck_assert_uint_eq(cdl_path_counts(backend, counts, 2), 2);
  ck_assert_uint_eq(counts[0].calls, THREADS * ROUNDS);
  ck_assert_uint_eq(counts[1].calls, THREADS * ROUNDS);
  cdl_memory_info info = {.size = sizeof info};
  ck_assert_int_eq(cdl_backend_memory(backend, &info), CDL_STATUS_OK);
  ck_assert_uint_eq(info.used_bytes, 4096);
}
END_TEST

typedef struct {
  char path[PATH_MAX + 64];
  atomic_int failures;
} opening;

static void *open_and_close(void *shared)
{
  opening *o = shared;
  for (int round = 0; round < 50; round++) {
    cdl_backend *own;
    if (cdl_backend_open(o->path, NULL, &own) != CDL_STATUS_OK ||
        cdl_backend_close(own) != CDL_STATUS_OK)
      o->failures++;
  }
  return NULL;
}

START_TEST(threads_open_and_close)
{
  opening o = {.failures = 0};
  pthread_t threads[THREADS];
  snprintf(o.path, sizeof o.path, "%s", plugin_path("recording"));
  for (int i = 0; i < THREADS; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, open_and_close, &o), 0);
  for (int i = 0; i < THREADS; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
  ck_assert_int_eq(o.failures, 0);
  ck_assert_int_eq(seen->open, 1);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      known_backends_are_listed,
      a_listing_says_why_a_plugin_fails,
      names_that_cannot_be_are_refused,
      processes_take_devices_of_their_own,
      a_backend_without_groups_says_so,
      memory_is_counted,
      out_of_memory_names_wanted_and_free,
      an_empty_buffer_is_a_buffer,
      closing_counts_what_is_alive,
      a_backend_may_keep_its_addresses,
      bytes_come_back,
      transfers_are_checked,
      a_queue_keeps_its_first_error,
      an_error_of_one_queue_is_not_anothers,
      an_error_without_words_has_some,
      a_late_fault_names_the_ops_since_the_last_sync,
      a_device_error_names_what_went_before,
      sync_after_each_op_names_the_one,
      sources_that_lie_stacked_are_not_copied,
      sources_apart_are_copied_and_counted,
      weights_are_checked,
      a_failing_copy_leaves_no_weight,
      a_backends_own_weights,
      threads_share_a_backend,
      threads_open_and_close,
  };
  Suite *suite = suite_create("backend");
  TCase *all = tcase_create("backend");
  tcase_add_checked_fixture(all, set_up, tear_down);
  for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
    tcase_add_test(all, tests[i]);
  suite_add_tcase(suite, all);
  return run_suite(suite);
}
