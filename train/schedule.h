/* The learning rate of each optimizer step: warm-up, then decay, as in Transformers'
 * get_scheduler. */
#ifndef CONDLORA_TRAIN_SCHEDULE_H
#define CONDLORA_TRAIN_SCHEDULE_H

#include <stdint.h>

#include "condlora/status.h"

typedef enum {
  TRAIN_SCHEDULE_LINEAR,
  TRAIN_SCHEDULE_COSINE,
  TRAIN_SCHEDULE_COSINE_WITH_RESTARTS,
  TRAIN_SCHEDULE_CONSTANT,
  TRAIN_SCHEDULE_POLYNOMIAL
} train_schedule_kind;
#define TRAIN_SCHEDULE_WORDS "linear|cosine|cosine-with-restarts|constant|polynomial"

typedef struct {
  train_schedule_kind kind;
  double rate;     /* peak learning rate */
  uint64_t total;  /* optimizer steps of the whole run */
  uint64_t warmup; /* steps in which the learning rate rises linearly from 0 */
  /* cosine: number of waves, default 0.5; with restarts: number of cycles, default 1 */
  double cycles;
  double power;    /* polynomial: exponent, default 1 */
  double end_rate; /* polynomial: last learning rate, default 1e-7; below `rate` */
} train_schedule;

/* Returns ceil(ratio * total), as Transformers does. */
uint64_t train_schedule_warmup_steps(double ratio, uint64_t total);

/* Returns a schedule with the defaults of its kind. */
train_schedule train_schedule_make(train_schedule_kind kind, double rate, uint64_t total,
                                   uint64_t warmup);
/* Errors: USAGE for a value that is not finite; for a negative rate, cycles or power; for an end
 * rate that is not below `rate`. */
CDL_MUST_USE cdl_status train_schedule_check(const train_schedule *schedule);

/* Returns the learning rate of the 0-based `step`. After `total` steps it is 0, or the final value
 * of a constant or polynomial schedule. */
double train_schedule_rate(const train_schedule *schedule, uint64_t step);

#endif
