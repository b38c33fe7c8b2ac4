#include "base/cache_path.h"

#include <stdio.h>
#include <stdlib.h>

static bool absolute(const char *folder)
{
  return folder != NULL && folder[0] == '/';
}

bool base_cache_path(char path[PATH_MAX], const char *name)
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
