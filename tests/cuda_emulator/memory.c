/* Device memory: an address range that nobody can touch, and the pages behind it elsewhere. So a
 * host that follows a device pointer crashes at once, whatever runs. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/cuda_emulator/emulator.h"

enum { PAGE = 4096, DEVICE_ALIGNMENT = 256, NAN_BYTE = 0xff };
/* Of the reserved range; valgrind has no place for the largest. */
static const size_t largest_range = (size_t)64 << 30, smallest_range = (size_t)4 << 30;
/* Of the file behind fresh memory; larger pieces have it several times. */
static const size_t nan_bytes = (size_t)16 << 20;
static const size_t default_total = (size_t)4 << 30;
/* Between the addresses of two allocations. */
static const size_t address_gap = (size_t)1 << 20;

/* Sorted by address: addresses only grow. */
typedef struct {
  uintptr_t address;
  int device;
  size_t bytes, mapped;
  char *pages; /* a guard page, the memory up to the end of a page, a guard page; NULL when freed */
  char *memory;
} block;

static uintptr_t range_start, next_address;
static size_t range_bytes;
static block *blocks;
static size_t block_count, block_capacity, live_blocks;
static size_t used_bytes[EMULATOR_MAX_DEVICES];

static size_t round_up(size_t bytes, size_t unit)
{
  return (bytes + unit - 1) / unit * unit;
}

size_t memory_used(void)
{
  return used_bytes[context_device()];
}

size_t memory_total(void)
{
  const char *text = getenv("CUDA_EMULATOR_MEMORY");
  return text != NULL ? (size_t)strtoull(text, NULL, 10) : default_total;
}

static bool reserve_range(void)
{
  if (range_start != 0)
    return true;
  void *range = MAP_FAILED;
  for (range_bytes = 2 * largest_range; range == MAP_FAILED && range_bytes > smallest_range;) {
    range_bytes /= 2;
    range = mmap(NULL, range_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  }
  if (range == MAP_FAILED)
    return false;
  range_start = next_address = round_up((uintptr_t)range, address_gap);
  return true;
}

/* Addresses are given again only when nothing is alive and half of them are used up. */
static void recycle_range(void)
{
  if (live_blocks > 0 || next_address - range_start < range_bytes / 2)
    return;
  next_address = range_start;
  block_count = 0;
}

static bool grow_blocks(void)
{
  if (block_count < block_capacity)
    return true;
  const size_t capacity = block_capacity == 0 ? 64 : 2 * block_capacity;
  block *longer = realloc(blocks, capacity * sizeof *blocks);
  if (longer == NULL)
    return false;
  blocks = longer;
  block_capacity = capacity;
  return true;
}

/* A file of NaN_BYTE, whose pages stand behind fresh memory until it is written: -1 without one. */
static int nan_file(void)
{
  static int file = -2;
  if (file != -2)
    return file;
  file = memfd_create("cuda-emulator", MFD_CLOEXEC);
  char page[PAGE];
  memset(page, NAN_BYTE, sizeof page);
  for (size_t done = 0; file >= 0 && done < nan_bytes; done += PAGE)
    if (write(file, page, PAGE) != PAGE) {
      close(file);
      file = -1;
    }
  return file;
}

/* Whether [pages, pages + bytes) can be read, is NaN, and can be written. */
static bool map_nan(char *pages, size_t bytes)
{
  const int file = nan_file();
  for (size_t done = 0; file >= 0 && done < bytes; done += nan_bytes) {
    const size_t part = bytes - done < nan_bytes ? bytes - done : nan_bytes;
    if (mmap(pages + done, part, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, 0) ==
        MAP_FAILED)
      return false;
  }
  if (file >= 0)
    return true;
  if (mprotect(pages, bytes, PROT_READ | PROT_WRITE) != 0)
    return false;
  memset(pages, NAN_BYTE, bytes);
  return true;
}

/* `inside` bytes of NaN between guard pages, `inside` + 2 PAGE in all; NULL when out of memory. */
static char *map_guarded(size_t inside)
{
  char *pages = mmap(NULL, inside + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED)
    return NULL;
  if (map_nan(pages + PAGE, inside))
    return pages;
  munmap(pages, inside + 2 * PAGE);
  return NULL;
}

/* The end of the memory lies against a guard page. */
static bool map_pages(block *made)
{
  const size_t inside = round_up(made->bytes, PAGE);
  made->mapped = inside + 2 * PAGE;
  made->pages = map_guarded(inside);
  if (made->pages == NULL)
    return false;
  made->memory = made->pages + PAGE + inside - round_up(made->bytes, DEVICE_ALIGNMENT);
  return true;
}

CUresult memory_allocate(size_t bytes, uintptr_t *address)
{
  *address = 0;
  if (bytes == 0)
    return CUDA_ERROR_INVALID_VALUE;
  recycle_range();
  if (bytes > memory_total() - memory_used() || !reserve_range() || !grow_blocks())
    return CUDA_ERROR_OUT_OF_MEMORY;
  if (next_address + bytes + 2 * address_gap > range_start + range_bytes)
    return CUDA_ERROR_OUT_OF_MEMORY;
  block made = {.address = next_address, .device = context_device(), .bytes = bytes};
  if (!map_pages(&made))
    return CUDA_ERROR_OUT_OF_MEMORY;
  next_address = round_up(next_address + bytes + address_gap, address_gap);
  blocks[block_count++] = made;
  live_blocks++;
  used_bytes[made.device] += bytes;
  *address = made.address;
  return CUDA_SUCCESS;
}

/* The last block that starts at or below `address`, live or freed. */
static block *block_below(uintptr_t address)
{
  size_t low = 0, high = block_count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (blocks[middle].address <= address)
      low = middle + 1;
    else
      high = middle;
  }
  return low == 0 ? NULL : &blocks[low - 1];
}

static void unmap(block *freed)
{
  munmap(freed->pages, freed->mapped);
  freed->pages = freed->memory = NULL;
  live_blocks--;
  used_bytes[freed->device] -= freed->bytes;
}

CUresult memory_free(uintptr_t address)
{
  block *found = block_below(address);
  if (found == NULL || found->address != address || found->pages == NULL) {
    emulator_violation("cuMemFree: %#lx is not the start of live device memory",
                       (unsigned long)address);
    return CUDA_ERROR_INVALID_VALUE;
  }
  if (context_is_other(found->device))
    emulator_violation("cuMemFree: %#lx is memory of device %d, and device %d is current",
                       (unsigned long)address, found->device, context_device());
  unmap(found);
  return CUDA_SUCCESS;
}

/* NULL: not inside one live allocation. */
static void *peek(uintptr_t address, size_t bytes)
{
  const block *found = block_below(address);
  if (found == NULL || found->pages == NULL || context_is_other(found->device))
    return NULL;
  const size_t offset = address - found->address;
  if (offset > found->bytes || bytes > found->bytes - offset)
    return NULL;
  return found->memory + offset;
}

bool memory_find(uintptr_t address, memory_span *span)
{
  const block *found = block_below(address);
  if (found == NULL || found->pages == NULL ||
      address - found->address >= found->bytes + address_gap)
    return false;
  *span = (memory_span){found->address, found->bytes, found->memory};
  return true;
}

void *memory_view(uintptr_t address, size_t bytes, const char *what)
{
  void *view = peek(address, bytes);
  if (view != NULL)
    return view;
  const block *found = block_below(address);
  if (found == NULL || address - found->address > found->bytes)
    emulator_violation("%s: %#lx is no device memory", what, (unsigned long)address);
  else if (context_is_other(found->device))
    emulator_violation("%s: %#lx is memory of device %d, not of device %d", what,
                       (unsigned long)address, found->device, context_device());
  else
    emulator_violation("%s: %zu bytes at offset %zu of %s %zu bytes", what, bytes,
                       (size_t)(address - found->address),
                       found->pages != NULL ? "an allocation of" : "freed memory of", found->bytes);
  return NULL;
}

/* ---- Page-locked host memory ---- */

typedef struct pinned pinned;
struct pinned {
  pinned *next;
  char *pages, *memory; /* a guard page on either side */
  size_t bytes, mapped;
  int device;
};
static pinned *pinned_list;

CUresult pinned_allocate(size_t bytes, void **memory)
{
  *memory = NULL;
  if (bytes == 0)
    return CUDA_ERROR_INVALID_VALUE;
  pinned *made = calloc(1, sizeof *made);
  if (made == NULL)
    return CUDA_ERROR_OUT_OF_MEMORY;
  made->bytes = bytes;
  made->device = context_device();
  made->mapped = round_up(bytes, PAGE) + 2 * PAGE;
  made->pages = map_guarded(made->mapped - 2 * PAGE);
  if (made->pages == NULL) {
    free(made);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  made->memory = made->pages + PAGE;
  made->next = pinned_list;
  pinned_list = made;
  *memory = made->memory;
  return CUDA_SUCCESS;
}

static void pinned_unlink(pinned **place)
{
  pinned *freed = *place;
  *place = freed->next;
  munmap(freed->pages, freed->mapped);
  free(freed);
}

CUresult pinned_free(void *memory)
{
  for (pinned **place = &pinned_list; *place != NULL; place = &(*place)->next)
    if ((*place)->memory == memory) {
      pinned_unlink(place);
      return CUDA_SUCCESS;
    }
  emulator_violation("cuMemFreeHost: %p is no page-locked memory", memory);
  return CUDA_ERROR_INVALID_VALUE;
}

pinned_kind pinned_find(const void *memory, size_t bytes)
{
  const uintptr_t start = (uintptr_t)memory;
  for (const pinned *item = pinned_list; item != NULL; item = item->next) {
    const uintptr_t first = (uintptr_t)item->memory;
    if (start >= first && start + bytes <= first + item->bytes)
      return PINNED_ALL;
    if (start < first + item->bytes && start + bytes > first)
      return PINNED_SOME;
  }
  return PINNED_NONE;
}

/* ---- The end of a context ---- */

int memory_count(void)
{
  int count = (int)live_blocks;
  for (const pinned *item = pinned_list; item != NULL; item = item->next)
    count++;
  return count;
}

int memory_release_all(void)
{
  int count = 0;
  for (size_t i = 0; i < block_count; i++)
    if (blocks[i].pages != NULL && !context_is_other(blocks[i].device)) {
      unmap(&blocks[i]);
      count++;
    }
  for (pinned **place = &pinned_list; *place != NULL;)
    if (context_is_other((*place)->device))
      place = &(*place)->next;
    else {
      pinned_unlink(place);
      count++;
    }
  return count;
}

static __attribute__((destructor)) void release_at_unload(void)
{
  free(blocks);
  blocks = NULL;
  block_count = 0;
}
