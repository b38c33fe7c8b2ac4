/* A report of `bench-condlora train` from a device that the model knows, to hold the model
 * against. */
#ifndef CONDLORA_BENCH_MODEL_MEASURED_H
#define CONDLORA_BENCH_MODEL_MEASURED_H

#include <jansson.h>

#include "condlora/status.h"

typedef struct {
  const char *path; /* borrowed */
  json_t *report;   /* NULL: nothing was measured */
} bench_measured;

/* Reads a report in JSON. Errors: IO; DATA if it has no measured steps, or of another precision.
 * Release with bench_measured_release. */
CDL_MUST_USE cdl_status bench_measured_read(const char *path, const char *precision,
                                            bench_measured *measured);
void bench_measured_release(bench_measured *measured);

/* The place among the model's devices of the one that was measured; -1: none of them. */
int bench_measured_device(const bench_measured *measured);
/* Milliseconds of a step of "lora" or "condlora", and of one op of it, by bench_op_label; NAN where
 * the report has none. An op's time includes its launches and a wait. */
double bench_measured_step(const bench_measured *measured, const char *method);
double bench_measured_op(const bench_measured *measured, const char *method, const char *label);
/* Tokens of a step, as its rate says. */
double bench_measured_tokens(const bench_measured *measured);

#endif
