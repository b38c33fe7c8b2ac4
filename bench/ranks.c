#include "bench/ranks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/commit.h"
#include "base/process.h"
#include "base/quota.h"
#include "bench/encoders.h"
#include "bench/shapes_choice.h"
#include "ranks/sum.h"
#include "tools/console/log.h"

/* What is summed over the ranks of a step. */
typedef struct {
  const char *name;
  size_t numbers;
  bool quick;
} vector;

static const vector vectors[] = {{"CondLoRA of RoBERTa-base", 24576, true},
                                 {"LoRA of RoBERTa-base", 294912, true},
                                 {"head of RoBERTa-base", 592130, true},
                                 {"all layers of MiniLM-L6", 10646784, false},
                                 {"all layers of RoBERTa-base", 85054464, false}};
enum { VECTORS = sizeof vectors / sizeof vectors[0], SMALL = 0, LARGE = 2 };

/* The network of the model: seconds of a message besides its bytes, and bytes in a second. */
typedef struct {
  const char *name;
  double latency, bytes_per_s;
} network;

enum { ETHERNET, INFINIBAND, HERE, NETWORKS };

typedef struct {
  const bench_options *options;
  ranks_job *job;
  bench_report *report;
  bench *bench;
  network networks[NETWORKS];
  double adding;                   /* numbers that a rank adds in a second */
  double measured[VECTORS];        /* least seconds of a sum */
  bench_measurement alone, shared; /* of a step: all examples on rank 0; a share on each rank */
  double compute;                  /* seconds of a rank's share, without the sum */
  size_t numbers;                  /* that the step sums */
} measuring;

/* ---- Sums ---- */

/* Times sums of one shard a rank, until all ranks have the result. */
static cdl_status time_sums(measuring *m, ranks_sum *sum, float *values, double seconds,
                            bench_measurement *times)
{
  enum { LEAST = 5, MOST = 500 };
  const double end = base_process_seconds() + seconds;
  int32_t more = 1;
  for (int i = 0; more != 0; i++) {
    int begin, last;
    ranks_sum_begin(sum, NULL);
    ranks_sum_shards(sum, &begin, &last);
    CDL_TRY(ranks_sum_add(sum, begin, values));
    CDL_TRY(ranks_barrier(m->job, "a sum"));
    const double start = base_process_seconds();
    CDL_TRY(ranks_sum_finish(sum, values, "a sum"));
    if (i > 0) /* the first one allocates */
      CDL_TRY(bench_measure_add(times, base_process_seconds() - start));
    more = i < LEAST || (i < MOST && base_process_seconds() < end);
    CDL_TRY(ranks_broadcast(m->job, &more, sizeof more, 0, "a sum"));
  }
  return bench_measure_summarize(times);
}

static cdl_status time_vector(measuring *m, size_t numbers, bench_measurement *times)
{
  ranks_sum sum;
  CDL_TRY(ranks_sum_create(&sum, m->job, ranks_size(m->job), numbers));
  float *values = calloc(numbers + 1, sizeof *values);
  const cdl_status status = values != NULL
                                ? time_sums(m, &sum, values, m->options->quick ? 0.2 : 1, times)
                                : cdl_fail(CDL_STATUS_MEMORY, "out of memory: a sum");
  free(values);
  ranks_sum_release(&sum);
  return status;
}

static cdl_status measure_sums(measuring *m)
{
  static const bench_report_column columns[] = {{"name", "gradients", BENCH_REPORT_TEXT},
                                                {"bytes", "bytes", BENCH_REPORT_BYTES},
                                                BENCH_REPORT_TIMING_COLUMNS};
  bench_report_use_table(m->report, "ranks-sums", "ranks: the sum of gradients over all ranks",
                         columns, sizeof columns / sizeof columns[0]);
  for (int v = 0; v < VECTORS; v++) {
    if (m->options->quick && !vectors[v].quick)
      continue;
    bench_measurement times = {0};
    const cdl_status status = time_vector(m, vectors[v].numbers, &times);
    m->measured[v] = times.minimum;
    if (status == CDL_STATUS_OK) {
      bench_report_add_row(m->report);
      bench_report_text(m->report, "name", vectors[v].name);
      bench_report_number(m->report, "bytes", (double)(vectors[v].numbers * sizeof(float)));
      bench_report_timing(m->report, &times);
    }
    bench_measure_release(&times);
    CDL_TRY(status);
  }
  return CDL_STATUS_OK;
}

/* ---- Steps ---- */

typedef struct {
  bench_workload workload;
  bench_encoder whole, share;
  ranks_sum sum;
  float *gradients;
} steps;

/* All examples on rank 0, while the other ranks wait. */
static cdl_status step_alone(measuring *m, steps *s)
{
  float loss, norm;
  const double start = base_process_seconds();
  if (ranks_rank(m->job) == 0) {
    CDL_TRY(bench_workload_step(&s->workload, &s->whole.batches.item[0], &loss, &norm));
    CDL_TRY(bench_measure_add(&m->alone, base_process_seconds() - start));
  }
  return ranks_barrier(m->job, "a step of one rank");
}

/* A share of the examples on each rank, and the sum of the gradients. */
static cdl_status step_shared(measuring *m, steps *s, double *compute)
{
  float loss, norm;
  int begin, end;
  CDL_TRY(ranks_barrier(m->job, "a step of all ranks"));
  const double start = base_process_seconds();
  CDL_TRY(bench_workload_step(&s->workload, &s->share.batches.item[0], &loss, &norm));
  *compute = fmin(*compute, base_process_seconds() - start);
  ranks_sum_begin(&s->sum, NULL);
  ranks_sum_shards(&s->sum, &begin, &end);
  CDL_TRY(ranks_sum_add(&s->sum, begin, s->gradients));
  CDL_TRY(ranks_sum_finish(&s->sum, s->gradients, "a step of all ranks"));
  return bench_measure_add(&m->shared, base_process_seconds() - start);
}

static cdl_status time_steps(measuring *m, steps *s)
{
  enum { LEAST = 3, MOST = 200 };
  const bench_options *o = m->options;
  const double seconds = o->seconds > 0 ? o->seconds : o->quick ? 4 : 40;
  const double until = base_process_seconds() + seconds;
  int32_t more = 1;
  m->compute = INFINITY;
  for (int i = 0; more != 0; i++) {
    CDL_TRY(step_alone(m, s));
    CDL_TRY(step_shared(m, s, &m->compute));
    more = i < LEAST || (i < MOST && base_process_seconds() < until);
    CDL_TRY(ranks_broadcast(m->job, &more, sizeof more, 0, "a step"));
  }
  if (m->alone.count > 0)
    CDL_TRY(bench_measure_summarize(&m->alone));
  return bench_measure_summarize(&m->shared);
}

static cdl_status choose_encoders(const measuring *m, steps *s)
{
  bench b = *m->bench;
  const size_t all = (size_t)b.options.batch_size;
  const int rank = ranks_rank(m->job), size = ranks_size(m->job);
  if (b.options.lengths == NULL)
    b.options.lengths = "69"; /* the mean of RTE; equal lengths, so that shares are equal work */
  CDL_TRY(bench_encoder_choose(&b, &s->whole));
  b.options.batch_size =
      (int64_t)(ranks_shard_begin(all, size, rank + 1) - ranks_shard_begin(all, size, rank));
  return bench_encoder_choose(&b, &s->share);
}

static cdl_status open_steps(measuring *m, steps *s)
{
  CDL_TRY(choose_encoders(m, s));
  CDL_TRY(bench_workload_open(&s->workload, m->bench->queue, &s->whole.model, "condlora",
                              s->whole.batches.bound));
  m->numbers =
      (size_t)cdl_tensor_elements(adapter_pass_gradients(s->workload.session.model.adapter));
  CDL_TRY(ranks_sum_create(&s->sum, m->job, ranks_size(m->job), m->numbers));
  s->gradients = calloc(m->numbers + 1, sizeof *s->gradients);
  return s->gradients != NULL ? CDL_STATUS_OK
                              : cdl_fail(CDL_STATUS_MEMORY, "out of memory: gradients");
}

static cdl_status run_steps(measuring *m, steps *s)
{
  CDL_TRY(ranks_agree(m->job, open_steps(m, s), "the encoder"));
  return time_steps(m, s);
}

static cdl_status measure_steps(measuring *m)
{
  static const bench_report_column columns[] = {{"ranks", "ranks", BENCH_REPORT_COUNT},
                                                {"examples", "examples", BENCH_REPORT_COUNT},
                                                {"alone_s", "one rank", BENCH_REPORT_SECONDS},
                                                {"shared_s", "all ranks", BENCH_REPORT_SECONDS},
                                                {"speedup", "speed-up", BENCH_REPORT_NUMBER},
                                                {"efficiency", "efficiency", BENCH_REPORT_SHARE}};
  steps *s = calloc(1, sizeof *s);
  if (s == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: steps");
  const cdl_status status = run_steps(m, s);
  if (status == CDL_STATUS_OK && ranks_rank(m->job) == 0) {
    char title[512];
    const double speedup = m->alone.minimum / m->shared.minimum;
    snprintf(title, sizeof title, "ranks: a step of CondLoRA, %s, least times", s->whole.title);
    bench_report_use_table(m->report, "ranks-step", title, columns,
                           sizeof columns / sizeof columns[0]);
    bench_report_add_row(m->report);
    bench_report_number(m->report, "ranks", ranks_size(m->job));
    bench_report_number(m->report, "examples", (double)m->options->batch_size);
    bench_report_number(m->report, "alone_s", m->alone.minimum);
    bench_report_number(m->report, "shared_s", m->shared.minimum);
    bench_report_number(m->report, "speedup", speedup);
    bench_report_number(m->report, "efficiency", speedup / ranks_size(m->job));
  }
  free(s->gradients);
  ranks_sum_release(&s->sum);
  bench_workload_close(&s->workload);
  bench_encoder_release(&s->whole);
  bench_encoder_release(&s->share);
  free(s);
  return status;
}

/* ---- The model ---- */

/* A ring passes every rank's vector to all others, then each rank adds them all. */
static double seconds_of_sum(const measuring *m, const network *n, int ranks, size_t numbers)
{
  const double others = ranks - 1, bytes = (double)(numbers * sizeof(float));
  return others * (n->latency + bytes / n->bytes_per_s + (double)numbers / m->adding);
}

static cdl_status measure_adding(measuring *m)
{
  enum { NUMBERS = 1 << 20, TIMES = 8 };
  float *sum = calloc(NUMBERS, sizeof *sum), *values = calloc(NUMBERS, sizeof *values);
  double least = INFINITY;
  for (int t = 0; sum != NULL && values != NULL && t < TIMES; t++) {
    const double start = base_process_seconds();
    for (size_t i = 0; i < NUMBERS; i++)
      sum[i] += values[i];
    least = fmin(least, base_process_seconds() - start);
    values[t] = sum[t] + 1; /* so that the loop is not left out */
  }
  const bool ok = sum != NULL && values != NULL;
  free(sum);
  free(values);
  m->adding = NUMBERS / least;
  return ok ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "out of memory: a sum");
}

/* Takes latency and bandwidth from the sums of a small and a large vector, if they tell. */
static void fit_network(measuring *m)
{
  const double others = ranks_size(m->job) - 1,
               small = (double)(vectors[SMALL].numbers * sizeof(float)),
               large = (double)(vectors[LARGE].numbers * sizeof(float)),
               added = 1 / (sizeof(float) * m->adding), /* seconds for each byte */
      slope = (m->measured[LARGE] - m->measured[SMALL]) / (large - small) / fmax(others, 1) - added,
               latency = m->measured[SMALL] / fmax(others, 1) - small * (slope + added);
  m->networks[ETHERNET] = (network){"10 Gbit/s Ethernet, TCP", 25e-6, 1.1e9};
  m->networks[INFINIBAND] = (network){"100 Gbit/s InfiniBand", 2e-6, 11e9};
  m->networks[HERE] = others > 0 && slope > 0 && latency > 0
                          ? (network){"as between these ranks", latency, 1 / slope}
                          : (network){0};
}

static void report_assumptions(measuring *m)
{
  static const bench_report_column columns[] = {{"name", "assumed", BENCH_REPORT_TEXT},
                                                {"latency_s", "latency", BENCH_REPORT_SECONDS},
                                                {"bytes_per_s", "GB/s", BENCH_REPORT_BYTES_PER_S},
                                                {"source", "source", BENCH_REPORT_TEXT}};
  bench_report_use_table(m->report, "ranks-assumptions", "ranks: what the model assumes", columns,
                         sizeof columns / sizeof columns[0]);
  for (int n = 0; n < NETWORKS && m->networks[n].name != NULL; n++) {
    bench_report_add_row(m->report);
    bench_report_text(m->report, "name", m->networks[n].name);
    bench_report_number(m->report, "latency_s", m->networks[n].latency);
    bench_report_number(m->report, "bytes_per_s", m->networks[n].bytes_per_s);
    bench_report_text(m->report, "source",
                      n == HERE ? "fitted to the sums above" : "usual figures");
  }
  bench_report_add_row(m->report);
  bench_report_text(m->report, "name", "adding in a rank");
  bench_report_number(m->report, "bytes_per_s", m->adding * sizeof(float));
  bench_report_text(m->report, "source", "measured");
  bench_report_add_row(m->report);
  bench_report_text(m->report, "name", "computing in a rank, whose share of a step stays");
  bench_report_number(m->report, "latency_s", m->compute);
  bench_report_text(m->report, "source", "measured");
}

static void report_model(measuring *m)
{
  static const bench_report_column columns[] = {
      {"network", "network", BENCH_REPORT_TEXT},
      {"ranks", "ranks", BENCH_REPORT_COUNT},
      {"sum_s", "sum", BENCH_REPORT_SECONDS},
      {"efficiency", "efficiency", BENCH_REPORT_SHARE},
      {"head_sum_s", "sum with the head", BENCH_REPORT_SECONDS},
      {"head_efficiency", "efficiency with the head", BENCH_REPORT_SHARE}};
  enum { FEWEST = 8, MOST_RANKS = 1024 };
  char title[256];
  snprintf(title, sizeof title,
           "ranks: a model, not measured: (R - 1) (latency + bytes / rate + adding) for %zu bytes, "
           "or those of RoBERTa-base's head",
           m->numbers * sizeof(float));
  bench_report_use_table(m->report, "ranks-model", title, columns,
                         sizeof columns / sizeof columns[0]);
  for (int n = 0; n < NETWORKS && m->networks[n].name != NULL; n++)
    for (int ranks = FEWEST; ranks <= MOST_RANKS; ranks *= 2) {
      const double sum = seconds_of_sum(m, &m->networks[n], ranks, m->numbers),
                   head = seconds_of_sum(m, &m->networks[n], ranks, vectors[LARGE].numbers);
      bench_report_add_row(m->report);
      bench_report_text(m->report, "network", m->networks[n].name);
      bench_report_number(m->report, "ranks", ranks);
      bench_report_number(m->report, "sum_s", sum);
      bench_report_number(m->report, "efficiency", m->compute / (m->compute + sum));
      bench_report_number(m->report, "head_sum_s", head);
      bench_report_number(m->report, "head_efficiency", m->compute / (m->compute + head));
    }
}

/* ---- The workload ---- */

static cdl_status measure(measuring *m)
{
  bench_report_fact_number(m->report, "ranks", ranks_size(m->job));
  bench_report_fact_number(m->report, "hosts", ranks_hosts(m->job));
  bench_report_fact(m->report, "mpi", ranks_library(m->job));
  bench_report_fact_number(m->report, "threads", (double)m->options->threads);
  bench_report_use_backend(m->report, m->bench->label);
  CDL_TRY(measure_sums(m));
  CDL_TRY(measure_steps(m));
  CDL_TRY(measure_adding(m));
  if (ranks_rank(m->job) > 0)
    return CDL_STATUS_OK;
  fit_network(m);
  report_assumptions(m);
  report_model(m);
  CDL_TRY(bench_report_backend(m->bench));
  return bench_report_save(m->report, m->options->format, m->options->output);
}

static cdl_status choose(const bench_options *o, const ranks_job *job, bench_shapes *shapes)
{
  if ((int64_t)ranks_size(job) > o->batch_size)
    return cdl_fail(CDL_STATUS_USAGE, "%d ranks are more than the %lld examples of --batch-size",
                    ranks_size(job), (long long)o->batch_size);
  if (strcmp(o->backends, "all") == 0 || strchr(o->backends, ',') != NULL)
    return cdl_fail(CDL_STATUS_USAGE, "ranks measures one --backend");
  return bench_shapes_choose(o->shapes, shapes);
}

static cdl_status run(const bench_options *o, ranks_job *job)
{
  bench_shapes shapes;
  bench_list list = {0};
  bench_report r;
  CDL_TRY(ranks_agree(job, choose(o, job, &shapes), "the options"));
  bench_report_begin(&r);
  (void)bench_report_machine(&r);
  bench_report_fact(&r, "version", cdl_version());
  cdl_status status = ranks_agree(job, bench_open(o, &shapes, &r, &list), "the backends");
  measuring m = {.options = o, .job = job, .report = &r, .bench = list.item};
  if (status == CDL_STATUS_OK)
    status = measure(&m);
  bench_measure_release(&m.alone);
  bench_measure_release(&m.shared);
  bench_close(&list);
  bench_report_release(&r);
  bench_shapes_release(&shapes);
  return status;
}

cdl_status bench_ranks(const bench_options *options, bool *speaks)
{
  bench_options o = *options;
  char program[96];
  const char *launcher;
  ranks_job *job = NULL;
  snprintf(program, sizeof program, "bench-condlora ranks of version %s (%s)", cdl_version(),
           base_commit());
  const int launched = ranks_launched(&launcher, speaks);
  cdl_status status = ranks_open(&job, program);
  if (ranks_rank(job) > 0)
    console_log_quiet();
  if (o.threads == 0 && launched > 1) {
    const int local = ranks_local_size(job), usable = base_usable_processors();
    o.threads = usable > local ? usable / local : 1;
  }
  if (status == CDL_STATUS_OK)
    status = run(&o, job);
  (void)!ranks_name_failure(job, status);
  *speaks = job != NULL ? ranks_speaks(job) : launched == 1 || *speaks;
  if (status != CDL_STATUS_OK && *speaks) { /* the end of the job may drop what comes later */
    bench_progress("", "");
    console_log_error("bench-condlora");
  }
  ranks_close(job, status);
  return status;
}
