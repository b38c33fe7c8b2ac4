/* The kernels, compiled by nvcc for several devices. */
#include "backends/cuda/image.h"

#ifdef CUDA_HAS_IMAGE
const unsigned char cuda_image[] __attribute__((aligned(64))) = {
#include "kernels_image.inc"
};
#else
const unsigned char cuda_image[] = {0};
#endif
const size_t cuda_image_bytes = sizeof cuda_image;
