#include "base/library_folders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { VISITED_MAX = 32 };

/* A folder that is several of the searched places is visited once. */
typedef struct {
  base_visit_folder *visit;
  void *user;
  size_t count;
  struct {
    dev_t device;
    ino_t inode;
  } visited[VISITED_MAX];
} visitor;

static bool visit_once(void *user, const char *folder)
{
  visitor *v = user;
  struct stat at;
  if (stat(folder, &at) != 0)
    return v->visit(v->user, folder);
  for (size_t i = 0; i < v->count; i++)
    if (v->visited[i].device == at.st_dev && v->visited[i].inode == at.st_ino)
      return false;
  if (v->count < VISITED_MAX) {
    v->visited[v->count].device = at.st_dev;
    v->visited[v->count++].inode = at.st_ino;
  }
  return v->visit(v->user, folder);
}

/* Links in the way are resolved, so that a message shows the folder itself. */
static bool visit_below(visitor *v, const char *own, const char *place)
{
  char path[PATH_MAX], folder[PATH_MAX];
  return snprintf(path, sizeof path, "%s/%s", own, place) < (int)sizeof path &&
         realpath(path, folder) != NULL && visit_once(v, folder);
}

static bool visit_own(visitor *v)
{
  char own[PATH_MAX];
  bool program;
  if (!base_own_file(own, &program))
    return false;
  *strrchr(own, '/') = '\0';
  if (visit_once(v, own[0] != '\0' ? own : "/"))
    return true;
  if (!program)
    return visit_below(v, own, BASE_LIBRARY_SUBFOLDER);
  return visit_below(v, own, BASE_LIBRARY_FROM_PROGRAM "/" BASE_LIBRARY_SUBFOLDER) ||
         visit_below(v, own, "../lib/" BASE_LIBRARY_SUBFOLDER);
}

bool base_each_library_folder(base_visit_folder *visit, void *user)
{
  visitor v = {.visit = visit, .user = user};
  return visit_own(&v) || base_each_run_path(visit_once, &v) ||
         visit_once(&v, BASE_LIBRARY_FOLDER "/" BASE_LIBRARY_SUBFOLDER);
}
