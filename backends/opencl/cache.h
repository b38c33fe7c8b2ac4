/* Files that are kept from one process to the next: compiled programs, and tuned parameters. */
#ifndef CONDLORA_BACKENDS_OPENCL_CACHE_H
#define CONDLORA_BACKENDS_OPENCL_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "backends/opencl/cache_path.h"
#include "condlora/plugin.h"

/* Whether CDL_CACHE_DIR names a folder. */
bool opencl_cache_chosen(void);

/* Continues FNV-1a, 64 bits, with `bytes` more bytes; starts with opencl_hash_start. */
extern const uint64_t opencl_hash_start;
uint64_t opencl_hash(uint64_t hash, const void *data, size_t bytes);

/* Returns the content that was kept under this key. NULL, the usual case, if there is none, or if
 * the file is damaged or of another key. The caller frees it. */
void *opencl_cache_read(const char *key, size_t *bytes);
/* Keeps the content if possible; otherwise logs a debug message. */
void opencl_cache_write(const char *key, const void *content, size_t bytes);

#endif
