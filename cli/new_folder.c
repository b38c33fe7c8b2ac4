#include "cli/new_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/file.h"

cdl_status cli_new_folder_begin(const char *path, char **temporary)
{
  size_t length = strlen(path);
  struct stat facts;
  *temporary = NULL;
  while (length > 1 && path[length - 1] == '/')
    length--;
  if (lstat(path, &facts) == 0)
    return cdl_fail(CDL_ARGUMENT, "%s: exists already; --output wants a new folder", path);
  if (asprintf(temporary, "%.*s.tmp-%ld", (int)length, path, (long)getpid()) < 0) {
    *temporary = NULL;
    return cdl_fail(CDL_MEMORY, "%s: out of memory", path);
  }
  const cdl_status status = cdl_folder_make(*temporary);
  if (status != CDL_OK) {
    free(*temporary);
    *temporary = NULL;
  }
  return status;
}

/* Files alone are in it. */
static void remove_folder(const char *path)
{
  DIR *stream = opendir(path);
  if (stream == NULL)
    return;
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
    (void)unlinkat(dirfd(stream), entry->d_name, 0);
  closedir(stream);
  (void)rmdir(path);
}

cdl_status cli_new_folder_finish(const char *path, char *temporary, cdl_status status)
{
  if (status == CDL_OK && rename(temporary, path) != 0)
    status = cdl_fail(CDL_IO, "%s: cannot be made: %s", path, strerror(errno));
  if (status != CDL_OK)
    remove_folder(temporary);
  free(temporary);
  return status;
}
