/* The base model of an adapter. */
#ifndef CONDLORA_MODEL_INFERENCE_BASE_H
#define CONDLORA_MODEL_INFERENCE_BASE_H

#include <stdbool.h>

#include "condlora/hub.h"
#include "condlora/status.h"

/* Finds the base model of the adapter in `folder`: `given`, a folder or a name of the hub, or if
 * that is NULL the one that the adapter records. The caller closes `source`. `changes_base` (NULL:
 * not wanted) tells whether the adapter changes the base itself, so that no other adapter can stand
 * beside it. Errors: DATA if no base is recorded, ABSENT if it is not there, those of files and of
 * cdl_hub_resolve; MEMORY. */
CDL_MUST_USE cdl_status inference_resolve_base(const char *folder, const char *given,
                                               cdl_hub_source **source, bool *changes_base);

/* Finds the model of a run that trained it whole: `folder`/model, which the caller frees; NULL if
 * `folder` is no such run. Errors: IO; MEMORY. */
CDL_MUST_USE cdl_status inference_find_whole(const char *folder, char **model);

/* Looks for a file in a folder. Errors: IO if the system does not say; MEMORY. */
CDL_MUST_USE cdl_status inference_has_file(const char *folder, const char *name, bool *there);

#endif
