/* Timing: warm-up until times are steady, repeated runs, and statistics of their times. */
#ifndef CONDLORA_BENCH_MEASURE_H
#define CONDLORA_BENCH_MEASURE_H

#include <stddef.h>

#include "condlora/backend.h"

/* The clock. Processor time, summed over threads, gives the cost of work also when other programs
 * use the same cores; it does not measure a device, nor how well threads share work. Instructions
 * are the steadiest: a thousand million of them stand for a second. Wall time is the default. */
typedef enum {
  BENCH_MEASURE_WALL,
  BENCH_MEASURE_PROCESSOR,
  BENCH_MEASURE_INSTRUCTIONS
} bench_measure_clock;
/* Call it before a backend is opened, whose threads count too. Errors: UNSUPPORTED for instructions
 * where the system does not count them. */
CDL_MUST_USE cdl_status bench_measure_use(bench_measure_clock clock);
bench_measure_clock bench_measure_in_use(void);

/* Returns the time of the chosen clock in seconds; all clocks are monotonic. */
double bench_measure_now(void);
/* Returns seconds that decide how long to go on measuring: those of the clock, unless it counts
 * instructions. */
double bench_measure_spent(void);

/* Instructions that stand for a second. */
#define BENCH_MEASURE_PER_SECOND 1e9
/* Writes "1.234 ms", or "1.234 M instructions". */
enum { BENCH_MEASURE_TEXT = 48 };
void bench_measure_show(double seconds, bench_measure_clock clock, char text[BENCH_MEASURE_TEXT]);

/* How long to measure, and with which cache state. */
typedef struct {
  double warm_seconds; /* longest warm-up, seconds */
  double seconds;      /* time for timed runs; at least `least` and at most `most` runs */
  size_t least, most;
  cdl_tensor evict; /* if present, overwritten before each run to empty the caches */
} bench_measure_effort;

/* Times of single runs, in seconds, and their statistics. */
typedef struct {
  double *samples; /* [count] in order of measurement; owned */
  size_t count, capacity;
  double minimum, median, p95, mean;
  double joules;   /* of one run, by the machine's counter; not above 0: unknown */
  double interval; /* half of the mean's 95 % interval (Student's t) */
  size_t outliers; /* more than 3.5 · 1.4826 · MAD from the median (Iglewicz and Hoaglin 1993) */
  bool has_device; /* the backend has events */
  double device_median; /* median time on the device, by events */
} bench_measurement;

/* The work to time. It enqueues on a queue and does not wait. */
typedef void (*bench_measure_work)(void *context);

/* Runs `work` until three consecutive runs differ by less than 5 % or the warm-up time is over.
 * Then it times runs, each between two syncs, and between two events if the backend has them. Work
 * shorter than 100 µs is repeated within a run and the time divided, except with cold caches. `*m`
 * is overwritten; release it with bench_measure_release. */
CDL_MUST_USE cdl_status bench_measure_run(cdl_queue *queue, const bench_measure_effort *effort,
                                          bench_measure_work work, void *context,
                                          bench_measurement *m);

/* For runs that the caller times: these add a run and compute the statistics. */
CDL_MUST_USE cdl_status bench_measure_add(bench_measurement *m, double seconds);
CDL_MUST_USE cdl_status bench_measure_summarize(bench_measurement *m);
void bench_measure_release(bench_measurement *m);

/* For runs over several batches, round by round: computes the seconds for all batches once, as the
 * sum of each batch's median or minimum. */
typedef enum { BENCH_MEASURE_MEDIANS, BENCH_MEASURE_MINIMA } bench_measure_estimate;
CDL_MUST_USE cdl_status bench_measure_sum(const bench_measurement *m, size_t batches,
                                          bench_measure_estimate how, double *sum);
/* Computes the median of a / b over runs that were measured in turn. */
CDL_MUST_USE cdl_status bench_measure_ratio(const bench_measurement *a, const bench_measurement *b,
                                            double *ratio);

/* Returns the median of `values` [count], which it reorders; NaN for none. */
double bench_measure_median(double *values, size_t count);
/* Returns the two-sided quantile t of Student's t: P(|T| ≤ t) = 0.95. */
double bench_measure_t95(double degrees_of_freedom);

#endif
