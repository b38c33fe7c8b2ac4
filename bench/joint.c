/* Measures training steps of several runs in one pass over one body, for LoRA and CondLoRA: what
 * `condlora search --parallel` does for each step. */
#include <stdio.h>

#include "bench/bench.h"
#include "bench/conditions.h"
#include "bench/counters.h"
#include "bench/encoders.h"

typedef struct {
  bench_workload base; /* holds the body */
  bench_workload run[ENCODER_JOINT_MAX];
  size_t count;
  bench_measurement times; /* round by round, batch by batch */
  double instructions;     /* of all steps; NaN where the machine does not count them */
} crew;

static cdl_status time_round(crew *c, const bench_batches *batches)
{
  for (size_t b = 0; b < batches->count; b++) {
    const double counted = bench_instructions(), start = bench_measure_now();
    CDL_TRY(bench_workload_step_joint(c->run, c->count, &batches->item[b]));
    CDL_TRY(bench_measure_add(&c->times, bench_measure_now() - start));
    c->instructions += bench_instructions() - counted;
  }
  return CDL_STATUS_OK;
}

static cdl_status time_rounds(const bench *b, crew *c, const bench_batches *batches)
{
  const bench_options *o = &b->options;
  const double seconds = (o->seconds > 0 ? o->seconds : o->quick ? 4 : 40) / 2; /* per method */
  enum { LEAST_ROUNDS = 2, MOST_ROUNDS = 200 };
  /* Two steps are not timed: the first allocates, the second may be recorded. */
  for (int step = 0; step < 2; step++)
    CDL_TRY(bench_workload_step_joint(c->run, c->count, &batches->item[0]));
  CDL_TRY(bench_workload_check_joint(c->run, c->count, &batches->item[0]));
  const double end = bench_measure_spent() + seconds;
  for (int round = 0; round < MOST_ROUNDS && (round < LEAST_ROUNDS || bench_measure_spent() < end);
       round++)
    CDL_TRY(time_round(c, batches));
  return bench_measure_summarize(&c->times);
}

static cdl_status report(bench *b, const crew *c, const bench_batches *batches, const char *method)
{
  bench_report *r = b->report;
  char name[64];
  double seconds = 0;
  CDL_TRY(bench_measure_sum(&c->times, batches->count, BENCH_MEASURE_MEDIANS, &seconds));
  snprintf(name, sizeof name, "%s step", method);
  bench_report_add_row(r);
  bench_report_text(r, "name", name);
  bench_report_timing(r, &c->times);
  bench_report_number(r, "steps_per_s", (double)batches->count / seconds);
  bench_report_number(r, "examples_per_s", (double)c->count * batches->examples / seconds);
  bench_report_number(r, "tokens_per_s", (double)c->count * batches->tokens / seconds);
  const double rounds = (double)c->times.count / (double)batches->count;
  const bench_conditions conditions = {.runs = c->count,
                                       .shards = c->run[0].step.shards.count,
                                       .instructions = c->instructions,
                                       .examples = rounds * (double)c->count * batches->examples};
  bench_conditions_report(b, &conditions);
  return CDL_STATUS_OK;
}

static cdl_status measure(bench *b, const bench_encoder *encoder, const char *method)
{
  crew c = {.count = (size_t)b->options.joint};
  bench_progress("train", method);
  cdl_status status = bench_workload_open_joint(&c.base, c.run, c.count, b->queue, &encoder->model,
                                                method, encoder->batches.bound);
  if (status == CDL_STATUS_OK)
    status = time_rounds(b, &c, &encoder->batches);
  if (status == CDL_STATUS_OK)
    status = report(b, &c, &encoder->batches, method);
  bench_workload_close_joint(&c.base, c.run, c.count);
  bench_measure_release(&c.times);
  return cdl_context(status, "%zu runs with %s in one pass", c.count, method);
}

cdl_status bench_joint(bench *b)
{
  static const bench_report_column columns[] = {
      {"name", "what", BENCH_REPORT_TEXT},
      BENCH_REPORT_TIMING_COLUMNS,
      {"steps_per_s", "steps/s", BENCH_REPORT_NUMBER},
      {"examples_per_s", "examples/s of all", BENCH_REPORT_NUMBER},
      {"tokens_per_s", "tokens/s of all", BENCH_REPORT_NUMBER},
      BENCH_CONDITIONS_COLUMNS};
  static const char *const methods[] = {"lora", "condlora"};
  bench_encoder encoder;
  cdl_status status = bench_encoder_choose(b, &encoder);
  if (status == CDL_STATUS_OK) {
    char title[320];
    snprintf(title, sizeof title, "train: %lld runs in one pass, each of %s",
             (long long)b->options.joint, encoder.title);
    bench_report_use_table(b->report, "train", title, columns, sizeof columns / sizeof columns[0]);
  }
  for (size_t m = 0; status == CDL_STATUS_OK && m < sizeof methods / sizeof methods[0]; m++)
    status = measure(b, &encoder, methods[m]);
  bench_encoder_release(&encoder);
  return status;
}
