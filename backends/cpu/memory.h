/* Host memory for buffers and scratch: aligned, and given back to the system when freed. */
#ifndef CONDLORA_BACKENDS_CPU_MEMORY_H
#define CONDLORA_BACKENDS_CPU_MEMORY_H

#include <stddef.h>

/* Returns at least `bytes` bytes at a multiple of 64, with undefined contents; NULL if memory is
 * out. */
void *cpu_memory_allocate(size_t bytes);
void cpu_memory_free(void *memory);
/* Returns the bytes of all large blocks that exist, touched or not. */
size_t cpu_memory_mapped(void);

#endif
