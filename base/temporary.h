/* What is in the making, beside its place: files and folders "PLACE.tmp-XXXXXXXXXX" that are new,
 * never another's, and never found through a link. The ten letters and digits check themselves, so
 * that files of others with such names are known, and left alone.
 *
 * Its writer holds a lock on it (flock), which the kernel takes back however the writer ends. What
 * nobody holds is of a writer that is gone, and is swept; a process id would not tell, for another
 * process, or one in another container, may have the same. */
#ifndef CONDLORA_BASE_TEMPORARY_H
#define CONDLORA_BASE_TEMPORARY_H

#include <stdbool.h>

/* Makes the file or folder, with the mode that the umask leaves. *temporary is its path, to be
 * freed; *descriptor, which holds the lock, is open for writing in the case of a file. false with
 * errno. */
bool base_temporary_file(const char *place, char **temporary, int *descriptor);
bool base_temporary_folder(const char *place, char **temporary, int *descriptor);
/* Removes a folder and the files in it. */
void base_temporary_remove_folder(const char *temporary);

/* Removes what is in the making for `place` and has no writer any more. */
void base_temporary_sweep(const char *place);
/* All that is so in a folder. */
void base_folder_sweep(const char *folder);

/* The folder that `path` lies in, open, so that nothing but its sync can fail once there is
 * something in it. *descriptor is -1 for one that may be written to but not listed. false with
 * errno. */
bool base_folder_open_of(const char *path, int *descriptor);
/* Makes the names in it durable; nothing to do for -1. A file system that cannot sync a folder is no
 * error. 0, or -1 with errno. */
int base_sync_folder(int descriptor);
/* fsync, which a signal does not end. */
int base_sync_file(int descriptor);

#endif
