/* What the author of a backend implements: a shared object that exports one function, cdl_plugin.
 * docs/add-a-backend.md walks through it, backends/null/ is a complete one to start from.
 *
 * The core checks every argument before it calls the table, counts and logs paths, keeps each
 * queue's first error and calls nothing on a failed queue. So a table's functions do the work and
 * nothing else. They may enqueue it: a fault found later is returned by the queue's next call or
 * by sync. */
#ifndef CONDLORA_PLUGIN_H
#define CONDLORA_PLUGIN_H

#include "condlora/log.h"
#include "condlora/ops.h"
#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CDL_PLUGIN_MAGIC 0x4344504cu /* "CDPL" */
#define CDL_ABI_MAJOR 1
#define CDL_ABI_MINOR 2

/* Buffers as a backend sees them: `handle` is its own; the rest is the core's to write. */
struct cdl_buffer {
  void *handle;
  size_t bytes;
  struct cdl_backend *owner;
};

/* A packed weight likewise. For a backend without weight functions, `handle` points to a const
 * cdl_tensor: the plain matrix [rows, columns], F32, whose rows may lie apart. */
struct cdl_weight {
  void *handle;
  int64_t rows, columns; /* of all sources stacked: [out, in] */
  struct cdl_backend *owner;
};

/* What the core gives a plug-in; lives as long as the process. */
typedef struct {
  uint32_t struct_size;
  uint32_t abi_major, abi_minor;
  cdl_status (*fail)(cdl_status status, const char *format, ...) CDL_PRINTF(2, 3); /* as cdl_fail */
  void (*log)(cdl_log_level level, const char *format, ...) CDL_PRINTF(2, 3);      /* as cdl_log */
  void *(*allocate)(size_t bytes, size_t alignment); /* host memory; NULL when out of it */
  void (*release)(void *memory);
} cdl_host;

/* Frozen: every version of the table starts with these sixteen bytes. */
typedef struct {
  uint32_t magic;
  uint32_t abi_major, abi_minor;
  uint32_t struct_size; /* of the whole table as the plug-in was compiled */
} cdl_table_header;

#define CDL_TABLE_HEADER                                                      \
  {                                                                           \
    CDL_PLUGIN_MAGIC, CDL_ABI_MAJOR, CDL_ABI_MINOR, sizeof(cdl_backend_table) \
  }

typedef struct {
  uint32_t struct_size;
  int threads;             /* 0: the backend's choice */
  cdl_precision precision; /* since 1.1; one that the backend lacks is UNSUPPORTED at open */
  /* Since 1.1: nobody asked for this backend by name. Without an accelerator, only the host's own
   * processor in another guise, it is ABSENT then. */
  bool automatic;
} cdl_open_options;

typedef struct {
  size_t free_bytes, total_bytes; /* 0 where the device cannot say */
} cdl_device_memory;

/* `device`, `queue`, `event`, `graph` are the backend's own objects. Members marked optional may
 * be NULL. */
typedef struct cdl_backend_table {
  cdl_table_header header;
  const char *name; /* "opencl": letters, digits, '-' */

  /* Devices that are here, numbered from 0; ABSENT with the reason when there are none. */
  cdl_status (*enumerate)(int *count);
  /* `device_name` is what follows the colon in "opencl:NAME": a number, or text of the backend's
   * own meaning; "", never NULL, without a colon. */
  cdl_status (*open)(const char *device_name, const cdl_open_options *options, void **device);
  void (*close)(void *device);
  const char *(*description)(void *device); /* one line, lives as long as the device */
  cdl_status (*memory_info)(void *device, cdl_device_memory *memory); /* optional */

  cdl_status (*queue_create)(void *device, void **queue);
  void (*queue_destroy)(void *queue);
  cdl_status (*sync)(void *queue);

  /* Memory aligned for any dtype and for the device's widest access. `free` may be called while
   * work that uses the memory is still under way: it waits. */
  cdl_status (*allocate)(void *device, size_t bytes, void **handle);
  void (*free)(void *device, void *handle);
  /* Bytes from host memory to a buffer: `host` may change once the call returns. To host memory:
   * it is filled when sync returns, or, memory from pinned_allocate, when an event recorded later
   * has passed. */
  cdl_status (*upload)(void *queue, cdl_buffer *out, size_t offset, const void *host, size_t bytes);
  cdl_status (*download)(void *queue, void *host, const cdl_buffer *x, size_t offset, size_t bytes);

  /* Optional, all or none, as cdl_weight_create says. Without them the core keeps a plain stacked
   * matrix: see struct cdl_weight. */
  cdl_status (*weight_create)(void *queue, const cdl_tensor *sources, size_t count, void **handle,
                              size_t *bytes);
  cdl_status (*weight_update)(void *queue, void *handle, const cdl_tensor *sources, size_t count);
  void (*weight_destroy)(void *device, void *handle);

  /* Optional: whether the backend's own op takes these very arguments (a pointer to the op's
   * struct). Without it, every op that is not NULL does. Pure: the same answer for the same
   * arguments. A required op must take F32 of any shape and strides. */
  bool (*supports)(void *device, cdl_op op, const void *args);

  /* Optional: times. */
  cdl_status (*event_create)(void *device, void **event);
  void (*event_destroy)(void *event);
  cdl_status (*event_record)(void *queue, void *event);
  cdl_status (*event_elapsed)(void *from, void *to, uint64_t *nanoseconds); /* waits for both */

  /* Optional: what is enqueued between begin and end is recorded, not run, and replayed at will.
   * Memory that the recorded work uses stays the caller's to keep; the backend's own working memory
   * stays valid as long as the queue. After an error between the two, capture_end ends the
   * recording and returns it. */
  cdl_status (*capture_begin)(void *queue);
  cdl_status (*capture_end)(void *queue, void **graph);
  cdl_status (*replay)(void *queue, void *graph);
  void (*graph_destroy)(void *graph);

  /* Optional: host memory from which uploads are quick. */
  cdl_status (*pinned_allocate)(void *device, size_t bytes, void **memory);
  void (*pinned_free)(void *device, void *memory);

  /* Optional: foreign memory (a CUdeviceptr, a cl_mem, host memory on the CPU) and foreign queues
   * (a stream); they stay the caller's. */
  cdl_status (*wrap_memory)(void *device, void *foreign, size_t bytes, void **handle);
  cdl_status (*wrap_queue)(void *device, void *foreign, void **queue);

#define CDL_OP(name, tier) cdl_status (*name)(void *queue, const cdl_##name##_args *args);
#include "condlora/ops.def"
#undef CDL_OP
  /* Places of the ops that later minor versions add, so that what follows keeps its own: NULL. */
  void (*later_ops[64 - CDL_OP_COUNT])(void);

  /* Since 1.1, optional: time spent on compiling kernels for the device since it was opened. */
  uint64_t (*compile_nanoseconds)(void *device);

  /* Since 1.2, optional: "auto" tries the backends that it finds by this number, the highest first,
   * and takes the first that opens. 0: "auto" never takes this one. cuda has 300, opencl 200, and
   * the built-in cpu, which always opens, 100. `open` is told by options->automatic. */
  uint32_t auto_priority;
} cdl_backend_table;

/* The one symbol of a plug-in. The core compares versions and says which two did not fit. NULL:
 * the plug-in cannot work here, and has said why through host->fail. */
typedef const cdl_backend_table *cdl_plugin_entry(const cdl_host *host);

#define CDL_EXPORT __attribute__((visibility("default")))

#ifdef __cplusplus
}
#endif
#endif
