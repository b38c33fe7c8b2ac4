/* libnvrtc.so: it checks what it is given, and its machine code and PTX are marks for the emulated
 * driver, which has the kernels compiled in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda_emulator/emulator.h"

enum { COMPILER_MAJOR = 12, COMPILER_MINOR = 0, TEXT_BYTES = 160 };
static const int architectures[] = {70, 75, 80, 86, 90};

typedef struct {
  char *source;
  char log[TEXT_BYTES], cubin[TEXT_BYTES], ptx[TEXT_BYTES];
} program;

nvrtcResult nvrtcVersion(int *major, int *minor)
{
  ENTER_OR(NVRTC_ERROR_INTERNAL_ERROR);
  *major = COMPILER_MAJOR;
  *minor = COMPILER_MINOR;
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetNumSupportedArchs(int *count)
{
  ENTER_OR(NVRTC_ERROR_INTERNAL_ERROR);
  *count = sizeof architectures / sizeof architectures[0];
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetSupportedArchs(int *given)
{
  ENTER_OR(NVRTC_ERROR_INTERNAL_ERROR);
  memcpy(given, architectures, sizeof architectures);
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcCreateProgram(nvrtcProgram *created, const char *source, const char *name,
                               int header_count, const char *const *headers,
                               const char *const *header_names)
{
  ENTER_OR(NVRTC_ERROR_PROGRAM_CREATION_FAILURE);
  (void)name, (void)headers, (void)header_names;
  if (source == NULL || header_count != 0)
    return NVRTC_ERROR_INVALID_INPUT;
  program *made;
  *created = object_create(OBJECT_PROGRAM, sizeof *made, (void **)&made);
  made->source = strdup(source);
  return NVRTC_SUCCESS;
}

nvrtcResult nvrtcDestroyProgram(nvrtcProgram *destroyed)
{
  ENTER();
  program *found = object_find(OBJECT_PROGRAM, *destroyed);
  if (found == NULL)
    return NVRTC_ERROR_INVALID_PROGRAM;
  free(found->source);
  object_destroy(OBJECT_PROGRAM, *destroyed);
  *destroyed = NULL;
  return this_call.fails ? NVRTC_ERROR_INTERNAL_ERROR : NVRTC_SUCCESS;
}

static bool is_known_architecture(int number)
{
  for (size_t i = 0; i < sizeof architectures / sizeof architectures[0]; i++)
    if (architectures[i] == number)
      return true;
  return false;
}

/* Takes the options that the backend gives, and no others. */
static bool read_options(program *p, int count, const char *const *options, bool *machine_code,
                         int *architecture)
{
  for (int i = 0; i < count; i++) {
    char kind[8];
    if (sscanf(options[i], "--gpu-architecture=%7[a-z]_%d", kind, architecture) == 2 &&
        (strcmp(kind, "sm") == 0 || strcmp(kind, "compute") == 0) &&
        is_known_architecture(*architecture))
      *machine_code = strcmp(kind, "sm") == 0;
    else if (strcmp(options[i], "--fmad=false") != 0 && strncmp(options[i], "-D", 2) != 0) {
      snprintf(p->log, sizeof p->log,
               "nvrtc: error: invalid value for --gpu-architecture or "
               "unknown option: %.60s\n",
               options[i]);
      return false;
    }
  }
  return *architecture != 0;
}

nvrtcResult nvrtcCompileProgram(nvrtcProgram compiled, int count, const char *const *options)
{
  ENTER();
  program *p = object_find(OBJECT_PROGRAM, compiled);
  if (p == NULL)
    return NVRTC_ERROR_INVALID_PROGRAM;
  if (this_call.fails) {
    snprintf(p->log, sizeof p->log, "kernels.cu(1): error: as the test wants it\nand more\n");
    return this_call.code != 0 ? this_call.code : NVRTC_ERROR_COMPILATION;
  }
  bool machine_code = false;
  int architecture = 0;
  if (!read_options(p, count, options, &machine_code, &architecture))
    return NVRTC_ERROR_INVALID_OPTION;
  if (strstr(p->source, "__global__") == NULL) {
    snprintf(p->log, sizeof p->log, "kernels.cu: no kernel\n");
    return NVRTC_ERROR_COMPILATION;
  }
  if (machine_code)
    snprintf(p->cubin, sizeof p->cubin, "%s machine code %d.%d sm_%d", emulated_image,
             COMPILER_MAJOR, COMPILER_MINOR, architecture);
  snprintf(p->ptx, sizeof p->ptx, "%s PTX %d.%d sm_%d", emulated_image, COMPILER_MAJOR,
           COMPILER_MINOR, architecture);
  return NVRTC_SUCCESS;
}

/* One of a program's texts, with its zero byte. */
static nvrtcResult size_of(nvrtcProgram handle, size_t member, size_t *bytes)
{
  const program *p = object_find(OBJECT_PROGRAM, handle);
  if (p == NULL)
    return NVRTC_ERROR_INVALID_PROGRAM;
  const char *text = (const char *)p + member;
  *bytes = text[0] != '\0' ? strlen(text) + 1 : 0;
  return NVRTC_SUCCESS;
}

static nvrtcResult copy_of(nvrtcProgram handle, size_t member, char *text)
{
  size_t bytes;
  const nvrtcResult result = size_of(handle, member, &bytes);
  if (result == NVRTC_SUCCESS)
    memcpy(text, (const char *)object_find(OBJECT_PROGRAM, handle) + member, bytes);
  return result;
}

nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram handle, size_t *bytes)
{
  ENTER_OR(NVRTC_ERROR_INTERNAL_ERROR);
  return size_of(handle, offsetof(program, log), bytes);
}

nvrtcResult nvrtcGetProgramLog(nvrtcProgram handle, char *log)
{
  ENTER_OR(NVRTC_ERROR_INTERNAL_ERROR);
  return copy_of(handle, offsetof(program, log), log);
}

nvrtcResult nvrtcGetCUBINSize(nvrtcProgram handle, size_t *bytes)
{
  ENTER_OR(NVRTC_ERROR_INTERNAL_ERROR);
  return size_of(handle, offsetof(program, cubin), bytes);
}

nvrtcResult nvrtcGetCUBIN(nvrtcProgram handle, char *cubin)
{
  ENTER_OR(NVRTC_ERROR_INTERNAL_ERROR);
  return copy_of(handle, offsetof(program, cubin), cubin);
}

nvrtcResult nvrtcGetPTXSize(nvrtcProgram handle, size_t *bytes)
{
  ENTER_OR(NVRTC_ERROR_INTERNAL_ERROR);
  return size_of(handle, offsetof(program, ptx), bytes);
}

nvrtcResult nvrtcGetPTX(nvrtcProgram handle, char *ptx)
{
  ENTER_OR(NVRTC_ERROR_INTERNAL_ERROR);
  return copy_of(handle, offsetof(program, ptx), ptx);
}
