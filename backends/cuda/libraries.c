#include "backends/cuda/libraries.h"

#include <dlfcn.h>
#include <glob.h>
#include <limits.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/trust.h"

/* A search under way. `said` is the end of the text in `looked`. */
typedef struct {
  const cdl_host *host;
  const cuda_library *library;
  char *looked;
  size_t said;
} search;

__attribute__((format(printf, 2, 3))) static void say(search *s, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  const int length =
      vsnprintf(s->looked + s->said, CUDA_LIBRARY_LOOKED_BYTES - s->said, format, arguments);
  va_end(arguments);
  if (length > 0 && s->said + (size_t)length < CUDA_LIBRARY_LOOKED_BYTES)
    s->said += (size_t)length;
  else
    s->looked[s->said] = '\0'; /* there is no room for this one */
}

static const char *variable(const char *name)
{
  const char *value = secure_getenv(name);
  return value != NULL && value[0] == '/' ? value : NULL;
}

cdl_status cuda_libraries_check(const cdl_host *host)
{
  const char *folder = secure_getenv("CDL_CUDA_LIBRARIES");
  if (folder != NULL && folder[0] != '/')
    return host->fail(CDL_STATUS_ABSENT, "CDL_CUDA_LIBRARIES: '%s' is not an absolute path",
                      folder);
  return CDL_STATUS_OK;
}

/* ---- One file ---- */

static void *open_path(search *s, const char *path)
{
  char resolved[PATH_MAX], reason[BASE_DISTRUST_BYTES];
  if (access(path, F_OK) != 0)
    return NULL;
  if (!base_trust(path, resolved, reason)) {
    s->host->log(CDL_LOG_NOTICE, "cuda: %s is not loaded: %s", path, reason);
    say(s, " (not trusted)");
    return NULL;
  }
  void *library = dlopen(resolved, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    const char *why = dlerror();
    say(s, " (it does not load: %.200s)", why != NULL ? why : "no reason given");
  }
  return library;
}

/* `root` as glob takes it: each of its characters means itself. */
static bool escape(const char *root, char escaped[PATH_MAX])
{
  size_t length = 0;
  for (const char *at = root; *at != '\0'; at++) {
    if (length + 3 > PATH_MAX)
      return false;
    if (strchr("\\*?[]{},~", *at) != NULL)
      escaped[length++] = '\\';
    escaped[length++] = *at;
  }
  escaped[length] = '\0';
  return true;
}

/* Opens one library that another needs. */
static bool open_need(search *s, const char *folder, const char *between, const char *stem)
{
  char escaped[PATH_MAX], pattern[2 * PATH_MAX];
  glob_t found;
  void *opened = NULL;
  if (!escape(folder, escaped) ||
      snprintf(pattern, sizeof pattern, "%s/%s%s.so.[0-9]*", escaped, between, stem) >=
          (int)sizeof pattern ||
      glob(pattern, 0, NULL, &found) != 0)
    return false;
  for (size_t i = 0; i < found.gl_pathc && opened == NULL; i++)
    opened = open_path(s, found.gl_pathv[i]); /* stays open as long as the process */
  globfree(&found);
  return opened != NULL;
}

/* The loader takes what is open already for what a library needs. pip puts each library into a
 * folder of its own, beside the others. */
static void open_needs(search *s, const char *folder)
{
  enum { NEEDS = sizeof s->library->needs / sizeof s->library->needs[0] };
  for (int i = 0; i < NEEDS && s->library->needs[i] != NULL; i++)
    if (!open_need(s, folder, "", s->library->needs[i]))
      open_need(s, folder, "../../*/lib/", s->library->needs[i]);
}

static void *open_in(search *s, const char *folder)
{
  char path[PATH_MAX];
  if (access(folder, F_OK) != 0)
    return NULL;
  say(s, "%s%s", s->said > 0 ? ", " : "", folder);
  for (int i = 0; i < CUDA_LIBRARY_VERSIONS && s->library->versions[i] != NULL; i++) {
    const int length = snprintf(path, sizeof path, "%s/%s.so.%s", folder, s->library->stem,
                                s->library->versions[i]);
    if (length >= (int)sizeof path || access(path, F_OK) != 0)
      continue;
    open_needs(s, folder);
    void *library = open_path(s, path);
    if (library != NULL)
      return library;
  }
  return NULL;
}

static void *open_by_name(search *s)
{
  void *library = NULL;
  char why[256] = "";
  bool absent = true;
  for (int i = 0; i < CUDA_LIBRARY_VERSIONS && s->library->versions[i] != NULL && library == NULL;
       i++) {
    char file[64];
    snprintf(file, sizeof file, "%s.so.%s", s->library->stem, s->library->versions[i]);
    library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    const char *error = library == NULL ? dlerror() : NULL;
    if (error == NULL ||
        (strncmp(error, file, strlen(file)) == 0 && strstr(error, "No such file") != NULL))
      continue; /* the file itself is not there */
    absent = false;
    snprintf(why, sizeof why, "%s", error);
  }
  if (library == NULL) {
    say(s, "%sthe loader's path", s->said > 0 ? ", " : "");
    if (!absent)
      say(s, " (it does not load: %.200s)", why);
  }
  return library;
}

/* ---- The places ---- */

static int newest_first(const void *a, const void *b)
{
  return strverscmp(*(char *const *)b, *(char *const *)a);
}

static void *open_in_each(search *s, const char *pattern)
{
  glob_t found;
  void *library = NULL;
  if (glob(pattern, GLOB_BRACE | GLOB_NOSORT, NULL, &found) != 0)
    return NULL;
  qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, newest_first);
  for (size_t i = 0; i < found.gl_pathc && library == NULL; i++)
    library = open_in(s, found.gl_pathv[i]);
  globfree(&found);
  return library;
}

static void *open_in_toolkit(search *s, const char *root)
{
  char folder[PATH_MAX];
  if (root == NULL || snprintf(folder, sizeof folder, "%s/lib64", root) >= (int)sizeof folder)
    return NULL;
  return open_in(s, folder);
}

/* pip's folders of a Python below `root`: one for all libraries since CUDA 13, one each before. */
static void *open_in_python(search *s, const char *root)
{
  char escaped[PATH_MAX], pattern[2 * PATH_MAX];
  if (root == NULL || !escape(root, escaped))
    return NULL;
  snprintf(pattern, sizeof pattern,
           "%s/lib{,64}/python3*/{site,dist}-packages/nvidia/{cu[0-9]*,%s}/lib", escaped,
           s->library->pip_folder);
  return open_in_each(s, pattern);
}

/* The places after the loader's path. */
static void *open_elsewhere(search *s)
{
  const char *conda = variable("CONDA_PREFIX"), *home = variable("HOME");
  char path[PATH_MAX];
  void *opened = open_in_toolkit(s, variable("CUDA_HOME"));
  if (opened == NULL)
    opened = open_in_toolkit(s, variable("CUDA_PATH"));
  if (opened == NULL)
    opened = open_in_toolkit(s, "/usr/local/cuda");
  if (opened == NULL)
    opened = open_in_each(s, "/usr/local/cuda-*/lib64");
  if (opened == NULL)
    opened = open_in_python(s, variable("VIRTUAL_ENV"));
  if (opened == NULL)
    opened = open_in_python(s, conda);
  if (opened == NULL && conda != NULL &&
      snprintf(path, sizeof path, "%s/lib", conda) < (int)sizeof path)
    opened = open_in(s, path);
  if (opened == NULL && home != NULL &&
      snprintf(path, sizeof path, "%s/.local", home) < (int)sizeof path)
    opened = open_in_python(s, path);
  if (opened == NULL)
    opened = open_in_python(s, "/usr/local");
  return opened != NULL ? opened : open_in_python(s, "/usr");
}

void *cuda_library_open(const cdl_host *host, const cuda_library *library,
                        char looked[CUDA_LIBRARY_LOOKED_BYTES])
{
  search s = {.host = host, .library = library, .looked = looked};
  const char *given = variable("CDL_CUDA_LIBRARIES");
  looked[0] = '\0';
  void *opened = given != NULL ? open_in(&s, given) : NULL;
  if (opened == NULL)
    opened = open_by_name(&s);
  if (opened == NULL && library->pip_folder != NULL)
    opened = open_elsewhere(&s);
  if (opened != NULL)
    host->log(CDL_LOG_DEBUG, "cuda: %s is %s", library->stem, cuda_library_path(opened));
  return opened;
}

const char *cuda_library_path(void *opened)
{
  const struct link_map *map = NULL;
  return dlinfo(opened, RTLD_DI_LINKMAP, (void *)&map) == 0 && map != NULL ? map->l_name : "";
}
