#include "bench/measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/counters.h"

static bench_measure_clock in_use;

cdl_status bench_measure_use(bench_measure_clock clock)
{
  in_use = clock;
  const cdl_status counted = bench_instructions_begin(); /* `train` reports them in any case */
  return clock == BENCH_MEASURE_INSTRUCTIONS ? counted : CDL_STATUS_OK;
}

bench_measure_clock bench_measure_in_use(void)
{
  return in_use;
}

double bench_measure_spent(void)
{
  struct timespec t;
  clock_gettime(in_use == BENCH_MEASURE_PROCESSOR ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double bench_measure_now(void)
{
  return in_use == BENCH_MEASURE_INSTRUCTIONS ? bench_instructions() / BENCH_MEASURE_PER_SECOND
                                              : bench_measure_spent();
}

static void show_instructions(double count, char text[BENCH_MEASURE_TEXT])
{
  if (count >= 1e9)
    snprintf(text, BENCH_MEASURE_TEXT, "%.3f G instructions", count * 1e-9);
  else if (count >= 1e6)
    snprintf(text, BENCH_MEASURE_TEXT, "%.3f M instructions", count * 1e-6);
  else
    snprintf(text, BENCH_MEASURE_TEXT, "%.1f k instructions", count * 1e-3);
}

void bench_measure_show(double s, bench_measure_clock clock, char text[BENCH_MEASURE_TEXT])
{
  if (clock == BENCH_MEASURE_INSTRUCTIONS)
    show_instructions(s * BENCH_MEASURE_PER_SECOND, text);
  else if (s >= 1)
    snprintf(text, BENCH_MEASURE_TEXT, "%.3f s", s);
  else if (s >= 1e-3)
    snprintf(text, BENCH_MEASURE_TEXT, "%.*f ms", s < 1e-2 ? 3 : s < 1e-1 ? 2 : 1, s * 1e3);
  else
    snprintf(text, BENCH_MEASURE_TEXT, "%.*f µs", s < 1e-5 ? 2 : s < 1e-4 ? 1 : 0, s * 1e6);
}

/* ---- Statistics ---- */

static int compare(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Interpolates linearly between order statistics, as NumPy does by default. */
static double quantile(const double *sorted, size_t count, double p)
{
  const double at = p * (double)(count - 1);
  const size_t below = (size_t)at;
  const size_t above = below + 1 < count ? below + 1 : below;
  return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

double bench_measure_median(double *values, size_t count)
{
  if (count == 0)
    return NAN;
  qsort(values, count, sizeof *values, compare);
  return quantile(values, count, 0.5);
}

/* Uses Cornish and Fisher's expansion in 1/ν around the normal quantile (Abramowitz and Stegun
 * 26.7.5), whose error is below 0.2 % from 5 degrees of freedom, and exact values below. */
double bench_measure_t95(double degrees_of_freedom)
{
  const double nu = degrees_of_freedom;
  static const double exact[] = {INFINITY, 12.7062, 4.3027, 3.1824, 2.7764};
  if (nu < 5)
    return exact[nu > 0 ? (int)nu : 0];
  const double x = 1.959963984540054, x2 = x * x;
  const double g1 = x * (x2 + 1) / 4, g2 = x * ((5 * x2 + 16) * x2 + 3) / 96;
  const double g3 = x * (((3 * x2 + 19) * x2 + 17) * x2 - 15) / 384;
  return x + g1 / nu + g2 / (nu * nu) + g3 / (nu * nu * nu);
}

static void summarize_sorted(bench_measurement *m, double *sorted)
{
  const double count = (double)m->count;
  m->minimum = sorted[0];
  m->median = quantile(sorted, m->count, 0.5);
  m->p95 = quantile(sorted, m->count, 0.95);
  double sum = 0, squares = 0;
  for (size_t i = 0; i < m->count; i++)
    sum += sorted[i];
  m->mean = sum / count;
  for (size_t i = 0; i < m->count; i++)
    squares += (sorted[i] - m->mean) * (sorted[i] - m->mean);
  m->interval =
      m->count > 1 ? bench_measure_t95(count - 1) * sqrt(squares / (count - 1) / count) : 0;
  for (size_t i = 0; i < m->count; i++)
    sorted[i] = fabs(sorted[i] - m->median);
  const double limit = 3.5 * 1.4826 * bench_measure_median(sorted, m->count);
  m->outliers = 0;
  for (size_t i = 0; i < m->count; i++)
    m->outliers += sorted[i] > limit && limit > 0;
}

cdl_status bench_measure_summarize(bench_measurement *m)
{
  if (m->count == 0)
    return cdl_fail(CDL_STATUS_ARGUMENT, "nothing was measured");
  double *sorted = malloc(m->count * sizeof *sorted);
  if (sorted == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu measurements", m->count);
  memcpy(sorted, m->samples, m->count * sizeof *sorted);
  qsort(sorted, m->count, sizeof *sorted, compare);
  summarize_sorted(m, sorted);
  free(sorted);
  return CDL_STATUS_OK;
}

cdl_status bench_measure_add(bench_measurement *m, double seconds)
{
  if (m->count == m->capacity) {
    const size_t capacity = m->capacity > 0 ? 2 * m->capacity : 64;
    double *samples = realloc(m->samples, capacity * sizeof *samples);
    if (samples == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu measurements", capacity);
    m->samples = samples;
    m->capacity = capacity;
  }
  m->samples[m->count++] = seconds;
  return CDL_STATUS_OK;
}

void bench_measure_release(bench_measurement *m)
{
  free(m->samples);
  *m = (bench_measurement){0};
}

/* ---- Running ---- */

/* One piece of work under measurement. */
typedef struct {
  cdl_queue *queue;
  const bench_measure_effort *effort;
  bench_measure_work work;
  void *context;
  cdl_event *from, *to; /* NULL if the backend has no events */
} trial;

static cdl_status begin_trial(trial *t)
{
  cdl_backend *backend = cdl_queue_backend(t->queue);
  cdl_status status = cdl_event_create(backend, &t->from);
  if (status == CDL_STATUS_OK)
    status = cdl_event_create(backend, &t->to);
  return status == CDL_STATUS_UNSUPPORTED ? CDL_STATUS_OK : status;
}

static void end_trial(trial *t)
{
  cdl_event_destroy(t->to);
  cdl_event_destroy(t->from);
}

/* Measures the seconds of one of `times` runs, between two syncs and between two events. */
static cdl_status time_runs(const trial *t, size_t times, double *seconds, double *device)
{
  if (cdl_tensor_present(t->effort->evict)) {
    cdl_fill(t->queue, CDL_ARGS(fill, .out = t->effort->evict, .value = 1));
    CDL_TRY(cdl_queue_sync(t->queue));
  }
  const double start = bench_measure_now();
  if (t->to != NULL)
    cdl_queue_record_event(t->queue, t->from);
  for (size_t i = 0; i < times; i++)
    t->work(t->context);
  if (t->to != NULL)
    cdl_queue_record_event(t->queue, t->to);
  CDL_TRY(cdl_queue_sync(t->queue));
  *seconds = (bench_measure_now() - start) / (double)times;
  uint64_t nanoseconds = 0;
  if (t->to != NULL)
    CDL_TRY(cdl_event_elapsed(t->from, t->to, &nanoseconds));
  *device = (double)nanoseconds * 1e-9 / (double)times;
  return CDL_STATUS_OK;
}

/* Warms up; `*last` is the time of the last run. */
static cdl_status warm_up(const trial *t, double *last)
{
  enum { WINDOW = 3 };
  double window[WINDOW], device;
  const double end = bench_measure_spent() + t->effort->warm_seconds;
  for (size_t i = 0;; i++) {
    CDL_TRY(time_runs(t, 1, last, &device));
    window[i % WINDOW] = *last;
    if (i + 1 >= WINDOW) {
      const double least = fmin(window[0], fmin(window[1], window[2]));
      const double most = fmax(window[0], fmax(window[1], window[2]));
      if (most < 1.05 * least)
        return CDL_STATUS_OK;
    }
    if (bench_measure_spent() >= end)
      return CDL_STATUS_OK;
  }
}

static cdl_status run_trial(const trial *t, bench_measurement *m, bench_measurement *device)
{
  const double shortest = 1e-4;
  double warm, seconds, on_device;
  CDL_TRY(cdl_queue_sync(t->queue));
  CDL_TRY(warm_up(t, &warm));
  const bool repeat = warm < shortest && !cdl_tensor_present(t->effort->evict);
  const size_t times = repeat ? (size_t)ceil(shortest / fmax(warm, 1e-7)) : 1;
  const double end = bench_measure_spent() + t->effort->seconds;
  bench_energy energy = bench_energy_begin(BENCH_ENERGY_FOLDER);
  while (m->count < t->effort->most &&
         (m->count < t->effort->least || bench_measure_spent() < end)) {
    CDL_TRY(time_runs(t, times, &seconds, &on_device));
    CDL_TRY(bench_measure_add(m, seconds));
    CDL_TRY(bench_measure_add(device, on_device));
  }
  m->joules = bench_energy_joules(&energy) / (double)(m->count * times);
  m->has_device = t->to != NULL;
  m->device_median = bench_measure_median(device->samples, device->count);
  return bench_measure_summarize(m);
}

cdl_status bench_measure_run(cdl_queue *queue, const bench_measure_effort *effort,
                             bench_measure_work work, void *context, bench_measurement *m)
{
  *m = (bench_measurement){0};
  bench_measurement device = {0};
  trial t = {.queue = queue, .effort = effort, .work = work, .context = context};
  cdl_status status = begin_trial(&t);
  if (status == CDL_STATUS_OK)
    status = run_trial(&t, m, &device);
  end_trial(&t);
  bench_measure_release(&device);
  if (status != CDL_STATUS_OK)
    bench_measure_release(m);
  return status;
}

cdl_status bench_measure_sum(const bench_measurement *m, size_t batches, bench_measure_estimate how,
                             double *sum)
{
  const size_t rounds = m->count / batches;
  double *times = malloc((rounds + 1) * sizeof *times);
  if (times == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu times", rounds);
  *sum = 0;
  for (size_t b = 0; b < batches; b++) {
    double least = m->samples[b];
    for (size_t r = 0; r < rounds; r++) {
      times[r] = m->samples[r * batches + b];
      least = times[r] < least ? times[r] : least;
    }
    *sum += how == BENCH_MEASURE_MINIMA ? least : bench_measure_median(times, rounds);
  }
  free(times);
  return CDL_STATUS_OK;
}

cdl_status bench_measure_ratio(const bench_measurement *a, const bench_measurement *b,
                               double *ratio)
{
  const size_t count = a->count < b->count ? a->count : b->count;
  double *ratios = malloc((count + 1) * sizeof *ratios);
  if (ratios == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu ratios", count);
  for (size_t i = 0; i < count; i++)
    ratios[i] = a->samples[i] / b->samples[i];
  *ratio = bench_measure_median(ratios, count);
  free(ratios);
  return CDL_STATUS_OK;
}
