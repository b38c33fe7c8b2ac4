/* The time of work on a device, by the assumptions of model_assumptions.def: a model, not a
 * measurement. */
#ifndef CONDLORA_BENCH_MODEL_TIMES_H
#define CONDLORA_BENCH_MODEL_TIMES_H

#include "bench/model_costs.h"

enum { BENCH_MODEL_DEVICES = 3 };
extern const char *const bench_model_devices[BENCH_MODEL_DEVICES]; /* "a100", "h100", "h200" */

typedef struct {
#define ASSUMPTION(name, a100, h100, h200, what) double name;
#include "bench/model_assumptions.def"
#undef ASSUMPTION
} bench_assumptions;

/* The assumptions as a list. */
enum {
#define ASSUMPTION(name, a100, h100, h200, what) BENCH_ASSUMPTION_##name,
#include "bench/model_assumptions.def"
#undef ASSUMPTION
  BENCH_ASSUMPTIONS
};
typedef struct {
  const char *name, *what;
  size_t offset; /* in bench_assumptions */
} bench_assumption;
extern const bench_assumption bench_assumption_list[BENCH_ASSUMPTIONS];

bench_assumptions bench_assumptions_of(int device);
/* Changes assumptions as "NAME=VALUE" says for every device, or "DEVICE.NAME=VALUE" for one.
 * Errors: USAGE, naming the text and what was expected. */
CDL_MUST_USE cdl_status bench_assume(const char *text, bench_assumptions of[BENCH_MODEL_DEVICES]);

/* What bounds a piece of work. */
typedef enum {
  BENCH_BOUND_MEMORY,   /* bytes of the device's memory */
  BENCH_BOUND_PRODUCTS, /* operations of products */
  BENCH_BOUND_ISSUE,    /* instructions */
  BENCH_BOUND_LAUNCH,   /* what a launch costs besides its work */
  BENCH_BOUND_COPY,     /* between host and device */
  BENCH_BOUNDS
} bench_bound;
extern const char *const bench_bound_names[BENCH_BOUNDS];

typedef struct {
  double seconds;
  bench_bound bound;
} bench_work_time;

/* Errors: as bench_cost_of_kernel. */
CDL_MUST_USE cdl_status bench_time_of_work(const bench_work *work, const bench_sequences *sequences,
                                           const bench_assumptions *a, bench_work_time *time);

#endif
