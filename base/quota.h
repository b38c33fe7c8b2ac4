/* What this process may use of the machine: processors and memory, as the machine has them and as
 * control groups (cgroups, version 1 and 2) limit them, which is how containers and batch systems
 * share one out. */
#ifndef CONDLORA_BASE_QUOTA_H
#define CONDLORA_BASE_QUOTA_H

#include <stdint.h>

/* Of all groups that the process is in, up to the root: the least. */
typedef struct {
  double processors;     /* a quota of time, as a number of processors; INFINITY: none */
  uint64_t memory_bytes; /* UINT64_MAX: no limit */
  uint64_t free_bytes;   /* of that; what the page cache holds counts as free */
} base_quota;

/* `root` comes before each path that is read, "" but in tests. */
base_quota base_quota_read(const char *root);

/* How many threads can run at once: the processors that the scheduler may choose for this process,
 * and no more than the quota, rounded up. */
int base_usable_processors(void);

/* The memory that the process may have in all, and what is free of it; 0 where the system does not
 * say. */
typedef struct {
  uint64_t total_bytes, free_bytes;
} base_memory;
base_memory base_usable_memory(void);

#endif
