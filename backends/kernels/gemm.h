/* Products with a bias, for linear. */
#ifndef CONDLORA_BACKENDS_KERNELS_GEMM_H
#define CONDLORA_BACKENDS_KERNELS_GEMM_H

#include "backends/kernels/kernel.h"

/* Computes one product of BF16, without converting an operand, and adds `bias`, [columns] of BF16,
 * in the same call. Where the device has no such call, *done is false and nothing was done. `fill`
 * writes the bias: it is called only if the product follows. */
typedef cdl_status gemm_fill(kernel_queue *queue, const cdl_tensor *bias, const void *context);
cdl_status gemm_with_bias(kernel_queue *queue, const cdl_gemm_args *args, const cdl_tensor *bias,
                          gemm_fill *fill, const void *context, bool *done);

#endif
