/* Files and folders that are being written, beside their place: "PLACE.tmp-XXXXXXXXXX". They are
 * always new, never another process's, and never found through a link. The ten letters and digits
 * check themselves, so that a user's file with a similar name is recognized and left alone.
 *
 * The writer holds a lock on it (flock), which the kernel releases when the writer ends. A file
 * without a lock has lost its writer and is removed. A process id would not tell: another process,
 * or one in another container, may have the same. */
#ifndef CONDLORA_BASE_TEMPORARY_H
#define CONDLORA_BASE_TEMPORARY_H

#include <stdbool.h>

/* Makes the file or folder, with the mode that the umask leaves. The caller frees *temporary, its
 * path. *descriptor holds the lock; for a file it is open for writing. Returns false and errno on
 * failure. */
bool base_temporary_file(const char *place, char **temporary, int *descriptor);
bool base_temporary_folder(const char *place, char **temporary, int *descriptor);
/* Removes a folder and the files in it. */
void base_temporary_remove_folder(const char *temporary);

/* Removes files that were being written for `place` and have no writer any more. */
void base_temporary_sweep(const char *place);
/* Removes all such files in a folder. */
void base_folder_sweep(const char *folder);

/* Opens the folder of `path` early, so that later only its sync can fail. *descriptor is -1 for a
 * folder that may be written to but not listed. Returns false and errno on failure. */
bool base_folder_open_of(const char *path, int *descriptor);
/* Makes the names in the folder durable; does nothing for -1. A file system that cannot sync a
 * folder is no error. Returns 0, or -1 and errno. */
int base_sync_folder(int descriptor);
/* fsync that a signal does not interrupt. */
int base_sync_file(int descriptor);

#endif
