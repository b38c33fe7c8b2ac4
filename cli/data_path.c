#include "cli/data_path.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/file.h"

/* `folder`/`below`/`name`, where that can be read. */
static char *readable(const char *folder, const char *below, const char *name)
{
  char *base = cdl_path_join(folder, below), *path = NULL;
  if (base != NULL)
    path = cdl_path_join(base, name);
  free(base);
  if (path != NULL && access(path, R_OK) != 0) {
    free(path);
    path = NULL;
  }
  return path;
}

char *cli_data_path(const char *name)
{
  static const char *const places[] = {"../share/condlora", ".."};
  char program[PATH_MAX] = "";
  const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  char *slash = length > 0 ? strrchr(program, '/') : NULL;
  for (size_t i = 0; slash != NULL && i < sizeof places / sizeof places[0]; i++) {
    *slash = '\0';
    char *path = readable(program, places[i], name);
    if (path != NULL)
      return path;
  }
  return readable(CLI_DATA, ".", name);
}
