/* The gradient of attention on tensor cores, in BF16 with sums in float32. For queries i and keys j,
 * with S = scale Q Kᵀ + bias, P = exp(S − log_sum), M dropout's factors and D_i = Σ dO_i ∘ O_i:
 *
 *   dV = (P ∘ M)ᵀ dO,  dS = P ∘ (M ∘ dO Vᵀ − D),  dK = scale dSᵀ Q,  dQ = scale dS K
 *
 * S, dO Vᵀ, dV, dK and dQ are five products. A sum over queries and one over keys cannot both stay
 * in one group's registers, unless the sequence is one tile:
 *
 *   sequence         kernels                                  products   device memory
 *   up to 64 tokens  keys: dK, dV, and dQ through dS in       5          none but arguments
 *                    local memory, D of its rows too
 *   more             queries: D (kept, 4 bytes a row), dQ     3          4 bytes a row and head
 *                    keys: dK, dV                             4
 *
 * The other way to five, partial dQ of each tile of keys in float32 and a sum over them, would write
 * and read 4 L / 64 bytes for each element of dQ: at 512 tokens 25 times the bytes of all arguments,
 * 1.5 times as long as the two products on an H200.
 *
 * Keys: a group is one head's 64 keys, 16 to a warp, which computes Sᵀ and (dO Vᵀ)ᵀ, so that P and
 * dS are left factors of dV and dK without leaving the registers. Queries come in tiles with dO,
 * log_sum, D and dropout's bits, in two stages.
 *
 *          queries ->  tile 0   tile 1 ...      width   keys × queries   registers of a thread
 *   keys     warp 0  [ 16 × ]                      32       64 × 64      dK, dV 32, S, dS 64, V  8
 *            warp 1  [ 16 × ]                      64       64 × 64      dK, dV 64, S, dS 64, V 16
 *            warp 2  [ 16 × ]                      96       64 × 32      dK, dV 96, S, dS 32, V 24
 *            warp 3  [ 16 × ]                     128       64 × 16      dK, dV 128, S, dS 16, V 32
 *
 * Queries: as in the forward pass, 64 queries with tiles of keys; Q and dO stay in registers.
 *
 * dS of a tile goes to local memory, in BF16, where dQ or the bias's gradient needs it there. The
 * bias's sums by distance go to scratch for each tile of 64 queries, as in attention_grad.cl, and
 * one more kernel adds them up in order. */

#define GRAD_KEYS 64
#define GRAD_QUERIES_OF(width) ((width) <= 64 ? 64 : (width) == 96 ? 32 : 16)
#define GRAD_STAGE(width) (2 * TILE_ELEMENTS(GRAD_QUERIES_OF(width), width))
/* A stage's log_sum and D, and bits of dropout: four times 16 keys for each query. */
#define ROW_STATE_BYTES(queries) (2 * (queries) * (2 * 4 + 4 * 2))
/* dS of the keys' kernel: [keys, queries]. If one tile holds all queries, the second stage is free. */
#define SLOPES_BYTES(queries) ((queries) == 64 ? 0 : TILE_BYTES(GRAD_KEYS, queries))
#define KEYS_MEMORY(width)                                                \
  (TILE_BYTES(GRAD_KEYS, width) + 2 * 2 * GRAD_STAGE(width) +             \
   SLOPES_BYTES(GRAD_QUERIES_OF(width)) + ROW_STATE_BYTES(GRAD_QUERIES_OF(width)))
#define QUERIES_MEMORY(width) \
  (2 * STAGE_BYTES(width) + TILE_BYTES(TENSOR_QUERIES, KEYS_OF(width)) + TENSOR_QUERIES * 4)

/* The kernels' arguments; `out` is attention's, `means` is D, [heads, tokens]. */
typedef struct {
  u16 *d_qkv;
  const u16 *d_out, *qkv, *out;
  const float *log_sum;
  float *means;
  const float *bias;
  float *parts;
} grad_buffers;

/* D of `rows` rows of dO in a tile, and 0 behind them: d_out ∘ out, `out` from device memory. */
FUNCTION void row_means(float *means, const u16 *d_out, const u16 *out, row_layout from, int rows,
                        int tile_rows, int width)
{
  const int lanes = WARP_GROUP / tile_rows, columns = width / lanes;
  const int row = ITEM_ID / lanes, first = ITEM_ID % lanes * columns;
  float sum = 0.0f;
  if (row < rows)
    UNROLL
    for (int j = 0; j < columns; j += 8) {
      u32 chunk[4] = {0, 0, 0, 0};
      const u16 *x = out + row * from.stride + first + j;
      if (from.wide) {
        if (first + j < from.depth)
          move_16(chunk, x);
      } else {
        for (int c = 0; c < 8; c++)
          if (first + j + c < from.depth)
            chunk[c / 2] |= (u32)x[c] << c % 2 * 16;
      }
      UNROLL
      for (int c = 0; c < 8; c++)
        sum = MULTIPLY_ADD(float_of_bf16(d_out[row * TILE_PITCH(width) + first + j + c]),
                           float_of_bf16((u16)(chunk[c / 2] >> c % 2 * 16)), sum);
    }
  for (int distance = 1; distance < lanes; distance *= 2)
    sum += warp_xor_float(sum, distance);
  if (ITEM_ID % lanes == 0)
    means[row] = sum;
}

/* ---- By tiles of keys ---- */

/* What a group knows of the sequence. */
typedef struct {
  attention_part part;
  mask_state mask;
  row_layout in, d_out, out, d_qkv;
  const u16 *q, *upstream, *forward; /* of the head's first token */
  const float *log_sum, *bias;
  float *means;
  float factor;
} grad_head;

FUNCTION grad_head find_head(grad_buffers b, const int *offsets, const int *examples,
                             const u32 *step, attention_parameters p, i64 job)
{
  grad_head h;
  h.part = attention_find(offsets, examples, p, GRAD_KEYS, job);
  h.mask = attention_mask(step, p);
  const row_layout in = {p.qkv_stride, p.depth, p.wide}, d_out = {p.d_out_stride, p.depth, p.wide};
  const row_layout out = {p.result_stride, p.depth, p.wide};
  const row_layout d_qkv = {p.out_stride, p.depth, p.wide};
  h.in = in;
  h.d_out = d_out;
  h.out = out;
  h.d_qkv = d_qkv;
  const int column = h.part.head * p.depth;
  h.q = b.qkv + p.qkv + h.part.first * p.qkv_stride + column;
  h.upstream = b.d_out + p.d_out + h.part.first * p.d_out_stride + column;
  h.forward = b.out + p.result + h.part.first * p.result_stride + column;
  h.log_sum = b.log_sum + p.log_sum + h.part.head * p.log_sum_stride + h.part.first;
  h.bias = head_bias(b.bias, p, h.part.head);
  h.means = b.means + h.part.head * p.tokens + h.part.first;
  h.factor = score_factor(h.bias, p.scale);
  return h;
}

/* A tile of queries in local memory: Q, dO, log_sum in powers of two, D, and bits of dropout. */
typedef struct {
  u16 *q, *d_out;
  float *log_sum, *mean;
  u16 *kept;
} query_stage;

FUNCTION query_stage stage_at(u8 *memory, int index, int queries, int width)
{
  u16 *const tiles = (u16 *)(memory + TILE_BYTES(GRAD_KEYS, width));
  u8 *const state = memory + TILE_BYTES(GRAD_KEYS, width) + 8 * TILE_ELEMENTS(queries, width) +
                    SLOPES_BYTES(queries) + index * (ROW_STATE_BYTES(queries) / 2);
  query_stage s;
  s.q = tiles + index * 2 * TILE_ELEMENTS(queries, width);
  s.d_out = s.q + TILE_ELEMENTS(queries, width);
  s.log_sum = (float *)state;
  s.mean = s.log_sum + queries;
  s.kept = (u16 *)(s.mean + queries);
  return s;
}

/* Begins to load queries from `query` on; D only if the sequence has more tiles than one. */
FUNCTION void load_stage(query_stage s, grad_head h, attention_parameters p, int query, int queries,
                         int width)
{
  const int rows = h.part.length - query;
  tile_load(s.q, h.q + query * h.in.stride, h.in, rows, queries, width);
  tile_load(s.d_out, h.upstream + query * h.d_out.stride, h.d_out, rows, queries, width);
  if (ITEM_ID < queries) {
    const int there = ITEM_ID < rows;
    s.log_sum[ITEM_ID] = there ? h.log_sum[query + ITEM_ID] * LOG2_E : POSITIVE_INFINITY;
    if (h.part.length > GRAD_KEYS)
      s.mean[ITEM_ID] = there ? h.means[query + ITEM_ID] : 0.0f;
  }
  if (p.drops)
    for (int e = ITEM_ID; e < 4 * queries; e += WARP_GROUP) {
      const i64 row = (i64)h.part.head * h.part.length + query + e / 4;
      s.kept[e] = (u16)keep_16(h.mask, h.part.example,
                               row * h.part.length + h.part.row + e % 4 * 16);
    }
}

/* From scores and dO Vᵀ, both transposed: P without dropped elements, and dS / scale. */
FUNCTION void differentiate_keys(float (*s)[4], float (*slopes)[4], query_stage stage, grad_head h,
                                 int drops, int queries)
{
  UNROLL
  for (int n = 0; n < queries / 8; n++)
    UNROLL
    for (int c = 0; c < 2; c++) {
      const int query = 8 * n + (WARP_LANE & 3) * 2 + c;
      const float log_sum = stage.log_sum[query], mean = stage.mean[query];
      const u32 kept = drops ? stage.kept[4 * query + WARP_INDEX] >> (WARP_LANE >> 2) : 0x101;
      UNROLL
      for (int half = 0; half < 2; half++) {
        const int e = 2 * half + c;
        const int key = 16 * WARP_INDEX + (WARP_LANE >> 2) + 8 * half;
        const float probability =
            key < h.part.rows ? exp2_approx(MULTIPLY_ADD(s[n][e], h.factor, -log_sum)) : 0.0f;
        const int keeps = (int)(kept >> 8 * half & 1u);
        const float slope = keeps ? slopes[n][e] * h.mask.scale : 0.0f;
        s[n][e] = keeps ? probability : 0.0f;
        slopes[n][e] = probability * (slope - mean);
      }
    }
}

/* As add_tensor_bias, of transposed scores: `distance` keys from the query at (0, 0). */
FUNCTION void add_transposed_bias(float (*s)[4], const float *bias, float scale, int radius,
                                  int distance, int queries)
{
  const int near = distance + (WARP_LANE >> 2) - (WARP_LANE & 3) * 2;
  UNROLL
  for (int n = 0; n < queries / 8; n++)
    UNROLL
    for (int e = 0; e < 4; e++) {
      const int d = near - 8 * n - (e & 1) + (e >> 1) * 8;
      const int place = d < -radius ? -radius : d > radius ? radius : d;
      const float added = bias != 0 ? bias[radius + place] : 0.0f;
      s[n][e] = MULTIPLY_ADD(s[n][e], scale * LOG2_E, added * LOG2_E);
    }
}

/* The sum of the work-item's diagonal of a tile of dS: key − row is `shift`, both within the tile;
 * element (row, key) is at row·row_step + key·key_step. */
FUNCTION float sum_diagonal(const u16 *slopes, int row_step, int key_step, int shift, int rows,
                            int columns)
{
  const int begin = shift < 0 ? -shift : 0;
  const int end = rows < columns - shift ? rows : columns - shift;
  float sum = 0.0f;
  for (int row = begin; row < end; row++)
    sum += float_of_bf16(slopes[row * row_step + (row + shift) * key_step]);
  return sum;
}

/* dQ of a tile of queries, from dS of all keys in local memory. */
FUNCTION void finish_queries(u16 *d_q, row_layout to, u16 *staging, const u16 *slopes,
                             const u16 *keys, float scale, int rows, int queries, int width)
{
  const int parts = 4 / (queries / 16), columns = width / parts, pitch = TILE_PITCH(queries);
  const int row = WARP_INDEX % (queries / 16) * 16;
  const int first = WARP_INDEX / (queries / 16) * columns;
  u32 left[GRAD_KEYS / 16][4];
  UNROLL
  for (int k = 0; k < GRAD_KEYS / 16; k++)
    ldmatrix_x4_trans(left[k], columns_first(slopes + 16 * k * pitch + row, pitch));
  float sums[TILE_MOST_D][4];
  clear_fragments(sums, columns / 8);
  multiply_by_columns(sums, left, keys, GRAD_KEYS, first, columns, width);
  put_fragments(staging + row * TILE_PITCH(width) + first, TILE_PITCH(width), sums, columns / 8,
                scale, scale);
  BARRIER();
  tile_store(d_q, to, staging, rows, queries, width);
}

FUNCTION void clear_gradient(u16 *d_qkv, const int *offsets, attention_parameters p, int head,
                             i64 job)
{
  UNROLL
  for (int third = 0; third < 3; third++)
    clear_rest(d_qkv, p.out + (third * p.heads + head) * p.depth, p.out_stride, offsets, p,
               GRAD_KEYS, job);
}

FUNCTION void tensor_grad_keys(grad_buffers b, const int *offsets, const int *examples,
                               const u32 *step, attention_parameters p, u8 *memory, int width)
{
  const i64 job = GROUP_ID(0);
  const grad_head h = find_head(b, offsets, examples, step, p, job);
  const int queries = GRAD_QUERIES_OF(width), hidden = p.heads * p.depth, row = 16 * WARP_INDEX;
  clear_gradient(b.d_qkv, offsets, p, h.part.head, job);
  if (h.part.rows == 0)
    return;
  const int alone = h.part.length <= GRAD_KEYS;
  u16 *const keys = (u16 *)memory;
  query_stage here = stage_at(memory, 0, queries, width), next = stage_at(memory, 1, queries, width);
  u16 *const slopes_tile =
      queries == 64 ? next.q : (u16 *)(memory + TILE_BYTES(GRAD_KEYS, width)) + 2 * GRAD_STAGE(width);
  u16 *const values = queries >= 32 ? next.q : here.q; /* on their way to registers */
  const u16 *k = h.q + h.part.row * p.qkv_stride + hidden;
  tile_load(keys, k, h.in, h.part.rows, GRAD_KEYS, width);
  tile_load(values, k + hidden, h.in, h.part.rows, GRAD_KEYS, width);
  if (queries >= 32)
    load_stage(here, h, p, 0, queries, width);
  copy_commit();
  COPY_WAIT(0);
  BARRIER();
  u32 value[TILE_MOST_A][4];
  left_fragments(value, values, row, width);
  if (queries < 32) {
    BARRIER();
    load_stage(here, h, p, 0, queries, width);
    copy_commit();
  }
  float d_keys[TILE_MOST_D][4], d_values[TILE_MOST_D][4];
  clear_fragments(d_keys, width / 8);
  clear_fragments(d_values, width / 8);
  float diagonal = 0.0f;
  for (int query = 0; query < h.part.length; query += queries) {
    const int rows = least(queries, h.part.length - query);
    COPY_WAIT(0);
    BARRIER();
    if (query + queries < h.part.length)
      load_stage(next, h, p, query + queries, queries, width);
    copy_commit();
    if (alone) {
      row_means(here.mean, here.d_out, h.forward + query * h.out.stride, h.out, rows, queries,
                width);
      BARRIER();
    }
    float s[GRAD_KEYS / 8][4], slopes[GRAD_KEYS / 8][4];
    u32 left[GRAD_KEYS / 16][4], key[TILE_MOST_A][4];
    clear_fragments(s, queries / 8);
    left_fragments(key, keys, row, width);
    multiply_by_rows(s, key, here.q, queries, width);
    clear_fragments(slopes, queries / 8);
    multiply_by_rows(slopes, value, here.d_out, queries, width);
    if (h.factor == 1.0f)
      add_transposed_bias(s, h.bias, p.scale, p.radius, h.part.row + row - query, queries);
    differentiate_keys(s, slopes, here, h, p.drops, queries);
    UNROLL
    for (int n = 0; n < queries / 8; n += 2)
      pack_fragment(left[n / 2], s[n], s[n + 1]);
    multiply_by_columns(d_values, left, here.d_out, queries, 0, width, width);
    UNROLL
    for (int n = 0; n < queries / 8; n += 2)
      pack_fragment(left[n / 2], slopes[n], slopes[n + 1]);
    multiply_by_columns(d_keys, left, here.q, queries, 0, width, width);
    if (alone) {
      put_fragments(slopes_tile + row * TILE_PITCH(queries), TILE_PITCH(queries), slopes,
                    queries / 8, 1.0f, 1.0f);
      BARRIER();
      if (b.parts != 0)
        diagonal += sum_diagonal(slopes_tile, 1, TILE_PITCH(queries),
                                 ITEM_ID - (GRAD_KEYS - 1) + query, rows, h.part.rows);
      finish_queries(b.d_qkv + p.out + (h.part.first + query) * p.out_stride +
                         h.part.head * p.depth,
                     h.d_qkv, here.q, slopes_tile, keys, p.scale, rows, queries, width);
    }
    const query_stage other = here;
    here = next;
    next = other;
  }
  if (alone && b.parts != 0 && ITEM_ID < h.part.length + GRAD_KEYS - 1)
    b.parts[p.parts + job * (p.longest + GRAD_KEYS) + ITEM_ID] = diagonal;
  BARRIER();
  u16 *const staging = (u16 *)(memory + TILE_BYTES(GRAD_KEYS, width));
  put_fragments(keys + row * TILE_PITCH(width), TILE_PITCH(width), d_keys, width / 8, p.scale,
                p.scale);
  put_fragments(staging + row * TILE_PITCH(width), TILE_PITCH(width), d_values, width / 8,
                h.mask.scale, h.mask.scale);
  BARRIER();
  u16 *out = b.d_qkv + p.out + (h.part.first + h.part.row) * p.out_stride + hidden +
             h.part.head * p.depth;
  tile_store(out, h.d_qkv, keys, h.part.rows, GRAD_KEYS, width);
  tile_store(out + hidden, h.d_qkv, staging, h.part.rows, GRAD_KEYS, width);
}

/* ---- By tiles of queries, of sequences that have more than one ---- */

/* From scores and dO Vᵀ: dS / scale in `slopes`. */
FUNCTION void differentiate_queries(float (*s)[4], float (*slopes)[4], const float *log_sum,
                                    const float *mean, float factor, u32 (*kept)[2], int drops,
                                    float drop_scale, int there, int columns)
{
  UNROLL
  for (int n = 0; n < columns / 8; n++)
    UNROLL
    for (int e = 0; e < 4; e++) {
      const int key = 8 * n + (WARP_LANE & 3) * 2 + (e & 1);
      const float probability =
          key < there ? exp2_approx(MULTIPLY_ADD(s[n][e], factor, -log_sum[e >> 1])) : 0.0f;
      const int keeps = !drops || is_kept(kept, n, e, columns);
      const float slope = keeps ? slopes[n][e] * drop_scale : 0.0f;
      slopes[n][e] = probability * (slope - mean[e >> 1]);
    }
}

FUNCTION void tensor_grad_queries(grad_buffers b, const int *offsets, const int *examples,
                                  const u32 *step, attention_parameters p, u8 *memory, int width)
{
  const i64 job = GROUP_ID(0);
  const grad_head h = find_head(b, offsets, examples, step, p, job);
  const int keys = KEYS_OF(width), hidden = p.heads * p.depth, row = 16 * WARP_INDEX;
  if (h.part.rows == 0 || h.part.length <= GRAD_KEYS)
    return;
  const int length = h.part.length, works = row < h.part.rows;
  u16 *here = (u16 *)memory, *next = (u16 *)(memory + STAGE_BYTES(width));
  u16 *const slopes_tile = (u16 *)(memory + 2 * STAGE_BYTES(width));
  float *const means = (float *)(slopes_tile + TILE_ELEMENTS(TENSOR_QUERIES, keys));
  u16 *const upstream_tile = keys == 64 ? next + TILE_ELEMENTS(keys, width) : here;
  const u16 *k = h.q + hidden;
  tile_load(next, h.q + h.part.row * p.qkv_stride, h.in, h.part.rows, TENSOR_QUERIES, width);
  tile_load(upstream_tile, h.upstream + h.part.row * p.d_out_stride, h.d_out, h.part.rows,
            TENSOR_QUERIES, width);
  copy_commit();
  if (keys == 64) {
    tile_load(here, k, h.in, length, keys, width);
    tile_load(here + TILE_ELEMENTS(keys, width), k + hidden, h.in, length, keys, width);
  }
  copy_commit();
  float *part = b.parts;
  if (part != 0) {
    part += p.parts + job * (p.longest + TENSOR_QUERIES);
    for (int d = ITEM_ID; d < length + TENSOR_QUERIES - 1; d += WARP_GROUP)
      part[d] = 0.0f;
  }
  COPY_WAIT(1);
  BARRIER();
  row_means(means, upstream_tile, h.forward + h.part.row * p.result_stride, h.out, h.part.rows,
            TENSOR_QUERIES, width);
  u32 query[TILE_MOST_A][4], upstream[TILE_MOST_A][4];
  left_fragments(query, next, row, width);
  left_fragments(upstream, upstream_tile, row, width);
  BARRIER();
  if (keys < 64) {
    tile_load(here, k, h.in, length, keys, width);
    tile_load(here + TILE_ELEMENTS(keys, width), k + hidden, h.in, length, keys, width);
    copy_commit();
  }
  if (ITEM_ID < h.part.rows)
    h.means[h.part.row + ITEM_ID] = means[ITEM_ID];
  float log_sum[2], mean[2];
  UNROLL
  for (int half = 0; half < 2; half++) {
    const int r = row + (WARP_LANE >> 2) + 8 * half;
    log_sum[half] = r < h.part.rows ? h.log_sum[h.part.row + r] * LOG2_E : POSITIVE_INFINITY;
    mean[half] = means[r];
  }
  float sums[TILE_MOST_D][4];
  clear_fragments(sums, width / 8);
  COPY_WAIT(0);
  BARRIER();
  for (int key = 0; key < length; key += keys) {
    const int rest = length - key - keys, columns = least(keys, length - key);
    if (rest > 0) {
      const u16 *x = k + (key + keys) * p.qkv_stride;
      tile_load(next, x, h.in, rest, keys, width);
      tile_load(next + TILE_ELEMENTS(keys, width), x + hidden, h.in, rest, keys, width);
    }
    copy_commit();
    if (works) {
      float s[MOST_KEYS / 8][4], slopes[MOST_KEYS / 8][4];
      u32 left[MOST_KEYS / 16][4], kept[2][2] = {{0, 0}, {0, 0}};
      clear_fragments(s, keys / 8);
      multiply_by_rows(s, query, here, keys, width);
      clear_fragments(slopes, keys / 8);
      multiply_by_rows(slopes, upstream, here + TILE_ELEMENTS(keys, width), keys, width);
      if (h.factor == 1.0f)
        add_tensor_bias(s, h.bias, p.scale, p.radius, key - h.part.row - row, keys);
      if (p.drops)
        share_rows(kept, keep_half_row(h.mask, h.part.example,
                                       half_row_element(h.part, h.part.row + row, key, keys),
                                       keys));
      differentiate_queries(s, slopes, log_sum, mean, h.factor, kept, p.drops, h.mask.scale,
                            columns, keys);
      UNROLL
      for (int n = 0; n < keys / 8; n += 2)
        pack_fragment(left[n / 2], slopes[n], slopes[n + 1]);
      multiply_by_columns(sums, left, here, keys, 0, width, width);
      if (part != 0)
        put_fragments(slopes_tile + row * TILE_PITCH(keys), TILE_PITCH(keys), slopes, keys / 8,
                      1.0f, 1.0f);
    }
    if (part != 0) {
      BARRIER();
      const int d = (ITEM_ID - key) & (WARP_GROUP - 1);
      if (d < TENSOR_QUERIES - 1 + columns)
        part[key + d] += sum_diagonal(slopes_tile, TILE_PITCH(keys), 1, d - (TENSOR_QUERIES - 1),
                                      h.part.rows, columns);
    }
    COPY_WAIT(0);
    BARRIER();
    u16 *const other = here;
    here = next;
    next = other;
  }
  if (works)
    put_fragments(here + row * TILE_PITCH(width), TILE_PITCH(width), sums, width / 8, p.scale,
                  p.scale);
  BARRIER();
  tile_store(b.d_qkv + p.out + (h.part.first + h.part.row) * p.out_stride + h.part.head * p.depth,
             h.d_qkv, here, h.part.rows, TENSOR_QUERIES, width);
}

/* ---- Kernels ---- */

#define ATTENTION_GRAD_BF16(kind, width, bytes)                                                   \
  WARP_KERNEL(attention_grad_##kind##_bf16_##width, 2)                                            \
  (u16 * d_qkv, const u16 *d_out, const u16 *qkv, const u16 *out, const float *log_sum,           \
   float *means, const int *offsets, const int *examples, const u32 *step, const float *bias,     \
   float *parts, attention_parameters p)                                                          \
  {                                                                                               \
    WARP_MEMORY(memory, bytes);                                                                   \
    const grad_buffers b = {d_qkv, d_out, qkv, out, log_sum, means, bias, parts};                 \
    tensor_grad_##kind(b, offsets, examples, step, p, memory, width);                             \
  }

ATTENTION_GRAD_BF16(keys, 32, KEYS_MEMORY(32))
ATTENTION_GRAD_BF16(keys, 64, KEYS_MEMORY(64))
ATTENTION_GRAD_BF16(keys, 96, KEYS_MEMORY(96))
ATTENTION_GRAD_BF16(keys, 128, KEYS_MEMORY(128))
ATTENTION_GRAD_BF16(queries, 32, QUERIES_MEMORY(32))
ATTENTION_GRAD_BF16(queries, 64, QUERIES_MEMORY(64))
ATTENTION_GRAD_BF16(queries, 96, QUERIES_MEMORY(96))
ATTENTION_GRAD_BF16(queries, 128, QUERIES_MEMORY(128))

/* d_bias += the sums of all tiles of 64 queries. */
KERNEL(attention_grad_bias_bf16)
(float *d_bias, const float *parts, const int *offsets, attention_parameters p)
{
  LOCAL float shared[GROUP_SIZE];
  const tile_shape t = {0, TENSOR_QUERIES, 0};
  const i64 jobs = (i64)p.heads * (2 * p.radius + 1);
  for (i64 job = GROUP_ID(0); job < jobs; job += GROUP_COUNT(0))
    add_parts(d_bias, parts, offsets, p, t, job, shared);
}
