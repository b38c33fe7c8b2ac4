/* A folder in the making: there whole or not at all. It is filled beside its place and
 * renamed. */
#ifndef CONDLORA_BASE_NEW_FOLDER_H
#define CONDLORA_BASE_NEW_FOLDER_H

#include "condlora/status.h"

typedef struct {
  char *path;      /* what it will be */
  char *temporary; /* what is to be filled, with files alone: base/temporary.h */
  int descriptor, parent;
} base_new_folder;

/* Makes what is missing above it, too. ARGUMENT where `path` exists already, unless that may be the
 * same folder made before: then the end decides. Zeroed after an error. */
CDL_MUST_USE cdl_status base_new_folder_begin(base_new_folder *folder, const char *path);
/* Where `status`, that of the filling, is OK, the folder is made durable and put in place, which it
 * does not take from anything. Else, and where that fails, all is as it was before. A folder in
 * place with the same files is the same as one that is put there: a call that was stopped can be
 * repeated whenever it was stopped. Returns the first failure. */
CDL_MUST_USE cdl_status base_new_folder_finish(base_new_folder *folder, cdl_status status);

#endif
