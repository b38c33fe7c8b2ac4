/* The devices' primary contexts, and which one each thread has made current. */
#include "tests/cuda_emulator/emulator.h"

enum { CONTEXT_DEPTH = 16 };

static bool initialized;
static int context_users[EMULATOR_MAX_DEVICES];
static CUcontext contexts[EMULATOR_MAX_DEVICES]; /* NULL while nobody retains it */
static int acting_as = -1; /* a device whose work runs, or that ends; -1: none */
static _Thread_local CUcontext current[CONTEXT_DEPTH];
static _Thread_local int current_depth;

void context_initialize(void)
{
  initialized = true;
}

CUresult context_check_initialized(void)
{
  return initialized ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

/* The device of this thread's current context; -1 without one that is alive. */
static int current_device(void)
{
  for (int i = 0; current_depth > 0 && i < EMULATOR_MAX_DEVICES; i++)
    if (contexts[i] != NULL && contexts[i] == current[current_depth - 1])
      return i;
  return -1;
}

int context_device(void)
{
  const int device = acting_as >= 0 ? acting_as : current_device();
  return device >= 0 ? device : 0;
}

bool context_is_other(int device)
{
  const int here = acting_as >= 0 ? acting_as : current_device();
  return here >= 0 && here != device;
}

int context_act_as(int device)
{
  const int before = acting_as;
  acting_as = device;
  return before;
}

CUresult context_check(void)
{
  CHECK(context_check_initialized());
  if (current_depth == 0)
    return CUDA_ERROR_INVALID_CONTEXT;
  if (current_device() < 0)
    return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  return emulator_fault_code();
}

CUcontext context_retain(int device)
{
  if (context_users[device]++ == 0)
    contexts[device] = object_create(OBJECT_CONTEXT, 1, NULL);
  return contexts[device];
}

/* Everything a program made in a context ends with it. What it made and did not destroy counts as
 * left behind. */
static void end_context(int device)
{
  int left = 0;
  const void *handle;
  const int before = context_act_as(device);
  for (object_kind kind = OBJECT_EVENT; kind < OBJECT_KINDS; kind++)
    for (size_t place = 0; object_next(kind, &place, &handle) != NULL; left++) {
      if (kind == OBJECT_EVENT)
        event_destroy((CUevent)(uintptr_t)handle);
      else if (kind == OBJECT_GRAPH || kind == OBJECT_GRAPH_EXEC)
        graph_destroy(kind, handle);
      else
        object_destroy(kind, handle);
    }
  left += stream_release_all();
  left += memory_release_all();
  emulator_left_behind(left);
  emulator_fault_clear();
  object_destroy(OBJECT_CONTEXT, contexts[device]);
  contexts[device] = NULL;
  context_act_as(before);
  object_forget_all();
}

CUresult context_release(int device)
{
  if (context_users[device] == 0)
    return CUDA_ERROR_INVALID_CONTEXT;
  if (--context_users[device] == 0)
    end_context(device);
  return CUDA_SUCCESS;
}

CUresult context_push(CUcontext pushed)
{
  if (object_find(OBJECT_CONTEXT, pushed) == NULL)
    return CUDA_ERROR_INVALID_CONTEXT;
  if (current_depth == CONTEXT_DEPTH) {
    emulator_violation("cuCtxPushCurrent: %d contexts pushed and not popped", current_depth);
    return CUDA_ERROR_INVALID_CONTEXT;
  }
  current[current_depth++] = pushed;
  return CUDA_SUCCESS;
}

CUresult context_pop(CUcontext *popped)
{
  if (current_depth == 0)
    return CUDA_ERROR_INVALID_CONTEXT;
  *popped = current[--current_depth];
  return CUDA_SUCCESS;
}
