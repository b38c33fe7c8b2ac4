/* Which backends a run of the tests must find. */
#ifndef CONDLORA_TESTS_REQUIRED_H
#define CONDLORA_TESTS_REQUIRED_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Whether CDL_REQUIRE, names with commas between, has the backend's; its device, "opencl:0", plays
 * no part. */
static inline bool is_required(const char *backend)
{
  const char *list = getenv("CDL_REQUIRE");
  const size_t length = strcspn(backend, ":");
  while (list != NULL && *list != '\0') {
    const size_t entry = strcspn(list, ",");
    if (entry == length && strncmp(list, backend, length) == 0)
      return true;
    list += entry + (list[entry] == ',');
  }
  return false;
}

#endif
