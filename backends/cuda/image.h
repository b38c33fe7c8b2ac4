#ifndef CONDLORA_BACKENDS_CUDA_IMAGE_H
#define CONDLORA_BACKENDS_CUDA_IMAGE_H

#include <stddef.h>

/* One zero byte, which no driver takes for an image, where the build had no nvcc. */
extern const unsigned char cuda_image[];
extern const size_t cuda_image_bytes;

#endif
