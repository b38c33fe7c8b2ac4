#include "backends/cpu/cpu.h"

#include "backends/cpu/device.h"
#include "backends/cpu/memory.h"
#include "backends/cpu/narrow.h"
#include "backends/cpu/weight.h"
#include "base/narrow_call.h"
#include "base/quota.h"
#include "condlora/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The device ---- */

static cdl_status cpu_enumerate(int *count)
{
  *count = 1;
  return CDL_STATUS_OK;
}

/* The identity is "vector set avx512", or "vector set avx512, bf16 by AMX". */
static void describe(cpu_device *device)
{
  const int threads = cpu_pool_threads(device->pool);
  const cpu_narrow *way = device->narrow;
  snprintf(device->identity, sizeof device->identity, "vector set %s%s%s%s%s",
           device->kernels->name, way != NULL ? ", " : "",
           way != NULL ? cdl_precision_name(device->precision) : "", way != NULL ? " by " : "",
           way != NULL ? way->name : "");
  const char *file = cpu_lapack_file(), *name = strrchr(file, '/');
  char narrow[96];
  cpu_narrow_describe(narrow, sizeof narrow);
  snprintf(device->description, sizeof device->description,
           "%s, %s%s%sdecompositions by %.64s at need, %d thread%s", device->identity,
           way == NULL ? "has " : "", way == NULL ? narrow : "", way == NULL ? ", " : "",
           name != NULL ? name + 1 : file, threads, threads == 1 ? "" : "s");
}

static cdl_status cpu_open(const char *device_name, const cdl_open_options *options, void **out)
{
  if (device_name != NULL && device_name[0] != '\0' && strcmp(device_name, "0") != 0)
    return cdl_fail(CDL_STATUS_ABSENT, "cpu:%s: there is one CPU device, cpu or cpu:0",
                    device_name);
  const cdl_precision precision = options != NULL ? options->precision : CDL_PRECISION_FP32;
  const cpu_narrow *narrow;
  CDL_TRY(cpu_narrow_find(precision, &narrow));
  cpu_device *device = calloc(1, sizeof *device);
  if (device == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "cpu: no memory for the device");
  device->foreign = (cpu_foreign){.lock = PTHREAD_MUTEX_INITIALIZER};
  device->lapack = cpu_lapack_closed();
  device->kernels = cpu_kernels_choose();
  device->precision = precision;
  device->narrow = narrow;
  const cdl_status status = cpu_pool_create(options != NULL ? options->threads : 0, &device->pool);
  if (status != CDL_STATUS_OK) {
    free(device);
    return status;
  }
  describe(device);
  *out = device;
  return CDL_STATUS_OK;
}

static void cpu_close(void *opaque)
{
  cpu_device *device = opaque;
  cpu_pool_destroy(device->pool);
  cpu_lapack_close(&device->lapack);
  cpu_foreign_release(&device->foreign);
  free(device);
}

static const char *cpu_description(void *opaque)
{
  const cpu_device *device = opaque;
  return device->description;
}

static const char *cpu_kernel_line(void *opaque)
{
  const cpu_device *device = opaque;
  return device->identity;
}

static const char *cpu_decompositions(void *opaque)
{
  cpu_device *device = opaque;
  return atomic_load(&device->lapack.name);
}

static cdl_status cpu_memory_info(void *opaque, cdl_device_memory *memory)
{
  (void)opaque;
  const base_memory usable = base_usable_memory();
  *memory = (cdl_device_memory){usable.free_bytes, usable.total_bytes};
  return CDL_STATUS_OK;
}

/* ---- Queues and buffers: everything is done when a call returns ---- */

static cdl_status cpu_queue_create(void *device, void **queue)
{
  *queue = device;
  return CDL_STATUS_OK;
}

static void cpu_queue_destroy(void *queue)
{
  (void)queue;
}

static cdl_status cpu_sync(void *queue)
{
  (void)queue;
  return CDL_STATUS_OK;
}

/* The system promises more than a control group lets a process use, and kills it when it is
 * used. */
static bool exceeds_group(size_t bytes)
{
  enum { WORTH_A_LOOK = 1 << 20 };
  if (bytes < WORTH_A_LOOK)
    return false;
  const base_quota limits = base_quota_read("");
  return bytes > limits.free_bytes || cpu_memory_mapped() > limits.memory_bytes ||
         bytes > limits.memory_bytes - cpu_memory_mapped();
}

static cdl_status cpu_allocate(void *device, size_t bytes, void **handle)
{
  *handle = exceeds_group(bytes) ? NULL : cpu_memory_allocate(bytes);
  if (*handle != NULL)
    return CDL_STATUS_OK;
  cdl_device_memory memory;
  CDL_TRY(cpu_memory_info(device, &memory));
  return cdl_fail(CDL_STATUS_MEMORY,
                  "cpu: a buffer of %zu bytes is not to be had, %zu bytes are free", bytes,
                  memory.free_bytes);
}

static void cpu_free(void *opaque, void *handle)
{
  cpu_device *device = opaque;
  if (!cpu_foreign_remove(&device->foreign, handle))
    cpu_memory_free(handle);
}

static cdl_status cpu_wrap_memory(void *opaque, void *foreign, size_t bytes, void **handle)
{
  cpu_device *device = opaque;
  (void)bytes;
  if (!cpu_foreign_add(&device->foreign, (cpu_foreign_part){.memory = foreign}))
    return cdl_fail(CDL_STATUS_MEMORY, "no memory to note the address");
  *handle = foreign;
  return CDL_STATUS_OK;
}

static cdl_status cpu_map_file(void *opaque, const void *mapped, size_t bytes, void **handle)
{
  cpu_device *device = opaque;
  if (!cpu_foreign_add(&device->foreign, (cpu_foreign_part){mapped, bytes}))
    return cdl_fail(CDL_STATUS_MEMORY, "no memory to note the address");
  *handle = (void *)(uintptr_t)mapped; /* the core lets nothing write it */
  return CDL_STATUS_OK;
}

static cdl_status cpu_memory_address(void *device, void *handle, cdl_memory_address *address)
{
  (void)device;
  *address = (cdl_memory_address){.kind = CDL_MEMORY_HOST, .memory = handle};
  return CDL_STATUS_OK;
}

static cdl_status cpu_upload(void *queue, cdl_buffer *out, size_t offset, const void *host,
                             size_t bytes)
{
  (void)queue;
  if (bytes > 0)
    memcpy((char *)out->handle + offset, host, bytes);
  return CDL_STATUS_OK;
}

static cdl_status cpu_download(void *queue, void *host, const cdl_buffer *x, size_t offset,
                               size_t bytes)
{
  (void)queue;
  if (bytes > 0)
    memcpy(host, (const char *)x->handle + offset, bytes);
  return CDL_STATUS_OK;
}

/* ---- The table ---- */

/* Activations may be BF16 where products with frozen weights are; else every op takes whatever the
 * core admits. CondLoRA's maps read the weights themselves, which are float32. */
static bool cpu_supports(void *opaque, cdl_op op, const void *args)
{
  const cpu_device *device = opaque;
  if (!base_is_narrow_call(op, args))
    return true;
  return device->precision == CDL_PRECISION_BF16 && op != CDL_OP_map_weights &&
         op != CDL_OP_map_weights_grad;
}

/* Without events: nothing is done later than it is called for, and the host's clock tells its
 * time. */
static const cdl_backend_table table = {
    .header = CDL_TABLE_HEADER,
    .name = "cpu",
    .enumerate = cpu_enumerate,
    .open = cpu_open,
    .supports = cpu_supports,
    .close = cpu_close,
    .description = cpu_description,
    .memory_info = cpu_memory_info,
    .queue_create = cpu_queue_create,
    .queue_destroy = cpu_queue_destroy,
    .sync = cpu_sync,
    .allocate = cpu_allocate,
    .free = cpu_free,
    .upload = cpu_upload,
    .download = cpu_download,
    .wrap_memory = cpu_wrap_memory,
    .memory_address = cpu_memory_address,
    .map_file = cpu_map_file,
    .weight_create = cpu_weight_create,
    .weight_update = cpu_weight_update,
    .weight_destroy = cpu_weight_destroy,
    .copy = cpu_copy,
    .cast = cpu_cast,
    .permute = cpu_permute,
    .fill = cpu_fill,
    .gather_rows = cpu_gather_rows,
    .scatter_add_rows = cpu_scatter_add_rows,
    .gemm = cpu_gemm,
    .unary = cpu_unary,
    .unary_grad = cpu_unary_grad,
    .binary = cpu_binary,
    .axpby = cpu_axpby,
    .reduce = cpu_reduce,
    .softmax = cpu_softmax,
    .softmax_grad = cpu_softmax_grad,
    .layer_norm = cpu_layer_norm,
    .layer_norm_grad = cpu_layer_norm_grad,
    .dropout = cpu_dropout,
    .cross_entropy = cpu_cross_entropy,
    .squared_error = cpu_squared_error,
    .binary_cross_entropy = cpu_binary_cross_entropy,
    .adamw = cpu_adamw,
    .any_non_finite = cpu_any_non_finite,
    .linear = cpu_linear,
    .linear_grad = cpu_linear_grad,
    .low_rank = cpu_low_rank,
    .low_rank_grad = cpu_low_rank_grad,
    .map_weights = cpu_map_weights,
    .map_weights_grad = cpu_map_weights_grad,
    .add_layer_norm_grad = cpu_add_layer_norm_grad,
    .add_layer_norm = cpu_add_layer_norm,
    .attention = cpu_attention,
    .attention_grad = cpu_attention_grad,
    .clip_norm = cpu_clip_norm,
    .svd = cpu_svd,
    .lu_solve = cpu_lu_solve,
    .lu_inverse = cpu_lu_inverse,
    .qr = cpu_qr,
    .eigh = cpu_eigh,
    .auto_priority = 100,
    .kernels = cpu_kernel_line,
    .decompositions = cpu_decompositions,
};

const cdl_backend_table *cpu_plugin(const cdl_host *host)
{
  (void)host; /* linked in: cdl_fail is called itself */
  return &table;
}
