/* Where the plug-ins of these tests lie: in the folder plugins/ beside the test program. */
#ifndef CONDLORA_TESTS_UNIT_PLUGINS_FIND_H
#define CONDLORA_TESTS_UNIT_PLUGINS_FIND_H

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/plugins/recording.h"

static inline const char *plugin_folder(void)
{
  static char folder[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", folder, sizeof folder - 16);
  folder[length > 0 ? length : 0] = '\0';
  strcpy(strrchr(folder, '/'), "/plugins");
  return folder;
}

static inline const char *plugin_path(const char *name)
{
  static char path[PATH_MAX + 64];
  snprintf(path, sizeof path, "%s/condlora-%s.so", plugin_folder(), name);
  return path;
}

/* An exported variable of a plug-in that is loaded already. */
static inline void *plugin_variable(const char *name, const char *variable)
{
  void *library = dlopen(plugin_path(name), RTLD_NOW | RTLD_NOLOAD);
  return library != NULL ? dlsym(library, variable) : NULL;
}

#endif
