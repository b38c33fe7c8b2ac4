#include "base/temporary.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { DRAWN = 6, CHECK = 4, SUFFIX = DRAWN + CHECK, TRIES = 100 };
static const char mark[] = ".tmp-";
static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";

/* ---- Names ---- */

/* Returns the folder of `path`; the caller frees it. NULL with errno. */
static char *folder_of(const char *path)
{
  const char *slash = strrchr(path, '/');
  if (slash == NULL)
    return strdup(".");
  return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* The last letters of the suffix follow from the first ones, so that a user's name, such as
 * "out.tmp-backup", is not taken for one of these. */
static void append_check(char suffix[SUFFIX + 1])
{
  uint32_t bits = 2166136261u;
  for (int i = 0; i < DRAWN; i++)
    bits = (bits ^ (unsigned char)suffix[i]) * 16777619u;
  bits ^= bits >> 15;
  for (int i = DRAWN; i < SUFFIX; i++, bits /= 36)
    suffix[i] = letters[bits % 36];
  suffix[SUFFIX] = '\0';
}

/* Draws a new suffix at each call; the file system decides whether it is unused. */
static void draw_suffix(char suffix[SUFFIX + 1])
{
  static atomic_uint calls;
  struct timespec now = {0};
  clock_gettime(CLOCK_REALTIME, &now);
  uint64_t bits = (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
  bits ^= (uint64_t)getpid() << 40 ^ (uint64_t)atomic_fetch_add(&calls, 1) << 20;
  bits *= 0x9e3779b97f4a7c15u;
  bits ^= bits >> 29;
  for (int i = 0; i < DRAWN; i++, bits /= 36)
    suffix[i] = letters[bits % 36];
  append_check(suffix);
}

/* ---- Making ---- */

static void lock(int descriptor)
{
  /* Only a sweep can hold the lock, and only briefly. Without locks nothing is swept either. */
  while (flock(descriptor, LOCK_EX) != 0 && errno == EINTR)
    ;
}

typedef enum { THERE, ELSEWHERE, UNKNOWN } whereabouts;

/* Returns whether `name` is the open file; UNKNOWN with errno. */
static whereabouts look_for(int descriptor, int folder, const char *name)
{
  struct stat opened, named;
  if (fstat(descriptor, &opened) != 0)
    return UNKNOWN;
  if (fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? ELSEWHERE : UNKNOWN;
  return opened.st_dev == named.st_dev && opened.st_ino == named.st_ino ? THERE : ELSEWHERE;
}

/* Returns -1 with errno; EEXIST: the name is taken. */
static int make_one(const char *path, bool folder)
{
  if (!folder)
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (mkdir(path, 0777) != 0)
    return -1;
  const int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  const int error = errno;
  if (descriptor < 0)
    (void)rmdir(path);
  errno = error;
  return descriptor;
}

static bool make(const char *place, bool folder, char **temporary, int *descriptor)
{
  char suffix[SUFFIX + 1];
  base_temporary_sweep(place);
  for (int i = 0; i < TRIES; i++) {
    draw_suffix(suffix);
    if (asprintf(temporary, "%s%s%s", place, mark, suffix) < 0) {
      *temporary = NULL;
      errno = ENOMEM;
      return false;
    }
    *descriptor = make_one(*temporary, folder);
    if (*descriptor >= 0) {
      lock(*descriptor);
      const whereabouts where = look_for(*descriptor, AT_FDCWD, *temporary);
      if (where == THERE)
        return true;
      const int error = where == ELSEWHERE ? EEXIST : errno; /* swept before it was locked */
      close(*descriptor);
      if (where == UNKNOWN)
        (void)(folder ? rmdir(*temporary) : unlink(*temporary));
      errno = error;
    }
    const int error = errno;
    free(*temporary);
    *temporary = NULL;
    errno = error;
    if (error != EEXIST && error != EINTR)
      break;
  }
  *descriptor = -1;
  return false;
}

bool base_temporary_file(const char *place, char **temporary, int *descriptor)
{
  return make(place, false, temporary, descriptor);
}

bool base_temporary_folder(const char *place, char **temporary, int *descriptor)
{
  return make(place, true, temporary, descriptor);
}

/* ---- Removing ---- */

/* The folder contains only files. opendir is not used, because it needs memory, which may have run
 * out. */
static void empty_folder(int descriptor)
{
  _Alignas(struct dirent) char entries[4096];
  ssize_t bytes;
  while ((bytes = syscall(SYS_getdents64, descriptor, entries, sizeof entries)) > 0)
    for (ssize_t at = 0; at < bytes;) {
      const struct dirent *entry = (const struct dirent *)(const void *)(entries + at);
      (void)unlinkat(descriptor, entry->d_name, 0);
      at += entry->d_reclen;
    }
}

void base_temporary_remove_folder(const char *temporary)
{
  const int descriptor = open(temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor < 0)
    return;
  empty_folder(descriptor);
  close(descriptor);
  (void)rmdir(temporary);
}

/* The lock shows whether the writer lives. */
static void remove_if_abandoned(int folder, const char *name)
{
  struct stat facts;
  const int descriptor = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0)
    return;
  if (fstat(descriptor, &facts) == 0 && flock(descriptor, LOCK_EX | LOCK_NB) == 0 &&
      look_for(descriptor, folder, name) == THERE) {
    if (S_ISDIR(facts.st_mode)) {
      empty_folder(descriptor);
      (void)unlinkat(folder, name, AT_REMOVEDIR);
    } else if (S_ISREG(facts.st_mode)) {
      (void)unlinkat(folder, name, 0);
    }
  }
  close(descriptor);
}

/* Returns whether `tail` has the form of a suffix made here. */
static bool is_mark(const char *tail)
{
  char suffix[SUFFIX + 1];
  if (strlen(tail) != sizeof mark - 1 + SUFFIX || strncmp(tail, mark, sizeof mark - 1) != 0)
    return false;
  memcpy(suffix, tail + sizeof mark - 1, DRAWN);
  append_check(suffix);
  return strcmp(tail + sizeof mark - 1, suffix) == 0;
}

void base_temporary_sweep(const char *place)
{
  const char *slash = strrchr(place, '/'), *name = slash == NULL ? place : slash + 1;
  const size_t length = strlen(name);
  char *folder = folder_of(place);
  DIR *stream = folder != NULL ? opendir(folder) : NULL;
  for (const struct dirent *entry = stream != NULL ? readdir(stream) : NULL; entry != NULL;
       entry = readdir(stream))
    if (strncmp(entry->d_name, name, length) == 0 && is_mark(entry->d_name + length))
      remove_if_abandoned(dirfd(stream), entry->d_name);
  if (stream != NULL)
    closedir(stream);
  free(folder);
}

void base_folder_sweep(const char *folder)
{
  DIR *stream = opendir(folder);
  for (const struct dirent *entry = stream != NULL ? readdir(stream) : NULL; entry != NULL;
       entry = readdir(stream)) {
    const size_t length = strlen(entry->d_name), tail = sizeof mark - 1 + SUFFIX;
    if (length > tail && is_mark(entry->d_name + length - tail))
      remove_if_abandoned(dirfd(stream), entry->d_name);
  }
  if (stream != NULL)
    closedir(stream);
}

/* ---- Durability ---- */

int base_sync_file(int descriptor)
{
  int result;
  do
    result = fsync(descriptor);
  while (result != 0 && errno == EINTR);
  return result;
}

bool base_folder_open_of(const char *path, int *descriptor)
{
  char *folder = folder_of(path);
  *descriptor = folder != NULL ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  const bool opened = *descriptor >= 0 || (folder != NULL && errno == EACCES);
  const int error = errno;
  free(folder);
  errno = error;
  return opened;
}

int base_sync_folder(int descriptor)
{
  if (descriptor < 0 || base_sync_file(descriptor) == 0)
    return 0;
  return errno == EINVAL || errno == EROFS || errno == ENOTSUP ? 0 : -1;
}
