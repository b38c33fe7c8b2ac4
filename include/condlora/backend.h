/* Backends with their queues, buffers and weights, for callers.
 *
 * Threads: several threads may share a backend. A queue and the work on it belong to one thread at
 * a time. After fork, a child may only exec. */
#ifndef CONDLORA_BACKEND_H
#define CONDLORA_BACKEND_H

#include <string.h>

#include "condlora/ops.h"
#include "condlora/status.h"
#include "condlora/version.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cdl_backend cdl_backend;
typedef struct cdl_queue cdl_queue;

/* ---- Opening a backend ---- */

typedef struct {
  size_t size;
  int threads;      /* of the CPU backend; 0: as many as the process may use cores */
  bool no_fallback; /* makes the host path an error, except on cpu */
  cdl_precision precision;
  /* Several processes of a host that open the same name: how many, and the number of this one from
   * 0. If the name has no device, each takes the device of its number. 0 or 1 process: the first
   * device. */
  int processes, process;
} cdl_backend_options;

static inline cdl_backend_options cdl_backend_options_init(void)
{
  cdl_backend_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  return options;
}

/* Precisions are named "fp32", "tf32", "bf16" and "int8". Errors: cdl_precision_find returns
 * UNSUPPORTED for any other name. */
CDL_API const char *cdl_precision_name(cdl_precision precision);
CDL_API CDL_MUST_USE cdl_status cdl_precision_find(const char *name, cdl_precision *precision);

/* Opens a backend. `name` is "auto", "cpu", "null", "NAME", "NAME:DEVICE" or a path to a plug-in
 * with a slash in it ("./libmine.so"). `options` may be NULL.
 *
 * Every backend except cpu is a plug-in: the file at the path, or condlora-NAME.so in the first of
 * these folders that has it:
 * - the folders of CDL_BACKEND_PATH; relative ones are skipped with a notice;
 * - the folder of the library; for a program that contains the library, the program's own folder
 *   and ../lib beside it;
 * - the folders of the run path;
 * - the folder in which the library was configured to be installed.
 * A plug-in is loaded only if nobody except root, the current user and the owner of the library can
 * change it, wherever it was found.
 *
 * "auto" takes the first of these that opens: cuda, opencl if its device is not the host's
 * processor, and cpu. Plug-ins with an auto_priority (plugin.h) are tried at the place of that
 * number.
 *
 * Errors: ABSENT, with the reason in one sentence; UNSUPPORTED for a precision that the backend
 * lacks and for a plug-in that must not be loaded; USAGE if there are more processes than devices,
 * and the name has no device. */
CDL_API CDL_MUST_USE cdl_status cdl_backend_open(const char *name,
                                                 const cdl_backend_options *options,
                                                 cdl_backend **backend);
/* Closes a backend. Errors: ARGUMENT if buffers, weights or queues still exist; the message counts
 * them, and the backend stays open. */
CDL_API cdl_status cdl_backend_close(cdl_backend *backend);

CDL_API const char *cdl_backend_name(const cdl_backend *backend); /* "cpu" */
/* Returns one line with device, library, kernel set and threads. */
CDL_API const char *cdl_backend_description(const cdl_backend *backend);
/* Returns one line with what decides the bits of results: device, libraries, kernel set, precision;
 * never the number of threads. Decompositions may come from another library, which is opened by the
 * first of them: cdl_backend_decompositions returns its name, version and kernel set, and NULL
 * before or where there is none apart. */
CDL_API const char *cdl_backend_kernels(const cdl_backend *backend);
CDL_API const char *cdl_backend_decompositions(cdl_backend *backend);

/* Lists every known backend: usable ones with device and description; unusable or shadowed plug-ins
 * with the reason. Calls `each` once per backend; strings are borrowed during that call. Opens
 * devices. A plug-in stays loaded after it was loaded once. */
typedef struct {
  const char *name, *device, *description;
  const char *reason; /* NULL if the backend is usable */
  const char *path;   /* of the plug-in; NULL for a built-in backend */
} cdl_backend_listing;
CDL_API cdl_status cdl_backend_list(void (*each)(void *user, const cdl_backend_listing *listing),
                                    void *user);
/* Lists the folders that are searched for plug-ins, in order. `reason` says why a folder is not
 * searched; it is NULL for one that is. Strings are borrowed during the call. */
CDL_API cdl_status cdl_backend_folders(void (*each)(void *user, const char *folder,
                                                    const char *reason),
                                       void *user);

/* Memory in bytes. `used_bytes` and `peak_bytes` count the buffers and weights of this backend,
 * now and at their highest. `free_bytes` and `total_bytes` are of the whole device; 0 if it cannot
 * say. `mapped_bytes` counts buffers over mapped files, which the others leave out: the system
 * reads their pages when they are needed and may take them back at any time. */
typedef struct {
  size_t size;
  size_t used_bytes, peak_bytes, free_bytes, total_bytes;
  size_t mapped_bytes;
} cdl_memory_info;

static inline cdl_memory_info cdl_memory_info_init(void)
{
  cdl_memory_info info;
  memset(&info, 0, sizeof info);
  info.size = sizeof info;
  return info;
}
CDL_API cdl_status cdl_backend_memory(const cdl_backend *backend, cdl_memory_info *info);

/* Returns the time in nanoseconds that the backend has spent compiling kernels since it was
 * opened. */
CDL_API uint64_t cdl_backend_compile_ns(const cdl_backend *backend);

/* ---- Buffers: untyped memory of a device ---- */

/* Allocates a buffer with undefined contents. Errors: MEMORY; the message has the wanted and the
 * free bytes. */
CDL_API CDL_MUST_USE cdl_status cdl_buffer_create(cdl_backend *backend, size_t bytes,
                                                  cdl_buffer **buffer);
/* Waits until every queue has finished its work on the buffer, then frees it. NULL is allowed. */
CDL_API void cdl_buffer_destroy(cdl_buffer *buffer);
CDL_API size_t cdl_buffer_bytes(const cdl_buffer *buffer);
/* Wraps `bytes` of memory that the caller keeps until the buffer is destroyed: a CUdeviceptr (cast
 * to a pointer) on cuda, a cl_mem on opencl, host memory on cpu. Errors: UNSUPPORTED if the backend
 * has no such memory. */
CDL_API CDL_MUST_USE cdl_status cdl_buffer_wrap(cdl_backend *backend, void *foreign, size_t bytes,
                                                cdl_buffer **buffer);

/* Makes a buffer over `bytes` of a file that the caller has mapped for reading, without a copy.
 * `mapped` is a multiple of 4. The mapping stays until the buffer is destroyed, and the backend may
 * tell the system that it needs pages no longer (MADV_DONTNEED). Ops and weights may read the
 * buffer; whatever would write it is refused. Errors: UNSUPPORTED if the backend does not read the
 * host's memory, or not at such an address: then create a buffer and upload. */
CDL_API CDL_MUST_USE cdl_status cdl_buffer_map(cdl_backend *backend, const void *mapped,
                                               size_t bytes, cdl_buffer **buffer);

/* Gives the address of a buffer's memory to code outside the library. It is valid until the buffer
 * is destroyed. Sync every queue with work on the buffer before other code uses the memory. Errors:
 * UNSUPPORTED if the backend does not tell it. */
CDL_API CDL_MUST_USE cdl_status cdl_buffer_address(const cdl_buffer *buffer,
                                                   cdl_memory_address *address);

/* Allocates host memory for fast transfers: page-locked if the device supports it, otherwise
 * ordinary. Free it with cdl_host_free. */
CDL_API CDL_MUST_USE cdl_status cdl_host_allocate(cdl_backend *backend, size_t bytes,
                                                  void **memory);
CDL_API void cdl_host_free(cdl_backend *backend, void *memory);

/* ---- Queues ---- */

/* A queue runs work in order, possibly later. It keeps its first error and skips all work after it;
 * a failed queue stays failed. */
CDL_API CDL_MUST_USE cdl_status cdl_queue_create(cdl_backend *backend, cdl_queue **queue);
CDL_API void cdl_queue_destroy(cdl_queue *queue);
/* Creates a queue over the caller's own: a CUstream on cuda, a cl_command_queue on opencl. Work
 * that the caller enqueued there before runs first. Errors: UNSUPPORTED if the backend has no such
 * queue. */
CDL_API CDL_MUST_USE cdl_status cdl_queue_wrap(cdl_backend *backend, void *foreign,
                                               cdl_queue **queue);
CDL_API cdl_backend *cdl_queue_backend(const cdl_queue *queue);

/* Waits for all enqueued work, also on a failed queue. Returns the first error since the queue was
 * created. */
CDL_API CDL_MUST_USE cdl_status cdl_queue_sync(cdl_queue *queue);
/* Returns the first error that is known so far, without waiting. */
CDL_API cdl_status cdl_queue_status(const cdl_queue *queue);

/* Copy host memory to a tensor and back. The tensor must be dense, and `bytes` must be its size.
 * The caller may reuse the host memory of an upload at once. The host memory of a download holds
 * the data after the next cdl_queue_sync. */
CDL_API void cdl_queue_upload(cdl_queue *queue, cdl_tensor out, const void *host, size_t bytes);
CDL_API void cdl_queue_download(cdl_queue *queue, void *host, cdl_tensor x, size_t bytes);

/* ---- Recorded work ---- */

/* Work that is enqueued between capture_begin and capture_end is checked and recorded, but not run.
 * cdl_queue_replay enqueues all of it again, any number of times. Replayed work uses the same
 * buffers, which must stay alive. It reads from them what changes between replays: step records,
 * ids, the offsets of a packing. Recorded ops must run natively; uploads, downloads and syncs
 * cannot be recorded. The first violation is the error that cdl_queue_capture_end returns, and the
 * queue stays usable. Run the same ops once before recording, so that the backend has allocated its
 * working memory. */
typedef struct cdl_graph cdl_graph;
CDL_API bool cdl_backend_captures(const cdl_backend *backend);
/* Errors: UNSUPPORTED if the backend cannot record. */
CDL_API CDL_MUST_USE cdl_status cdl_queue_capture_begin(cdl_queue *queue);
CDL_API CDL_MUST_USE cdl_status cdl_queue_capture_end(cdl_queue *queue, cdl_graph **graph);
CDL_API void cdl_queue_replay(cdl_queue *queue, cdl_graph *graph);
/* Destroy a graph before its queue. NULL is allowed. */
CDL_API void cdl_graph_destroy(cdl_graph *graph);

/* ---- Events: time marks of the device ---- */

typedef struct cdl_event cdl_event;
/* Errors: UNSUPPORTED if the backend has no events. */
CDL_API CDL_MUST_USE cdl_status cdl_event_create(cdl_backend *backend, cdl_event **event);
CDL_API void cdl_event_destroy(cdl_event *event);
/* Marks the current position in the queue's work. */
CDL_API void cdl_queue_record_event(cdl_queue *queue, cdl_event *event);
/* Waits until the queue has reached the mark. Downloads that were enqueued before the mark are then
 * complete if their host memory is from cdl_host_allocate. */
CDL_API CDL_MUST_USE cdl_status cdl_event_wait(cdl_event *event);
/* Waits for both events and gives the time between them. */
CDL_API CDL_MUST_USE cdl_status cdl_event_elapsed(cdl_event *from, cdl_event *to,
                                                  uint64_t *nanoseconds);

/* ---- Groups: devices of several processes that exchange bytes without the host ---- */

/* One process makes a key, hands it to the others by means of its own, and all of them join. From
 * then on each enqueues the same gathers, in the same order. A backend has at most one group. */
typedef struct cdl_group cdl_group;

/* Names the device as its host knows it; the members of a group on one host have different ones.
 * Errors: UNSUPPORTED if the backend has no groups; ABSENT, with the reason, if a library that it
 * needs for them is missing. */
CDL_API CDL_MUST_USE cdl_status cdl_group_place(cdl_backend *backend,
                                                char place[CDL_GROUP_PLACE_BYTES]);
CDL_API CDL_MUST_USE cdl_status cdl_group_key_create(cdl_backend *backend, cdl_group_key *key);
/* Joins as member `rank` of `size`, and returns when all members have joined. Later waits for the
 * device end with DEVICE after `seconds`, or as soon as the backend finds that another member is
 * lost. */
CDL_API CDL_MUST_USE cdl_status cdl_group_join(cdl_backend *backend, const cdl_group_key *key,
                                               int rank, int size, double seconds,
                                               cdl_group **group);
/* Enqueues: `out` gets the elements of x of all members, in their order. Both are dense F32; out
 * has `size` times the elements of x. x may be the part of `out` that is this member's. It can be
 * recorded. */
CDL_API void cdl_queue_gather(cdl_queue *queue, cdl_group *group, cdl_tensor out, cdl_tensor x);
/* Makes gathers that wait for another member end, with undefined results, and fails later ones.
 * Call it, from any thread, when a member has failed. */
CDL_API void cdl_group_abandon(cdl_group *group);
/* Leaves. If the group was not abandoned, all members leave, and their queues have finished all
 * gathers. Destroy what was recorded with the group before. NULL is allowed. */
CDL_API void cdl_group_leave(cdl_group *group);

/* ---- Weights ---- */

/* Creates one weight from `count` matrices [out_i, in], F32, stacked along rows, in the layout and
 * type that the backend prefers for `linear`. A backend may read the sources in place, so they must
 * stay alive and unmoved as long as the weight. cdl_weight_update takes over new values of the
 * sources. */
CDL_API CDL_MUST_USE cdl_status cdl_weight_create(cdl_queue *queue, const cdl_tensor *sources,
                                                  size_t count, cdl_weight **weight);
CDL_API void cdl_weight_update(cdl_queue *queue, cdl_weight *weight);
CDL_API void cdl_weight_destroy(cdl_weight *weight);
CDL_API int64_t cdl_weight_rows(const cdl_weight *weight);
CDL_API int64_t cdl_weight_columns(const cdl_weight *weight);

/* ---- Ops: cdl_gemm(queue, CDL_ARGS(gemm, …)) and so on ---- */

#define CDL_OP(name, tier) CDL_API void cdl_##name(cdl_queue *queue, const cdl_##name##_args *args);
#include "condlora/ops.def"
#undef CDL_OP

/* ---- Paths ---- */

typedef enum { CDL_PATH_NATIVE, CDL_PATH_COMPOSED, CDL_PATH_HOST, CDL_PATH_NONE } cdl_path;

CDL_API const char *cdl_op_name(cdl_op op);
CDL_API const char *cdl_path_name(cdl_path path);
/* Returns the path that a call with these arguments takes on this backend. `args` points to the
 * op's argument struct. */
CDL_API cdl_path cdl_op_path(const cdl_backend *backend, cdl_op op, const void *args);

/* How often each path was taken since the backend was opened. */
typedef struct {
  cdl_op op;
  cdl_dtype dtype; /* of the op's first output */
  cdl_path path;
  uint64_t calls;
} cdl_path_count;
/* Copies up to `capacity` nonzero counts, in the order of ops.def. Returns how many there are. */
CDL_API size_t cdl_path_counts(const cdl_backend *backend, cdl_path_count *counts, size_t capacity);

/* One call as a benchmark or a trace sees it. The observer is called before the op is enqueued and
 * again after it, then with `after` set. `args` points to the op's argument struct and is borrowed
 * during the call. */
typedef struct {
  cdl_queue *queue;
  cdl_op op;
  const void *args;
  cdl_path path;
  bool after;
} cdl_observation;
typedef void (*cdl_observer)(void *user, const cdl_observation *observation);
/* Sets an observer of every call that passes its checks; NULL removes it. The parts of a composed
 * op are not observed. The observer may sync the queue but must not enqueue work on it. Call this
 * only while no queue of the backend is in use. */
CDL_API void cdl_backend_observe(cdl_backend *backend, cdl_observer observer, void *user);

/* For tests: uses composed paths even for ops that the backend has. */
CDL_API void cdl_backend_prefer_composed(cdl_backend *backend, bool prefer);

#ifdef __cplusplus
}
#endif
#endif
