/* Names of models and adapters: a folder, or a name of Hugging Face's hub, becomes a folder. */
#ifndef CONDLORA_HUB_H
#define CONDLORA_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "condlora/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the folder is for, which decides the files that are brought. */
typedef enum {
  CDL_HUB_ANY,      /* an adapter if the repository has adapter_config.json, else a model */
  CDL_HUB_MODEL,    /* config.json, weights and tokenizer */
  CDL_HUB_ADAPTER,  /* adapter_config.json, its tensors, and a tokenizer if it has one */
  CDL_HUB_TOKENIZER /* config.json and tokenizer */
} cdl_hub_kind;

/* State of a download. */
typedef struct {
  size_t size;
  const char *name;      /* as it was given; borrowed during the call */
  uint64_t bytes, total; /* of all files that this call downloads; `bytes` counts those that an
                            earlier call left, too */
  size_t files;          /* number of these files */
  bool finished;         /* the last report of this download, also if it failed */
} cdl_hub_progress;

typedef struct {
  size_t size;
  cdl_hub_kind kind;
  bool offline; /* asks no server, as HF_HUB_OFFLINE=1 */
  /* Called a few times a second during a download, in the thread of the call. A value other than 0
   * stops it with CANCELLED; a later call goes on. May be NULL. */
  int (*progress)(void *user, const cdl_hub_progress *progress);
  void *user;
} cdl_hub_options;

static inline cdl_hub_options cdl_hub_options_init(void)
{
  cdl_hub_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  return options;
}

/* A folder, and where it comes from. */
typedef struct cdl_hub_source cdl_hub_source;

/* Finds the folder of `name`: an existing folder or file, which is taken as it is; or `model`,
 * `owner/model` or `owner/model@revision` of the hub, whose revision is a branch, a tag or a
 * commit, "main" if none is given. For a name of the hub, Hugging Face's cache is asked first. A
 * file that the cache does not have is downloaded into it and checked against the hash that the hub
 * gives. A folder, and a name whose files are all in the cache, need no network. If the hub cannot
 * be reached, what the cache has is taken if it suffices.
 *
 * The cache has the layout of Python's huggingface_hub, which may use it at the same time. The
 * environment variables of huggingface_hub count: docs/models.md lists them. A token is sent to the
 * host of HF_ENDPOINT alone. `options` may be NULL: any kind.
 *
 * The caller closes *source. Threads may call this at once. Errors: ABSENT if nothing has this
 * name, and if libcurl is missing; IO if the hub refuses or cannot be reached, and for the disk;
 * DATA for content without the right hash; CANCELLED by `progress`; USAGE for a variable with a
 * value that cannot be used; MEMORY. */
CDL_API CDL_MUST_USE cdl_status cdl_hub_resolve(const char *name, const cdl_hub_options *options,
                                                cdl_hub_source **source);
/* Returns the folder. Borrowed until the source is closed. */
CDL_API const char *cdl_hub_source_folder(const cdl_hub_source *source);
/* Returns the name on the hub, without a revision; NULL for a folder. Borrowed. */
CDL_API const char *cdl_hub_source_name(const cdl_hub_source *source);
/* Returns the commit, 40 hexadecimal digits; NULL for a folder. Borrowed. */
CDL_API const char *cdl_hub_source_commit(const cdl_hub_source *source);
CDL_API void cdl_hub_source_close(cdl_hub_source *source);

/* Sets offline, progress and user for the names that other functions of the library resolve, such
 * as cdl_model_open and cdl_train, and for cdl_hub_resolve without options. `options` is copied;
 * NULL restores the defaults. The callback then runs in the thread of each such call. Do not call
 * this while another thread is inside the library. Errors: ARGUMENT. */
CDL_API CDL_MUST_USE cdl_status cdl_hub_use(const cdl_hub_options *options);

#ifdef __cplusplus
}
#endif
#endif
