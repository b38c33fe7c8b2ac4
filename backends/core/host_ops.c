/* The host path: copies the op's inputs to the built-in backend, runs the op there, and copies its
 * outputs back. It waits for the device twice. */
#include <stdlib.h>
#include <string.h>

#include "backends/core/buffer.h"
#include "backends/core/check.h"
#include "backends/core/check_views.h"
#include "backends/core/host_ops.h"
#include "backends/core/op.h"
#include "backends/core/queue.h"

static cdl_status host_backend(cdl_backend *backend, cdl_backend **host)
{
  pthread_mutex_lock(&backend->host_lock);
  cdl_status status = CDL_STATUS_OK;
  if (backend->host == NULL) {
    const cdl_backend_options options = {.size = sizeof options, .threads = backend->threads};
    status = cdl_backend_open("cpu", &options, &backend->host);
  }
  *host = backend->host;
  pthread_mutex_unlock(&backend->host_lock);
  return status;
}

/* An operand's elements, dense, in host memory. `on_host` is its view in the host backend. */
typedef struct {
  const cdl_tensor *on_device;
  cdl_tensor on_host;
  char *memory;
  size_t bytes;
} travelling;

/* Copies row by row if there are gaps, otherwise in one transfer. Operands here have no batch
 * dimensions. */
static cdl_status move_rows(cdl_queue *queue, const travelling *t, bool to_device)
{
  const cdl_backend_table *table = queue->backend->table;
  const cdl_tensor *x = t->on_device;
  const size_t element = cdl_dtype_bytes(x->dtype);
  const int64_t rows = core_is_dense(x) ? 1 : x->size[2];
  const size_t row_bytes = t->bytes / (size_t)rows;
  for (int64_t row = 0; row < rows; row++) {
    const size_t offset = (size_t)(x->offset + row * x->stride[2]) * element;
    char *memory = t->memory + (size_t)row * row_bytes;
    CDL_TRY(to_device ? table->upload(queue->handle, x->buffer, offset, memory, row_bytes)
                      : table->download(queue->handle, memory, x->buffer, offset, row_bytes));
  }
  return CDL_STATUS_OK;
}

static cdl_status prepare(cdl_queue *host, const cdl_tensor *on_device, travelling *t)
{
  const size_t elements = (size_t)cdl_tensor_elements(*on_device);
  *t = (travelling){.on_device = on_device, .bytes = elements * cdl_dtype_bytes(on_device->dtype)};
  t->memory = malloc(t->bytes > 0 ? t->bytes : 1);
  if (t->memory == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of host memory: wanted %zu bytes", t->bytes);
  cdl_buffer *buffer;
  CDL_TRY(core_buffer_create(host->backend, t->bytes, &buffer));
  t->on_host = cdl_tensor_2d(buffer, on_device->dtype, 0, on_device->size[2], on_device->size[3]);
  return CDL_STATUS_OK;
}

static bool is_output(const core_operand *operand)
{
  return (operand->role & OUT) != 0;
}

static cdl_status run_there(cdl_queue *queue, cdl_queue *host, cdl_op op, const void *args,
                            void *host_args, travelling *operands)
{
  const core_op_spec *spec = core_spec(op);
  memcpy(host_args, args, spec->args_bytes);
  memcpy(host_args, &spec->args_bytes, sizeof spec->args_bytes);
  for (int k = 0; k < spec->operand_count; k++) {
    const cdl_tensor *t = core_operand_of(spec, k, args);
    if (t->buffer == NULL)
      continue;
    CDL_TRY(prepare(host, t, &operands[k]));
    memcpy((char *)host_args + spec->operands[k].offset, &operands[k].on_host, sizeof(cdl_tensor));
    if (!is_output(&spec->operands[k]) && operands[k].bytes > 0)
      CDL_TRY(move_rows(queue, &operands[k], false));
  }
  CDL_TRY(queue->backend->table->sync(queue->handle));
  for (int k = 0; k < spec->operand_count; k++)
    if (operands[k].memory != NULL && !is_output(&spec->operands[k]))
      cdl_queue_upload(host, operands[k].on_host, operands[k].memory, operands[k].bytes);
  CDL_TRY(cdl_queue_status(host));
  if (cdl_op_path(host->backend, op, host_args) != CDL_PATH_NATIVE)
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "the backend %s does not do this on the host",
                    host->backend->table->name);
  CDL_TRY(core_run_native(host->backend->table, host->handle, op, host_args));
  for (int k = 0; k < spec->operand_count; k++)
    if (operands[k].memory != NULL && is_output(&spec->operands[k]))
      cdl_queue_download(host, operands[k].memory, operands[k].on_host, operands[k].bytes);
  CDL_TRY(cdl_queue_sync(host));
  for (int k = 0; k < spec->operand_count; k++)
    if (operands[k].bytes > 0 && is_output(&spec->operands[k]))
      CDL_TRY(move_rows(queue, &operands[k], true));
  return CDL_STATUS_OK;
}

cdl_status core_run_on_host(cdl_queue *queue, cdl_op op, const void *args)
{
  cdl_backend *backend;
  CDL_TRY(host_backend(queue->backend, &backend));
  if (queue->host == NULL)
    CDL_TRY(cdl_queue_create(backend, &queue->host));
  travelling operands[CORE_MAX_OPERANDS] = {0};
  void *host_args = malloc(core_spec(op)->args_bytes);
  if (host_args == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of host memory");
  const cdl_status status = run_there(queue, queue->host, op, args, host_args, operands);
  for (int k = 0; k < CORE_MAX_OPERANDS; k++) {
    core_buffer_destroy(operands[k].on_host.buffer);
    free(operands[k].memory);
  }
  free(host_args);
  if (cdl_queue_status(queue->host) !=
      CDL_STATUS_OK) { /* a failed queue would refuse the next op */
    cdl_queue_destroy(queue->host);
    queue->host = NULL;
  }
  return cdl_context(status, "on the host");
}
