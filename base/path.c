#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/temporary.h"

bool base_file_exists(const char *path)
{
  struct stat facts;
  return stat(path, &facts) == 0;
}

cdl_status base_file_find(const char *path, bool *there)
{
  struct stat facts;
  *there = stat(path, &facts) == 0;
  return *there || errno == ENOENT || errno == ENOTDIR
             ? CDL_STATUS_OK
             : cdl_fail(CDL_STATUS_IO, "%s: %s", path, strerror(errno));
}

char *base_path_last(const char *path)
{
  size_t end = strlen(path);
  while (end > 1 && path[end - 1] == '/')
    end--;
  size_t start = end;
  while (start > 0 && path[start - 1] != '/')
    start--;
  if (start == end) /* the root alone */
    start = 0;
  return strndup(path + start, end - start);
}

char *base_path_join(const char *folder, const char *name)
{
  const size_t length = strlen(folder);
  const bool separate = length > 0 && folder[length - 1] != '/';
  char *path = malloc(length + separate + strlen(name) + 1);
  if (path == NULL)
    return NULL;
  memcpy(path, folder, length);
  if (separate)
    path[length] = '/';
  strcpy(path + length + separate, name);
  return path;
}

static cdl_status make_one_folder(const char *folder)
{
  struct stat facts;
  if (stat(folder, &facts) == 0) {
    if (S_ISDIR(facts.st_mode))
      return CDL_STATUS_OK;
    return cdl_fail(CDL_STATUS_IO, "%s: is a file, expected a folder", folder);
  }
  int parent;
  if (!base_folder_open_of(folder, &parent))
    return cdl_fail(CDL_STATUS_IO, "%s: cannot make this folder: %s", folder, strerror(errno));
  cdl_status status = CDL_STATUS_OK;
  const bool made = mkdir(folder, 0777) == 0;
  if ((!made && errno != EEXIST) || base_sync_folder(parent) != 0) {
    status = cdl_fail(CDL_STATUS_IO, "%s: cannot make this folder: %s", folder, strerror(errno));
    if (made)
      (void)rmdir(folder);
  }
  if (parent >= 0)
    close(parent);
  return status;
}

cdl_status base_folder_is_empty(const char *path, bool *empty)
{
  DIR *stream = opendir(path);
  *empty = stream != NULL || errno == ENOENT || errno == ENOTDIR;
  if (!*empty)
    return cdl_fail(errno == ENOMEM ? CDL_STATUS_MEMORY : CDL_STATUS_IO, "%s: cannot be read: %s",
                    path, strerror(errno));
  for (const struct dirent *entry; stream != NULL && *empty && (entry = readdir(stream)) != NULL;)
    *empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
             strcmp(entry->d_name, BASE_LOCK_NAME) == 0;
  if (stream != NULL)
    closedir(stream);
  return CDL_STATUS_OK;
}

cdl_status base_folder_make(const char *path)
{
  if (path[0] == '\0')
    return cdl_fail(CDL_STATUS_ARGUMENT, "the name of a folder is empty");
  char *folder = strdup(path);
  if (folder == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  size_t length = strlen(folder);
  while (length > 1 && folder[length - 1] == '/')
    folder[--length] = '\0';
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 1; i < length && status == CDL_STATUS_OK; i++) {
    if (folder[i] != '/' || folder[i - 1] == '/')
      continue;
    folder[i] = '\0';
    status = make_one_folder(folder);
    folder[i] = '/';
  }
  if (status == CDL_STATUS_OK)
    status = make_one_folder(folder);
  free(folder);
  return status;
}
