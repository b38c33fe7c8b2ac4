/* Host memory for buffers and scratch: aligned, and given back to the system when freed. */
#ifndef CONDLORA_BACKENDS_CPU_MEMORY_H
#define CONDLORA_BACKENDS_CPU_MEMORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* Returns at least `bytes` bytes at a multiple of 64, with undefined contents; NULL if memory is
 * out. */
void *cpu_memory_allocate(size_t bytes);
void cpu_memory_free(void *memory);

typedef struct {
  const void *memory;
  size_t file_bytes; /* of a mapped file; 0: other memory */
} cpu_foreign_part;

/* Memory of others that a device takes as buffers. Initialize it with {.lock =
 * PTHREAD_MUTEX_INITIALIZER}. */
typedef struct {
  pthread_mutex_t lock;
  cpu_foreign_part *parts; /* [count], the same address any number of times */
  size_t count, capacity;
} cpu_foreign;

/* Notes a part. Returns false if memory is out. */
bool cpu_foreign_add(cpu_foreign *foreign, cpu_foreign_part part);
/* Forgets one note of an address. Returns false if there is none: the memory is the device's. */
bool cpu_foreign_remove(cpu_foreign *foreign, const void *memory);
void cpu_foreign_release(cpu_foreign *foreign);
/* Gives pages within `bytes` from `memory` on back to the system if they belong to a noted mapped
 * file, from which the next access reads them again. Does nothing for other memory. */
void cpu_foreign_discard(cpu_foreign *foreign, const void *memory, size_t bytes);

/* Returns the bytes of all large blocks that exist, touched or not. */
size_t cpu_memory_mapped(void);

#endif
