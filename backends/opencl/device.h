/* The backend's objects: an open device and its queues. */
#ifndef CONDLORA_BACKENDS_OPENCL_DEVICE_H
#define CONDLORA_BACKENDS_OPENCL_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "api.h"
#include "backends/kernels/kernel.h"

enum { OPENCL_NAME_BYTES = 160 };

/* A device before it is opened. */
typedef struct {
  cl_platform_id platform;
  cl_device_id id;
  cl_device_type type;
  char name[OPENCL_NAME_BYTES], platform_name[OPENCL_NAME_BYTES];
} opencl_found;

/* Lists every device of every platform, in the loader's order. The caller frees *found. */
CDL_MUST_USE cdl_status opencl_find_devices(opencl_found **found, int *count);
/* Chooses the device that `text` names (docs/opencl.md): a number, part of a name, or "" for the
 * best. */
CDL_MUST_USE cdl_status opencl_choose(const opencl_found *found, int count, const char *text,
                                      int *chosen);

/* Nanoseconds of a monotonic clock. */
static inline uint64_t opencl_now(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

typedef struct opencl_device {
  kernel_device common; /* must be first */
  struct opencl_device *next;
  cl_platform_id platform;
  cl_device_id id;
  int number; /* as opencl_choose counts */
  cl_context context;
  cl_program programs[PROGRAM_COUNT]; /* NULL: not needed yet */
  size_t group_limit, local_bytes, largest_allocation, total_bytes;
  char name[OPENCL_NAME_BYTES], version[OPENCL_NAME_BYTES], driver[OPENCL_NAME_BYTES];
  char platform_name[OPENCL_NAME_BYTES], platform_version[OPENCL_NAME_BYTES];
  char description[4 * OPENCL_NAME_BYTES];
  _Atomic uint64_t compile_ns;
  pthread_mutex_t program_lock; /* protects `programs` */
  pthread_mutex_t gemm_lock;    /* CLBlast compiles on first use, for all threads */
  uint32_t gemm_compiled;       /* guarded by gemm_lock: kinds of product that have been used */
} opencl_device;

/* Host memory that an upload still reads. */
typedef struct opencl_staged {
  struct opencl_staged *next;
  cl_event done;
} opencl_staged;

typedef struct {
  kernel_queue common; /* must be first */
  opencl_device *device;
  cl_command_queue queue;
  /* the queue's own, because arguments belong to a kernel object */
  cl_kernel kernels[KERNEL_COUNT];
  opencl_staged *oldest, *newest;
} opencl_queue;

/* device.c */
CDL_MUST_USE cdl_status opencl_open(const kernel_driver *driver, const opencl_found *found,
                                    void **device);

/* program.c */

/* Makes a kernel object, which the caller releases. Its program is compiled or taken from the cache
 * if it does not exist yet. */
CDL_MUST_USE cdl_status opencl_kernel_create(opencl_device *device, kernel_id which,
                                             cl_kernel *kernel);
/* Halves the device's group size until every kernel can run with it, because registers and local
 * memory may allow less than the device's limit. This compiles all kernels, unless a group is one
 * work-item. */
CDL_MUST_USE cdl_status opencl_fit_groups(opencl_device *device);
void opencl_programs_release(opencl_device *device);

/* gemm.c */
cdl_status opencl_multiply(kernel_queue *queue, const kernel_product *product);

/* memory.c */
cdl_status opencl_allocate(void *device, size_t bytes, void **handle);
void opencl_free(void *device, void *handle);
cdl_status opencl_wrap_memory(void *device, void *foreign, size_t bytes, void **handle);
cdl_status opencl_memory_address(void *device, void *handle, cdl_memory_address *address);
cdl_status opencl_memory_info(void *device, cdl_device_memory *memory);
cdl_status opencl_upload(void *queue, cdl_buffer *out, size_t offset, const void *host,
                         size_t bytes);
cdl_status opencl_download(void *queue, void *host, const cdl_buffer *x, size_t offset,
                           size_t bytes);
void opencl_release_staged(opencl_queue *queue, bool all);

/* queue.c */
cdl_status opencl_queue_create(void *device, void **queue);
cdl_status opencl_wrap_queue(void *device, void *foreign, void **queue);
void opencl_queue_destroy(void *queue);
cdl_status opencl_sync(void *queue);
cdl_status opencl_launch(kernel_queue *queue, const kernel_launch *launch);
cdl_status opencl_event_create(void *device, void **event);
void opencl_event_destroy(void *event);
cdl_status opencl_event_record(void *queue, void *event);
cdl_status opencl_event_elapsed(void *from, void *to, uint64_t *nanoseconds);

#endif
