/* The CUDA backend's products with a bias, on the emulator: which calls they make. What they
 * compute is the conformance suite's. */
#include <check.h>

#include "condlora/backend.h"
#include "tests/cuda/emulated.h"
#include "tests/run_suite.h"

enum { IN = 24, OUT = 40, ROWS = 48 };

static cdl_backend *backend;
static cdl_queue *queue;
static cdl_buffer *buffer; /* zeros */
static cdl_weight *weight; /* [OUT, IN], zeros */

static const char *failed_call(void)
{
  const char *(*called)(void);
  *(void **)(void *)&called = emulated_symbol("emulator_failed_call");
  return called();
}

static uint64_t launches(void)
{
  uint64_t (*called)(void);
  *(void **)(void *)&called = emulated_symbol("emulator_launches");
  return called();
}

static cdl_status open_device(void)
{
  const cdl_backend_options options = {.size = sizeof options, .precision = CDL_PRECISION_BF16};
  CDL_TRY(cdl_backend_open("cuda", &options, &backend));
  CDL_TRY(cdl_queue_create(backend, &queue));
  CDL_TRY(cdl_buffer_create(backend, 1 << 16, &buffer));
  cdl_fill(queue, CDL_ARGS(fill, .out = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, 1 << 14)));
  const cdl_tensor source = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 0, OUT, IN);
  CDL_TRY(cdl_weight_create(queue, &source, 1, &weight));
  return cdl_queue_sync(queue);
}

static void close_device(void)
{
  if (weight != NULL)
    cdl_weight_destroy(weight);
  cdl_buffer_destroy(buffer);
  if (queue != NULL)
    cdl_queue_destroy(queue);
  if (backend != NULL)
    ck_assert_int_eq(cdl_backend_close(backend), CDL_STATUS_OK);
  weight = NULL;
  buffer = NULL;
  queue = NULL;
  backend = NULL;
  ck_assert_int_eq(emulated_count("emulator_leaks"), 0);
  ck_assert_int_eq(emulated_count("emulator_violations"), 0);
}

/* out is `skip` elements behind a multiple of 256 bytes. */
static cdl_status linear(int64_t rows, int64_t skip, cdl_activation activation)
{
  const cdl_tensor x = cdl_tensor_2d(buffer, CDL_DTYPE_BF16, 8192, rows, IN),
                   out = cdl_tensor_2d(buffer, CDL_DTYPE_BF16, 16384 + skip, rows, OUT),
                   bias = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, OUT);
  cdl_linear(queue, CDL_ARGS(linear, .out = out, .x = x, .bias = bias, .weight = weight,
                             .activation = activation));
  return cdl_queue_sync(queue);
}

/* Rounding the bias and the product, or the product and a pass after it. */
START_TEST(a_bias_costs_no_pass)
{
  ck_assert_int_eq(open_device(), CDL_STATUS_OK);
  emulated_fail_at("cublasGemmEx", 1);
  ck_assert_int_eq(linear(ROWS, 0, CDL_ACTIVATION_NONE), CDL_STATUS_OK);
  ck_assert_uint_eq(launches(), 2);
  ck_assert_ptr_null(failed_call());
  emulated_fail_at("cublasLtMatmul", 1);
  ck_assert_int_eq(linear(ROWS, 0, CDL_ACTIVATION_GELU), CDL_STATUS_OK);
  ck_assert_uint_eq(launches(), 2);
  /* no algorithm writes at odd addresses of two bytes */
  ck_assert_int_eq(linear(ROWS, 1, CDL_ACTIVATION_NONE), CDL_STATUS_OK);
  ck_assert_uint_eq(launches(), 4);
  ck_assert_ptr_null(failed_call());
  emulated_fail_at("*", 0);
  close_device();
}
END_TEST

START_TEST(heuristics_are_asked_once_for_a_shape)
{
  ck_assert_int_eq(open_device(), CDL_STATUS_OK);
  emulated_fail_at("cublasLtMatmulAlgoGetHeuristic", 2);
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(linear(ROWS, 0, CDL_ACTIVATION_NONE), CDL_STATUS_OK);
  ck_assert_ptr_null(failed_call());
  ck_assert_int_ne(linear(ROWS - 1, 0, CDL_ACTIVATION_NONE), CDL_STATUS_OK);
  ck_assert_str_eq(failed_call(), "cublasLtMatmulAlgoGetHeuristic");
  emulated_fail_at("*", 0);
  close_device();
}
END_TEST

/* More shapes than the table of choices has places. */
START_TEST(a_place_may_be_taken_by_another_shape)
{
  ck_assert_int_eq(open_device(), CDL_STATUS_OK);
  for (int round = 0; round < 2; round++)
    for (int64_t rows = 1; rows <= 200; rows++)
      ck_assert_int_eq(linear(rows, 0, CDL_ACTIVATION_NONE), CDL_STATUS_OK);
  close_device();
}
END_TEST

START_TEST(a_product_with_a_bias_is_recorded)
{
  ck_assert_int_eq(open_device(), CDL_STATUS_OK);
  ck_assert_int_eq(linear(ROWS, 0, CDL_ACTIVATION_NONE), CDL_STATUS_OK);
  cdl_graph *graph;
  ck_assert_int_eq(cdl_queue_capture_begin(queue), CDL_STATUS_OK);
  cdl_linear(queue,
             CDL_ARGS(linear, .out = cdl_tensor_2d(buffer, CDL_DTYPE_BF16, 16384, ROWS, OUT),
                      .x = cdl_tensor_2d(buffer, CDL_DTYPE_BF16, 8192, ROWS, IN),
                      .bias = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, OUT), .weight = weight));
  ck_assert_int_eq(cdl_queue_capture_end(queue, &graph), CDL_STATUS_OK);
  /* a bias that came later is the replay's */
  cdl_fill(queue,
           CDL_ARGS(fill, .out = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, OUT), .value = 1.5));
  cdl_queue_replay(queue, graph);
  uint16_t found[ROWS * OUT];
  cdl_queue_download(queue, found, cdl_tensor_2d(buffer, CDL_DTYPE_BF16, 16384, ROWS, OUT),
                     sizeof found);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
  for (int i = 0; i < ROWS * OUT; i++)
    ck_assert_uint_eq(found[i], 0x3fc0);
  cdl_graph_destroy(graph);
  close_device();
}
END_TEST

/* Each call fails once: an error or, where nothing is lost, none; and nothing is left behind. */
START_TEST(every_call_may_fail)
{
  for (uint64_t k = 1;; k++) {
    emulated_fail_at("*", k);
    cdl_status status = open_device();
    if (status == CDL_STATUS_OK)
      status = linear(ROWS, 0, CDL_ACTIVATION_NONE);
    const bool failed = failed_call() != NULL;
    emulated_fail_at("*", 0);
    close_device();
    if (!failed) {
      ck_assert_int_eq(status, CDL_STATUS_OK);
      break;
    }
  }
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("CUDA products");
  TCase *cases = tcase_create("products");
  tcase_set_timeout(cases, 300);
  tcase_add_test(cases, a_bias_costs_no_pass);
  tcase_add_test(cases, heuristics_are_asked_once_for_a_shape);
  tcase_add_test(cases, a_place_may_be_taken_by_another_shape);
  tcase_add_test(cases, a_product_with_a_bias_is_recorded);
  tcase_add_test(cases, every_call_may_fail);
  suite_add_tcase(suite, cases);
  return run_suite(suite);
}
