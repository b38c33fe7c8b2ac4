/* The gradient of attention on tensor cores, in BF16 with sums in float32. For queries i and keys j,
 * with S = scale Q Kᵀ + bias, P = exp(S − log_sum), M dropout's factors and D_i = Σ dO_i ∘ O_i:
 *
 *   dV = (P ∘ M)ᵀ dO,  dS = P ∘ (M ∘ dO Vᵀ − D),  dK = scale dSᵀ Q,  dQ = scale dS K
 *
 * S, dO Vᵀ, dV, dK and dQ are five products. A sum over queries and one over keys cannot both stay
 * in one group's registers, unless the sequence is one tile:
 *
 *   sequence         kernels                                  products   scratch
 *   up to 64 tokens  keys: dK, dV, and dQ through dS in       5          none
 *                    local memory, D of its rows too
 *   more             queries: D, which is kept, and dQ        3          4 bytes a row and head
 *                    keys: dK, dV                             4
 *
 * A product is 2 L² width operations for a head and L tokens, rounded up to tiles. The other way to
 * five, each key tile's part of dQ in float32 and a sum over tiles, would write and read L / 8
 * bytes for each element of dQ. At 512 tokens of width 64 that is 2 MB a head, against 67 million
 * operations of the two products that it saves: by 4.3 TB/s and 400 TFLOP/s of an H200, three times
 * as long. Device memory sees Q, K, V, O, dO once each and dQ, dK, dV: 16 L width bytes; what
 * tiles read again comes from the second-level cache.
 *
 * Keys: a group is one head's 64 keys, 16 to a warp, which computes Sᵀ and (dO Vᵀ)ᵀ, so that P and
 * dS are left factors of dV and dK without leaving the registers. Queries come in tiles with dO,
 * log_sum, D and dropout's bits, in two stages; a warp takes 16 of them at a time.
 *
 *          queries ->  tile 0   tile 1 ...      width   keys × queries   registers of a thread
 *   keys     warp 0  [ 16 × ]                      32       64 × 64      dK, dV  32, V  8
 *            warp 1  [ 16 × ]                      64       64 × 64      dK, dV  64, V 16
 *            warp 2  [ 16 × ]                      96       64 × 32      dK, dV  96, V 24
 *            warp 3  [ 16 × ]                     128       64 × 16      dK, dV 128, V 32
 *
 * Queries: as in the forward pass, 64 queries with tiles of keys, of which a warp takes 32 at a
 * time; Q and dO stay in registers.
 *
 * dS of a tile goes to local memory, in BF16, where dQ or the bias's gradient needs it there. The
 * bias's sums by distance go to scratch for each tile of 64 queries, as in attention_grad.cl, and
 * one more kernel adds them up in order. */

#define GRAD_KEYS 64
#define GRAD_QUERIES_OF(width) ((width) <= 64 ? 64 : (width) == 96 ? 32 : 16)
/* Of a tile's queries, so many at a time have their scores in registers of the keys' kernel, and of
 * a tile's keys in the other's. */
#define GRAD_SPAN_KEYS 16
#define GRAD_SPAN 32
#define GRAD_STAGE(width) (2 * TILE_ELEMENTS(GRAD_QUERIES_OF(width), width))
/* A stage's log_sum and D, and bits of dropout: four times 16 keys for each query. */
#define ROW_STATE_BYTES(queries) (2 * (queries) * (2 * 4 + 4 * 2))
/* dS of the keys' kernel: [keys, queries]. Where one tile holds all queries, the second stage is
 * free. */
#define SLOPES_BYTES(queries) ((queries) == 64 ? 0 : TILE_BYTES(GRAD_KEYS, queries))
#define KEYS_MEMORY(width)                                    \
  (TILE_BYTES(GRAD_KEYS, width) + 2 * 2 * GRAD_STAGE(width) + \
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
      const eight x = eight_of_quad(LOAD_QUAD(d_out + row * TILE_PITCH(width) + first + j));
      const eight y = eight_of_quad(
          load_quad(out + row * from.stride + first + j, eight_count(first + j, from.depth)));
      EACH_OF_EIGHT
      sum = MULTIPLY_ADD(x.v[k], y.v[k], sum);
    }
  for (int distance = 1; distance < lanes; distance *= 2)
    sum += warp_xor_float(sum, distance);
  if (ITEM_ID % lanes == 0)
    means[row] = sum;
}

/* ---- By tiles of keys ---- */

/* What a group knows of its head of the sequence. */
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
      s.kept[e] =
          (u16)keep_16(h.mask, h.part.example, row * h.part.length + h.part.row + e % 4 * 16);
    }
}

/* From scores and dO Vᵀ, both transposed, of the stage's queries from `first` on: P without dropped
 * elements, and dS / scale. */
FUNCTION void differentiate_keys(float (*s)[4], float (*slopes)[4], query_stage stage, grad_head h,
                                 int drops, int first, int queries)
{
  UNROLL
  for (int n = 0; n < queries / 8; n++)
    UNROLL
    for (int c = 0; c < 2; c++) {
      const int query = first + 8 * n + (WARP_LANE & 3) * 2 + c;
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
  ROLLED
  for (int j = first; j < first + columns; j += 16) {
    float sums[2][4];
    clear_fragments(sums, 2);
    multiply_by_columns(sums, left, keys, GRAD_KEYS, j, 16, width);
    put_fragments(staging + row * TILE_PITCH(width) + j, TILE_PITCH(width), sums, 2, scale, scale);
  }
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

/* Adds a tile of queries to dK and dV; if the sequence is one tile, dS goes to `slopes_tile`. */
FUNCTION void accumulate_keys(float (*d_keys)[4], float (*d_values)[4], u32 (*value)[4],
                              const u16 *keys, query_stage here, grad_head h,
                              attention_parameters p, int query, int rows, u16 *slopes_tile,
                              int queries, int width)
{
  const int row = 16 * WARP_INDEX, works = row < h.part.rows;
  ROLLED
  for (int first = 0; first < rows; first += GRAD_SPAN_KEYS) {
    float s[GRAD_SPAN_KEYS / 8][4], slopes[GRAD_SPAN_KEYS / 8][4];
    clear_fragments(slopes, GRAD_SPAN_KEYS / 8);
    if (works) {
      u32 left[GRAD_SPAN_KEYS / 16][4];
      const u16 *q_rows = here.q + first * TILE_PITCH(width);
      const u16 *d_out_rows = here.d_out + first * TILE_PITCH(width);
      clear_fragments(s, GRAD_SPAN_KEYS / 8);
      multiply_rows(s, keys, row, q_rows, GRAD_SPAN_KEYS, width);
      multiply_by_rows(slopes, value, d_out_rows, GRAD_SPAN_KEYS, width);
      if (h.factor == 1.0f)
        add_transposed_bias(s, h.bias, p.scale, p.radius, h.part.row + row - query - first,
                            GRAD_SPAN_KEYS);
      differentiate_keys(s, slopes, here, h, p.drops, first, GRAD_SPAN_KEYS);
      pack_fragments(left, s, GRAD_SPAN_KEYS);
      multiply_by_columns(d_values, left, d_out_rows, GRAD_SPAN_KEYS, 0, width, width);
      pack_fragments(left, slopes, GRAD_SPAN_KEYS);
      multiply_by_columns(d_keys, left, q_rows, GRAD_SPAN_KEYS, 0, width, width);
    }
    if (h.part.length <= GRAD_KEYS)
      put_fragments(slopes_tile + row * TILE_PITCH(queries) + first, TILE_PITCH(queries), slopes,
                    GRAD_SPAN_KEYS / 8, 1.0f, 1.0f);
  }
}

/* dK and dV, through local memory that is free. */
FUNCTION void store_keys(grad_buffers b, grad_head h, attention_parameters p, u8 *memory,
                         float (*d_keys)[4], float (*d_values)[4], int width)
{
  const int row = 16 * WARP_INDEX, hidden = p.heads * p.depth;
  u16 *const keys = (u16 *)memory, *values = keys + TILE_ELEMENTS(GRAD_KEYS, width);
  put_fragments(keys + row * TILE_PITCH(width), TILE_PITCH(width), d_keys, width / 8, p.scale,
                p.scale);
  put_fragments(values + row * TILE_PITCH(width), TILE_PITCH(width), d_values, width / 8,
                h.mask.scale, h.mask.scale);
  BARRIER();
  u16 *out =
      b.d_qkv + p.out + (h.part.first + h.part.row) * p.out_stride + hidden + h.part.head * p.depth;
  tile_store(out, h.d_qkv, keys, h.part.rows, GRAD_KEYS, width);
  tile_store(out + hidden, h.d_qkv, values, h.part.rows, GRAD_KEYS, width);
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
  const query_stage zeroth = stage_at(memory, 0, queries, width);
  u16 *const free_stage = zeroth.q + GRAD_STAGE(width);
  u16 *const slopes_tile = queries == 64 ? free_stage : zeroth.q + 2 * GRAD_STAGE(width);
  u16 *const values = queries >= 32 ? free_stage : zeroth.q; /* on their way to registers */
  const u16 *k = h.q + h.part.row * p.qkv_stride + hidden;
  tile_load(keys, k, h.in, h.part.rows, GRAD_KEYS, width);
  tile_load(values, k + hidden, h.in, h.part.rows, GRAD_KEYS, width);
  if (queries >= 32)
    load_stage(zeroth, h, p, 0, queries, width);
  copy_commit();
  COPY_WAIT(0);
  BARRIER();
  u32 value[TILE_MOST_A][4];
  left_fragments(value, values, row, width);
  if (queries < 32) {
    BARRIER();
    load_stage(zeroth, h, p, 0, queries, width);
    copy_commit();
  }
  float d_keys[TILE_MOST_D][4], d_values[TILE_MOST_D][4];
  clear_fragments(d_keys, width / 8);
  clear_fragments(d_values, width / 8);
  float diagonal = 0.0f;
  int at = 0;
  for (int query = 0; query < h.part.length; query += queries) {
    const int rows = least(queries, h.part.length - query);
    const query_stage here = stage_at(memory, at, queries, width);
    at = 1 - at;
    COPY_WAIT(0);
    BARRIER();
    if (query + queries < h.part.length)
      load_stage(stage_at(memory, at, queries, width), h, p, query + queries, queries, width);
    copy_commit();
    if (alone) {
      row_means(here.mean, here.d_out, h.forward + query * h.out.stride, h.out, rows, queries,
                width);
      BARRIER();
    }
    accumulate_keys(d_keys, d_values, value, keys, here, h, p, query, rows, slopes_tile, queries,
                    width);
    if (alone) {
      BARRIER();
      if (b.parts != 0)
        diagonal += sum_diagonal(slopes_tile, 1, TILE_PITCH(queries),
                                 ITEM_ID - (GRAD_KEYS - 1) + query, rows, h.part.rows);
      finish_queries(b.d_qkv + p.out + (h.part.first + query) * p.out_stride +
                         h.part.head * p.depth,
                     h.d_qkv, here.q, slopes_tile, keys, p.scale, rows, queries, width);
    }
  }
  if (alone && b.parts != 0 && ITEM_ID < h.part.length + GRAD_KEYS - 1)
    b.parts[p.parts + job * (p.longest + GRAD_KEYS) + ITEM_ID] = diagonal;
  BARRIER();
  store_keys(b, h, p, memory, d_keys, d_values, width);
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

/* Adds a tile of keys to dQ of the warp's rows; dS goes to `slopes_tile`, if there is one. */
FUNCTION void accumulate_queries(float (*sums)[4], u32 (*query)[4], u32 (*upstream)[4],
                                 const u16 *here, grad_head h, attention_parameters p,
                                 const float *log_sum, const float *mean, int key, int columns,
                                 u16 *slopes_tile, int keys, int width)
{
  const int row = 16 * WARP_INDEX;
  ROLLED
  for (int first = 0; first < columns; first += GRAD_SPAN) {
    float s[GRAD_SPAN / 8][4], slopes[GRAD_SPAN / 8][4];
    u32 left[GRAD_SPAN / 16][4], kept[2][2] = {{0, 0}, {0, 0}};
    const u16 *rows = here + first * TILE_PITCH(width);
    clear_fragments(s, GRAD_SPAN / 8);
    multiply_by_rows(s, query, rows, GRAD_SPAN, width);
    clear_fragments(slopes, GRAD_SPAN / 8);
    multiply_by_rows(slopes, upstream, rows + TILE_ELEMENTS(keys, width), GRAD_SPAN, width);
    if (h.factor == 1.0f)
      add_tensor_bias(s, h.bias, p.scale, p.radius, key + first - h.part.row - row, GRAD_SPAN);
    if (p.drops) {
      const i64 element = half_row_element(h.part, h.part.row + row, key + first, GRAD_SPAN);
      share_rows(kept, keep_half_row(h.mask, h.part.example, element, GRAD_SPAN));
    }
    differentiate_queries(s, slopes, log_sum, mean, h.factor, kept, p.drops, h.mask.scale,
                          columns - first, GRAD_SPAN);
    pack_fragments(left, slopes, GRAD_SPAN);
    multiply_by_columns(sums, left, rows, GRAD_SPAN, 0, width, width);
    if (slopes_tile != 0)
      put_fragments(slopes_tile + row * TILE_PITCH(keys) + first, TILE_PITCH(keys), slopes,
                    GRAD_SPAN / 8, 1.0f, 1.0f);
  }
}

/* The sums by distance of the group's queries. A work-item owns every WARP_GROUP-th, so that it
 * alone reads and writes it. */
FUNCTION void clear_part(float *part, int length)
{
  if (part != 0)
    for (int d = ITEM_ID; d < length + TENSOR_QUERIES - 1; d += WARP_GROUP)
      part[d] = 0.0f;
}

/* Adds a tile's diagonals to them. */
FUNCTION void add_diagonals(float *part, const u16 *slopes_tile, int key, int rows, int columns,
                            int keys)
{
  const int d = (ITEM_ID - key) & (WARP_GROUP - 1);
  if (d < TENSOR_QUERIES - 1 + columns)
    part[key + d] +=
        sum_diagonal(slopes_tile, TILE_PITCH(keys), 1, d - (TENSOR_QUERIES - 1), rows, columns);
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
  float *part = b.parts != 0 ? b.parts + p.parts + job * (p.longest + TENSOR_QUERIES) : 0;
  clear_part(part, length);
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
    if (works)
      accumulate_queries(sums, query, upstream, here, h, p, log_sum, mean, key, columns,
                         part != 0 ? slopes_tile : 0, keys, width);
    if (part != 0) {
      BARRIER();
      add_diagonals(part, slopes_tile, key, h.part.rows, columns, keys);
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

#define ATTENTION_GRAD_BF16(kind, width, resident, bytes)                                     \
  WARP_KERNEL(attention_grad_##kind##_bf16_##width, resident)                                 \
  (u16 * d_qkv, const u16 *d_out, const u16 *qkv, const u16 *out, const float *log_sum,       \
   float *means, const int *offsets, const int *examples, const u32 *step, const float *bias, \
   float *parts, attention_parameters p)                                                      \
  {                                                                                           \
    WARP_MEMORY(memory, bytes);                                                               \
    const grad_buffers b = {d_qkv, d_out, qkv, out, log_sum, means, bias, parts};             \
    tensor_grad_##kind(b, offsets, examples, step, p, memory, width);                         \
  }

ATTENTION_GRAD_BF16(keys, 32, 4, KEYS_MEMORY(32))
ATTENTION_GRAD_BF16(keys, 64, 3, KEYS_MEMORY(64))
ATTENTION_GRAD_BF16(keys, 96, 2, KEYS_MEMORY(96))
ATTENTION_GRAD_BF16(keys, 128, 2, KEYS_MEMORY(128))
ATTENTION_GRAD_BF16(queries, 32, 4, QUERIES_MEMORY(32))
ATTENTION_GRAD_BF16(queries, 64, 3, QUERIES_MEMORY(64))
ATTENTION_GRAD_BF16(queries, 96, 2, QUERIES_MEMORY(96))
ATTENTION_GRAD_BF16(queries, 128, 2, QUERIES_MEMORY(128))

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
