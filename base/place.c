#include "base/place.h"

#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char here; /* an address within the file */

static const struct link_map *own_map(Dl_info *info)
{
  void *map = NULL;
  return dladdr1(&here, info, &map, RTLD_DL_LINKMAP) != 0 ? map : NULL;
}

bool base_own_file(char path[PATH_MAX], bool *program)
{
  Dl_info info;
  const struct link_map *map = own_map(&info);
  if (map == NULL)
    return false;
  /* The loader knows the program by the name it was started with, which may be relative to another
   * folder than the current one. */
  *program = map->l_name == NULL || map->l_name[0] == '\0';
  return realpath(*program ? "/proc/self/exe" : info.dli_fname, path) != NULL;
}

/* Visits every folder of a run path; "$ORIGIN" is the folder of the file itself. */
static bool visit_list(const char *list, const char *origin, base_visit_folder *visit, void *user)
{
  static const char *const names[] = {"$ORIGIN", "${ORIGIN}"};
  for (size_t length; *list != '\0'; list += length + (list[length] == ':')) {
    char folder[PATH_MAX] = "";
    const char *rest = list;
    length = strcspn(list, ":");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
      if (length >= strlen(names[i]) && strncmp(list, names[i], strlen(names[i])) == 0) {
        strcpy(folder, origin);
        rest = list + strlen(names[i]);
        break;
      }
    const size_t used = strlen(folder), left = length - (size_t)(rest - list);
    if (used + left >= sizeof folder)
      continue;
    memcpy(folder + used, rest, left);
    folder[used + left] = '\0';
    if (folder[0] == '/' && visit(user, folder))
      return true;
  }
  return false;
}

bool base_each_run_path(base_visit_folder *visit, void *user)
{
  Dl_info info;
  char origin[PATH_MAX];
  bool program;
  const struct link_map *map = own_map(&info);
  if (map == NULL || map->l_ld == NULL || !base_own_file(origin, &program))
    return false;
  char *slash = strrchr(origin, '/');
  *slash = '\0';
  uintptr_t strings = 0;
  for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++)
    if (entry->d_tag == DT_STRTAB) /* as linked, or relocated by glibc */
      strings =
          entry->d_un.d_ptr < map->l_addr ? map->l_addr + entry->d_un.d_ptr : entry->d_un.d_ptr;
  for (const ElfW(Dyn) *entry = map->l_ld; strings != 0 && entry->d_tag != DT_NULL; entry++)
    if ((entry->d_tag == DT_RUNPATH || entry->d_tag == DT_RPATH) &&
        visit_list((const char *)strings + entry->d_un.d_val, origin, visit, user))
      return true;
  return false;
}
