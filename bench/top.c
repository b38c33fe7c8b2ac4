/* Measures training steps above frozen layers: with passes through all layers, and from kept
 * states, as `condlora train --cache-frozen` has them. */
#include <math.h>
#include <stdio.h>

#include "bench/bench.h"
#include "bench/conditions.h"
#include "bench/counters.h"
#include "bench/encoders.h"

enum { ALONE = BENCH_TOP_RUNS, CONTENDERS };

typedef struct {
  bench_workload base, run[BENCH_TOP_RUNS];
  bench_workload alone; /* a model of the highest layers; only with random weights */
  bool has_alone;
  bench_encoder encoder;
  bench_measurement times[CONTENDERS]; /* round by round, batch by batch */
  double instructions[CONTENDERS];     /* of all; NaN where the machine does not count them */
} highest;

static cdl_status step(highest *h, int contender, data_batch *batch, float *loss)
{
  float norm;
  bench_workload *s = contender == ALONE ? &h->alone : &h->run[contender];
  return bench_workload_step_from(s, batch, loss, &norm);
}

/* Checks each run beside the one that differs from it by the kept states alone. These steps also
 * allocate, record, and compute the states of every batch. */
static cdl_status warm_up(highest *h)
{
  const double tolerance = 1e-3;
  for (size_t round = 0; round < 2; round++)
    for (size_t b = 0; b < h->encoder.batches.count; b++) {
      float loss[CONTENDERS] = {0};
      for (int c = 0; c < CONTENDERS; c++)
        if (c != ALONE || h->has_alone)
          CDL_TRY(step(h, c, &h->encoder.batches.item[b], &loss[c]));
      for (int c = 0; c < BENCH_TOP_RUNS; c += 2)
        if (!(fabsf(loss[c] - loss[c + 1]) <= tolerance))
          return cdl_fail(CDL_STATUS_NUMERIC, "the loss is %g, from kept states %g",
                          (double)loss[c], (double)loss[c + 1]);
    }
  return CDL_STATUS_OK;
}

static cdl_status time_rounds(const bench *b, highest *h)
{
  const bench_options *o = &b->options;
  const double seconds = o->seconds > 0 ? o->seconds : o->quick ? 4 : 40;
  enum { LEAST_ROUNDS = 2, MOST_ROUNDS = 200 };
  const double end = bench_measure_spent() + seconds;
  for (int round = 0; round < MOST_ROUNDS && (round < LEAST_ROUNDS || bench_measure_spent() < end);
       round++)
    for (size_t i = 0; i < h->encoder.batches.count; i++)
      for (int c = 0; c < CONTENDERS; c++) {
        float loss;
        if (c == ALONE && !h->has_alone)
          continue;
        const double counted = bench_instructions(), start = bench_measure_now();
        CDL_TRY(step(h, c, &h->encoder.batches.item[i], &loss));
        CDL_TRY(bench_measure_add(&h->times[c], bench_measure_now() - start));
        h->instructions[c] += bench_instructions() - counted;
      }
  for (int c = 0; c < CONTENDERS; c++)
    if (c != ALONE || h->has_alone)
      CDL_TRY(bench_measure_summarize(&h->times[c]));
  return CDL_STATUS_OK;
}

/* Adds the row of a contender; `whole` is the one that its speedup refers to, or itself. */
static cdl_status report_row(bench *b, const highest *h, const char *name, int contender, int whole)
{
  const bench_batches *batches = &h->encoder.batches;
  bench_report *r = b->report;
  double seconds[2][2];
  for (int c = 0; c < 2; c++) {
    const bench_measurement *times = &h->times[c == 0 ? contender : whole];
    CDL_TRY(bench_measure_sum(times, batches->count, BENCH_MEASURE_MEDIANS, &seconds[c][0]));
    CDL_TRY(bench_measure_sum(times, batches->count, BENCH_MEASURE_MINIMA, &seconds[c][1]));
  }
  bench_report_add_row(r);
  bench_report_text(r, "name", name);
  bench_report_timing(r, &h->times[contender]);
  bench_report_number(r, "steps_per_s", (double)batches->count / seconds[0][0]);
  bench_report_number(r, "examples_per_s", batches->examples / seconds[0][0]);
  const double rounds = (double)h->times[contender].count / (double)batches->count;
  const bench_workload *s = contender == ALONE ? &h->alone : &h->run[contender];
  const bench_conditions conditions = {.kept = contender == BENCH_TOP_KEPT ||
                                               contender == BENCH_TOP_HEAD_KEPT,
                                       .runs = 1,
                                       .shards = s->step.shards.count,
                                       .instructions = h->instructions[contender],
                                       .examples = rounds * batches->examples};
  bench_conditions_report(b, &conditions);
  if (contender == whole)
    return CDL_STATUS_OK;
  bench_report_number(r, "speedup", seconds[1][0] / seconds[0][0]);
  bench_report_number(r, "speedup_least", seconds[1][1] / seconds[0][1]);
  return CDL_STATUS_OK;
}

static cdl_status report(bench *b, const highest *h)
{
  static const bench_report_column columns[] = {
      {"name", "what", BENCH_REPORT_TEXT},
      BENCH_REPORT_TIMING_COLUMNS,
      {"steps_per_s", "steps/s", BENCH_REPORT_NUMBER},
      {"examples_per_s", "examples/s", BENCH_REPORT_NUMBER},
      {"speedup", "times faster", BENCH_REPORT_NUMBER},
      {"speedup_least", "by least times", BENCH_REPORT_NUMBER},
      BENCH_CONDITIONS_COLUMNS};
  static const struct {
    const char *name;
    int contender, whole;
  } rows[] = {{"lora", BENCH_TOP_WHOLE, BENCH_TOP_WHOLE},
              {"lora kept", BENCH_TOP_KEPT, BENCH_TOP_WHOLE},
              {"lora alone", ALONE, BENCH_TOP_WHOLE},
              {"head", BENCH_TOP_HEAD_WHOLE, BENCH_TOP_HEAD_WHOLE},
              {"head kept", BENCH_TOP_HEAD_KEPT, BENCH_TOP_HEAD_WHOLE}};
  char title[384];
  snprintf(title, sizeof title, "train: adapters in the %lld highest layers of %s",
           (long long)b->options.top, h->encoder.title);
  bench_report_use_table(b->report, "train", title, columns, sizeof columns / sizeof columns[0]);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (rows[i].contender != ALONE || h->has_alone)
      CDL_TRY(report_row(b, h, rows[i].name, rows[i].contender, rows[i].whole));
  return CDL_STATUS_OK;
}

static cdl_status run(bench *b, highest *h)
{
  bench_progress("train", "");
  CDL_TRY(bench_encoder_choose(b, &h->encoder));
  bench_workload_model model = h->encoder.model;
  CDL_TRY(bench_workload_open_top(&h->base, h->run, b->queue, &model, b->options.top,
                                  h->encoder.batches.bound));
  const int64_t layers = encoder_config(h->base.session.model.encoder)->layers;
  if (b->options.top > layers)
    return cdl_fail(CDL_STATUS_USAGE, "--top %lld: the model has %lld layers",
                    (long long)b->options.top, (long long)layers);
  h->has_alone = model.folder == NULL;
  model.config.layers = b->options.top;
  if (h->has_alone)
    CDL_TRY(bench_workload_open(&h->alone, b->queue, &model, "lora", h->encoder.batches.bound));
  CDL_TRY(warm_up(h));
  CDL_TRY(time_rounds(b, h));
  return report(b, h);
}

cdl_status bench_top(bench *b)
{
  highest h = {.has_alone = false};
  const cdl_status status = run(b, &h);
  bench_workload_close_top(&h.base, h.run);
  bench_workload_close(&h.alone);
  for (int c = 0; c < CONTENDERS; c++)
    bench_measure_release(&h.times[c]);
  bench_encoder_release(&h.encoder);
  return status;
}
