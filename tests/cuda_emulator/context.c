/* The primary context, and which one each thread has made current. */
#include "tests/cuda_emulator/emulator.h"

enum { CONTEXT_DEPTH = 16 };

static bool initialized;
static int context_users;
static CUcontext context; /* NULL while nobody retains it */
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

CUresult context_check(void)
{
  CHECK(context_check_initialized());
  if (current_depth == 0)
    return CUDA_ERROR_INVALID_CONTEXT;
  if (current[current_depth - 1] != context)
    return ERROR_CONTEXT_IS_DESTROYED;
  return emulator_fault_code();
}

CUcontext context_retain(void)
{
  if (context_users++ == 0)
    context = object_create(OBJECT_CONTEXT, 1, NULL);
  return context;
}

/* Everything a program made in a context ends with it. What it made and did not destroy counts as
 * left behind. */
static void end_context(void)
{
  int left = 0;
  const void *handle;
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
  object_destroy(OBJECT_CONTEXT, context);
  context = NULL;
  object_forget_all();
}

CUresult context_release(void)
{
  if (context_users == 0)
    return CUDA_ERROR_INVALID_CONTEXT;
  if (--context_users == 0)
    end_context();
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
