/* Measures a training step and its matrix products alone, for LoRA and CondLoRA in turn. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/process.h"
#include "bench/bench.h"
#include "bench/conditions.h"
#include "bench/counters.h"
#include "bench/encoders.h"
#include "bench/op_times.h"
#include "bench/products.h"

enum { METHODS = 2 };

typedef struct {
  const char *method;
  bench_workload workload;
  bench_product_list *lists; /* [batches] */
  bench_product_weights weights;
  bench_measurement step, list; /* samples: round by round, batch by batch */
  bench_energy energy;
  double joules, instructions;     /* of all steps; NaN where the machine has no counter */
  size_t peak_bytes, buffer_bytes; /* of the process; of the backend's buffers and weights */
} contender;

typedef struct {
  bench *bench;
  bench_encoder encoder;
  contender contender[METHODS];
} training;

/* ---- Memory ---- */

/* Linux can reset a process's peak memory; elsewhere it stays. */
static void reset_peak(void)
{
  malloc_trim(0);
  FILE *f = fopen("/proc/self/clear_refs", "w");
  if (f == NULL)
    return;
  fputs("5", f);
  fclose(f);
}

/* ---- Preparing ---- */

/* Measures the memory of one model at a time, so that peaks are separate, and checks the step. */
static cdl_status measure_memory(training *t, contender *c)
{
  bench_workload s;
  float loss, norm;
  reset_peak();
  CDL_TRY(bench_workload_open(&s, t->bench->queue, &t->encoder.model, c->method,
                              t->encoder.batches.bound));
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; status == CDL_STATUS_OK && i < 2 && i < t->encoder.batches.count; i++)
    status = bench_workload_step(&s, &t->encoder.batches.item[i], &loss, &norm);
  c->peak_bytes = base_process_peak_bytes();
  cdl_memory_info memory = {.size = sizeof memory};
  if (status == CDL_STATUS_OK)
    status = cdl_backend_memory(t->bench->backend, &memory);
  c->buffer_bytes = memory.used_bytes;
  if (status == CDL_STATUS_OK)
    status = bench_workload_check(&s, &t->encoder.batches.item[0], c->method,
                                  bench_unit(t->bench) > 0x1p-24);
  bench_workload_close(&s);
  return status;
}

/* Opens the workload and records the products of each batch. */
static cdl_status prepare(training *t, contender *c)
{
  cdl_queue *queue = t->bench->queue;
  float loss, norm;
  c->energy = bench_energy_begin(BENCH_ENERGY_FOLDER);
  CDL_TRY(bench_workload_open(&c->workload, queue, &t->encoder.model, c->method,
                              t->encoder.batches.bound));
  c->lists = calloc(t->encoder.batches.count, sizeof *c->lists);
  if (c->lists == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: lists of products");
  for (size_t i = 0; i < t->encoder.batches.count; i++) {
    bench_products_record_begin(&c->lists[i], t->bench->backend);
    const cdl_status status =
        bench_workload_step_in_pieces(&c->workload, &t->encoder.batches.item[i], &loss, &norm);
    const cdl_status ended = bench_products_record_end(&c->lists[i], queue, &c->weights);
    CDL_TRY(status);
    CDL_TRY(ended);
  }
  return CDL_STATUS_OK;
}

/* ---- Measuring ---- */

static cdl_status time_step(contender *c, const data_batch *batch)
{
  float loss, norm;
  const double before = bench_energy_joules(&c->energy), counted = bench_instructions(),
               start = bench_measure_now();
  CDL_TRY(bench_workload_step(&c->workload, batch, &loss, &norm));
  const double spent = bench_measure_now() - start;
  c->instructions += bench_instructions() - counted;
  c->joules += bench_energy_joules(&c->energy) - before;
  return bench_measure_add(&c->step, spent);
}

static cdl_status time_list(contender *c, const bench_product_list *list)
{
  cdl_queue *queue = c->workload.session.model.queue;
  CDL_TRY(cdl_queue_sync(queue));
  const double start = bench_measure_now();
  bench_products_replay(list, queue);
  CDL_TRY(cdl_queue_sync(queue));
  return bench_measure_add(&c->list, bench_measure_now() - start);
}

/* Measures one round over all batches; contenders are measured within the same second. */
static cdl_status run_round(training *t)
{
  for (size_t b = 0; b < t->encoder.batches.count; b++)
    for (int m = 0; m < METHODS; m++) {
      contender *c = &t->contender[(m + (int)b) % METHODS]; /* the first one changes */
      CDL_TRY(time_step(c, &t->encoder.batches.item[b]));
      CDL_TRY(time_list(c, &c->lists[b]));
    }
  return bench_find_peak(t->bench, true);
}

static cdl_status run_rounds(training *t)
{
  const bench_options *o = &t->bench->options;
  const double seconds = o->seconds > 0 ? o->seconds : o->quick ? 4 : 40;
  enum { LEAST_ROUNDS = 2, MOST_ROUNDS = 200 };
  const double end = bench_measure_spent() + seconds;
  for (int round = 0; round < MOST_ROUNDS && (round < LEAST_ROUNDS || bench_measure_spent() < end);
       round++) {
    bench_progress("train", "");
    CDL_TRY(run_round(t));
  }
  for (int m = 0; m < METHODS; m++) {
    CDL_TRY(bench_measure_summarize(&t->contender[m].step));
    CDL_TRY(bench_measure_summarize(&t->contender[m].list));
    t->contender[m].step.joules = t->contender[m].joules / (double)t->contender[m].step.count;
  }
  return CDL_STATUS_OK;
}

/* ---- Reporting ---- */

static double operations_of(const training *t, const contender *c)
{
  double sum = 0;
  for (size_t b = 0; b < t->encoder.batches.count; b++)
    sum += c->lists[b].operations;
  return sum;
}

static cdl_status report_times(training *t)
{
  static const bench_report_column columns[] = {
      {"name", "what", BENCH_REPORT_TEXT},
      BENCH_REPORT_TIMING_COLUMNS,
      {"flop", "Gflop", BENCH_REPORT_OPERATIONS},
      {"flop_per_s", "GFLOP/s", BENCH_REPORT_OPERATIONS_PER_S},
      {"of_best", "of best GEMM", BENCH_REPORT_SHARE},
      {"of_sheet", "of data sheet", BENCH_REPORT_SHARE},
      {"steps_per_s", "steps/s", BENCH_REPORT_NUMBER},
      {"examples_per_s", "examples/s", BENCH_REPORT_NUMBER},
      {"tokens_per_s", "tokens/s", BENCH_REPORT_NUMBER},
      BENCH_CONDITIONS_COLUMNS};
  bench_report *r = t->bench->report;
  char title[320];
  snprintf(title, sizeof title, "train: %s", t->encoder.title);
  bench_report_use_table(r, "train", title, columns, sizeof columns / sizeof columns[0]);
  for (int m = 0; m < METHODS; m++) {
    const contender *c = &t->contender[m];
    for (int alone = 0; alone < 2; alone++) {
      const bench_measurement *times = alone ? &c->list : &c->step;
      char name[64];
      double seconds = 0;
      CDL_TRY(bench_measure_sum(times, t->encoder.batches.count, BENCH_MEASURE_MEDIANS, &seconds));
      snprintf(name, sizeof name, "%s %s", c->method, alone ? "GEMMs alone" : "step");
      bench_report_add_row(r);
      bench_report_text(r, "name", name);
      bench_report_timing(r, times);
      bench_report_number(r, "flop", operations_of(t, c) / (double)t->encoder.batches.count);
      bench_report_number(r, "flop_per_s", operations_of(t, c) / seconds);
      if (alone)
        continue;
      bench_report_number(r, "steps_per_s", (double)t->encoder.batches.count / seconds);
      bench_report_number(r, "examples_per_s", t->encoder.batches.examples / seconds);
      bench_report_number(r, "tokens_per_s", t->encoder.batches.tokens / seconds);
      const double rounds = (double)c->step.count / (double)t->encoder.batches.count;
      const bench_conditions conditions = {.runs = 1,
                                           .shards = c->workload.step.shards.count,
                                           .instructions = c->instructions,
                                           .examples = rounds * t->encoder.batches.examples};
      bench_conditions_report(t->bench, &conditions);
    }
  }
  return CDL_STATUS_OK;
}

static cdl_status report_ratios(training *t)
{
  static const bench_report_column columns[] = {
      {"method", "method", BENCH_REPORT_TEXT},
      {"step_per_gemms", "step / own GEMMs", BENCH_REPORT_NUMBER},
      {"step_per_gemms_least", "by least times", BENCH_REPORT_NUMBER},
      {"gemms_of_best", "GEMMs / best GEMM", BENCH_REPORT_SHARE},
      {"step_per_lora", "step / LoRA's", BENCH_REPORT_NUMBER},
      {"step_per_lora_least", "by least times", BENCH_REPORT_NUMBER},
      {"buffer_bytes", "in buffers", BENCH_REPORT_BYTES},
      {"peak_bytes", "peak of process", BENCH_REPORT_BYTES}};
  bench_report *r = t->bench->report;
  bench_report_use_table(r, "train-ratios", "train: ratios", columns,
                         sizeof columns / sizeof columns[0]);
  for (int m = 0; m < METHODS; m++) {
    const contender *c = &t->contender[m];
    double ratio = 0, of_lora = 0, step = 0, list = 0, lora = 0;
    CDL_TRY(bench_measure_ratio(&c->step, &c->list, &ratio));
    CDL_TRY(bench_measure_ratio(&c->step, &t->contender[0].step, &of_lora));
    CDL_TRY(bench_measure_sum(&c->step, t->encoder.batches.count, BENCH_MEASURE_MINIMA, &step));
    CDL_TRY(bench_measure_sum(&c->list, t->encoder.batches.count, BENCH_MEASURE_MINIMA, &list));
    CDL_TRY(bench_measure_sum(&t->contender[0].step, t->encoder.batches.count, BENCH_MEASURE_MINIMA,
                              &lora));
    bench_report_add_row(r);
    bench_report_text(r, "method", c->method);
    bench_report_number(r, "step_per_gemms", ratio);
    bench_report_number(r, "step_per_gemms_least", step / list);
    bench_report_number(r, "gemms_of_best", operations_of(t, c) / list / t->bench->best_gemm);
    bench_report_number(r, "step_per_lora", of_lora);
    bench_report_number(r, "step_per_lora_least", step / lora);
    bench_report_number(r, "buffer_bytes", (double)c->buffer_bytes);
    bench_report_number(r, "peak_bytes", (double)c->peak_bytes);
  }
  return CDL_STATUS_OK;
}

/* Runs each batch a few times more and observes its ops. */
static cdl_status watch_ops(training *t, contender *c)
{
  static const char *const titles[METHODS] = {"train: ops of a LoRA step",
                                              "train: ops of a CondLoRA step"};
  const int rounds = t->bench->options.quick ? 1 : 3;
  bench_op_times times = {0};
  cdl_status status = CDL_STATUS_OK;
  double seconds = 0, steps = 0;
  for (int round = 0; round < rounds; round++)
    for (size_t b = 0; status == CDL_STATUS_OK && b < t->encoder.batches.count; b++) {
      const data_batch *batch = &t->encoder.batches.item[b];
      float loss, norm;
      bench_op_times_begin(&times, t->bench->backend, (int32_t)batch->input.examples);
      const double start = bench_measure_now();
      status = bench_workload_step_in_pieces(&c->workload, batch, &loss, &norm);
      seconds += bench_measure_now() - start;
      steps++;
      const cdl_status ended = bench_op_times_end(&times, t->bench->backend);
      status = status == CDL_STATUS_OK ? ended : status;
    }
  if (status == CDL_STATUS_OK)
    bench_op_times_report(&times, t->bench->report, titles[c - t->contender], steps, seconds);
  bench_op_times_release(&times);
  return status;
}

/* ---- The workload ---- */

static void release(training *t)
{
  for (int m = 0; m < METHODS; m++) {
    contender *c = &t->contender[m];
    for (size_t b = 0; c->lists != NULL && b < t->encoder.batches.count; b++)
      bench_products_release(&c->lists[b]);
    free(c->lists);
    bench_product_weights_release(&c->weights);
    bench_workload_close(&c->workload);
    bench_measure_release(&c->step);
    bench_measure_release(&c->list);
  }
  bench_encoder_release(&t->encoder);
}

static cdl_status run(training *t)
{
  CDL_TRY(bench_encoder_choose(t->bench, &t->encoder));
  for (int m = 0; m < METHODS; m++) {
    bench_progress("train", "memory and check");
    CDL_TRY(measure_memory(t, &t->contender[m]));
  }
  for (int m = 0; m < METHODS; m++)
    CDL_TRY(prepare(t, &t->contender[m]));
  CDL_TRY(bench_find_peak(t->bench, false));
  CDL_TRY(run_rounds(t));
  CDL_TRY(report_times(t));
  CDL_TRY(report_ratios(t));
  for (int m = 0; t->bench->options.ops && m < METHODS; m++)
    CDL_TRY(watch_ops(t, &t->contender[m]));
  return CDL_STATUS_OK;
}

cdl_status bench_train(bench *b)
{
  if (b->options.joint > 1)
    return bench_joint(b);
  if (b->options.top > 0)
    return bench_top(b);
  training t = {.bench = b, .contender = {{.method = "lora"}, {.method = "condlora"}}};
  const cdl_status status = run(&t);
  release(&t);
  return status;
}
