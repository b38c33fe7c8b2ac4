/* An emulator of CUDA for tests: shared objects with the names of the vendor's libraries that
 * implement what backends/cuda/api.def lists, over host memory. It is a hostile device. Work runs
 * late, in the sync that waits for it or at a seeded random moment before. Device addresses lie in
 * a range that the host can never read. Fresh memory is NaN, freed memory is gone. Work-items run
 * as fibers in a random order. Whatever a real device leaves undefined is a violation: it is
 * printed, counted and fails the program at its end (CUDA_EMULATOR_STRICT).
 *
 * This header is for the emulator's own files: one core, and a thin library for each of the
 * vendor's. Tests use control.h. One lock is held by every call, so nothing here is thread-safe
 * by itself but emulator_enter and emulator_leave. */
#ifndef CONDLORA_TESTS_CUDA_EMULATOR_EMULATOR_H
#define CONDLORA_TESTS_CUDA_EMULATOR_EMULATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/cuda/types.h"
#include "tests/cuda_emulator/control.h"
#include "tests/cuda_emulator/kernel_list.h"

enum { EMULATOR_MAX_DEVICES = 4 };

/* Codes of the driver that the backend has no name for. */
enum { ERROR_ILLEGAL_STATE = 401, ERROR_CAPTURED_EVENT = 907, ERROR_CAPTURE_WRONG_THREAD = 908 };

#define EMULATOR_EXPORT __attribute__((visibility("default")))
#define EMULATOR_PRINTF(text, arguments) __attribute__((format(printf, text, arguments)))

/* What api.def lists, exported; a definition that differs does not compile. */
#define FUNCTION(library, result, name, parameters) EMULATOR_EXPORT result name parameters;
#include "backends/cuda/api.def"
#undef FUNCTION

#pragma GCC visibility push(default)

/* ---- Calls ---- */

typedef struct {
  bool fails; /* on request: the call returns `code`, or an error of its library */
  int code;   /* 0: none is requested */
} emulator_call;

/* Takes the lock, counts the call and lets some earlier work run. `name` outlives the process. */
emulator_call emulator_enter(const char *name);
void emulator_leave(emulator_call *call);
/* Leaves the lock to other threads for a moment, which both begins and ends with it. */
void emulator_pause(void);
/* The lock alone, for threads of the emulator's own. */
void emulator_lock(void), emulator_unlock(void);

/* First line of every function. ENTER leaves it to the function what to do of a call that is to
 * fail: one that destroys does its work, as the vendor's do, so that nothing is left behind. */
#define ENTER() \
  __attribute__((cleanup(emulator_leave))) emulator_call this_call = emulator_enter(__func__)
#define ENTER_OR(usual) \
  ENTER();              \
  if (this_call.fails)  \
  return (this_call.code != 0 ? this_call.code : (usual))

/* Something that a device leaves undefined, or that is never right. */
void emulator_violation(const char *format, ...) EMULATOR_PRINTF(1, 2);
/* A fault while work runs: the context answers `code` to every call from the next sync on. */
void emulator_fault(CUresult code);
/* The context's fault; CUDA_SUCCESS without one. */
CUresult emulator_fault_code(void);
void emulator_fault_clear(void);
/* Whether the work that is about to run is to fault, on request. */
bool emulator_late_fault(void);
/* Counts a kernel or a product that runs. */
void emulator_note_launch(void);

uint64_t emulator_random(void);
/* A random order of 0 … count - 1, which is at least 1: i · step + first, step prime to count. */
typedef struct {
  uint64_t count, step, first;
} emulator_order;
emulator_order emulator_order_of(uint64_t count);
/* The number at place i of the order. */
uint64_t emulator_order_at(const emulator_order *order, uint64_t i);

/* Where the next launch is counted: `unread` where nobody asked; `all` says whether somebody did.
 */
emulator_launch_counts *emulator_new_count(emulator_launch_counts *unread, bool *all);

/* Returns the code of an expression that is no success. */
#define CHECK(expression)               \
  do {                                  \
    const CUresult failed = expression; \
    if (failed != CUDA_SUCCESS)         \
      return failed;                    \
  } while (0)

/* ---- The device, as the environment describes it ---- */

int setting_driver(void), setting_capability(void), setting_devices(void),
    setting_compute_mode(void);
int setting_nccl(void);                                 /* the version of NCCL */
int setting_multiprocessors(void), setting_items(void); /* work-items: of a multiprocessor */
/* Whether all devices have one name, as those of one kind have. */
bool setting_devices_are_alike(void);
/* Whether kernels are PTX that the executor runs, and not those compiled for the CPU. */
bool setting_runs_ptx(void);
/* What the emulated NVRTC's results begin with. */
extern const char emulated_image[];
/* The driver's answer to an image. */
CUresult image_judge(const void *image);

/* ---- The context ---- */

void context_initialize(void);
CUresult context_check_initialized(void);
/* What every call that works with a context answers first. */
CUresult context_check(void);
CUcontext context_retain(int device);
CUresult context_release(int device);
/* The device whose work runs, or of the current context; 0 without one. */
int context_device(void);
/* Whether that is known and another one than `device`. */
bool context_is_other(int device);
/* From now on that is `device`, whatever context is current; -1: no longer. The one before. */
int context_act_as(int device);
CUresult context_push(CUcontext pushed);
CUresult context_pop(CUcontext *popped);

/* ---- Objects: handles that cannot be dereferenced and are never given twice ---- */

typedef enum {
  OBJECT_CONTEXT,
  OBJECT_STREAM,
  OBJECT_PROGRAM, /* of NVRTC, outside all contexts */
  OBJECT_EVENT,   /* from here on what context.c ends one by one */
  OBJECT_MODULE,
  OBJECT_FUNCTION,
  OBJECT_GRAPH,
  OBJECT_GRAPH_EXEC,
  OBJECT_BLAS,
  OBJECT_LT,
  OBJECT_LT_OPERATION,
  OBJECT_LT_LAYOUT,
  OBJECT_LT_PREFERENCE,
  OBJECT_SOLVER,
  OBJECT_GROUP, /* a communicator of NCCL's */
  OBJECT_KINDS
} object_kind;

/* `bytes` of zeroed memory behind a new handle. */
void *object_create(object_kind kind, size_t bytes, void **memory);
/* NULL, and a violation, where `handle` is none of this kind or was destroyed. */
void *object_find(object_kind kind, const void *handle);
void object_destroy(object_kind kind, const void *handle);
/* Forgets destroyed objects, if all are. */
void object_forget_all(void);
/* Objects or allocations that were alive when their context ended. */
void emulator_left_behind(int count);
/* Live objects of a kind. */
int object_count(object_kind kind);
/* The live objects of a kind on this device, one after the other: NULL at the end. `place` starts
 * as 0. */
void *object_next(object_kind kind, size_t *place, const void **handle);

/* ---- Memory ---- */

CUresult memory_allocate(size_t bytes, uintptr_t *address);
CUresult memory_free(uintptr_t address);
size_t memory_used(void), memory_total(void); /* of this device */
/* The host's view of device memory [address, address + bytes), for work that runs; NULL, and a
 * violation that names `what`, where that is not inside one live allocation. */
void *memory_view(uintptr_t address, size_t bytes, const char *what);
/* The live allocation that begins last at or before `address`, which may lie a little past its end:
 * false where there is none. */
typedef struct {
  uintptr_t start;
  size_t bytes;
  char *memory; /* the host's view */
} memory_span;
bool memory_find(uintptr_t address, memory_span *span);
CUresult pinned_allocate(size_t bytes, void **memory);
CUresult pinned_free(void *memory);
/* Whether all, some or nothing of a range of host memory is pinned. */
typedef enum { PINNED_NONE, PINNED_SOME, PINNED_ALL } pinned_kind;
pinned_kind pinned_find(const void *memory, size_t bytes);
/* Live allocations of both kinds. */
int memory_count(void);
/* Frees everything of this device's context; the number of allocations that were left. */
int memory_release_all(void);

/* ---- Work ---- */

typedef struct work work;
struct work {
  work *next;
  const char *call;
  bool always;                 /* runs after a fault too */
  void (*run)(work *item);     /* called once for each replay */
  bool (*ready)(work *item);   /* whether it can run, or has to wait for others; NULL: it can */
  void (*destroy)(work *item); /* NULL: there is nothing but the item itself */
  _Alignas(16) unsigned char payload[];
};

/* A new item with `bytes` of payload, zeroed; `call` outlives the process. */
work *work_create(const char *call, size_t bytes, void (*run)(work *item));
void work_destroy(work *item);

typedef struct recording recording; /* a captured list of work, counted by its users */
typedef struct stream stream;

/* The stream of a handle, the default one of NULL and CU_STREAM_LEGACY (1); NULL, and a violation,
 * where it is no stream. */
stream *stream_find(CUstream handle);
/* Takes the item over. An error where the stream's capture has been invalidated. */
CUresult stream_enqueue(stream *target, work *item);
bool stream_is_capturing(const stream *target);
bool stream_any_capturing(void);
void stream_invalidate_capture(stream *target);
/* CUDA_SUCCESS, or the error of a call that no capture of this thread allows, which it ends. */
CUresult stream_check_no_capture(void);
CUresult stream_create(CUstream *handle);
CUresult stream_destroy(CUstream handle);
/* Runs what is enqueued, and waits for what is not ready. */
void stream_drain(stream *target);
/* Runs the first piece of work, if it is ready; whether there is no other. */
bool stream_proceed(stream *target);
/* Lets a little of some stream's work run. */
void stream_stir(void);
/* Drops all work and every stream of this device; the number of live streams. */
int stream_release_all(void);

CUresult capture_begin(stream *target);
CUresult capture_end(stream *target, recording **list);
recording *recording_retain(recording *list);
void recording_release(recording *list);
CUresult recording_replay(recording *list, stream *target);

/* `kind` says whether the graph is executable. Takes a share of the list over. */
void *graph_create(object_kind kind, recording *list);
recording *graph_find(object_kind kind, const void *handle);
CUresult graph_destroy(object_kind kind, const void *handle);

typedef struct event event;
CUresult event_create(CUevent *handle, bool timed);
CUresult event_destroy(CUevent handle);
CUresult event_record(CUevent handle, stream *target);
CUresult event_wait(CUevent handle);
/* Lets the first piece of work run that it waits for, if there is any. */
CUresult event_query(CUevent handle);
CUresult event_elapsed(float *milliseconds, CUevent from, CUevent to);

/* ---- Host libraries: OpenBLAS and LAPACKE, opened at first use ---- */

typedef struct {
#define HOST_FUNCTION(library, result, name, parameters) result(*name) parameters;
#include "tests/cuda_emulator/host.def"
#undef HOST_FUNCTION
} host_libraries;
/* NULL, and a violation, where they are missing. */
const host_libraries *host_libraries_find(void);

#pragma GCC visibility pop
#endif
