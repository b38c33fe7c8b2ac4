#include "backends/kernels/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cache_path.h"
#include "base/hash.h"
#include "base/trust.h"

/* ---- Where ---- */

bool kernel_cache_chosen(void)
{
  const char *own = secure_getenv("CDL_CACHE_DIR");
  return own != NULL && own[0] != '\0';
}

static bool make_folders(const char *file)
{
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s", file);
  for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
      return false;
    *slash = '/';
  }
  return true;
}

/* ---- A file: this head, the key with its final zero, the content ---- */

typedef struct {
  char magic[16];
  uint64_t key_bytes, content_bytes, content_hash;
} head;

static const char magic[16] = "condlora-cache1";

static bool key_path(const kernel_cache *cache, char path[PATH_MAX], const char *key)
{
  char name[64];
  snprintf(name, sizeof name, "%.32s-%016llx.bin", cache->backend,
           (unsigned long long)base_fnv(BASE_FNV_START, key, strlen(key)));
  return base_cache_path(path, name);
}

static void *read_content(FILE *file, const char *key, size_t *bytes)
{
  head h;
  struct stat at;
  const size_t key_bytes = strlen(key) + 1;
  if (fstat(fileno(file), &at) != 0 || fread(&h, sizeof h, 1, file) != 1 ||
      memcmp(h.magic, magic, sizeof magic) != 0 || h.key_bytes != key_bytes ||
      (uint64_t)at.st_size < sizeof h + key_bytes ||
      h.content_bytes != (uint64_t)at.st_size - sizeof h - key_bytes)
    return NULL;
  char *all = malloc(key_bytes + h.content_bytes);
  if (all == NULL)
    return NULL;
  if (fread(all, key_bytes + h.content_bytes, 1, file) != 1 || memcmp(all, key, key_bytes) != 0 ||
      base_fnv(BASE_FNV_START, all + key_bytes, h.content_bytes) != h.content_hash) {
    free(all);
    return NULL;
  }
  *bytes = h.content_bytes;
  memmove(all, all + key_bytes, h.content_bytes);
  return all;
}

void *kernel_cache_read(const kernel_cache *cache, const char *key, size_t *bytes)
{
  char path[PATH_MAX], resolved[PATH_MAX], reason[BASE_DISTRUST_BYTES];
  if (!key_path(cache, path, key))
    return NULL;
  if (access(path, F_OK) != 0)
    return NULL;
  if (!base_trust(path, resolved, reason)) { /* the driver runs what the file contains */
    cache->host->log(CDL_LOG_NOTICE, "%s: the kernels in %s are not used: %s", cache->backend, path,
                     reason);
    return NULL;
  }
  FILE *file = fopen(resolved, "rbe");
  if (file == NULL)
    return NULL;
  void *content = read_content(file, key, bytes);
  fclose(file);
  if (content == NULL)
    cache->host->log(CDL_LOG_DEBUG, "%s: %s is broken or not ours; it is not used", cache->backend,
                     path);
  else
    cache->host->log(CDL_LOG_DEBUG, "%s: kernels taken from %s", cache->backend, path);
  return content;
}

static bool write_content(FILE *file, const char *key, const void *content, size_t bytes)
{
  head h = {.key_bytes = strlen(key) + 1,
            .content_bytes = bytes,
            .content_hash = base_fnv(BASE_FNV_START, content, bytes)};
  memcpy(h.magic, magic, sizeof magic);
  return fwrite(&h, sizeof h, 1, file) == 1 && fwrite(key, h.key_bytes, 1, file) == 1 &&
         fwrite(content, bytes, 1, file) == 1;
}

/* Removes files of dead writers of `path`; each writer holds a lock on its file. */
static void sweep(const char *path)
{
  enum { SUFFIX = 7 }; /* of "PATH.XXXXXX" */
  char folder[PATH_MAX];
  const char *name = strrchr(path, '/') + 1;
  snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path);
  DIR *stream = opendir(folder);
  for (const struct dirent *entry = stream != NULL ? readdir(stream) : NULL; entry != NULL;
       entry = readdir(stream)) {
    const size_t length = strlen(name);
    if (strncmp(entry->d_name, name, length) != 0 || entry->d_name[length] != '.' ||
        strlen(entry->d_name) != length + SUFFIX)
      continue;
    const int file =
        openat(dirfd(stream), entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
      continue;
    if (flock(file, LOCK_EX | LOCK_NB) == 0)
      (void)unlinkat(dirfd(stream), entry->d_name, 0);
    close(file);
  }
  if (stream != NULL)
    closedir(stream);
}

void kernel_cache_write(const kernel_cache *cache, const char *key, const void *content,
                        size_t bytes)
{
  char path[PATH_MAX], beside[PATH_MAX];
  if (!key_path(cache, path, key) ||
      snprintf(beside, sizeof beside, "%s.XXXXXX", path) >= PATH_MAX) {
    cache->host->log(CDL_LOG_DEBUG, "%s: no folder to keep compiled kernels in", cache->backend);
    return;
  }
  const bool placed = make_folders(path);
  if (placed)
    sweep(path);
  const int descriptor = placed ? mkostemp(beside, O_CLOEXEC) : -1;
  if (descriptor >= 0)
    (void)flock(descriptor, LOCK_EX | LOCK_NB);
  FILE *file = descriptor >= 0 ? fdopen(descriptor, "wb") : NULL;
  bool written = file != NULL && write_content(file, key, content, bytes);
  if (file != NULL)
    written = fclose(file) == 0 && written;
  else if (descriptor >= 0)
    close(descriptor);
  written = written && rename(beside, path) == 0;
  const int reason = errno;
  if (!written && descriptor >= 0)
    unlink(beside);
  if (written)
    cache->host->log(CDL_LOG_DEBUG, "%s: compiled kernels kept in %s", cache->backend, path);
  else
    cache->host->log(CDL_LOG_DEBUG, "%s: compiled kernels cannot be kept in %s: %s", cache->backend,
                     path, strerror(reason));
}
