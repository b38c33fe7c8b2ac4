#ifndef CONDLORA_BACKENDS_OPENCL_TUNING_PATH_H
#define CONDLORA_BACKENDS_OPENCL_TUNING_PATH_H

#include <limits.h>
#include <stdbool.h>

/* Gives the path of a device's tuned parameters. */
bool opencl_tuning_path(char path[PATH_MAX], const char *device);

#endif
