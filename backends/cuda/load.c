/* The kernels of a device: which image the driver takes, and its functions. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/compile.h"
#include "backends/cuda/device.h"
#include "backends/cuda/image.h"

/* ---- Which images may serve ---- */

static const char *const kind_names[] = {
    [CUDA_IMAGE_CUBIN] = "cubin", [CUDA_IMAGE_PTX] = "ptx", [CUDA_IMAGE_SOURCE] = "nvrtc"};
enum { KINDS = sizeof kind_names / sizeof kind_names[0], WHY_BYTES = 448 };

/* A device that is being given its kernels. */
typedef struct {
  cuda_device *device;
  const char *name;
  int capability;
  bool tries[KINDS];
  char refusals[224]; /* what the driver answered to each image that it did not take */
} loading;

/* CDL_CUDA_KERNELS names one kind; else all are tried. */
static cdl_status choose_kinds(loading *l)
{
  const char *text = secure_getenv("CDL_CUDA_KERNELS");
  bool any = false;
  for (int kind = 0; kind < KINDS; kind++) {
    l->tries[kind] = text == NULL || text[0] == '\0' || strcmp(text, kind_names[kind]) == 0;
    any = any || l->tries[kind];
  }
  return any ? CDL_STATUS_OK
             : cuda_host->fail(CDL_STATUS_UNSUPPORTED,
                               "CDL_CUDA_KERNELS: '%s', expected cubin, ptx or nvrtc", text);
}

/* Machine code serves its own major version from its minor on; PTX its capability and later ones.
 */
static bool fits(const loading *l, const cuda_image *image)
{
  return image->kind != CUDA_IMAGE_SOURCE && l->tries[image->kind] &&
         image->capability <= l->capability &&
         (image->kind != CUDA_IMAGE_CUBIN || image->capability / 10 == l->capability / 10);
}

/* Returns whether a driver's answer is about an image, and not about the device or its memory. */
static bool is_of_image(CUresult answer)
{
  switch (answer) {
  case CUDA_ERROR_INVALID_IMAGE:
  case CUDA_ERROR_NO_BINARY_FOR_GPU:
  case CUDA_ERROR_INVALID_PTX:
  case CUDA_ERROR_JIT_COMPILER_NOT_FOUND:
  case CUDA_ERROR_UNSUPPORTED_PTX_VERSION:
  case CUDA_ERROR_JIT_COMPILATION_DISABLED:
    return true;
  default:
    return false;
  }
}

__attribute__((format(printf, 2, 3))) static void note_refusal(loading *l, const char *format, ...)
{
  const size_t used = strlen(l->refusals);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(l->refusals + used, sizeof l->refusals - used, format, arguments);
  va_end(arguments);
}

/* Loads one image. *taken says whether the driver takes it; other failures are errors. */
static cdl_status load(loading *l, const void *bytes, const char *what, bool *taken)
{
  const CUresult answer = cuda_api.cuModuleLoadData(&l->device->module, bytes);
  *taken = answer == CUDA_SUCCESS;
  if (!*taken)
    l->device->module = NULL;
  if (is_of_image(answer)) {
    note_refusal(l, "%s%s: %s (%d)", l->refusals[0] != '\0' ? ", " : "", what,
                 cuda_error_name(answer), answer);
    return CDL_STATUS_OK;
  }
  CDL_TRY(cuda_answer(l->device, "cuModuleLoadData", answer));
  cuda_host->log(CDL_LOG_DEBUG, "cuda: the kernels are %s", what);
  return CDL_STATUS_OK;
}

/* Says why none of the build's own images serves. */
static void explain(const loading *l, char why[WHY_BYTES])
{
  const int version = l->device->version, *release = cuda_image_release;
  if (!l->tries[CUDA_IMAGE_CUBIN] && !l->tries[CUDA_IMAGE_PTX])
    snprintf(why, WHY_BYTES, "CDL_CUDA_KERNELS wants the kernels compiled here");
  else if (release[0] == 0)
    snprintf(why, WHY_BYTES, "nvcc was not found when this build was made, so it has no kernels");
  else
    snprintf(why, WHY_BYTES,
             "the driver (CUDA %d.%d) takes no kernels of this build for %.64s, sm_%d; nvcc %d.%d "
             "made them, so they need driver %d or newer (%s)",
             version / 1000, version % 1000 / 10, l->name, l->capability, release[0], release[1],
             cuda_least_driver(release[0]), l->refusals[0] != '\0' ? l->refusals : "none fits");
}

static cdl_status load_from_build(loading *l, bool *taken)
{
  *taken = false;
  for (int i = 0; i < cuda_image_count && !*taken; i++) {
    const cuda_image *image = &cuda_images[i];
    char what[64];
    if (!fits(l, image))
      continue;
    snprintf(what, sizeof what, "%s_%d",
             image->kind == CUDA_IMAGE_CUBIN ? "machine code for sm" : "PTX of compute",
             image->capability);
    CDL_TRY(load(l, image->bytes, what, taken));
  }
  return CDL_STATUS_OK;
}

/* A kept image that the driver refuses is damaged, or of another driver: it is compiled again. */
static cdl_status load_compiled(loading *l, const char *why)
{
  for (bool again = false;; again = true) {
    cuda_compiled compiled;
    bool taken = false;
    CDL_TRY(cuda_compile(l->device->version, l->capability, why, again, &compiled));
    l->refusals[0] = '\0';
    const cdl_status status = load(l, compiled.image, compiled.what, &taken);
    free(compiled.image);
    if (status != CDL_STATUS_OK || taken)
      return status;
    if (!compiled.kept)
      return cuda_host->fail(CDL_STATUS_UNSUPPORTED, "%s; the driver refuses NVRTC's too: %s", why,
                             l->refusals);
  }
}

static cdl_status load_first(loading *l)
{
  char why[WHY_BYTES];
  bool taken;
  CDL_TRY(load_from_build(l, &taken));
  if (taken)
    return CDL_STATUS_OK;
  explain(l, why);
  return l->tries[CUDA_IMAGE_SOURCE] ? load_compiled(l, why)
                                     : cuda_host->fail(CDL_STATUS_UNSUPPORTED, "%s", why);
}

/* ---- Its functions ---- */

static cdl_status find_function(cuda_device *device, kernel_id which, int *group)
{
  const char *name = kernel_list[which].name;
  CUfunction *function = &device->functions[which];
  CDL_TRY(cuda_answer(device, name, cuda_api.cuModuleGetFunction(function, device->module, name)));
  /* This also makes the driver load the kernel now, not at its first launch, which may be
   * recorded. */
  return CUDA_DEVICE_CALL(device, cuFuncGetAttribute, group,
                          CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, *function);
}

cdl_status cuda_load_kernels(cuda_device *device, const char *name, int capability)
{
  loading l = {.device = device, .name = name, .capability = capability};
  CDL_TRY(choose_kinds(&l));
  CDL_TRY(load_first(&l));
  for (int i = 0; i < KERNEL_COUNT; i++) {
    int group = 0;
    if ((kernel_list[i].backends & KERNEL_FOR_CUDA) == 0)
      continue;
    CDL_TRY(find_function(device, (kernel_id)i, &group));
    if (device->common.group_size == 0)
      device->common.group_size = group;
    const int own = kernel_list[i].group_size;
    const int expected = own > 0 ? own : device->common.group_size;
    if (group < 1 || (group & (group - 1)) != 0 || group != expected)
      return cuda_host->fail(CDL_STATUS_DEVICE, "the kernel %s takes groups of %d, expected %d",
                             kernel_list[i].name, group, expected);
  }
  return CDL_STATUS_OK;
}
