#include "base/new_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "base/temporary.h"

/* ---- Folders that are there already ---- */

static bool is_dot(const char *name)
{
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* The number of files in it; -1 where there is something else, or where it cannot be read. */
static int count_files(const char *path)
{
  int count = 0;
  DIR *stream = opendir(path);
  if (stream == NULL)
    return -1;
  for (const struct dirent *entry; count >= 0 && (entry = readdir(stream)) != NULL;) {
    struct stat facts;
    if (is_dot(entry->d_name))
      continue;
    const bool is_file = fstatat(dirfd(stream), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
                         S_ISREG(facts.st_mode);
    count = is_file ? count + 1 : -1;
  }
  closedir(stream);
  return count;
}

static bool same_file(const char *folder, const char *other, const char *name)
{
  char *paths[] = {base_path_join(folder, name), base_path_join(other, name)};
  base_mapping files[2] = {{0}, {0}};
  bool same = paths[0] != NULL && paths[1] != NULL &&
              base_file_map(paths[0], &files[0]) == CDL_STATUS_OK &&
              base_file_map(paths[1], &files[1]) == CDL_STATUS_OK;
  same = same && files[0].size == files[1].size &&
         memcmp(files[0].data, files[1].data, files[0].size) == 0;
  for (int i = 0; i < 2; i++) {
    base_file_unmap(&files[i]);
    free(paths[i]);
  }
  return same;
}

static bool same_folder(const char *folder, const char *other)
{
  const int count = count_files(folder);
  DIR *stream = count >= 0 && count == count_files(other) ? opendir(folder) : NULL;
  if (stream == NULL)
    return false;
  bool same = true;
  for (const struct dirent *entry; same && (entry = readdir(stream)) != NULL;)
    same = is_dot(entry->d_name) || same_file(folder, other, entry->d_name);
  closedir(stream);
  return same;
}

static cdl_status fail_existing(const char *path)
{
  return cdl_fail(CDL_STATUS_ARGUMENT, "%s: exists already; --output wants a new folder", path);
}

/* ---- Making one ---- */

static void release(base_new_folder *f)
{
  if (f->descriptor >= 0)
    close(f->descriptor);
  if (f->parent >= 0)
    close(f->parent);
  free(f->temporary);
  free(f->path);
  *f = (base_new_folder){.descriptor = -1, .parent = -1};
}

static cdl_status make_parents(const char *path)
{
  const char *slash = strrchr(path, '/');
  if (slash == NULL || slash == path)
    return CDL_STATUS_OK;
  char *parent = strndup(path, (size_t)(slash - path));
  if (parent == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  const cdl_status status = base_folder_make(parent);
  free(parent);
  return status;
}

cdl_status base_new_folder_begin(base_new_folder *f, const char *path)
{
  size_t length = strlen(path);
  struct stat facts;
  *f = (base_new_folder){.descriptor = -1, .parent = -1};
  while (length > 1 && path[length - 1] == '/')
    length--;
  f->path = strndup(path, length);
  if (f->path == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  cdl_status status = CDL_STATUS_OK;
  if (length == 0)
    status = cdl_fail(CDL_STATUS_ARGUMENT, "the name of a folder is empty");
  else if (lstat(f->path, &facts) == 0 && (!S_ISDIR(facts.st_mode) || count_files(f->path) < 1))
    status = fail_existing(path);
  if (status == CDL_STATUS_OK)
    status = make_parents(f->path);
  if (status == CDL_STATUS_OK && (!base_folder_open_of(f->path, &f->parent) ||
                                  !base_temporary_folder(f->path, &f->temporary, &f->descriptor)))
    status = cdl_fail(errno == ENOMEM ? CDL_STATUS_MEMORY : CDL_STATUS_IO, "%s: cannot be made: %s",
                      path, strerror(errno));
  if (status != CDL_STATUS_OK)
    release(f);
  return status;
}

/* Renames a folder; EEXIST where there is anything. 0, or -1 with errno. */
static int move(const char *from, const char *to)
{
#ifdef RENAME_NOREPLACE
  if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
    return 0;
  if (errno != EINVAL && errno != ENOSYS)
    return -1;
#endif
  struct stat facts; /* a file system that knows no such rename */
  if (lstat(to, &facts) == 0) {
    errno = EEXIST;
    return -1;
  }
  return rename(from, to);
}

static cdl_status fail_to_make(const base_new_folder *f)
{
  return cdl_fail(CDL_STATUS_IO, "%s: cannot be made: %s", f->path, strerror(errno));
}

static cdl_status put_in_place(const base_new_folder *f)
{
  if (base_sync_folder(f->descriptor) != 0)
    return fail_to_make(f);
  if (move(f->temporary, f->path) != 0) {
    if (errno != EEXIST)
      return fail_to_make(f);
    if (!same_folder(f->temporary, f->path))
      return fail_existing(f->path);
    base_temporary_remove_folder(f->temporary);
    return base_sync_folder(f->parent) == 0 ? CDL_STATUS_OK : fail_to_make(f);
  }
  if (base_sync_folder(f->parent) == 0)
    return CDL_STATUS_OK;
  const cdl_status status = fail_to_make(f);
  (void)move(f->path, f->temporary);
  return status;
}

cdl_status base_new_folder_finish(base_new_folder *f, cdl_status status)
{
  if (status == CDL_STATUS_OK)
    status = put_in_place(f);
  if (status != CDL_STATUS_OK)
    base_temporary_remove_folder(f->temporary);
  release(f);
  return status;
}
