/* The device's threads. A parallel region spreads tiles over them; which thread runs which tile is chance, so a result
 * may depend on the tiles alone. */
#ifndef CONDLORA_BACKENDS_CPU_POOL_H
#define CONDLORA_BACKENDS_CPU_POOL_H

#include "condlora/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct cpu_pool cpu_pool;

/* `threads` counts the caller of a region; 0: as many as this process may use processors. At most CPU_POOL_MAX. */
enum { CPU_POOL_MAX = 64 }; /* Debian's OpenBLAS has working memory for this many callers at once */
cdl_status cpu_pool_create(int threads, cpu_pool **pool);
void cpu_pool_destroy(cpu_pool *pool);
int cpu_pool_threads(const cpu_pool *pool);

/* Takes the pool for this thread until cpu_pool_leave; others wait. Each tile gets `scratch_bytes` of its thread's own
 * memory, and the region `shared_bytes` in `shared`, both undefined at first, at multiples of 64. The pool keeps them
 * for later regions. Errors: MEMORY, and then the pool is not taken. */
cdl_status cpu_pool_enter(cpu_pool *pool, size_t scratch_bytes, size_t shared_bytes, void **shared);
void cpu_pool_leave(cpu_pool *pool);

/* Runs task(context, tile, scratch) for each tile in [0, tiles), and returns when all are done. Within a region. */
typedef void cpu_task(const void *context, int64_t tile, void *scratch);
void cpu_pool_for(cpu_pool *pool, int64_t tiles, cpu_task *task, const void *context);

/* A region of one parallel loop. */
cdl_status cpu_pool_run(cpu_pool *pool, int64_t tiles, size_t scratch_bytes, cpu_task *task,
                        const void *context);

#endif
