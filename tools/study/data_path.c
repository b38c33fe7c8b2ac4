#include "tools/study/data_path.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "base/place.h"

/* Returns `folder`/`below`/`name` if it can be read, otherwise NULL. */
static char *readable(const char *folder, const char *below, const char *name)
{
  char *base = base_path_join(folder, below), *path = NULL;
  if (base != NULL)
    path = base_path_join(base, name);
  free(base);
  if (path != NULL && access(path, R_OK) != 0) {
    free(path);
    path = NULL;
  }
  return path;
}

typedef struct {
  const char *name;
  char *found;
} search;

static bool look_in(void *user, const char *folder)
{
  search *s = user;
  s->found = readable(folder, ".", s->name);
  return s->found != NULL;
}

char *study_data_path(const char *name)
{
  search s = {.name = name};
  char program[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  char *slash = length > 0 ? memrchr(program, '/', (size_t)length) : NULL;
  if (slash != NULL) {
    *slash = '\0';
    s.found = readable(program, "../share/condlora", name);
  }
  if (s.found != NULL || base_each_run_path(look_in, &s))
    return s.found;
  return readable(STUDY_DATA, ".", name);
}
