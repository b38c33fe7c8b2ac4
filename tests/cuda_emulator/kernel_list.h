/* The kernels as the emulator runs them. Apart from emulator.h, because a file that compiles
 * kernels has their names too. */
#ifndef CONDLORA_TESTS_CUDA_EMULATOR_KERNEL_LIST_H
#define CONDLORA_TESTS_CUDA_EMULATOR_KERNEL_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)

enum { EMULATOR_GROUP_SIZE = 32, EMULATOR_MAX_BUFFERS = 16 };

typedef struct {
  const char *name;
  int buffers;
  size_t parameter_bytes;
  bool barriers;
  void (*call)(void *const *buffers, const void *parameters);
  bool in_image; /* of CUDA: programs.def gives it to other backends alone if not */
} emulated_kernel;

extern const emulated_kernel emulated_kernels[];
extern const int emulated_kernel_count;

typedef struct {
  int64_t group[3], groups[3];
  int item;
} kernel_place;
extern kernel_place current_place; /* of the work-item that runs */
/* Local memory as it is before any work-item wrote it: NaN. */
void kernel_poison_locals(void);

/* Runs all groups; false after a fault. */
bool launch_run(const emulated_kernel *kernel, const int64_t groups[3], void *const *buffers,
                const void *parameters);
/* What a kernel's barrier calls. */
void launch_barrier(void);

#pragma GCC visibility pop
#endif
