#include "tests/cuda_emulator/ptx/shared.h"

#include <string.h>

enum { NAN_BYTE = 0xff };

char *ptx_shared_find(ptx_warp *warp, const ptx_instruction *in, int lane, uint64_t address,
                      size_t bytes)
{
  const ptx_kernel *kernel = warp->block->kernel;
  const ptx_launch *launch = warp->block->launch;
  const uint64_t number = address >> 20;
  if (number == 0 || number > (uint64_t)kernel->array_count) {
    ptx_complain(warp, in, lane, "%#llx is in no array of shared memory",
                 (unsigned long long)address);
    return NULL;
  }
  const ptx_array *array = &kernel->arrays[number - 1];
  const size_t held = array->bytes != 0 ? array->bytes : launch->dynamic_bytes;
  const uint64_t offset = address - array->address; /* of what lies before: huge */
  if (offset > held || bytes > held - offset) {
    ptx_complain(warp, in, lane, "%zu bytes at offset %lld of %.*s, which has %zu", bytes,
                 (long long)offset, (int)array->name_length, array->name, held);
    return NULL;
  }
  if (address % bytes != 0) {
    ptx_complain(warp, in, lane, "%zu bytes at offset %lld of %.*s: misaligned", bytes,
                 (long long)offset, (int)array->name_length, array->name);
    return NULL;
  }
  return warp->block->shared + array->offset + offset;
}

static uint64_t epoch_of(uint64_t stamp)
{
  return stamp >> PTX_EPOCH_SHIFT;
}

static int kind_of(uint64_t stamp)
{
  return (int)(stamp >> PTX_KIND_SHIFT & 3);
}

static int thread_of(uint64_t stamp)
{
  return (int)(stamp & PTX_THREAD_MASK);
}

static bool same_warp(uint64_t a, uint64_t b)
{
  return thread_of(a) / PTX_LANES == thread_of(b) / PTX_LANES;
}

static bool same_warp_epoch(uint64_t a, uint64_t b)
{
  return (a ^ b) >> PTX_WARP_EPOCH_SHIFT == 0;
}

/* Whether an access `before` and one of `now` are a race, if one of them writes. */
static bool races(uint64_t before, uint64_t now)
{
  if (epoch_of(before) != epoch_of(now) || thread_of(before) == thread_of(now))
    return false;
  return !same_warp(before, now) || same_warp_epoch(before, now);
}

static bool races_with_reads(uint64_t reads, uint64_t now)
{
  if (epoch_of(reads) != epoch_of(now))
    return false;
  switch (kind_of(reads)) {
  case PTX_OF_WARPS:
    return true;
  case PTX_OF_WARP:
    return !same_warp(reads, now) || same_warp_epoch(reads, now);
  default:
    return races(reads, now);
  }
}

/* The stamp of reads, with one more. */
static uint64_t join_reads(uint64_t reads, uint64_t now)
{
  if (epoch_of(reads) != epoch_of(now))
    return now;
  int kind = kind_of(reads);
  if (!same_warp(reads, now))
    kind = PTX_OF_WARPS;
  else if (kind != PTX_OF_WARPS && thread_of(reads) != thread_of(now))
    kind = PTX_OF_WARP;
  return now | (uint64_t)kind << PTX_KIND_SHIFT;
}

static uint64_t stamp_of(const ptx_warp *warp, int lane)
{
  return warp->stamp | (uint64_t)lane;
}

static size_t offset_of(const ptx_block *block, const char *place)
{
  return (size_t)(place - block->shared);
}

/* The shadows of [place, place + bytes). */
static ptx_shadow *shadows_of(const ptx_block *block, const char *place, size_t bytes,
                              ptx_shadow **end)
{
  const int unit = block->kernel->shared_unit_log2;
  const size_t first = offset_of(block, place);
  *end = block->shadow + ((first + bytes - 1) >> unit) + 1;
  return block->shadow + (first >> unit);
}

void ptx_shared_read(ptx_warp *warp, const ptx_instruction *in, int lane, const char *place,
                     size_t bytes)
{
  const uint64_t now = stamp_of(warp, lane), first = warp->block->first_epoch;
  ptx_shadow *end, *each = shadows_of(warp->block, place, bytes, &end);
  for (; each < end; each++) {
    const uint64_t written = each->writer;
    if (kind_of(written) == PTX_ON_ITS_WAY && epoch_of(written) >= first)
      ptx_complain(warp, in, lane, "reads bytes of a cp.async that thread %d has not waited for",
                   thread_of(written));
    else if (races(written, now))
      ptx_complain(warp, in, lane, "race: reads what thread %d wrote, with no barrier between",
                   thread_of(written));
    each->reader = join_reads(each->reader, now);
  }
}

/* The array that all lanes begin in. */
static const ptx_array *array_of(const ptx_kernel *kernel, uint64_t address)
{
  const uint64_t number = address >> 20;
  return number > 0 && number <= (uint64_t)kernel->array_count ? &kernel->arrays[number - 1] : NULL;
}

bool ptx_shared_load_words(ptx_warp *warp, const ptx_instruction *in, lane_u32 *d)
{
  const ptx_block *block = warp->block;
  const lane_u32 *addresses = ptx_lanes(warp, in->operands[1]);
  const uint32_t by = (uint32_t)in->offset;
  const ptx_array *array = array_of(block->kernel, addresses[__builtin_ctz(warp->mask)] + by);
  if (array == NULL)
    return false;
  const size_t held = array->bytes != 0 ? array->bytes : block->launch->dynamic_bytes;
  const uint32_t start = (uint32_t)array->address - by;
  const char *memory = block->shared + array->offset;
  ptx_shadow *shadow = block->shadow + array->offset / 4;
  for (uint32_t rest = warp->mask; rest != 0; rest &= rest - 1) {
    const int i = __builtin_ctz(rest);
    const uint32_t offset = addresses[i] - start;
    if ((addresses[i] + by) % 4 != 0 || (size_t)offset + 4 > held)
      return false;
    const uint64_t now = stamp_of(warp, i), written = shadow[offset / 4].writer;
    if (kind_of(written) != PTX_ARRIVED || races(written, now))
      return false;
    uint64_t *reader = &shadow[offset / 4].reader;
    *reader = epoch_of(*reader) == epoch_of(now) ? join_reads(*reader, now) : now;
    memcpy(d + i, memory + offset, 4);
  }
  return true;
}

void ptx_shared_write(ptx_warp *warp, const ptx_instruction *in, int lane, char *place,
                      size_t bytes, int kind)
{
  const uint64_t now = stamp_of(warp, lane), first = warp->block->first_epoch;
  ptx_shadow *end, *each = shadows_of(warp->block, place, bytes, &end);
  for (; each < end; each++) {
    const uint64_t written = each->writer;
    if (kind_of(written) == PTX_ON_ITS_WAY && epoch_of(written) >= first)
      ptx_complain(warp, in, lane, "writes bytes of a cp.async that thread %d has not waited for",
                   thread_of(written));
    else if (races(written, now))
      ptx_complain(warp, in, lane, "race: writes what thread %d wrote, with no barrier between",
                   thread_of(written));
    else if (races_with_reads(each->reader, now))
      ptx_complain(warp, in, lane, "race: writes what thread %d read, with no barrier between",
                   thread_of(each->reader));
    each->writer = now | (uint64_t)kind << PTX_KIND_SHIFT;
  }
  if (kind == PTX_ON_ITS_WAY)
    memset(place, NAN_BYTE, bytes);
}

void ptx_shared_arrive(ptx_warp *warp, int lane, const char *place, size_t bytes)
{
  ptx_shadow *end, *each = shadows_of(warp->block, place, bytes, &end);
  for (; each < end; each++)
    each->writer = stamp_of(warp, lane);
}

/* Accesses of 8 and 16 bytes go half a warp and a quarter of it at a time. In each part a bank
 * gives one word in a pass, to all lanes that want it. */
int ptx_bank_passes(const ptx_block *block, uint32_t mask, char *const *places, size_t bytes)
{
  const int words = bytes > 4 ? (int)(bytes / 4) : 1, lanes = PTX_LANES / words;
  int passes = 0;
  for (int first = 0; first < PTX_LANES; first += lanes) {
    size_t wanted[32][PTX_LANES];
    int count[32] = {0}, most = 0;
    for (int i = first; i < first + lanes; i++)
      for (int k = 0; k < words && mask >> i & 1; k++) {
        const size_t word = offset_of(block, places[i]) / 4 + (size_t)k, bank = word % 32;
        int at = 0;
        while (at < count[bank] && wanted[bank][at] != word)
          at++;
        if (at == count[bank])
          wanted[bank][count[bank]++] = word;
        if (count[bank] > most)
          most = count[bank];
      }
    passes += most;
  }
  return passes;
}
