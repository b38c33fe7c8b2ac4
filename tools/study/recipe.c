#include "tools/study/recipe.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "tools/study/data_path.h"

static const char suffix[] = ".json";

static int is_recipe(const struct dirent *entry)
{
  const size_t n = strlen(entry->d_name), end = sizeof suffix - 1;
  return n > end && strcmp(entry->d_name + n - end, suffix) == 0;
}

static cdl_status no_such_recipe(const char *folder, const char *name)
{
  struct dirent **entries = NULL;
  const int found = scandir(folder, &entries, is_recipe, alphasort);
  const size_t count = found > 0 ? (size_t)found : 0;
  const char **names = calloc(count + 1, sizeof *names);
  for (size_t i = 0; names != NULL && i < count; i++) {
    entries[i]->d_name[strlen(entries[i]->d_name) - (sizeof suffix - 1)] = '\0';
    names[i] = entries[i]->d_name;
  }
  char list[900] = "";
  for (size_t i = 0, used = 0; names != NULL && i < count && used < sizeof list; i++)
    used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "", names[i]);
  const cdl_status status =
      names != NULL && count > 0
          ? cdl_fail(CDL_STATUS_USAGE, "there is no recipe %s; there are %s", name, list)
          : cdl_fail(CDL_STATUS_ABSENT, "%s: no recipes here", folder);
  free(names);
  for (size_t i = 0; i < count; i++)
    free(entries[i]);
  free(entries);
  return status;
}

cdl_status study_recipe_find(const char *name, char **path)
{
  char file[NAME_MAX];
  *path = NULL;
  char *folder = study_data_path("recipes");
  if (folder == NULL)
    return cdl_fail(CDL_STATUS_ABSENT,
                    "--recipe %s: the recipes are not installed; expected them in %s/recipes", name,
                    STUDY_DATA);
  cdl_status status = CDL_STATUS_OK;
  const int length = snprintf(file, sizeof file, "%s%s", name, suffix);
  if (strchr(name, '/') != NULL || length >= (int)sizeof file)
    status = cdl_fail(CDL_STATUS_USAGE,
                      "--recipe needs a name such as rte-condlora, not '%s'; --config takes a file",
                      name);
  else if ((*path = base_path_join(folder, file)) == NULL)
    status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: --recipe");
  else if (!base_file_exists(*path))
    status = no_such_recipe(folder, name);
  if (status != CDL_STATUS_OK) {
    free(*path);
    *path = NULL;
  }
  free(folder);
  return status;
}
