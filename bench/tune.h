/* Searches the parameters of CLBlast's matrix products for a device. */
#ifndef CONDLORA_BENCH_TUNE_H
#define CONDLORA_BENCH_TUNE_H

#include "bench/bench.h"

CDL_MUST_USE cdl_status bench_tune(const bench_options *options);

#endif
