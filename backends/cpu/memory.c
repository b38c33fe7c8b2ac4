#include "backends/cpu/memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
  ALIGNMENT = 64,
  MAP_FROM = 1 << 20,  /* smaller blocks come from malloc */
  HUGE_PAGE = 1 << 21, /* of x86-64 and of ARM with 4 KiB pages */
};

/* Stored in the 64 bytes before each block. */
typedef struct {
  void *start;
  size_t mapped; /* bytes from `start`; 0: from malloc */
} block_header;

/* Makes a mapping whose start is a multiple of the huge page, so that all of it can be huge
 * pages. */
static void *map(size_t bytes, size_t *mapped)
{
  const size_t align = bytes >= 2 * (size_t)HUGE_PAGE ? HUGE_PAGE : 4096;
  const size_t whole = (bytes + 4095) / 4096 * 4096;
  char *start =
      mmap(NULL, whole + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED)
    return NULL;
  const size_t before = (align - (uintptr_t)start % align) % align;
  if (before > 0)
    munmap(start, before);
  if (align > before)
    munmap(start + before + whole, align - before);
  start += before;
#ifdef MADV_HUGEPAGE
  if (align == HUGE_PAGE)
    madvise(start, whole / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* a hint: small pages work too */
#endif
  *mapped = whole;
  return start;
}

static atomic_size_t mapped_bytes; /* of all blocks that are mapped */

size_t cpu_memory_mapped(void)
{
  return atomic_load(&mapped_bytes);
}

void *cpu_memory_allocate(size_t bytes)
{
  if (bytes > SIZE_MAX / 2)
    return NULL;
  const size_t whole = (bytes + 2 * ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  block_header header = {0};
  header.start = whole >= MAP_FROM ? map(whole, &header.mapped) : aligned_alloc(ALIGNMENT, whole);
  if (header.start == NULL)
    return NULL;
  atomic_fetch_add(&mapped_bytes, header.mapped);
  char *memory = (char *)header.start + ALIGNMENT;
  *(block_header *)(void *)(memory - ALIGNMENT) = header;
  return memory;
}

void cpu_memory_free(void *memory)
{
  if (memory == NULL)
    return;
  const block_header header = *(block_header *)(void *)((char *)memory - ALIGNMENT);
  atomic_fetch_sub(&mapped_bytes, header.mapped);
  if (header.mapped > 0)
    munmap(header.start, header.mapped);
  else
    free(header.start);
}

bool cpu_foreign_add(cpu_foreign *foreign, cpu_foreign_part part)
{
  pthread_mutex_lock(&foreign->lock);
  bool has_room = foreign->count < foreign->capacity;
  if (!has_room) {
    const size_t capacity = 2 * foreign->capacity + 8;
    cpu_foreign_part *grown = realloc(foreign->parts, capacity * sizeof *grown);
    has_room = grown != NULL;
    if (has_room) {
      foreign->parts = grown;
      foreign->capacity = capacity;
    }
  }
  if (has_room)
    foreign->parts[foreign->count++] = part;
  pthread_mutex_unlock(&foreign->lock);
  return has_room;
}

bool cpu_foreign_remove(cpu_foreign *foreign, const void *memory)
{
  bool found = false;
  pthread_mutex_lock(&foreign->lock);
  for (size_t i = 0; i < foreign->count && !found; i++)
    if (foreign->parts[i].memory == memory) {
      foreign->parts[i] = foreign->parts[--foreign->count];
      found = true;
    }
  pthread_mutex_unlock(&foreign->lock);
  return found;
}

void cpu_foreign_release(cpu_foreign *foreign)
{
  free(foreign->parts);
  pthread_mutex_destroy(&foreign->lock);
}

static bool lies_in(cpu_foreign_part part, uintptr_t first, size_t bytes)
{
  const uintptr_t start = (uintptr_t)part.memory;
  return first >= start && bytes <= part.file_bytes && first - start <= part.file_bytes - bytes;
}

void cpu_foreign_discard(cpu_foreign *foreign, const void *memory, size_t bytes)
{
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)memory;
  const uintptr_t from = (first + page - 1) / page * page, to = (first + bytes) / page * page;
  bool found = false;
  pthread_mutex_lock(&foreign->lock);
  for (size_t i = 0; i < foreign->count && !found; i++)
    found = lies_in(foreign->parts[i], first, bytes);
  pthread_mutex_unlock(&foreign->lock);
  if (found && to > from)
    madvise((void *)from, to - from, MADV_DONTNEED);
}
