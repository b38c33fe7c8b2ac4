/* Timing: warm-up until steady, repeated runs, and what their times say. */
#ifndef CONDLORA_BENCH_MEASURE_H
#define CONDLORA_BENCH_MEASURE_H

#include <stddef.h>

#include "condlora/backend.h"

/* Which time counts. The processor's, summed over threads, says what work costs where other programs want the same cores;
 * it says nothing of a device, and with several threads nothing of how well they share. Wall time unless set. */
typedef enum { MEASURE_WALL, MEASURE_PROCESSOR } measure_clock;
void measure_use(measure_clock clock);

/* Seconds of the clock in use, which never jumps. */
double measure_now(void);

/* How long to try, and in what state. */
typedef struct {
  double warm_seconds; /* longest warm-up */
  double seconds;      /* of timed runs; ended early by `most` runs, late by `least` */
  size_t least, most;
  cdl_tensor
      evict; /* present: overwritten before each run, so that caches hold nothing of the work's */
} measure_effort;

/* Times of single runs, in seconds, and their summary. */
typedef struct {
  double *samples; /* [count] in the order they came; owned */
  size_t count, capacity;
  double minimum, median, p95, mean;
  double interval; /* the mean's 95 % interval is mean ± interval (Student's t) */
  size_t outliers; /* more than 3.5 · 1.4826 · MAD from the median (Iglewicz and Hoaglin 1993) */
  bool has_device; /* the backend has events, */
  double device_median; /* and this is what they say a run takes on the device */
} measurement;

/* Work to time; it enqueues on a queue and does not wait. */
typedef void (*measure_work)(void *context);

/* Runs `work` until three runs in a row differ by less than 5 %, or the warm-up's time is over; then times runs, each
 * between two syncs, and between two events where the backend has them. Work shorter than 100 µs is repeated within a run,
 * and the run's time divided; with cold caches it is not. The measurement is overwritten, and ends with
 * measure_release. */
CDL_MUST_USE cdl_status measure_run(cdl_queue *queue, const measure_effort *effort,
                                    measure_work work, void *context, measurement *m);

/* For runs that a caller times: adds one; sums them up. */
CDL_MUST_USE cdl_status measure_add(measurement *m, double seconds);
CDL_MUST_USE cdl_status measure_summarize(measurement *m);
void measure_release(measurement *m);

/* Of runs over several batches, round by round, a batch after the other: seconds for all batches once, the sum of each one's
 * median, or least, time. */
typedef enum { MEASURE_MEDIANS, MEASURE_MINIMA } measure_estimate;
CDL_MUST_USE cdl_status measure_sum(const measurement *m, size_t batches, measure_estimate how,
                                    double *sum);
/* The median of what one takes in units of the other, measured one after the other. */
CDL_MUST_USE cdl_status measure_ratio(const measurement *a, const measurement *b, double *ratio);

/* Median of values [count], which are reordered. NaN for none. */
double measure_median(double *values, size_t count);
/* Two-sided quantile of Student's t: P(|T| ≤ t) = 0.95. */
double measure_t95(double degrees_of_freedom);

#endif
