/* Paths and folders. */
#ifndef CONDLORA_BASE_PATH_H
#define CONDLORA_BASE_PATH_H

#include <stdbool.h>

#include "condlora/status.h"

/* The file of a folder that a lock is taken on (base/lock.h). */
#define BASE_LOCK_NAME ".lock"

bool base_file_exists(const char *path);
/* *empty: also of a folder that is not there, or that holds a lock alone. Errors: IO, MEMORY where
 * it cannot be told. */
CDL_MUST_USE cdl_status base_folder_is_empty(const char *path, bool *empty);
/* Makes a folder and its missing parents; one that is there already is no error. */
CDL_MUST_USE cdl_status base_folder_make(const char *path);
/* "folder/name" in memory of its own, to be freed by the caller; NULL when memory is out. */
char *base_path_join(const char *folder, const char *name);

#endif
