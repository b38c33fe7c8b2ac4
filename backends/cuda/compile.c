#include "backends/cuda/compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/api.h"
#include "backends/cuda/image.h"
#include "backends/kernels/cache.h"
#include "base/dispositions.h"
#include "base/hash.h"

enum { KEY_BYTES = 512, MOST_OPTIONS = 16, MOST_ARCHITECTURES = 64 };

/* What is to be compiled, and by which NVRTC. */
typedef struct {
  const cuda_image *source;
  const char *why;
  int release[2];
  int architecture;
  bool machine_code; /* not PTX */
} job;

static const cuda_image *source_of_build(void)
{
  return &cuda_images[cuda_image_count - 1];
}

/* ---- For which architecture ---- */

static cdl_status choose_architecture(job *j, int capability)
{
  int count, known[MOST_ARCHITECTURES];
  CDL_TRY(CUDA_COMPILER_CALL(nvrtcGetNumSupportedArchs, &count));
  if (count < 1 || count > MOST_ARCHITECTURES)
    return cuda_host->fail(CDL_STATUS_DEVICE, "nvrtcGetNumSupportedArchs gives %d architectures",
                           count);
  CDL_TRY(CUDA_COMPILER_CALL(nvrtcGetSupportedArchs, known));
  for (int i = 0; i < count; i++)
    if (known[i] <= capability && known[i] > j->architecture)
      j->architecture = known[i];
  if (j->architecture == 0)
    return cuda_host->fail(CDL_STATUS_UNSUPPORTED, "%s; NVRTC %d.%d does not know sm_%d", j->why,
                           j->release[0], j->release[1], capability);
  j->machine_code = j->architecture == capability;
  return CDL_STATUS_OK;
}

static void write_architecture(const job *j, char text[16])
{
  snprintf(text, 16, "%s_%d", j->machine_code ? "sm" : "compute", j->architecture);
}

/* ---- The cache ---- */

static const char *cache_key(const job *j, char key[KEY_BYTES])
{
  char architecture[16];
  size_t used = 0;
  write_architecture(j, architecture);
  used += (size_t)snprintf(
      key, KEY_BYTES, "source %016llx\nnvrtc %d.%d\narchitecture %s\noptions",
      (unsigned long long)base_fnv(BASE_FNV_START, j->source->bytes, j->source->size),
      j->release[0], j->release[1], architecture);
  for (int i = 0; cuda_image_options[i] != NULL && used < KEY_BYTES; i++)
    used += (size_t)snprintf(key + used, KEY_BYTES - used, " %s", cuda_image_options[i]);
  return key;
}

/* ---- Compiling ---- */

static cdl_status compile_failed(const job *j, nvrtcProgram program, nvrtcResult answer)
{
  size_t bytes = 0;
  char *log = NULL;
  if (cuda_api.nvrtcGetProgramLogSize(program, &bytes) == NVRTC_SUCCESS)
    log = calloc(bytes + 1, 1);
  if (log != NULL && cuda_api.nvrtcGetProgramLog(program, log) != NVRTC_SUCCESS)
    log[0] = '\0';
  const cdl_status status = cuda_check_compiler("nvrtcCompileProgram", answer);
  if (log != NULL && log[0] != '\0') {
    log[strcspn(log, "\n")] = '\0';
    cuda_host->fail(status, "%s; NVRTC %d.%d fails: nvrtcCompileProgram (%d): %.400s", j->why,
                    j->release[0], j->release[1], answer, log);
  }
  free(log);
  return status;
}

static cdl_status take_result(const job *j, nvrtcProgram program, void **image, size_t *bytes)
{
  if (j->machine_code)
    CDL_TRY(CUDA_COMPILER_CALL(nvrtcGetCUBINSize, program, bytes));
  else
    CDL_TRY(CUDA_COMPILER_CALL(nvrtcGetPTXSize, program, bytes));
  *image = calloc(*bytes + 1, 1);
  if (*image == NULL)
    return cuda_host->fail(CDL_STATUS_MEMORY, "no host memory for %zu bytes of kernels", *bytes);
  return j->machine_code ? CUDA_COMPILER_CALL(nvrtcGetCUBIN, program, *image)
                         : CUDA_COMPILER_CALL(nvrtcGetPTX, program, *image);
}

static cdl_status run_compiler(const job *j, nvrtcProgram program)
{
  const char *options[MOST_OPTIONS];
  char architecture[16], first[64];
  int count = 1;
  write_architecture(j, architecture);
  snprintf(first, sizeof first, "--gpu-architecture=%s", architecture);
  options[0] = first;
  while (cuda_image_options[count - 1] != NULL && count < MOST_OPTIONS) {
    options[count] = cuda_image_options[count - 1];
    count++;
  }
  const nvrtcResult answer = cuda_api.nvrtcCompileProgram(program, count, options);
  return answer == NVRTC_SUCCESS ? CDL_STATUS_OK : compile_failed(j, program, answer);
}

static cdl_status compile(const job *j, void **image, size_t *bytes)
{
  nvrtcProgram program;
  CDL_TRY(CUDA_COMPILER_CALL(nvrtcCreateProgram, &program, (const char *)j->source->bytes,
                             "kernels.cu", 0, NULL, NULL));
  cdl_status status = run_compiler(j, program);
  if (status == CDL_STATUS_OK)
    status = take_result(j, program, image, bytes);
  const nvrtcResult ended = cuda_api.nvrtcDestroyProgram(&program);
  if (ended != NVRTC_SUCCESS)
    cuda_host->log(CDL_LOG_WARNING, "cuda: nvrtcDestroyProgram: %d", ended);
  if (status != CDL_STATUS_OK) {
    free(*image);
    *image = NULL;
  }
  return status;
}

/* A compiler may change what signals do. */
static cdl_status compile_and_keep(const job *j, const kernel_cache *cache, const char *key,
                                   void **image)
{
  base_dispositions dispositions;
  size_t bytes = 0;
  cuda_host->log(CDL_LOG_NOTICE,
                 "cuda: %s; NVRTC %d.%d compiles them now for sm_%d, which may take a minute; they "
                 "are kept for the next time",
                 j->why, j->release[0], j->release[1], j->architecture);
  base_dispositions_keep(&dispositions);
  const cdl_status status = compile(j, image, &bytes);
  base_dispositions_restore(&dispositions);
  if (status == CDL_STATUS_OK)
    kernel_cache_write(cache, key, *image, bytes + 1);
  return status;
}

cdl_status cuda_compile(int version, int capability, const char *why, bool again,
                        cuda_compiled *compiled)
{
  const kernel_cache cache = {cuda_host, "cuda"};
  job j = {.source = source_of_build(), .why = why};
  char key[KEY_BYTES], architecture[16];
  size_t bytes;
  *compiled = (cuda_compiled){NULL};
  CDL_TRY(cuda_api_open_compiler(version, why));
  CDL_TRY(CUDA_COMPILER_CALL(nvrtcVersion, &j.release[0], &j.release[1]));
  CDL_TRY(choose_architecture(&j, capability));
  write_architecture(&j, architecture);
  snprintf(compiled->what, sizeof compiled->what, "%s %s by NVRTC %d.%d",
           j.machine_code ? "machine code for" : "PTX of", architecture, j.release[0],
           j.release[1]);
  cache_key(&j, key);
  if (!again)
    compiled->image = kernel_cache_read(&cache, key, &bytes);
  compiled->kept = compiled->image != NULL;
  return compiled->kept ? CDL_STATUS_OK : compile_and_keep(&j, &cache, key, &compiled->image);
}
