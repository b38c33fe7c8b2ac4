/* The backend's objects: an open device, its memory, its queues. */
#ifndef CONDLORA_BACKENDS_CUDA_DEVICE_H
#define CONDLORA_BACKENDS_CUDA_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "backends/cuda/api.h"
#include "backends/kernels/kernel.h"

/* ---- Memory: pool.c ---- */

/* A part of a segment, or, with `segment` NULL, memory of the caller. A buffer's handle points to
 * it. */
typedef struct cuda_block {
  CUdeviceptr address;
  size_t bytes;
  struct cuda_segment *segment;
  struct cuda_block *before, *after; /* neighbours in the segment */
  enum { CUDA_BLOCK_FREE, CUDA_BLOCK_USED, CUDA_BLOCK_LOST } state;
} cuda_block;

/* One allocation of the driver's, cut into blocks. */
typedef struct cuda_segment {
  struct cuda_segment *next;
  CUdeviceptr address;
  size_t bytes;
  bool small; /* only for small blocks */
  cuda_block *first;
} cuda_segment;

/* ---- The device ---- */

typedef struct cuda_queue cuda_queue;

typedef struct cuda_pinned {
  struct cuda_pinned *next;
  char *memory;
  size_t bytes;
} cuda_pinned;

typedef struct cuda_group cuda_group;

typedef enum { CUDA_SOLVER_UNKNOWN, CUDA_SOLVER_THERE, CUDA_SOLVER_ABSENT } cuda_solver_state;

typedef struct {
  kernel_device common; /* must be first */
  CUdevice id;
  CUcontext context; /* the primary one; retained while not NULL */
  CUmodule module;
  CUfunction functions[KERNEL_COUNT];
  cdl_precision precision;
  int version;            /* the driver's CUDA version: 12040 is 12.4 */
  size_t workspace_bytes; /* of cuBLAS, for each queue */
  uint64_t compile_ns;
  char description[320];
  _Atomic CUresult fault;           /* the first one that the device cannot recover from */
  _Atomic(const char *) fault_call; /* that answered it; NULL: not known yet */
  _Atomic cuda_solver_state solver;
  _Atomic(cuda_group *) group; /* with devices of other processes; NULL: none */
  pthread_mutex_t lock; /* guards the members below, and the begin and end of a queue's recording */
  cuda_segment *segments;
  cuda_queue *queues;
  cuda_pinned *pinned;
} cuda_device;

cdl_status cuda_enumerate(int *count);
cdl_status cuda_open(const char *device_name, const cdl_open_options *options, void **device);
void cuda_close(void *device);
const char *cuda_description(void *device);
/* Gives the device its kernels: the first image of the build that the driver takes for this compute
 * capability (80 is 8.0). `name` is the device's, for messages. Errors: UNSUPPORTED, naming what
 * the images need and what the driver answered. */
CDL_MUST_USE cdl_status cuda_load_kernels(cuda_device *device, const char *name, int capability);
uint64_t cuda_compile_nanoseconds(void *device);
bool cuda_supports(void *device, cdl_op op, const void *args);

/* Makes the device's context this thread's current one; leave restores the earlier one. Driver and
 * libraries may be called between the two. leave returns `status`, or its own failure if that is
 * OK. */
CDL_MUST_USE cdl_status cuda_enter(cuda_device *device);
cdl_status cuda_leave(cuda_device *device, cdl_status status);
/* Remembers `answer`, and the call, whose name lives as long as the process, if the device cannot
 * recover from it. */
void cuda_remember(cuda_device *device, const char *call, CUresult answer);
/* The same, and the status of cuda_check. */
cdl_status cuda_answer(cuda_device *device, const char *call, CUresult answer);
#define CUDA_DEVICE_CALL(device, name, ...) cuda_answer(device, #name, cuda_api.name(__VA_ARGS__))

cdl_status cuda_allocate(void *device, size_t bytes, void **handle);
void cuda_free(void *device, void *handle);
cdl_status cuda_wrap_memory(void *device, void *foreign, size_t bytes, void **handle);
cdl_status cuda_memory_address(void *device, void *handle, cdl_memory_address *address);
cdl_status cuda_memory_info(void *device, cdl_device_memory *memory);
void cuda_pool_destroy(cuda_device *device);
cdl_status cuda_pinned_allocate(void *device, size_t bytes, void **memory);
void cuda_pinned_free(void *device, void *memory);
bool cuda_is_pinned(cuda_device *device, const void *memory, size_t bytes);

static inline CUdeviceptr cuda_address(const cdl_buffer *buffer)
{
  return ((const cuda_block *)buffer->handle)->address;
}

/* ---- Queues ---- */

enum {
  CUDA_SLOTS = 8,
  CUDA_SLOT_BYTES = 1 << 20,
  CUDA_DOWNLOAD_BYTES = 1 << 20, /* staged bytes between two syncs */
};

/* A piece of page-locked memory for uploads. */
typedef struct {
  char *memory;
  CUevent done;
  bool pending; /* `done` has been recorded and not waited for */
} cuda_slot;

/* A copy that sync will make. */
typedef struct {
  void *host;
  size_t from, bytes; /* `from` in the queue's download memory */
} cuda_delivery;

struct cuda_queue {
  kernel_queue common; /* must be first */
  cuda_device *device;
  cuda_queue *next;
  CUstream stream;
  bool is_foreign; /* the stream is the caller's */
  bool recording;
  pthread_t recorder; /* the thread that began recording */
  cublasHandle_t blas;
  cublasLtHandle_t lt;          /* NULL where there is no cublasLt, or nothing for it */
  struct cuda_choices *choices; /* of cublasLt's algorithms; NULL until one is needed */
  void *workspace;              /* a handle of cuda_allocate */
  cusolverDnHandle_t solver;    /* NULL until it is needed */
  char *staging;                /* page-locked; NULL until it is needed */
  cuda_slot slots[CUDA_SLOTS];
  int slot;
  size_t slot_used;
  char *download;
  size_t download_used;
  cuda_delivery *deliveries;
  size_t delivery_count, delivery_capacity;
};

cdl_status cuda_queue_create(void *device, void **queue);
cdl_status cuda_wrap_queue(void *device, void *foreign, void **queue);
void cuda_queue_destroy(void *queue);
cdl_status cuda_launch(kernel_queue *queue, const kernel_launch *launch);
cdl_status cuda_multiply(kernel_queue *queue, const kernel_product *product);
cdl_status cuda_takes_bias(kernel_queue *queue, const kernel_product *product, bool *takes);
/* Fails with UNSUPPORTED while the queue records. */
CDL_MUST_USE cdl_status cuda_refuse_recording(const cuda_queue *queue, const char *what);
/* Waits until no work runs on the queue. The caller holds the lock, and the context is current. */
bool cuda_settle(cuda_queue *queue);

cdl_status cuda_event_create(void *device, void **event);
void cuda_event_destroy(void *event);
cdl_status cuda_event_record(void *queue, void *event);
cdl_status cuda_event_elapsed(void *from, void *to, uint64_t *nanoseconds);
cdl_status cuda_capture_begin(void *queue);
cdl_status cuda_capture_end(void *queue, void **graph);
cdl_status cuda_replay(void *queue, void *graph);
void cuda_graph_destroy(void *graph);
/* Ends a recording and discards it. */
void cuda_capture_abandon(cuda_queue *queue);

cdl_status cuda_upload(void *queue, cdl_buffer *out, size_t offset, const void *host, size_t bytes);
cdl_status cuda_download(void *queue, void *host, const cdl_buffer *x, size_t offset, size_t bytes);
cdl_status cuda_sync(void *queue);
void cuda_staging_destroy(cuda_queue *queue);

cdl_status cuda_weight_create(void *queue, const cdl_tensor *sources, size_t count, void **handle,
                              size_t *bytes);
cdl_status cuda_weight_update(void *queue, void *handle, const cdl_tensor *sources, size_t count);
void cuda_weight_destroy(void *device, void *handle);

/* ---- Groups: group.c ---- */

cdl_status cuda_group_place(void *device, char place[CDL_GROUP_PLACE_BYTES]);
cdl_status cuda_group_key(void *device, cdl_group_key *key);
cdl_status cuda_group_join(void *device, const cdl_group_key *key, int rank, int size,
                           double seconds, void **group);
cdl_status cuda_gather(void *queue, void *group, cdl_buffer *out, size_t out_offset,
                       const cdl_buffer *x, size_t offset, size_t bytes);
void cuda_group_abandon(void *group);
void cuda_group_leave(void *group);
/* Wait for all work of a stream, and for an event. In a group they end with DEVICE if the work
 * takes longer than the group's seconds, or a member is lost; the group is then abandoned. The
 * context is current. */
CDL_MUST_USE cdl_status cuda_wait(cuda_device *device, CUstream stream);
CDL_MUST_USE cdl_status cuda_wait_event(cuda_device *device, CUevent event);
/* Abandons the group if the stream's work does not end in the same way. */
void cuda_watch(cuda_device *device, CUstream stream);

/* Returns whether cuSOLVER is available. */
bool cuda_solver_supports(cuda_device *device);
void cuda_solver_destroy(cuda_queue *queue);
cdl_status cuda_svd(void *queue, const cdl_svd_args *args);
cdl_status cuda_lu_solve(void *queue, const cdl_lu_solve_args *args);
cdl_status cuda_lu_inverse(void *queue, const cdl_lu_inverse_args *args);
cdl_status cuda_qr(void *queue, const cdl_qr_args *args);
cdl_status cuda_eigh(void *queue, const cdl_eigh_args *args);

#endif
