/* A backend over host memory that notes what is asked of it: what the plug-ins of these tests are
 * made of. Its ops do nothing; a test sets `recorded.fail_op` and the like to see what becomes of
 * a failure. */
#ifndef CONDLORA_TESTS_UNIT_PLUGINS_TABLE_H
#define CONDLORA_TESTS_UNIT_PLUGINS_TABLE_H

#include <stdlib.h>
#include <string.h>

#include "condlora/plugin.h"
#include "tests/unit/plugins/recording.h"

static const cdl_host *host;
static char the_device, a_queue;

CDL_EXPORT recording recorded = {.fail_op = -1, .refuse_op = -1};
CDL_EXPORT const cdl_backend_table *cdl_plugin(const cdl_host *given);

static cdl_status enumerate(int *count)
{
  *count = 2;
  return CDL_STATUS_OK;
}

static cdl_status open_device(const char *device_name, const cdl_open_options *options,
                              void **device)
{
  if (strcmp(device_name, "broken") == 0)
    return host->fail(CDL_STATUS_ABSENT, "device 'broken' is broken");
  __atomic_store_n(&recorded.threads, options->threads, __ATOMIC_RELAXED);
  if (device_name[0] != '\0')
    strncpy(recorded.device_name, device_name, sizeof recorded.device_name - 1);
  __atomic_add_fetch(&recorded.open, 1, __ATOMIC_RELAXED);
  *device = &the_device;
  return CDL_STATUS_OK;
}

static void close_device(void *device)
{
  (void)device;
  __atomic_sub_fetch(&recorded.open, 1, __ATOMIC_RELAXED);
}

static const char *description(void *device)
{
  (void)device;
  return "notes what is asked of it";
}

static cdl_status memory_info(void *device, cdl_device_memory *memory)
{
  (void)device;
  *memory = (cdl_device_memory){1000, 4000};
  return CDL_STATUS_OK;
}

static cdl_status queue_create(void *device, void **queue)
{
  (void)device;
  *queue = &a_queue;
  return CDL_STATUS_OK;
}

static void queue_destroy(void *queue)
{
  (void)queue;
}

static cdl_status sync_queue(void *queue)
{
  (void)queue;
  __atomic_add_fetch(&recorded.syncs, 1, __ATOMIC_RELAXED);
  return recorded.fail_sync ? host->fail(CDL_STATUS_DEVICE, "fault 77") : CDL_STATUS_OK;
}

static cdl_status allocate(void *device, size_t bytes, void **handle)
{
  (void)device;
  if (bytes > 1000000)
    return host->fail(CDL_STATUS_MEMORY, "too much");
  *handle = host->allocate(bytes, 64);
  return *handle != NULL ? CDL_STATUS_OK : host->fail(CDL_STATUS_MEMORY, "none");
}

static void release(void *device, void *handle)
{
  (void)device;
  host->release(handle);
}

static cdl_status upload(void *queue, cdl_buffer *out, size_t offset, const void *from,
                         size_t bytes)
{
  (void)queue;
  memcpy((char *)out->handle + offset, from, bytes);
  return CDL_STATUS_OK;
}

static cdl_status download(void *queue, void *to, const cdl_buffer *x, size_t offset, size_t bytes)
{
  (void)queue;
  memcpy(to, (const char *)x->handle + offset, bytes);
  return CDL_STATUS_OK;
}

static bool supports(void *device, cdl_op op, const void *args)
{
  (void)device, (void)args;
  return (int)op != recorded.refuse_op;
}

static cdl_status record(cdl_op op)
{
  __atomic_add_fetch(&recorded.calls[op], 1, __ATOMIC_RELAXED);
  if ((int)op != recorded.fail_op)
    return CDL_STATUS_OK;
  return recorded.mute ? recorded.fail_status : host->fail(recorded.fail_status, "error 42");
}

#define CDL_OP(name, tier)                                                    \
  static cdl_status record_##name(void *queue, const cdl_##name##_args *args) \
  {                                                                           \
    (void)queue, (void)args;                                                  \
    return record(CDL_OP_##name);                                             \
  }
#include "condlora/ops.def"
#undef CDL_OP

/* Of the ops that are not required, attention, add_layer_norm and svd are its own. */
#define REQUIRED(name) .name = record_##name,
#define COMPOSED(name)
#define HOST(name)
#define CDL_OP(name, tier) tier(name)
#define TABLE_DEVICE                                                                              \
  .enumerate = enumerate, .open = open_device, .close = close_device, .description = description, \
  .memory_info = memory_info, .queue_create = queue_create, .queue_destroy = queue_destroy,       \
  .sync = sync_queue, .allocate = allocate, .free = release, .upload = upload,                    \
  .download = download, .supports = supports
#define TABLE_FUNCTIONS                                                                 \
  TABLE_DEVICE, .attention = record_attention, .add_layer_norm = record_add_layer_norm, \
                .svd = record_svd

/* For the ops that a variant leaves out. */
#define KEEP_QUIET_ABOUT_UNUSED                                                                   \
  (void)record_linear, (void)record_linear_grad, (void)record_low_rank,                           \
      (void)record_low_rank_grad, (void)record_attention_grad, (void)record_clip_norm,            \
      (void)record_lu_solve, (void)record_lu_inverse, (void)record_qr, (void)record_eigh,         \
      (void)record_binary_cross_entropy, (void)record_map_weights, (void)record_map_weights_grad, \
      (void)record_add_layer_norm_grad

#endif
