/* The kernels as the build embedded them: their source, and what nvcc made of it where it was
 * found. */
#ifndef CONDLORA_BACKENDS_CUDA_IMAGE_H
#define CONDLORA_BACKENDS_CUDA_IMAGE_H

#include <stddef.h>

typedef enum {
  CUDA_IMAGE_CUBIN, /* machine code for one major version of the compute capability */
  CUDA_IMAGE_PTX,   /* text that the driver compiles for this capability and all later ones */
  CUDA_IMAGE_SOURCE /* CUDA C++, for NVRTC */
} cuda_image_kind;

/* `bytes` is followed by a zero byte, which `size` does not count. */
typedef struct {
  cuda_image_kind kind;
  int capability; /* 80 is 8.0; 0: any */
  const unsigned char *bytes;
  size_t size;
} cuda_image;

/* In the order in which a device tries them; the source is the last, and always there. */
extern const cuda_image cuda_images[];
extern const int cuda_image_count;

/* The options of every compilation but the architecture: a list that ends with NULL. */
extern const char *const cuda_image_options[];
/* The release of nvcc that made cubins and PTX: {13, 0}. {0, 0}: there are none. */
extern const int cuda_image_release[2];

/* The first driver that runs what a compiler of this major version makes, as NVIDIA numbers
 * drivers. */
int cuda_least_driver(int major);

#endif
