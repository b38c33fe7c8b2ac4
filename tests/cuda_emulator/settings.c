/* What the emulated device is, and which images its driver takes: by variables of the environment,
 * which control.h lists. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda_emulator/emulator.h"

enum { DEFAULT_DRIVER = 12000, DEFAULT_DEVICES = 1, DEFAULT_NCCL = 22703 };

/* A small device where kernels are compiled for the CPU; where they are PTX, one that they are made
 * for. */
typedef struct {
  const char *name;
  int capability, multiprocessors, items;
} geometry;
static const geometry geometries[] = {
    {"small", 80, 4, 64},
    {"h200", 90, 132, 2048},
    {"a100", 80, 108, 2048},
};

static int setting(const char *name, int value)
{
  const char *text = getenv(name);
  return text != NULL && text[0] != '\0' ? (int)strtol(text, NULL, 10) : value;
}

int setting_driver(void)
{
  return setting("CUDA_EMULATOR_DRIVER", DEFAULT_DRIVER);
}

bool setting_runs_ptx(void)
{
  const char *kernels = getenv("CUDA_EMULATOR_KERNELS");
  return kernels != NULL && strcmp(kernels, "ptx") == 0;
}

static const geometry *device_geometry(void)
{
  const char *name = getenv("CUDA_EMULATOR_DEVICE");
  if (!setting_runs_ptx())
    return &geometries[0];
  for (size_t i = 1; name != NULL && i < sizeof geometries / sizeof geometries[0]; i++)
    if (strcmp(geometries[i].name, name) == 0)
      return &geometries[i];
  return &geometries[1];
}

int setting_capability(void)
{
  return setting("CUDA_EMULATOR_CAPABILITY", device_geometry()->capability);
}

int setting_multiprocessors(void)
{
  return device_geometry()->multiprocessors;
}

int setting_items(void)
{
  return device_geometry()->items;
}

bool setting_devices_are_alike(void)
{
  return setting("CUDA_EMULATOR_ALIKE", 0) != 0;
}

int setting_nccl(void)
{
  return setting("CUDA_EMULATOR_NCCL", DEFAULT_NCCL);
}

int setting_compute_mode(void)
{
  return setting("CUDA_EMULATOR_MODE", 0);
}

int setting_devices(void)
{
  const int count = setting("CUDA_EMULATOR_DEVICES", DEFAULT_DEVICES);
  return count < 0 || count > EMULATOR_MAX_DEVICES ? EMULATOR_MAX_DEVICES : count;
}

/* ---- Images ---- */

const char emulated_image[] = "condlora emulator:";

/* Whether machine code for this architecture runs on the device. */
static bool serves(int architecture)
{
  return architecture / 10 == setting_capability() / 10 && architecture <= setting_capability();
}

/* A driver takes machine code of its major version, and PTX of its own version and older ones. */
static CUresult judge_machine_code(int major, int architecture)
{
  return major <= setting_driver() / 1000 && serves(architecture) ? CUDA_SUCCESS
                                                                  : CUDA_ERROR_NO_BINARY_FOR_GPU;
}

static CUresult judge_ptx(int major, int minor, int architecture)
{
  if (1000 * major + 10 * minor > setting_driver())
    return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
  return architecture <= setting_capability() ? CUDA_SUCCESS : CUDA_ERROR_NO_BINARY_FOR_GPU;
}

/* Of nvcc's ELF files since CUDA 13: the version of their layout, and the architecture. */
static CUresult judge_elf(const unsigned char *elf)
{
  enum { LAYOUT_AT = 8, LAYOUT_OF_13 = 8, FLAGS_AT = 48 };
  const bool is_new = elf[LAYOUT_AT] >= LAYOUT_OF_13;
  return judge_machine_code(is_new ? 13 : 11, is_new ? elf[FLAGS_AT + 1] : elf[FLAGS_AT]);
}

/* PTX 7.N belongs to CUDA 11.N, 8.N to 12.N, 9.N to 13.N. */
static CUresult judge_text(const char *text)
{
  enum { CUDA_AFTER_PTX = 4 };
  int major, minor, architecture;
  const char *version = strstr(text, ".version "), *target = strstr(text, ".target sm_");
  if (version == NULL || target == NULL || sscanf(version, ".version %d.%d", &major, &minor) != 2 ||
      sscanf(target, ".target sm_%d", &architecture) != 1)
    return CUDA_ERROR_INVALID_IMAGE;
  return judge_ptx(major + CUDA_AFTER_PTX, minor, architecture);
}

CUresult image_judge(const void *image)
{
  const char *text = image;
  int major, minor, architecture;
  const size_t mark = strlen(emulated_image);
  if (strncmp(text, emulated_image, mark) == 0) {
    if (sscanf(text + mark, " machine code %d.%d sm_%d", &major, &minor, &architecture) == 3)
      return judge_machine_code(major, architecture);
    if (sscanf(text + mark, " PTX %d.%d sm_%d", &major, &minor, &architecture) == 3)
      return judge_ptx(major, minor, architecture);
    return CUDA_ERROR_INVALID_IMAGE;
  }
  const bool is_elf = memcmp(text, "\177ELF", 4) == 0;
  if (getenv("CUDA_EMULATOR_DRIVER") == NULL)
    return is_elf || strstr(text, ".version ") != NULL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
  return is_elf ? judge_elf(image) : judge_text(text);
}
