#ifndef CONDLORA_BACKENDS_CUDA_IMAGE_H
#define CONDLORA_BACKENDS_CUDA_IMAGE_H

#include <stddef.h>

/* If the build had no nvcc: one zero byte, which no driver accepts as an image. */
extern const unsigned char cuda_image[];
extern const size_t cuda_image_bytes;

#endif
