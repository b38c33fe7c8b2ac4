/* map_weights and its gradient on BF16 weights by tensor cores: ranks up to 16, float32 sums, and
 * each weight read once for both of its products.
 *
 *                   sums over columns      sums over rows
 *   forward         b = W θBᵀ              a = θA W           (a = θA Wᵀ: over columns, too)
 *   gradient        d_θA = Σ d_a Wᵀ        d_θB = Σ d_bᵀ W    (d_θA = Σ d_a W: over rows, too)
 *
 * A group has 128 rows and 256 columns of one weight, in tiles of 64 x 64; the next tile comes to
 * local memory while the last one is multiplied. Its 4 warps have 16 rows of a tile each in sums
 * over columns, and 16 columns each in sums over rows. So a tile's fragments are left factors of
 * both, as they lie or transposed, and no warp waits for another's sums:
 *
 *     tiles        columns ->                         sums of a thread, for each job
 *                  0…63  64…127  128…191  192…255      over columns   two halves of rows
 *     rows 0…63     1      3        5        7         over rows      this tile's columns
 *     rows 64…127   2      4        6        8
 *
 * The right factors, 16 ranks of x for all rows or columns of the group, are rounded to BF16 in
 * local memory beforehand. The sums of a group are partial ones; the next launch adds those of one
 * weight, or in the gradient of all layers, in the order of their numbers.
 *
 * An element of the weight costs 2 bytes and 4 · rank operations, so memory is the limit. */
#define MAP_WARPS (WARP_GROUP / WARP_WIDTH)
#define MAP_BLOCKS (MAP_TENSOR_MOST / 8) /* of eight ranks */
#define MAP_HALVES (MAP_ROWS / MAP_TILE_ROWS)
#define MAP_PITCH TILE_PITCH(MAP_TILE_COLUMNS)
#define MAP_TILE TILE_ELEMENTS(MAP_TILE_ROWS, MAP_TILE_COLUMNS)
#define MAP_FACTOR_PITCH (MAP_COLUMNS + 8)
#define MAP_FACTORS (MAP_TENSOR_MOST * MAP_FACTOR_PITCH)
#define MAP_BYTES (2 * (2 * MAP_TILE + MAP_JOBS * MAP_FACTORS))

/* Rounds x(r, first…first + count) of all ranks to `to`, zeros beyond. Neighbouring work-items read
 * neighbouring numbers. */
FUNCTION void map_load_factor(u16 *to, const float *x, map_job job, int rank, i64 first, int count)
{
  const int pairs = MAP_COLUMNS / 2;
  for (int e = ITEM_ID; e < MAP_TENSOR_MOST * pairs; e += WARP_GROUP) {
    const int by_ranks = job.x_step[2] == 1;
    const int r = by_ranks ? e % MAP_TENSOR_MOST : e / pairs;
    const int k = 2 * (by_ranks ? e / MAP_TENSOR_MOST : e % pairs);
    const float *at = x + r * job.x_step[2] + (first + k) * job.x_step[3];
    const float low = r < rank && k < count ? at[0] : 0.0f;
    const float high = r < rank && k + 1 < count ? at[job.x_step[3]] : 0.0f;
    *(u32 *)(to + r * MAP_FACTOR_PITCH + k) = PACK_BF16(low, high);
  }
}

/* d[block] += a x for 16 of the sum's terms, from `first` on. */
FUNCTION void map_multiply(float (*d)[4], const u32 *a, const u16 *factor, int first, int rank)
{
  const u16 *at = factor + (WARP_LANE >> 2) * MAP_FACTOR_PITCH + first + (WARP_LANE & 3) * 2;
  UNROLL
  for (int block = 0; block < MAP_BLOCKS; block++)
    if (8 * block < rank) {
      const u32 b[2] = {*(const u32 *)(at + 8 * block * MAP_FACTOR_PITCH),
                        *(const u32 *)(at + 8 * block * MAP_FACTOR_PITCH + 8)};
      mma_m16n8k16_bf16(d[block], a, b);
    }
}

/* Stores the sums of 16 rows or columns, from `first` on. */
FUNCTION void map_store(float *sums, float (*d)[4], int rank, i64 first, i64 length)
{
  UNROLL
  for (int block = 0; block < MAP_BLOCKS; block++)
    UNROLL
    for (int e = 0; e < 4; e++) {
      const int r = 8 * block + (WARP_LANE & 3) * 2 + (e & 1);
      const i64 i = first + (WARP_LANE >> 2) + e / 2 * 8;
      if (r < rank && i < length)
        sums[r * length + i] = d[block][e];
    }
}

WARP_KERNEL(map_weights_bf16, 4)
(float *sums, const u16 *weights, const float *x0, const float *x1, map_parameters p)
{
  WARP_MEMORY(memory, MAP_BYTES);
  const i64 matrix = GROUP_ID(2), target = quotient(matrix, p.layers),
            layer = matrix - target * p.layers;
  const i64 row = MAP_ROWS * GROUP_ID(1), column = MAP_COLUMNS * GROUP_ID(0);
  const int rows = p.rows - row < MAP_ROWS ? (int)(p.rows - row) : MAP_ROWS;
  const int columns = p.columns - column < MAP_COLUMNS ? (int)(p.columns - column) : MAP_COLUMNS;
  u16 *here = (u16 *)memory, *next = here + MAP_TILE, *factors = next + MAP_TILE;
  const u16 *weight = weights + p.weight + target * p.weight_step[0] + layer * p.weight_step[1] +
                      row * p.weight_step[2] + column;
  float *to[MAP_JOBS];
  float d[MAP_JOBS][MAP_HALVES][MAP_BLOCKS][4];
  UNROLL
  for (int j = 0; j < MAP_JOBS; j++) {
    const map_job job = p.job[j];
    to[j] = sums + job.sums +
            (matrix * job.parts + (job.over_rows ? GROUP_ID(1) : GROUP_ID(0))) * p.rank * job.length;
    UNROLL
    for (int half = 0; half < MAP_HALVES; half++)
      clear_fragments(d[j][half], MAP_BLOCKS);
    if (j < p.jobs)
      map_load_factor(factors + j * MAP_FACTORS,
                      (j == 0 ? x0 : x1) + job.x + target * job.x_step[0] + layer * job.x_step[1],
                      job, p.rank, job.over_rows ? row : column, job.over_rows ? rows : columns);
  }
  const int tiles = MAP_HALVES * ((columns + MAP_TILE_COLUMNS - 1) / MAP_TILE_COLUMNS);
  row_layout layout = {p.weight_step[2], columns < MAP_TILE_COLUMNS ? columns : MAP_TILE_COLUMNS, p.wide};
  tile_load(here, weight, layout, rows, MAP_TILE_ROWS, MAP_TILE_COLUMNS);
  copy_commit();
  ROLLED
  for (int tile = 0; tile < tiles; tile += MAP_HALVES) {
    const int first = tile / MAP_HALVES * MAP_TILE_COLUMNS;
    UNROLL
    for (int half = 0; half < MAP_HALVES; half++) {
      const int after = half + 1 < MAP_HALVES ? first : first + MAP_TILE_COLUMNS;
      const int top = half + 1 < MAP_HALVES ? (half + 1) * MAP_TILE_ROWS : 0;
      if (after < columns) {
        layout.depth = columns - after < MAP_TILE_COLUMNS ? columns - after : MAP_TILE_COLUMNS;
        tile_load(next, weight + top * p.weight_step[2] + after, layout, rows - top, MAP_TILE_ROWS,
                  MAP_TILE_COLUMNS);
      }
      copy_commit();
      COPY_WAIT(1);
      BARRIER();
      UNROLL
      for (int k = 0; k < 64; k += 16)
        UNROLL
        for (int j = 0; j < MAP_JOBS; j++)
          if (j < p.jobs) {
            u32 a[4];
            const u16 *factor = factors + j * MAP_FACTORS;
            if (p.job[j].over_rows) {
              ldmatrix_x4_trans(a, columns_first(here + k * MAP_PITCH + 16 * WARP_INDEX, MAP_PITCH));
              map_multiply(d[j][0], a, factor, half * MAP_TILE_ROWS + k, p.rank);
            } else {
              ldmatrix_x4(a, rows_first(here + 16 * WARP_INDEX * MAP_PITCH + k, MAP_PITCH));
              map_multiply(d[j][half], a, factor, first + k, p.rank);
            }
          }
      BARRIER();
      u16 *const other = here;
      here = next;
      next = other;
    }
    UNROLL
    for (int j = 0; j < MAP_JOBS; j++)
      if (j < p.jobs && p.job[j].over_rows) {
        map_store(to[j], d[j][0], p.rank, column + first + 16 * WARP_INDEX, p.job[j].length);
        clear_fragments(d[j][0], MAP_BLOCKS);
      }
  }
  UNROLL
  for (int j = 0; j < MAP_JOBS; j++)
    if (j < p.jobs && !p.job[j].over_rows)
      UNROLL
      for (int half = 0; half < MAP_HALVES; half++)
        map_store(to[j], d[j][half], p.rank, row + half * MAP_TILE_ROWS + 16 * WARP_INDEX,
                  p.job[j].length);
}

/* Adds the parts' sums, and those of all layers if p.adds_layers. Groups of the second dimension
 * share the rows of the results, and those of the third have a job each. */
KERNEL(map_weights_finish)
(float *out0, float *out1, const float *sums, map_parameters p)
{
  const int j = (int)GROUP_ID(2);
  const map_job job = p.job[j];
  float *out = (j == 0 ? out0 : out1) + job.out;
  const int layers = p.adds_layers ? 1 : (int)p.layers;
  const int rows = p.rank * layers * (int)p.targets;
  const int parts = (int)job.parts * (p.adds_layers ? (int)p.layers : 1);
  const i64 i = GRID_ID, step = p.rank * job.length;
  if (i >= job.length)
    return;
  for (int row = (int)GROUP_ID(1); row < rows; row += (int)GROUP_COUNT(1)) {
    const int result = row / p.rank, r = row - result * p.rank;
    const int target = result / layers, layer = result - target * layers;
    const float *from = sums + job.sums + (result * (i64)parts * p.rank + r) * job.length + i;
    float total = 0.0f;
    for (int part = 0; part < parts; part++)
      total += from[part * step];
    float *to = out + target * job.out_step[0] + layer * job.out_step[1] + r * job.out_step[2] +
                i * job.out_step[3];
    *to = job.accumulate ? *to + total : total;
  }
}
