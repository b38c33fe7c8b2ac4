#include "backends/opencl/tuning_path.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/cache_path.h"

bool opencl_tuning_path(char path[PATH_MAX], const char *device)
{
  static const char prefix[] = "opencl-tuning-";
  char name[NAME_MAX];
  const int length = snprintf(name, sizeof name, "%s%s.txt", prefix, device);
  for (char *at = name + strlen(prefix); at[0] != '\0' && strcmp(at, ".txt") != 0; at++)
    if (!isalnum((unsigned char)*at))
      *at = '-';
  return length < (int)sizeof name && base_cache_path(path, name);
}
