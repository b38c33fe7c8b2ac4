/* Backends, their queues, buffers and weights, for callers.
 *
 * Threads: a backend may be shared; a queue, and what is enqueued on it, belongs to one thread at
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

/* ---- Choosing ---- */

typedef struct {
  size_t size;
  int threads;      /* of the CPU backend; 0: as many as this process may use cores */
  bool no_fallback; /* the host path, on any backend but cpu, is an error */
  cdl_precision precision;
} cdl_backend_options;

static inline cdl_backend_options cdl_backend_options_init(void)
{
  cdl_backend_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  return options;
}

/* "fp32", "tf32", "bf16"; find is UNSUPPORTED for any other text. */
CDL_API const char *cdl_precision_name(cdl_precision precision);
CDL_API CDL_MUST_USE cdl_status cdl_precision_find(const char *name, cdl_precision *precision);

/* Opens "auto", "cpu", "null", "NAME", "NAME:DEVICE" or a path to a plug-in ("./libmine.so", with
 * a slash). `options` may be NULL. Every backend but the CPU's is a plug-in: the file that a path
 * names, else condlora-NAME.so in the folders of CDL_BACKEND_PATH (absolute ones; others are
 * skipped with a notice), in the library's own folder (for a program that has it linked in, its own
 * folder and ../lib beside that), in those of its run path, and last where the library was configured
 * to be installed. A plug-in that users other than root, this one and the owner of the library may
 * change is not loaded, by whatever way it was found. "auto" tries cuda, opencl
 * where its device is not the host's processor, and cpu, each plug-in that asks for it at the place
 * of its auto_priority (plugin.h), and takes the first that opens.
 * Errors: ABSENT, with the reason in a sentence; UNSUPPORTED for a precision it lacks, and
 * for a plug-in that is not loaded. */
CDL_API CDL_MUST_USE cdl_status cdl_backend_open(const char *name,
                                                 const cdl_backend_options *options,
                                                 cdl_backend **backend);
/* ARGUMENT, counting them, when buffers, weights or queues are still alive; the backend then stays
 * open. */
CDL_API cdl_status cdl_backend_close(cdl_backend *backend);

CDL_API const char *cdl_backend_name(const cdl_backend *backend); /* "cpu" */
/* Device, library, kernel set and threads, in a line. */
CDL_API const char *cdl_backend_description(const cdl_backend *backend);

/* One line for each backend known on this machine: usable ones with device and description, the
 * others, and files that another of the same name comes before, with the reason why not. Strings are
 * borrowed during the call. Opens devices; a plug-in once loaded stays. */
typedef struct {
  const char *name, *device, *description;
  const char *reason; /* NULL when usable */
  const char *path;   /* of the plug-in, NULL when built in */
} cdl_backend_listing;
CDL_API cdl_status cdl_backend_list(void (*each)(void *user, const cdl_backend_listing *listing),
                                    void *user);
/* The folders in which plug-ins are looked for, in their order; those that are not searched with the
 * reason, else NULL. The strings are borrowed. */
CDL_API cdl_status cdl_backend_folders(void (*each)(void *user, const char *folder,
                                                    const char *reason),
                                       void *user);

/* Bytes in use by this backend's buffers and weights, their highest sum so far, and of the device
 * as a whole where it can say (else 0). */
typedef struct {
  size_t size;
  size_t used_bytes, peak_bytes, free_bytes, total_bytes;
} cdl_memory_info;

static inline cdl_memory_info cdl_memory_info_init(void)
{
  cdl_memory_info info;
  memset(&info, 0, sizeof info);
  info.size = sizeof info;
  return info;
}
CDL_API cdl_status cdl_backend_memory(const cdl_backend *backend, cdl_memory_info *info);

/* Time that the backend has spent on compiling kernels since it was opened, in nanoseconds. */
CDL_API uint64_t cdl_backend_compile_ns(const cdl_backend *backend);

/* ---- Buffers: untyped memory of a device ---- */

/* Contents are undefined. Errors: MEMORY, naming wanted and free bytes. */
CDL_API CDL_MUST_USE cdl_status cdl_buffer_create(cdl_backend *backend, size_t bytes,
                                                  cdl_buffer **buffer);
/* Waits until every queue has passed the buffer. NULL is allowed. */
CDL_API void cdl_buffer_destroy(cdl_buffer *buffer);
CDL_API size_t cdl_buffer_bytes(const cdl_buffer *buffer);
/* A buffer over `bytes` of memory that stays the caller's: a CUdeviceptr (its value as a pointer) on
 * cuda, a cl_mem on opencl. Errors: UNSUPPORTED where the backend has no such thing. */
CDL_API CDL_MUST_USE cdl_status cdl_buffer_wrap(cdl_backend *backend, void *foreign, size_t bytes,
                                                cdl_buffer **buffer);

/* Host memory from which uploads are quick and to which downloads are: the device's page-locked
 * one where it has such, else ordinary memory. */
CDL_API CDL_MUST_USE cdl_status cdl_host_allocate(cdl_backend *backend, size_t bytes,
                                                  void **memory);
CDL_API void cdl_host_free(cdl_backend *backend, void *memory);

/* ---- Queues ---- */

/* Work runs in order, perhaps later. A queue keeps its first error and skips all work after it; a
 * failed queue stays failed. */
CDL_API CDL_MUST_USE cdl_status cdl_queue_create(cdl_backend *backend, cdl_queue **queue);
CDL_API void cdl_queue_destroy(cdl_queue *queue);
/* A queue over the caller's own: a CUstream on cuda, a cl_command_queue on opencl. What it enqueued
 * there before comes first. Errors: UNSUPPORTED where the backend has no such thing. */
CDL_API CDL_MUST_USE cdl_status cdl_queue_wrap(cdl_backend *backend, void *foreign,
                                               cdl_queue **queue);
CDL_API cdl_backend *cdl_queue_backend(const cdl_queue *queue);

/* Waits for everything enqueued, of a failed queue too; the first error since the queue was made. */
CDL_API CDL_MUST_USE cdl_status cdl_queue_sync(cdl_queue *queue);
/* The first error so far that is known without waiting. */
CDL_API cdl_status cdl_queue_status(const cdl_queue *queue);

/* Host memory to and from a tensor, which must be dense. `bytes` must be the tensor's. The host
 * memory of an upload may be reused at once; that of a download holds the data after the next
 * cdl_queue_sync. */
CDL_API void cdl_queue_upload(cdl_queue *queue, cdl_tensor out, const void *host, size_t bytes);
CDL_API void cdl_queue_download(cdl_queue *queue, void *host, cdl_tensor x, size_t bytes);

/* ---- Recorded work ---- */

/* What is enqueued between begin and end is checked and recorded, not run; cdl_queue_replay enqueues it
 * all again, as often as one likes. Replayed work reads and writes the buffers it was recorded
 * with, which must stay alive; what changes from one time to the next, it reads from them: step
 * records, ids, a packing's offsets. Recording needs ops to run natively, without uploads, downloads
 * and syncs; the first that does not is the error of cdl_queue_capture_end, and leaves the queue usable.
 * Running the same ops once before makes sure that no working memory is missing. */
typedef struct cdl_graph cdl_graph;
CDL_API bool cdl_backend_captures(const cdl_backend *backend);
/* Errors: UNSUPPORTED where the backend cannot. */
CDL_API CDL_MUST_USE cdl_status cdl_queue_capture_begin(cdl_queue *queue);
CDL_API CDL_MUST_USE cdl_status cdl_queue_capture_end(cdl_queue *queue, cdl_graph **graph);
CDL_API void cdl_queue_replay(cdl_queue *queue, cdl_graph *graph);
/* Before its queue. NULL is allowed. */
CDL_API void cdl_graph_destroy(cdl_graph *graph);

/* ---- Times, where the device keeps them ---- */

typedef struct cdl_event cdl_event;
/* Errors: UNSUPPORTED where the backend has none. */
CDL_API CDL_MUST_USE cdl_status cdl_event_create(cdl_backend *backend, cdl_event **event);
CDL_API void cdl_event_destroy(cdl_event *event);
/* Marks the place that the queue has come to. */
CDL_API void cdl_queue_record_event(cdl_queue *queue, cdl_event *event);
/* Waits until the queue has passed the mark. Downloads enqueued before it are there then if their
 * host memory is cdl_host_allocate's. */
CDL_API CDL_MUST_USE cdl_status cdl_event_wait(cdl_event *event);
/* Waits for both. */
CDL_API CDL_MUST_USE cdl_status cdl_event_elapsed(cdl_event *from, cdl_event *to,
                                                  uint64_t *nanoseconds);

/* ---- Weights ---- */

/* One weight from `count` plain matrices [out_i, in], F32, stacked along rows, in the layout and
 * type the backend likes for `linear`. The sources must stay alive and in place as long as the
 * weight: a backend may read them where they are. cdl_weight_update takes the sources' new values
 * over. */
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
/* The path a call with these arguments takes on this backend; `args` points to the op's argument
 * struct. */
CDL_API cdl_path cdl_op_path(const cdl_backend *backend, cdl_op op, const void *args);

/* How often each path was taken since the backend was opened, in the order of ops.def. */
typedef struct {
  cdl_op op;
  cdl_dtype dtype; /* of the op's first output */
  cdl_path path;
  uint64_t calls;
} cdl_path_count;
/* Copies at most `capacity` counts that are not zero; returns how many there are. */
CDL_API size_t cdl_path_counts(const cdl_backend *backend, cdl_path_count *counts, size_t capacity);

/* What a benchmark or a trace sees of a call: before it is enqueued and, with `after`, when it has
 * been. `args` points to the op's argument struct, borrowed for the call. */
typedef struct {
  cdl_queue *queue;
  cdl_op op;
  const void *args;
  cdl_path path;
  bool after;
} cdl_observation;
typedef void (*cdl_observer)(void *user, const cdl_observation *observation);
/* Has every call that passes its checks observed; NULL ends it. The parts of a composed op are not
 * seen. The observer may sync the queue, but enqueues nothing on it. To be called while no queue
 * of the backend is in use. */
CDL_API void cdl_backend_observe(cdl_backend *backend, cdl_observer observer, void *user);

/* For tests: composed paths even where the backend has its own. */
CDL_API void cdl_backend_prefer_composed(cdl_backend *backend, bool prefer);

#ifdef __cplusplus
}
#endif
#endif
