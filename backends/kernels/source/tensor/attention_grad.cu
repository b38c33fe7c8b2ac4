/* The gradient of attention on tensor cores, in BF16 with sums in float32. For queries i and keys j,
 * with S = scale Q Kᵀ + bias, P = exp(S − log_sum), M dropout's factors and D_i = Σ dO_i ∘ O_i:
 *
 *   dV = (P ∘ M)ᵀ dO,  dS = P ∘ (M ∘ dO Vᵀ − D),  dK = scale dSᵀ Q,  dQ = scale dS K
 *
 * S, dO Vᵀ, dV, dK and dQ are the five products. A group takes one head of one sequence, or as many
 * of its keys as the host says (p.chunk tiles), and goes through them tile by tile: dK and dV of a
 * tile are sums over all queries and stay in registers; dQ is a sum over tiles of keys.
 *
 *                 queries ->  tile 0   tile 1 ...      width   keys × queries   registers of a thread
 *   keys, tile 0   warp 0  [ 16 × ]  and 64 below        32      128 × 32       dK, dV  64, V 16
 *                  warp 1  [ 16 × ]  and 64 below        64      128 × 32       dK, dV 128, V 32
 *                  warp 2  [ 16 × ]  and 64 below        96       64 × 32       dK, dV  96, V 24
 *                  warp 3  [ 16 × ]  and 64 below       128       64 × 16       dK, dV 128, V 32
 *   keys, tile 1   ...
 *   dQ             += tile 0 in float32, += tile 1, ..., the last one rounds
 *
 * A warp has 16 keys, or twice 16 where registers allow it, so that one matrix from local memory
 * serves four products of fragments. It computes Sᵀ and (dO Vᵀ)ᵀ, 16 queries at a time: P and dS
 * are left factors of dV and dK without leaving the registers, and the sums of (dO Vᵀ)ᵀ begin at
 * −D. dS goes to local memory in BF16, where it is the left factor of dQ = dS K, of which each warp
 * has a part of the rows and columns. Queries come with dO, log_sum, D and dropout's bits in two
 * stages, one on its way (cp.async) while the other is computed with.
 *
 * dQ of a group's tiles of keys is added up in scratch memory, in the order of the tiles: a
 * work-item adds to elements that no other one touches, so nothing is atomic, and the result does
 * not depend on the order in which groups run. Sequences of one tile need none of this. If
 * sequences are few, the host cuts the keys of one into chunks, each with sums of its own, which
 * one more kernel adds up in order.
 *
 * For L tokens in a sequence a head does 10 L² width operations in products, rounded up to multiples
 * of 16, and with 64 columns some 30 instructions for each pair of query and key: 15 of them for S,
 * dO Vᵀ, dV, dK and the exponentials between, 5 for dQ, 4 for copies. Device memory sees Q, K, V, O,
 * dO once each and dQ, dK, dV: 16 L width bytes. Tiles read Q and dO again from the second-level
 * cache, and with n tiles of keys dQ is written and read n − 1 times there: the groups that run at a
 * time have 34 MB of it with 512 tokens, 64 columns and two groups to each of an H200's
 * multiprocessors. A kernel by queries beside one by keys would share nothing: seven products, and
 * twice the exponentials.
 *
 * The bias's sums by distance go to scratch for each group, and one more kernel adds them up in
 * order. */

#define GRAD_KEYS(width) ((width) <= 64 ? 128 : 64)
#define GRAD_QUERIES(width) ((width) <= 96 ? 32 : 16)
/* Blocks of 16 keys that a warp has, 64 keys apart, and queries whose scores it has at a time. */
#define GRAD_BLOCKS(width) (GRAD_KEYS(width) / 64)
#define GRAD_MOST_BLOCKS 2
#define GRAD_SPAN 16
#define GRAD_MOST_SUMS 16 /* fragments of the sums of all blocks */
#define GRAD_MOST_PART 6  /* of a warp's part of dQ of a tile */
/* Elements of Q and dO, and bytes of log_sum, D and 16 bits of dropout for each 16 keys. */
#define GRAD_STAGE(width) (2 * TILE_ELEMENTS(GRAD_QUERIES(width), width))
#define GRAD_STATE(width) (GRAD_QUERIES(width) * (4 + 4 + GRAD_KEYS(width) / 8))
#define GRAD_MEMORY(width)                                           \
  (TILE_BYTES(GRAD_KEYS(width), width) + 2 * 2 * GRAD_STAGE(width) + \
   TILE_BYTES(GRAD_KEYS(width), GRAD_QUERIES(width)) + 2 * GRAD_STATE(width))

/* The kernels' arguments; `out` is attention's. `means` is scratch memory: −D, [chunks, heads,
 * tokens], and from p.sums on dQ / scale, [chunks, heads, tokens, width]. */
typedef struct {
  u16 *d_qkv;
  const u16 *d_out, *qkv, *out;
  const float *log_sum;
  float *means;
  const float *bias;
  float *parts;
} grad_buffers;

/* What a group knows of its head of the sequence. part.row and part.rows are those of its keys.
 * Addresses are computed where they are needed: kept, they would take registers. */
typedef struct {
  grad_buffers b;
  attention_part part;
  int chunk; /* its keys are the chunk of that number */
  const u32 *step;
} grad_head;

/* A tile of queries in local memory: Q, dO, log_sum in powers of two, −D, and bits of dropout, those
 * of 16 keys in each. */
typedef struct {
  u16 *q, *d_out;
  float *log_sum, *start;
  u16 *kept;
} query_stage;

/* A group's local memory: a tile of keys, dS [keys, queries], and two stages, where values lie on
 * their way to registers. */
typedef struct {
  u16 *keys, *slopes, *tiles;
  u8 *state;
} grad_memory;

FUNCTION grad_memory divide_memory(u8 *memory, int width)
{
  grad_memory m;
  m.keys = (u16 *)memory;
  m.tiles = m.keys + TILE_ELEMENTS(GRAD_KEYS(width), width);
  m.slopes = m.tiles + 2 * GRAD_STAGE(width);
  m.state = (u8 *)(m.slopes + TILE_ELEMENTS(GRAD_KEYS(width), GRAD_QUERIES(width)));
  return m;
}

FUNCTION query_stage stage_at(grad_memory m, int index, int width)
{
  query_stage s;
  s.q = m.tiles + index * GRAD_STAGE(width);
  s.d_out = s.q + TILE_ELEMENTS(GRAD_QUERIES(width), width);
  s.log_sum = (float *)(m.state + index * GRAD_STATE(width));
  s.start = s.log_sum + GRAD_QUERIES(width);
  s.kept = (u16 *)(s.start + GRAD_QUERIES(width));
  return s;
}

/* Of rows of dQ in scratch memory. */
FUNCTION int grad_width(attention_parameters p)
{
  return (p.depth + 31) / 32 * 32;
}

/* Of a group's sums by distance: of its keys to each query. */
FUNCTION i64 grad_part_stride(attention_parameters p, int keys)
{
  return (i64)p.longest + keys * p.chunk;
}

/* Row `row` of the head's queries; keys are `hidden` columns further, values twice as many. */
FUNCTION const u16 *query_row(grad_head h, attention_parameters p, int row)
{
  return h.b.qkv + p.qkv + (h.part.first + row) * p.qkv_stride + h.part.head * p.depth;
}

FUNCTION const u16 *d_out_row(grad_head h, attention_parameters p, int row)
{
  return h.b.d_out + p.d_out + (h.part.first + row) * p.d_out_stride + h.part.head * p.depth;
}

FUNCTION const u16 *out_row(grad_head h, attention_parameters p, int row)
{
  return h.b.out + p.result + (h.part.first + row) * p.result_stride + h.part.head * p.depth;
}

FUNCTION u16 *d_query_row(grad_head h, attention_parameters p, int row)
{
  return h.b.d_qkv + p.out + (h.part.first + row) * p.out_stride + h.part.head * p.depth;
}

/* Of scratch memory. */
FUNCTION i64 kept_row(grad_head h, attention_parameters p, int row)
{
  return (h.chunk * (i64)p.heads + h.part.head) * p.tokens + h.part.first + row;
}

/* ---- Tiles of queries ---- */

/* Begins to load the queries from `query` on, with the bits of dropout for the keys from `key` on.
 */
FUNCTION void load_queries(query_stage s, grad_head h, attention_parameters p, int query, int key,
                           int width)
{
  const int queries = GRAD_QUERIES(width), blocks = GRAD_KEYS(width) / 16;
  const int rows = h.part.length - query;
  const row_layout in = {p.qkv_stride, p.depth, p.wide}, d_out = {p.d_out_stride, p.depth, p.wide};
  tile_load(s.q, query_row(h, p, query), in, rows, queries, width);
  tile_load(s.d_out, d_out_row(h, p, query), d_out, rows, queries, width);
  copy_commit();
  if (!p.drops)
    return;
  const mask_state mask = mask_read(h.step, p.mask);
  for (int e = ITEM_ID; e < blocks * queries; e += WARP_GROUP) {
    const i64 row = (i64)h.part.head * h.part.length + query + e / blocks;
    s.kept[e] = (u16)keep_16(mask, h.part.example, row * h.part.length + key + e % blocks * 16);
  }
}

/* A work-item's row of log_sum and −D, which is on its way to a stage. */
typedef struct {
  float log_sum, start;
} row_state;

/* P of rows past the end is 0. D is there after the first tile of keys. */
FUNCTION row_state load_state(grad_head h, attention_parameters p, int query, int queries,
                              int has_means)
{
  row_state state = {POSITIVE_INFINITY, 0.0f};
  if (ITEM_ID < queries && query + ITEM_ID < h.part.length) {
    const i64 log_sum = p.log_sum + h.part.head * p.log_sum_stride + h.part.first + query;
    state.log_sum = h.b.log_sum[log_sum + ITEM_ID] * LOG2_E;
    if (has_means)
      state.start = h.b.means[kept_row(h, p, query) + ITEM_ID];
  }
  return state;
}

FUNCTION void store_state(query_stage s, row_state state, int queries)
{
  if (ITEM_ID < queries) {
    s.log_sum[ITEM_ID] = state.log_sum;
    s.start[ITEM_ID] = state.start;
  }
}

/* −D of `rows` rows of dO in a tile, and 0 behind them: D = Σ d_out ∘ out, `out` from device memory. They
 * are kept for the next tile of keys if there is one. */
FUNCTION void row_means(query_stage s, grad_head h, attention_parameters p, int query, int rows,
                        int keeps, int width)
{
  const int lanes = WARP_GROUP / GRAD_QUERIES(width), columns = width / lanes;
  const int row = ITEM_ID / lanes, first = ITEM_ID % lanes * columns;
  const u16 *out = out_row(h, p, query + row);
  float sum = 0.0f;
  if (row < rows)
    UNROLL
    for (int j = 0; j < columns; j += 8) {
      const eight x = eight_of_quad(LOAD_QUAD(s.d_out + row * TILE_PITCH(width) + first + j));
      const eight y =
          eight_of_quad(load_quad(out + first + j, eight_count(first + j, p.depth)));
      EACH_OF_EIGHT
      sum = MULTIPLY_ADD(x.v[k], y.v[k], sum);
    }
  for (int distance = 1; distance < lanes; distance *= 2)
    sum += warp_xor_float(sum, distance);
  if (ITEM_ID % lanes == 0) {
    s.start[row] = -sum;
    if (keeps && row < rows)
      h.b.means[kept_row(h, p, query + row)] = -sum;
  }
}

/* ---- dK and dV, by blocks of 16 keys and 16 queries ---- */

/* Sums of (dO Vᵀ)ᵀ begin at −D; with dropout D comes later. */
FUNCTION void begin_slopes(float (*slopes)[4], query_stage stage, int first)
{
  UNROLL
  for (int n = 0; n < GRAD_SPAN / 8; n++) {
    const float_pair start =
        *(const float_pair *)(stage.start + first + 8 * n + (WARP_LANE & 3) * 2);
    slopes[n][0] = slopes[n][2] = start.x;
    slopes[n][1] = slopes[n][3] = start.y;
  }
}

/* From scores, P. */
FUNCTION void normalize_scores(float (*s)[4], query_stage stage, float factor, int first)
{
  UNROLL
  for (int n = 0; n < GRAD_SPAN / 8; n++) {
    const float_pair log_sum =
        *(const float_pair *)(stage.log_sum + first + 8 * n + (WARP_LANE & 3) * 2);
    UNROLL
    for (int e = 0; e < 4; e++)
      s[n][e] = exp2_approx(MULTIPLY_ADD(s[n][e], factor, e % 2 == 0 ? -log_sum.x : -log_sum.y));
  }
}

/* P of keys past the end is 0. */
FUNCTION void hide_rows(float (*s)[4], int there)
{
  UNROLL
  for (int n = 0; n < GRAD_SPAN / 8; n++)
    UNROLL
  for (int e = 0; e < 4; e++)
    if ((WARP_LANE >> 2) + 8 * (e >> 1) >= there)
      s[n][e] = 0.0f;
}

/* From P and (dO Vᵀ)ᵀ − D, dS / scale. */
FUNCTION void differentiate(float (*s)[4], float (*slopes)[4])
{
  UNROLL
  for (int n = 0; n < GRAD_SPAN / 8; n++)
    UNROLL
  for (int e = 0; e < 4; e++)
    slopes[n][e] *= s[n][e];
}

/* With dropout, from P and (dO Vᵀ)ᵀ: dS / scale, and P without dropped elements. `block` is that of
 * the keys. */
FUNCTION void differentiate_dropped(float (*s)[4], float (*slopes)[4], query_stage stage,
                                    float scale, int first, int block, int blocks)
{
  UNROLL
  for (int n = 0; n < GRAD_SPAN / 8; n++)
    UNROLL
  for (int c = 0; c < 2; c++) {
    const int query = first + 8 * n + (WARP_LANE & 3) * 2 + c;
    const float start = stage.start[query];
    const u32 kept = (u32)stage.kept[blocks * query + block] >> (WARP_LANE >> 2);
    UNROLL
    for (int e = c; e < 4; e += 2) {
      const int keeps = (int)(kept >> 4 * (e - c) & 1u);
      slopes[n][e] = s[n][e] * ((keeps ? slopes[n][e] * scale : 0.0f) + start);
      s[n][e] = keeps ? s[n][e] : 0.0f;
    }
  }
}

/* As add_tensor_bias, of transposed scores: `distance` keys from the query at (0, 0). */
FUNCTION void add_transposed_bias(float (*s)[4], const float *bias, float scale, int radius,
                                  int distance)
{
  const int near = distance + (WARP_LANE >> 2) - (WARP_LANE & 3) * 2;
  UNROLL
  for (int n = 0; n < GRAD_SPAN / 8; n++)
    UNROLL
  for (int e = 0; e < 4; e++) {
    const int d = near - 8 * n - (e & 1) + (e >> 1) * 8;
    const int place = d < -radius ? -radius : d > radius ? radius : d;
    const float added = bias != 0 ? bias[radius + place] : 0.0f;
    s[n][e] = MULTIPLY_ADD(s[n][e], scale * LOG2_E, added * LOG2_E);
  }
}

/* Fragments of P and of dS of the warp's blocks as left factors, from scores and (dO Vᵀ)ᵀ. With
 * neither bias nor dropout nor an end of the keys there are no branches. */
FUNCTION void finish_span(u32 (*left)[4], u32 (*left_slopes)[4], float (*s)[4], float (*slopes)[4],
                          query_stage here, grad_head h, attention_parameters p, int query, int key,
                          int first, int blocks, int key_blocks)
{
  const float *const bias = head_bias(h.b.bias, p, h.part.head);
  const float factor = score_factor(bias, p.scale);
  const int row = 16 * WARP_INDEX, there = h.part.row + h.part.rows - key - row;
  if (factor != 1.0f && !p.drops && there >= 64 * blocks - 48) {
    UNROLL
    for (int i = 0; i < blocks; i++) {
      normalize_scores(s + 2 * i, here, factor, first);
      differentiate(s + 2 * i, slopes + 2 * i);
      pack_fragments(left + i, s + 2 * i, GRAD_SPAN);
      pack_fragments(left_slopes + i, slopes + 2 * i, GRAD_SPAN);
    }
    return;
  }
  UNROLL
  for (int i = 0; i < blocks; i++) {
    if (factor == 1.0f)
      add_transposed_bias(s + 2 * i, bias, p.scale, p.radius, key + 64 * i + row - query - first);
    normalize_scores(s + 2 * i, here, factor, first);
    hide_rows(s + 2 * i, there - 64 * i);
    if (p.drops)
      differentiate_dropped(s + 2 * i, slopes + 2 * i, here, p.mask.scale, first, 4 * i + WARP_INDEX,
                            key_blocks);
    else
      differentiate(s + 2 * i, slopes + 2 * i);
    pack_fragments(left + i, s + 2 * i, GRAD_SPAN);
    pack_fragments(left_slopes + i, slopes + 2 * i, GRAD_SPAN);
  }
}

/* Adds the queries from `first` of the stage on to dK and dV of the warp's blocks, and puts dS in
 * local memory. Sums and fragments of a block follow those of the one before. */
FUNCTION void accumulate_span(float (*d_keys)[4], float (*d_values)[4], u32 (*value)[4],
                              grad_memory m, query_stage here, grad_head h, attention_parameters p,
                              int query, int key, int first, int blocks, int width)
{
  const int pitch = TILE_PITCH(width), sums = width / 8, row = 16 * WARP_INDEX;
  const int slopes_pitch = TILE_PITCH(GRAD_QUERIES(width));
  const u16 *const q = here.q + first * pitch, *const d_out = here.d_out + first * pitch;
  float s[GRAD_MOST_BLOCKS * GRAD_SPAN / 8][4], slopes[GRAD_MOST_BLOCKS * GRAD_SPAN / 8][4];
  u32 left[GRAD_MOST_BLOCKS][4], left_slopes[GRAD_MOST_BLOCKS][4];
  clear_fragments(s, blocks * GRAD_SPAN / 8);
  UNROLL
  for (int k = 0; k < width / 16; k++) {
    UNROLL
    for (int i = 0; i < blocks; i++)
      ldmatrix_x4(left[i], rows_first(m.keys + (64 * i + row) * pitch + 16 * k, pitch));
    multiply_blocks(s, 2, left, 1, columns_first(q + 16 * k, pitch), blocks, 0);
  }
  clear_fragments(slopes, blocks * GRAD_SPAN / 8);
  if (!p.drops)
    UNROLL
    for (int i = 0; i < blocks; i++)
      begin_slopes(slopes + 2 * i, here, first);
  UNROLL
  for (int k = 0; k < width / 16; k++)
    multiply_blocks(slopes, 2, value + k, width / 16, columns_first(d_out + 16 * k, pitch), blocks,
                    0);
  finish_span(left, left_slopes, s, slopes, here, h, p, query, key, first, blocks,
              GRAD_KEYS(width) / 16);
  UNROLL
  for (int n = 0; n < width / 8; n += 2)
    multiply_blocks(d_values + n, sums, left, 1, rows_first(d_out + 8 * n, pitch), blocks, 1);
  UNROLL
  for (int i = 0; i < blocks; i++)
    put_left(m.slopes + (64 * i + row) * slopes_pitch + first, slopes_pitch, left_slopes[i]);
  UNROLL
  for (int n = 0; n < width / 8; n += 2)
    multiply_blocks(d_keys + n, sums, left_slopes, 1, rows_first(q + 8 * n, pitch), blocks, 1);
}

/* Adds a tile of `rows` queries to dK and dV of the tile of keys from `key` on, which has `keys`. */
FUNCTION void accumulate_keys(float (*d_keys)[4], float (*d_values)[4], u32 (*value)[4],
                              grad_memory m, query_stage here, grad_head h, attention_parameters p,
                              int query, int rows, int key, int keys, int width)
{
  const int row = 16 * WARP_INDEX;
  ROLLED
  for (int first = 0; first < rows; first += GRAD_SPAN)
    if (GRAD_BLOCKS(width) == 2 && row + 64 < keys)
      accumulate_span(d_keys, d_values, value, m, here, h, p, query, key, first, 2, width);
    else if (row < keys)
      accumulate_span(d_keys, d_values, value, m, here, h, p, query, key, first, 1, width);
}

/* dK and dV, through local memory that is free. */
FUNCTION void store_keys(grad_head h, attention_parameters p, u16 *memory, float (*d_keys)[4],
                         float (*d_values)[4], int key, int rows, int width)
{
  const int pitch = TILE_PITCH(width), hidden = p.heads * p.depth;
  u16 *const keys = memory, *values = keys + TILE_ELEMENTS(GRAD_KEYS(width), width);
  const float kept = p.drops ? p.mask.scale : 1.0f;
  UNROLL
  for (int i = 0; i < GRAD_BLOCKS(width); i++) {
    const int row = 64 * i + 16 * WARP_INDEX, n = i * width / 8;
    put_fragments(keys + row * pitch, pitch, d_keys + n, width / 8, p.scale, p.scale);
    put_fragments(values + row * pitch, pitch, d_values + n, width / 8, kept, kept);
  }
  BARRIER();
  const row_layout to = {p.out_stride, p.depth, p.wide};
  u16 *out = d_query_row(h, p, key) + hidden;
  tile_store(out, to, keys, rows, GRAD_KEYS(width), width);
  tile_store(out + hidden, to, values, rows, GRAD_KEYS(width), width);
}

/* ---- dQ ---- */

/* Where a tile of keys stands among those of its group and of its sequence. */
typedef struct {
  int first, last; /* of the group */
  int whole;       /* the group has all keys of the sequence */
} keys_place;

/* The sums of a lane in scratch memory: pairs of columns, of two rows. */
FUNCTION void load_d_queries(float (*x)[4], const float *sums, int count, int rows, int width)
{
  const float *at = sums + (WARP_LANE >> 2) * width + (WARP_LANE & 3) * 2;
  UNROLL
  for (int half = 0; half < 2; half++)
    UNROLL
  for (int n = 0; n < count; n++) {
    const float_pair none = {0.0f, 0.0f};
    const float_pair pair = (WARP_LANE >> 2) + 8 * half < rows
                                ? *(const float_pair *)(at + 8 * half * width + 8 * n)
                                : none;
    x[n][2 * half] = pair.x;
    x[n][2 * half + 1] = pair.y;
  }
}

FUNCTION void store_d_queries(float *sums, float (*x)[4], int count, int rows, int width)
{
  float *at = sums + (WARP_LANE >> 2) * width + (WARP_LANE & 3) * 2;
  UNROLL
  for (int half = 0; half < 2; half++)
    if ((WARP_LANE >> 2) + 8 * half < rows)
      UNROLL
      for (int n = 0; n < count; n++) {
        const float_pair pair = {x[n][2 * half], x[n][2 * half + 1]};
        *(float_pair *)(at + 8 * half * width + 8 * n) = pair;
      }
}

/* Adds dS of a tile of queries and keys, times the keys, to dQ: to scratch memory, or, if it is the
 * last of all keys, in a tile. */
FUNCTION void accumulate_queries(u16 *staging, grad_memory m, grad_head h, attention_parameters p,
                                 keys_place place, int query, int rows, int keys, int width)
{
  const int queries = GRAD_QUERIES(width), pitch = TILE_PITCH(width);
  const int slopes_pitch = TILE_PITCH(queries), tiles = queries / 16, columns = width * tiles / 4;
  const int row = WARP_INDEX % tiles * 16, first = WARP_INDEX / tiles * columns;
  float *const scratch = h.b.means + p.sums + kept_row(h, p, query + row) * width + first;
  float sums[GRAD_MOST_PART][4], earlier[GRAD_MOST_PART][4];
  clear_fragments(sums, columns / 8);
  if (!place.first)
    load_d_queries(earlier, scratch, columns / 8, rows - row, width);
  UNROLL
  for (int half = 0; half < GRAD_BLOCKS(width); half++)
    if (64 * half < keys)
      UNROLL
      for (int k = 64 * half; k < 64 * half + 64; k += 16) {
        u32 left[4];
        ldmatrix_x4_trans(left, columns_first(m.slopes + k * slopes_pitch + row, slopes_pitch));
        UNROLL
        for (int n = 0; n < columns / 8; n += 2)
          mma_m16n16k16_bf16_trans(sums + n, left,
                                   rows_first(m.keys + k * pitch + first + 8 * n, pitch));
      }
  if (!place.first)
    UNROLL
    for (int n = 0; n < columns / 8; n++)
      UNROLL
    for (int e = 0; e < 4; e++)
      sums[n][e] += earlier[n][e];
  if (place.last && place.whole)
    put_fragments(staging + row * pitch + first, pitch, sums, columns / 8, p.scale, p.scale);
  else
    store_d_queries(scratch, sums, columns / 8, rows - row, width);
}

/* ---- The bias's gradient ---- */

/* The sum of a diagonal of a tile of dS, [keys, queries]: key − query is `shift`, both within the
 * tile. */
FUNCTION float sum_diagonal(const u16 *slopes, int pitch, int shift, int rows, int keys)
{
  const int begin = shift < 0 ? -shift : 0;
  const int end = rows < keys - shift ? rows : keys - shift;
  float sum = 0.0f;
  for (int row = begin; row < end; row++)
    sum += float_of_bf16(slopes[row + (row + shift) * pitch]);
  return sum;
}

/* The group's sums by distance, from its first key and the last query on. A work-item owns every
 * WARP_GROUP-th, so that it alone reads and writes it. */
FUNCTION float *part_sums(grad_head h, attention_parameters p, int keys)
{
  return h.b.parts + p.parts + GROUP_ID(0) * grad_part_stride(p, keys);
}

FUNCTION void clear_part(grad_head h, attention_parameters p, int keys)
{
  float *const sums = part_sums(h, p, keys);
  for (int d = ITEM_ID; d < h.part.length + h.part.rows - 1; d += WARP_GROUP)
    sums[d] = 0.0f;
}

/* Adds the diagonals of a tile of `keys` keys and `rows` queries to them. */
FUNCTION void add_diagonals(grad_head h, attention_parameters p, const u16 *slopes, int query,
                            int rows, int key, int keys, int width)
{
  float *const sums = part_sums(h, p, GRAD_KEYS(width));
  const int middle = key - h.part.row - query + h.part.length - 1, least_shift = 1 - rows;
  const int mine = (ITEM_ID - middle - least_shift) & (WARP_GROUP - 1);
  for (int shift = least_shift + mine; shift < keys; shift += WARP_GROUP)
    sums[middle + shift] +=
        sum_diagonal(slopes, TILE_PITCH(GRAD_QUERIES(width)), shift, rows, keys);
}

/* d_bias += the sums of all groups, in their order, for one head and distance. */
FUNCTION void add_part_sums(float *d_bias, const float *parts, const int *offsets,
                            attention_parameters p, i64 job, LOCAL_POINTER float *shared)
{
  const int places = 2 * p.radius + 1, head = (int)quotient(job, places),
            place = (int)(job - (i64)head * places);
  const int keys = GRAD_KEYS(p.depth), slots = sequence_slots(offsets, p, keys * p.chunk);
  float sum = 0.0f;
  for (int slot = ITEM_ID; slot < slots; slot += GROUP_SIZE) {
    const tensor_job found = find_job(offsets, 0, p, keys * p.chunk, slot, head);
    if (found.part.rows <= 0)
      continue;
    const float *part = parts + p.parts + ((i64)slot * p.heads + head) * grad_part_stride(p, keys);
    /* At an end of the bias, all that is farther; else one distance. */
    const int all = found.part.length + found.part.rows - 1;
    const int here = place - p.radius - found.part.row + found.part.length - 1;
    int first = place == 0 ? 0 : here, end = place == places - 1 ? all : here + 1;
    first = first < 0 ? 0 : first;
    end = end > all ? all : end;
    for (int d = first; d < end; d++)
      sum += part[d];
  }
  sum = lanes_sum(sum, whole_group(), shared);
  if (ITEM_ID == 0)
    d_bias[p.d_bias + head * p.d_bias_stride + place] += sum;
}

/* ---- A group ---- */

/* Values of the warp's blocks of keys. */
FUNCTION void load_values(u32 (*value)[4], const u16 *tile, int width)
{
  UNROLL
  for (int i = 0; i < GRAD_BLOCKS(width); i++)
    left_fragments(value + i * width / 16, tile, 64 * i + 16 * WARP_INDEX, width);
}

/* dS is 0 in blocks of keys past the end, which nobody computes. */
FUNCTION void clear_slopes(u16 *slopes, int keys, int width)
{
  const int pitch = TILE_PITCH(GRAD_QUERIES(width));
  for (int e = (keys + 15) / 16 * 16 * pitch + ITEM_ID; e < GRAD_KEYS(width) * pitch;
       e += WARP_GROUP)
    slopes[e] = 0;
}

/* A tile of `keys` keys from `key` on, with all queries of the sequence. */
FUNCTION void differentiate_tile(grad_memory m, grad_head h, attention_parameters p,
                                 keys_place place, int key, int keys, int width)
{
  const int queries = GRAD_QUERIES(width), hidden = p.heads * p.depth, length = h.part.length;
  const row_layout in = {p.qkv_stride, p.depth, p.wide}, to = {p.out_stride, p.depth, p.wide};
  const u16 *k = query_row(h, p, key) + hidden;
  tile_load(m.keys, k, in, keys, GRAD_KEYS(width), width);
  tile_load(m.tiles, k + hidden, in, keys, GRAD_KEYS(width), width);
  copy_commit();
  clear_slopes(m.slopes, keys, width);
  COPY_WAIT(0);
  BARRIER();
  u32 value[GRAD_MOST_SUMS / 2][4];
  load_values(value, m.tiles, width);
  BARRIER();
  load_queries(stage_at(m, 0, width), h, p, 0, key, width);
  store_state(stage_at(m, 0, width), load_state(h, p, 0, queries, !place.first), queries);
  float d_keys[GRAD_MOST_SUMS][4], d_values[GRAD_MOST_SUMS][4];
  clear_fragments(d_keys, GRAD_BLOCKS(width) * width / 8);
  clear_fragments(d_values, GRAD_BLOCKS(width) * width / 8);
  int at = 0;
  ROLLED
  for (int query = 0; query < length; query += queries) {
    RECOMPUTED(h.part.first);
    const int rows = least(queries, length - query), next = query + queries;
    const query_stage here = stage_at(m, at, width), other = stage_at(m, 1 - at, width);
    at = 1 - at;
    COPY_WAIT(0);
    BARRIER();
    if (next < length)
      load_queries(other, h, p, next, key, width);
    const row_state state = load_state(h, p, next, queries, !place.first);
    if (place.first) {
      row_means(here, h, p, query, rows, !place.last, width);
      BARRIER();
    }
    accumulate_keys(d_keys, d_values, value, m, here, h, p, query, rows, key, keys, width);
    store_state(other, state, queries);
    BARRIER();
    if (h.b.parts != 0)
      add_diagonals(h, p, m.slopes, query, rows, key, keys, width);
    accumulate_queries(here.q, m, h, p, place, query, rows, keys, width);
    if (place.last && place.whole) {
      BARRIER();
      tile_store(d_query_row(h, p, query), to, here.q, rows, queries, width);
    }
  }
  BARRIER();
  store_keys(h, p, m.keys, d_keys, d_values, key, keys, width);
  BARRIER();
}

FUNCTION void tensor_grad(grad_buffers b, const int *offsets, const int *examples, const u32 *step,
                          attention_parameters p, u8 *memory, int width)
{
  const int keys = GRAD_KEYS(width);
  const tensor_job job = this_job(offsets, examples, p, keys * p.chunk);
  UNROLL
  for (int third = 0; third < 3; third++)
    clear_rest(b.d_qkv + p.out + (third * p.heads + job.part.head) * p.depth, p.out_stride, offsets,
               p, job);
  if (job.part.rows <= 0)
    return;
  const grad_head h = {b, job.part, job.tile, step};
  const grad_memory m = divide_memory(memory, width);
  if (b.parts != 0)
    clear_part(h, p, keys);
  const int end = h.part.row + h.part.rows;
  ROLLED
  for (int key = h.part.row; key < end; key += keys) {
    const keys_place place = {key == h.part.row, key + keys >= end, h.part.rows == h.part.length};
    differentiate_tile(m, h, p, place, key, least(keys, end - key), width);
  }
}

/* ---- Kernels ---- */

#define ATTENTION_GRAD_BF16(width, resident)                                                  \
  WARP_KERNEL(attention_grad_bf16_##width, resident)                                          \
  (u16 * d_qkv, const u16 *d_out, const u16 *qkv, const u16 *out, const float *log_sum,       \
   float *means, const int *offsets, const int *examples, const u32 *step, const float *bias, \
   float *parts, attention_parameters p)                                                      \
  {                                                                                           \
    WARP_MEMORY(memory, GRAD_MEMORY(width));                                                  \
    const grad_buffers b = {d_qkv, d_out, qkv, out, log_sum, means, bias, parts};             \
    tensor_grad(b, offsets, examples, step, p, memory, width);                                \
  }

ATTENTION_GRAD_BF16(32, 3)
ATTENTION_GRAD_BF16(64, 2)
ATTENTION_GRAD_BF16(96, 2)
ATTENTION_GRAD_BF16(128, 2)

/* dQ of sequences whose keys were cut into chunks: the chunks' sums in their order. A group takes
 * as many rows as it took keys before. */
KERNEL(attention_grad_sum_bf16)
(u16 *d_qkv, const float *means, const int *offsets, attention_parameters p)
{
  const int rows = GRAD_KEYS(p.depth) * p.chunk, width = grad_width(p);
  const tensor_job job = this_job(offsets, 0, p, rows);
  if (job.part.rows <= 0 || job.part.length <= rows)
    return;
  const i64 row = job.part.head * p.tokens + job.part.first + job.part.row;
  u16 *d_q = d_qkv + p.out + (job.part.first + job.part.row) * p.out_stride +
             job.part.head * p.depth;
  for (int e = ITEM_ID; e < job.part.rows * p.depth; e += GROUP_SIZE) {
    const int i = e / p.depth, j = e % p.depth;
    float sum = 0.0f;
    for (int chunk = 0; chunk * rows < job.part.length; chunk++)
      sum += means[p.sums + (chunk * (i64)p.heads * p.tokens + row + i) * width + j];
    d_q[i * p.out_stride + j] = bf16_of_float(sum * p.scale);
  }
}

/* d_bias += the sums by distance of all groups. */
KERNEL(attention_grad_bias_bf16)
(float *d_bias, const float *parts, const int *offsets, attention_parameters p)
{
  LOCAL float shared[GROUP_SIZE];
  const i64 jobs = (i64)p.heads * (2 * p.radius + 1);
  for (i64 job = GROUP_ID(0); job < jobs; job += GROUP_COUNT(0))
    add_part_sums(d_bias, parts, offsets, p, job, shared);
}
