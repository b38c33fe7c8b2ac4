/* Runs a kernel: groups in random order, the work-items of each in another. */
#include <string.h>

#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/fiber.h"

_Static_assert((int)FIBER_COUNT == (int)EMULATOR_GROUP_SIZE, "a fiber for each work-item");

static struct {
  const emulated_kernel *kernel;
  void *const *buffers;
  const void *parameters;
  bool faulted;
} launched;

/* A random order of 0 … count - 1: i · step + first, step prime to count. */
typedef struct {
  uint64_t count, step, first;
} order;

static uint64_t divisor(uint64_t a, uint64_t b)
{
  while (b != 0) {
    const uint64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

static order order_of(uint64_t count)
{
  order drawn = {.count = count, .step = 1, .first = emulator_random() % count};
  do {
    drawn.step = 1 + emulator_random() % count;
  } while (divisor(drawn.step, count) != 1);
  return drawn;
}

static uint64_t place_of(const order *drawn, uint64_t i)
{
  return (i * drawn->step + drawn->first) % drawn->count;
}

static void run_work_item(int item)
{
  (void)item;
  launched.kernel->call(launched.buffers, launched.parameters);
}

static void run_plain_group(void)
{
  const order items = order_of(EMULATOR_GROUP_SIZE);
  for (uint64_t i = 0; i < EMULATOR_GROUP_SIZE && !launched.faulted; i++) {
    current_place.item = (int)place_of(&items, i);
    run_work_item(current_place.item);
  }
}

static void diverge(int ended, int waiting)
{
  emulator_violation("kernel %s: %d work-items of a group ended while %d wait at a barrier",
                     launched.kernel->name, ended, waiting);
  emulator_fault(CUDA_ERROR_LAUNCH_FAILED);
  fiber_abandon_all();
  launched.faulted = true;
}

/* From barrier to barrier, all work-items each time. */
static void run_group_with_barriers(void)
{
  kernel_poison_locals();
  for (bool all_ended = false; !all_ended;) {
    const order items = order_of(EMULATOR_GROUP_SIZE);
    int ended = 0;
    for (uint64_t i = 0; i < EMULATOR_GROUP_SIZE; i++) {
      current_place.item = (int)place_of(&items, i);
      ended += fiber_resume(current_place.item, run_work_item);
    }
    if (ended > 0 && ended < EMULATOR_GROUP_SIZE) {
      diverge(ended, EMULATOR_GROUP_SIZE - ended);
      return;
    }
    all_ended = ended > 0;
  }
}

void launch_barrier(void)
{
  if (fiber_current() >= 0) {
    fiber_pause();
    return;
  }
  if (!launched.faulted)
    emulator_violation("kernel %s has a barrier but kernels.def says that it is plain",
                       launched.kernel->name);
  emulator_fault(CUDA_ERROR_LAUNCH_FAILED);
  launched.faulted = true;
}

bool launch_run(const emulated_kernel *kernel, const int64_t groups[3], void *const *buffers,
                const void *parameters)
{
  launched.kernel = kernel;
  launched.buffers = buffers;
  launched.parameters = parameters;
  launched.faulted = false;
  memcpy(current_place.groups, groups, sizeof current_place.groups);
  const uint64_t count = (uint64_t)(groups[0] * groups[1] * groups[2]);
  const order all = order_of(count);
  for (uint64_t i = 0; i < count && !launched.faulted; i++) {
    const int64_t group = (int64_t)place_of(&all, i);
    current_place.group[0] = group % groups[0];
    current_place.group[1] = group / groups[0] % groups[1];
    current_place.group[2] = group / groups[0] / groups[1];
    if (kernel->barriers)
      run_group_with_barriers();
    else
      run_plain_group();
  }
  return !launched.faulted;
}
