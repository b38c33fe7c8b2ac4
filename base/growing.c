#include "base/growing.h"

#include <stdlib.h>
#include <string.h>

cdl_status base_grow(void *data, size_t count, size_t size)
{
  void *old;
  memcpy(&old, data, sizeof old);
  void *grown = count > SIZE_MAX / 2 / size ? NULL : realloc(old, count * size);
  if (grown == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %zu elements of %zu bytes", count, size);
  memcpy(data, &grown, sizeof grown);
  return CDL_STATUS_OK;
}

static cdl_status reserve(void *data, size_t count, size_t *capacity, size_t more, size_t size)
{
  if (more <= *capacity - count)
    return CDL_STATUS_OK;
  if (more > SIZE_MAX / 4 - count)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an array");
  const size_t wanted = count + more + (count + more) / 2 + 64;
  CDL_TRY(base_grow(data, wanted, size));
  *capacity = wanted;
  return CDL_STATUS_OK;
}

cdl_status base_bytes_reserve(base_bytes *bytes, size_t more)
{
  if (bytes->most != 0 && (bytes->count > bytes->most || more > bytes->most - bytes->count))
    return cdl_fail(CDL_STATUS_DATA, "it grows to more than %zu bytes", bytes->most);
  return reserve(&bytes->data, bytes->count, &bytes->capacity, more, sizeof *bytes->data);
}

cdl_status base_ids_reserve(base_ids *ids, size_t more)
{
  return reserve(&ids->data, ids->count, &ids->capacity, more, sizeof *ids->data);
}

cdl_status base_points_reserve(base_points *points, size_t more)
{
  return reserve(&points->data, points->count, &points->capacity, more, sizeof *points->data);
}

cdl_status base_bytes_append(base_bytes *bytes, const void *data, size_t count)
{
  CDL_TRY(base_bytes_reserve(bytes, count));
  if (count != 0)
    memcpy(bytes->data + bytes->count, data, count);
  bytes->count += count;
  return CDL_STATUS_OK;
}
