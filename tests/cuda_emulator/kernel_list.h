/* The kernels as the emulator runs them. Apart from emulator.h, because a file that compiles
 * kernels has their names too. */
#ifndef CONDLORA_TESTS_CUDA_EMULATOR_KERNEL_LIST_H
#define CONDLORA_TESTS_CUDA_EMULATOR_KERNEL_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)

enum {
  EMULATOR_GROUP_SIZE = 32,
  EMULATOR_WARP_GROUP = 128, /* of kernels with warps' collectives */
  EMULATOR_MAX_GROUP = EMULATOR_WARP_GROUP,
  EMULATOR_WARP = 32,
  EMULATOR_MAX_BUFFERS = 16
};

/* What kernels.def says of a kernel. */
typedef enum { KERNEL_PLAIN, KERNEL_BARRIERS, KERNEL_WARPS } kernel_kind;

typedef struct {
  const char *name;
  int buffers;
  size_t parameter_bytes;
  kernel_kind kind;
  void (*call)(void *const *buffers, const void *parameters);
  bool in_image; /* of CUDA: programs.def gives it to other backends alone if not */
} emulated_kernel;

extern const emulated_kernel emulated_kernels[];
extern const int emulated_kernel_count;

static inline int kernel_group_size(const emulated_kernel *kernel)
{
  return kernel->kind == KERNEL_WARPS ? (int)EMULATOR_WARP_GROUP : (int)EMULATOR_GROUP_SIZE;
}

typedef struct {
  int64_t group[3], groups[3];
  int item;
} kernel_place;
extern kernel_place current_place; /* of the work-item that runs */
/* Local memory as it is before any work-item wrote it: NaN. */
void kernel_poison_locals(void);
/* The same of kernels with warps' collectives, and no copy to it on its way. */
void warp_begin_group(void);
/* What a collective that finds something wrong calls; it returns when the group is given up. */
void launch_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Waits in a collective until the warp's last work-item, which calls launch_wake, has come. */
void launch_wait_for_warp(void);
void launch_wake(int warp);

/* Runs all groups; false after a fault. */
bool launch_run(const emulated_kernel *kernel, const int64_t groups[3], void *const *buffers,
                const void *parameters);
/* What a kernel's barrier calls. */
void launch_barrier(void);

#pragma GCC visibility pop
#endif
