/* The base model of an adapter. */
#ifndef CONDLORA_MODEL_INFERENCE_BASE_H
#define CONDLORA_MODEL_INFERENCE_BASE_H

#include <stdbool.h>

#include "condlora/status.h"

/* Finds the folder of an adapter's base model: `given`, or if that is NULL the one that the adapter
 * in `folder` records. The caller frees `base`. `changes_base` (NULL: not wanted) tells whether the
 * adapter changes the base itself, so that no other adapter can stand beside it. Errors: DATA if no
 * base is recorded, ABSENT if it is not there, those of files; MEMORY. */
CDL_MUST_USE cdl_status inference_find_base(const char *folder, const char *given, char **base,
                                            bool *changes_base);

/* Finds the model of a run that trained it whole: `folder`/model, which the caller frees; NULL if
 * `folder` is no such run. Errors: IO; MEMORY. */
CDL_MUST_USE cdl_status inference_find_whole(const char *folder, char **model);

/* Looks for a file in a folder. Errors: IO if the system does not say; MEMORY. */
CDL_MUST_USE cdl_status inference_has_file(const char *folder, const char *name, bool *there);

#endif
