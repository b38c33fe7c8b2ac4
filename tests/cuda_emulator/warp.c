/* The collectives of source/tensor/warp.h: the 32 fibers of a warp meet in each, and the last to
 * arrive computes the results of all from the arguments that lie on their stacks. */
#include "tests/cuda_emulator/warp.h"

#include <string.h>

/* ---- Local memory ---- */

enum { LOCAL_BYTES = 48 << 10 };

static _Alignas(16) unsigned char local_memory[LOCAL_BYTES];
static int local_used; /* what the kernel asked for */

void *dialect_warp_memory(int bytes)
{
  if (bytes > LOCAL_BYTES)
    launch_fault("%d bytes of local memory, there are %d", bytes, LOCAL_BYTES);
  local_used = bytes;
  return local_memory;
}

static bool is_local(const void *x, size_t bytes)
{
  const uintptr_t first = (uintptr_t)local_memory, at = (uintptr_t)x;
  return at % 16 == 0 && at >= first && at + bytes <= first + (uintptr_t)local_used;
}

/* ---- Meeting ---- */

typedef enum { MMA, MMA_TRANSPOSED, MMA_REGISTERS, LOAD, LOAD_TRANSPOSED, FROM } collective;

static const char *const names[] = {"mma",      "mma of ldmatrix.trans", "mma of registers",
                                    "ldmatrix", "ldmatrix.trans",        "shfl"};

/* The arguments of one lane. */
typedef struct {
  float (*d)[4];
  const uint32_t *a, *b;
  uint32_t *r;
  const unsigned char *row;
  uint32_t x;
  int lane;
} arguments;

static struct {
  collective kind;
  int arrived;
  arguments *of[EMULATOR_WARP];
} warps[EMULATOR_MAX_GROUP / EMULATOR_WARP];

static void multiply_accumulate(arguments **of, bool transposed);
static void multiply_registers(arguments **of);
static void load(arguments **of, bool transposed);
static void exchange(arguments **of);

static void meet(collective kind, arguments *mine)
{
  const int warp = current_place.item / EMULATOR_WARP, lane = current_place.item % EMULATOR_WARP;
  if (warps[warp].arrived == 0) {
    warps[warp].kind = kind;
  } else if (warps[warp].kind != kind) {
    launch_fault("work-items of a warp are in %s and in %s", names[warps[warp].kind], names[kind]);
    launch_wait_for_warp();
  }
  warps[warp].of[lane] = mine;
  if (++warps[warp].arrived < EMULATOR_WARP) {
    launch_wait_for_warp();
    return;
  }
  warps[warp].arrived = 0;
  switch (kind) {
  case MMA:
  case MMA_TRANSPOSED:
    multiply_accumulate(warps[warp].of, kind == MMA_TRANSPOSED);
    break;
  case MMA_REGISTERS:
    multiply_registers(warps[warp].of);
    break;
  case LOAD:
  case LOAD_TRANSPOSED:
    load(warps[warp].of, kind == LOAD_TRANSPOSED);
    break;
  case FROM:
    exchange(warps[warp].of);
    break;
  }
  launch_wake(warp);
}

/* ---- Matrices from local memory ---- */

/* Reads matrix m of the four, whose rows lanes 8 m to 8 m + 7 name. */
static bool read_matrix(arguments **of, int m, uint16_t matrix[8][8])
{
  for (int i = 0; i < 8; i++) {
    const unsigned char *row = of[8 * m + i]->row;
    if (!is_local(row, sizeof matrix[i])) {
      launch_fault("ldmatrix: a row is not 16 aligned bytes of local memory");
      return false;
    }
    memcpy(matrix[i], row, sizeof matrix[i]);
  }
  return true;
}

static void load(arguments **of, bool transposed)
{
  uint16_t matrix[8][8];
  for (int m = 0; m < 4 && read_matrix(of, m, matrix); m++)
    for (int lane = 0; lane < EMULATOR_WARP; lane++) {
      const int g = lane / 4, t = lane % 4 * 2;
      const uint32_t first = transposed ? matrix[t][g] : matrix[g][t];
      const uint32_t second = transposed ? matrix[t + 1][g] : matrix[g][t + 1];
      of[lane]->r[m] = first | second << 16;
    }
}

void dialect_ldmatrix(uint32_t *r, const void *row, int transposed)
{
  arguments mine = {.r = r, .row = row};
  meet(transposed ? LOAD_TRANSPOSED : LOAD, &mine);
}

/* ---- Products ---- */

typedef float sixteen_floats __attribute__((vector_size(64), aligned(4), may_alias));

static float of_bf16(uint32_t half)
{
  const uint32_t bits = half << 16;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* Twice m16n8k16: d [16, 16] += a [16, 16] b [16, 16]. As ldmatrix gives them, matrices 0 and 1 are
 * the upper and the lower half of b's left eight columns, 2 and 3 of the right ones; without
 * transposition their rows are b's columns. Products of BF16 are exact in float32; they are added
 * one by one. */
static void multiply_accumulate(arguments **of, bool transposed)
{
  float a[16][16], b[16][16], d[16][16];
  for (int m = 0; m < 4; m++) {
    uint16_t matrix[8][8];
    if (!read_matrix(of, m, matrix))
      return;
    for (int k = 0; k < 8; k++)
      for (int j = 0; j < 8; j++)
        b[m % 2 * 8 + k][m / 2 * 8 + j] = of_bf16(transposed ? matrix[k][j] : matrix[j][k]);
  }
  for (int lane = 0; lane < EMULATOR_WARP; lane++) {
    const arguments *x = of[lane];
    const int g = lane / 4, t = lane % 4 * 2;
    for (int i = 0; i < 4; i++) {
      a[g + i % 2 * 8][t + i / 2 * 8] = of_bf16(x->a[i] & 0xffff);
      a[g + i % 2 * 8][t + i / 2 * 8 + 1] = of_bf16(x->a[i] >> 16);
      d[g + i / 2 * 8][t + i % 2] = x->d[0][i];
      d[g + i / 2 * 8][8 + t + i % 2] = x->d[1][i];
    }
  }
  for (int i = 0; i < 16; i++) {
    sixteen_floats sum = *(sixteen_floats *)d[i];
    for (int k = 0; k < 16; k++)
      sum += a[i][k] * *(sixteen_floats *)b[k];
    *(sixteen_floats *)d[i] = sum;
  }
  for (int lane = 0; lane < EMULATOR_WARP; lane++)
    for (int i = 0; i < 4; i++) {
      of[lane]->d[0][i] = d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
      of[lane]->d[1][i] = d[lane / 4 + i / 2 * 8][8 + lane % 4 * 2 + i % 2];
    }
}

void dialect_mma(float (*d)[4], const uint32_t *a, const void *row, int transposed)
{
  arguments mine = {.d = d, .a = a, .row = row};
  meet(transposed ? MMA_TRANSPOSED : MMA, &mine);
}

/* m16n8k16 with b from registers: d [16, 8] += a [16, 16] b [16, 8]. */
static void multiply_registers(arguments **of)
{
  float a[16][16], b[16][8], d[16][8];
  for (int lane = 0; lane < EMULATOR_WARP; lane++) {
    const arguments *x = of[lane];
    const int g = lane / 4, t = lane % 4 * 2;
    for (int i = 0; i < 4; i++) {
      a[g + i % 2 * 8][t + i / 2 * 8] = of_bf16(x->a[i] & 0xffff);
      a[g + i % 2 * 8][t + i / 2 * 8 + 1] = of_bf16(x->a[i] >> 16);
      d[g + i / 2 * 8][t + i % 2] = x->d[0][i];
    }
    for (int i = 0; i < 2; i++) {
      b[t + i * 8][g] = of_bf16(x->b[i] & 0xffff);
      b[t + i * 8 + 1][g] = of_bf16(x->b[i] >> 16);
    }
  }
  for (int i = 0; i < 16; i++)
    for (int k = 0; k < 16; k++)
      for (int j = 0; j < 8; j++)
        d[i][j] += a[i][k] * b[k][j];
  for (int lane = 0; lane < EMULATOR_WARP; lane++)
    for (int i = 0; i < 4; i++)
      of[lane]->d[0][i] = d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
}

void dialect_mma_registers(float *d, const uint32_t *a, const uint32_t *b)
{
  arguments mine = {.d = (float(*)[4])(void *)d, .a = a, .b = b};
  meet(MMA_REGISTERS, &mine);
}

/* ---- Exchanges ---- */

static void exchange(arguments **of)
{
  uint32_t x[EMULATOR_WARP];
  for (int lane = 0; lane < EMULATOR_WARP; lane++)
    x[lane] = of[lane]->x;
  for (int lane = 0; lane < EMULATOR_WARP; lane++)
    of[lane]->x = x[of[lane]->lane % EMULATOR_WARP];
}

uint32_t dialect_warp_from(uint32_t x, int lane)
{
  arguments mine = {.x = x, .lane = lane};
  meet(FROM, &mine);
  return mine.x;
}

/* ---- Copies that run beside computation ----
 *
 * A copy is made when its group is waited for. Until then its place holds NaN, so that a read that
 * comes too early shows; and it reads its source as late as may be. */

enum { MOST_COPIES = 256 };

typedef struct {
  unsigned char *to;
  const unsigned char *from;
  int bytes, group;
} copy;

static struct {
  copy pending[MOST_COPIES];
  int count, group;
} copies[EMULATOR_MAX_GROUP];

void dialect_copy_async(void *local, const void *global, int bytes)
{
  const int item = current_place.item;
  if (!is_local(local, 16) || (uintptr_t)global % 16 != 0 || (bytes != 0 && bytes != 16) ||
      copies[item].count == MOST_COPIES) {
    launch_fault("cp.async: %d bytes from %p, %d copies are on their way", bytes, global,
                 copies[item].count);
    return;
  }
  memset(local, 0xff, 16);
  copies[item].pending[copies[item].count++] = (copy){local, global, bytes, copies[item].group};
}

void dialect_copy_commit(void)
{
  copies[current_place.item].group++;
}

void dialect_copy_wait(int groups)
{
  const int item = current_place.item, newest = copies[item].group - groups;
  int kept = 0;
  for (int i = 0; i < copies[item].count; i++) {
    const copy *each = &copies[item].pending[i];
    if (each->group >= newest) {
      copies[item].pending[kept++] = *each;
      continue;
    }
    memset(each->to, 0, 16);
    memcpy(each->to, each->from, (size_t)each->bytes);
  }
  copies[item].count = kept;
}

void warp_begin_group(void)
{
  memset(local_memory, 0xff, sizeof local_memory);
  for (int warp = 0; warp < EMULATOR_MAX_GROUP / EMULATOR_WARP; warp++)
    warps[warp].arrived = 0;
  for (int item = 0; item < EMULATOR_MAX_GROUP; item++)
    copies[item].count = copies[item].group = 0;
}
