/* One file on its way into the cache: its lock, the bytes that are there, their hash. Bytes of an
 * earlier call are kept. */
#ifndef CONDLORA_MODEL_HUB_DOWNLOAD_H
#define CONDLORA_MODEL_HUB_DOWNLOAD_H

#include <stdint.h>

#include "model/hub/answer.h"
#include "model/hub/cache.h"
#include "model/hub/digest.h"

typedef struct {
  const hub_cache *cache; /* borrowed, as the next one */
  const char *commit;
  char file[HUB_FILE_BYTES], hash[HUB_HASH_BYTES];
  uint64_t size, bytes; /* of the whole file; of what is there */
  char *blob, *incomplete;
  int lock, descriptor;
  base_sha digest;
  bool is_old;       /* begins with bytes that this call has not read from the hub */
  cdl_status status; /* of hub_download_write; its message is the thread's */
} hub_download;

/* Takes no lock. `hash` and `file` are checked (model/hub/name.h). Errors: MEMORY. End with
 * hub_download_release, also after an error. */
CDL_MUST_USE cdl_status hub_download_begin(hub_download *download, const hub_cache *cache,
                                           const char *commit, const char *file, const char *hash,
                                           uint64_t size);
void hub_download_release(hub_download *download);

typedef enum {
  HUB_DOWNLOAD_BUSY,   /* another process writes this blob: try later */
  HUB_DOWNLOAD_WANTED, /* the bytes from `bytes` on are missing */
  HUB_DOWNLOAD_DONE    /* the file is in its place */
} hub_download_state;

/* Locks the blob and opens what is there of it. If all is there, it is checked and put into its
 * place. Errors: IO, also for a disk without room; DATA for a wrong hash; MEMORY. */
CDL_MUST_USE cdl_status hub_download_prepare(hub_download *download, hub_download_state *state);
/* Throws away what is there. Errors: IO. */
CDL_MUST_USE cdl_status hub_download_restart(hub_download *download);
/* Appends what follows. Returns false if `status` has become an error: IO, or DATA for content
 * beyond the size. */
bool hub_download_write(hub_download *download, const void *bytes, size_t count);

#endif
