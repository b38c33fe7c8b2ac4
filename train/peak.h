/* What this device's matrix product can do at its best. */
#ifndef CONDLORA_TRAIN_PEAK_H
#define CONDLORA_TRAIN_PEAK_H

#include "condlora/backend.h"

/* Floating-point operations a second of a product of 1024 × 1024 matrices, or of smaller ones on a slow
 * device; the best of a few: some hundredths of a second. */
CDL_MUST_USE cdl_status train_measure_gemm(cdl_queue *queue, double *operations_per_s);

#endif
