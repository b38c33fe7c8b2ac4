/* Products of small matrices and the loads that feed them, as the PTX document lays out their
 * fragments. Lane i is lane i % 4 of group i / 4.
 *
 * A sum is c and then the products in the order of k, each sum rounded to float32. A device adds
 * several products at a time and rounds otherwise, so nothing may count on the last bits. */
#include <string.h>

#include "tests/cuda_emulator/ptx/access.h"
#include "tests/cuda_emulator/ptx/shared.h"

enum { ROWS = 16, COLUMNS = 8, MOST_DEPTH = 16 };

typedef struct {
  float a[ROWS][MOST_DEPTH], b[MOST_DEPTH][COLUMNS], c[ROWS][COLUMNS];
} tile;

static uint32_t word(const ptx_warp *warp, uint32_t operand, int lane)
{
  return ((const lane_u32 *)ptx_lanes(warp, operand))[lane];
}

static float as_float(uint32_t bits)
{
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static float bf16(uint32_t pair, int which)
{
  return as_float(which == 0 ? pair << 16 : pair & 0xffff0000u);
}

/* Register r of four holds row group + 8 (r % 2); of A, columns further right from r = 2 on. */
static void gather_bf16(const ptx_warp *warp, const ptx_instruction *in, int depth, tile *t)
{
  const uint32_t *a = in->operands + 4, *b = a + depth / 4;
  for (int i = 0; i < PTX_LANES; i++) {
    const int group = i / 4, pair = 2 * (i % 4);
    for (int half = 0; half < 2; half++) {
      for (int r = 0; r < depth / 4; r++)
        t->a[group + 8 * (r % 2)][pair + half + 8 * (r / 2)] = bf16(word(warp, a[r], i), half);
      for (int r = 0; r < depth / 8; r++)
        t->b[pair + half + 8 * r][group] = bf16(word(warp, b[r], i), half);
    }
  }
}

/* The hardware reads 19 bits of each operand. */
static void gather_tf32(const ptx_warp *warp, const ptx_instruction *in, int depth, tile *t)
{
  const uint32_t *a = in->operands + 4, *b = a + depth / 2;
  for (int i = 0; i < PTX_LANES; i++) {
    const int group = i / 4, place = i % 4;
    for (int r = 0; r < depth / 2; r++)
      t->a[group + 8 * (r % 2)][place + 4 * (r / 2)] = as_float(word(warp, a[r], i) & ~0x1fffu);
    for (int r = 0; r < depth / 4; r++)
      t->b[place + 4 * r][group] = as_float(word(warp, b[r], i) & ~0x1fffu);
  }
}

static void multiply(ptx_warp *warp, const ptx_instruction *in, int depth, int c_operand, tile *t)
{
  for (int i = 0; i < PTX_LANES; i++)
    for (int r = 0; r < 4; r++)
      t->c[i / 4 + 8 * (r / 2)][2 * (i % 4) + r % 2] =
          as_float(word(warp, in->operands[c_operand + r], i));
  for (int m = 0; m < ROWS; m++)
    for (int k = 0; k < depth; k++)
      for (int n = 0; n < COLUMNS; n++)
        t->c[m][n] += t->a[m][k] * t->b[k][n];
  for (int r = 0; r < 4; r++) {
    lane_f32 *d = ptx_lanes(warp, in->operands[r]);
    for (int i = 0; i < PTX_LANES; i++)
      d[i] = t->c[i / 4 + 8 * (r / 2)][2 * (i % 4) + r % 2];
  }
}

#define PRODUCT(name, gather, depth, registers)                             \
  static ptx_step run_mma_##name(ptx_warp *warp, const ptx_instruction *in) \
  {                                                                         \
    if (!ptx_collect(warp, in, NULL))                                       \
      return PTX_SWITCH;                                                    \
    tile t;                                                                 \
    gather(warp, in, depth, &t);                                            \
    multiply(warp, in, depth, 4 + (registers), &t);                         \
    return PTX_NEXT;                                                        \
  }
PRODUCT(bf16_16, gather_bf16, 16, 6)
PRODUCT(bf16_8, gather_bf16, 8, 3)
PRODUCT(tf32_8, gather_tf32, 8, 6)
PRODUCT(tf32_4, gather_tf32, 4, 3)

/* ---- Matrices of 8 x 8 halfwords ---- */

/* Lane i's pair of a matrix whose rows are `rows`: row i / 4, columns 2 (i % 4) and the next; or
 * the same of its transpose. */
static uint32_t pair_of(uint16_t (*rows)[8], int lane, bool transposed)
{
  const int row = lane / 4, column = 2 * (lane % 4);
  const uint32_t low = transposed ? rows[column][row] : rows[row][column];
  const uint32_t high = transposed ? rows[column + 1][row] : rows[row][column + 1];
  return low | high << 16;
}

/* Lanes 8 m to 8 m + 7 have the addresses of the rows of matrix m. */
static ptx_step load_matrices(ptx_warp *warp, const ptx_instruction *in, int count, bool transposed)
{
  if (!ptx_collect(warp, in, NULL))
    return PTX_SWITCH;
  uint16_t rows[4][8][8];
  char *places[PTX_LANES];
  for (int i = 0; i < 8 * count; i++) {
    ptx_space space;
    places[i] = ptx_find(warp, in, i, ptx_address(warp, in, in->operands[count], i), 16, &space);
    if (places[i] == NULL)
      return PTX_FAULT;
    ptx_shared_read(warp, in, i, places[i], 16);
    memcpy(rows[i / 8][i % 8], places[i], 16);
  }
  for (int m = 0; m < count; m++) {
    lane_u32 *d = ptx_lanes(warp, in->operands[m]);
    for (int i = 0; i < PTX_LANES; i++)
      d[i] = pair_of(rows[m], i, transposed);
  }
  if (warp->block->counting)
    ptx_count_shared(warp->block, count == 4 ? PTX_ALL_LANES : (1u << 8 * count) - 1, places, 16,
                     false);
  return PTX_NEXT;
}

#define LOADS(count)                                                                \
  static ptx_step run_load_##count(ptx_warp *warp, const ptx_instruction *in)       \
  {                                                                                 \
    return load_matrices(warp, in, count, false);                                   \
  }                                                                                 \
  static ptx_step run_load_trans_##count(ptx_warp *warp, const ptx_instruction *in) \
  {                                                                                 \
    return load_matrices(warp, in, count, true);                                    \
  }
LOADS(1)
LOADS(2)
LOADS(4)

static ptx_step run_transpose(ptx_warp *warp, const ptx_instruction *in)
{
  if (!ptx_collect(warp, in, NULL))
    return PTX_SWITCH;
  uint16_t rows[8][8];
  for (int i = 0; i < PTX_LANES; i++) {
    const uint32_t pair = word(warp, in->operands[1], i);
    rows[i / 4][2 * (i % 4)] = (uint16_t)pair;
    rows[i / 4][2 * (i % 4) + 1] = (uint16_t)(pair >> 16);
  }
  lane_u32 *d = ptx_lanes(warp, in->operands[0]);
  for (int i = 0; i < PTX_LANES; i++)
    d[i] = pair_of(rows, i, true);
  return PTX_NEXT;
}

enum { MMA = EMULATOR_MMA, LOAD = EMULATOR_LOAD_SHARED };

const ptx_opcode ptx_tensor_opcodes[] = {
    {"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "4424", run_mma_bf16_16, MMA},
    {"mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32", "4214", run_mma_bf16_8, MMA},
    {"mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", "4424", run_mma_tf32_8, MMA},
    {"mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32", "4214", run_mma_tf32_4, MMA},
    {"ldmatrix.sync.aligned.m8n8.x1.shared.b16", "1a", run_load_1, LOAD},
    {"ldmatrix.sync.aligned.m8n8.x2.shared.b16", "2a", run_load_2, LOAD},
    {"ldmatrix.sync.aligned.m8n8.x4.shared.b16", "4a", run_load_4, LOAD},
    {"ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16", "1a", run_load_trans_1, LOAD},
    {"ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16", "2a", run_load_trans_2, LOAD},
    {"ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16", "4a", run_load_trans_4, LOAD},
    {"movmatrix.sync.aligned.m8n8.trans.b16", "ww", run_transpose, EMULATOR_SHUFFLE},
    {NULL, NULL, NULL, 0},
};
