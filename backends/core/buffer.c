/* Buffers, and the bytes that they and the weights take. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/core/backend.h"
#include "backends/core/buffer.h"
#include "backends/core/loader.h"
#include "base/sized.h"

void core_count_bytes(cdl_backend *backend, size_t bytes)
{
  const size_t used = atomic_fetch_add(&backend->used_bytes, bytes) + bytes;
  size_t peak = atomic_load(&backend->peak_bytes);
  while (used > peak && !atomic_compare_exchange_weak(&backend->peak_bytes, &peak, used))
    ;
}

void core_uncount_bytes(cdl_backend *backend, size_t bytes)
{
  atomic_fetch_sub(&backend->used_bytes, bytes);
}

static cdl_status device_memory(const cdl_backend *backend, cdl_device_memory *memory)
{
  *memory = (cdl_device_memory){0};
  return backend->table->memory_info != NULL ? backend->table->memory_info(backend->device, memory)
                                             : CDL_STATUS_OK;
}

static cdl_status refuse_memory(const cdl_backend *backend, size_t bytes)
{
  char reason[CORE_MESSAGE_BYTES];
  snprintf(reason, sizeof reason, "%s", cdl_error_message());
  const char *between = reason[0] != '\0' ? ": " : "";
  cdl_device_memory memory;
  if (device_memory(backend, &memory) != CDL_STATUS_OK || memory.total_bytes == 0)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory: wanted %zu bytes%s%s",
                    backend->table->name, bytes, between, reason);
  if (memory.free_bytes == 0) /* the device does not know */
    return cdl_fail(CDL_STATUS_MEMORY,
                    "%s: out of memory: wanted %zu bytes, the device has %zu in all%s%s",
                    backend->table->name, bytes, memory.total_bytes, between, reason);
  return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory: wanted %zu bytes, %zu of %zu are free%s%s",
                  backend->table->name, bytes, memory.free_bytes, memory.total_bytes, between,
                  reason);
}

cdl_status core_buffer_create(cdl_backend *backend, size_t bytes, cdl_buffer **buffer)
{
  base_clear_message();
  if (bytes > PTRDIFF_MAX)
    return refuse_memory(backend, bytes);
  cdl_buffer *created = calloc(1, sizeof *created);
  if (created == NULL)
    return refuse_memory(backend, bytes);
  /* An empty buffer has an address too: not every device can allocate zero bytes. */
  const cdl_status status =
      backend->table->allocate(backend->device, bytes > 0 ? bytes : 1, &created->handle);
  if (status != CDL_STATUS_OK) {
    free(created);
    return status == CDL_STATUS_MEMORY
               ? refuse_memory(backend, bytes)
               : cdl_context(base_give_reason(status), "%s: buffer of %zu bytes",
                             backend->table->name, bytes);
  }
  created->bytes = bytes;
  created->owner = backend;
  core_count_bytes(backend, bytes);
  *buffer = created;
  return CDL_STATUS_OK;
}

void core_buffer_destroy(cdl_buffer *buffer)
{
  if (buffer == NULL)
    return;
  cdl_backend *backend = buffer->owner;
  backend->table->free(backend->device, buffer->handle);
  if (buffer->is_file)
    atomic_fetch_sub(&backend->mapped_bytes, buffer->bytes);
  else
    core_uncount_bytes(backend, buffer->bytes);
  free(buffer);
}

cdl_status cdl_buffer_wrap(cdl_backend *backend, void *foreign, size_t bytes, cdl_buffer **buffer)
{
  if (backend == NULL || foreign == NULL || buffer == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_buffer_wrap: %s is NULL",
                    backend == NULL   ? "backend"
                    : foreign == NULL ? "the foreign memory"
                                      : "buffer");
  *buffer = NULL;
  const cdl_backend_table *table = backend->table;
  if (table->wrap_memory == NULL)
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: takes no foreign memory", table->name);
  cdl_buffer *created = calloc(1, sizeof *created);
  if (created == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory for a buffer", table->name);
  base_clear_message();
  const cdl_status status = table->wrap_memory(backend->device, foreign, bytes, &created->handle);
  if (status != CDL_STATUS_OK) {
    free(created);
    return cdl_context(base_give_reason(status), "%s: foreign memory of %zu bytes", table->name,
                       bytes);
  }
  created->owner = backend;
  core_count_bytes(backend, bytes);
  created->bytes = bytes;
  atomic_fetch_add(&backend->buffers, 1);
  *buffer = created;
  return CDL_STATUS_OK;
}

cdl_status cdl_buffer_map(cdl_backend *backend, const void *mapped, size_t bytes,
                          cdl_buffer **buffer)
{
  if (backend == NULL || mapped == NULL || buffer == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_buffer_map: %s is NULL",
                    backend == NULL  ? "backend"
                    : mapped == NULL ? "the mapping"
                                     : "buffer");
  *buffer = NULL;
  const cdl_backend_table *table = backend->table;
  if (table->map_file == NULL)
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: reads no mapped files", table->name);
  if ((uintptr_t)mapped % sizeof(float) != 0)
    return cdl_fail(CDL_STATUS_UNSUPPORTED,
                    "%s: reads no mapped file at an address that is no multiple of %zu",
                    table->name, sizeof(float));
  cdl_buffer *created = calloc(1, sizeof *created);
  if (created == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory for a buffer", table->name);
  base_clear_message();
  const cdl_status status = table->map_file(backend->device, mapped, bytes, &created->handle);
  if (status != CDL_STATUS_OK) {
    free(created);
    return cdl_context(base_give_reason(status), "%s: %zu bytes of a mapped file", table->name,
                       bytes);
  }
  created->owner = backend;
  created->bytes = bytes;
  created->is_file = true;
  atomic_fetch_add(&backend->mapped_bytes, bytes);
  atomic_fetch_add(&backend->buffers, 1);
  *buffer = created;
  return CDL_STATUS_OK;
}

cdl_status cdl_buffer_create(cdl_backend *backend, size_t bytes, cdl_buffer **buffer)
{
  if (backend == NULL || buffer == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_buffer_create: %s is NULL",
                    backend == NULL ? "backend" : "buffer");
  *buffer = NULL;
  CDL_TRY(core_buffer_create(backend, bytes, buffer));
  atomic_fetch_add(&backend->buffers, 1);
  return CDL_STATUS_OK;
}

void cdl_buffer_destroy(cdl_buffer *buffer)
{
  if (buffer == NULL)
    return;
  cdl_backend *backend = buffer->owner;
  core_buffer_destroy(buffer);
  atomic_fetch_sub(&backend->buffers, 1);
}

cdl_status cdl_buffer_address(const cdl_buffer *buffer, cdl_memory_address *address)
{
  if (buffer == NULL || address == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_buffer_address: %s is NULL",
                    buffer == NULL ? "buffer" : "address");
  const cdl_backend_table *table = buffer->owner->table;
  *address = (cdl_memory_address){.memory = NULL};
  if (table->memory_address == NULL)
    return cdl_fail(CDL_STATUS_UNSUPPORTED, "%s: tells no address of its memory", table->name);
  base_clear_message();
  const cdl_status status = table->memory_address(buffer->owner->device, buffer->handle, address);
  return status == CDL_STATUS_OK
             ? status
             : cdl_context(base_give_reason(status), "%s: the address of a buffer", table->name);
}

size_t cdl_buffer_bytes(const cdl_buffer *buffer)
{
  return buffer->bytes;
}

cdl_status cdl_host_allocate(cdl_backend *backend, size_t bytes, void **memory)
{
  if (backend == NULL || memory == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_host_allocate: %s is NULL",
                    backend == NULL ? "backend" : "memory");
  const cdl_backend_table *table = backend->table;
  const size_t wanted = bytes > 0 ? bytes : 1;
  *memory = NULL;
  base_clear_message();
  if (table->pinned_allocate != NULL) {
    const cdl_status status = table->pinned_allocate(backend->device, wanted, memory);
    return status == CDL_STATUS_OK
               ? CDL_STATUS_OK
               : cdl_context(base_give_reason(status), "%s: host memory of %zu bytes", table->name,
                             bytes);
  }
  *memory = core_host.allocate(wanted, 64);
  return *memory != NULL ? CDL_STATUS_OK
                         : cdl_fail(CDL_STATUS_MEMORY, "%s: out of host memory: wanted %zu bytes",
                                    table->name, bytes);
}

void cdl_host_free(cdl_backend *backend, void *memory)
{
  if (memory == NULL)
    return;
  if (backend->table->pinned_free != NULL)
    backend->table->pinned_free(backend->device, memory);
  else
    core_host.release(memory);
}

cdl_status cdl_backend_memory(const cdl_backend *backend, cdl_memory_info *info)
{
  if (backend == NULL || info == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_backend_memory: %s is NULL",
                    backend == NULL ? "backend" : "info");
  CDL_TRY(base_sized_check(info, "cdl_memory_info"));
  cdl_device_memory memory;
  CDL_TRY(device_memory(backend, &memory));
  const cdl_memory_info all = {.size = sizeof all,
                               .used_bytes = atomic_load(&backend->used_bytes),
                               .peak_bytes = atomic_load(&backend->peak_bytes),
                               .free_bytes = memory.free_bytes,
                               .total_bytes = memory.total_bytes,
                               .mapped_bytes = atomic_load(&backend->mapped_bytes)};
  base_sized_write(info, &all, sizeof all);
  return CDL_STATUS_OK;
}
