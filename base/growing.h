/* Growing arrays. All zero is empty. The holder frees its data. */
#ifndef CONDLORA_BASE_GROWING_H
#define CONDLORA_BASE_GROWING_H

#include <stddef.h>
#include <stdint.h>

#include "condlora/status.h"

typedef struct {
  uint8_t *data;
  size_t count, capacity;
  size_t most; /* the largest size; a request for more is an error. 0: no limit */
} base_bytes;

typedef struct {
  int32_t *data;
  size_t count, capacity;
} base_ids;

typedef struct {
  uint32_t *data;
  size_t count, capacity;
} base_points;

/* Makes room for `more` elements after the present ones. Errors: MEMORY. */
CDL_MUST_USE cdl_status base_bytes_reserve(base_bytes *bytes, size_t more);
CDL_MUST_USE cdl_status base_ids_reserve(base_ids *ids, size_t more);
CDL_MUST_USE cdl_status base_points_reserve(base_points *points, size_t more);
CDL_MUST_USE cdl_status base_bytes_append(base_bytes *bytes, const void *data, size_t count);

/* Resizes *data to `count * size` bytes, or fails with MEMORY and leaves it unchanged. */
CDL_MUST_USE cdl_status base_grow(void *data, size_t count, size_t size);

#endif
