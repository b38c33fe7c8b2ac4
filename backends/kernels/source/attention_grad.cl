/* The gradient of attention, from recomputed scores. For queries i and keys j, with S = scale Q Kᵀ
 * + bias, E = exp(S − log_sum), P_ij = E_ij / Σ_j E_ij, dP = mask(dO Vᵀ) and D_i = Σ_j P_ij dP_ij:
 *
 *   dS = scale P (dP − D),  dQ = dS K,  dK = dSᵀ Q,  dV = mask(P)ᵀ dO
 *
 * A float32 log_sum leaves a row's sum up to |log_sum| · 2⁻²⁴ away from one, hence the division.
 * One kernel, by tiles of queries, makes dQ and stores 1 / Σ and D of each row. A second, by tiles
 * of keys, reads them and makes dK and dV. If the bias's gradient is wanted, the first kernel also
 * stores each tile's sums of dS / scale by distance, and a third adds them up. */

/* A tile's scores and slopes, [queries, keys], which become P and dS; by row, log_sum, 1 / Σ and D;
 * by chunk of a row, Σ E and Σ E dP. */
typedef struct {
  LOCAL_POINTER float *scores, *slopes;
  LOCAL_POINTER float *log_sum, *inverse, *mean;
  LOCAL_POINTER float *chunk_sum, *chunk_mean;
} grad_tile;

/* The position of a tile in a sequence's matrix of scores. */
typedef struct {
  int query, rows, key, columns;
} tile_place;

/* Gives the mask's factors of a chunk whose first element is factors[shift]. */
FUNCTION int tile_mask(float *factors, mask_state mask, attention_part part, tile_place at, int row,
                       int chunk)
{
  const i64 element =
      ((i64)part.head * part.length + at.query + row) * part.length + at.key + chunk * CHUNK;
  mask_chunk(mask, part.example, element, factors);
  return (int)(element & 3);
}

/* The distance of a chunk's first key from its query. */
FUNCTION int chunk_distance(tile_place at, int row, int chunk)
{
  return at.key + chunk * CHUNK - at.query - row;
}

/* Turns scores into E and slopes into dP, and adds Σ E and Σ E dP to the chunks' sums. */
FUNCTION void sum_rows(grad_tile g, mask_state mask, GLOBAL const float *bias, int radius,
                       tile_shape t, attention_part part, tile_place at)
{
  const int chunks = t.keys / CHUNK;
  for (int e = ITEM_ID; e < t.queries * chunks; e += GROUP_SIZE) {
    const int row = e / chunks, chunk = e % chunks, count = at.columns - chunk * CHUNK;
    if (row >= at.rows)
      continue;
    LOCAL_POINTER float *x = g.scores + row * ROW_STRIDE(t.keys) + chunk * CHUNK;
    LOCAL_POINTER float *y = g.slopes + row * ROW_STRIDE(t.keys) + chunk * CHUNK;
    add_bias(x, bias, radius, chunk_distance(at, row, chunk));
    g.chunk_sum[e] += chunk_exp(x, g.log_sum[row], count);
    float factors[CHUNK + 4], sum = 0.0f;
    const int shift = tile_mask(factors, mask, part, at, row, chunk);
    VECTOR_LOOP
    for (int j = 0; j < CHUNK; j++) {
      const float slope = j < count ? drop(y[j], factors[shift + j]) : 0.0f;
      y[j] = slope;
      sum += x[j] * slope;
    }
    g.chunk_mean[e] += sum;
  }
}

/* Computes 1 / Σ and D of each row after all chunks are summed. */
FUNCTION void finish_sums(grad_tile g, tile_shape t, int rows)
{
  const int chunks = t.keys / CHUNK;
  for (int row = ITEM_ID; row < rows; row += GROUP_SIZE) {
    float sum = 0.0f, mean = 0.0f;
    for (int c = 0; c < chunks; c++) {
      sum += g.chunk_sum[row * chunks + c];
      mean += g.chunk_mean[row * chunks + c];
    }
    g.inverse[row] = 1.0f / sum;
    g.mean[row] = mean / sum;
  }
}

/* From E and dP: turns slopes into dS. */
FUNCTION void differentiate_rows(grad_tile g, float scale, tile_shape t, int rows)
{
  const int chunks = t.keys / CHUNK;
  for (int e = ITEM_ID; e < rows * chunks; e += GROUP_SIZE) {
    const int row = e / chunks, at = row * ROW_STRIDE(t.keys) + e % chunks * CHUNK;
    const float factor = scale * g.inverse[row], mean = g.mean[row];
    LOCAL_POINTER const float *x = g.scores + at;
    LOCAL_POINTER float *y = g.slopes + at;
    VECTOR_LOOP
    for (int j = 0; j < CHUNK; j++)
      y[j] = factor * x[j] * (y[j] - mean);
  }
}

/* From S and dO Vᵀ: turns scores into mask(P) and slopes into dS. */
FUNCTION void drop_and_differentiate_rows(grad_tile g, mask_state mask, GLOBAL const float *bias,
                                          int radius, float scale, tile_shape t,
                                          attention_part part, tile_place at)
{
  const int chunks = t.keys / CHUNK;
  for (int e = ITEM_ID; e < at.rows * chunks; e += GROUP_SIZE) {
    const int row = e / chunks, chunk = e % chunks;
    const float inverse = g.inverse[row], mean = g.mean[row];
    LOCAL_POINTER float *x = g.scores + row * ROW_STRIDE(t.keys) + chunk * CHUNK;
    LOCAL_POINTER float *y = g.slopes + row * ROW_STRIDE(t.keys) + chunk * CHUNK;
    add_bias(x, bias, radius, chunk_distance(at, row, chunk));
    chunk_exp(x, g.log_sum[row], at.columns - chunk * CHUNK);
    float factors[CHUNK + 4];
    const int shift = tile_mask(factors, mask, part, at, row, chunk);
    VECTOR_LOOP
    for (int j = 0; j < CHUNK; j++) {
      const float probability = inverse * x[j], factor = factors[shift + j];
      y[j] = scale * probability * (drop(y[j], factor) - mean);
      x[j] = drop(probability, factor);
    }
  }
}

/* ---- The bias ---- */

/* The sums of a tile of queries by distance: the first is for the tile's last query and key 0.
 * There are as many as the sequence has keys, and one less than the tile has queries. */
FUNCTION i64 part_stride(attention_parameters p, tile_shape t)
{
  return (i64)p.longest + t.queries;
}

/* A work-item owns every GROUP_SIZE-th sum of the part, so that it alone reads and writes them. */
FUNCTION void clear_sums(GLOBAL float *part, tile_shape t, int length)
{
  for (int d = ITEM_ID; d < length + t.queries - 1; d += GROUP_SIZE)
    part[d] = 0.0f;
}

/* From E and dP: adds the diagonals of P (dP − D). */
FUNCTION void sum_diagonals(GLOBAL float *part, grad_tile g, tile_shape t, tile_place at)
{
  const int before = at.key & (GROUP_SIZE - 1);
  for (int d = (ITEM_ID - before) & (GROUP_SIZE - 1); d < t.queries - 1 + at.columns;
       d += GROUP_SIZE) {
    const int shift = d - (t.queries - 1); /* of the key from the query, within the tile */
    const int end = least(at.rows, at.columns - shift);
    float sum = 0.0f;
    /* Not max(-shift, 0): Oclgrind lacks the saturating difference that compilers make of it. */
    const int begin = d < t.queries ? t.queries - 1 - d : 0;
    for (int row = begin; row < end; row++) {
      const int e = row * ROW_STRIDE(t.keys) + row + shift;
      sum += g.inverse[row] * g.scores[e] * (g.slopes[e] - g.mean[row]);
    }
    part[at.key + d] += sum;
  }
}

/* d_bias += the sums of all tiles, in their order, for one head and distance. */
FUNCTION void add_parts(GLOBAL float *d_bias, GLOBAL const float *parts, GLOBAL const int *offsets,
                        attention_parameters p, tile_shape t, i64 job, LOCAL_POINTER float *shared)
{
  const int places = 2 * p.radius + 1, head = (int)quotient(job, places),
            place = (int)(job - (i64)head * places);
  const i64 tiles = attention_tiles(p, t.queries);
  float sum = 0.0f;
  for (i64 k = ITEM_ID; k < p.sequences * tiles; k += GROUP_SIZE) {
    const i64 sequence = quotient(k, tiles), tile = k - sequence * tiles;
    const int length = offsets[p.offsets + sequence + 1] - offsets[p.offsets + sequence];
    const int row = (int)tile * t.queries;
    if (row >= length)
      continue;
    GLOBAL const float *part =
        parts + p.parts + ((sequence * p.heads + head) * tiles + tile) * part_stride(p, t);
    /* At an end of the bias, all that is farther; else one distance. */
    const int shift = row + t.queries - 1, all = length + t.queries - 1;
    const int here = place - p.radius + shift;
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

/* ---- By tiles of queries ---- */

/* row_state [2, heads, tokens]: 1 / Σ and D. */
FUNCTION void attend_grad_queries(GLOBAL float *d_qkv, GLOBAL const float *d_out,
                                  GLOBAL const float *qkv, GLOBAL const float *log_sum,
                                  GLOBAL float *row_state, GLOBAL const int *offsets,
                                  GLOBAL const int *examples, GLOBAL const u32 *step,
                                  GLOBAL const float *bias, GLOBAL float *parts,
                                  attention_parameters p, tile_shape t, i64 job,
                                  LOCAL_POINTER float *query, LOCAL_POINTER float *upstream,
                                  LOCAL_POINTER float *stream, grad_tile g, float *sums)
{
  const attention_part part = attention_find(offsets, examples, p, t.queries, job);
  const int hidden = p.heads * p.depth, column = part.head * p.depth, rows = part.rows;
  const i64 first = part.first + part.row;
  const mask_state mask = attention_mask(step, p);
  attention_clear(d_qkv, p.out + column, p.out_stride, offsets, p, t.queries, job);
  GLOBAL const float *k = qkv + p.qkv + part.first * p.qkv_stride + hidden + column;
  if (rows > 0) {
    load_tile(query, ROW_STRIDE(t.width), 1, k + part.row * p.qkv_stride - hidden, p.qkv_stride,
              rows, t.queries, p.depth, t.width);
    load_tile(upstream, ROW_STRIDE(t.width), 1, d_out + p.d_out + first * p.d_out_stride + column,
              p.d_out_stride, rows, t.queries, p.depth, t.width);
  }
  const i64 state = part.head * p.tokens + first;
  for (int row = ITEM_ID; row < rows; row += GROUP_SIZE)
    g.log_sum[row] = log_sum[p.log_sum + part.head * p.log_sum_stride + first + row];
  for (int e = ITEM_ID; e < t.queries * (t.keys / CHUNK); e += GROUP_SIZE)
    g.chunk_sum[e] = g.chunk_mean[e] = 0.0f;
  for (int i = 0; i < KEPT_ELEMENTS(t.queries, t.width); i++)
    sums[i] = 0.0f;
  bias = head_bias(bias, p, part.head);
  if (parts != 0) {
    parts += p.parts + job * part_stride(p, t);
    clear_sums(parts, t, rows > 0 ? part.length : 0);
  }
  /* Goes through all keys for the sums, then again for dQ; once if one tile holds them. */
  const int tiles = rows > 0 ? (part.length + t.keys - 1) / t.keys : 0;
  const int steps = tiles > 1 ? 2 * tiles : tiles;
  for (int s = 0; s < steps; s++) {
    const int key = (s < tiles ? s : s - tiles) * t.keys;
    const tile_place at = {part.row, rows, key, least(t.keys, part.length - key)};
    GLOBAL const float *keys = k + key * p.qkv_stride;
    load_tile(stream, 1, ROW_STRIDE(t.keys), keys, p.qkv_stride, at.columns, t.keys, p.depth,
              t.width);
    BARRIER();
    multiply_tiles(g.scores, query, stream, p.scale, t, rows, at.columns, p.depth);
    BARRIER();
    load_tile(stream, 1, ROW_STRIDE(t.keys), keys + hidden, p.qkv_stride, at.columns, t.keys,
              p.depth, t.width);
    BARRIER();
    multiply_tiles(g.slopes, upstream, stream, 1.0f, t, rows, at.columns, p.depth);
    BARRIER();
    sum_rows(g, mask, bias, p.radius, t, part, at);
    const int finish = s + tiles >= steps;
    if (finish)
      load_tile(stream, ROW_STRIDE(t.width), 1, keys, p.qkv_stride, at.columns, t.keys, p.depth,
                t.width);
    BARRIER();
    if (s == tiles - 1)
      finish_sums(g, t, rows);
    BARRIER();
    if (finish && parts != 0) {
      sum_diagonals(parts, g, t, at);
      BARRIER();
    }
    if (finish)
      differentiate_rows(g, p.scale, t, rows);
    BARRIER();
    if (finish) {
      const left_factor left = {g.slopes, ROW_STRIDE(t.keys), 1};
      accumulate_tiles(sums, 0, left, stream, at.columns, rows, t.queries, p.depth, t.width);
    }
    BARRIER();
  }
  for (int row = ITEM_ID; row < rows; row += GROUP_SIZE) {
    row_state[state + row] = g.inverse[row];
    row_state[p.heads * p.tokens + state + row] = g.mean[row];
  }
  store_sums(d_qkv + p.out + first * p.out_stride + column, p.out_stride, sums, 0, rows, t.queries,
             p.depth, t.width);
  BARRIER();
}

/* ---- By tiles of keys ---- */

FUNCTION void attend_grad_keys(GLOBAL float *d_qkv, GLOBAL const float *d_out,
                               GLOBAL const float *qkv, GLOBAL const float *log_sum,
                               GLOBAL const float *row_state, GLOBAL const int *offsets,
                               GLOBAL const int *examples, GLOBAL const u32 *step,
                               GLOBAL const float *bias, attention_parameters p, tile_shape t,
                               i64 job, LOCAL_POINTER float *keys, LOCAL_POINTER float *values,
                               LOCAL_POINTER float *stream, grad_tile g, float *d_keys,
                               float *d_values)
{
  const attention_part part = attention_find(offsets, examples, p, t.keys, job);
  const int hidden = p.heads * p.depth, column = part.head * p.depth;
  const mask_state mask = attention_mask(step, p);
  attention_clear(d_qkv, p.out + hidden + column, p.out_stride, offsets, p, t.keys, job);
  attention_clear(d_qkv, p.out + 2 * hidden + column, p.out_stride, offsets, p, t.keys, job);
  GLOBAL const float *q = qkv + p.qkv + part.first * p.qkv_stride + column;
  GLOBAL const float *upstream = d_out + p.d_out + part.first * p.d_out_stride + column;
  if (part.rows > 0) {
    GLOBAL const float *k = q + part.row * p.qkv_stride + hidden;
    load_tile(keys, 1, ROW_STRIDE(t.keys), k, p.qkv_stride, part.rows, t.keys, p.depth, t.width);
    load_tile(values, 1, ROW_STRIDE(t.keys), k + hidden, p.qkv_stride, part.rows, t.keys, p.depth,
              t.width);
  }
  for (int i = 0; i < KEPT_ELEMENTS(t.keys, t.width); i++)
    d_keys[i] = d_values[i] = 0.0f;
  const int length = part.rows > 0 ? part.length : 0;
  for (int query = 0; query < length; query += t.queries) {
    const tile_place at = {query, least(t.queries, length - query), part.row, part.rows};
    for (int row = ITEM_ID; row < at.rows; row += GROUP_SIZE) {
      const i64 token = part.first + query + row, state = part.head * p.tokens + token;
      g.log_sum[row] = log_sum[p.log_sum + part.head * p.log_sum_stride + token];
      g.inverse[row] = row_state[state];
      g.mean[row] = row_state[p.heads * p.tokens + state];
    }
    load_tile(stream, ROW_STRIDE(t.width), 1, q + query * p.qkv_stride, p.qkv_stride, at.rows,
              t.queries, p.depth, t.width);
    BARRIER();
    multiply_tiles(g.scores, stream, keys, p.scale, t, at.rows, part.rows, p.depth);
    BARRIER();
    load_tile(stream, ROW_STRIDE(t.width), 1, upstream + query * p.d_out_stride, p.d_out_stride,
              at.rows, t.queries, p.depth, t.width);
    BARRIER();
    multiply_tiles(g.slopes, stream, values, 1.0f, t, at.rows, part.rows, p.depth);
    BARRIER();
    drop_and_differentiate_rows(g, mask, head_bias(bias, p, part.head), p.radius, p.scale, t, part,
                                at);
    BARRIER();
    const left_factor probabilities = {g.scores, 1, ROW_STRIDE(t.keys)};
    const left_factor slopes = {g.slopes, 1, ROW_STRIDE(t.keys)};
    accumulate_tiles(d_values, 0, probabilities, stream, at.rows, part.rows, t.keys, p.depth,
                     t.width);
    BARRIER();
    load_tile(stream, ROW_STRIDE(t.width), 1, q + query * p.qkv_stride, p.qkv_stride, at.rows,
              t.queries, p.depth, t.width);
    BARRIER();
    accumulate_tiles(d_keys, 0, slopes, stream, at.rows, part.rows, t.keys, p.depth, t.width);
    BARRIER();
  }
  GLOBAL float *out = d_qkv + p.out + (part.first + part.row) * p.out_stride + hidden + column;
  store_sums(out, p.out_stride, d_keys, 0, part.rows, t.keys, p.depth, t.width);
  store_sums(out + hidden, p.out_stride, d_values, 0, part.rows, t.keys, p.depth, t.width);
  BARRIER();
}

/* ---- Kernels ---- */

#define GRAD_TILE_MEMORY(queries, keys)                                                           \
  LOCAL float scores[(queries) * ROW_STRIDE(keys)];                                               \
  LOCAL float slopes[(queries) * ROW_STRIDE(keys)];                                               \
  LOCAL float of_rows[3 * (queries)];                                                             \
  LOCAL float of_chunks[2 * (queries) * ((keys) / CHUNK)];                                        \
  const grad_tile g = {scores,                                                                    \
                       slopes,                                                                    \
                       of_rows,                                                                   \
                       of_rows + (queries),                                                       \
                       of_rows + 2 * (queries),                                                   \
                       of_chunks,                                                                 \
                       of_chunks + (queries) * ((keys) / CHUNK)}

#define ATTENTION_GRAD_KERNELS(width, queries, keys)                                              \
  KERNEL(attention_grad_queries_##width)                                                          \
  (GLOBAL float *d_qkv, GLOBAL const float *d_out, GLOBAL const float *qkv,                       \
   GLOBAL const float *log_sum, GLOBAL float *row_state, GLOBAL const int *offsets,               \
   GLOBAL const int *examples, GLOBAL const u32 *step, GLOBAL const float *bias,                  \
   GLOBAL float *parts, attention_parameters p)                                                   \
  {                                                                                               \
    LOCAL float query[(queries) * ROW_STRIDE(width)];                                             \
    LOCAL float upstream[(queries) * ROW_STRIDE(width)];                                          \
    LOCAL float stream[STREAM_ELEMENTS(keys, width)];                                             \
    GRAD_TILE_MEMORY(queries, keys);                                                              \
    float sums[KEPT_ELEMENTS(queries, width)];                                                    \
    const tile_shape t = {width, queries, keys};                                                  \
    for (i64 job = GROUP_ID(0); job < attention_jobs(p, queries); job += GROUP_COUNT(0))          \
      attend_grad_queries(d_qkv, d_out, qkv, log_sum, row_state, offsets, examples, step, bias,   \
                          parts, p, t, job, query, upstream, stream, g, sums);                    \
  }                                                                                               \
  KERNEL(attention_grad_keys_##width)                                                             \
  (GLOBAL float *d_qkv, GLOBAL const float *d_out, GLOBAL const float *qkv,                       \
   GLOBAL const float *log_sum, GLOBAL const float *row_state, GLOBAL const int *offsets,         \
   GLOBAL const int *examples, GLOBAL const u32 *step, GLOBAL const float *bias,                  \
   attention_parameters p)                                                                        \
  {                                                                                               \
    LOCAL float key[(width) * ROW_STRIDE(keys)];                                                  \
    LOCAL float value[(width) * ROW_STRIDE(keys)];                                                \
    LOCAL float stream[(queries) * ROW_STRIDE(width)];                                            \
    GRAD_TILE_MEMORY(queries, keys);                                                              \
    float d_keys[KEPT_ELEMENTS(keys, width)], d_values[KEPT_ELEMENTS(keys, width)];               \
    const tile_shape t = {width, queries, keys};                                                  \
    for (i64 job = GROUP_ID(0); job < attention_jobs(p, keys); job += GROUP_COUNT(0))             \
      attend_grad_keys(d_qkv, d_out, qkv, log_sum, row_state, offsets, examples, step, bias, p, t,\
                       job, key, value, stream, g, d_keys, d_values);                             \
  }                                                                                               \
  KERNEL(attention_grad_bias_##width)                                                             \
  (GLOBAL float *d_bias, GLOBAL const float *parts, GLOBAL const int *offsets,                    \
   attention_parameters p)                                                                        \
  {                                                                                               \
    LOCAL float shared[GROUP_SIZE];                                                               \
    const tile_shape t = {width, queries, keys};                                                  \
    const i64 jobs = (i64)p.heads * (2 * p.radius + 1);                                           \
    for (i64 job = GROUP_ID(0); job < jobs; job += GROUP_COUNT(0))                                \
      add_parts(d_bias, parts, offsets, p, t, job, shared);                                       \
  }

#if GROUP_SIZE == 1
#define GRAD_TILES_32 64, 64
#define GRAD_TILES_64 64, 64
#define GRAD_TILES_128 64, 64
#elif defined(DIALECT_OPENCL) /* within 32 KiB of local memory */
#define GRAD_TILES_32 32, 32
#define GRAD_TILES_64 32, 16
#define GRAD_TILES_128 16, 16
#else /* within 48 KiB */
#define GRAD_TILES_32 64, 32
#define GRAD_TILES_64 32, 32
#define GRAD_TILES_128 32, 16
#endif

#if !defined(ATTENTION_WIDTH) || ATTENTION_WIDTH == 32
ATTENTION_EXPAND(ATTENTION_GRAD_KERNELS, 32, GRAD_TILES_32)
#endif
#if !defined(ATTENTION_WIDTH) || ATTENTION_WIDTH == 64
ATTENTION_EXPAND(ATTENTION_GRAD_KERNELS, 64, GRAD_TILES_64)
#endif
#if !defined(ATTENTION_WIDTH) || ATTENTION_WIDTH == 128
ATTENTION_EXPAND(ATTENTION_GRAD_KERNELS, 128, GRAD_TILES_128)
#endif
