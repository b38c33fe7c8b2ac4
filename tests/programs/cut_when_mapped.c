/* Preloaded: cuts the file that CUT_FILE names to nothing as soon as it is mapped, as another
 * program might while it is read. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Compiled as the program is, so this is the one that the program calls. */
#if defined(_FILE_OFFSET_BITS) && _FILE_OFFSET_BITS == 64
static const char mmap_name[] = "mmap64";
#else
static const char mmap_name[] = "mmap";
#endif

typedef void *mapper(void *, size_t, int, int, int, off_t);

__attribute__((visibility("default"))) void *mmap(void *at, size_t bytes, int protection, int flags,
                                                  int descriptor, off_t offset)
{
  mapper *next;
  void *symbol = dlsym(RTLD_NEXT, mmap_name);
  memcpy(&next, &symbol, sizeof next);
  void *mapped = next(at, bytes, protection, flags, descriptor, offset);
  const char *cut = getenv("CUT_FILE");
  char link[64], path[PATH_MAX] = "";
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  if (cut != NULL && descriptor >= 0 && readlink(link, path, sizeof path - 1) > 0 &&
      strcmp(path, cut) == 0 && truncate(path, 0) != 0)
    abort();
  return mapped;
}
