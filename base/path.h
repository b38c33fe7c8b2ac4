/* Paths and folders. */
#ifndef CONDLORA_BASE_PATH_H
#define CONDLORA_BASE_PATH_H

#include <stdbool.h>

#include "condlora/status.h"

/* The file in a folder that a lock is taken on (base/lock.h). */
#define BASE_LOCK_NAME ".lock"

bool base_file_exists(const char *path);
/* *there: whether something is at `path`. Errors: IO if the system does not say. */
CDL_MUST_USE cdl_status base_file_find(const char *path, bool *there);
/* *empty is also true if the folder is missing or holds only a lock. Errors: IO and MEMORY if it
 * cannot be read. */
CDL_MUST_USE cdl_status base_folder_is_empty(const char *path, bool *empty);
/* Makes a folder and its missing parents. An existing folder is no error. */
CDL_MUST_USE cdl_status base_folder_make(const char *path);
/* Returns the last name of a path, without slashes at its end, which the caller frees; NULL if
 * memory is out. */
char *base_path_last(const char *path);
/* Returns "folder/name", which the caller frees; NULL if memory is out. */
char *base_path_join(const char *folder, const char *name);

#endif
