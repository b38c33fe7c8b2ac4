#include "tests/cuda_emulator/ptx/async.h"

#include <stdlib.h>
#include <string.h>

#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/ptx/access.h"
#include "tests/cuda_emulator/ptx/shared.h"

struct ptx_copy {
  char *to;
  const char *from;
  uint32_t bytes, filled; /* the rest of `bytes` is zero */
  uint64_t group;
};

void ptx_copies_forget(ptx_copies *copies, int threads)
{
  for (int i = 0; i < threads; i++)
    copies[i].count = copies[i].committed = 0;
}

void ptx_copies_free(ptx_copies *copies, int threads)
{
  for (int i = 0; i < threads; i++)
    free(copies[i].list);
  free(copies);
}

static ptx_copies *copies_of(const ptx_warp *warp, int lane)
{
  return &warp->block->copies[warp->index * PTX_LANES + lane];
}

static void add(ptx_copies *copies, ptx_copy added)
{
  if (copies->count == copies->capacity) {
    copies->capacity = copies->capacity == 0 ? 8 : 2 * copies->capacity;
    copies->list = realloc(copies->list, copies->capacity * sizeof *copies->list);
    if (copies->list == NULL)
      abort();
  }
  copies->list[copies->count++] = added;
}

/* Where a lane reads its `filled` bytes; NULL, and a violation, where it cannot. */
static const char *find_source(ptx_warp *warp, const ptx_instruction *in, int lane,
                               uint64_t address, uint32_t filled)
{
  ptx_space space;
  if (filled > in->bytes || address % in->bytes != 0) {
    ptx_complain(warp, in, lane, "copies %u bytes of %d from %#llx", filled, in->bytes,
                 (unsigned long long)address);
    return NULL;
  }
  return ptx_find(warp, in, lane, address + filled - 1, 1, &space) != NULL
             ? ptx_find(warp, in, lane, address, 1, &space)
             : NULL;
}

/* Operands: the place in shared memory, that in global memory with its offset in `target`, the
 * bytes that are read of in->bytes. */
ptx_step ptx_run_copy_async(ptx_warp *warp, const ptx_instruction *in)
{
  const lane_u64 *from = ptx_lanes(warp, in->operands[1]);
  const lane_u32 *filled = ptx_lanes(warp, in->operands[2]);
  uint64_t addresses[PTX_LANES];
  char *places[PTX_LANES];
  uint32_t reads = 0;
  for (uint32_t rest = warp->mask; rest != 0; rest &= rest - 1) {
    const int i = __builtin_ctz(rest);
    const char *source = NULL;
    places[i] = ptx_shared_find(warp, in, i, ptx_address(warp, in, in->operands[0], i), in->bytes);
    addresses[i] = from[i] + (uint64_t)(int64_t)(int32_t)in->target;
    if (filled[i] > 0) {
      source = find_source(warp, in, i, addresses[i], filled[i]);
      reads |= 1u << i;
    }
    if (places[i] == NULL || (filled[i] > 0 && source == NULL))
      return PTX_FAULT;
    ptx_shared_write(warp, in, i, places[i], in->bytes, PTX_ON_ITS_WAY);
    ptx_copies *copies = copies_of(warp, i);
    add(copies, (ptx_copy){places[i], source, in->bytes, filled[i], copies->committed});
  }
  if (warp->block->counting) {
    ptx_count_global(warp->block, reads, addresses, in->bytes, false);
    ptx_count_shared(warp->block, warp->mask, places, in->bytes, true);
  }
  return PTX_NEXT;
}

/* Lets the copies of a lane arrive that belong to groups before `group`. */
static void arrive(ptx_warp *warp, int lane, uint64_t group)
{
  ptx_copies *copies = copies_of(warp, lane);
  size_t kept = 0;
  for (size_t i = 0; i < copies->count; i++) {
    const ptx_copy copy = copies->list[i];
    if (copy.group >= group) {
      copies->list[kept++] = copy;
      continue;
    }
    if (copy.filled > 0)
      memcpy(copy.to, copy.from, copy.filled);
    memset(copy.to + copy.filled, 0, copy.bytes - copy.filled);
    ptx_shared_arrive(warp, lane, copy.to, copy.bytes);
  }
  copies->count = kept;
}

static ptx_step run_commit(ptx_warp *warp, const ptx_instruction *in)
{
  (void)in;
  for (uint32_t rest = warp->mask; rest != 0; rest &= rest - 1)
    copies_of(warp, __builtin_ctz(rest))->committed++;
  return PTX_NEXT;
}

/* All groups but the latest so many. */
static ptx_step run_wait_group(ptx_warp *warp, const ptx_instruction *in)
{
  for (uint32_t rest = warp->mask; rest != 0; rest &= rest - 1) {
    const int i = __builtin_ctz(rest);
    const uint64_t committed = copies_of(warp, i)->committed, under_way = in->operands[0];
    arrive(warp, i, committed > under_way ? committed - under_way : 0);
  }
  return PTX_NEXT;
}

static ptx_step run_wait_all(ptx_warp *warp, const ptx_instruction *in)
{
  (void)in;
  for (uint32_t rest = warp->mask; rest != 0; rest &= rest - 1)
    arrive(warp, __builtin_ctz(rest), UINT64_MAX);
  return PTX_NEXT;
}

const ptx_opcode ptx_async_opcodes[] = {
    {"cp.async.commit_group", "", run_commit, EMULATOR_INTEGER},
    {"cp.async.wait_group", "n", run_wait_group, EMULATOR_INTEGER},
    {"cp.async.wait_all", "", run_wait_all, EMULATOR_INTEGER},
    {NULL, NULL, NULL, 0},
};
