/* Files that are kept from one process to the next: compiled programs, and parameters found by
 * tuning. */
#ifndef CONDLORA_BACKENDS_OPENCL_CACHE_H
#define CONDLORA_BACKENDS_OPENCL_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "backends/opencl/cache_path.h"
#include "condlora/plugin.h"

/* Whether CDL_CACHE_DIR names a folder. */
bool opencl_cache_chosen(void);

/* FNV-1a, 64 bits, of `bytes` more bytes; begins with opencl_hash_start. */
extern const uint64_t opencl_hash_start;
uint64_t opencl_hash(uint64_t hash, const void *data, size_t bytes);

/* The content that was kept under this key; NULL, the usual case, where there is none, where the
 * file is broken or another's. The caller frees it. */
void *opencl_cache_read(const char *key, size_t *bytes);
/* Keeps it where that is possible, and says so in a debug message where not. */
void opencl_cache_write(const char *key, const void *content, size_t bytes);

#endif
