/* The model of bench-condlora: its launches against the emulated device's, its costs against what
 * a kernel's arguments are, its times against arithmetic by hand. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/model_times.h"
#include "bench/workload.h"
#include "tests/cuda/emulated.h"
#include "tests/run_suite.h"

static const bench_driver_device small_device = {.name = "none",
                                                 .multiprocessors = 8,
                                                 .threads = 2048,
                                                 .capability = 90,
                                                 .memory_bytes = (size_t)1 << 32};

/* ---- A small encoder and its batch ---- */

enum { EXAMPLES = 4, TOKENS = 9 };

static void setup(bench_workload_model *model, bench_batches *batches)
{
  *model = (bench_workload_model){.config = {.family = MODEL_FAMILY_ROBERTA,
                                             .vocabulary_size = 50,
                                             .hidden_size = 64,
                                             .layers = 2,
                                             .heads = 2,
                                             .intermediate_size = 96,
                                             .position_count = 32,
                                             .type_count = 1,
                                             .pad_id = 1,
                                             .layer_norm_epsilon = 1e-5,
                                             .activation = CDL_ACTIVATION_GELU,
                                             .initializer_range = 0.02}};
  ck_assert_int_eq(bench_batches_make(&model->config, "9", 1, EXAMPLES, batches), CDL_STATUS_OK);
}

/* The second step, which a backend records. */
static void run_steps(cdl_queue *queue, const char *method, void (*before_second)(void))
{
  bench_workload_model model;
  bench_batches batches;
  bench_workload w;
  float loss, norm;
  setup(&model, &batches);
  ck_assert_int_eq(bench_workload_open(&w, queue, &model, method, batches.bound), CDL_STATUS_OK);
  ck_assert_int_eq(bench_workload_step(&w, &batches.item[0], &loss, &norm), CDL_STATUS_OK);
  before_second();
  ck_assert_int_eq(bench_workload_step(&w, &batches.item[0], &loss, &norm), CDL_STATUS_OK);
  bench_workload_close(&w);
  bench_batches_release(&batches);
}

/* ---- Launches ---- */

static uint64_t (*emulator_launches)(void);
static uint64_t launches_before;

static void remember_launches(void)
{
  launches_before = emulator_launches();
}

static uint64_t launches_of_emulator(const char *method, cdl_precision precision)
{
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_backend_options options = cdl_backend_options_init();
  options.precision = precision;
  *(void **)(void *)&emulator_launches = emulated_symbol("emulator_launches");
  ck_assert_msg(cdl_backend_open("cuda", &options, &backend) == CDL_STATUS_OK, "%s",
                cdl_error_message());
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  run_steps(queue, method, remember_launches);
  const uint64_t launches = emulator_launches() - launches_before;
  cdl_queue_destroy(queue);
  cdl_backend_close(backend);
  return launches;
}

static uint64_t launches_of_model(const char *method, cdl_precision precision, bool records)
{
  cdl_backend *backend;
  cdl_queue *queue;
  ck_assert_msg(bench_driver_open(&small_device, precision, records, &backend) == CDL_STATUS_OK,
                "%s", cdl_error_message());
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  run_steps(queue, method, bench_driver_forget);
  const bench_work *works;
  size_t count;
  uint64_t launches = 0;
  ck_assert_int_eq(bench_driver_works(&works, &count), CDL_STATUS_OK);
  for (size_t i = 0; i < count; i++) {
    const bool launch = works[i].kind != BENCH_WORK_COPY;
    launches += launch;
    if (launch)
      ck_assert_int_eq(works[i].recorded, records);
  }
  cdl_queue_destroy(queue);
  bench_driver_close(backend);
  return launches;
}

START_TEST(launches_are_the_emulators)
{
  static const cdl_precision precisions[] = {CDL_PRECISION_FP32, CDL_PRECISION_BF16};
  static const char *const methods[] = {"lora", "condlora"};
  for (int p = 0; p < 2; p++)
    for (int m = 0; m < 2; m++) {
      const uint64_t expected = launches_of_emulator(methods[m], precisions[p]);
      ck_assert_uint_gt(expected, 50);
      ck_assert_uint_eq(launches_of_model(methods[m], precisions[p], true), expected);
      ck_assert_uint_eq(launches_of_model(methods[m], precisions[p], false), expected);
    }
}
END_TEST

/* ---- Costs ---- */

static bench_kernel_cost cost_of_last(kernel_id id, const bench_sequences *sequences)
{
  bench_kernel_cost cost;
  const bench_work *works;
  size_t count;
  ck_assert_int_eq(bench_driver_works(&works, &count), CDL_STATUS_OK);
  for (size_t i = count; i-- > 0;)
    if (works[i].kind == BENCH_WORK_KERNEL && works[i].kernel.id == id) {
      const bench_kernel_work *work = &works[i].kernel;
      ck_assert_int_eq(bench_cost_of_kernel(work, bench_driver_parameters(work), sequences, &cost),
                       CDL_STATUS_OK);
      return cost;
    }
  ck_abort_msg("%s was not launched", kernel_list[id].name);
}

START_TEST(costs_follow_the_arguments)
{
  enum { ROWS = 300, COLUMNS = 130 };
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_buffer *buffer;
  ck_assert_int_eq(bench_driver_open(&small_device, CDL_PRECISION_FP32, true, &backend),
                   CDL_STATUS_OK);
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_buffer_create(backend, 1 << 20, &buffer), CDL_STATUS_OK);
  const cdl_tensor x = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 0, ROWS, COLUMNS);
  const cdl_tensor y = cdl_tensor_2d(buffer, CDL_DTYPE_F32, ROWS * COLUMNS, ROWS, COLUMNS);
  cdl_copy(queue, CDL_ARGS(copy, .out = y, .x = x));
  bench_kernel_cost cost = cost_of_last(KERNEL_copy_u32, NULL);
  ck_assert_double_eq(cost.read_bytes, 4.0 * ROWS * COLUMNS);
  ck_assert_double_eq(cost.written_bytes, 4.0 * ROWS * COLUMNS);
  cdl_axpby(queue, CDL_ARGS(axpby, .out = y, .x = x, .alpha = 1, .beta = 1));
  cost = cost_of_last(KERNEL_axpby, NULL);
  ck_assert_double_eq(cost.read_bytes, 8.0 * ROWS * COLUMNS);
  cdl_buffer_destroy(buffer);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
  cdl_queue_destroy(queue);
  bench_driver_close(backend);
}
END_TEST

/* Two sequences of 5 and 150 tokens: rows come in 16, and forward the keys in tiles of 64. */
START_TEST(attention_by_its_tiles)
{
  enum { HEADS = 2, DEPTH = 64, LENGTHS = 5 + 150 };
  static const int32_t offsets[] = {0, 5, 155};
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_buffer *buffer;
  ck_assert_int_eq(bench_driver_open(&small_device, CDL_PRECISION_BF16, true, &backend),
                   CDL_STATUS_OK);
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_buffer_create(backend, 1 << 20, &buffer), CDL_STATUS_OK);
  const int64_t width = HEADS * DEPTH, place = (int64_t)LENGTHS * width;
#define AT(number, columns) \
  cdl_tensor_2d(buffer, CDL_DTYPE_BF16, (number)*place, LENGTHS, (columns)*width)
  const cdl_packing packing = {.offsets = cdl_tensor_1d(buffer, CDL_DTYPE_I32, 0, 3),
                               .host_offsets = offsets,
                               .sequences = 2,
                               .tokens = LENGTHS,
                               .longest = 150};
  const cdl_tensor log_sum = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 6 * place, HEADS, LENGTHS);
  cdl_attention(queue, CDL_ARGS(attention, .out = AT(1, 1), .qkv = AT(2, 3), .log_sum = log_sum,
                                .packing = &packing, .heads = HEADS, .scale = 1));
  cdl_attention_grad(queue, CDL_ARGS(attention_grad, .d_qkv = AT(5, 3), .d_out = AT(8, 1),
                                     .qkv = AT(2, 3), .log_sum = log_sum, .packing = &packing,
                                     .heads = HEADS, .scale = 1, .out = AT(1, 1)));
#undef AT
  ck_assert_msg(cdl_queue_sync(queue) == CDL_STATUS_OK, "%s", cdl_error_message());
  const bench_sequences both = {offsets, 2};
  const double product = 2.0 * HEADS * DEPTH;
  bench_kernel_cost cost = cost_of_last(KERNEL_attention_bf16_64, &both);
  ck_assert_double_eq(cost.tensor_flop, 2 * product * (16 * 64 + 160 * 192));
  ck_assert_double_eq(cost.read_bytes, 3.0 * 2 * (double)place);
  ck_assert_double_eq(cost.written_bytes, 2.0 * (double)place);
  cost = cost_of_last(KERNEL_attention_grad_bf16_64, &both);
  /* dQ has queries in tiles of 32, and keys in multiples of 64 */
  const double of_d_queries = 32 * 64 + 160 * 192;
  ck_assert_double_eq(cost.tensor_flop, product * (4 * (16 * 16 + 160 * 160) + of_d_queries));
  /* two groups share the long one's keys, and each has a dQ */
  const double parts = 4.0 * (double)width * 2 * 150;
  ck_assert_double_eq(cost.read_bytes, 5.0 * 2 * (double)place);
  ck_assert_double_eq(cost.written_bytes,
                      2.0 * 2 * (double)place + 2.0 * (double)width * 5 + parts);
  cost = cost_of_last(KERNEL_attention_grad_sum_bf16, &both);
  ck_assert_double_eq(cost.read_bytes, parts);
  ck_assert_double_eq(cost.written_bytes, 2.0 * (double)width * 150);
  cdl_buffer_destroy(buffer);
  cdl_queue_destroy(queue);
  bench_driver_close(backend);
}
END_TEST

START_TEST(each_kernel_has_a_cost)
{
  static const int64_t nothing[128];
  const bench_sequences none = {0};
  for (int id = 0; id < KERNEL_COUNT; id++) {
    bench_kernel_cost cost;
    const bench_kernel_work work = {.id = (kernel_id)id, .groups = 1, .items = 256};
    ck_assert_msg(bench_cost_of_kernel(&work, nothing, &none, &cost) == CDL_STATUS_OK, "%s",
                  cdl_error_message());
    ck_assert(cost.read_bytes >= 0 && cost.written_bytes >= 0 && cost.instructions >= 0);
  }
}
END_TEST

/* ---- Times ---- */

static double product_seconds(bench_product_work p, const bench_assumptions *a, bench_bound bound)
{
  const bench_sequences none = {0};
  const bench_work work = {.kind = BENCH_WORK_PRODUCT, .recorded = true, .product = p};
  bench_work_time time;
  ck_assert_int_eq(bench_time_of_work(&work, &none, a, &time), CDL_STATUS_OK);
  ck_assert_str_eq(bench_bound_names[time.bound], bench_bound_names[bound]);
  return time.seconds;
}

START_TEST(products_by_hand)
{
  bench_assumptions a = bench_assumptions_of(2);
  a.multiprocessors = 100;
  a.bf16_tflops = 1000;
  a.tf32_tflops = 500;
  a.product_share = 0.5;
  a.memory_gbps = 4000;
  a.node_us = 3;
  bench_product_work p = {.m = 1280,
                          .n = 1290,
                          .k = 4096,
                          .batch = 1,
                          .a = CUDA_R_16BF,
                          .b = CUDA_R_16BF,
                          .compute = CUBLAS_COMPUTE_32F};
  /* 10 x 11 tiles are two waves; a multiprocessor does 5 Tflop/s */
  const double wave = 2.0 * 128 * 128 * 4096 / 5e12;
  ck_assert_double_eq_tol(product_seconds(p, &a, BENCH_BOUND_PRODUCTS), 2 * wave + 3e-6, 1e-12);
  p.n = 1280;
  ck_assert_double_eq_tol(product_seconds(p, &a, BENCH_BOUND_PRODUCTS), wave + 3e-6, 1e-12);
  p.a = p.b = CUDA_R_32F;
  p.compute = CUBLAS_COMPUTE_32F_FAST_TF32;
  ck_assert_double_eq_tol(product_seconds(p, &a, BENCH_BOUND_PRODUCTS), 2 * wave + 3e-6, 1e-12);
  /* x [20000, 1024] by A [8, 1024]: bound by reading x */
  p = (bench_product_work){.m = 8,
                           .n = 20000,
                           .k = 1024,
                           .batch = 1,
                           .adds = true,
                           .compute = CUBLAS_COMPUTE_32F_FAST_TF32};
  const double bytes = 4.0 * (20000.0 * 1024 + 8 * 1024 + 2 * 8 * 20000.0);
  ck_assert_double_eq(bench_product_bytes(&p), bytes);
  ck_assert_double_eq_tol(product_seconds(p, &a, BENCH_BOUND_MEMORY), bytes / 4e12 + 3e-6, 1e-12);
  /* one tile of 16 x 16, k in eight parts of 512 */
  p = (bench_product_work){.m = 16,
                           .n = 16,
                           .k = 4096,
                           .batch = 1,
                           .a = CUDA_R_16BF,
                           .b = CUDA_R_16BF,
                           .compute = CUBLAS_COMPUTE_32F};
  a.memory_gbps = 1e6;
  a.node_us = 1e-6;
  ck_assert_double_eq_tol(product_seconds(p, &a, BENCH_BOUND_PRODUCTS),
                          2.0 * 16 * 16 * 512 / 5e12 + 1e-12, 1e-15);
}
END_TEST

START_TEST(assumptions_change)
{
  bench_assumptions of[BENCH_MODEL_DEVICES];
  for (int d = 0; d < BENCH_MODEL_DEVICES; d++)
    of[d] = bench_assumptions_of(d);
  ck_assert_int_eq(bench_assume("node_us=7", of), CDL_STATUS_OK);
  ck_assert_int_eq(bench_assume("h200.clock_ghz=1.5", of), CDL_STATUS_OK);
  for (int d = 0; d < BENCH_MODEL_DEVICES; d++) {
    ck_assert_double_eq(of[d].node_us, 7);
    ck_assert_double_eq(of[d].clock_ghz, d == 2 ? 1.5 : bench_assumptions_of(d).clock_ghz);
  }
  static const char *const wrong[] = {"node_us",     "node_us=",       "node_us=0", "node_us=-1",
                                      "node=1",      "b200.node_us=1", "=1",        "node_us=x",
                                      "node_us=inf", "h200.=1"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    ck_assert_msg(bench_assume(wrong[i], of) == CDL_STATUS_USAGE, "%s", wrong[i]);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("model");
  TCase *c = tcase_create("model");
  tcase_set_timeout(c, 300);
  tcase_add_test(c, launches_are_the_emulators);
  tcase_add_test(c, costs_follow_the_arguments);
  tcase_add_test(c, attention_by_its_tiles);
  tcase_add_test(c, each_kernel_has_a_cost);
  tcase_add_test(c, products_by_hand);
  tcase_add_test(c, assumptions_change);
  suite_add_tcase(suite, c);
  return run_suite(suite);
}
