/* The workload model: the time of a training step on NVIDIA devices by arithmetic, without one. */
#ifndef CONDLORA_BENCH_MODEL_H
#define CONDLORA_BENCH_MODEL_H

#include "bench/bench.h"

/* Enqueues real steps of LoRA and CondLoRA on the CUDA backend over bench/model_driver.h, for each
 * device and size, and adds up what each piece of work takes by bench/model_times.h. Writes the
 * report. */
CDL_MUST_USE cdl_status bench_model(const bench_options *options);

#endif
