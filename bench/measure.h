/* Timing: warm-up until times are steady, repeated runs, and statistics of their times. */
#ifndef CONDLORA_BENCH_MEASURE_H
#define CONDLORA_BENCH_MEASURE_H

#include <stddef.h>

#include "condlora/backend.h"

/* The clock. Processor time, summed over threads, gives the cost of work also when other programs
 * use the same cores; it does not measure a device, nor how well threads share work. Wall time is
 * the default. */
typedef enum { MEASURE_WALL, MEASURE_PROCESSOR } measure_clock;
void measure_use(measure_clock clock);

/* Returns the time of the chosen clock in seconds; both clocks are monotonic. */
double measure_now(void);

/* How long to measure, and with which cache state. */
typedef struct {
  double warm_seconds; /* longest warm-up, seconds */
  double seconds;      /* time for timed runs; at least `least` and at most `most` runs */
  size_t least, most;
  cdl_tensor evict; /* if present, overwritten before each run to empty the caches */
} measure_effort;

/* Times of single runs, in seconds, and their statistics. */
typedef struct {
  double *samples; /* [count] in order of measurement; owned */
  size_t count, capacity;
  double minimum, median, p95, mean;
  double interval; /* half of the mean's 95 % interval (Student's t) */
  size_t outliers; /* more than 3.5 · 1.4826 · MAD from the median (Iglewicz and Hoaglin 1993) */
  bool has_device; /* the backend has events */
  double device_median; /* median time on the device, by events */
} measurement;

/* The work to time. It enqueues on a queue and does not wait. */
typedef void (*measure_work)(void *context);

/* Runs `work` until three consecutive runs differ by less than 5 % or the warm-up time is over.
 * Then it times runs, each between two syncs, and between two events if the backend has them. Work
 * shorter than 100 µs is repeated within a run and the time divided, except with cold caches. `*m`
 * is overwritten; release it with the function below. */
CDL_MUST_USE cdl_status measure_run(cdl_queue *queue, const measure_effort *effort,
                                    measure_work work, void *context, measurement *m);

/* For runs that the caller times: these add a run and compute the statistics. */
CDL_MUST_USE cdl_status measure_add(measurement *m, double seconds);
CDL_MUST_USE cdl_status measure_summarize(measurement *m);
void measure_release(measurement *m);

/* For runs over several batches, round by round: computes the seconds for all batches once, as the
 * sum of each batch's median or minimum. */
typedef enum { MEASURE_MEDIANS, MEASURE_MINIMA } measure_estimate;
CDL_MUST_USE cdl_status measure_sum(const measurement *m, size_t batches, measure_estimate how,
                                    double *sum);
/* Computes the median of a / b over runs that were measured in turn. */
CDL_MUST_USE cdl_status measure_ratio(const measurement *a, const measurement *b, double *ratio);

/* Returns the median of `values` [count], which it reorders; NaN for none. */
double measure_median(double *values, size_t count);
/* Returns the two-sided quantile t of Student's t: P(|T| ≤ t) = 0.95. */
double measure_t95(double degrees_of_freedom);

#endif
