/* The files of a repository that are needed, and which of them the cache has. */
#ifndef CONDLORA_MODEL_HUB_FILES_H
#define CONDLORA_MODEL_HUB_FILES_H

#include "condlora/hub.h"
#include "model/hub/cache.h"

/* All zero is empty. */
typedef struct {
  char (*name)[HUB_FILE_BYTES];
  size_t count;
} hub_file_list;

typedef struct {
  /* What may be needed next and is not known to be there or absent. An answer can bring up other
   * files: an index names shards. Empty: all is known. */
  hub_file_list unknown;
  const char *lacks; /* a needed file that is not there; NULL: enough is there to open it */
} hub_files;

/* With `only_there`, what is unknown counts as absent, and nothing is listed. Errors: DATA for an
 * index of shards that cannot be read; MEMORY. Release with hub_files_release, also after an
 * error. */
CDL_MUST_USE cdl_status hub_files_look(hub_files *files, const hub_cache *cache, const char *commit,
                                       cdl_hub_kind kind, bool only_there);
void hub_files_release(hub_files *files);

/* The file that tells the commit of a revision. */
const char *hub_files_first(cdl_hub_kind kind);
/* Returns whether a file holds tensors, and so may be large. */
bool hub_files_is_large(const char *file);

/* The files that make a tokenizer; ends with NULL. */
extern const char *const hub_tokenizer_files[];

#endif
