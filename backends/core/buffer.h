/* Buffers that the core makes for itself, and the count of a backend's bytes. */
#ifndef CONDLORA_BACKENDS_CORE_BUFFER_H
#define CONDLORA_BACKENDS_CORE_BUFFER_H

#include "condlora/backend.h"

/* Like cdl_buffer_create and cdl_buffer_destroy, but not counted among the caller's buffers. */
cdl_status core_buffer_create(cdl_backend *backend, size_t bytes, cdl_buffer **buffer);
void core_buffer_destroy(cdl_buffer *buffer);
void core_count_bytes(cdl_backend *backend, size_t bytes);
void core_uncount_bytes(cdl_backend *backend, size_t bytes);

#endif
