/* One repository in Hugging Face's cache, in the layout of Python's huggingface_hub, which may use
 * it at the same time:
 *
 *   models--OWNER--MODEL/refs/REVISION              the commit that a branch or a tag had
 *   models--OWNER--MODEL/snapshots/COMMIT/FILE      a link to the blob
 *   models--OWNER--MODEL/blobs/HASH                 content; HASH.incomplete while it arrives
 *   models--OWNER--MODEL/.no_exist/COMMIT/FILE      empty: the commit has no such file
 *   .locks/models--OWNER--MODEL/HASH.lock           locked (flock) by who writes the blob */
#ifndef CONDLORA_MODEL_HUB_CACHE_H
#define CONDLORA_MODEL_HUB_CACHE_H

#include <stdbool.h>

#include "condlora/status.h"
#include "model/hub/name.h"

typedef struct {
  char *folder, *locks;
} hub_cache;

/* Makes nothing on the disk. Errors: MEMORY. */
CDL_MUST_USE cdl_status hub_cache_open(hub_cache *cache, const char *root, const char *repository);
void hub_cache_release(hub_cache *cache);

/* Gives the commit that is known for a revision; "" if there is none. Errors: MEMORY. */
CDL_MUST_USE cdl_status hub_cache_commit(const hub_cache *cache, const char *revision,
                                         char commit[HUB_COMMIT_BYTES]);
/* Does nothing if the revision is the commit, or is known to have it. Errors: IO, MEMORY. */
CDL_MUST_USE cdl_status hub_cache_set_commit(const hub_cache *cache, const char *revision,
                                             const char *commit);

typedef enum { HUB_FILE_UNKNOWN, HUB_FILE_THERE, HUB_FILE_ABSENT } hub_file_state;

/* Tells what the cache knows of a file of a commit. Errors: MEMORY. */
CDL_MUST_USE cdl_status hub_cache_find(const hub_cache *cache, const char *commit, const char *file,
                                       hub_file_state *state);
/* Remembers that a commit has no such file. A cache that cannot be written is no error. Errors:
 * MEMORY. */
CDL_MUST_USE cdl_status hub_cache_set_absent(const hub_cache *cache, const char *commit,
                                             const char *file);
/* Makes "snapshots/COMMIT/FILE" a link to the blob. Where links cannot be made, the blob itself
 * becomes the file, as with huggingface_hub. Errors: IO, MEMORY. */
CDL_MUST_USE cdl_status hub_cache_link(const hub_cache *cache, const char *commit, const char *file,
                                       const char *hash);

/* Paths, which the caller frees. Errors: MEMORY. */
CDL_MUST_USE cdl_status hub_cache_snapshot(const hub_cache *cache, const char *commit,
                                           char **folder);
CDL_MUST_USE cdl_status hub_cache_blob(const hub_cache *cache, const char *hash, char **path);

/* Makes the folder of a file. Errors: IO, MEMORY. */
CDL_MUST_USE cdl_status hub_cache_make_parent(const char *path);

/* Tries to lock a blob, as filelock's UnixFileLock does. *descriptor is -1 while another process
 * has it; close it to release the lock. On a file system without locks nothing keeps another
 * process out. Errors: IO, MEMORY. */
CDL_MUST_USE cdl_status hub_cache_lock(const hub_cache *cache, const char *hash, int *descriptor);

#endif
