/* The backends' kernels, compiled for the CPU, and how each is called with an array of buffers. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DIALECT_HOST
#define HAS_F64
#define GROUP_SIZE 32
#include "backends/kernels/source/dialect.h"
/* One group runs at a time, so one copy of a local array is enough, and all lie together. */
#undef LOCAL
#define LOCAL static __attribute__((section("kernel_local")))
/* The list of sources, as the build knows them. */
#include "kernel_sources.inc"

#include "tests/cuda_emulator/kernel_list.h"
_Static_assert((int)GROUP_SIZE == (int)EMULATOR_GROUP_SIZE, "the launch's");
_Static_assert((int)WARP_GROUP == (int)EMULATOR_WARP_GROUP, "the launch's");

kernel_place current_place;

i64 dialect_group_id(int dimension)
{
  return current_place.group[dimension];
}

i64 dialect_group_count(int dimension)
{
  return current_place.groups[dimension];
}

int dialect_item_id(void)
{
  return current_place.item;
}

void dialect_barrier(void)
{
  launch_barrier();
}

/* The linker's; absent while no kernel has a local array. */
extern char __start_kernel_local[] __attribute__((weak, visibility("hidden")));
extern char __stop_kernel_local[] __attribute__((weak, visibility("hidden")));

void kernel_poison_locals(void)
{
  if (__start_kernel_local != NULL)
    memset(__start_kernel_local, 0xff, (size_t)(__stop_kernel_local - __start_kernel_local));
}

#define BUFFERS_0(b)
#define BUFFERS_1(b) (b)[0],
#define BUFFERS_2(b) BUFFERS_1(b)(b)[1],
#define BUFFERS_3(b) BUFFERS_2(b)(b)[2],
#define BUFFERS_4(b) BUFFERS_3(b)(b)[3],
#define BUFFERS_5(b) BUFFERS_4(b)(b)[4],
#define BUFFERS_6(b) BUFFERS_5(b)(b)[5],
#define BUFFERS_7(b) BUFFERS_6(b)(b)[6],
#define BUFFERS_8(b) BUFFERS_7(b)(b)[7],
#define BUFFERS_9(b) BUFFERS_8(b)(b)[8],
#define BUFFERS_10(b) BUFFERS_9(b)(b)[9],
#define BUFFERS_11(b) BUFFERS_10(b)(b)[10],
#define BUFFERS_12(b) BUFFERS_11(b)(b)[11],
#define BUFFERS_13(b) BUFFERS_12(b)(b)[12],

#define KERNEL_ENTRY(name, buffers, parameters, barriers, program)  \
  static void call_##name(void *const *given, const void *by_value) \
  {                                                                 \
    name(BUFFERS_##buffers(given) * (const parameters *)by_value);  \
  }
#include "backends/kernels/kernels.def"
#undef KERNEL_ENTRY

enum { FOR_OPENCL = false, FOR_CUDA = true, FOR_EVERY = true };
enum {
#define KERNEL_PROGRAM(name, files, options, backends) IN_IMAGE_##name = FOR_##backends,
#include "backends/kernels/programs.def"
#undef KERNEL_PROGRAM
};
const emulated_kernel emulated_kernels[] = {
#define KERNEL_ENTRY(name, buffers, parameters, barriers, program) \
  {#name, buffers, sizeof(parameters), KERNEL_##barriers, call_##name, IN_IMAGE_##program},
#include "backends/kernels/kernels.def"
#undef KERNEL_ENTRY
};
const int emulated_kernel_count = sizeof emulated_kernels / sizeof emulated_kernels[0];
