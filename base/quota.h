/* Processors and memory that this process may use: the machine's, and the limits of control groups
 * (cgroups 1 and 2), which containers and batch systems set. */
#ifndef CONDLORA_BASE_QUOTA_H
#define CONDLORA_BASE_QUOTA_H

#include <stdint.h>

/* The smallest limits of all groups of the process, up to the root. */
typedef struct {
  double processors;     /* a quota of time, as a number of processors; INFINITY: none */
  uint64_t memory_bytes; /* UINT64_MAX: no limit */
  uint64_t free_bytes;   /* free part of memory_bytes; the page cache counts as free */
} base_quota;

/* `root` is put before each path that is read; it is "" except in tests. */
base_quota base_quota_read(const char *root);

/* The number of threads that can run at once: the processors that the scheduler may choose for this
 * process, and at most the quota, rounded up. */
int base_usable_processors(void);

/* The memory that the process may have in total, and its free part, in bytes; 0 if the system does
 * not say. */
typedef struct {
  uint64_t total_bytes, free_bytes;
} base_memory;
base_memory base_usable_memory(void);

#endif
