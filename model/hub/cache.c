#include "model/hub/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"

static cdl_status no_memory(void)
{
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a path in the hub's cache");
}

static cdl_status make_path(char **path, int length)
{
  if (length >= 0)
    return CDL_STATUS_OK;
  *path = NULL;
  (void)no_memory();
  return CDL_STATUS_MEMORY;
}

cdl_status hub_cache_make_parent(const char *path)
{
  char *folder = strdup(path);
  if (folder == NULL)
    return no_memory();
  *strrchr(folder, '/') = '\0';
  const cdl_status status = base_folder_make(folder);
  free(folder);
  return status;
}

/* ---- The repository ---- */

/* Writes "models--OWNER--MODEL". */
static void folder_name(const char *repository, char name[HUB_REPOSITORY_BYTES + 16])
{
  const size_t owner = strcspn(repository, "/");
  const char *rest = repository[owner] == '/' ? repository + owner + 1 : NULL;
  snprintf(name, HUB_REPOSITORY_BYTES + 16, "models--%.*s%s%s", (int)owner, repository,
           rest != NULL ? "--" : "", rest != NULL ? rest : "");
}

cdl_status hub_cache_open(hub_cache *cache, const char *root, const char *repository)
{
  char name[HUB_REPOSITORY_BYTES + 16];
  folder_name(repository, name);
  *cache = (hub_cache){0};
  cache->folder = base_path_join(root, name);
  if (asprintf(&cache->locks, "%s/.locks/%s", root, name) < 0)
    cache->locks = NULL;
  if (cache->folder != NULL && cache->locks != NULL)
    return CDL_STATUS_OK;
  hub_cache_release(cache);
  return no_memory();
}

void hub_cache_release(hub_cache *cache)
{
  free(cache->folder);
  free(cache->locks);
  *cache = (hub_cache){0};
}

/* ---- Revisions ---- */

static cdl_status ref_path(const hub_cache *cache, const char *revision, char **path)
{
  return make_path(path, asprintf(path, "%s/refs/%s", cache->folder, revision));
}

cdl_status hub_cache_commit(const hub_cache *cache, const char *revision,
                            char commit[HUB_COMMIT_BYTES])
{
  char *path, text[HUB_COMMIT_BYTES + 1] = "";
  commit[0] = '\0';
  if (hub_is_commit(revision)) {
    strcpy(commit, revision);
    return CDL_STATUS_OK;
  }
  CDL_TRY(ref_path(cache, revision, &path));
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  free(path);
  if (descriptor < 0)
    return CDL_STATUS_OK;
  const ssize_t length = read(descriptor, text, sizeof text - 1);
  close(descriptor);
  if (length > 0)
    text[strcspn(text, " \r\n")] = '\0';
  if (hub_is_commit(text))
    strcpy(commit, text);
  return CDL_STATUS_OK;
}

static cdl_status write_ref(const char *path, const char *commit)
{
  base_output *output;
  CDL_TRY(hub_cache_make_parent(path));
  CDL_TRY(base_output_begin(path, &output));
  base_output_write(output, commit, strlen(commit));
  return base_output_commit(output);
}

cdl_status hub_cache_set_commit(const hub_cache *cache, const char *revision, const char *commit)
{
  char known[HUB_COMMIT_BYTES], *path;
  CDL_TRY(hub_cache_commit(cache, revision, known));
  if (strcmp(known, commit) == 0)
    return CDL_STATUS_OK;
  CDL_TRY(ref_path(cache, revision, &path));
  const cdl_status status = write_ref(path, commit);
  free(path);
  return status;
}

/* ---- Files of a commit ---- */

static cdl_status file_path(const hub_cache *cache, const char *kind, const char *commit,
                            const char *file, char **path)
{
  return make_path(path, asprintf(path, "%s/%s/%s/%s", cache->folder, kind, commit, file));
}

static cdl_status is_file(const hub_cache *cache, const char *kind, const char *commit,
                          const char *file, bool *is)
{
  char *path;
  struct stat facts;
  CDL_TRY(file_path(cache, kind, commit, file, &path));
  *is = stat(path, &facts) == 0 && S_ISREG(facts.st_mode);
  free(path);
  return CDL_STATUS_OK;
}

cdl_status hub_cache_find(const hub_cache *cache, const char *commit, const char *file,
                          hub_file_state *state)
{
  bool there, absent;
  CDL_TRY(is_file(cache, "snapshots", commit, file, &there));
  CDL_TRY(is_file(cache, ".no_exist", commit, file, &absent));
  *state = there ? HUB_FILE_THERE : absent ? HUB_FILE_ABSENT : HUB_FILE_UNKNOWN;
  return CDL_STATUS_OK;
}

cdl_status hub_cache_set_absent(const hub_cache *cache, const char *commit, const char *file)
{
  char *path;
  CDL_TRY(file_path(cache, ".no_exist", commit, file, &path));
  cdl_status status = hub_cache_make_parent(path);
  const int descriptor =
      status == CDL_STATUS_OK ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666) : -1;
  if (descriptor >= 0)
    close(descriptor);
  free(path);
  return status == CDL_STATUS_MEMORY ? status : CDL_STATUS_OK;
}

/* Writes the path of the blob as seen from the folder of "snapshots/COMMIT/FILE". */
static cdl_status link_target(const char *file, const char *hash, char **target)
{
  char up[3 * 64] = "";
  size_t depth = 2;
  for (const char *c = file; *c != '\0'; c++)
    depth += *c == '/';
  if (depth >= sizeof up / 3)
    return cdl_fail(CDL_STATUS_DATA, "\"%.200s\": lies in too many folders", file);
  for (size_t i = 0; i < depth; i++)
    strcat(up, "../");
  return make_path(target, asprintf(target, "%sblobs/%s", up, hash));
}

static bool exists(const char *path)
{
  struct stat facts;
  return stat(path, &facts) == 0;
}

/* A link that leads nowhere, because its blob was removed, is replaced. */
static cdl_status make_link(const char *target, const char *path, const char *blob)
{
  if (exists(path))
    return CDL_STATUS_OK;
  (void)unlink(path);
  if (symlink(target, path) == 0 || (errno == EEXIST && exists(path)))
    return CDL_STATUS_OK;
  const bool without_links = errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS;
  if (without_links && rename(blob, path) == 0)
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_IO, "%s: cannot be made: %s", path, strerror(errno));
}

cdl_status hub_cache_link(const hub_cache *cache, const char *commit, const char *file,
                          const char *hash)
{
  char *path, *target = NULL, *blob = NULL;
  CDL_TRY(file_path(cache, "snapshots", commit, file, &path));
  cdl_status status = hub_cache_make_parent(path);
  if (status == CDL_STATUS_OK)
    status = link_target(file, hash, &target);
  if (status == CDL_STATUS_OK)
    status = hub_cache_blob(cache, hash, &blob);
  if (status == CDL_STATUS_OK)
    status = make_link(target, path, blob);
  free(blob);
  free(target);
  free(path);
  return status;
}

/* ---- Paths and locks ---- */

cdl_status hub_cache_snapshot(const hub_cache *cache, const char *commit, char **folder)
{
  return make_path(folder, asprintf(folder, "%s/snapshots/%s", cache->folder, commit));
}

cdl_status hub_cache_blob(const hub_cache *cache, const char *hash, char **path)
{
  return make_path(path, asprintf(path, "%s/blobs/%s", cache->folder, hash));
}

/* Returns whether `descriptor` is locked. *gone: its file was removed meanwhile, and another
 * process may have a new one. */
static cdl_status try_lock(const char *path, int descriptor, bool *locked, bool *gone)
{
  struct stat facts;
  const int failed = flock(descriptor, LOCK_EX | LOCK_NB);
  *locked = failed == 0 || errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS;
  *gone = failed == 0 && fstat(descriptor, &facts) == 0 && facts.st_nlink == 0;
  if (*locked || errno == EWOULDBLOCK || errno == EINTR)
    return CDL_STATUS_OK;
  return cdl_fail(CDL_STATUS_IO, "%s: cannot be locked: %s", path, strerror(errno));
}

static cdl_status lock_path(const char *path, int *descriptor)
{
  bool locked, gone;
  CDL_TRY(hub_cache_make_parent(path));
  *descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (*descriptor < 0)
    return cdl_fail(CDL_STATUS_IO, "%s: cannot be made: %s", path, strerror(errno));
  const cdl_status status = try_lock(path, *descriptor, &locked, &gone);
  if (status == CDL_STATUS_OK && locked && !gone)
    return CDL_STATUS_OK;
  close(*descriptor);
  *descriptor = -1;
  return status;
}

cdl_status hub_cache_lock(const hub_cache *cache, const char *hash, int *descriptor)
{
  char *path;
  *descriptor = -1;
  CDL_TRY(make_path(&path, asprintf(&path, "%s/%s.lock", cache->locks, hash)));
  const cdl_status status = lock_path(path, descriptor);
  free(path);
  return status;
}
