/* Shared by kernels that multiply matrices. */
#ifndef CONDLORA_BACKENDS_KERNELS_SOURCE_PRODUCTS_H
#define CONDLORA_BACKENDS_KERNELS_SOURCE_PRODUCTS_H

/* a b + c, in one instruction if the device has it: contraction is off elsewhere. */
#if defined(DIALECT_CUDA)
#define MULTIPLY_ADD(a, b, c) fmaf(a, b, c)
#elif defined(DIALECT_OPENCL) && (defined(FP_FAST_FMAF) || defined(__FMA__))
#define MULTIPLY_ADD(a, b, c) fma(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif

#endif
