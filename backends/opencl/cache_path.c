#include "backends/opencl/cache_path.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool absolute(const char *folder)
{
  return folder != NULL && folder[0] == '/';
}

bool opencl_cache_path(char path[PATH_MAX], const char *name)
{
  const char *own = secure_getenv("CDL_CACHE_DIR"), *xdg = secure_getenv("XDG_CACHE_HOME"),
             *home = secure_getenv("HOME");
  int length = PATH_MAX;
  if (own != NULL && own[0] != '\0')
    length = snprintf(path, PATH_MAX, "%s/%s", own, name);
  else if (absolute(xdg)) /* its specification says that relative paths are ignored */
    length = snprintf(path, PATH_MAX, "%s/condlora/%s", xdg, name);
  else if (absolute(home))
    length = snprintf(path, PATH_MAX, "%s/.cache/condlora/%s", home, name);
  return length > 0 && length < PATH_MAX;
}

bool opencl_tuning_path(char path[PATH_MAX], const char *device)
{
  static const char prefix[] = "opencl-tuning-";
  char name[NAME_MAX];
  const int length = snprintf(name, sizeof name, "%s%s.txt", prefix, device);
  for (char *at = name + strlen(prefix); at[0] != '\0' && strcmp(at, ".txt") != 0; at++)
    if (!isalnum((unsigned char)*at))
      *at = '-';
  return length < (int)sizeof name && opencl_cache_path(path, name);
}
