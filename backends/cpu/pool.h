/* The device's threads. A parallel region spreads tiles over them. Any thread may run any tile, so
 * a result may depend only on the tiles. */
#ifndef CONDLORA_BACKENDS_CPU_POOL_H
#define CONDLORA_BACKENDS_CPU_POOL_H

#include "condlora/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct cpu_pool cpu_pool;

/* Makes a pool of `threads` threads, which include the caller of a region; 0: as many as this
 * process may use processors. At most CPU_POOL_MAX. */
enum { CPU_POOL_MAX = 64 }; /* the products of a step have tiles for so many (docs/cpu.md) */
cdl_status cpu_pool_create(int threads, cpu_pool **pool);
void cpu_pool_destroy(cpu_pool *pool);
int cpu_pool_threads(const cpu_pool *pool);

/* Reserves the pool for this thread until cpu_pool_leave; other threads wait. Each tile gets
 * `scratch_bytes` of its thread's memory, and the region gets `shared_bytes` in `shared`. Both are
 * undefined at first, at multiples of 64, and kept for later regions. Errors: MEMORY; then the pool
 * is not reserved. */
cdl_status cpu_pool_enter(cpu_pool *pool, size_t scratch_bytes, size_t shared_bytes, void **shared);
void cpu_pool_leave(cpu_pool *pool);

/* Runs task(context, tile, scratch) for each tile in [0, tiles) and returns when all are done. Call
 * it within a region. */
typedef void cpu_task(const void *context, int64_t tile, void *scratch);
void cpu_pool_for(cpu_pool *pool, int64_t tiles, cpu_task *task, const void *context);

/* Runs a region with one parallel loop. */
cdl_status cpu_pool_run(cpu_pool *pool, int64_t tiles, size_t scratch_bytes, cpu_task *task,
                        const void *context);

#endif
