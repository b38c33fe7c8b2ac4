#include "backends/cuda/image.h"

#define IMAGE static const unsigned char __attribute__((aligned(64)))

IMAGE source[] = {
#include "kernels_source_cuda.inc"
    0};
#ifdef CUDA_RELEASE_MAJOR
IMAGE sm_80[] = {
#include "kernels_sm_80.inc"
    0};
IMAGE sm_90[] = {
#include "kernels_sm_90.inc"
    0};
IMAGE compute_80[] = {
#include "kernels_compute_80.inc"
    0};
const int cuda_image_release[2] = {CUDA_RELEASE_MAJOR, CUDA_RELEASE_MINOR};
#else
const int cuda_image_release[2] = {0, 0};
#endif

const cuda_image cuda_images[] = {
#ifdef CUDA_RELEASE_MAJOR
    {CUDA_IMAGE_CUBIN, 80, sm_80, sizeof sm_80 - 1},
    {CUDA_IMAGE_CUBIN, 90, sm_90, sizeof sm_90 - 1},
    {CUDA_IMAGE_PTX, 80, compute_80, sizeof compute_80 - 1},
#endif
    {CUDA_IMAGE_SOURCE, 0, source, sizeof source - 1},
};
const int cuda_image_count = sizeof cuda_images / sizeof cuda_images[0];

const char *const cuda_image_options[] = {CUDA_OPTIONS, NULL};

/* NVIDIA's table of minor version compatibility: within a major version, every driver from its
 * first on. */
int cuda_least_driver(int major)
{
  switch (major) {
  case 11:
    return 470; /* 450 by that table; the backend takes functions that came with 470 */
  case 12:
    return 525;
  default:
    return 580;
  }
}
