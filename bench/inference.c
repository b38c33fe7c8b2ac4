/* Measures inference with the bare encoder and with a merged adapter of LoRA and of CondLoRA, in
 * turn. */
#include <stdio.h>

#include "bench/bench.h"
#include "bench/encoders.h"

enum { CONTENDERS = 3 };

typedef struct {
  const char *name, *method; /* NULL: bare encoder */
  workload workload;
  measurement times; /* round by round, batch by batch */
} contender;

typedef struct {
  bench *bench;
  bench_encoder encoder;
  contender contender[CONTENDERS];
} inference;

/* ---- Measuring ---- */

static cdl_status time_batch(contender *c, const data_batch *batch)
{
  const double start = measure_now();
  CDL_TRY(workload_infer(&c->workload, batch));
  CDL_TRY(cdl_queue_sync(c->workload.session.model.queue));
  return measure_add(&c->times, measure_now() - start);
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
      CDL_TRY(workload_infer(&t->contender[i].workload, &t->encoder.batches.item[b]));
  CDL_TRY(cdl_queue_sync(t->bench->queue));
  const double end = measure_now() + seconds;
  for (int round = 0; round < MOST_ROUNDS && (round < LEAST_ROUNDS || measure_now() < end); round++)
    CDL_TRY(run_round(t, round));
  for (int i = 0; i < CONTENDERS; i++)
    CDL_TRY(measure_summarize(&t->contender[i].times));
  return CDL_STATUS_OK;
}

/* ---- Reporting ---- */

static cdl_status report_times(inference *t)
{
  static const report_column columns[] = {{"name", "what", REPORT_TEXT},
                                          REPORT_TIMING_COLUMNS,
                                          {"examples_per_s", "examples/s", REPORT_NUMBER},
                                          {"tokens_per_s", "tokens/s", REPORT_NUMBER},
                                          {"per_bare", "/ bare", REPORT_NUMBER},
                                          {"per_bare_least", "by least times", REPORT_NUMBER}};
  const size_t batches = t->encoder.batches.count;
  report *r = t->bench->report;
  double bare = 0;
  char title[320];
  snprintf(title, sizeof title, "inference: %s", t->encoder.title);
  report_use_table(r, "inference", title, columns, sizeof columns / sizeof columns[0]);
  CDL_TRY(measure_sum(&t->contender[0].times, batches, MEASURE_MINIMA, &bare));
  for (int i = 0; i < CONTENDERS; i++) {
    const contender *c = &t->contender[i];
    double seconds = 0, least = 0, ratio = 0;
    CDL_TRY(measure_sum(&c->times, batches, MEASURE_MEDIANS, &seconds));
    CDL_TRY(measure_sum(&c->times, batches, MEASURE_MINIMA, &least));
    CDL_TRY(measure_ratio(&c->times, &t->contender[0].times, &ratio));
    report_add_row(r);
    report_text(r, "name", c->name);
    report_timing(r, &c->times);
    report_number(r, "examples_per_s", t->encoder.batches.examples / seconds);
    report_number(r, "tokens_per_s", t->encoder.batches.tokens / seconds);
    report_number(r, "per_bare", ratio);
    report_number(r, "per_bare_least", least / bare);
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
    CDL_TRY(cdl_context(workload_open_inference(&c->workload, t->bench->queue, &t->encoder.model,
                                                c->method, t->encoder.batches.bound,
                                                &t->encoder.batches.item[0],
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
    workload_close(&t.contender[i].workload);
    measure_release(&t.contender[i].times);
  }
  bench_encoder_release(&t.encoder);
  return status;
}
