/* low_rank and its gradient on BF16 activations: of one term, and of all terms on tensor cores if
 * each rank is small. */
#ifndef CONDLORA_BACKENDS_KERNELS_LOW_RANK_H
#define CONDLORA_BACKENDS_KERNELS_LOW_RANK_H

#include "backends/kernels/kernel.h"

cdl_status low_rank_bf16(kernel_queue *queue, const cdl_low_rank_args *args);
cdl_status low_rank_grad_bf16(kernel_queue *queue, const cdl_low_rank_grad_args *args);

bool low_rank_fits_tensor(const cdl_low_rank_args *args);
cdl_status low_rank_tensor(kernel_queue *queue, const cdl_low_rank_args *args);
bool low_rank_grad_fits_tensor(const cdl_low_rank_grad_args *args);
cdl_status low_rank_grad_tensor(kernel_queue *queue, const cdl_low_rank_grad_args *args);

#endif
