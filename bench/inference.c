/* Measures inference with the bare encoder and with a merged adapter of LoRA and of CondLoRA, in
 * turn. */
#include <stdio.h>

#include "bench/bench.h"
#include "bench/encoders.h"

enum { CONTENDERS = 3 };

typedef struct {
  const char *name, *method; /* NULL: bare encoder */
  bench_workload workload;
  bench_measurement times; /* round by round, batch by batch */
} contender;

typedef struct {
  bench *bench;
  bench_encoder encoder;
  contender contender[CONTENDERS];
} inference;

/* ---- Measuring ---- */

static cdl_status time_batch(contender *c, const data_batch *batch)
{
  const double start = bench_measure_now();
  CDL_TRY(bench_workload_infer(&c->workload, batch));
  CDL_TRY(cdl_queue_sync(c->workload.session.model.queue));
  return bench_measure_add(&c->times, bench_measure_now() - start);
}

/* Measures one round over all batches. The first contender changes from batch to batch and from
 * round to round, so that none always follows the same other. */
static cdl_status run_round(inference *t, int round)
{
  for (size_t b = 0; b < t->encoder.batches.count; b++)
    for (int i = 0; i < CONTENDERS; i++) {
      const int turn = (i + (int)b + round) % CONTENDERS;
      CDL_TRY(time_batch(&t->contender[round % 2 ? CONTENDERS - 1 - turn : turn],
                         &t->encoder.batches.item[b]));
    }
  return CDL_STATUS_OK;
}

static cdl_status run_rounds(inference *t)
{
  const bench_options *o = &t->bench->options;
  const double seconds = o->seconds > 0 ? o->seconds : o->quick ? 2 : 30;
  enum { LEAST_ROUNDS = 3, MOST_ROUNDS = 1000 };
  for (size_t b = 0; b < t->encoder.batches.count; b++) /* warm-up */
    for (int i = 0; i < CONTENDERS; i++)
      CDL_TRY(bench_workload_infer(&t->contender[i].workload, &t->encoder.batches.item[b]));
  CDL_TRY(cdl_queue_sync(t->bench->queue));
  const double end = bench_measure_spent() + seconds;
  for (int round = 0; round < MOST_ROUNDS && (round < LEAST_ROUNDS || bench_measure_spent() < end);
       round++)
    CDL_TRY(run_round(t, round));
  for (int i = 0; i < CONTENDERS; i++)
    CDL_TRY(bench_measure_summarize(&t->contender[i].times));
  return CDL_STATUS_OK;
}

/* ---- Reporting ---- */

static cdl_status report_times(inference *t)
{
  static const bench_report_column columns[] = {
      {"name", "what", BENCH_REPORT_TEXT},
      BENCH_REPORT_TIMING_COLUMNS,
      {"examples_per_s", "examples/s", BENCH_REPORT_NUMBER},
      {"tokens_per_s", "tokens/s", BENCH_REPORT_NUMBER},
      {"per_bare", "/ bare", BENCH_REPORT_NUMBER},
      {"per_bare_least", "by least times", BENCH_REPORT_NUMBER}};
  const size_t batches = t->encoder.batches.count;
  bench_report *r = t->bench->report;
  double bare = 0;
  char title[320];
  snprintf(title, sizeof title, "inference: %s", t->encoder.title);
  bench_report_use_table(r, "inference", title, columns, sizeof columns / sizeof columns[0]);
  CDL_TRY(bench_measure_sum(&t->contender[0].times, batches, BENCH_MEASURE_MINIMA, &bare));
  for (int i = 0; i < CONTENDERS; i++) {
    const contender *c = &t->contender[i];
    double seconds = 0, least = 0, ratio = 0;
    CDL_TRY(bench_measure_sum(&c->times, batches, BENCH_MEASURE_MEDIANS, &seconds));
    CDL_TRY(bench_measure_sum(&c->times, batches, BENCH_MEASURE_MINIMA, &least));
    CDL_TRY(bench_measure_ratio(&c->times, &t->contender[0].times, &ratio));
    bench_report_add_row(r);
    bench_report_text(r, "name", c->name);
    bench_report_timing(r, &c->times);
    bench_report_number(r, "examples_per_s", t->encoder.batches.examples / seconds);
    bench_report_number(r, "tokens_per_s", t->encoder.batches.tokens / seconds);
    bench_report_number(r, "per_bare", ratio);
    bench_report_number(r, "per_bare_least", least / bare);
  }
  return CDL_STATUS_OK;
}

/* ---- The workload ---- */

static cdl_status run(inference *t)
{
  CDL_TRY(bench_encoder_choose(t->bench, &t->encoder));
  for (int i = 0; i < CONTENDERS; i++) {
    contender *c = &t->contender[i];
    bench_progress("inference", c->name);
    CDL_TRY(cdl_context(
        bench_workload_open_inference(&c->workload, t->bench->queue, &t->encoder.model, c->method,
                                      t->encoder.batches.bound, &t->encoder.batches.item[0],
                                      bench_unit(t->bench) > 0x1p-24),
        "%s", c->name));
  }
  CDL_TRY(run_rounds(t));
  return report_times(t);
}

cdl_status bench_inference(bench *b)
{
  inference t = {.bench = b,
                 .contender = {{.name = "bare"},
                               {.name = "lora merged", .method = "lora"},
                               {.name = "condlora merged", .method = "condlora"}}};
  const cdl_status status = run(&t);
  for (int i = 0; i < CONTENDERS; i++) {
    bench_workload_close(&t.contender[i].workload);
    bench_measure_release(&t.contender[i].times);
  }
  bench_encoder_release(&t.encoder);
  return status;
}
