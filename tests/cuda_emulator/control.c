/* The lock, counted calls, failures on request, violations and objects. */
#include "tests/cuda_emulator/control.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/cuda_emulator/emulator.h"

enum { STRICT_STATUS = 86, STIR_ONE_IN = 4 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

typedef enum { FAIL_NONE, FAIL_ANY, FAIL_NAMED, FAIL_LATE } fail_mode;
static struct {
  fail_mode mode;
  char name[64];
  uint64_t left;
  bool on;       /* every call from then on fails too */
  bool recorded; /* only calls while a stream records count */
  int code;
  const char *failed_call;
} request;

static uint64_t calls, works, launches;
static uint64_t seed = 1, random_state = 1;
static int violations, left_behind;
static char last_violation[512];
static CUresult context_fault[EMULATOR_MAX_DEVICES];

/* ---- Randomness: SplitMix64 (Steele, Lea and Flood 2014) ---- */

uint64_t emulator_random(void)
{
  uint64_t z = random_state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static uint64_t divisor(uint64_t a, uint64_t b)
{
  while (b != 0) {
    const uint64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

emulator_order emulator_order_of(uint64_t count)
{
  emulator_order drawn = {.count = count, .step = 1, .first = emulator_random() % count};
  do {
    drawn.step = 1 + emulator_random() % count;
  } while (divisor(drawn.step, count) != 1);
  return drawn;
}

uint64_t emulator_order_at(const emulator_order *order, uint64_t i)
{
  return (i * order->step + order->first) % order->count;
}

/* ---- Calls ---- */

static const char recorded_prefix[] = "recorded ";

static void set_request(const char *what, uint64_t k, int code, bool on)
{
  request.recorded = strncmp(what, recorded_prefix, strlen(recorded_prefix)) == 0;
  if (request.recorded)
    what += strlen(recorded_prefix);
  request.code = code;
  request.on = on;
  request.mode = k == 0                      ? FAIL_NONE
                 : strcmp(what, "*") == 0    ? FAIL_ANY
                 : strcmp(what, "late") == 0 ? FAIL_LATE
                                             : FAIL_NAMED;
  snprintf(request.name, sizeof request.name, "%s", what);
  request.left = k;
  request.failed_call = NULL;
  calls = works = launches = 0;
}

static void read_environment(void)
{
  const char *text = getenv("CUDA_EMULATOR_SEED");
  if (text != NULL)
    seed = strtoull(text, NULL, 10);
  random_state = seed;
  const char *fail = getenv("CUDA_EMULATOR_FAIL");
  const char *colon = fail != NULL ? strchr(fail, ':') : NULL;
  if (colon == NULL)
    return;
  char what[64], *end;
  snprintf(what, sizeof what, "%.*s", (int)(colon - fail), fail);
  const uint64_t k = strtoull(colon + 1, &end, 10);
  const bool on = *end == '+';
  end += on;
  set_request(what, k, *end == ':' ? (int)strtol(end + 1, NULL, 10) : 0, on);
}

static bool is_requested(const char *name)
{
  const bool counts =
      request.mode == FAIL_ANY || (request.mode == FAIL_NAMED && strcmp(request.name, name) == 0);
  if (!counts || request.left == 0 || (request.recorded && !stream_any_capturing()) ||
      --request.left > 0)
    return false;
  request.left += request.on;
  request.failed_call = name;
  return true;
}

emulator_call emulator_enter(const char *name)
{
  pthread_mutex_lock(&lock);
  static bool environment_read;
  if (!environment_read)
    read_environment();
  environment_read = true;
  calls++;
  if (emulator_random() % STIR_ONE_IN == 0)
    stream_stir();
  return (emulator_call){.fails = is_requested(name), .code = request.code};
}

void emulator_leave(emulator_call *call)
{
  (void)call;
  pthread_mutex_unlock(&lock);
}

void emulator_lock(void)
{
  pthread_mutex_lock(&lock);
}

void emulator_unlock(void)
{
  pthread_mutex_unlock(&lock);
}

void emulator_pause(void)
{
  enum { PAUSE_NS = 50000 };
  emulator_unlock();
  nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
  emulator_lock();
}

bool emulator_late_fault(void)
{
  works++;
  if (request.mode != FAIL_LATE || request.left == 0 || --request.left > 0)
    return false;
  request.failed_call = "late";
  return true;
}

void emulator_note_launch(void)
{
  launches++;
}

/* ---- Violations and faults ---- */

void emulator_violation(const char *format, ...)
{
  violations++;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(last_violation, sizeof last_violation, format, arguments);
  va_end(arguments);
  fprintf(stderr, "CUDA emulator: %s (seed %llu)\n", last_violation, (unsigned long long)seed);
}

void emulator_fault(CUresult code)
{
  if (context_fault[context_device()] == CUDA_SUCCESS)
    context_fault[context_device()] = code;
}

CUresult emulator_fault_code(void)
{
  return context_fault[context_device()];
}

void emulator_fault_clear(void)
{
  context_fault[context_device()] = CUDA_SUCCESS;
}

/* ---- Objects ---- */

static const char *const kind_names[OBJECT_KINDS] = {
    [OBJECT_CONTEXT] = "context",
    [OBJECT_STREAM] = "stream",
    [OBJECT_PROGRAM] = "NVRTC program",
    [OBJECT_EVENT] = "event",
    [OBJECT_MODULE] = "module",
    [OBJECT_FUNCTION] = "function",
    [OBJECT_GRAPH] = "graph",
    [OBJECT_GRAPH_EXEC] = "executable graph",
    [OBJECT_BLAS] = "cuBLAS handle",
    [OBJECT_LT] = "cublasLt handle",
    [OBJECT_LT_OPERATION] = "cublasLt operation",
    [OBJECT_LT_LAYOUT] = "cublasLt layout",
    [OBJECT_LT_PREFERENCE] = "cublasLt preference",
    [OBJECT_SOLVER] = "cuSOLVER handle",
    [OBJECT_GROUP] = "NCCL communicator",
};

/* Slot i has the handle 16 (given before + i + 1): small numbers, which no page backs. */
typedef struct {
  object_kind kind;
  bool alive;
  int device;
  void *memory;
} object;
static object *objects;
static size_t object_slots, object_capacity, given_before;

static void *handle_of(size_t slot)
{
  return (void *)(uintptr_t)(16 * (given_before + slot + 1));
}

void *object_create(object_kind kind, size_t bytes, void **memory)
{
  if (object_slots == object_capacity) {
    object_capacity = object_capacity == 0 ? 64 : 2 * object_capacity;
    objects = realloc(objects, object_capacity * sizeof *objects);
  }
  void *new_memory = calloc(1, bytes == 0 ? 1 : bytes);
  if (objects == NULL || new_memory == NULL)
    abort();
  objects[object_slots] =
      (object){.kind = kind, .alive = true, .device = context_device(), .memory = new_memory};
  if (memory != NULL)
    *memory = new_memory;
  return handle_of(object_slots++);
}

static object *slot_of(object_kind kind, const void *handle)
{
  const uintptr_t number = (uintptr_t)handle;
  if (number % 16 != 0 || number / 16 <= given_before ||
      number / 16 - given_before > object_slots) {
    emulator_violation("%p is no %s", handle, kind_names[kind]);
    return NULL;
  }
  object *found = &objects[number / 16 - given_before - 1];
  if (found->kind != kind || !found->alive) {
    emulator_violation("%p is a %s%s, not a live %s", handle, found->alive ? "" : "destroyed ",
                       kind_names[found->kind], kind_names[kind]);
    return NULL;
  }
  if (kind != OBJECT_CONTEXT && kind != OBJECT_PROGRAM && context_is_other(found->device)) {
    emulator_violation("the %s %p belongs to device %d, and device %d is current", kind_names[kind],
                       handle, found->device, context_device());
    return NULL;
  }
  return found;
}

void *object_find(object_kind kind, const void *handle)
{
  const object *found = slot_of(kind, handle);
  return found != NULL ? found->memory : NULL;
}

void object_destroy(object_kind kind, const void *handle)
{
  object *found = slot_of(kind, handle);
  if (found == NULL)
    return;
  free(found->memory);
  *found = (object){.kind = kind};
}

void object_forget_all(void)
{
  for (size_t i = 0; i < object_slots; i++)
    if (objects[i].alive)
      return;
  given_before += object_slots;
  object_slots = 0;
}

int object_count(object_kind kind)
{
  int count = 0;
  for (size_t i = 0; i < object_slots; i++)
    count += objects[i].alive && objects[i].kind == kind;
  return count;
}

void *object_next(object_kind kind, size_t *place, const void **handle)
{
  while (*place < object_slots) {
    const size_t i = (*place)++;
    if (objects[i].alive && objects[i].kind == kind && !context_is_other(objects[i].device)) {
      if (handle != NULL)
        *handle = handle_of(i);
      return objects[i].memory;
    }
  }
  return NULL;
}

/* ---- For tests ---- */

void emulator_left_behind(int count)
{
  left_behind += count;
}

/* Functions live as long as their module, so they are no leaks of their own. */
static int count_leaks(bool print)
{
  int leaks = left_behind;
  for (object_kind kind = 0; kind < OBJECT_KINDS; kind++) {
    const int count = kind == OBJECT_FUNCTION ? 0 : object_count(kind);
    leaks += count;
    if (print && count > 0)
      fprintf(stderr, "CUDA emulator: %d of kind %s not destroyed\n", count, kind_names[kind]);
  }
  if (print && left_behind > 0)
    fprintf(stderr, "CUDA emulator: %d objects or allocations left in an ended context\n",
            left_behind);
  return leaks + memory_count();
}

EMULATOR_EXPORT void emulator_fail_at(const char *what, uint64_t k)
{
  pthread_mutex_lock(&lock);
  set_request(what, k, 0, false);
  pthread_mutex_unlock(&lock);
}

EMULATOR_EXPORT void emulator_answer(const char *what, uint64_t k, int code, bool from_then_on)
{
  pthread_mutex_lock(&lock);
  set_request(what, k, code, from_then_on);
  pthread_mutex_unlock(&lock);
}

EMULATOR_EXPORT const char *emulator_failed_call(void)
{
  pthread_mutex_lock(&lock);
  const char *name = request.failed_call;
  pthread_mutex_unlock(&lock);
  return name;
}

static uint64_t read_locked(const uint64_t *number)
{
  pthread_mutex_lock(&lock);
  const uint64_t value = *number;
  pthread_mutex_unlock(&lock);
  return value;
}

EMULATOR_EXPORT uint64_t emulator_calls(void)
{
  return read_locked(&calls);
}

EMULATOR_EXPORT uint64_t emulator_works(void)
{
  return read_locked(&works);
}

EMULATOR_EXPORT uint64_t emulator_launches(void)
{
  return read_locked(&launches);
}

EMULATOR_EXPORT int emulator_leaks(void)
{
  pthread_mutex_lock(&lock);
  const int leaks = count_leaks(false);
  pthread_mutex_unlock(&lock);
  return leaks;
}

EMULATOR_EXPORT int emulator_violations(void)
{
  pthread_mutex_lock(&lock);
  const int count = violations;
  pthread_mutex_unlock(&lock);
  return count;
}

EMULATOR_EXPORT const char *emulator_last_violation(void)
{
  return last_violation;
}

EMULATOR_EXPORT void emulator_forget(void)
{
  pthread_mutex_lock(&lock);
  violations = left_behind = 0;
  last_violation[0] = '\0';
  pthread_mutex_unlock(&lock);
}

EMULATOR_EXPORT void emulator_seed(uint64_t new_seed)
{
  pthread_mutex_lock(&lock);
  seed = random_state = new_seed;
  pthread_mutex_unlock(&lock);
}

/* ---- Counted launches ---- */

static struct {
  bool on;
  emulator_launch_counts *list;
  size_t count, capacity;
} counted;

EMULATOR_EXPORT void emulator_count_launches(bool count)
{
  pthread_mutex_lock(&lock);
  counted.on = count;
  counted.count = 0;
  pthread_mutex_unlock(&lock);
}

EMULATOR_EXPORT bool emulator_launch_count(uint64_t i, emulator_launch_counts *counts)
{
  pthread_mutex_lock(&lock);
  const bool found = i < counted.count;
  if (found)
    *counts = counted.list[i];
  pthread_mutex_unlock(&lock);
  return found;
}

emulator_launch_counts *emulator_new_count(emulator_launch_counts *unread, bool *all)
{
  *all = counted.on;
  if (!counted.on)
    return unread;
  if (counted.count == counted.capacity) {
    counted.capacity = counted.capacity == 0 ? 256 : 2 * counted.capacity;
    counted.list = realloc(counted.list, counted.capacity * sizeof *counted.list);
    if (counted.list == NULL)
      abort();
  }
  return &counted.list[counted.count++];
}

static __attribute__((destructor)) void report_at_unload(void)
{
  const int leaks = count_leaks(true);
  if (violations > 0 || leaks > 0)
    fprintf(stderr, "CUDA emulator: %d violations, %d leaks (seed %llu)\n", violations, leaks,
            (unsigned long long)seed);
  free(counted.list);
  counted.list = NULL;
  for (size_t i = 0; i < object_slots; i++)
    free(objects[i].memory);
  free(objects);
  objects = NULL;
  object_slots = 0;
  const char *strict = getenv("CUDA_EMULATOR_STRICT");
  if (strict != NULL && strcmp(strict, "1") == 0 && (violations > 0 || leaks > 0))
    _exit(STRICT_STATUS);
}
