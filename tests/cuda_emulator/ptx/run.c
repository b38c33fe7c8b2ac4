/* Launches: blocks in random order, one at a time; of a block the warps, in turns of random length;
 * of a warp the groups of lanes that are at the same instruction. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/ptx/async.h"
#include "tests/cuda_emulator/ptx/shared.h"

enum { NAN_BYTE = 0xff, LONGEST_TURN = 1024, ANY_GROUP_ONE_IN = 8, FILE_ALIGNMENT = 64 };

/* ---- What was wrong ---- */

void ptx_complain(const ptx_warp *warp, const ptx_instruction *in, int lane, const char *format,
                  ...)
{
  const ptx_block *block = warp->block;
  bool *told = &block->told[in - block->kernel->code];
  if (*told)
    return;
  *told = true;
  char what[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  char who[32];
  if (lane >= 0)
    snprintf(who, sizeof who, "thread %d", warp->index * PTX_LANES + lane);
  else
    snprintf(who, sizeof who, "warp %d", warp->index);
  emulator_violation("kernel %s, line %u of its PTX, `%.*s', block (%lld, %lld, %lld), %s: %s",
                     block->kernel->name, in->line, (int)strcspn(in->text, ";\n"), in->text,
                     (long long)block->place[0], (long long)block->place[1],
                     (long long)block->place[2], who, what);
}

/* ---- Groups of lanes ---- */

void ptx_leave(ptx_warp *warp, uint32_t pc, ptx_state state)
{
  ptx_group *current = &warp->groups[warp->current];
  const ptx_group left = {.mask = warp->mask, .pc = pc, .state = state};
  current->mask = warp->group_mask & ~warp->mask;
  current->pc = warp->pc;
  if (current->mask == 0)
    *current = left;
  else
    warp->groups[warp->group_count++] = left;
}

static void drop_group(ptx_warp *warp, int which)
{
  warp->groups[which] = warp->groups[--warp->group_count];
}

/* Groups that have come to the same place are one again. */
static void join_groups(ptx_warp *warp)
{
  for (int i = 0; i < warp->group_count; i++)
    for (int k = warp->group_count - 1; k > i; k--) {
      ptx_group *kept = &warp->groups[i];
      const ptx_group *other = &warp->groups[k];
      if (kept->pc != other->pc || kept->state != other->state)
        continue;
      kept->mask |= other->mask;
      if (kept->state == PTX_AT_COLLECTIVE)
        kept->state = PTX_READY; /* perhaps nobody is missing now */
      drop_group(warp, k);
    }
}

static bool is_ready(const ptx_warp *warp)
{
  for (int i = 0; i < warp->group_count; i++)
    if (warp->groups[i].state == PTX_READY)
      return true;
  return false;
}

/* The group that is furthest behind, so that others meet again where the branches join; now and
 * then any. `limit` is where another group waits to be joined. */
static void choose_group(ptx_warp *warp, uint32_t *limit)
{
  join_groups(warp);
  int chosen = -1, ready = 0;
  *limit = UINT32_MAX;
  for (int i = 0; i < warp->group_count; i++) {
    const ptx_group *each = &warp->groups[i];
    if (each->state != PTX_READY)
      continue;
    ready++;
    if (chosen < 0 || each->pc < warp->groups[chosen].pc)
      chosen = i;
  }
  if (ready > 1 && emulator_random() % ANY_GROUP_ONE_IN == 0)
    do
      chosen = (int)(emulator_random() % (uint64_t)warp->group_count);
    while (warp->groups[chosen].state != PTX_READY);
  else
    for (int i = 0; i < warp->group_count; i++)
      if (i != chosen && warp->groups[i].state == PTX_READY && warp->groups[i].pc < *limit)
        *limit = warp->groups[i].pc;
  warp->current = chosen;
}

/* ---- Control ---- */

ptx_step ptx_run_branch(ptx_warp *warp, const ptx_instruction *in)
{
  if (warp->mask == warp->group_mask) {
    warp->pc = in->target;
    return PTX_NEXT;
  }
  ptx_leave(warp, in->target, PTX_READY);
  return PTX_SWITCH;
}

static ptx_step run_exit(ptx_warp *warp, const ptx_instruction *in)
{
  (void)in;
  ptx_group *current = &warp->groups[warp->current];
  warp->ended |= warp->mask;
  current->mask = warp->group_mask & ~warp->mask;
  current->pc = warp->pc;
  if (current->mask == 0)
    drop_group(warp, warp->current);
  return PTX_SWITCH;
}

static ptx_step run_barrier(ptx_warp *warp, const ptx_instruction *in)
{
  (void)in;
  ptx_leave(warp, warp->pc - 1, PTX_AT_BARRIER);
  return PTX_SWITCH;
}

static ptx_step run_nothing(ptx_warp *warp, const ptx_instruction *in)
{
  (void)warp;
  (void)in;
  return PTX_NEXT;
}

static ptx_step run_trap(ptx_warp *warp, const ptx_instruction *in)
{
  ptx_complain(warp, in, __builtin_ctz(warp->mask), "trap");
  return PTX_FAULT;
}

const ptx_opcode ptx_control_opcodes[] = {
    {"ret", "", run_exit, EMULATOR_BRANCH},
    {"ret.uni", "", run_exit, EMULATOR_BRANCH},
    {"exit", "", run_exit, EMULATOR_BRANCH},
    {"trap", "", run_trap, EMULATOR_BRANCH},
    {"bar.sync", "n", run_barrier, EMULATOR_BARRIER},
    {"barrier.sync", "n", run_barrier, EMULATOR_BARRIER},
    {"barrier.sync.aligned", "n", run_barrier, EMULATOR_BARRIER},
    /* All lanes see memory in the order of the program. */
    {"membar.cta", "", run_nothing, EMULATOR_INTEGER},
    {"membar.gl", "", run_nothing, EMULATOR_INTEGER},
    {"fence.acq_rel.cta", "", run_nothing, EMULATOR_INTEGER},
    {"fence.acq_rel.gpu", "", run_nothing, EMULATOR_INTEGER},
    {NULL, NULL, NULL, 0},
};

/* ---- A warp's turn ---- */

/* Runs one group for at most `turn` instructions, which it counts down. */
static ptx_step run_group(ptx_warp *warp, int *turn)
{
  const ptx_instruction *code = warp->block->kernel->code;
  uint64_t *instructions = warp->block->counts->instructions;
  uint32_t limit;
  choose_group(warp, &limit);
  ptx_group *group = &warp->groups[warp->current];
  warp->group_mask = group->mask;
  uint32_t pc = group->pc;
  for (; *turn > 0; (*turn)--) {
    const ptx_instruction *in = &code[pc];
    warp->pc = pc + 1;
    warp->mask = warp->group_mask & ptx_predicate(warp, in->guard);
    instructions[in->class]++;
    if (warp->mask != 0) {
      const ptx_step step = in->run(warp, in);
      if (step != PTX_NEXT)
        return step;
    }
    pc = warp->pc;
    if (pc >= limit)
      break;
  }
  group->pc = pc;
  return PTX_NEXT;
}

static bool run_warp(ptx_warp *warp, int turn)
{
  while (turn > 0 && is_ready(warp))
    if (run_group(warp, &turn) == PTX_FAULT)
      return false;
    else
      turn--;
  join_groups(warp);
  return true;
}

/* ---- A block ---- */

static void begin_epoch(ptx_block *block)
{
  block->epoch++;
  for (int i = 0; i < block->warp_count; i++)
    block->warps[i].stamp = block->epoch << PTX_EPOCH_SHIFT | (uint64_t)(i * PTX_LANES);
}

static void fill(ptx_warp *warp, ptx_special special, uint32_t value)
{
  const uint32_t place = warp->block->kernel->specials[special];
  lane_u32 *lanes = ptx_lanes(warp, place);
  for (int i = 0; place != 0 && i < PTX_LANES; i++)
    lanes[i] = value;
}

static void fill_specials(ptx_warp *warp)
{
  const ptx_block *block = warp->block;
  const ptx_launch *launch = block->launch;
  const uint32_t *places = block->kernel->specials;
  for (int d = 0; d < 3; d++) {
    fill(warp, (ptx_special)(PTX_NTID + d), (uint32_t)launch->threads[d]);
    fill(warp, (ptx_special)(PTX_CTAID + d), (uint32_t)block->place[d]);
    fill(warp, (ptx_special)(PTX_NCTAID + d), (uint32_t)launch->blocks[d]);
  }
  fill(warp, PTX_WARPID, (uint32_t)warp->index);
  fill(warp, PTX_NWARPID, (uint32_t)block->warp_count);
  fill(warp, PTX_CLOCK, (uint32_t)emulator_random());
  fill(warp, PTX_DYNAMIC_SMEM, (uint32_t)launch->dynamic_bytes);
  for (int i = 0; i < PTX_LANES; i++) {
    const int thread = warp->index * PTX_LANES + i;
    const int across = launch->threads[0], down = launch->threads[1];
    const uint32_t bit = 1u << i;
    const struct {
      ptx_special special;
      uint32_t value;
    } values[] = {
        {PTX_TID, (uint32_t)(thread % across)},
        {(ptx_special)(PTX_TID + 1), (uint32_t)(thread / across % down)},
        {(ptx_special)(PTX_TID + 2), (uint32_t)(thread / across / down)},
        {PTX_LANEID, (uint32_t)i},
        {PTX_LANEMASK_EQ, bit},
        {PTX_LANEMASK_LT, bit - 1},
        {PTX_LANEMASK_LE, bit | (bit - 1)},
        {PTX_LANEMASK_GE, ~(bit - 1)},
        {PTX_LANEMASK_GT, ~(bit | (bit - 1))},
    };
    for (size_t k = 0; k < sizeof values / sizeof values[0]; k++)
      if (places[values[k].special] != 0)
        ((lane_u32 *)ptx_lanes(warp, places[values[k].special]))[i] = values[k].value;
  }
}

static void begin_block(ptx_block *block)
{
  begin_epoch(block);
  block->first_epoch = block->epoch;
  memset(block->shared, NAN_BYTE, block->shared_bytes);
  memset(block->local, NAN_BYTE, block->kernel->local_bytes * (size_t)block->threads);
  ptx_copies_forget(block->copies, block->threads);
  for (int i = 0; i < block->warp_count; i++) {
    ptx_warp *warp = &block->warps[i];
    const int threads = block->threads - i * PTX_LANES;
    const uint32_t mask = threads >= PTX_LANES ? PTX_ALL_LANES : (1u << threads) - 1;
    warp->groups[0] = (ptx_group){.mask = mask, .pc = 0, .state = PTX_READY};
    warp->group_count = 1;
    warp->ended = ~mask;
    fill_specials(warp);
  }
}

static const ptx_instruction *instruction_at(const ptx_block *block, uint32_t pc)
{
  return &block->kernel->code[pc];
}

/* Lanes that wait for others of their warp, although all that could come have stopped elsewhere. */
static bool find_stuck(const ptx_block *block)
{
  for (int i = 0; i < block->warp_count; i++) {
    const ptx_warp *warp = &block->warps[i];
    for (int k = 0; k < warp->group_count; k++) {
      const ptx_group *group = &warp->groups[k];
      if (group->state != PTX_AT_COLLECTIVE)
        continue;
      ptx_complain(warp, instruction_at(block, group->pc), -1,
                   "only the lanes %#x arrive: others have ended (%#x) or stand elsewhere",
                   group->mask, warp->ended);
      return true;
    }
  }
  return false;
}

/* Once nobody can go on. False: the barrier can never be passed. */
static bool pass_barrier(ptx_block *block)
{
  const ptx_group *first = NULL;
  const ptx_warp *of_first = NULL;
  int waiting = 0;
  for (int i = 0; i < block->warp_count; i++)
    for (int k = 0; k < block->warps[i].group_count; k++) {
      const ptx_group *group = &block->warps[i].groups[k];
      waiting += __builtin_popcount(group->mask);
      if (first == NULL) {
        first = group;
        of_first = &block->warps[i];
      } else if (group->pc != first->pc) {
        ptx_complain(of_first, instruction_at(block, first->pc), -1,
                     "threads of warp %d wait at the barrier of line %u", i,
                     instruction_at(block, group->pc)->line);
        return false;
      }
    }
  if (waiting < block->threads) {
    ptx_complain(of_first, instruction_at(block, first->pc), -1,
                 "%d threads of the block have ended while %d wait at the barrier",
                 block->threads - waiting, waiting);
    return false;
  }
  begin_epoch(block);
  for (int i = 0; i < block->warp_count; i++) {
    ptx_warp *warp = &block->warps[i];
    for (int k = 0; k < warp->group_count; k++) {
      warp->groups[k].state = PTX_READY;
      warp->groups[k].pc++;
    }
    join_groups(warp);
  }
  return true;
}

static bool run_block(ptx_block *block)
{
  begin_block(block);
  for (;;) {
    int ready[PTX_MOST_WARPS], count = 0, alive = 0;
    for (int i = 0; i < block->warp_count; i++) {
      alive += block->warps[i].group_count > 0;
      if (is_ready(&block->warps[i]))
        ready[count++] = i;
    }
    if (alive == 0)
      return true;
    if (count == 0) {
      if (find_stuck(block) || !pass_barrier(block))
        return false;
      continue;
    }
    ptx_warp *warp = &block->warps[ready[emulator_random() % (uint64_t)count]];
    if (!run_warp(warp, 1 + (int)(emulator_random() % LONGEST_TURN)))
      return false;
  }
}

/* ---- A launch ---- */

static bool check_launch(const ptx_kernel *kernel, const ptx_launch *launch, int threads)
{
  if (threads < 1 || threads > kernel->max_threads ||
      (kernel->exact_threads && threads != kernel->max_threads)) {
    emulator_violation("kernel %s: blocks of %d threads, its PTX says %s %d", kernel->name, threads,
                       kernel->exact_threads ? "exactly" : "at most", kernel->max_threads);
    return false;
  }
  if (launch->dynamic_bytes > 0 && kernel->dynamic_array < 0) {
    emulator_violation("kernel %s: %zu bytes of dynamic shared memory, which it does not use",
                       kernel->name, launch->dynamic_bytes);
    return false;
  }
  return true;
}

/* Memory that launches use one after the other; it grows. */
static struct {
  char *memory;
  size_t bytes;
} arena;

static void *take(size_t *used, size_t bytes)
{
  void *taken = arena.memory != NULL ? arena.memory + *used : NULL;
  *used += (bytes + FILE_ALIGNMENT - 1) / FILE_ALIGNMENT * FILE_ALIGNMENT;
  return taken;
}

/* Everything of a block but its copies, one after the other in the arena. Returns the bytes that
 * this needs. */
static size_t lay_out(ptx_block *block, char **files, uint32_t **predicates)
{
  const ptx_kernel *kernel = block->kernel;
  const size_t warps = (size_t)block->warp_count;
  size_t used = 0;
  *files = take(&used, kernel->file_bytes * warps);
  *predicates = take(&used, kernel->predicate_count * warps * sizeof **predicates);
  block->warps = take(&used, warps * sizeof *block->warps);
  block->shared = take(&used, block->shared_bytes);
  block->local = take(&used, kernel->local_bytes * warps * PTX_LANES);
  block->shadow =
      take(&used, ((block->shared_bytes >> kernel->shared_unit_log2) + 1) * sizeof *block->shadow);
  block->spans = take(&used, kernel->code_count * sizeof *block->spans);
  block->told = take(&used, kernel->code_count * sizeof *block->told);
  return used;
}

static void prepare_block(ptx_block *block)
{
  const ptx_kernel *kernel = block->kernel;
  char *files;
  uint32_t *predicates;
  const size_t bytes = lay_out(block, &files, &predicates);
  if (bytes > arena.bytes) {
    free(arena.memory);
    arena.memory = aligned_alloc(FILE_ALIGNMENT, bytes);
    if (arena.memory == NULL)
      abort();
    arena.bytes = bytes;
    memset(arena.memory, NAN_BYTE, bytes);
  }
  lay_out(block, &files, &predicates);
  memset(block->shadow, 0,
         ((block->shared_bytes >> kernel->shared_unit_log2) + 1) * sizeof *block->shadow);
  memset(block->spans, 0, kernel->code_count * sizeof *block->spans);
  memset(block->told, 0, kernel->code_count * sizeof *block->told);
  for (int i = 0; i < block->warp_count; i++) {
    block->warps[i] = (ptx_warp){
        .files = {files + kernel->file_bytes * (size_t)i, kernel->constants},
        .predicates = predicates + kernel->predicate_count * (size_t)i,
        .block = block,
        .index = i,
    };
    block->warps[i].predicates[PTX_FALSE] = 0;
    block->warps[i].predicates[PTX_TRUE] = PTX_ALL_LANES;
  }
}

static bool run_blocks(ptx_block *block)
{
  const int64_t *blocks = block->launch->blocks;
  const uint64_t count = (uint64_t)(blocks[0] * blocks[1] * blocks[2]);
  const emulator_order all = emulator_order_of(count);
  for (uint64_t i = 0; i < count; i++) {
    const int64_t number = (int64_t)emulator_order_at(&all, i);
    block->place[0] = number % blocks[0];
    block->place[1] = number / blocks[0] % blocks[1];
    block->place[2] = number / blocks[0] / blocks[1];
    if (!run_block(block))
      return false;
  }
  return true;
}

bool ptx_run(ptx_kernel *kernel, const ptx_launch *launch)
{
  const int threads = launch->threads[0] * launch->threads[1] * launch->threads[2];
  if (!check_launch(kernel, launch, threads)) {
    emulator_fault(CUDA_ERROR_LAUNCH_FAILED);
    return false;
  }
  bool counting;
  emulator_launch_counts unread, *counts = emulator_new_count(&unread, &counting);
  *counts = (emulator_launch_counts){
      .kernel = kernel->name,
      .blocks = (uint64_t)(launch->blocks[0] * launch->blocks[1] * launch->blocks[2]),
      .threads = (uint64_t)threads,
      .shared_bytes = kernel->shared_bytes + launch->dynamic_bytes,
  };
  ptx_block block = {
      .kernel = kernel,
      .launch = launch,
      .counts = counts,
      .counting = counting,
      .threads = threads,
      .warp_count = (threads + PTX_LANES - 1) / PTX_LANES,
      .shared_bytes = kernel->shared_bytes + launch->dynamic_bytes,
      .copies = calloc((size_t)threads, sizeof(ptx_copies)),
  };
  if (block.copies == NULL)
    abort();
  prepare_block(&block);
  const bool done = run_blocks(&block);
  ptx_copies_free(block.copies, threads);
  if (!done)
    emulator_fault(CUDA_ERROR_LAUNCH_FAILED);
  return done;
}

static __attribute__((destructor)) void free_at_unload(void)
{
  free(arena.memory);
  arena.memory = NULL;
}
