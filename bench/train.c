/* A training step, and its own matrix products alone: LoRA and CondLoRA side by side, turn by turn. */
#include <ctype.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/op_times.h"
#include "bench/products.h"
#include "bench/session.h"
#include "train/process.h"

enum { METHODS = 2 };

typedef struct {
  const char *method;
  session session;
  product_list *lists; /* [batches] */
  product_weights weights;
  measurement step, list;          /* samples: round by round, a batch after the other */
  size_t peak_bytes, buffer_bytes; /* of the process; in the backend's buffers and weights */
} contender;

typedef struct {
  bench *bench;
  session_model model;
  bench_batches batches;
  contender contender[METHODS];
  char title[256];
} training;

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Linux can forget a process's peak; elsewhere it stands. */
static void reset_peak(void)
{
  malloc_trim(0);
  FILE *f = fopen("/proc/self/clear_refs", "w");
  if (f == NULL)
    return;
  fputs("5", f);
  fclose(f);
}

/* ---- Preparing ------------------------------------------------------------------------------- */

static cdl_model_config roberta(bool large)
{
  return (cdl_model_config){.family = CDL_FAMILY_ROBERTA,
                            .vocabulary_size = 50265,
                            .hidden_size = large ? 1024 : 768,
                            .layers = large ? 24 : 12,
                            .heads = large ? 16 : 12,
                            .intermediate_size = large ? 4096 : 3072,
                            .position_count = 514,
                            .type_count = 1,
                            .pad_id = 1,
                            .layer_norm_epsilon = 1e-5,
                            .activation = CDL_ACTIVATION_GELU,
                            .initializer_range = 0.02};
}

static cdl_status choose_model(training *t)
{
  const bench_options *o = &t->bench->options;
  enum { QUICK_LAYERS = 3 };
  if (o->model != NULL) {
    CDL_TRY(cdl_model_config_read(o->model, &t->model.config));
    t->model.folder = o->model;
  } else {
    t->model.config = roberta(strcmp(t->bench->shapes->encoder, "large") == 0);
    if (o->quick)
      t->model.config.layers = QUICK_LAYERS;
  }
  return CDL_OK;
}

static cdl_status make_batches(training *t, const char *lengths)
{
  const bench_options *o = &t->bench->options;
  const size_t count = o->quick ? 2 : 6, examples = (size_t)o->batch_size;
  const bench_shapes *s = t->bench->shapes;
  if (o->task != NULL)
    return bench_batches_read(&t->model.config, o->model, o->task, o->data, count, examples,
                              &t->batches);
  if (s->batch_count > 0 && o->lengths == NULL)
    return bench_batches_like(&t->model.config, s->batches,
                              s->batch_count < count ? s->batch_count : count, &t->batches);
  return bench_batches_make(&t->model.config, lengths, count, examples, &t->batches);
}

static cdl_status choose_batches(training *t)
{
  const bench_options *o = &t->bench->options;
  const bool traced = t->bench->shapes->batch_count > 0 && o->lengths == NULL && o->task == NULL;
  const char *lengths = o->lengths != NULL ? o->lengths : o->model != NULL ? "mrpc" : "rte";
  CDL_TRY(make_batches(t, lengths));
  const cdl_model_config *c = &t->model.config;
  const char *kind = o->task != NULL                      ? ""
                     : traced                             ? "'s lengths"
                     : isdigit((unsigned char)lengths[0]) ? " tokens"
                                                          : "'s lengths";
  char like[64];
  snprintf(like, sizeof like, ", random, as RoBERTa-%s's", t->bench->shapes->encoder);
  snprintf(t->title, sizeof t->title,
           "train: %lld layers of %lld%s; %zu batches of %zu examples, %s%s: %.0f tokens each, "
           "longest example %zu",
           (long long)c->layers, (long long)c->hidden_size, o->model != NULL ? "" : like,
           t->batches.count, t->batches.bound.examples,
           o->task != NULL ? o->task
           : traced        ? "the trace"
                           : lengths,
           kind, t->batches.tokens / (double)t->batches.count, t->batches.bound.longest);
  return CDL_OK;
}

/* A model at a time, so that each one's peak is its own; and the check. */
static cdl_status measure_memory(training *t, contender *c)
{
  session s;
  float loss, norm;
  reset_peak();
  CDL_TRY(session_open(&s, t->bench->queue, &t->model, c->method, t->batches.bound));
  cdl_status status = CDL_OK;
  for (size_t i = 0; status == CDL_OK && i < 2 && i < t->batches.count; i++)
    status = session_step(&s, &t->batches.item[i], &loss, &norm);
  c->peak_bytes = cdl_process_peak_bytes();
  cdl_memory_info memory = {0};
  if (status == CDL_OK)
    status = cdl_backend_memory(t->bench->backend, &memory);
  c->buffer_bytes = memory.used_bytes;
  if (status == CDL_OK)
    status = session_check(&s, &t->batches.item[0], c->method, bench_unit(t->bench) > 0x1p-24);
  session_close(&s);
  return status;
}

/* Opens the session, and a list of products for each batch. */
static cdl_status prepare(training *t, contender *c)
{
  cdl_queue *queue = t->bench->queue;
  float loss, norm;
  CDL_TRY(session_open(&c->session, queue, &t->model, c->method, t->batches.bound));
  c->lists = calloc(t->batches.count, sizeof *c->lists);
  if (c->lists == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: lists of products");
  for (size_t i = 0; i < t->batches.count; i++) {
    products_record_begin(&c->lists[i], t->bench->backend);
    const cdl_status status = session_step(&c->session, &t->batches.item[i], &loss, &norm);
    const cdl_status ended = products_record_end(&c->lists[i], queue, &c->weights);
    CDL_TRY(status);
    CDL_TRY(ended);
  }
  return CDL_OK;
}

/* ---- Measuring ------------------------------------------------------------------------------- */

static cdl_status time_step(contender *c, const cdl_batch *batch)
{
  float loss, norm;
  const double start = measure_now();
  CDL_TRY(session_step(&c->session, batch, &loss, &norm));
  return measure_add(&c->step, measure_now() - start);
}

static cdl_status time_list(contender *c, const product_list *list)
{
  cdl_queue *queue = c->session.job.queue;
  CDL_TRY(cdl_sync(queue));
  const double start = measure_now();
  products_replay(list, queue);
  CDL_TRY(cdl_sync(queue));
  return measure_add(&c->list, measure_now() - start);
}

/* One round over all batches: what is compared is measured within the same second. */
static cdl_status run_round(training *t)
{
  for (size_t b = 0; b < t->batches.count; b++)
    for (int m = 0; m < METHODS; m++) {
      contender *c = &t->contender[(m + (int)b) % METHODS]; /* who goes first, changes */
      CDL_TRY(time_step(c, &t->batches.item[b]));
      CDL_TRY(time_list(c, &c->lists[b]));
    }
  return bench_find_peak(t->bench, true);
}

static cdl_status run_rounds(training *t)
{
  const bench_options *o = &t->bench->options;
  const double seconds = o->seconds > 0 ? o->seconds : o->quick ? 4 : 40;
  enum { LEAST_ROUNDS = 2, MOST_ROUNDS = 200 };
  const double end = measure_now() + seconds;
  for (int round = 0; round < MOST_ROUNDS && (round < LEAST_ROUNDS || measure_now() < end);
       round++) {
    bench_progress("train", "");
    CDL_TRY(run_round(t));
  }
  for (int m = 0; m < METHODS; m++) {
    CDL_TRY(measure_summarize(&t->contender[m].step));
    CDL_TRY(measure_summarize(&t->contender[m].list));
  }
  return CDL_OK;
}

/* ---- Reporting ------------------------------------------------------------------------------- */

typedef enum { OVER_MEDIANS, OVER_MINIMA } estimate;

/* Seconds for all batches once: the sum of each one's median, or least, time. */
static cdl_status sum_over_batches(const training *t, const measurement *m, estimate how,
                                   double *sum)
{
  const size_t batches = t->batches.count, rounds = m->count / batches;
  double *times = malloc((rounds + 1) * sizeof *times);
  if (times == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: %zu times", rounds);
  *sum = 0;
  for (size_t b = 0; b < batches; b++) {
    double least = m->samples[b];
    for (size_t r = 0; r < rounds; r++) {
      times[r] = m->samples[r * batches + b];
      least = times[r] < least ? times[r] : least;
    }
    *sum += how == OVER_MINIMA ? least : measure_median(times, rounds);
  }
  free(times);
  return CDL_OK;
}

/* The median of what one takes in units of the other, measured one after the other. */
static cdl_status median_ratio(const measurement *a, const measurement *b, double *ratio)
{
  const size_t count = a->count < b->count ? a->count : b->count;
  double *ratios = malloc((count + 1) * sizeof *ratios);
  if (ratios == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: %zu ratios", count);
  for (size_t i = 0; i < count; i++)
    ratios[i] = a->samples[i] / b->samples[i];
  *ratio = measure_median(ratios, count);
  free(ratios);
  return CDL_OK;
}

static double operations_of(const training *t, const contender *c)
{
  double sum = 0;
  for (size_t b = 0; b < t->batches.count; b++)
    sum += c->lists[b].operations;
  return sum;
}

static cdl_status report_times(training *t)
{
  static const report_column columns[] = {{"name", "what", REPORT_TEXT},
                                          REPORT_TIMING_COLUMNS,
                                          {"flop", "Gflop", REPORT_OPERATIONS},
                                          {"flop_per_s", "GFLOP/s", REPORT_OPERATIONS_PER_S},
                                          {"of_best", "of best GEMM", REPORT_SHARE},
                                          {"of_sheet", "of data sheet", REPORT_SHARE},
                                          {"steps_per_s", "steps/s", REPORT_NUMBER},
                                          {"examples_per_s", "examples/s", REPORT_NUMBER},
                                          {"tokens_per_s", "tokens/s", REPORT_NUMBER}};
  report *r = t->bench->report;
  report_use_table(r, "train", t->title, columns, sizeof columns / sizeof columns[0]);
  for (int m = 0; m < METHODS; m++) {
    const contender *c = &t->contender[m];
    for (int alone = 0; alone < 2; alone++) {
      const measurement *times = alone ? &c->list : &c->step;
      char name[64];
      double seconds = 0;
      CDL_TRY(sum_over_batches(t, times, OVER_MEDIANS, &seconds));
      snprintf(name, sizeof name, "%s %s", c->method, alone ? "GEMMs alone" : "step");
      report_add_row(r);
      report_text(r, "name", name);
      report_timing(r, times);
      report_number(r, "flop", operations_of(t, c) / (double)t->batches.count);
      report_number(r, "flop_per_s", operations_of(t, c) / seconds);
      if (alone)
        continue;
      report_number(r, "steps_per_s", (double)t->batches.count / seconds);
      report_number(r, "examples_per_s", t->batches.examples / seconds);
      report_number(r, "tokens_per_s", t->batches.tokens / seconds);
    }
  }
  return CDL_OK;
}

static cdl_status report_ratios(training *t)
{
  static const report_column columns[] = {{"method", "method", REPORT_TEXT},
                                          {"step_per_gemms", "step / own GEMMs", REPORT_NUMBER},
                                          {"step_per_gemms_least", "by least times", REPORT_NUMBER},
                                          {"gemms_of_best", "GEMMs / best GEMM", REPORT_SHARE},
                                          {"step_per_lora", "step / LoRA's", REPORT_NUMBER},
                                          {"step_per_lora_least", "by least times", REPORT_NUMBER},
                                          {"buffer_bytes", "in buffers", REPORT_BYTES},
                                          {"peak_bytes", "peak of process", REPORT_BYTES}};
  report *r = t->bench->report;
  report_use_table(r, "train-ratios", "train: ratios", columns, sizeof columns / sizeof columns[0]);
  for (int m = 0; m < METHODS; m++) {
    const contender *c = &t->contender[m];
    double ratio = 0, of_lora = 0, step = 0, list = 0, lora = 0;
    CDL_TRY(median_ratio(&c->step, &c->list, &ratio));
    CDL_TRY(median_ratio(&c->step, &t->contender[0].step, &of_lora));
    CDL_TRY(sum_over_batches(t, &c->step, OVER_MINIMA, &step));
    CDL_TRY(sum_over_batches(t, &c->list, OVER_MINIMA, &list));
    CDL_TRY(sum_over_batches(t, &t->contender[0].step, OVER_MINIMA, &lora));
    report_add_row(r);
    report_text(r, "method", c->method);
    report_number(r, "step_per_gemms", ratio);
    report_number(r, "step_per_gemms_least", step / list);
    report_number(r, "gemms_of_best", operations_of(t, c) / list / t->bench->best_gemm);
    report_number(r, "step_per_lora", of_lora);
    report_number(r, "step_per_lora_least", step / lora);
    report_number(r, "buffer_bytes", (double)c->buffer_bytes);
    report_number(r, "peak_bytes", (double)c->peak_bytes);
  }
  return CDL_OK;
}

/* Each batch a few times more, watched. */
static cdl_status watch_ops(training *t, contender *c)
{
  static const char *const titles[METHODS] = {"train: ops of a LoRA step",
                                              "train: ops of a CondLoRA step"};
  const int rounds = t->bench->options.quick ? 1 : 3;
  op_times times = {0};
  cdl_status status = CDL_OK;
  double seconds = 0, steps = 0;
  for (int round = 0; round < rounds; round++)
    for (size_t b = 0; status == CDL_OK && b < t->batches.count; b++) {
      const cdl_batch *batch = &t->batches.item[b];
      float loss, norm;
      op_times_begin(&times, t->bench->backend, (int32_t)batch->examples);
      const double start = measure_now();
      status = session_step(&c->session, batch, &loss, &norm);
      seconds += measure_now() - start;
      steps++;
      const cdl_status ended = op_times_end(&times, t->bench->backend);
      status = status == CDL_OK ? ended : status;
    }
  if (status == CDL_OK)
    op_times_report(&times, t->bench->report, titles[c - t->contender], steps, seconds);
  op_times_release(&times);
  return status;
}

/* ---- The workload ---------------------------------------------------------------------------- */

static void release(training *t)
{
  for (int m = 0; m < METHODS; m++) {
    contender *c = &t->contender[m];
    for (size_t b = 0; c->lists != NULL && b < t->batches.count; b++)
      products_release(&c->lists[b]);
    free(c->lists);
    product_weights_release(&c->weights);
    session_close(&c->session);
    measure_release(&c->step);
    measure_release(&c->list);
  }
  bench_batches_release(&t->batches);
  if (t->model.folder != NULL)
    cdl_model_config_free(&t->model.config);
}

static cdl_status run(training *t)
{
  CDL_TRY(choose_model(t));
  CDL_TRY(choose_batches(t));
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
  return CDL_OK;
}

cdl_status bench_train(bench *b)
{
  training t = {.bench = b, .contender = {{.method = "lora"}, {.method = "condlora"}}};
  const cdl_status status = run(&t);
  release(&t);
  return status;
}
