/* Loads and stores of every space. */
#include <string.h>

#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/ptx/access.h"
#include "tests/cuda_emulator/ptx/shared.h"

enum { SECTOR = 32 };

uint64_t ptx_address(const ptx_warp *warp, const ptx_instruction *in, uint32_t operand, int lane)
{
  const void *lanes = ptx_lanes(warp, operand);
  const uint64_t base =
      in->wide_address ? ((const lane_u64 *)lanes)[lane] : ((const lane_u32 *)lanes)[lane];
  return base + (uint64_t)in->offset;
}

/* ---- Where an address lies: NULL, and a violation, where it is nowhere ---- */

static char *find_global(ptx_warp *warp, const ptx_instruction *in, int lane, uint64_t address,
                         size_t bytes)
{
  ptx_block *block = warp->block;
  memory_span *span = &block->spans[in - block->kernel->code];
  size_t offset = address - span->start;
  if (offset < span->bytes && bytes <= span->bytes - offset)
    return span->memory + offset;
  if (!memory_find((uintptr_t)address, span)) {
    ptx_complain(warp, in, lane, "%#llx is no device memory", (unsigned long long)address);
    *span = (memory_span){0};
  } else {
    offset = address - span->start;
    if (offset < span->bytes && bytes <= span->bytes - offset)
      return span->memory + offset;
    ptx_complain(warp, in, lane, "%zu bytes at offset %zu of an allocation of %zu", bytes, offset,
                 span->bytes);
  }
  emulator_fault(CUDA_ERROR_ILLEGAL_ADDRESS);
  return NULL;
}

static char *find_inside(ptx_warp *warp, const ptx_instruction *in, int lane, uint64_t address,
                         size_t bytes, char *memory, size_t held, const char *what)
{
  if (address <= held && bytes <= held - address)
    return memory + address;
  ptx_complain(warp, in, lane, "%zu bytes at offset %lld of %zu of %s", bytes, (long long)address,
               held, what);
  emulator_fault(CUDA_ERROR_ILLEGAL_ADDRESS);
  return NULL;
}

/* The space of an address, which loses its window. */
static ptx_space space_of(const ptx_instruction *in, uint64_t *address)
{
  const uint64_t window = *address >> 56;
  if (in->space == PTX_SPACE_GENERIC) {
    if (window == 0)
      return PTX_SPACE_GLOBAL;
    *address &= ~PTX_WINDOW(0xff);
    return (ptx_space)window;
  }
  if (window == PTX_SPACE_MODULE &&
      (in->space == PTX_SPACE_GLOBAL || in->space == PTX_SPACE_MODULE)) {
    *address &= ~PTX_WINDOW(0xff);
    return PTX_SPACE_MODULE;
  }
  return (ptx_space)in->space;
}

char *ptx_find(ptx_warp *warp, const ptx_instruction *in, int lane, uint64_t address, size_t bytes,
               ptx_space *space)
{
  ptx_block *block = warp->block;
  const ptx_kernel *kernel = block->kernel;
  *space = space_of(in, &address);
  if (*space == PTX_SPACE_SHARED)
    return ptx_shared_find(warp, in, lane, address, bytes);
  if (address % bytes != 0) {
    ptx_complain(warp, in, lane, "%zu bytes at %#llx: misaligned", bytes,
                 (unsigned long long)address);
    emulator_fault(CUDA_ERROR_MISALIGNED_ADDRESS);
    return NULL;
  }
  switch (*space) {
  case PTX_SPACE_GLOBAL:
    return find_global(warp, in, lane, address, bytes);
  case PTX_SPACE_LOCAL: {
    char *own = block->local + kernel->local_bytes * (size_t)(warp->index * PTX_LANES + lane);
    return find_inside(warp, in, lane, address, bytes, own, kernel->local_bytes, "local memory");
  }
  case PTX_SPACE_PARAM: {
    char *parameters = (char *)(uintptr_t)block->launch->parameters; /* only read */
    return find_inside(warp, in, lane, address, bytes, parameters, kernel->parameter_bytes,
                       "the parameters");
  }
  case PTX_SPACE_MODULE:
    return find_inside(warp, in, lane, address, bytes, kernel->module->memory,
                       kernel->module->memory_bytes, "the module's variables");
  default:
    ptx_complain(warp, in, lane, "%#llx is in no space", (unsigned long long)address);
    emulator_fault(CUDA_ERROR_ILLEGAL_ADDRESS);
    return NULL;
  }
}

/* ---- Counting ---- */

static uint64_t sectors(uint32_t mask, const uint64_t *addresses)
{
  uint64_t seen[PTX_LANES];
  size_t count = 0;
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const uint64_t sector = addresses[__builtin_ctz(rest)] / SECTOR; /* aligned: never two */
    size_t at = count;
    while (at > 0 && seen[at - 1] != sector)
      at--;
    if (at == 0)
      seen[count++] = sector;
  }
  return count;
}

void ptx_count_global(ptx_block *block, uint32_t mask, const uint64_t *addresses, size_t bytes,
                      bool writes)
{
  const uint64_t all = bytes * (uint64_t)__builtin_popcount(mask);
  emulator_launch_counts *counts = block->counts;
  *(writes ? &counts->written_bytes : &counts->read_bytes) += all;
  *(writes ? &counts->written_sectors : &counts->read_sectors) += sectors(mask, addresses);
}

void ptx_count_shared(ptx_block *block, uint32_t mask, char *const *places, size_t bytes,
                      bool writes)
{
  const uint64_t passes = (uint64_t)ptx_bank_passes(block, mask, places, bytes);
  emulator_launch_counts *counts = block->counts;
  *(writes ? &counts->shared_writes : &counts->shared_reads) += 1;
  *(writes ? &counts->shared_write_passes : &counts->shared_read_passes) += passes;
}

/* All lanes in the allocation that the instruction touched last: false where one is not. */
static bool find_again(const ptx_warp *warp, const ptx_instruction *in, uint32_t operand,
                       size_t bytes, char **places)
{
  const memory_span *span = &warp->block->spans[in - warp->block->kernel->code];
  const lane_u64 *lanes = ptx_lanes(warp, operand);
  if (in->space != PTX_SPACE_GLOBAL || !in->wide_address || warp->block->counting)
    return false;
  for (uint32_t rest = warp->mask; rest != 0; rest &= rest - 1) {
    const int i = __builtin_ctz(rest);
    const uint64_t address = lanes[i] + (uint64_t)in->offset, offset = address - span->start;
    if (offset >= span->bytes || bytes > span->bytes - offset || (address & (bytes - 1)) != 0)
      return false;
    places[i] = span->memory + offset;
  }
  return true;
}

/* Finds the memory of each lane, checks it and counts. False after a fault. */
static bool prepare(ptx_warp *warp, const ptx_instruction *in, uint32_t operand, bool writes,
                    char **places)
{
  const size_t bytes = (size_t)in->bytes * in->vector;
  uint64_t addresses[PTX_LANES];
  uint32_t global = 0, shared = 0;
  if (find_again(warp, in, operand, bytes, places))
    return true;
  for (uint32_t rest = warp->mask; rest != 0; rest &= rest - 1) {
    const int i = __builtin_ctz(rest);
    ptx_space space;
    addresses[i] = ptx_address(warp, in, operand, i);
    places[i] = ptx_find(warp, in, i, addresses[i], bytes, &space);
    if (places[i] == NULL)
      return false;
    if (space == PTX_SPACE_SHARED) {
      if (writes)
        ptx_shared_write(warp, in, i, places[i], bytes, PTX_ARRIVED);
      else
        ptx_shared_read(warp, in, i, places[i], bytes);
      shared |= 1u << i;
    } else if (space == PTX_SPACE_GLOBAL)
      global |= 1u << i;
    else if (writes && space != PTX_SPACE_LOCAL) {
      ptx_complain(warp, in, i, "writes what can only be read");
      return false;
    }
  }
  if (warp->block->counting && global != 0)
    ptx_count_global(warp->block, global, addresses, bytes, writes);
  if (warp->block->counting && shared != 0)
    ptx_count_shared(warp->block, shared, places, bytes, writes);
  return true;
}

/* ---- Elements ---- */

static uint64_t load_element(const char *place, const ptx_instruction *in)
{
  uint8_t byte;
  uint16_t half;
  uint32_t word;
  uint64_t whole;
  switch (in->bytes) {
  case 1:
    memcpy(&byte, place, 1);
    return in->is_signed ? (uint64_t)(int8_t)byte : byte;
  case 2:
    memcpy(&half, place, 2);
    return in->is_signed ? (uint64_t)(int16_t)half : half;
  case 4:
    memcpy(&word, place, 4);
    return in->is_signed ? (uint64_t)(int32_t)word : word;
  default:
    memcpy(&whole, place, 8);
    return whole;
  }
}

ptx_step ptx_run_load(ptx_warp *warp, const ptx_instruction *in)
{
  char *places[PTX_LANES];
  const bool is_word = in->bytes == 4 && in->vector == 1 && !in->wide;
  if (is_word && in->space == PTX_SPACE_SHARED && !in->wide_address && !warp->block->counting &&
      warp->block->kernel->shared_unit_log2 == 2 &&
      ptx_shared_load_words(warp, in, ptx_lanes(warp, in->operands[0])))
    return PTX_NEXT;
  if (!prepare(warp, in, in->operands[in->vector], false, places))
    return PTX_FAULT;
  for (int k = 0; k < in->vector; k++) {
    void *d = ptx_lanes(warp, in->operands[k]);
    const size_t at = (size_t)k * in->bytes;
    if (in->bytes == 4 && !in->wide)
      PTX_EACH_LANE(warp, memcpy((lane_u32 *)d + i, places[i] + at, 4));
    else if (in->wide)
      PTX_EACH_LANE(warp, ((lane_u64 *)d)[i] = load_element(places[i] + at, in));
    else
      PTX_EACH_LANE(warp, ((lane_u32 *)d)[i] = (uint32_t)load_element(places[i] + at, in) &
                                               (in->flags ? 0xffffu : ~0u));
  }
  return PTX_NEXT;
}

ptx_step ptx_run_store(ptx_warp *warp, const ptx_instruction *in)
{
  char *places[PTX_LANES];
  if (!prepare(warp, in, in->operands[0], true, places))
    return PTX_FAULT;
  /* Two lanes at one place: which stays is undefined, so the order is random. */
  const int first = (int)(emulator_random() % PTX_LANES);
  for (int n = 0; n < PTX_LANES; n++) {
    const int i = (first + n) % PTX_LANES;
    for (int k = 0; k < in->vector && warp->mask >> i & 1; k++) {
      const void *source = ptx_lanes(warp, in->operands[1 + k]);
      const size_t lane = in->wide ? 8 : 4; /* the lowest bytes come first */
      memcpy(places[i] + (size_t)k * in->bytes, (const char *)source + lane * (size_t)i, in->bytes);
    }
  }
  return PTX_NEXT;
}
