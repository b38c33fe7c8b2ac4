/* The place of files that are kept from one process to the next: compiled kernels, tuned
 * parameters, states of frozen layers. */
#ifndef CONDLORA_BASE_CACHE_PATH_H
#define CONDLORA_BASE_CACHE_PATH_H

#include <limits.h>
#include <stdbool.h>

/* Gives the path of the file in $CDL_CACHE_DIR, else $XDG_CACHE_HOME/condlora, else
 * ~/.cache/condlora. Returns false if there is none. */
bool base_cache_path(char path[PATH_MAX], const char *name);

#endif
