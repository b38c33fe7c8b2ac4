/* low_rank and its gradient on BF16: what is not a product of the library.
 *
 * low_rank_add adds a product of small rank to BF16 in one pass. A group has a tile of 256 columns,
 * 32 lanes of eight, and EXPAND_ROWS rows for each work-item of a lane. Both factors come through
 * local memory, EXPAND_RANKS ranks at a time. A tile is read and written once; up to rank 16 or so
 * memory is the limit, at 4 bytes and 2 · rank operations an element. */

#define EXPAND_COLUMNS LOW_RANK_TILE_COLUMNS
#define EXPAND_LANES LOW_RANK_TILE_LANES
#define EXPAND_ROWS LOW_RANK_ITEM_ROWS
#define EXPAND_TILE_ROWS (EXPAND_ROWS * (GROUP_SIZE / EXPAND_LANES))
#define EXPAND_RANKS 16
/* A row of factors is longer, so that those of one column lie in different banks. */
#define EXPAND_PITCH (EXPAND_COLUMNS + 4)

#define ALIGNED_FOR_QUADS __attribute__((aligned(16)))

/* factors[r][c] = w(first + r, column + c), 0 beyond: neighbours read neighbouring elements. */
FUNCTION void expand_load_factors(LOCAL_POINTER float *factors, GLOBAL const float *w, i64 column,
                                  int first, low_rank_parameters p)
{
  for (int i = ITEM_ID; i < EXPAND_RANKS * EXPAND_COLUMNS; i += GROUP_SIZE) {
    const int r = p.w_step == 1 ? i / EXPAND_COLUMNS : i % EXPAND_RANKS;
    const int c = p.w_step == 1 ? i % EXPAND_COLUMNS : i / EXPAND_RANKS;
    factors[r * EXPAND_PITCH + c] =
        first + r < p.rank && column + c < p.columns
            ? w[p.w + (first + r) * p.w_rank_step + (column + c) * p.w_step]
            : 0.0f;
  }
}

FUNCTION float float_of_u16(u16 bits)
{
  return float_of_bf16(bits);
}

FUNCTION float float_of_float(float x)
{
  return x;
}

/* out[i][j] += factor Σ_r x[i][r] w(r, j). */
#define EXPAND_KERNEL(name, x_type)                                                        \
  KERNEL(name)                                                                             \
  (GLOBAL u16 * out, GLOBAL const x_type *x, GLOBAL const float *w, low_rank_parameters p) \
  {                                                                                        \
    LOCAL ALIGNED_FOR_QUADS float factors[EXPAND_RANKS * EXPAND_PITCH];                    \
    LOCAL ALIGNED_FOR_QUADS float rows[EXPAND_TILE_ROWS * EXPAND_RANKS];                   \
    const i64 column_tiles = (p.columns + EXPAND_COLUMNS - 1) / EXPAND_COLUMNS;            \
    const i64 tiles = (p.rows + EXPAND_TILE_ROWS - 1) / EXPAND_TILE_ROWS * column_tiles;   \
    const int lane = ITEM_ID % EXPAND_LANES, part = ITEM_ID / EXPAND_LANES;                \
    for (i64 tile = GROUP_ID(0); tile < tiles; tile += GROUP_COUNT(0)) {                   \
      const i64 row_tile = quotient(tile, column_tiles);                                   \
      const i64 row = row_tile * EXPAND_TILE_ROWS;                                         \
      const i64 column = (tile - row_tile * column_tiles) * EXPAND_COLUMNS;                \
      eight sum[EXPAND_ROWS];                                                              \
      UNROLL for (int i = 0; i < EXPAND_ROWS; i++) EACH_OF_EIGHT sum[i].v[k] = 0.0f;       \
      for (int first = 0; first < p.rank; first += EXPAND_RANKS) {                         \
        const int ranks = p.rank - first < EXPAND_RANKS ? p.rank - first : EXPAND_RANKS;   \
        BARRIER();                                                                         \
        expand_load_factors(factors, w, column, first, p);                                 \
        for (int i = ITEM_ID; i < EXPAND_TILE_ROWS * EXPAND_RANKS; i += GROUP_SIZE) {      \
          const int r = i % EXPAND_RANKS;                                                  \
          const i64 line = row + i / EXPAND_RANKS;                                         \
          rows[i] = r < ranks && line < p.rows                                             \
                        ? float_of_##x_type(x[p.x + line * p.x_stride + first + r])        \
                        : 0.0f;                                                            \
        }                                                                                  \
        BARRIER();                                                                         \
        for (int r = 0; r < ranks; r++) {                                                  \
          const eight f = load_local(&factors[r * EXPAND_PITCH + 8 * lane]);               \
          UNROLL for (int i = 0; i < EXPAND_ROWS; i++)                                     \
          {                                                                                \
            const float h = rows[(part * EXPAND_ROWS + i) * EXPAND_RANKS + r];             \
            EACH_OF_EIGHT sum[i].v[k] = MULTIPLY_ADD(h, f.v[k], sum[i].v[k]);              \
          }                                                                                \
        }                                                                                  \
      }                                                                                    \
      const int count = eight_count(column + 8 * lane, p.columns);                         \
      UNROLL for (int i = 0; i < EXPAND_ROWS; i++)                                         \
      {                                                                                    \
        const i64 line = row + part * EXPAND_ROWS + i;                                     \
        if (line < p.rows) {                                                               \
          GLOBAL u16 *to = out + p.out + line * p.out_stride + column + 8 * lane;          \
          eight e = load_u16(to, count);                                                   \
          EACH_OF_EIGHT e.v[k] += p.factor * sum[i].v[k];                                  \
          store_u16(to, e, count);                                                         \
        }                                                                                  \
      }                                                                                    \
    }                                                                                      \
  }

FUNCTION eight load_local(LOCAL_POINTER const float *from)
{
  const quad low = LOAD_QUAD(from), high = LOAD_QUAD(from + 4);
  return eight_of_floats(low, high);
}

EXPAND_KERNEL(low_rank_add_float, float)
EXPAND_KERNEL(low_rank_add_bf16, u16)

/* Rounds up to two matrices, operands of products, to BF16; nothing is done for one of no rows. */
KERNEL(low_rank_round)
(GLOBAL u16 *out, GLOBAL const float *x, GLOBAL const float *y, low_rank_round_parameters p)
{
  UNROLL for (int which = 0; which < 2; which++)
  {
    const rounded_matrix m = p.matrix[which];
    GLOBAL const float *from = (which == 0 ? x : y) + m.x;
    const i64 eights = (m.columns + 7) / 8;
    for (i64 i = GRID_ID; i < m.rows * eights; i += GRID_SIZE) {
      const i64 row = quotient(i, eights), j = (i - row * eights) * 8;
      const int count = eight_count(j, m.columns);
      store_u16(out + m.out + row * m.out_stride + j,
                load_float(from + row * m.x_stride + j, count), count);
    }
  }
}
