#include "cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api.h"
#include "base/trust.h"

const uint64_t opencl_hash_start = 0xcbf29ce484222325u;

uint64_t opencl_hash(uint64_t hash, const void *data, size_t bytes)
{
  const unsigned char *byte = data;
  for (size_t i = 0; i < bytes; i++)
    hash = (hash ^ byte[i]) * 0x100000001b3u;
  return hash;
}

/* ---- Where ---- */

bool opencl_cache_chosen(void)
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

static bool key_path(char path[PATH_MAX], const char *key)
{
  char name[64];
  snprintf(name, sizeof name, "opencl-%016llx.bin",
           (unsigned long long)opencl_hash(opencl_hash_start, key, strlen(key)));
  return opencl_cache_path(path, name);
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
      opencl_hash(opencl_hash_start, all + key_bytes, h.content_bytes) != h.content_hash) {
    free(all);
    return NULL;
  }
  *bytes = h.content_bytes;
  memmove(all, all + key_bytes, h.content_bytes);
  return all;
}

void *opencl_cache_read(const char *key, size_t *bytes)
{
  char path[PATH_MAX], resolved[PATH_MAX], reason[BASE_DISTRUST_BYTES];
  if (!key_path(path, key))
    return NULL;
  if (access(path, F_OK) != 0)
    return NULL;
  if (!base_trust(path, resolved, reason)) { /* the driver runs what the file contains */
    opencl_host->log(CDL_LOG_NOTICE, "opencl: the kernels in %s are not used: %s", path, reason);
    return NULL;
  }
  FILE *file = fopen(resolved, "rbe");
  if (file == NULL)
    return NULL;
  void *content = read_content(file, key, bytes);
  fclose(file);
  if (content == NULL)
    opencl_host->log(CDL_LOG_DEBUG, "opencl: %s is broken or not ours; it is not used", path);
  else
    opencl_host->log(CDL_LOG_DEBUG, "opencl: kernels taken from %s", path);
  return content;
}

static bool write_content(FILE *file, const char *key, const void *content, size_t bytes)
{
  head h = {.key_bytes = strlen(key) + 1,
            .content_bytes = bytes,
            .content_hash = opencl_hash(opencl_hash_start, content, bytes)};
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

void opencl_cache_write(const char *key, const void *content, size_t bytes)
{
  char path[PATH_MAX], beside[PATH_MAX];
  if (!key_path(path, key) || snprintf(beside, sizeof beside, "%s.XXXXXX", path) >= PATH_MAX) {
    opencl_host->log(CDL_LOG_DEBUG, "opencl: no folder to keep compiled kernels in");
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
    opencl_host->log(CDL_LOG_DEBUG, "opencl: compiled kernels kept in %s", path);
  else
    opencl_host->log(CDL_LOG_DEBUG, "opencl: compiled kernels cannot be kept in %s: %s", path,
                     strerror(reason));
}
