#include "model/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/lock.h"

enum { BUFFER_BYTES = 1 << 16 };

struct cdl_output {
  char *path;
  char *temporary; /* NULL when `path` is a device or a pipe, which is written in place */
  int descriptor;
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
    return cdl_fail(CDL_ABSENT, "%s: no such file", path);
  return cdl_fail(CDL_IO, "%s: cannot be read: %s", path, strerror(error));
}

static cdl_status map_descriptor(const char *path, int descriptor, cdl_mapping *mapping)
{
  static const uint8_t nothing[1];
  struct stat facts;
  if (fstat(descriptor, &facts) != 0)
    return fail_to_read(path);
  if (S_ISDIR(facts.st_mode))
    return cdl_fail(CDL_IO, "%s: is a folder, expected a file", path);
  if (!S_ISREG(facts.st_mode))
    return cdl_fail(CDL_IO, "%s: is not a regular file", path);
  if ((uintmax_t)facts.st_size > SIZE_MAX)
    return cdl_fail(CDL_IO, "%s: is too large for this machine", path);
  if (facts.st_size == 0) {
    *mapping = (cdl_mapping){.data = nothing, .size = 0};
    return CDL_OK;
  }
  const size_t size = (size_t)facts.st_size;
  void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (data == MAP_FAILED)
    return fail_to_read(path);
  *mapping = (cdl_mapping){.data = data, .size = size};
  return CDL_OK;
}

cdl_status cdl_file_map(const char *path, cdl_mapping *mapping)
{
  *mapping = (cdl_mapping){0};
  /* Without O_NONBLOCK the opening of a pipe would wait for its writer. */
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return fail_to_read(path);
  const cdl_status status = map_descriptor(path, descriptor, mapping);
  close(descriptor);
  return status;
}

void cdl_file_unmap(cdl_mapping *mapping)
{
  if (mapping->size > 0)
    munmap((void *)(uintptr_t)mapping->data, mapping->size);
  *mapping = (cdl_mapping){0};
}

void cdl_file_discard(const cdl_mapping *mapping, size_t offset, size_t bytes)
{
  if (offset >= mapping->size || bytes == 0)
    return;
  if (bytes > mapping->size - offset)
    bytes = mapping->size - offset;
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const size_t first = offset - offset % page;
  madvise((void *)((uintptr_t)mapping->data + first), offset - first + bytes, MADV_DONTNEED);
}

/* ---- Paths ---- */

bool cdl_file_exists(const char *path)
{
  struct stat facts;
  return stat(path, &facts) == 0;
}

char *cdl_path_join(const char *folder, const char *name)
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

/* Makes a file's new or changed name durable. A file system that cannot sync a folder is no
 * error. */
static int sync_folder_of(const char *path)
{
  const char *slash = strrchr(path, '/');
  char *folder =
      slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
  if (folder == NULL) {
    errno = ENOMEM;
    return -1;
  }
  const int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  free(folder);
  if (descriptor < 0)
    return errno == EACCES ? 0 : -1; /* a folder that may be written to but not listed */
  int result = fsync(descriptor);
  int error = errno;
  close(descriptor);
  if (result != 0 && (error == EINVAL || error == EROFS || error == ENOTSUP))
    result = 0;
  errno = error;
  return result;
}

static cdl_status make_one_folder(const char *folder)
{
  struct stat facts;
  if (stat(folder, &facts) == 0) {
    if (S_ISDIR(facts.st_mode))
      return CDL_OK;
    return cdl_fail(CDL_IO, "%s: is a file, expected a folder", folder);
  }
  if (mkdir(folder, 0777) != 0 && errno != EEXIST)
    return cdl_fail(CDL_IO, "%s: cannot make this folder: %s", folder, strerror(errno));
  if (sync_folder_of(folder) != 0)
    return cdl_fail(CDL_IO, "%s: cannot make this folder: %s", folder, strerror(errno));
  return CDL_OK;
}

bool cdl_folder_is_empty(const char *path)
{
  DIR *stream = opendir(path);
  bool any = false;
  for (const struct dirent *entry = stream != NULL ? readdir(stream) : NULL; entry != NULL && !any;
       entry = readdir(stream))
    any = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
          strcmp(entry->d_name, CDL_LOCK_NAME) != 0;
  if (stream != NULL)
    closedir(stream);
  return !any;
}

cdl_status cdl_folder_make(const char *path)
{
  if (path[0] == '\0')
    return cdl_fail(CDL_ARGUMENT, "the name of a folder is empty");
  char *folder = strdup(path);
  if (folder == NULL)
    return cdl_fail(CDL_MEMORY, "%s: out of memory", path);
  size_t length = strlen(folder);
  while (length > 1 && folder[length - 1] == '/')
    folder[--length] = '\0';
  cdl_status status = CDL_OK;
  for (size_t i = 1; i < length && status == CDL_OK; i++) {
    if (folder[i] != '/' || folder[i - 1] == '/')
      continue;
    folder[i] = '\0';
    status = make_one_folder(folder);
    folder[i] = '/';
  }
  if (status == CDL_OK)
    status = make_one_folder(folder);
  free(folder);
  return status;
}

/* ---- Writing ---- */

void cdl_folder_sweep(const char *folder)
{
  static const char mark[] = ".tmp-";
  DIR *d = opendir(folder);
  for (const struct dirent *entry = d != NULL ? readdir(d) : NULL; entry != NULL;
       entry = readdir(d)) {
    const char *tail = strstr(entry->d_name, mark);
    if (tail == NULL ||
        tail[sizeof mark - 1 + strspn(tail + sizeof mark - 1, "0123456789")] != '\0')
      continue;
    (void)unlinkat(dirfd(d), entry->d_name, 0);
  }
  if (d != NULL)
    closedir(d);
}

static void destroy(cdl_output *output)
{
  if (output->descriptor >= 0)
    close(output->descriptor);
  free(output->temporary);
  free(output->path);
  free(output);
}

/* Keeps the first failure; what follows it would only describe its consequences. */
static void keep_failure(cdl_output *output, const char *action)
{
  if (output->failed)
    return;
  output->failed = true;
  output->error = errno;
  output->action = action;
}

static cdl_status open_temporary(cdl_output *output, const char *path)
{
  if (asprintf(&output->temporary, "%s.tmp-%ld", path, (long)getpid()) < 0) {
    output->temporary = NULL;
    return cdl_fail(CDL_MEMORY, "%s: out of memory", path);
  }
  unlink(output->temporary); /* left by a process that had this number and was killed */
  output->descriptor = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (output->descriptor < 0)
    return cdl_fail(CDL_IO, "%s: cannot be written: %s", path, strerror(errno));
  return CDL_OK;
}

static cdl_status open_output(cdl_output *output, const char *path)
{
  output->path = strdup(path);
  if (output->path == NULL)
    return cdl_fail(CDL_MEMORY, "%s: out of memory", path);
  struct stat facts;
  if (stat(path, &facts) != 0 || S_ISREG(facts.st_mode))
    return open_temporary(output, path);
  if (S_ISDIR(facts.st_mode))
    return cdl_fail(CDL_IO, "%s: is a folder, expected a file", path);
  /* /dev/stdout, say: a rename would put a file in the device's place. */
  output->descriptor = open(path, O_WRONLY | O_CLOEXEC);
  if (output->descriptor < 0)
    return cdl_fail(CDL_IO, "%s: cannot be written: %s", path, strerror(errno));
  return CDL_OK;
}

cdl_status cdl_output_begin(const char *path, cdl_output **output)
{
  *output = NULL;
  cdl_output *made = malloc(sizeof *made);
  if (made == NULL)
    return cdl_fail(CDL_MEMORY, "%s: out of memory", path);
  made->path = made->temporary = NULL;
  made->descriptor = -1;
  made->failed = false;
  made->error = 0;
  made->action = "";
  made->used = 0;
  const cdl_status status = open_output(made, path);
  if (status != CDL_OK) {
    destroy(made);
    return status;
  }
  *output = made;
  return CDL_OK;
}

static void write_through(cdl_output *output, const uint8_t *bytes, size_t count)
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
    }
  }
}

static void flush(cdl_output *output)
{
  write_through(output, output->buffer, output->used);
  output->used = 0;
}

void cdl_output_write(cdl_output *output, const void *bytes, size_t count)
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

void cdl_output_printf(cdl_output *output, const char *format, ...)
{
  char *text = NULL;
  va_list arguments;
  va_start(arguments, format);
  const int length = vasprintf(&text, format, arguments);
  va_end(arguments);
  if (length < 0) {
    errno = ENOMEM;
    keep_failure(output, "written");
    return;
  }
  cdl_output_write(output, text, (size_t)length);
  free(text);
}

static void close_durably(cdl_output *output)
{
  if (!output->failed && output->temporary != NULL && fsync(output->descriptor) != 0)
    keep_failure(output, "written");
  if (close(output->descriptor) != 0 && errno != EINTR)
    keep_failure(output, "written");
  output->descriptor = -1;
}

cdl_status cdl_output_commit(cdl_output *output)
{
  flush(output);
  close_durably(output);
  if (output->temporary != NULL) {
    if (!output->failed && rename(output->temporary, output->path) != 0)
      keep_failure(output, "put in place");
    if (output->failed)
      unlink(output->temporary);
    else if (sync_folder_of(output->path) != 0)
      keep_failure(output, "made durable");
  }
  cdl_status status = CDL_OK;
  if (output->failed)
    status = cdl_fail(output->error == ENOMEM ? CDL_MEMORY : CDL_IO, "%s: cannot be %s: %s",
                      output->path, output->action, strerror(output->error));
  destroy(output);
  return status;
}

void cdl_output_abort(cdl_output *output)
{
  if (output == NULL)
    return;
  if (output->temporary != NULL)
    unlink(output->temporary);
  destroy(output);
}
