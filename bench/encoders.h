/* Which encoder, and which batches, the workloads train and inference run on. */
#ifndef CONDLORA_BENCH_ENCODERS_H
#define CONDLORA_BENCH_ENCODERS_H

#include "bench/bench.h"
#include "bench/workload.h"

typedef struct {
  workload_model model;
  bench_batches batches;
  char title[256]; /* what they are, in words */
} bench_encoder;

/* As the options say; ends with bench_encoder_release, after a failure too. */
CDL_MUST_USE cdl_status bench_encoder_choose(const bench *b, bench_encoder *encoder);
void bench_encoder_release(bench_encoder *encoder);

#endif
