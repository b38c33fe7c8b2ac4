/* Files: read through a mapping, written whole or not at all. */
#ifndef CONDLORA_BASE_FILE_H
#define CONDLORA_BASE_FILE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "condlora/status.h"

/* A whole file, read-only. `data` is never NULL, even for an empty file. */
typedef struct {
  const uint8_t *data;
  size_t size;
  /* What tells whether the file is written later. */
  dev_t device;
  ino_t inode;
  struct timespec modified;
} base_mapping;

/* Errors: ABSENT if there is no such file, IO otherwise (a folder, no permission); the message
 * names the path. */
CDL_MUST_USE cdl_status base_file_map(const char *path, base_mapping *mapping);
void base_file_unmap(base_mapping *mapping);
/* Returns whether the mapping still shows the bytes that the file at `path` had when it was mapped:
 * the file has the same size and time of modification. A file that was put in its place, by a
 * rename, changes nothing, because the mapping keeps the old one. */
bool base_file_unchanged(const char *path, const base_mapping *mapping);
/* Gives the mapped pages [offset, offset + bytes) back to the system. The next access reads them
 * again. */
void base_file_discard(const base_mapping *mapping, size_t offset, size_t bytes);

/* A file that is being written, beside its place (base/temporary.h). Commit syncs it, renames it
 * and syncs the folder. After a failed write, later writes do nothing and commit returns the first
 * failure. Abort removes the file. Commit and abort both destroy `output`. */
typedef struct base_output base_output;
/* Replaces a link at `path`, and never follows it. */
CDL_MUST_USE cdl_status base_output_begin(const char *path, base_output **output);
/* For a path that the user gives for one file: follows a link, which stays, and replaces its
 * target. */
CDL_MUST_USE cdl_status base_output_begin_named(const char *path, base_output **output);
void base_output_write(base_output *output, const void *bytes, size_t count);
void base_output_printf(base_output *output, const char *format, ...) CDL_PRINTF(2, 3);
void base_output_vprintf(base_output *output, const char *format, va_list arguments)
    CDL_PRINTF(2, 0);
CDL_MUST_USE cdl_status base_output_commit(base_output *output);
void base_output_abort(base_output *output);

#endif
