/* Host memory for buffers and scratch: aligned, given back to the system when freed. */
#ifndef CONDLORA_BACKENDS_CPU_MEMORY_H
#define CONDLORA_BACKENDS_CPU_MEMORY_H

#include <stddef.h>

/* At least `bytes` bytes at a multiple of 64, contents undefined; NULL when out of memory. */
void *cpu_memory_allocate(size_t bytes);
void cpu_memory_free(void *memory);
/* The bytes of all large blocks that are alive: what has been promised, whether touched or not. */
size_t cpu_memory_mapped(void);

#endif
