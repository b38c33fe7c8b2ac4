/* The distribution of a grid over rows and columns, and sums over the work-items that share a
 * row. */
#ifndef CONDLORA_BACKENDS_KERNELS_SOURCE_ROWS_H
#define CONDLORA_BACKENDS_KERNELS_SOURCE_ROWS_H

/* Work-items of one row, neighbours in the group. */
#define LANES(w) (GROUP_SIZE == 1 ? 1 : 1 << (w).lanes_log2)

#define EACH_TILE(w) for (i64 tile = GROUP_ID(0); tile < (w).tiles; tile += GROUP_COUNT(0))

/* One work-item's part of a tile: columns first, first + LANES, … below `end` of `row`. A work-item
 * beyond the last row has no columns, and row 0. */
typedef struct {
  i64 row, first, end;
  int lane, beyond;
} row_part;

FUNCTION i64 quotient(i64 a, i64 b)
{
  return ((a | b) >> 32) == 0 ? (i64)((u32)a / (u32)b) : a / b; /* 64-bit division is slow */
}

FUNCTION row_part part_of(row_tiling w, i64 tile)
{
  const i64 row_tile = w.column_tiles == 1 ? tile : quotient(tile, w.column_tiles);
  const i64 column = (tile - row_tile * w.column_tiles) * w.span;
  row_part s;
#if GROUP_SIZE == 1
  s.lane = 0;
  s.row = row_tile;
#else
  s.lane = ITEM_ID & (LANES(w) - 1);
  s.row = row_tile * (GROUP_SIZE >> w.lanes_log2) + (ITEM_ID >> w.lanes_log2);
#endif
  s.first = column + s.lane;
  s.end = column + w.span < w.size[3] ? column + w.span : w.size[3];
  s.beyond = s.row >= w.rows;
  if (s.beyond) {
    s.row = 0;
    s.end = 0;
  }
  return s;
}

#define EACH_COLUMN(s, w) VECTOR_LOOP for (i64 j = (s).first; j < (s).end; j += LANES(w))

/* Returns the start of a row, in elements. */
FUNCTION i64 row_start(view v, row_tiling w, i64 row)
{
  if (w.size[0] * w.size[1] == 1)
    return v.offset + row * v.stride[2]; /* usually for dense tensors: no division */
  const i64 matrix = quotient(row, w.size[2]);
  const i64 outer = quotient(matrix, w.size[1]);
  return v.offset + outer * v.stride[0] + (matrix - outer * w.size[1]) * v.stride[1] +
         (row - matrix * w.size[2]) * v.stride[2];
}

/* ---- Over the 2^lanes_log2 work-items of a row; each of them gets the result ----
 *
 * Every work-item of the group takes part. `shared` has GROUP_SIZE elements and is free again on
 * return. The order of a sum depends on the number of lanes alone. */

FUNCTION float lanes_sum(float x, int lanes_log2, LOCAL_POINTER float *shared)
{
#if GROUP_SIZE == 1
  (void)lanes_log2, (void)shared;
#elif defined(SHUFFLE_WIDTH)
  const int lanes = 1 << lanes_log2;
  for (int distance = lanes < SHUFFLE_WIDTH ? lanes / 2 : SHUFFLE_WIDTH / 2; distance > 0;
       distance /= 2)
    x += SHUFFLE_XOR(x, distance);
  if (lanes > SHUFFLE_WIDTH) {
    if (ITEM_ID % SHUFFLE_WIDTH == 0)
      shared[ITEM_ID / SHUFFLE_WIDTH] = x;
    BARRIER();
    const int first = (ITEM_ID & ~(lanes - 1)) / SHUFFLE_WIDTH;
    x = 0.0f;
    for (int k = 0; k < lanes / SHUFFLE_WIDTH; k++)
      x += shared[first + k];
    BARRIER();
  }
#else
  const int lane = ITEM_ID & ((1 << lanes_log2) - 1);
  shared[ITEM_ID] = x;
  BARRIER();
  for (int distance = (1 << lanes_log2) / 2; distance > 0; distance /= 2) {
    if (lane < distance)
      shared[ITEM_ID] += shared[ITEM_ID + distance];
    BARRIER();
  }
  x = shared[ITEM_ID - lane];
  BARRIER();
#endif
  return x;
}

/* The maximum of keys: see float_key. */
FUNCTION int lanes_largest(int x, int lanes_log2, LOCAL_POINTER int *shared)
{
#if GROUP_SIZE == 1
  (void)lanes_log2, (void)shared;
#elif defined(SHUFFLE_WIDTH)
  const int lanes = 1 << lanes_log2;
  for (int distance = lanes < SHUFFLE_WIDTH ? lanes / 2 : SHUFFLE_WIDTH / 2; distance > 0;
       distance /= 2) {
    const int other = SHUFFLE_XOR(x, distance);
    x = other > x ? other : x;
  }
  if (lanes > SHUFFLE_WIDTH) {
    if (ITEM_ID % SHUFFLE_WIDTH == 0)
      shared[ITEM_ID / SHUFFLE_WIDTH] = x;
    BARRIER();
    const int first = (ITEM_ID & ~(lanes - 1)) / SHUFFLE_WIDTH;
    for (int k = 0; k < lanes / SHUFFLE_WIDTH; k++)
      x = shared[first + k] > x ? shared[first + k] : x;
    BARRIER();
  }
#else
  const int lane = ITEM_ID & ((1 << lanes_log2) - 1);
  shared[ITEM_ID] = x;
  BARRIER();
  for (int distance = (1 << lanes_log2) / 2; distance > 0; distance /= 2) {
    if (lane < distance && shared[ITEM_ID + distance] > shared[ITEM_ID])
      shared[ITEM_ID] = shared[ITEM_ID + distance];
    BARRIER();
  }
  x = shared[ITEM_ID - lane];
  BARRIER();
#endif
  return x;
}

/* log₂ of GROUP_SIZE. */
FUNCTION int whole_group(void)
{
  int log2 = 0;
  while (1 << log2 < GROUP_SIZE)
    log2++;
  return log2;
}

#endif
