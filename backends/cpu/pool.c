#include "backends/cpu/pool.h"

#include "backends/cpu/memory.h"
#include "base/quota.h"
#include "condlora/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* One word hands out a loop's tiles: the loop's number is in the upper half, the number of
 * remaining tiles in the lower. A thread takes a tile by a compare-and-swap on that word, so a
 * thread that read an older loop's task can never run it on a newer loop's tile. */
enum {
  SPINS = 2000, /* pauses before a thread sleeps: some tens of microseconds */
  LINE = 64
};

typedef struct {
  /* A thread that is late for a loop may read it while the next region grows it, and then does not
   * use it. */
  _Atomic(void *) memory;
  size_t bytes;
} scratch_block;

typedef struct {
  cpu_pool *pool;
  scratch_block scratch;
  pthread_t thread;
} worker;

struct cpu_pool {
  _Alignas(LINE) _Atomic uint64_t open; /* loop number << 32 | tiles left */
  _Atomic(cpu_task *) task;
  _Atomic(const void *) context;
  _Atomic uint32_t tiles;
  _Alignas(LINE) _Atomic uint32_t finished;
  _Alignas(LINE) _Atomic int sleepers; /* workers that wait for a loop */
  _Atomic int caller_sleeps;
  _Atomic bool stop;
  pthread_mutex_t sleep_lock;
  pthread_cond_t loop_opened, loop_finished;
  pthread_mutex_t region;
  scratch_block shared;
  int threads, started; /* including the caller; workers that exist */
  worker workers[];     /* [0] is the caller */
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* Runs tiles of the loop in `open` until none is left; `open` is a value of pool->open with tiles
 * left. */
static void take_tiles(cpu_pool *pool, uint64_t open, void *scratch)
{
  const uint64_t number = open >> 32;
  cpu_task *task = atomic_load_explicit(&pool->task, memory_order_relaxed);
  const void *context = atomic_load_explicit(&pool->context, memory_order_relaxed);
  const uint32_t tiles = atomic_load_explicit(&pool->tiles, memory_order_relaxed);
  while (open >> 32 == number && (uint32_t)open > 0) {
    if (!atomic_compare_exchange_weak_explicit(&pool->open, &open, open - 1, memory_order_acq_rel,
                                               memory_order_acquire))
      continue;
    task(context, (int64_t)(tiles - (uint32_t)open), scratch);
    const uint32_t finished =
        atomic_fetch_add_explicit(&pool->finished, 1, memory_order_seq_cst) + 1;
    if (finished == tiles &&
        atomic_load_explicit(&pool->caller_sleeps, memory_order_seq_cst) != 0) {
      pthread_mutex_lock(&pool->sleep_lock);
      pthread_cond_signal(&pool->loop_finished);
      pthread_mutex_unlock(&pool->sleep_lock);
    }
    open = atomic_load_explicit(&pool->open, memory_order_acquire);
  }
}

static bool loop_is_open(cpu_pool *pool)
{
  return (uint32_t)atomic_load_explicit(&pool->open, memory_order_seq_cst) > 0 ||
         atomic_load_explicit(&pool->stop, memory_order_seq_cst);
}

static void wait_for_loop(cpu_pool *pool)
{
  for (int i = 0; i < SPINS; i++) {
    if (loop_is_open(pool))
      return;
    relax();
  }
  pthread_mutex_lock(&pool->sleep_lock);
  atomic_fetch_add(&pool->sleepers, 1);
  while (!loop_is_open(pool))
    pthread_cond_wait(&pool->loop_opened, &pool->sleep_lock);
  atomic_fetch_sub(&pool->sleepers, 1);
  pthread_mutex_unlock(&pool->sleep_lock);
}

static void *work(void *argument)
{
  worker *self = argument;
  cpu_pool *pool = self->pool;
  while (!atomic_load(&pool->stop)) {
    wait_for_loop(pool);
    const uint64_t open = atomic_load_explicit(&pool->open, memory_order_acquire);
    if ((uint32_t)open > 0)
      take_tiles(pool, open, atomic_load_explicit(&self->scratch.memory, memory_order_relaxed));
  }
  return NULL;
}

static void wait_until_finished(cpu_pool *pool, uint32_t tiles)
{
  for (int i = 0; i < SPINS; i++) {
    if (atomic_load_explicit(&pool->finished, memory_order_acquire) == tiles)
      return;
    relax();
  }
  pthread_mutex_lock(&pool->sleep_lock);
  atomic_store(&pool->caller_sleeps, 1);
  while (atomic_load(&pool->finished) != tiles)
    pthread_cond_wait(&pool->loop_finished, &pool->sleep_lock);
  atomic_store(&pool->caller_sleeps, 0);
  pthread_mutex_unlock(&pool->sleep_lock);
}

static void wake_workers(cpu_pool *pool)
{
  if (atomic_load(&pool->sleepers) == 0)
    return;
  pthread_mutex_lock(&pool->sleep_lock);
  pthread_cond_broadcast(&pool->loop_opened);
  pthread_mutex_unlock(&pool->sleep_lock);
}

static void run_loop(cpu_pool *pool, uint32_t tiles, cpu_task *task, const void *context)
{
  const uint64_t number = (atomic_load_explicit(&pool->open, memory_order_relaxed) >> 32) + 1;
  atomic_store_explicit(&pool->task, task, memory_order_relaxed);
  atomic_store_explicit(&pool->context, context, memory_order_relaxed);
  atomic_store_explicit(&pool->tiles, tiles, memory_order_relaxed);
  atomic_store_explicit(&pool->finished, 0, memory_order_relaxed);
  const uint64_t open = number << 32 | tiles;
  atomic_store_explicit(&pool->open, open, memory_order_seq_cst);
  wake_workers(pool);
  take_tiles(pool, open, pool->workers[0].scratch.memory);
  wait_until_finished(pool, tiles);
}

void cpu_pool_for(cpu_pool *pool, int64_t tiles, cpu_task *task, const void *context)
{
  if (tiles == 1 || pool->threads == 1) {
    for (int64_t tile = 0; tile < tiles; tile++)
      task(context, tile, pool->workers[0].scratch.memory);
    return;
  }
  /* Loops longer than half a word are cut; no op makes one. */
  if (tiles > 0)
    run_loop(pool, (uint32_t)tiles, task, context);
}

static cdl_status grow(scratch_block *block, size_t bytes)
{
  if (bytes <= block->bytes)
    return CDL_STATUS_OK;
  size_t size = block->bytes > 0 ? block->bytes : 1 << 16;
  while (size < bytes)
    size += size / 2;
  cpu_memory_free(block->memory);
  void *memory = cpu_memory_allocate(size);
  atomic_store_explicit(&block->memory, memory, memory_order_relaxed);
  block->bytes = memory != NULL ? size : 0;
  if (memory == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "cpu: %zu bytes of working memory are not to be had", size);
  return CDL_STATUS_OK;
}

cdl_status cpu_pool_enter(cpu_pool *pool, size_t scratch_bytes, size_t shared_bytes, void **shared)
{
  pthread_mutex_lock(&pool->region);
  cdl_status status = grow(&pool->shared, shared_bytes);
  for (int i = 0; i < pool->threads && status == CDL_STATUS_OK; i++)
    status = grow(&pool->workers[i].scratch, scratch_bytes);
  if (status != CDL_STATUS_OK) {
    pthread_mutex_unlock(&pool->region);
    return status;
  }
  if (shared != NULL)
    *shared = pool->shared.memory;
  return CDL_STATUS_OK;
}

void cpu_pool_leave(cpu_pool *pool)
{
  pthread_mutex_unlock(&pool->region);
}

cdl_status cpu_pool_run(cpu_pool *pool, int64_t tiles, size_t scratch_bytes, cpu_task *task,
                        const void *context)
{
  if (tiles <= 0)
    return CDL_STATUS_OK;
  if (tiles == 1 && scratch_bytes == 0) {
    task(context, 0, NULL);
    return CDL_STATUS_OK;
  }
  CDL_TRY(cpu_pool_enter(pool, scratch_bytes, 0, NULL));
  cpu_pool_for(pool, tiles, task, context);
  cpu_pool_leave(pool);
  return CDL_STATUS_OK;
}

cdl_status cpu_pool_create(int threads, cpu_pool **out)
{
  if (threads < 0)
    return cdl_fail(CDL_STATUS_USAGE, "threads: %d; expected 0 (every core) or more", threads);
  if (threads == 0)
    threads = base_usable_processors();
  else if (threads > CPU_POOL_MAX)
    cdl_log(CDL_LOG_NOTICE, "cpu: %d threads are used, the most that it takes, not %d",
            CPU_POOL_MAX, threads);
  if (threads > CPU_POOL_MAX)
    threads = CPU_POOL_MAX;
  cpu_pool *pool = cpu_memory_allocate(sizeof *pool + (size_t)threads * sizeof(worker));
  if (pool == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "cpu: no memory for the threads");
  *pool = (cpu_pool){.threads = threads, .started = 1};
  pthread_mutex_init(&pool->sleep_lock, NULL);
  pthread_mutex_init(&pool->region, NULL);
  pthread_cond_init(&pool->loop_opened, NULL);
  pthread_cond_init(&pool->loop_finished, NULL);
  for (int i = 0; i < threads; i++)
    pool->workers[i] = (worker){.pool = pool, .scratch = {NULL, 0}};
  for (int i = 1; i < threads; i++) {
    if (pthread_create(&pool->workers[i].thread, NULL, work, &pool->workers[i]) != 0) {
      cpu_pool_destroy(pool);
      return cdl_fail(CDL_STATUS_DEVICE, "cpu: the system refuses thread %d of %d", i + 1, threads);
    }
    pool->started++;
  }
  *out = pool;
  return CDL_STATUS_OK;
}

void cpu_pool_destroy(cpu_pool *pool)
{
  if (pool == NULL)
    return;
  atomic_store(&pool->stop, true);
  pthread_mutex_lock(&pool->sleep_lock);
  pthread_cond_broadcast(&pool->loop_opened);
  pthread_mutex_unlock(&pool->sleep_lock);
  for (int i = 1; i < pool->started; i++)
    pthread_join(pool->workers[i].thread, NULL);
  for (int i = 0; i < pool->threads; i++)
    cpu_memory_free(pool->workers[i].scratch.memory);
  cpu_memory_free(pool->shared.memory);
  pthread_cond_destroy(&pool->loop_finished);
  pthread_cond_destroy(&pool->loop_opened);
  pthread_mutex_destroy(&pool->region);
  pthread_mutex_destroy(&pool->sleep_lock);
  cpu_memory_free(pool);
}

int cpu_pool_threads(const cpu_pool *pool)
{
  return pool->threads;
}
