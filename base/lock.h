/* One process at a time in a folder: a lock on its file ".lock", which the kernel lets go when the
 * process ends, however it ends. What a killed process leaves of the file locks nothing. */
#ifndef CONDLORA_BASE_LOCK_H
#define CONDLORA_BASE_LOCK_H

#include "condlora/status.h"

typedef struct base_lock base_lock;

/* IO, naming the process and its host, where another has the folder; changes nothing. For checks
 * that come before taking it. */
CDL_MUST_USE cdl_status base_lock_check(const char *folder);

/* Makes the folder where it is missing, and takes it. Programs that are started do not inherit the
 * lock. A file system without locks is no error: a notice says so, and nothing keeps a second
 * process out. Over NFS it holds between hosts, where the server has locks. */
CDL_MUST_USE cdl_status base_lock_take(const char *folder, base_lock **lock);

/* After the last write: removes the file, and the folder if base_lock_take made it and nothing else
 * came. NULL is allowed. */
void base_lock_release(base_lock *lock);

#endif
