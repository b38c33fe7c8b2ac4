/* Structs of the public interface that begin with their size. */
#ifndef CONDLORA_BASE_SIZED_H
#define CONDLORA_BASE_SIZED_H

#include <stddef.h>
#include <string.h>

#include "condlora/status.h"

/* ARGUMENT for a struct without a size. */
static inline cdl_status base_sized_check(const void *given, const char *what)
{
  size_t size;
  memcpy(&size, given, sizeof size);
  if (size >= sizeof size)
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_ARGUMENT, "%s: its size is %zu; it begins with its _init function",
                  what, size);
}

/* Copies what a caller gave into `to` [bytes], as this version has it: members that the caller's
 * version lacks are zero, all but the size where `given` is NULL. Errors: ARGUMENT, as above. */
static inline cdl_status base_sized_read(void *to, size_t bytes, const void *given,
                                         const char *what)
{
  memset(to, 0, bytes);
  if (given != NULL) {
    size_t size;
    CDL_TRY(base_sized_check(given, what));
    memcpy(&size, given, sizeof size);
    memcpy(to, given, size < bytes ? size : bytes);
  }
  memcpy(to, &bytes, sizeof bytes);
  return CDL_STATUS_OK;
}

/* Fills what a caller has room for: as much of `from` [bytes] as the caller's version knows. */
static inline void base_sized_write(void *given, const void *from, size_t bytes)
{
  size_t size;
  memcpy(&size, given, sizeof size);
  if (size > sizeof size)
    memcpy((char *)given + sizeof size, (const char *)from + sizeof size,
           (size < bytes ? size : bytes) - sizeof size);
}

#endif
