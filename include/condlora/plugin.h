/* The interface for authors of backends. A plug-in is a shared object that exports one function,
 * cdl_plugin. docs/add-a-backend.md explains it step by step; backends/null/ is a complete example
 * to start from.
 *
 * Minor versions: 1.1 added precisions and compile_nanoseconds, 1.2 auto_priority, 1.3 attention's
 * bias, 1.4 BF16 activations, attention_grad's `out` and low_rank's further terms, 1.5
 * memory_address, binary_cross_entropy, map_weights and its gradient, add_layer_norm's dropout and
 * gradient, kernels and decompositions, 1.6 map_file and groups.
 *
 * The core checks every argument before it calls the table. It also counts and logs paths, keeps
 * each queue's first error, and calls nothing on a failed queue. So the functions of a table only
 * do the work. They may enqueue it: the next call on the queue, or sync, returns an error that is
 * found later. */
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
#define CDL_ABI_MINOR 6

/* A buffer as a backend sees it. `handle` belongs to the backend; only the core writes the rest. */
struct cdl_buffer {
  void *handle;
  size_t bytes;
  struct cdl_backend *owner;
  bool is_file; /* since 1.6: made by map_file; nothing writes it */
};

/* A packed weight; ownership is as for cdl_buffer. For a backend without weight functions, `handle`
 * points to a const cdl_tensor: the plain matrix [rows, columns], F32, whose rows may be apart. */
struct cdl_weight {
  void *handle;
  int64_t rows, columns; /* of all stacked sources: [out, in] */
  struct cdl_backend *owner;
};

/* Functions of the core for plug-ins. The struct lives as long as the process. */
typedef struct {
  uint32_t struct_size;
  uint32_t abi_major, abi_minor;
  cdl_status (*fail)(cdl_status status, const char *format, ...) CDL_PRINTF(2, 3); /* as cdl_fail */
  void (*log)(cdl_log_level level, const char *format, ...) CDL_PRINTF(2, 3);      /* as cdl_log */
  void *(*allocate)(size_t bytes, size_t alignment); /* host memory; NULL if there is not enough */
  void (*release)(void *memory);
} cdl_host;

/* The header never changes: every version of the table starts with these sixteen bytes. */
typedef struct {
  uint32_t magic;
  uint32_t abi_major, abi_minor;
  uint32_t struct_size; /* of the whole table, as the plug-in was compiled */
} cdl_table_header;

#define CDL_TABLE_HEADER                                                      \
  {                                                                           \
    CDL_PLUGIN_MAGIC, CDL_ABI_MAJOR, CDL_ABI_MINOR, sizeof(cdl_backend_table) \
  }

typedef struct {
  uint32_t struct_size;
  int threads; /* 0: the backend chooses */
  /* since 1.1; `open` returns UNSUPPORTED for one that the backend lacks */
  cdl_precision precision;
  /* Since 1.1: the user did not name this backend. `open` then returns ABSENT if the device is no
   * accelerator but only the host's own processor. */
  bool automatic;
} cdl_open_options;

typedef struct {
  size_t free_bytes, total_bytes; /* 0 if the device cannot say */
} cdl_device_memory;

/* The table of a backend. `device`, `queue`, `event` and `graph` are objects of the backend.
 * Members marked optional may be NULL. */
typedef struct cdl_backend_table {
  cdl_table_header header;
  const char *name; /* such as "opencl": letters, digits and '-' */

  /* Counts the available devices, which are numbered from 0. Returns ABSENT with the reason if
   * there are none. */
  cdl_status (*enumerate)(int *count);
  /* Opens a device. `device_name` is the text after the colon in "opencl:NAME": a number, or text
   * that the backend defines. It is "" if there is no colon, never NULL. */
  cdl_status (*open)(const char *device_name, const cdl_open_options *options, void **device);
  void (*close)(void *device);
  const char *(*description)(void *device); /* one line; lives as long as the device */
  cdl_status (*memory_info)(void *device, cdl_device_memory *memory); /* optional */

  cdl_status (*queue_create)(void *device, void **queue);
  void (*queue_destroy)(void *queue);
  cdl_status (*sync)(void *queue);

  /* Allocates memory that is aligned for any dtype and for the device's widest access. The core may
   * call `free` while work that uses the memory still runs: `free` waits for it. */
  cdl_status (*allocate)(void *device, size_t bytes, void **handle);
  void (*free)(void *device, void *handle);
  /* Copy bytes from host memory to a buffer and back. The caller may change `host` as soon as
   * upload returns. The `host` of a download is filled when sync returns; memory from
   * pinned_allocate also when an event that was recorded after the download has passed. */
  cdl_status (*upload)(void *queue, cdl_buffer *out, size_t offset, const void *host, size_t bytes);
  cdl_status (*download)(void *queue, void *host, const cdl_buffer *x, size_t offset, size_t bytes);

  /* Optional, all or none; cdl_weight_create defines them. Without them the core keeps a plain
   * stacked matrix: see struct cdl_weight. */
  cdl_status (*weight_create)(void *queue, const cdl_tensor *sources, size_t count, void **handle,
                              size_t *bytes);
  cdl_status (*weight_update)(void *queue, void *handle, const cdl_tensor *sources, size_t count);
  void (*weight_destroy)(void *device, void *handle);

  /* Optional: returns whether the backend's own op accepts these arguments (a pointer to the op's
   * struct). Without it, every op that is not NULL accepts all arguments. The function is pure:
   * equal arguments give equal answers. A required op must accept F32 of any shape and strides.
   * Since 1.4 it is asked about BF16 activations too; a table without it gets none. */
  bool (*supports)(void *device, cdl_op op, const void *args);

  /* Optional: events, which measure time. */
  cdl_status (*event_create)(void *device, void **event);
  void (*event_destroy)(void *event);
  cdl_status (*event_record)(void *queue, void *event);
  cdl_status (*event_elapsed)(void *from, void *to, uint64_t *nanoseconds); /* waits for both */

  /* Optional: work that is enqueued between begin and end is recorded, not run, and can be replayed
   * any number of times. The caller keeps the memory that the recorded work uses alive. Working
   * memory of the backend stays valid as long as the queue. After an error between the two,
   * capture_end ends the recording and returns the error. */
  cdl_status (*capture_begin)(void *queue);
  cdl_status (*capture_end)(void *queue, void **graph);
  cdl_status (*replay)(void *queue, void *graph);
  void (*graph_destroy)(void *graph);

  /* Optional: host memory with fast transfers. */
  cdl_status (*pinned_allocate)(void *device, size_t bytes, void **memory);
  void (*pinned_free)(void *device, void *memory);

  /* Optional: wrap memory of the caller (a CUdeviceptr, a cl_mem, host memory on the CPU) and
   * queues of the caller (a stream). The caller keeps owning them. */
  cdl_status (*wrap_memory)(void *device, void *foreign, size_t bytes, void **handle);
  cdl_status (*wrap_queue)(void *device, void *foreign, void **queue);

#define CDL_OP(name, tier) cdl_status (*name)(void *queue, const cdl_##name##_args *args);
#include "condlora/ops.def"
#undef CDL_OP
  /* NULL: reserves places for ops of later minor versions, so that the members below do not
   * move. */
  void (*later_ops[64 - CDL_OP_COUNT])(void);

  /* Since 1.1, optional: returns the time spent compiling kernels for the device since it was
   * opened. */
  uint64_t (*compile_nanoseconds)(void *device);

  /* Since 1.2, optional: "auto" tries the backends in descending order of this number and takes the
   * first that opens. "auto" never takes a backend with 0. cuda has 300, opencl has 200, and the
   * built-in cpu, which always opens, has 100. options->automatic tells `open` that "auto" is
   * trying. */
  uint32_t auto_priority;

  /* Since 1.5, optional: gives the address of a buffer's memory (cdl_buffer_address). */
  cdl_status (*memory_address)(void *device, void *handle, cdl_memory_address *address);

  /* Since 1.5, optional: two lines that live as long as the device. `kernels` is for
   * cdl_backend_kernels; without it, the description serves. `decompositions` names the library of
   * the HOST ops that the device has run, NULL for none and where `kernels` names it already. */
  const char *(*kernels)(void *device);
  const char *(*decompositions)(void *device);

  /* Since 1.6, optional: makes a buffer over a part of a file that the caller has mapped, without a
   * copy. Its address is a multiple of 4. Nothing writes the buffer, and the mapping outlives it.
   * The backend may give pages that it no longer needs back to the system
   * (madvise(MADV_DONTNEED)); the next access reads them again. `free` destroys the buffer. */
  cdl_status (*map_file)(void *device, const void *mapped, size_t bytes, void **handle);

  /* Since 1.6, optional, all or none: devices of several processes as a group (backend.h). `group`
   * is an object of the backend. `gather` moves `bytes` from x, at `offset`, to each member's
   * `out`, which gets rank r's at out_offset + r * bytes. A wait of the device ends with DEVICE if
   * it takes longer than `seconds`, or another member is lost. */
  cdl_status (*group_place)(void *device, char place[CDL_GROUP_PLACE_BYTES]);
  cdl_status (*group_key)(void *device, cdl_group_key *key);
  cdl_status (*group_join)(void *device, const cdl_group_key *key, int rank, int size,
                           double seconds, void **group);
  cdl_status (*gather)(void *queue, void *group, cdl_buffer *out, size_t out_offset,
                       const cdl_buffer *x, size_t offset, size_t bytes);
  void (*group_abandon)(void *group);
  void (*group_leave)(void *group);
} cdl_backend_table;

/* The type of cdl_plugin, the only symbol of a plug-in. The core compares the versions and names
 * both if they do not fit. Returns NULL if the plug-in cannot work here; it then gives the reason
 * through host->fail. */
typedef const cdl_backend_table *cdl_plugin_entry(const cdl_host *host);

#define CDL_EXPORT __attribute__((visibility("default")))

#ifdef __cplusplus
}
#endif
#endif
