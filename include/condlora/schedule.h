/* The learning rate of each optimizer step: warm-up, then decay, as Transformers' get_scheduler. */
#ifndef CONDLORA_SCHEDULE_H
#define CONDLORA_SCHEDULE_H

#include <stdint.h>

#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/*      kind                  name */
#define CDL_SCHEDULE_LIST(X)                      \
  X(LINEAR, "linear")                             \
  X(COSINE, "cosine")                             \
  X(COSINE_WITH_RESTARTS, "cosine_with_restarts") \
  X(CONSTANT, "constant")                         \
  X(POLYNOMIAL, "polynomial")

typedef enum {
#define CDL_SCHEDULE_ENUM(kind, name) CDL_SCHEDULE_##kind,
  CDL_SCHEDULE_LIST(CDL_SCHEDULE_ENUM)
#undef CDL_SCHEDULE_ENUM
} cdl_schedule_kind;

typedef struct {
  cdl_schedule_kind kind;
  double rate;     /* peak */
  uint64_t total;  /* optimizer steps of the whole run */
  uint64_t warmup; /* steps in which the rate grows linearly from 0 */
  double cycles;   /* cosine: waves, 0.5 by default; with restarts: its starts, 1 by default */
  double power;    /* polynomial: 1 by default */
  double end_rate; /* polynomial: 1e-7 by default, below `rate` */
} cdl_schedule;

/* "linear", "cosine", …; static. */
CDL_API const char *cdl_schedule_name(cdl_schedule_kind kind);
/* The kind of a name ('-' and '_' are the same). Errors: USAGE, listing the names. */
CDL_API CDL_MUST_USE cdl_status cdl_schedule_find(const char *name, cdl_schedule_kind *kind);

/* ceil(ratio * total), as Transformers. */
CDL_API uint64_t cdl_schedule_warmup_steps(double ratio, uint64_t total);

/* A schedule with the defaults of its kind. */
CDL_API cdl_schedule cdl_schedule_make(cdl_schedule_kind kind, double rate, uint64_t total,
                                       uint64_t warmup);
/* Errors: USAGE for a value that is not finite, a negative rate, cycles or power, an end rate not
 * below `rate`. */
CDL_API CDL_MUST_USE cdl_status cdl_schedule_check(const cdl_schedule *schedule);

/* The rate of the 0-based `step`. Past `total`: 0, or what a constant or polynomial schedule ends
 * with. */
CDL_API double cdl_schedule_rate(const cdl_schedule *schedule, uint64_t step);

#ifdef __cplusplus
}
#endif
#endif
