/* A backend that does nothing, as a start for a new one. It has one device and host memory for
 * buffers, and every required op reports that it is not written. Replace the ops one by one; the
 * conformance suite tells which are right. */
#include <string.h>

#include "condlora/plugin.h"

static const cdl_host *host;

/* ---- The device ---- */

static cdl_status enumerate(int *count)
{
  *count = 1;
  return CDL_STATUS_OK;
}

/* In a real backend the device and a queue have memory; here only their addresses distinguish
 * them. */
static char the_device, a_queue;

static cdl_status open_device(const char *device_name, const cdl_open_options *options,
                              void **device)
{
  if (options->precision != CDL_PRECISION_FP32)
    return host->fail(CDL_STATUS_UNSUPPORTED, "it computes in fp32 alone");
  if (device_name[0] != '\0' && strcmp(device_name, "0") != 0)
    return host->fail(CDL_STATUS_ABSENT, "no device '%s', only 0", device_name);
  *device = &the_device;
  return CDL_STATUS_OK;
}

static void close_device(void *device)
{
  (void)device;
}

static const char *description(void *device)
{
  (void)device;
  return "a template without ops";
}

/* ---- Queues: work finishes inside the call, so there is nothing to wait for ---- */

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
  return CDL_STATUS_OK;
}

/* ---- Memory ---- */

static cdl_status allocate(void *device, size_t bytes, void **handle)
{
  (void)device;
  *handle = host->allocate(bytes, 64);
  return *handle != NULL ? CDL_STATUS_OK : host->fail(CDL_STATUS_MEMORY, "the host has no more");
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

/* ---- Ops ---- */

#define NOT_WRITTEN(op)                                                  \
  static cdl_status op(void *queue, const cdl_##op##_args *args)         \
  {                                                                      \
    (void)queue, (void)args;                                             \
    return host->fail(CDL_STATUS_UNSUPPORTED, "%s is not written", #op); \
  }

NOT_WRITTEN(copy)
NOT_WRITTEN(cast)
NOT_WRITTEN(permute)
NOT_WRITTEN(fill)
NOT_WRITTEN(gather_rows)
NOT_WRITTEN(scatter_add_rows)
NOT_WRITTEN(gemm)
NOT_WRITTEN(unary)
NOT_WRITTEN(unary_grad)
NOT_WRITTEN(binary)
NOT_WRITTEN(axpby)
NOT_WRITTEN(reduce)
NOT_WRITTEN(softmax)
NOT_WRITTEN(softmax_grad)
NOT_WRITTEN(layer_norm)
NOT_WRITTEN(layer_norm_grad)
NOT_WRITTEN(dropout)
NOT_WRITTEN(cross_entropy)
NOT_WRITTEN(squared_error)
NOT_WRITTEN(adamw)
NOT_WRITTEN(any_non_finite)

/* Composed and host ops stay NULL: the core builds them. */
static const cdl_backend_table table = {
    .header = CDL_TABLE_HEADER,
    .name = "null",
    .enumerate = enumerate,
    .open = open_device,
    .close = close_device,
    .description = description,
    .queue_create = queue_create,
    .queue_destroy = queue_destroy,
    .sync = sync_queue,
    .allocate = allocate,
    .free = release,
    .upload = upload,
    .download = download,
    .copy = copy,
    .cast = cast,
    .permute = permute,
    .fill = fill,
    .gather_rows = gather_rows,
    .scatter_add_rows = scatter_add_rows,
    .gemm = gemm,
    .unary = unary,
    .unary_grad = unary_grad,
    .binary = binary,
    .axpby = axpby,
    .reduce = reduce,
    .softmax = softmax,
    .softmax_grad = softmax_grad,
    .layer_norm = layer_norm,
    .layer_norm_grad = layer_norm_grad,
    .dropout = dropout,
    .cross_entropy = cross_entropy,
    .squared_error = squared_error,
    .adamw = adamw,
    .any_non_finite = any_non_finite,
};

CDL_EXPORT const cdl_backend_table *cdl_plugin(const cdl_host *given);

const cdl_backend_table *cdl_plugin(const cdl_host *given)
{
  host = given;
  return &table;
}
