#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mapped.h"
#include "base/temporary.h"

enum { BUFFER_BYTES = 1 << 16 };

struct base_output {
  char *path;
  char *temporary;        /* NULL if `path` is a device or a pipe, which is written in place */
  int descriptor, folder; /* `folder` is that of `path`, or -1 */
  bool replaces;          /* the file exists already */
  bool failed;
  int error; /* errno of the first failure */
  const char *action;
  size_t used;
  uint8_t buffer[BUFFER_BYTES];
};

/* ---- Reading ---- */

static cdl_status fail_to_read(const char *path)
{
  const int error = errno;
  if (error == ENOENT || error == ENOTDIR)
    return cdl_fail(CDL_STATUS_ABSENT, "%s: no such file", path);
  return cdl_fail(CDL_STATUS_IO, "%s: cannot be read: %s", path, strerror(error));
}

static cdl_status map_descriptor(const char *path, int descriptor, base_mapping *mapping)
{
  static const uint8_t nothing[1];
  struct stat facts;
  if (fstat(descriptor, &facts) != 0)
    return fail_to_read(path);
  if (S_ISDIR(facts.st_mode))
    return cdl_fail(CDL_STATUS_IO, "%s: is a folder, expected a file", path);
  if (!S_ISREG(facts.st_mode))
    return cdl_fail(CDL_STATUS_IO, "%s: is not a regular file", path);
  if ((uintmax_t)facts.st_size > SIZE_MAX)
    return cdl_fail(CDL_STATUS_IO, "%s: is too large for this machine", path);
  if (facts.st_size == 0) {
    *mapping = (base_mapping){.data = nothing, .size = 0};
    return CDL_STATUS_OK;
  }
  const size_t size = (size_t)facts.st_size;
  void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (data == MAP_FAILED)
    return fail_to_read(path);
  const cdl_status noted = base_mapped_add(data, size, path);
  if (noted != CDL_STATUS_OK) {
    munmap(data, size);
    return noted;
  }
  *mapping = (base_mapping){.data = data,
                            .size = size,
                            .device = facts.st_dev,
                            .inode = facts.st_ino,
                            .modified = facts.st_mtim};
  return CDL_STATUS_OK;
}

cdl_status base_file_map(const char *path, base_mapping *mapping)
{
  *mapping = (base_mapping){0};
  /* Without O_NONBLOCK opening a pipe would wait for its writer. */
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return fail_to_read(path);
  const cdl_status status = map_descriptor(path, descriptor, mapping);
  close(descriptor);
  return status;
}

void base_file_unmap(base_mapping *mapping)
{
  if (mapping->size > 0) {
    base_mapped_remove(mapping->data);
    munmap((void *)(uintptr_t)mapping->data, mapping->size);
  }
  *mapping = (base_mapping){0};
}

bool base_file_unchanged(const char *path, const base_mapping *mapping)
{
  struct stat now;
  if (mapping->size == 0 || stat(path, &now) != 0 || now.st_dev != mapping->device ||
      now.st_ino != mapping->inode)
    return true;
  return (uintmax_t)now.st_size == mapping->size &&
         now.st_mtim.tv_sec == mapping->modified.tv_sec &&
         now.st_mtim.tv_nsec == mapping->modified.tv_nsec;
}

void base_file_discard(const base_mapping *mapping, size_t offset, size_t bytes)
{
  if (offset >= mapping->size || bytes == 0)
    return;
  if (bytes > mapping->size - offset)
    bytes = mapping->size - offset;
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const size_t first = offset - offset % page;
  madvise((void *)((uintptr_t)mapping->data + first), offset - first + bytes, MADV_DONTNEED);
}

/* ---- Writing ---- */

static void destroy(base_output *output)
{
  if (output->descriptor >= 0)
    close(output->descriptor);
  if (output->folder >= 0)
    close(output->folder);
  free(output->temporary);
  free(output->path);
  free(output);
}

/* Keeps the first failure; later ones would only describe its consequences. */
static void keep_failure(base_output *output, const char *action)
{
  if (output->failed)
    return;
  output->failed = true;
  output->error = errno;
  output->action = action;
}

static cdl_status fail_to_write(const char *path)
{
  return cdl_fail(errno == ENOMEM ? CDL_STATUS_MEMORY : CDL_STATUS_IO, "%s: cannot be written: %s",
                  path, strerror(errno));
}

/* Returns the target of `path` through any links; the caller frees it. NULL with errno. */
static char *resolve_links(const char *path)
{
  enum { LINKS_MOST = 40 }; /* as in the kernel */
  char *at = strdup(path), target[PATH_MAX];
  for (int i = 0; at != NULL; i++) {
    const ssize_t length = readlink(at, target, sizeof target - 1);
    if (length < 0)
      return at;
    target[length] = '\0';
    const char *slash = strrchr(at, '/');
    char *next = NULL;
    if (i == LINKS_MOST)
      errno = ELOOP;
    else if (target[0] == '/' || slash == NULL)
      next = strdup(target);
    else if (asprintf(&next, "%.*s/%s", (int)(slash - at), at, target) < 0)
      next = NULL;
    free(at);
    at = next;
  }
  return NULL;
}

static cdl_status open_output(base_output *output, const char *path, bool through_links)
{
  struct stat facts;
  const int found = through_links ? stat(path, &facts) : lstat(path, &facts);
  if (found == 0 && S_ISDIR(facts.st_mode))
    return cdl_fail(CDL_STATUS_IO, "%s: is a folder, expected a file", path);
  const bool in_place = found == 0 && !S_ISREG(facts.st_mode) && !S_ISLNK(facts.st_mode);
  output->path = through_links && !in_place ? resolve_links(path) : strdup(path);
  if (output->path == NULL)
    return fail_to_write(path);
  if (in_place) /* /dev/stdout, for example: a rename would replace the device by a file */
    output->descriptor = open(path, O_WRONLY | O_CLOEXEC);
  else if (base_folder_open_of(output->path, &output->folder))
    (void)base_temporary_file(output->path, &output->temporary, &output->descriptor);
  output->replaces = found == 0;
  /* The new file is readable for those who may read the old one, and for nobody else. */
  if (output->replaces && output->temporary != NULL && through_links && facts.st_uid == geteuid())
    (void)fchmod(output->descriptor, facts.st_mode & 0777);
  return output->descriptor >= 0 ? CDL_STATUS_OK : fail_to_write(path);
}

static cdl_status begin(const char *path, bool through_links, base_output **output)
{
  *output = NULL;
  base_output *made = malloc(sizeof *made);
  if (made == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  made->path = made->temporary = NULL;
  made->descriptor = made->folder = -1;
  made->replaces = false;
  made->failed = false;
  made->error = 0;
  made->action = "";
  made->used = 0;
  const cdl_status status = open_output(made, path, through_links);
  if (status != CDL_STATUS_OK) {
    destroy(made);
    return status;
  }
  *output = made;
  return CDL_STATUS_OK;
}

cdl_status base_output_begin(const char *path, base_output **output)
{
  return begin(path, false, output);
}

cdl_status base_output_begin_named(const char *path, base_output **output)
{
  return begin(path, true, output);
}

/* A write from a mapped file whose pages are lost fails with EFAULT. Touching the pages raises
 * SIGBUS, which names the file. */
static void touch(const uint8_t *bytes, size_t count)
{
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  for (size_t at = 0; at < count; at += page)
    (void)*(const volatile uint8_t *)(bytes + at);
  (void)*(const volatile uint8_t *)(bytes + count - 1);
}

static void write_through(base_output *output, const uint8_t *bytes, size_t count)
{
  while (count > 0 && !output->failed) {
    const ssize_t written = write(output->descriptor, bytes, count);
    if (written > 0) {
      bytes += written;
      count -= (size_t)written;
    } else if (written == 0) {
      errno = ENOSPC;
      keep_failure(output, "written");
    } else if (errno != EINTR) {
      keep_failure(output, "written");
      if (output->error == EFAULT)
        touch(bytes, count);
    }
  }
}

static void flush(base_output *output)
{
  write_through(output, output->buffer, output->used);
  output->used = 0;
}

void base_output_write(base_output *output, const void *bytes, size_t count)
{
  if (output->failed || count == 0)
    return;
  if (count > BUFFER_BYTES - output->used)
    flush(output);
  if (count >= BUFFER_BYTES) {
    write_through(output, bytes, count);
    return;
  }
  memcpy(output->buffer + output->used, bytes, count);
  output->used += count;
}

void base_output_vprintf(base_output *output, const char *format, va_list arguments)
{
  char text[512], *longer = NULL;
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(text, sizeof text, format, arguments);
  if (length >= (int)sizeof text)
    length = vasprintf(&longer, format, again);
  va_end(again);
  if (length < 0) {
    errno = ENOMEM;
    keep_failure(output, "written");
    return;
  }
  base_output_write(output, longer != NULL ? longer : text, (size_t)length);
  free(longer);
}

void base_output_printf(base_output *output, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  base_output_vprintf(output, format, arguments);
  va_end(arguments);
}

static void close_durably(base_output *output)
{
  if (!output->failed && output->temporary != NULL && base_sync_file(output->descriptor) != 0)
    keep_failure(output, "written");
  if (close(output->descriptor) != 0 && errno != EINTR)
    keep_failure(output, "written");
  output->descriptor = -1;
}

cdl_status base_output_commit(base_output *output)
{
  flush(output);
  close_durably(output);
  if (output->temporary != NULL) {
    if (!output->failed && rename(output->temporary, output->path) != 0)
      keep_failure(output, "put in place");
    if (output->failed)
      unlink(output->temporary);
    else if (base_sync_folder(output->folder) != 0) {
      keep_failure(output, "made durable");
      if (!output->replaces)
        unlink(output->path);
    }
  }
  cdl_status status = CDL_STATUS_OK;
  if (output->failed)
    status =
        cdl_fail(output->error == ENOMEM ? CDL_STATUS_MEMORY : CDL_STATUS_IO,
                 "%s: cannot be %s: %s", output->path, output->action, strerror(output->error));
  destroy(output);
  return status;
}

void base_output_abort(base_output *output)
{
  if (output == NULL)
    return;
  if (output->temporary != NULL)
    unlink(output->temporary);
  destroy(output);
}
