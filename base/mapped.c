#include "base/mapped.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/mapped.h"

/* Entries are reused and never freed, so that a handler may read the list at any moment. An entry
 * with `begin` 0 is unused. */
typedef struct entry {
  struct entry *next;
  _Atomic uintptr_t begin, end;
  char *path;
} entry;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects changes */
static _Atomic(entry *) entries;

cdl_status base_mapped_add(const void *data, size_t bytes, const char *path)
{
  char *copy = strdup(path);
  if (copy == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
  pthread_mutex_lock(&lock);
  entry *free_one = atomic_load(&entries);
  while (free_one != NULL && atomic_load(&free_one->begin) != 0)
    free_one = free_one->next;
  if (free_one == NULL) {
    free_one = calloc(1, sizeof *free_one);
    if (free_one != NULL) {
      free_one->next = atomic_load(&entries);
      atomic_store(&entries, free_one);
    }
  }
  if (free_one != NULL) {
    free_one->path = copy;
    atomic_store(&free_one->end, (uintptr_t)data + bytes);
    atomic_store(&free_one->begin, (uintptr_t)data);
  }
  pthread_mutex_unlock(&lock);
  if (free_one != NULL)
    return CDL_STATUS_OK;
  free(copy);
  return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", path);
}

void base_mapped_remove(const void *data)
{
  pthread_mutex_lock(&lock);
  for (entry *e = atomic_load(&entries); e != NULL; e = e->next)
    if (atomic_load(&e->begin) == (uintptr_t)data) {
      atomic_store(&e->begin, 0);
      free(e->path);
      e->path = NULL;
      break;
    }
  pthread_mutex_unlock(&lock);
}

/* The entry of a page that is being read does not change until the read is over. */
const char *cdl_mapped_file(const void *address)
{
  for (const entry *e = atomic_load(&entries); e != NULL; e = e->next) {
    const uintptr_t begin = atomic_load(&e->begin);
    if (begin != 0 && (uintptr_t)address >= begin && (uintptr_t)address < atomic_load(&e->end))
      return e->path;
  }
  return NULL;
}
