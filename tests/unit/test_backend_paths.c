/* How the core runs an op on a backend that notes what is asked of it: the path that is chosen,
 * what is counted, logged and observed, and the memory that it needs. */
#include "condlora/backend.h"
#include "condlora/log.h"
#include "condlora/plugin.h"
#include "tests/run_suite.h"
#include "tests/unit/plugins/opened.h"

static void add_norm(void)
{
  cdl_add_layer_norm(
      queue, CDL_ARGS(add_layer_norm, .out = matrix(0, 2, 3), .sum = matrix(10, 2, 3),
                      .x = matrix(20, 2, 3), .residual = matrix(30, 2, 3),
                      .gain = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 40, 3),
                      .bias = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 50, 3), .epsilon = 1e-5f));
}

typedef struct {
  char lines[8][128];
  cdl_log_level level[8];
  int count;
} logged;

static void note_log(void *user, cdl_log_level level, const char *line)
{
  logged *l = user;
  if (l->count < 8) {
    snprintf(l->lines[l->count], sizeof l->lines[0], "%s", line);
    l->level[l->count] = level;
  }
  l->count++;
}

START_TEST(paths_are_chosen_counted_and_logged_once)
{
  logged log = {0};
  cdl_log_to(note_log, &log);
  add_norm();
  add_norm();
  ck_assert_int_eq(seen->calls[CDL_OP_add_layer_norm], 2);
  cdl_backend_prefer_composed(backend, true);
  add_norm();
  cdl_backend_prefer_composed(backend, false);
  seen->refuse_op = CDL_OP_add_layer_norm;
  add_norm();
  cdl_log_to(NULL, NULL);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
  ck_assert_int_eq(seen->calls[CDL_OP_add_layer_norm], 2);
  ck_assert_int_eq(seen->calls[CDL_OP_binary], 2);
  ck_assert_int_eq(seen->calls[CDL_OP_layer_norm], 2);
  cdl_path_count counts[3];
  ck_assert_uint_eq(cdl_path_counts(backend, counts, 3), 2);
  ck_assert_int_eq(counts[0].op, CDL_OP_add_layer_norm);
  ck_assert_int_eq(counts[0].dtype, CDL_DTYPE_F32);
  ck_assert_int_eq(counts[0].path, CDL_PATH_NATIVE);
  ck_assert_uint_eq(counts[0].calls, 2);
  ck_assert_int_eq(counts[1].path, CDL_PATH_COMPOSED);
  ck_assert_uint_eq(counts[1].calls, 2);
  ck_assert_uint_eq(cdl_path_counts(backend, NULL, 0), 2);
  ck_assert_int_eq(log.count, 2);
  ck_assert_str_eq(log.lines[0], "add_layer_norm F32 on recording: native");
  ck_assert_int_eq(log.level[0], CDL_LOG_DEBUG);
  ck_assert_str_eq(log.lines[1], "add_layer_norm F32 on recording: composed");
  ck_assert_int_eq(log.level[1], CDL_LOG_NOTICE);
}
END_TEST

typedef struct {
  int before, after;
  cdl_observation last;
} observed;

static void note_call(void *user, const cdl_observation *observation)
{
  observed *o = user;
  *(observation->after ? &o->after : &o->before) += 1;
  o->last = *observation;
}

START_TEST(calls_are_observed_before_and_after)
{
  observed o = {0};
  const cdl_fill_args args = {.size = sizeof args, .out = matrix(0, 2, 3)};
  cdl_backend_observe(backend, note_call, &o);
  cdl_fill(queue, &args);
  ck_assert_int_eq(o.before, 1);
  ck_assert_int_eq(o.after, 1);
  ck_assert_int_eq(o.last.op, CDL_OP_fill);
  ck_assert_int_eq(o.last.path, CDL_PATH_NATIVE);
  ck_assert_ptr_eq(o.last.args, &args);
  ck_assert_ptr_eq(o.last.queue, queue);
  cdl_backend_prefer_composed(backend, true);
  add_norm(); /* its parts are not seen */
  ck_assert_int_eq(o.before, 2);
  ck_assert_int_eq(o.last.path, CDL_PATH_COMPOSED);
  cdl_backend_observe(backend, NULL, NULL);
  fill();
  ck_assert_int_eq(o.before, 2);
  cdl_backend_observe(backend, note_call, &o);
  cdl_fill(queue, CDL_ARGS(fill, .out = {0}));
  ck_assert_int_eq(o.before, 2);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_ARGUMENT);
}
END_TEST

static void sync_before(void *user, const cdl_observation *observation)
{
  if (!observation->after)
    *(cdl_status *)user = cdl_queue_sync(observation->queue);
}

START_TEST(an_observer_may_find_a_fault)
{
  cdl_status found = CDL_STATUS_OK;
  cdl_backend_observe(backend, sync_before, &found);
  seen->fail_sync = true;
  fill();
  ck_assert_int_eq(found, CDL_STATUS_DEVICE);
  ck_assert_int_eq(seen->calls[CDL_OP_fill], 0);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_DEVICE);
}
END_TEST

START_TEST(a_required_op_that_is_refused_has_no_path)
{
  const cdl_gemm_args args = {.size = sizeof args,
                              .out = matrix(0, 2, 3),
                              .a = matrix(10, 2, 4),
                              .b = matrix(20, 4, 3),
                              .alpha = 1};
  ck_assert_int_eq(cdl_op_path(backend, CDL_OP_gemm, &args), CDL_PATH_NATIVE);
  seen->refuse_op = CDL_OP_gemm;
  ck_assert_int_eq(cdl_op_path(backend, CDL_OP_gemm, &args), CDL_PATH_NONE);
  cdl_gemm(queue, &args);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_UNSUPPORTED);
  assert_message(
      "gemm(out F32 [2, 3], a F32 [2, 4], b F32 [4, 3]): the backend recording does not do this");
  ck_assert_uint_eq(cdl_path_counts(backend, NULL, 0), 0);
}
END_TEST

START_TEST(no_fallback_forbids_the_host_path)
{
  tear_down();
  open_plugin("recording",
              &(cdl_backend_options){.size = sizeof(cdl_backend_options), .no_fallback = true});
  const cdl_svd_args svd = {.size = sizeof svd,
                            .sigma = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, 2),
                            .a = matrix(10, 3, 2)};
  cdl_svd(queue, &svd);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
  cdl_qr(queue, CDL_ARGS(qr, .q = matrix(0, 3, 2), .r = matrix(10, 2, 2), .a = matrix(20, 3, 2)));
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_UNSUPPORTED);
  ck_assert_str_eq(
      cdl_error_message(),
      "qr: recording has none of its own and would run it on the host, which no-fallback forbids");
}
END_TEST

/* [[2, 1], [1, 3]] x = [[5, 10], [10, 5]] has the solution [[1, 5], [3, 0]]. */
START_TEST(the_host_path_solves_what_the_device_cannot)
{
  static const double a[] = {2, 1, -99, 1, 3}, b[] = {5, 10, 10, 5}, solution[] = {1, 5, 3, 0};
  double x[7] = {7, 7, 7, 7, 7, 7, 7};
  const cdl_tensor on_device[] = {cdl_tensor_1d(buffer, CDL_DTYPE_F64, 0, 5),
                                  cdl_tensor_1d(buffer, CDL_DTYPE_F64, 10, 4),
                                  cdl_tensor_1d(buffer, CDL_DTYPE_F64, 20, 7)};
  cdl_queue_upload(queue, on_device[0], a, sizeof a);
  cdl_queue_upload(queue, on_device[1], b, sizeof b);
  cdl_queue_upload(queue, on_device[2], x, sizeof x);
  cdl_tensor strided_a = cdl_tensor_2d(buffer, CDL_DTYPE_F64, 0, 2, 2),
             strided_x = cdl_tensor_2d(buffer, CDL_DTYPE_F64, 21, 2, 2);
  strided_a.stride[2] = strided_x.stride[2] = 3;
  const cdl_lu_solve_args args = {.size = sizeof args,
                                  .x = strided_x,
                                  .a = strided_a,
                                  .b = cdl_tensor_2d(buffer, CDL_DTYPE_F64, 10, 2, 2)};
  ck_assert_int_eq(cdl_op_path(backend, CDL_OP_lu_solve, &args), CDL_PATH_HOST);
  cdl_lu_solve(queue, &args);
  cdl_queue_download(queue, x, on_device[2], sizeof x);
  const cdl_status status = cdl_queue_sync(queue);
  if (status == CDL_STATUS_UNSUPPORTED || status == CDL_STATUS_ABSENT) {
    printf("skipped: the_host_path_solves_what_the_device_cannot: %s\n", cdl_error_message());
    return;
  }
  ck_assert_msg(status == CDL_STATUS_OK, "%s", cdl_error_message());
  ck_assert_int_ge(seen->syncs, 1);
  for (int row = 0; row < 2; row++)
    for (int column = 0; column < 2; column++)
      ck_assert_double_eq_tol(x[1 + 3 * row + column], solution[2 * row + column], 1e-14);
  ck_assert_double_eq(x[0], 7); /* what lies between the rows is left alone */
  ck_assert_double_eq(x[3], 7);
  ck_assert_double_eq(x[6], 7);
  static const double singular[] = {1, 2, 0, 2, 4};
  cdl_queue_upload(queue, on_device[0], singular, sizeof singular);
  cdl_lu_solve(queue, &args);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_NUMERIC);
  assert_message("lu_solve(a F64 [2, 2], b F64 [2, 2], x F64 [2, 2]): on the host: ");
}
END_TEST

START_TEST(names_of_ops_and_paths)
{
  ck_assert_str_eq(cdl_op_name(CDL_OP_scatter_add_rows), "scatter_add_rows");
  ck_assert_str_eq(cdl_op_name(CDL_OP_COUNT), "?");
  ck_assert_str_eq(cdl_path_name(CDL_PATH_COMPOSED), "composed");
  ck_assert_str_eq(cdl_path_name((cdl_path)9), "?");
  ck_assert_int_eq(cdl_op_path(backend, CDL_OP_COUNT, &(cdl_fill_args){0}), CDL_PATH_NONE);
  /* The library's is the build's; the headers' numbers and text say the same. */
  char numbers[32];
  snprintf(numbers, sizeof numbers, "%d.%d.%d", CDL_VERSION_MAJOR, CDL_VERSION_MINOR,
           CDL_VERSION_PATCH);
  ck_assert_str_eq(cdl_version(), CDL_VERSION_STRING);
  ck_assert_str_eq(cdl_version(), numbers);
  ck_assert(CDL_VERSION_AT_LEAST(CDL_VERSION_MAJOR, CDL_VERSION_MINOR, CDL_VERSION_PATCH));
  ck_assert(!CDL_VERSION_AT_LEAST(CDL_VERSION_MAJOR, CDL_VERSION_MINOR, CDL_VERSION_PATCH + 1));
  ck_assert(!CDL_VERSION_AT_LEAST(CDL_VERSION_MAJOR + 1, 0, 0));
}
END_TEST

START_TEST(scratch_is_counted_and_goes_with_its_queue)
{
  cdl_queue *other;
  cdl_memory_info info = {.size = sizeof info};
  ck_assert_int_eq(cdl_queue_create(backend, &other), CDL_STATUS_OK);
  cdl_clip_norm(other, CDL_ARGS(clip_norm, .norm = matrix(0, 1, 1), .factor = matrix(1, 1, 1),
                                .gradient = matrix(10, 7, 9), .max_norm = 1));
  ck_assert_int_eq(cdl_queue_sync(other), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_backend_memory(backend, &info), CDL_STATUS_OK);
  ck_assert_uint_gt(info.used_bytes, 4096 + 7 * 4);
  cdl_queue_destroy(other);
  ck_assert_int_eq(cdl_backend_memory(backend, &info), CDL_STATUS_OK);
  ck_assert_uint_eq(info.used_bytes, 4096);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      paths_are_chosen_counted_and_logged_once,
      calls_are_observed_before_and_after,
      an_observer_may_find_a_fault,
      a_required_op_that_is_refused_has_no_path,
      no_fallback_forbids_the_host_path,
      the_host_path_solves_what_the_device_cannot,
      names_of_ops_and_paths,
      scratch_is_counted_and_goes_with_its_queue,
  };
  Suite *suite = suite_create("backend_paths");
  TCase *all = tcase_create("backend_paths");
  tcase_add_checked_fixture(all, set_up, tear_down);
  for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
    tcase_add_test(all, tests[i]);
  suite_add_tcase(suite, all);
  return run_suite(suite);
}
