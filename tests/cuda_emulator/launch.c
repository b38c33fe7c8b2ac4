/* Runs a kernel: groups in random order, the work-items of each in another. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/fiber.h"

_Static_assert((int)FIBER_COUNT == (int)EMULATOR_MAX_GROUP, "a fiber for each work-item");

/* What a work-item waits for. */
typedef enum { ITEM_READY, ITEM_AT_BARRIER, ITEM_IN_WARP, ITEM_ENDED } item_state;

static struct {
  const emulated_kernel *kernel;
  void *const *buffers;
  const void *parameters;
  int items; /* of a group */
  item_state state[EMULATOR_MAX_GROUP];
  bool faulted;
} launched;

static void run_work_item(int item)
{
  (void)item;
  launched.kernel->call(launched.buffers, launched.parameters);
}

static void run_plain_group(void)
{
  const emulator_order items = emulator_order_of((uint64_t)launched.items);
  for (uint64_t i = 0; i < items.count && !launched.faulted; i++) {
    current_place.item = (int)emulator_order_at(&items, i);
    run_work_item(current_place.item);
  }
}

static void give_up(void)
{
  emulator_fault(CUDA_ERROR_LAUNCH_FAILED);
  launched.faulted = true;
}

void launch_fault(const char *format, ...)
{
  char what[160];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  emulator_violation("kernel %s: %s", launched.kernel->name, what);
  give_up();
}

static int count_of(item_state state, int first, int count)
{
  int found = 0;
  for (int i = first; i < first + count; i++)
    found += launched.state[i] == state;
  return found;
}

static void run_item(int item)
{
  launched.state[item] = ITEM_AT_BARRIER; /* unless it says otherwise as it pauses */
  current_place.item = item;
  if (fiber_resume(item, run_work_item))
    launched.state[item] = ITEM_ENDED;
}

/* Until none of the warp's work-items can go on before a barrier. */
static void run_warp(int first)
{
  for (bool goes_on = true; goes_on && !launched.faulted;) {
    goes_on = false;
    const uint64_t drawn = emulator_random();
    const unsigned step = (unsigned)drawn | 1, from = (unsigned)(drawn >> 32);
    for (unsigned i = 0; i < EMULATOR_WARP && !launched.faulted; i++) {
      const int item = first + (int)((i * step + from) % EMULATOR_WARP);
      if (launched.state[item] == ITEM_READY) {
        run_item(item);
        goes_on = true;
      }
    }
  }
  const int waiting = count_of(ITEM_IN_WARP, first, EMULATOR_WARP);
  if (waiting > 0 && !launched.faulted)
    launch_fault("%d work-items of a warp wait for the %d that do not join them", waiting,
                 EMULATOR_WARP - waiting);
}

/* From barrier to barrier, all work-items each time. */
static void run_group_with_barriers(void)
{
  const int items = launched.items;
  if (launched.kernel->kind == KERNEL_WARPS)
    warp_begin_group();
  else
    kernel_poison_locals();
  for (int ended = 0; ended == 0 && !launched.faulted;) {
    const emulator_order warps = emulator_order_of((uint64_t)(items / EMULATOR_WARP));
    memset(launched.state, 0, sizeof launched.state);
    for (uint64_t i = 0; i < warps.count && !launched.faulted; i++)
      run_warp((int)emulator_order_at(&warps, i) * EMULATOR_WARP);
    ended = count_of(ITEM_ENDED, 0, items);
    if (ended > 0 && ended < items && !launched.faulted)
      launch_fault("%d work-items of a group ended while %d wait at a barrier", ended,
                   items - ended);
  }
  if (launched.faulted)
    fiber_abandon_all();
}

void launch_wait_for_warp(void)
{
  launched.state[current_place.item] = ITEM_IN_WARP;
  fiber_pause();
}

void launch_wake(int warp)
{
  for (int i = warp * EMULATOR_WARP; i < (warp + 1) * EMULATOR_WARP; i++)
    if (launched.state[i] == ITEM_IN_WARP)
      launched.state[i] = ITEM_READY;
}

void launch_barrier(void)
{
  if (fiber_current() >= 0) {
    fiber_pause();
    return;
  }
  if (!launched.faulted)
    launch_fault("it has a barrier but kernels.def says that it is plain");
}

bool launch_run(const emulated_kernel *kernel, const int64_t groups[3], void *const *buffers,
                const void *parameters)
{
  launched.kernel = kernel;
  launched.buffers = buffers;
  launched.parameters = parameters;
  launched.items = kernel_group_size(kernel);
  launched.faulted = false;
  memcpy(current_place.groups, groups, sizeof current_place.groups);
  const uint64_t count = (uint64_t)(groups[0] * groups[1] * groups[2]);
  const emulator_order all = emulator_order_of(count);
  for (uint64_t i = 0; i < count && !launched.faulted; i++) {
    const int64_t group = (int64_t)emulator_order_at(&all, i);
    current_place.group[0] = group % groups[0];
    current_place.group[1] = group / groups[0] % groups[1];
    current_place.group[2] = group / groups[0] / groups[1];
    if (kernel->kind == KERNEL_PLAIN)
      run_plain_group();
    else
      run_group_with_barriers();
  }
  return !launched.faulted;
}
