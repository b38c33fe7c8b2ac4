/* Compiled kernels that are kept from one process to the next, in files. */
#ifndef CONDLORA_BACKENDS_KERNELS_CACHE_H
#define CONDLORA_BACKENDS_KERNELS_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "condlora/plugin.h"

/* Whose kernels: where messages go, and the name that messages and files begin with. */
typedef struct {
  const cdl_host *host;
  const char *backend;
} kernel_cache;

/* Whether CDL_CACHE_DIR names a folder. */
bool kernel_cache_chosen(void);

/* Returns the content that was kept under this key. NULL, the usual case, if there is none, or if
 * the file is damaged or of another key. The caller frees it. */
void *kernel_cache_read(const kernel_cache *cache, const char *key, size_t *bytes);
/* Keeps the content if possible; otherwise logs a debug message. */
void kernel_cache_write(const kernel_cache *cache, const char *key, const void *content,
                        size_t bytes);

#endif
