/* The learning rate of each optimizer step: warm-up, then decay, as Transformers' get_scheduler. */
#ifndef CONDLORA_TRAIN_SCHEDULE_H
#define CONDLORA_TRAIN_SCHEDULE_H

#include <stdint.h>

#include "condlora/status.h"

/*      kind                  name */
#define TRAIN_SCHEDULE_LIST(X)                    \
  X(LINEAR, "linear")                             \
  X(COSINE, "cosine")                             \
  X(COSINE_WITH_RESTARTS, "cosine_with_restarts") \
  X(CONSTANT, "constant")                         \
  X(POLYNOMIAL, "polynomial")

typedef enum {
#define TRAIN_SCHEDULE_ENUM(kind, name) TRAIN_SCHEDULE_##kind,
  TRAIN_SCHEDULE_LIST(TRAIN_SCHEDULE_ENUM)
#undef TRAIN_SCHEDULE_ENUM
} train_schedule_kind;

typedef struct {
  train_schedule_kind kind;
  double rate;     /* peak */
  uint64_t total;  /* optimizer steps of the whole run */
  uint64_t warmup; /* steps in which the rate grows linearly from 0 */
  double cycles;   /* cosine: waves, 0.5 by default; with restarts: its starts, 1 by default */
  double power;    /* polynomial: 1 by default */
  double end_rate; /* polynomial: 1e-7 by default, below `rate` */
} train_schedule;

/* "linear", "cosine", …; static. */
const char *train_schedule_name(train_schedule_kind kind);
/* The kind of a name ('-' and '_' are the same). Errors: USAGE, listing the names. */
CDL_MUST_USE cdl_status train_schedule_find(const char *name, train_schedule_kind *kind);

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
