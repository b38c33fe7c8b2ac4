/* Measures the fastest matrix product of a device. */
#ifndef CONDLORA_TRAIN_PEAK_H
#define CONDLORA_TRAIN_PEAK_H

#include "condlora/backend.h"

/* Measures floating-point operations per second of a product of 1024 × 1024 matrices (smaller ones
 * on a slow device), as the best of a few. Takes some hundredths of a second. */
CDL_MUST_USE cdl_status train_measure_gemm(cdl_queue *queue, double *operations_per_s);

#endif
