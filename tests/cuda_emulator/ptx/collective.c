/* What the lanes of a warp do together: shuffles, votes, barriers of a warp. */
#include "tests/cuda_emulator/ptx/code.h"
#include "tests/cuda_emulator/ptx/shared.h"

bool ptx_collect(ptx_warp *warp, const ptx_instruction *in, const lane_u32 *members)
{
  uint32_t wanted = members == NULL ? PTX_ALL_LANES : 0;
  for (uint32_t rest = warp->mask; members != NULL && rest != 0; rest &= rest - 1) {
    const int i = __builtin_ctz(rest);
    wanted |= members[i];
    if (!(members[i] >> i & 1))
      ptx_complain(warp, in, i, "its mask %#x leaves out the lane itself", members[i]);
  }
  if (members != NULL)
    wanted &= ~warp->ended; /* nobody waits for these; reading them is another matter */
  if ((wanted & ~warp->mask) == 0)
    return true;
  ptx_leave(warp, warp->pc - 1, PTX_AT_COLLECTIVE);
  return false;
}

/* ---- Shuffles ---- */

typedef enum { SHUFFLE_UP, SHUFFLE_DOWN, SHUFFLE_BUTTERFLY, SHUFFLE_INDEX } shuffle;

/* The lane that lane i reads, before it is known to be in range: as the document's pseudocode. */
static bool source_of(shuffle mode, int i, uint32_t b, uint32_t c, int *source)
{
  const int segment = (int)(c >> 8 & 31), clamp = (int)(c & 31), by = (int)(b & 31);
  const int last = (i & segment) | (clamp & ~segment), first = i & segment;
  switch (mode) {
  case SHUFFLE_UP:
    *source = i - by;
    return *source >= last;
  case SHUFFLE_DOWN:
    *source = i + by;
    return *source <= last;
  case SHUFFLE_BUTTERFLY:
    *source = i ^ by;
    return *source <= last;
  default:
    *source = first | (by & ~segment);
    return *source <= last;
  }
}

/* Operands: d, the predicate that says whether the source was in range, a, b, c, members. */
static ptx_step run_shuffle(ptx_warp *warp, const ptx_instruction *in, shuffle mode)
{
  const lane_u32 *members = ptx_lanes(warp, in->operands[5]);
  if (!ptx_collect(warp, in, members))
    return PTX_SWITCH;
  lane_u32 *d = ptx_lanes(warp, in->operands[0]);
  const lane_u32 *a = ptx_lanes(warp, in->operands[2]), *b = ptx_lanes(warp, in->operands[3]);
  const lane_u32 *c = ptx_lanes(warp, in->operands[4]);
  uint32_t values[PTX_LANES], in_range = 0;
  for (uint32_t rest = warp->mask; rest != 0; rest &= rest - 1) {
    const int i = __builtin_ctz(rest);
    int source;
    if (source_of(mode, i, b[i], c[i], &source))
      in_range |= 1u << i;
    else
      source = i;
    if (!(members[i] >> source & 1) || !(warp->mask >> source & 1))
      ptx_complain(warp, in, i, "reads lane %d, which is not in its mask %#x", source, members[i]);
    values[i] = a[source];
  }
  PTX_EACH_LANE(warp, d[i] = values[i]);
  ptx_set_predicate(warp, in->operands[1], in_range);
  return PTX_NEXT;
}

static ptx_step run_shuffle_up(ptx_warp *warp, const ptx_instruction *in)
{
  return run_shuffle(warp, in, SHUFFLE_UP);
}

static ptx_step run_shuffle_down(ptx_warp *warp, const ptx_instruction *in)
{
  return run_shuffle(warp, in, SHUFFLE_DOWN);
}

static ptx_step run_shuffle_butterfly(ptx_warp *warp, const ptx_instruction *in)
{
  return run_shuffle(warp, in, SHUFFLE_BUTTERFLY);
}

static ptx_step run_shuffle_index(ptx_warp *warp, const ptx_instruction *in)
{
  return run_shuffle(warp, in, SHUFFLE_INDEX);
}

/* ---- Votes ---- */

/* Operands: d, the predicate voted on, members. */
#define VOTE(name, expression)                                               \
  static ptx_step run_vote_##name(ptx_warp *warp, const ptx_instruction *in) \
  {                                                                          \
    const lane_u32 *members = ptx_lanes(warp, in->operands[2]);              \
    if (!ptx_collect(warp, in, members))                                     \
      return PTX_SWITCH;                                                     \
    const uint32_t votes = ptx_predicate(warp, in->operands[1]);             \
    uint32_t result = 0;                                                     \
    for (uint32_t rest = warp->mask; rest != 0; rest &= rest - 1) {          \
      const int i = __builtin_ctz(rest);                                     \
      const uint32_t yes = votes & members[i];                               \
      result |= (uint32_t)(expression) << i;                                 \
    }                                                                        \
    ptx_set_predicate(warp, in->operands[0], result);                        \
    return PTX_NEXT;                                                         \
  }
VOTE(any, yes != 0)
VOTE(all, yes == members[i])
VOTE(uni, yes == 0 || yes == members[i])

static ptx_step run_vote_ballot(ptx_warp *warp, const ptx_instruction *in)
{
  const lane_u32 *members = ptx_lanes(warp, in->operands[2]);
  if (!ptx_collect(warp, in, members))
    return PTX_SWITCH;
  lane_u32 *d = ptx_lanes(warp, in->operands[0]);
  const uint32_t votes = ptx_predicate(warp, in->operands[1]);
  PTX_EACH_LANE(warp, d[i] = votes & members[i]);
  return PTX_NEXT;
}

/* Whoever happens to run together. */
static ptx_step run_activemask(ptx_warp *warp, const ptx_instruction *in)
{
  lane_u32 *d = ptx_lanes(warp, in->operands[0]);
  const uint32_t mask = warp->mask;
  PTX_EACH_LANE(warp, d[i] = mask);
  return PTX_NEXT;
}

/* Operands: d, a, members. */
#define REDUCTION(name, type, expression)                                          \
  static ptx_step run_redux_##name(ptx_warp *warp, const ptx_instruction *in)      \
  {                                                                                \
    const lane_u32 *members = ptx_lanes(warp, in->operands[2]);                    \
    if (!ptx_collect(warp, in, members))                                           \
      return PTX_SWITCH;                                                           \
    lane_##type *d = ptx_lanes(warp, in->operands[0]);                             \
    const lane_##type *values = ptx_lanes(warp, in->operands[1]);                  \
    lane_##type results[PTX_LANES];                                                \
    for (uint32_t rest = warp->mask; rest != 0; rest &= rest - 1) {                \
      const int i = __builtin_ctz(rest);                                           \
      lane_##type a = values[i];                                                   \
      for (uint32_t more = members[i] & ~(1u << i); more != 0; more &= more - 1) { \
        const lane_##type b = values[__builtin_ctz(more)];                         \
        a = (expression);                                                          \
      }                                                                            \
      results[i] = a;                                                              \
    }                                                                              \
    PTX_EACH_LANE(warp, d[i] = results[i]);                                        \
    return PTX_NEXT;                                                               \
  }
REDUCTION(add, u32, a + b)
REDUCTION(min_u, u32, a < b ? a : b)
REDUCTION(max_u, u32, a > b ? a : b)
REDUCTION(min_s, s32, a < b ? a : b)
REDUCTION(max_s, s32, a > b ? a : b)
REDUCTION(and, u32, a &b)
REDUCTION(or, u32, a | b)
REDUCTION(xor, u32, a ^ b)

/* ---- The barrier of a warp: what its lanes wrote, its lanes may read ---- */

static ptx_step run_warp_sync(ptx_warp *warp, const ptx_instruction *in)
{
  const lane_u32 *members = ptx_lanes(warp, in->operands[0]);
  if (!ptx_collect(warp, in, members))
    return PTX_SWITCH;
  /* A barrier of some lanes orders those alone; the stamps know only of all. */
  if (warp->mask == (PTX_ALL_LANES & ~warp->ended))
    warp->stamp += (uint64_t)1 << PTX_WARP_EPOCH_SHIFT;
  return PTX_NEXT;
}

enum { INTEGER = EMULATOR_INTEGER, SHUFFLE = EMULATOR_SHUFFLE };

const ptx_opcode ptx_collective_opcodes[] = {
    {"shfl.sync.up.b32", "wqwwww", run_shuffle_up, SHUFFLE},
    {"shfl.sync.down.b32", "wqwwww", run_shuffle_down, SHUFFLE},
    {"shfl.sync.bfly.b32", "wqwwww", run_shuffle_butterfly, SHUFFLE},
    {"shfl.sync.idx.b32", "wqwwww", run_shuffle_index, SHUFFLE},
    {"vote.sync.any.pred", "pPw", run_vote_any, SHUFFLE},
    {"vote.sync.all.pred", "pPw", run_vote_all, SHUFFLE},
    {"vote.sync.uni.pred", "pPw", run_vote_uni, SHUFFLE},
    {"vote.sync.ballot.b32", "wPw", run_vote_ballot, SHUFFLE},
    {"activemask.b32", "w", run_activemask, INTEGER},
    {"redux.sync.add.u32", "www", run_redux_add, SHUFFLE},
    {"redux.sync.add.s32", "www", run_redux_add, SHUFFLE},
    {"redux.sync.min.u32", "www", run_redux_min_u, SHUFFLE},
    {"redux.sync.max.u32", "www", run_redux_max_u, SHUFFLE},
    {"redux.sync.min.s32", "www", run_redux_min_s, SHUFFLE},
    {"redux.sync.max.s32", "www", run_redux_max_s, SHUFFLE},
    {"redux.sync.and.b32", "www", run_redux_and, SHUFFLE},
    {"redux.sync.or.b32", "www", run_redux_or, SHUFFLE},
    {"redux.sync.xor.b32", "www", run_redux_xor, SHUFFLE},
    {"bar.warp.sync", "w", run_warp_sync, EMULATOR_BARRIER},
    {NULL, NULL, NULL, 0},
};
