/* Memory that the ranks of a host have in common: pages without a file. The kernel gives them back
 * with the last process that has them, however it ends. */
#ifndef CONDLORA_RANKS_HOST_MEMORY_H
#define CONDLORA_RANKS_HOST_MEMORY_H

#include "ranks/ranks.h"

typedef struct {
  void *at; /* [bytes], at a page's begin */
  size_t bytes;
} ranks_host_memory;

/* Collective, over all hosts. Gives the ranks of a host the same `bytes` zeros; they pass the same
 * number. `job` is not NULL. Errors, the same on all ranks: MEMORY; UNSUPPORTED if a rank cannot
 * reach another one's memory, as in containers of one host name. Then there is nothing to close. */
CDL_MUST_USE cdl_status ranks_host_memory_open(ranks_job *job, size_t bytes,
                                               ranks_host_memory *memory);
/* Collective: from now on all bytes that a rank has written are there for the others, and nobody
 * writes. Errors: DEVICE if a rank does not come. */
CDL_MUST_USE cdl_status ranks_host_memory_seal(ranks_job *job, ranks_host_memory *memory);
/* For this rank alone. */
void ranks_host_memory_close(ranks_host_memory *memory);

#endif
