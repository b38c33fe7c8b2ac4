/* The learning rate of each optimizer step: warm-up, then decay, as Transformers' get_scheduler. */
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
  double rate;     /* peak */
  uint64_t total;  /* optimizer steps of the whole run */
  uint64_t warmup; /* steps in which the rate grows linearly from 0 */
  double cycles;   /* cosine: waves, 0.5 by default; with restarts: its starts, 1 by default */
  double power;    /* polynomial: 1 by default */
  double end_rate; /* polynomial: 1e-7 by default, below `rate` */
} train_schedule;

/* ceil(ratio * total), as Transformers. */
uint64_t train_schedule_warmup_steps(double ratio, uint64_t total);

/* A schedule with the defaults of its kind. */
train_schedule train_schedule_make(train_schedule_kind kind, double rate, uint64_t total,
                                   uint64_t warmup);
/* Errors: USAGE for a value that is not finite, a negative rate, cycles or power, an end rate not
 * below `rate`. */
CDL_MUST_USE cdl_status train_schedule_check(const train_schedule *schedule);

/* The rate of the 0-based `step`. Past `total`: 0, or what a constant or polynomial schedule ends
 * with. */
double train_schedule_rate(const train_schedule *schedule, uint64_t step);

#endif
