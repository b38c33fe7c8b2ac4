/* The encoder and the batches of the workloads train and inference. */
#ifndef CONDLORA_BENCH_ENCODERS_H
#define CONDLORA_BENCH_ENCODERS_H

#include "bench/bench.h"
#include "bench/workload.h"
#include "condlora/hub.h"

typedef struct {
  cdl_hub_source *source; /* of --model; or NULL */
  bench_workload_model model;
  bench_batches batches;
  char title[256]; /* description for readers */
} bench_encoder;

/* Chooses encoder and batches by the options. Release with bench_encoder_release, also after a
 * failure. */
CDL_MUST_USE cdl_status bench_encoder_choose(const bench *b, bench_encoder *encoder);
void bench_encoder_release(bench_encoder *encoder);

#endif
