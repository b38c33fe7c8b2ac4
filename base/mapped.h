/* The list behind cdl_mapped_file. */
#ifndef CONDLORA_BASE_MAPPED_H
#define CONDLORA_BASE_MAPPED_H

#include <stddef.h>

#include "condlora/status.h"

CDL_MUST_USE cdl_status base_mapped_add(const void *data, size_t bytes, const char *path);
/* Call before the mapping is removed. */
void base_mapped_remove(const void *data);

#endif
