/* Where files lie that are kept from one process to the next; bench-condlora's tuning leaves its
 * own there. */
#ifndef CONDLORA_BACKENDS_OPENCL_CACHE_PATH_H
#define CONDLORA_BACKENDS_OPENCL_CACHE_PATH_H

#include <limits.h>
#include <stdbool.h>

/* $CDL_CACHE_DIR, else $XDG_CACHE_HOME/condlora, else ~/.cache/condlora, and the file's name. False
 * where there is none. */
bool opencl_cache_path(char path[PATH_MAX], const char *name);
/* Of the parameters that tuning found for a device. */
bool opencl_tuning_path(char path[PATH_MAX], const char *device);

#endif
