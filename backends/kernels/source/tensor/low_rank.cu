/* low_rank and its gradient on BF16 by tensor cores, for all terms of one input: ranks up to 16,
 * float32 sums, and each activation read once and written once in 16 bytes.
 *
 *                 left           w           middle         u           out
 *   forward       x [n, in]      A           hidden         B           out of each term
 *   d_x           d_out          B           du             A           d_x, the sum of the terms
 *
 * `middle` = before · left wᵀ and out += after · middle u are one launch. A group has 32 rows. Its 4
 * warps share the columns of `left`, 32 in a step, and add their sums through local memory:
 *
 *         columns of left ->  0…31     32…63    64…95    96…127   128…159 …
 *     rows 0…15, 16…31        warp 0   warp 1   warp 2   warp 3   warp 0
 *
 * Then each has all of `middle`, rounded to BF16, in registers as left factors, and 32 columns of
 * out at a time. Where rows are few, several groups, the slices, compute the same `middle` and
 * share the columns of out.
 *
 * Sums over columns, and the columns of a product, may be in any order. So lane (g, t) has the 8
 * neighbouring columns 8 t … 8 t + 7 of row g, 16 bytes, as four pairs: those of `left` are the left
 * factors of two products, those of out are the results of four. Nothing but the warps' sums goes
 * through local memory.
 *
 * An element of `left` costs 2 bytes and 2 · rank operations, one of out 4 bytes and as many, so
 * memory is the limit. */
#define PASS_ROWS LOW_RANK_PASS_ROWS
#define PASS_STEP 32
#define PASS_WARPS (WARP_GROUP / WARP_WIDTH)
#define PASS_BLOCKS (LOW_RANK_TENSOR_MOST / 8) /* of eight ranks */
#define PASS_HALVES (PASS_ROWS / 16)
#define PASS_FRAGMENTS (LOW_RANK_TERMS * PASS_BLOCKS * PASS_HALVES)
#define PASS_BYTES (PASS_WARPS * PASS_FRAGMENTS * 4 * WARP_WIDTH * 4)

typedef struct {
  const u16 *left;
  const float *w, *u;
  float *middle;
} low_rank_pointers;

/* [term][block of ranks][half of the rows] */
typedef float pass_sums[LOW_RANK_TERMS][PASS_BLOCKS][PASS_HALVES][4];

/* Left factors of two products: 32 columns from k on. */
FUNCTION void pass_left(u32 (*a)[2][4], const u16 *left, i64 stride, int rows, i64 k, i64 columns)
{
  const int g = WARP_LANE >> 2;
  const i64 j = k + 8 * (WARP_LANE & 3);
  const int count = eight_count(j, columns);
  UNROLL
  for (int half = 0; half < PASS_HALVES; half++) {
    const int row = 16 * half + g;
    const quad upper = load_quad(left + row * stride + j, row < rows ? count : 0);
    const quad lower = load_quad(left + (row + 8) * stride + j, row + 8 < rows ? count : 0);
    a[half][0][0] = upper.x;
    a[half][0][1] = lower.x;
    a[half][0][2] = upper.y;
    a[half][0][3] = lower.y;
    a[half][1][0] = upper.z;
    a[half][1][1] = lower.z;
    a[half][1][2] = upper.w;
    a[half][1][3] = lower.w;
  }
}

/* Right factors of the same products for eight ranks. */
FUNCTION void pass_factor(u32 (*b)[2], const float *w, low_rank_term_parameters p, int rank, i64 column)
{
  const i64 j = column + 8 * (WARP_LANE & 3);
  const int r = rank + (WARP_LANE >> 2);
  const int count = r < p.rank ? eight_count(j, p.inner) : 0;
  const float *from = w + p.w + r * p.w_rank_step + j * p.w_step;
  eight e;
  if (p.w_step == 1)
    e = load_float(from, count);
  else
    EACH_OF_EIGHT e.v[k] = k < count ? from[k * p.w_step] : 0.0f;
  UNROLL
  for (int i = 0; i < 4; i++)
    b[i / 2][i % 2] = PACK_BF16(e.v[2 * i], e.v[2 * i + 1]);
}

FUNCTION void pass_multiply(float (*sum)[PASS_HALVES][4], u32 (*a)[2][4], const float *w,
                            low_rank_term_parameters p, i64 k)
{
  UNROLL
  for (int block = 0; block < PASS_BLOCKS; block++)
    if (8 * block < p.rank) {
      u32 b[2][2];
      pass_factor(b, w, p, 8 * block, k);
      UNROLL
      for (int half = 0; half < PASS_HALVES; half++)
        UNROLL
        for (int i = 0; i < 2; i++)
          mma_m16n8k16_bf16(sum[block][half], a[half][i], b[i]);
    }
}

/* Adds the warps' sums, in their order: all warps then have all of them. */
FUNCTION void pass_gather(pass_sums sum, float *memory, low_rank_pass_parameters p)
{
  UNROLL
  for (int i = 0; i < PASS_FRAGMENTS; i++)
    UNROLL
    for (int e = 0; e < 4; e++)
      memory[((WARP_INDEX * PASS_FRAGMENTS + i) * 4 + e) * WARP_WIDTH + WARP_LANE] =
          sum[i / (PASS_BLOCKS * PASS_HALVES)][i / PASS_HALVES % PASS_BLOCKS][i % PASS_HALVES][e];
  BARRIER();
  UNROLL
  for (int i = 0; i < PASS_FRAGMENTS; i++)
    UNROLL
    for (int e = 0; e < 4; e++) {
      float total = 0.0f;
      UNROLL
      for (int warp = 0; warp < PASS_WARPS; warp++)
        total += memory[((warp * PASS_FRAGMENTS + i) * 4 + e) * WARP_WIDTH + WARP_LANE];
      const int term = i / (PASS_BLOCKS * PASS_HALVES);
      sum[term][i / PASS_HALVES % PASS_BLOCKS][i % PASS_HALVES][e] = p.term[term].before * total;
    }
}

FUNCTION void pass_store_middle(float *middle, float (*sum)[PASS_HALVES][4],
                                low_rank_term_parameters p, i64 row, int rows)
{
  UNROLL
  for (int block = 0; block < PASS_BLOCKS; block++)
    UNROLL
    for (int half = 0; half < PASS_HALVES; half++)
      UNROLL
      for (int e = 0; e < 4; e++) {
        const int r = 8 * block + (WARP_LANE & 3) * 2 + (e & 1);
        const int i = 16 * half + (WARP_LANE >> 2) + e / 2 * 8;
        if (r < p.rank && i < rows)
          middle[p.middle + (row + i) * p.middle_stride + r] = sum[block][half][e];
      }
}

/* u(r, column), 0 beyond. */
FUNCTION float pass_update_value(const float *u, low_rank_term_parameters p, int r, i64 column)
{
  return r < p.rank && column < p.columns ? u[p.u + r * p.u_rank_step + column * p.u_step] : 0.0f;
}

/* out += after · middle u for the terms [first, end). */
FUNCTION void pass_add(u16 *out, const low_rank_pointers *t, u32 (*h)[PASS_HALVES][4],
                       low_rank_pass_parameters p, i64 row, int rows, int first, int end)
{
  const int g = WARP_LANE >> 2, r = (WARP_LANE & 3) * 2;
  const low_rank_term_parameters to = p.term[first];
  const i64 step = PASS_STEP * PASS_WARPS * GROUP_COUNT(1);
  ROLLED
  for (i64 c = PASS_STEP * (GROUP_ID(1) * PASS_WARPS + WARP_INDEX); c < to.columns; c += step) {
    float d[PASS_HALVES][4][4];
    UNROLL
    for (int half = 0; half < PASS_HALVES; half++)
      clear_fragments(d[half], 4);
    UNROLL
    for (int i = first; i < end; i++)
      if (i < p.terms) {
        UNROLL
        for (int j = 0; j < 4; j++) {
          const i64 column = c + 8 * (g >> 1) + 2 * j + (g & 1);
          u32 b[2] = {PACK_BF16(pass_update_value(t[i].u, p.term[i], r, column),
                                pass_update_value(t[i].u, p.term[i], r + 1, column)),
                      0};
          if (p.term[i].rank > 8)
            b[1] = PACK_BF16(pass_update_value(t[i].u, p.term[i], r + 8, column),
                             pass_update_value(t[i].u, p.term[i], r + 9, column));
          UNROLL
          for (int half = 0; half < PASS_HALVES; half++)
            mma_m16n8k16_bf16(d[half][j], h[i][half], b);
        }
      }
    const i64 j = c + 8 * (WARP_LANE & 3);
    const int count = eight_count(j, to.columns);
    UNROLL
    for (int half = 0; half < PASS_HALVES; half++)
      UNROLL
      for (int lower = 0; lower < 2; lower++) {
        const int i = 16 * half + g + 8 * lower;
        if (i < rows) {
          u16 *at = out + to.out + (row + i) * to.out_stride + j;
          eight e = load_u16(at, count);
          EACH_OF_EIGHT e.v[k] =
              MULTIPLY_ADD(to.after, d[half][k / 2][2 * lower + k % 2], e.v[k]);
          store_u16(at, e, count);
        }
      }
  }
}

/* `one_left`: all terms read the first one's; else all terms add to the first one's out. */
FUNCTION void low_rank_pass(u16 *const *out, const low_rank_pointers *t, low_rank_pass_parameters p,
                            float *memory, int one_left)
{
  const i64 row = PASS_ROWS * GROUP_ID(0);
  const int rows = p.rows - row < PASS_ROWS ? (int)(p.rows - row) : PASS_ROWS;
  pass_sums sum;
  UNROLL
  for (int i = 0; i < PASS_FRAGMENTS; i++)
    UNROLL
    for (int e = 0; e < 4; e++)
      sum[i / (PASS_BLOCKS * PASS_HALVES)][i / PASS_HALVES % PASS_BLOCKS][i % PASS_HALVES][e] =
          0.0f;
  UNROLL
  for (int source = 0; source < (one_left ? 1 : LOW_RANK_TERMS); source++)
    if (source < p.terms) {
      const low_rank_term_parameters from = p.term[source];
      const u16 *left = t[source].left + from.left + row * from.left_stride;
      ROLLED
      for (i64 k = PASS_STEP * WARP_INDEX; k < from.inner; k += PASS_STEP * PASS_WARPS) {
        u32 a[PASS_HALVES][2][4];
        pass_left(a, left, from.left_stride, rows, k, from.inner);
        UNROLL
        for (int i = one_left ? 0 : source; i < (one_left ? LOW_RANK_TERMS : source + 1); i++)
          if (i < p.terms)
            pass_multiply(sum[i], a, t[i].w, p.term[i], k);
      }
    }
  pass_gather(sum, memory, p);
  u32 h[LOW_RANK_TERMS][PASS_HALVES][4];
  UNROLL
  for (int i = 0; i < LOW_RANK_TERMS; i++)
    if (i < p.terms) {
      if (WARP_INDEX == 0 && GROUP_ID(1) == 0)
        pass_store_middle(t[i].middle, sum[i], p.term[i], row, rows);
      UNROLL
      for (int half = 0; half < PASS_HALVES; half++)
        UNROLL
        for (int e = 0; e < 4; e++) {
          const float *pair = sum[i][e / 2][half] + e % 2 * 2;
          h[i][half][e] = PACK_BF16(pair[0], pair[1]);
        }
    }
  UNROLL
  for (int i = 0; i < (one_left ? LOW_RANK_TERMS : 1); i++)
    if (i < p.terms)
      pass_add(out[i], t, h, p, row, rows, i, one_left ? i + 1 : LOW_RANK_TERMS);
}

WARP_KERNEL(low_rank_forward_bf16, 3)
(u16 *out0, u16 *out1, u16 *out2, float *hidden0, float *hidden1, float *hidden2, const u16 *x,
 const float *a0, const float *a1, const float *a2, const float *b0, const float *b1,
 const float *b2, low_rank_pass_parameters p)
{
  WARP_MEMORY(memory, PASS_BYTES);
  u16 *const out[] = {out0, out1, out2};
  const low_rank_pointers t[] = {{x, a0, b0, hidden0}, {x, a1, b1, hidden1}, {x, a2, b2, hidden2}};
  low_rank_pass(out, t, p, (float *)memory, 1);
}

/* du of all terms and d_x, which is absent where `columns` is 0. */
WARP_KERNEL(low_rank_backward_bf16, 3)
(u16 *d_x, float *du, const u16 *d_out0, const u16 *d_out1, const u16 *d_out2, const float *a0,
 const float *a1, const float *a2, const float *b0, const float *b1, const float *b2,
 low_rank_pass_parameters p)
{
  WARP_MEMORY(memory, PASS_BYTES);
  const low_rank_pointers t[] = {{d_out0, b0, a0, du}, {d_out1, b1, a1, du}, {d_out2, b2, a2, du}};
  low_rank_pass(&d_x, t, p, (float *)memory, 0);
}

/* ---- d_A and d_B: sums over rows ----
 *
 * A job is 16 ranks, in two blocks of eight that may be of two terms, and one matrix x: rank r of
 * the block has Σ v(row, r) x(row, ·). A group has 128 columns of a job and a part of the rows, in
 * tiles of 64 that come to local memory while the last one is multiplied; each warp has 16 rows of
 * a tile and all columns. The warps' sums are added in their order, and the parts' by the next
 * launch, so that the result does not depend on the device.
 *
 *                  128 columns                     registers of a thread
 *     warp 0   16 rows  \                          sums   16 fragments, 64
 *     warp 1   16 rows   } tile of 64, 17 KiB,     v       4
 *     warp 2   16 rows  /  twice                   x       4
 *     warp 3   16 rows */
#define OUTER_ROWS LOW_RANK_SUM_ROWS
#define OUTER_COLUMNS LOW_RANK_SUM_COLUMNS
#define OUTER_FRAGMENTS (OUTER_COLUMNS / 8)
#define OUTER_PITCH TILE_PITCH(OUTER_COLUMNS)
#define OUTER_BYTES (2 * TILE_BYTES(OUTER_ROWS, OUTER_COLUMNS))

/* v of two rows and the lane's rank. */
FUNCTION u32 sum_pair(const float *v, low_rank_sum_block b, i64 row, i64 rows)
{
  const int r = WARP_LANE >> 2;
  const float *at = v + b.v + row * b.v_stride + r;
  const float first = r < b.ranks && row < rows ? at[0] : 0.0f;
  const float second = r < b.ranks && row + 1 < rows ? at[b.v_stride] : 0.0f;
  return PACK_BF16(first, second);
}

FUNCTION const float *sum_source(int from, const float *scratch, const float *hidden0,
                                 const float *hidden1, const float *hidden2)
{
  return from == 0 ? scratch : from == 1 ? hidden0 : from == 2 ? hidden1 : hidden2;
}

WARP_KERNEL(low_rank_sums_bf16, 3)
(float *scratch, const u16 *x, const u16 *d_out0, const u16 *d_out1, const u16 *d_out2,
 const float *hidden0, const float *hidden1, const float *hidden2, low_rank_sum_parameters p)
{
  WARP_MEMORY(memory, OUTER_BYTES);
  const low_rank_sum_job job = p.job[GROUP_ID(2)];
  const i64 column = OUTER_COLUMNS * GROUP_ID(0);
  if (column >= job.columns)
    return;
  const u16 *from = job.x_from == 0   ? x
                    : job.x_from == 1 ? d_out0
                    : job.x_from == 2 ? d_out1
                                      : d_out2;
  const float *v0 = sum_source(job.block[0].v_from, scratch, hidden0, hidden1, hidden2),
              *v1 = sum_source(job.block[1].v_from, scratch, hidden0, hidden1, hidden2);
  const i64 left = job.columns - column;
  const row_layout layout = {job.x_stride, left < OUTER_COLUMNS ? (int)left : OUTER_COLUMNS, job.wide};
  const i64 first = GROUP_ID(1) * p.part_rows,
            end = first + p.part_rows < p.rows ? first + p.part_rows : p.rows;
  from += job.x + column;
  u16 *here = (u16 *)memory, *next = here + TILE_ELEMENTS(OUTER_ROWS, OUTER_COLUMNS);
  float d[OUTER_FRAGMENTS][4];
  clear_fragments(d, OUTER_FRAGMENTS);
  tile_load(here, from + first * job.x_stride, layout, (int)(end - first), OUTER_ROWS, OUTER_COLUMNS);
  copy_commit();
  ROLLED
  for (i64 row = first; row < end; row += OUTER_ROWS) {
    if (row + OUTER_ROWS < end)
      tile_load(next, from + (row + OUTER_ROWS) * job.x_stride, layout, (int)(end - row) - OUTER_ROWS,
                OUTER_ROWS, OUTER_COLUMNS);
    copy_commit();
    const i64 own = row + 16 * WARP_INDEX + (WARP_LANE & 3) * 2;
    u32 v[1][4] = {{sum_pair(v0, job.block[0], own, end), sum_pair(v1, job.block[1], own, end),
                    sum_pair(v0, job.block[0], own + 8, end),
                    sum_pair(v1, job.block[1], own + 8, end)}};
    COPY_WAIT(1);
    BARRIER();
    multiply_by_columns(d, v, here + 16 * WARP_INDEX * OUTER_PITCH, 16, 0, OUTER_COLUMNS, OUTER_COLUMNS);
    BARRIER();
    u16 *const other = here;
    here = next;
    next = other;
  }
  COPY_WAIT(0);
  float *sums = (float *)memory;
  UNROLL
  for (int i = 0; i < 4 * OUTER_FRAGMENTS; i++)
    sums[(WARP_INDEX * 4 * OUTER_FRAGMENTS + i) * WARP_WIDTH + WARP_LANE] = d[i / 4][i % 4];
  BARRIER();
  float *to = scratch + p.sums +
              ((GROUP_ID(2) * GROUP_COUNT(1) + GROUP_ID(1)) * GROUP_COUNT(0) + GROUP_ID(0)) *
                  LOW_RANK_SUM_ELEMENTS;
  for (int i = ITEM_ID; i < LOW_RANK_SUM_ELEMENTS; i += WARP_GROUP) {
    float total = sums[i];
    UNROLL
    for (int warp = 1; warp < PASS_WARPS; warp++)
      total += sums[warp * LOW_RANK_SUM_ELEMENTS + i];
    to[i] = total;
  }
}

/* Adds the parts' sums, which lie in the order of fragments. */
KERNEL(low_rank_finish)
(float *d_a0, float *d_a1, float *d_a2, float *d_b0, float *d_b1, float *d_b2, const float *scratch,
 low_rank_sum_parameters p)
{
  const i64 elements = p.column_tiles * LOW_RANK_SUM_ELEMENTS;
  for (i64 i = GRID_ID; i < p.jobs * elements; i += GRID_SIZE) {
    const i64 which = quotient(i, elements), at = i - which * elements;
    const int lane = (int)(at % WARP_WIDTH), e = (int)(at / WARP_WIDTH % 4);
    const i64 column = at / (4 * WARP_WIDTH) * 8 + (lane & 3) * 2 + (e & 1);
    const low_rank_sum_block b = p.job[which].block[e >> 1];
    const int r = lane >> 2;
    if (r >= b.ranks || column >= p.job[which].columns)
      continue;
    float total = 0.0f;
    for (i64 part = 0; part < p.parts; part++)
      total += scratch[p.sums + (which * p.parts + part) * elements + at];
    float *to = b.out_to == 0   ? d_a0
                : b.out_to == 1 ? d_a1
                : b.out_to == 2 ? d_a2
                : b.out_to == 3 ? d_b0
                : b.out_to == 4 ? d_b1
                                : d_b2;
    to[b.out + r * b.out_rank_step + column * b.out_step] += b.factor * total;
  }
}
