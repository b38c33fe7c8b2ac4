/* Products with a matrix of few columns, for devices whose group is one work-item: their
 * rectangles' columns are vectorized. Other devices use the backend's products. */

#define RANKS 8  /* of a rectangle */
#define DEPTH 64 /* of what is copied of a factor at once */
#define SLIM_COLUMNS 16
#define SLIM_ROWS 4

/* out[i][r] = factor Σ_k x[i][k] w(r, k). A tile is LOW_RANK_ROWS rows and RANKS ranks. */
KERNEL(low_rank_project)(GLOBAL float *out, GLOBAL const float *x, GLOBAL const float *w,
                         low_rank_parameters p)
{
  const i64 rank_tiles = (p.rank + RANKS - 1) / RANKS;
  const i64 tiles = (p.rows + LOW_RANK_ROWS - 1) / LOW_RANK_ROWS * rank_tiles;
  for (i64 tile = GRID_ID; tile < tiles; tile += GRID_SIZE) {
    const i64 first = tile / rank_tiles * LOW_RANK_ROWS, rank = tile % rank_tiles * RANKS;
    const int rows = p.rows - first < LOW_RANK_ROWS ? (int)(p.rows - first) : LOW_RANK_ROWS;
    const int ranks = p.rank - rank < RANKS ? (int)(p.rank - rank) : RANKS;
    float copy[DEPTH][RANKS], sums[LOW_RANK_ROWS][RANKS];
    for (int i = 0; i < LOW_RANK_ROWS; i++)
      for (int r = 0; r < RANKS; r++)
        sums[i][r] = 0.0f;
    for (i64 k0 = 0; k0 < p.columns; k0 += DEPTH) {
      const int depth = p.columns - k0 < DEPTH ? (int)(p.columns - k0) : DEPTH;
      for (int r = 0; r < RANKS; r++)
        for (int k = 0; k < depth; k++)
          copy[k][r] = r < ranks ? w[p.w + (rank + r) * p.w_rank_step + (k0 + k) * p.w_step] : 0.0f;
      for (int i = 0; i < rows; i += SLIM_ROWS) {
        /* Past the end the last row is read again; nothing is stored for it. */
        GLOBAL const float *line[SLIM_ROWS];
        UNROLL
        for (int l = 0; l < SLIM_ROWS; l++)
          line[l] = x + p.x + (first + (i + l < rows ? i + l : rows - 1)) * p.x_stride + k0;
        float sum[SLIM_ROWS][RANKS];
        UNROLL
        for (int l = 0; l < SLIM_ROWS; l++)
          UNROLL
          for (int r = 0; r < RANKS; r++)
            sum[l][r] = sums[i + l][r];
        for (int k = 0; k < depth; k++)
          UNROLL
          for (int l = 0; l < SLIM_ROWS; l++)
            UNROLL
            for (int r = 0; r < RANKS; r++)
              sum[l][r] = MULTIPLY_ADD(line[l][k], copy[k][r], sum[l][r]);
        UNROLL
        for (int l = 0; l < SLIM_ROWS; l++)
          UNROLL
          for (int r = 0; r < RANKS; r++)
            sums[i + l][r] = sum[l][r];
      }
    }
    for (int i = 0; i < rows; i++)
      for (int r = 0; r < ranks; r++)
        out[p.out + (first + i) * p.out_stride + rank + r] = p.factor * sums[i][r];
  }
}

/* out[i][j] += factor Σ_r x[i][r] w(r, j). A tile is LOW_RANK_ROWS rows of SLIM_COLUMNS columns. */
KERNEL(low_rank_expand)(GLOBAL float *out, GLOBAL const float *x, GLOBAL const float *w,
                        low_rank_parameters p)
{
  const i64 row_tiles = (p.rows + LOW_RANK_ROWS - 1) / LOW_RANK_ROWS;
  const i64 tiles = (p.columns + SLIM_COLUMNS - 1) / SLIM_COLUMNS * row_tiles;
  for (i64 tile = GRID_ID; tile < tiles; tile += GRID_SIZE) {
    const i64 column = tile / row_tiles * SLIM_COLUMNS, first = tile % row_tiles * LOW_RANK_ROWS;
    const int rows = p.rows - first < LOW_RANK_ROWS ? (int)(p.rows - first) : LOW_RANK_ROWS;
    const i64 rest = p.columns - column;
    const int columns = rest < SLIM_COLUMNS ? (int)rest : SLIM_COLUMNS;
    float copy[LOW_RANK_MOST][SLIM_COLUMNS];
    for (int j = 0; j < SLIM_COLUMNS; j++)
      for (int r = 0; r < p.rank; r++)
        copy[r][j] = j < columns ? w[p.w + r * p.w_rank_step + (column + j) * p.w_step] : 0.0f;
    for (int i = 0; i < rows; i++) {
      GLOBAL const float *from = x + p.x + (first + i) * p.x_stride;
      GLOBAL float *to = out + p.out + (first + i) * p.out_stride + column;
      float sum[SLIM_COLUMNS];
      UNROLL
      for (int j = 0; j < SLIM_COLUMNS; j++)
        sum[j] = 0.0f;
      for (int r = 0; r < p.rank; r++)
        UNROLL
        for (int j = 0; j < SLIM_COLUMNS; j++)
          sum[j] = MULTIPLY_ADD(from[r], copy[r][j], sum[j]);
      if (columns == SLIM_COLUMNS) {
        UNROLL
        for (int j = 0; j < SLIM_COLUMNS; j++)
          to[j] += p.factor * sum[j];
      } else {
        for (int j = 0; j < columns; j++)
          to[j] += p.factor * sum[j];
      }
    }
  }
}

/* w(r, j) += factor Σ_i out[i][r] x[i][j], for the gradient of a factor w; `out` is read. */
KERNEL(low_rank_outer)(GLOBAL float *w, GLOBAL const float *out, GLOBAL const float *x,
                       low_rank_parameters p)
{
  const i64 rank_tiles = (p.rank + SLIM_ROWS - 1) / SLIM_ROWS;
  const i64 tiles = (p.columns + SLIM_COLUMNS - 1) / SLIM_COLUMNS * rank_tiles;
  for (i64 tile = GRID_ID; tile < tiles; tile += GRID_SIZE) {
    const i64 column = tile / rank_tiles * SLIM_COLUMNS, rank = tile % rank_tiles * SLIM_ROWS;
    const int ranks = p.rank - rank < SLIM_ROWS ? (int)(p.rank - rank) : SLIM_ROWS;
    const i64 rest = p.columns - column;
    const int columns = rest < SLIM_COLUMNS ? (int)rest : SLIM_COLUMNS;
    float sum[SLIM_ROWS][SLIM_COLUMNS];
    UNROLL
    for (int r = 0; r < SLIM_ROWS; r++)
      UNROLL
      for (int j = 0; j < SLIM_COLUMNS; j++)
        sum[r][j] = 0.0f;
    if (ranks == SLIM_ROWS && columns == SLIM_COLUMNS) {
      for (i64 i = 0; i < p.rows; i++) {
        GLOBAL const float *h = out + p.out + i * p.out_stride + rank;
        GLOBAL const float *from = x + p.x + i * p.x_stride + column;
        UNROLL
        for (int r = 0; r < SLIM_ROWS; r++)
          UNROLL
          for (int j = 0; j < SLIM_COLUMNS; j++)
            sum[r][j] = MULTIPLY_ADD(h[r], from[j], sum[r][j]);
      }
    } else {
      for (i64 i = 0; i < p.rows; i++)
        for (int r = 0; r < ranks; r++)
          for (int j = 0; j < columns; j++)
            sum[r][j] = MULTIPLY_ADD(out[p.out + i * p.out_stride + rank + r],
                                     x[p.x + i * p.x_stride + column + j], sum[r][j]);
    }
    for (int r = 0; r < ranks; r++)
      for (int j = 0; j < columns; j++)
        w[p.w + (rank + r) * p.w_rank_step + (column + j) * p.w_step] += p.factor * sum[r][j];
  }
}
