/* The costs of backends/kernels/costs.def against what the executor of PTX counts, kernel by
 * kernel, in a training step in bf16. Instructions of PTX are not those of machine code, so their
 * bounds are wide; operations of tensor cores and written bytes are the same. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/model_times.h"
#include "bench/workload.h"
#include "tests/cuda/emulated.h"
#include "tests/cuda_emulator/control.h"
#include "tests/run_suite.h"

enum { EXAMPLES = 2, LENGTH = 256, LANES = 32, FLOP_OF_MMA = 2 * 16 * 8 * 16 };

/* ---- A step ---- */

typedef struct {
  int hidden, heads;
  const char *method;
} step;

/* The second step: the first one still allocates. */
static void run_steps(cdl_queue *queue, const step *s, void (*before_second)(void))
{
  const bench_workload_model model = {.config = {.family = MODEL_FAMILY_ROBERTA,
                                                 .vocabulary_size = 50,
                                                 .hidden_size = s->hidden,
                                                 .layers = 2,
                                                 .heads = s->heads,
                                                 .intermediate_size = 2 * s->hidden,
                                                 .position_count = LENGTH + 8,
                                                 .type_count = 1,
                                                 .pad_id = 1,
                                                 .layer_norm_epsilon = 1e-5,
                                                 .activation = CDL_ACTIVATION_GELU,
                                                 .initializer_range = 0.02}};
  bench_batches batches;
  bench_workload w;
  float loss, norm;
  char length[16];
  snprintf(length, sizeof length, "%d", LENGTH);
  ck_assert_int_eq(bench_batches_make(&model.config, length, 1, EXAMPLES, &batches), CDL_STATUS_OK);
  ck_assert_int_eq(bench_workload_open(&w, queue, &model, s->method, batches.bound), CDL_STATUS_OK);
  ck_assert_int_eq(bench_workload_step(&w, &batches.item[0], &loss, &norm), CDL_STATUS_OK);
  before_second();
  ck_assert_int_eq(bench_workload_step(&w, &batches.item[0], &loss, &norm), CDL_STATUS_OK);
  ck_assert_int_eq(cdl_queue_sync(queue), CDL_STATUS_OK);
  bench_workload_close(&w);
  bench_batches_release(&batches);
}

/* Of all launches of a kernel. */
typedef struct {
  double launches, instructions, flop, read, written;
} total;

/* ---- By the executor ---- */

static void (*count_launches)(bool count);
static bool (*launch_count)(uint64_t i, emulator_launch_counts *counts);

static void begin_counting(void)
{
  count_launches(true);
}

static int kernel_of(const char *name)
{
  for (int id = 0; id < KERNEL_COUNT; id++)
    if (strcmp(kernel_list[id].name, name) == 0)
      return id;
  ck_abort_msg("%s is no kernel of kernels.def", name);
}

static void add_count(total *t, const emulator_launch_counts *c)
{
  t->launches++;
  for (int class = 0; class < EMULATOR_CLASSES; class ++)
    t->instructions += LANES * (double)c->instructions[class];
  t->flop += FLOP_OF_MMA * (double)c->instructions[EMULATOR_MMA];
  t->read += (double)c->read_bytes;
  t->written += (double)c->written_bytes;
}

static void count_by_executor(const step *s, total of[KERNEL_COUNT])
{
  cdl_backend *backend;
  cdl_queue *queue;
  cdl_backend_options options = cdl_backend_options_init();
  options.precision = CDL_PRECISION_BF16;
  *(void **)(void *)&count_launches = emulated_symbol("emulator_count_launches");
  *(void **)(void *)&launch_count = emulated_symbol("emulator_launch_count");
  ck_assert_msg(cdl_backend_open("cuda", &options, &backend) == CDL_STATUS_OK, "%s",
                cdl_error_message());
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  run_steps(queue, s, begin_counting);
  emulator_launch_counts counts;
  for (uint64_t i = 0; launch_count(i, &counts); i++)
    add_count(&of[kernel_of(counts.kernel)], &counts);
  count_launches(false);
  cdl_queue_destroy(queue);
  cdl_backend_close(backend);
}

/* ---- By costs.def ---- */

static void count_by_costs(const step *s, total of[KERNEL_COUNT])
{
  static const bench_driver_device h200 = {.name = "H200",
                                           .multiprocessors = 132,
                                           .threads = 2048,
                                           .capability = 90,
                                           .memory_bytes = (size_t)1 << 32};
  static const int32_t offsets[] = {0, LENGTH, 2 * LENGTH};
  const bench_sequences sequences = {offsets, EXAMPLES};
  const bench_assumptions assumed = bench_assumptions_of(2);
  cdl_backend *backend;
  cdl_queue *queue;
  const bench_work *works;
  size_t count;
  ck_assert_msg(bench_driver_open(&h200, CDL_PRECISION_BF16, true, &backend) == CDL_STATUS_OK, "%s",
                cdl_error_message());
  ck_assert_int_eq(cdl_queue_create(backend, &queue), CDL_STATUS_OK);
  run_steps(queue, s, bench_driver_forget);
  ck_assert_int_eq(bench_driver_works(&works, &count), CDL_STATUS_OK);
  for (size_t i = 0; i < count; i++) {
    if (works[i].kind != BENCH_WORK_KERNEL)
      continue;
    const bench_kernel_work *work = &works[i].kernel;
    bench_kernel_cost cost;
    ck_assert_int_eq(bench_cost_of_kernel(work, bench_driver_parameters(work), &sequences, &cost),
                     CDL_STATUS_OK);
    total *t = &of[work->id];
    t->launches++;
    t->instructions += cost.instructions + cost.tiles * work->items * assumed.tile_instructions;
    t->flop += cost.tensor_flop;
    t->read += cost.read_bytes;
    t->written += cost.written_bytes;
  }
  cdl_queue_destroy(queue);
  bench_driver_close(backend);
}

/* ---- Both ---- */

/* Rows whose instructions, and for low-rank terms operations and bytes too, are estimates for many
 * rows: with a few hundred, groups share a row or compute a factor again. adamw divides and takes
 * roots, each one instruction of PTX. */
static bool is_estimated(int id)
{
  switch (id) {
  case KERNEL_low_rank_forward_bf16:
  case KERNEL_low_rank_backward_bf16:
  case KERNEL_low_rank_sums_bf16:
  case KERNEL_low_rank_finish:
  case KERNEL_adamw:
    return true;
  default:
    return false;
  }
}

static void within(int id, const char *what, double cost, double counted, double least, double most)
{
  ck_assert_msg(
      least * counted <= cost && cost <= most * counted,
      "%s: costs.def has %.0f %s, the executor counted %.0f: expected %.2f to %.2f of that",
      kernel_list[id].name, cost, what, counted, least, most);
}

/* Small launches are bound by what surrounds them. */
static void compare(const step *s)
{
  const double small = 2e6, few_bytes = 1e4;
  total counted[KERNEL_COUNT] = {0}, costs[KERNEL_COUNT] = {0};
  int compared = 0;
  count_by_executor(s, counted);
  count_by_costs(s, costs);
  for (int id = 0; id < KERNEL_COUNT; id++) {
    const total *is = &counted[id], *cost = &costs[id];
    ck_assert_msg(is->launches == cost->launches, "%s: launched %.0f times, in the model %.0f",
                  kernel_list[id].name, is->launches, cost->launches);
    if (is->instructions < small || is_estimated(id))
      continue;
    within(id, "instructions", cost->instructions, is->instructions, 0.7, 1.45);
    within(id, "operations", cost->flop, is->flop, 0.99, 1.01);
    if (is->written > few_bytes) /* sums of groups are left out */
      within(id, "written bytes", cost->written, is->written, 0.95, 1.05);
    /* what is read twice counts once */
    within(id, "read bytes", cost->read, is->read, 0, 1.05);
    compared++;
  }
  ck_assert_int_ge(compared, 9);
}

START_TEST(a_step_of_lora)
{
  compare(&(step){.hidden = 768, .heads = 12, .method = "lora"});
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("costs");
  TCase *c = tcase_create("costs");
  tcase_set_timeout(c, 800);
  tcase_add_test(c, a_step_of_lora);
  suite_add_tcase(suite, c);
  return run_suite(suite);
}
