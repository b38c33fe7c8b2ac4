/* The thin factors of a frozen weight, from which methods take initial values or fixed matrices. */
#ifndef CONDLORA_MODEL_ADAPTER_METHODS_FACTORS_H
#define CONDLORA_MODEL_ADAPTER_METHODS_FACTORS_H

#include "model/adapter/state.h"

/* W = left · diag(sigma) · right, on the host. */
typedef struct {
  int64_t rows, columns, inner; /* W [rows, columns]; inner is the smaller of the two */
  float *left, *sigma, *right;  /* [rows, inner], [inner], [inner, columns] */
  float *memory;                /* of all three; owned: the caller frees it */
} adapter_factors;

/* Factorizes a weight: singular values and vectors with `singular`; otherwise Q and R, with ones
 * for sigma. Waits for the queue. Errors: MEMORY; those of the device. */
CDL_MUST_USE cdl_status adapter_factorize(cdl_queue *queue, cdl_tensor weight, bool singular,
                                          adapter_factors *factors);

#endif
