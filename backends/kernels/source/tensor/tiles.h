/* Tiles of BF16 rows in local memory, and fragments of them for tensor cores.
 *
 * A tile is [rows, width]; width is the head size, rounded up to 32, 64, 96 or 128, with zeros
 * behind the head's own columns. A row is TILE_PITCH(width) elements, eight more than it needs, so
 * that the eight rows of 16 bytes that ldmatrix reads at once lie in different banks: pitches are
 * 20, 36, 52 and 68 words, which are 20 or 4 modulo 32. */
#ifndef CONDLORA_BACKENDS_KERNELS_SOURCE_TENSOR_TILES_H
#define CONDLORA_BACKENDS_KERNELS_SOURCE_TENSOR_TILES_H

#define TILE_PITCH(width) ((width) + 8)
#define TILE_ELEMENTS(rows, width) ((rows)*TILE_PITCH(width))
#define TILE_BYTES(rows, width) (2 * TILE_ELEMENTS(rows, width))
#define TILE_MOST_WIDTH 128
/* The most fragments of a row of a tile: 16 columns of A, 8 columns of D. */
#define TILE_MOST_A (TILE_MOST_WIDTH / 16)
#define TILE_MOST_D (TILE_MOST_WIDTH / 8)

/* Two floats side by side, at a multiple of 8 bytes. */
#if defined(DIALECT_CUDA)
typedef float2 float_pair;
#else
typedef struct {
  float x, y;
} float_pair;
#endif

#define LOG2_E 1.44269504f
#define LN_2 0.693147181f

/* Rows of an activation, `stride` elements apart, with `depth` columns. If `wide`, rows begin at
 * multiples of 16 bytes, and depth is a multiple of 8. */
typedef struct {
  i64 stride;
  int depth, wide;
} row_layout;

/* A work-item copies the same 16 bytes of every TILE_STEP-th row, so that its addresses only
 * advance. At width 96 eight of the work-items are left over. */
#define TILE_CHUNKS(width) ((width) / 8)
#define TILE_STEP(width) (WARP_GROUP / TILE_CHUNKS(width))

/* Begins to copy `rows` rows into a tile of tile_rows, zeros behind them. They are there after
 * copy_commit, COPY_WAIT and a barrier. */
FUNCTION void tile_load(u16 *tile, const u16 *x, row_layout from, int rows, int tile_rows,
                        int width)
{
  const int step = TILE_STEP(width), first = ITEM_ID / TILE_CHUNKS(width);
  const int column = ITEM_ID % TILE_CHUNKS(width) * 8;
  if (first >= step)
    return;
  u16 *to = tile + first * TILE_PITCH(width) + column;
  const u16 *at = x + first * from.stride + column;
  if (!from.wide) {
    for (int i = first; i < tile_rows; i += step) {
      for (int c = 0; c < 8; c++)
        to[c] = i < rows && column + c < from.depth ? at[c] : 0;
      to += step * TILE_PITCH(width);
      at += step * from.stride;
    }
    return;
  }
  const int end = column < from.depth ? rows : 0;
  UNROLL
  for (int n = 0; n * step < tile_rows; n++) {
    const int i = first + n * step;
    if (tile_rows % step == 0 || i < tile_rows)
      copy_async_16(to + n * step * TILE_PITCH(width), i < end ? at : x, i < end ? 16 : 0);
    at += step * from.stride;
  }
}

/* Stores `rows` rows of a tile. */
FUNCTION void tile_store(u16 *out, row_layout to, const u16 *tile, int rows, int tile_rows,
                         int width)
{
  const int chunks = width / 8;
  UNROLL
  for (int e = ITEM_ID; e < tile_rows * chunks; e += WARP_GROUP) {
    const int i = e / chunks, j = e % chunks * 8;
    const u16 *from = tile + i * TILE_PITCH(width) + j;
    if (to.wide) {
      if (i < rows && j < to.depth)
        STORE_QUAD(out + i * to.stride + j, LOAD_QUAD(from));
    } else {
      for (int c = 0; c < 8; c++)
        if (i < rows && j + c < to.depth)
          out[i * to.stride + j + c] = from[c];
    }
  }
}

/* ---- Fragments ----
 *
 * There are two ways in which the lanes of a warp name the rows of four matrices, [16, 16] of a
 * tile from an element on: in the first, lanes count down 16 rows, left half before the right; in
 * the second the matrices' order is left, right, then the lower two. */

FUNCTION const u16 *rows_first(const u16 *tile, int pitch)
{
  return tile + (WARP_LANE & 15) * pitch + (WARP_LANE >> 4) * 8;
}

FUNCTION const u16 *columns_first(const u16 *tile, int pitch)
{
  return tile + ((WARP_LANE & 7) + (WARP_LANE >> 4) * 8) * pitch + (WARP_LANE >> 3 & 1) * 8;
}

/* The fragments of A = rows [row, row + 16) of a tile: width / 16 of them. */
FUNCTION void left_fragments(u32 (*a)[4], const u16 *tile, int row, int width)
{
  UNROLL
  for (int k = 0; k < width / 16; k++)
    ldmatrix_x4(a[k], rows_first(tile + row * TILE_PITCH(width) + 16 * k, TILE_PITCH(width)));
}

/* d[n] += a bᵀ over `width`, for 8 n < rows: b's rows are the columns of d. */
FUNCTION void multiply_by_rows(float (*d)[4], u32 (*a)[4], const u16 *b, int rows, int width)
{
  UNROLL
  for (int k = 0; k < width / 16; k++)
    UNROLL
  for (int n = 0; n < rows / 8; n += 2) {
    const u16 *rows_of_b = b + 8 * n * TILE_PITCH(width) + 16 * k;
    mma_m16n16k16_bf16(d + n, a[k], columns_first(rows_of_b, TILE_PITCH(width)));
  }
}

/* d += a b for 16 columns, of one block of 16 rows or two; the second block's fragments are d_step
 * and a_step behind the first's. `row` is as in mma_m16n16k16_bf16, b's rows if transposed. */
FUNCTION void multiply_blocks(float (*d)[4], int d_step, u32 (*a)[4], int a_step, const u16 *row,
                              int blocks, int transposed)
{
  if (blocks == 2 && transposed)
    mma_m32n16k16_bf16_trans(d, d + d_step, a[0], a[a_step], row);
  else if (blocks == 2)
    mma_m32n16k16_bf16(d, d + d_step, a[0], a[a_step], row);
  else if (transposed)
    mma_m16n16k16_bf16_trans(d, a[0], row);
  else
    mma_m16n16k16_bf16(d, a[0], row);
}

/* d[n] += a b over `rows` rows of b, for the 8 n < columns from `first` on. */
FUNCTION void multiply_by_columns(float (*d)[4], u32 (*a)[4], const u16 *b, int rows, int first,
                                  int columns, int width)
{
  UNROLL
  for (int k = 0; k < rows / 16; k++)
    UNROLL
  for (int n = 0; n < columns / 8; n += 2) {
    const u16 *rows_of_b = b + 16 * k * TILE_PITCH(width) + first + 8 * n;
    mma_m16n16k16_bf16_trans(d + n, a[k], rows_first(rows_of_b, TILE_PITCH(width)));
  }
}

FUNCTION void clear_fragments(float (*d)[4], int count)
{
  UNROLL
  for (int n = 0; n < count; n++)
    UNROLL
  for (int e = 0; e < 4; e++)
    d[n][e] = 0.0f;
}

/* Makes A of D: a[k] of the `columns` / 8 fragments 2 k and 2 k + 1, which lie side by side. */
FUNCTION void pack_fragments(u32 (*a)[4], float (*d)[4], int columns)
{
  UNROLL
  for (int k = 0; k < columns / 16; k++)
    UNROLL
  for (int e = 0; e < 4; e++) {
    const float *pair = d[2 * k + e / 2] + e % 2 * 2;
    a[k][e] = PACK_BF16(pair[0], pair[1]);
  }
}

/* Writes an A to 16 rows. */
FUNCTION void put_left(u16 *tile, int pitch, const u32 *a)
{
  u16 *at = tile + (WARP_LANE >> 2) * pitch + (WARP_LANE & 3) * 2;
  *(u32 *)at = a[0];
  *(u32 *)(at + 8 * pitch) = a[1];
  *(u32 *)(at + 8) = a[2];
  *(u32 *)(at + 8 * pitch + 8) = a[3];
}

/* Writes `count` D side by side, times a factor for each of the two rows of a lane, to 16 rows. */
FUNCTION void put_fragments(u16 *tile, int pitch, float (*d)[4], int count, float upper,
                            float lower)
{
  u16 *at = tile + (WARP_LANE >> 2) * pitch + (WARP_LANE & 3) * 2;
  UNROLL
  for (int n = 0; n < count; n++) {
    *(u32 *)(at + 8 * n) = PACK_BF16(d[n][0] * upper, d[n][1] * upper);
    *(u32 *)(at + 8 * n + 8 * pitch) = PACK_BF16(d[n][2] * lower, d[n][3] * lower);
  }
}

/* ---- Dropout ---- */

/* Which of 16 elements of an example, from `first` on, the mask keeps: bit i for element i. */
FUNCTION u32 keep_16(mask_state mask, u32 example, i64 first)
{
  const u32 shift = (u32)first & 3u, block = (u32)(first >> 2);
  u32 bits = 0;
  UNROLL
  for (u32 b = 0; b < 5; b++) {
    if (b == 4 && shift == 0)
      break; /* the last block belongs to elements that begin within one */
    const philox_words w = philox(mask.key0, mask.key1, block + b, example, mask.step, mask.place);
    UNROLL
    for (u32 k = 0; k < 4; k++)
      bits |= (w.word[k] >= mask.threshold ? 1u : 0u) << (4 * b + k);
  }
  return bits >> shift & 0xffffu;
}

/* ---- Jobs ----
 *
 * A group's job is some rows of one head of one sequence, `rows` of them but at the sequence's end.
 * The lengths are known on the device alone, because recorded work is replayed with others. Each
 * sequence has as many slots as it could need, and a group finds its own: p.slots of them, or, if
 * that were more, those from offset / rows + number on of the sequence, which leaves at most one
 * empty slot to a sequence. Slots behind those of all sequences are for rows past the last offset.
 */

typedef struct {
  attention_part part; /* rows is 0 or less where there is nothing */
  int tile;            /* of the sequence */
  int rest, rests;     /* which of how many slots for rows past the last offset; or 0, 0 */
} tensor_job;

FUNCTION int first_slot(const int *offsets, attention_parameters p, int rows, int sequence)
{
  return p.slots > 0 ? sequence * p.slots : offsets[p.offsets + sequence] / rows + sequence;
}

/* Of all sequences. */
FUNCTION int sequence_slots(const int *offsets, attention_parameters p, int rows)
{
  return first_slot(offsets, p, rows, p.sequences);
}

/* The last sequence whose first slot is at or before `slot`; the one behind the last is the rest.
 */
FUNCTION int find_sequence(const int *offsets, attention_parameters p, int rows, int slot)
{
  if (p.slots > 0)
    return least(slot / p.slots, p.sequences);
  int low = 0, high = p.sequences;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (first_slot(offsets, p, rows, middle) <= slot)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

/* `examples` may be absent where nothing needs them. */
FUNCTION tensor_job find_job(const int *offsets, const int *examples, attention_parameters p,
                             int rows, int slot, int head)
{
  const int sequence = find_sequence(offsets, p, rows, slot);
  tensor_job job;
  job.tile = slot - first_slot(offsets, p, rows, sequence);
  job.rest = job.rests = 0;
  job.part.first = offsets[p.offsets + sequence];
  job.part.head = head;
  job.part.row = job.tile * rows;
  job.part.length = 0;
  job.part.example = 0;
  if (sequence < p.sequences) {
    job.part.length = (int)(offsets[p.offsets + sequence + 1] - job.part.first);
    if (p.drops && examples != 0)
      job.part.example = (u32)examples[p.examples + sequence];
  }
  job.part.rows = least(job.part.length - job.part.row, rows);
  return job;
}

/* The group's. Heads of a slot are side by side. */
FUNCTION tensor_job this_job(const int *offsets, const int *examples, attention_parameters p,
                             int rows)
{
  const int number = (int)GROUP_ID(0), slot = number / p.heads, head = number - slot * p.heads;
  tensor_job job = find_job(offsets, examples, p, rows, slot, head);
  const int sequences = sequence_slots(offsets, p, rows);
  if (slot >= sequences) {
    job.rest = slot - sequences;
    job.rests = (int)GROUP_COUNT(0) / p.heads - sequences;
  }
  return job;
}

/* Writes zeros to the columns from `out` on of the head, in the rows past the last offset whose
 * turn it is. */
FUNCTION void clear_rest(u16 *out, i64 stride, const int *offsets, attention_parameters p,
                         tensor_job job)
{
  if (job.rests == 0)
    return;
  const int chunks = (p.depth + 7) / 8;
  const i64 first = offsets[p.offsets + p.sequences], count = p.tokens - first;
  const quad zeros = {0, 0, 0, 0};
  for (i64 e = job.rest * WARP_GROUP + ITEM_ID; e < count * chunks; e += job.rests * WARP_GROUP) {
    const i64 row = quotient(e, chunks);
    const int column = (int)(e - row * chunks) * 8;
    u16 *at = out + (first + row) * stride + column;
    if (p.wide)
      STORE_QUAD(at, zeros);
    else
      for (int c = 0; c < least(8, p.depth - column); c++)
        at[c] = 0;
  }
}

#endif
