/* The place of files that are kept from one process to the next. bench-condlora's tuning writes its
 * files there. */
#ifndef CONDLORA_BACKENDS_KERNELS_CACHE_PATH_H
#define CONDLORA_BACKENDS_KERNELS_CACHE_PATH_H

#include <limits.h>
#include <stdbool.h>

/* Gives the path of the file in $CDL_CACHE_DIR, else $XDG_CACHE_HOME/condlora, else
 * ~/.cache/condlora. Returns false if there is none. */
bool kernel_cache_path(char path[PATH_MAX], const char *name);

#endif
