/* One process at a time in a folder: a lock on its file ".lock". The kernel releases the lock when
 * the process ends, however it ends. A file that a killed process leaves locks nothing. */
#ifndef CONDLORA_BASE_LOCK_H
#define CONDLORA_BASE_LOCK_H

#include "condlora/status.h"

typedef struct base_lock base_lock;

/* Fails with IO, naming the process and its host, if another process has the folder. Changes
 * nothing. For checks before base_lock_take. */
CDL_MUST_USE cdl_status base_lock_check(const char *folder);

/* Makes the folder if it is missing, and locks it. Child programs do not inherit the lock. On a
 * file system without locks this is no error: a notice says so, and nothing keeps a second process
 * out. Over NFS the lock holds between hosts if the server has locks. */
CDL_MUST_USE cdl_status base_lock_take(const char *folder, base_lock **lock);

/* Call after the last write. Removes the file, and the folder if base_lock_take made it and it is
 * empty. NULL is allowed. */
void base_lock_release(base_lock *lock);

#endif
