/* Attention within packed sequences, without a matrix of scores in memory: tiles of query rows meet
 * tiles of keys in local memory, with an online softmax (Milakov and Gimelshein 2018; Rabe and
 * Staats 2021; Dao et al. 2022).
 *
 * A tile of rows of one head is [rows, width]; width is the head size, rounded up to the next
 * supported size. Products of tiles are cut into small rectangles; a work-item computes one at a
 * time. If a group is one work-item, a rectangle's columns are contiguous and are vectorized;
 * otherwise they are spread over the lanes. */

#if GROUP_SIZE == 1
#define SCORE_COLUMNS 16 /* of a rectangle of scores */
#define SUM_COLUMNS 16   /* of a rectangle of [rows, width] */
#define COPY_COLUMNS 16  /* that a work-item copies at once */
#define CHUNK 64         /* scores of a row that a work-item handles at once */
#define PADDING 0        /* added to rows in local memory, against bank conflicts */
#define RECTANGLE_COLUMN(lane, lanes, count, j) ((lane) * (count) + (j))
#else
#define SCORE_COLUMNS 2
#define SUM_COLUMNS 4
#define COPY_COLUMNS 1
#define CHUNK 8
#define PADDING 1
#define RECTANGLE_COLUMN(lane, lanes, count, j) ((lane) + (j) * (lanes))
#endif
#define RECTANGLE_ROWS 4
/* Size of the rectangles that a work-item keeps. There are many if it is the whole group. */
#if GROUP_SIZE == 1
#define UNROLL_KEPT
#else
#define UNROLL_KEPT UNROLL
#endif

/* Constants of a kernel, once it is inlined. */
typedef struct {
  int width, queries, keys;
} tile_shape;

#define ROW_STRIDE(width) ((width) + PADDING)
#define RECTANGLES(rows, columns, rectangle_columns) \
  ((rows) / RECTANGLE_ROWS * ((columns) / (rectangle_columns)))
/* The number of rectangles of [rows, width] that one work-item keeps, and of their elements. */
#define KEPT(rows, width) ((RECTANGLES(rows, width, SUM_COLUMNS) + GROUP_SIZE - 1) / GROUP_SIZE)
#define KEPT_ELEMENTS(rows, width) (KEPT(rows, width) * RECTANGLE_ROWS * SUM_COLUMNS)

/* A tile of keys or values, transposed or not. */
#define STREAM_ELEMENTS(keys, width) ((keys) * (width) + ((keys) + (width)) * PADDING)

/* A group's job: rows [row, row + rows) of one head of one sequence. */
typedef struct {
  i64 first; /* the sequence's first token */
  int length, head, row, rows;
  u32 example;
} attention_part;

FUNCTION int least(int a, int b)
{
  return a < b ? a : b;
}

/* Tiles of the longest possible sequence. */
FUNCTION i64 attention_tiles(attention_parameters p, int tile_rows)
{
  return p.longest > 0 ? (p.longest + tile_rows - 1) / tile_rows : 1;
}

FUNCTION i64 attention_jobs(attention_parameters p, int tile_rows)
{
  return attention_tiles(p, tile_rows) * p.heads * (p.sequences + 1);
}

/* The sequence after the last one is the rows that belong to no sequence; `rows` is 0 there. */
FUNCTION attention_part attention_find(GLOBAL const int *offsets, GLOBAL const int *examples,
                                       attention_parameters p, int tile_rows, i64 job)
{
  const i64 tiles = attention_tiles(p, tile_rows);
  const i64 pair = quotient(job, tiles), sequence = quotient(pair, p.heads);
  attention_part part;
  part.head = (int)(pair - sequence * p.heads);
  part.row = (int)(job - pair * tiles) * tile_rows;
  part.first = offsets[p.offsets + sequence];
  part.length = 0;
  part.example = 0;
  if (sequence < p.sequences) {
    part.length = (int)(offsets[p.offsets + sequence + 1] - part.first);
    if (p.drops)
      part.example = (u32)examples[p.examples + sequence];
  }
  const int rest = part.length - part.row;
  part.rows = rest < 0 ? 0 : least(rest, tile_rows);
  return part;
}

/* Writes zeros to the head's columns of rows past the last offset, for those whose turn it is. */
FUNCTION void attention_clear(GLOBAL float *out, i64 column, i64 stride, GLOBAL const int *offsets,
                              attention_parameters p, int tile_rows, i64 job)
{
  const i64 tiles = attention_tiles(p, tile_rows);
  const i64 pair = quotient(job, tiles);
  if (pair < (i64)p.sequences * p.heads)
    return;
  const i64 first = offsets[p.offsets + p.sequences] + job - pair * tiles;
  for (i64 row = first; row < p.tokens; row += tiles)
    for (int j = ITEM_ID; j < p.depth; j += GROUP_SIZE)
      out[column + row * stride + j] = 0.0f;
}

/* ---- Tiles ---- */

/* Loads `rows` rows of `depth` as [tile_rows, width], padded with zeros. Element (i, j) is at
 * i·row_step + j·column_step. */
FUNCTION void load_tile(LOCAL_POINTER float *tile, int row_step, int column_step,
                        GLOBAL const float *x, i64 stride, int rows, int tile_rows, int depth,
                        int width)
{
  const int chunks = width / COPY_COLUMNS;
  for (int e = ITEM_ID; e < tile_rows * chunks; e += GROUP_SIZE) {
    const int i = e / chunks, j = e % chunks * COPY_COLUMNS;
    GLOBAL const float *from = x + i * stride + j;
    LOCAL_POINTER float *to = tile + i * row_step + j * column_step;
    if (i < rows && j + COPY_COLUMNS <= depth) {
      for (int c = 0; c < COPY_COLUMNS; c++)
        to[c * column_step] = from[c];
    } else {
      for (int c = 0; c < COPY_COLUMNS; c++)
        to[c * column_step] = i < rows && j + c < depth ? from[c] : 0.0f;
    }
  }
}

/* scores[i][j] = scale Σ_k x[i][k] y[k][j] for i < rows, j < columns (and some more). */
FUNCTION void multiply_tiles(LOCAL_POINTER float *scores, LOCAL_POINTER const float *x,
                             LOCAL_POINTER const float *y, float scale, tile_shape t, int rows,
                             int columns, int depth)
{
  const int lanes = t.keys / SCORE_COLUMNS, count = RECTANGLES(t.queries, t.keys, SCORE_COLUMNS);
  for (int e = ITEM_ID; e < count; e += GROUP_SIZE) {
    const int row = e / lanes * RECTANGLE_ROWS, lane = e % lanes;
    if (row >= rows || RECTANGLE_COLUMN(lane, lanes, SCORE_COLUMNS, 0) >= columns)
      continue;
    float sum[RECTANGLE_ROWS][SCORE_COLUMNS];
    UNROLL
    for (int i = 0; i < RECTANGLE_ROWS; i++)
      UNROLL
      for (int j = 0; j < SCORE_COLUMNS; j++)
        sum[i][j] = 0.0f;
    for (int k = 0; k < depth; k++) {
      LOCAL_POINTER const float *line = y + k * ROW_STRIDE(t.keys);
      UNROLL
      for (int i = 0; i < RECTANGLE_ROWS; i++) {
        const float factor = x[(row + i) * ROW_STRIDE(t.width) + k];
        UNROLL
        for (int j = 0; j < SCORE_COLUMNS; j++)
          sum[i][j] = MULTIPLY_ADD(factor, line[RECTANGLE_COLUMN(lane, lanes, SCORE_COLUMNS, j)],
                                   sum[i][j]);
      }
    }
    UNROLL
    for (int i = 0; i < RECTANGLE_ROWS; i++)
      UNROLL
      for (int j = 0; j < SCORE_COLUMNS; j++)
        scores[(row + i) * ROW_STRIDE(t.keys) +
               RECTANGLE_COLUMN(lane, lanes, SCORE_COLUMNS, j)] = scale * sum[i][j];
  }
}

/* A left factor; element (i, k) is at i·row_step + k·step. */
typedef struct {
  LOCAL_POINTER const float *x;
  int row_step, step;
} left_factor;

/* sums[i][j] = factor[i] · sums[i][j] + Σ_{k < length} x(i, k) y[k][j], for the rectangles of
 * [tile_rows, width] that the work-item keeps. Without `factor` it is 1. */
FUNCTION void accumulate_tiles(float *sums, LOCAL_POINTER const float *factor, left_factor left,
                               LOCAL_POINTER const float *y, int length, int rows, int tile_rows,
                               int depth, int width)
{
  const int lanes = width / SUM_COLUMNS, count = RECTANGLES(tile_rows, width, SUM_COLUMNS);
  UNROLL_KEPT
  for (int slot = 0; slot < KEPT(tile_rows, width); slot++) {
    const int e = slot * GROUP_SIZE + ITEM_ID;
    const int row = e / lanes * RECTANGLE_ROWS, lane = e % lanes;
    if (e >= count || row >= rows || RECTANGLE_COLUMN(lane, lanes, SUM_COLUMNS, 0) >= depth)
      continue;
    float *kept = sums + slot * RECTANGLE_ROWS * SUM_COLUMNS;
    float sum[RECTANGLE_ROWS][SUM_COLUMNS];
    UNROLL
    for (int i = 0; i < RECTANGLE_ROWS; i++)
      UNROLL
      for (int j = 0; j < SUM_COLUMNS; j++)
        sum[i][j] = kept[i * SUM_COLUMNS + j] * (factor != 0 ? factor[row + i] : 1.0f);
    for (int k = 0; k < length; k++) {
      LOCAL_POINTER const float *line = y + k * ROW_STRIDE(width);
      UNROLL
      for (int i = 0; i < RECTANGLE_ROWS; i++) {
        const float value = left.x[(row + i) * left.row_step + k * left.step];
        UNROLL
        for (int j = 0; j < SUM_COLUMNS; j++)
          sum[i][j] =
              MULTIPLY_ADD(value, line[RECTANGLE_COLUMN(lane, lanes, SUM_COLUMNS, j)], sum[i][j]);
      }
    }
    UNROLL
    for (int i = 0; i < RECTANGLE_ROWS; i++)
      UNROLL
      for (int j = 0; j < SUM_COLUMNS; j++)
        kept[i * SUM_COLUMNS + j] = sum[i][j];
  }
}

/* out[i][j] = factor[i] · sums[i][j] for i < rows, j < depth. Without `factor` it is 1. */
FUNCTION void store_sums(GLOBAL float *out, i64 stride, const float *sums,
                         LOCAL_POINTER const float *factor, int rows, int tile_rows, int depth,
                         int width)
{
  const int lanes = width / SUM_COLUMNS, count = RECTANGLES(tile_rows, width, SUM_COLUMNS);
  UNROLL_KEPT
  for (int slot = 0; slot < KEPT(tile_rows, width); slot++) {
    const int e = slot * GROUP_SIZE + ITEM_ID;
    const int row = e / lanes * RECTANGLE_ROWS, lane = e % lanes;
    if (e >= count)
      continue;
    UNROLL
    for (int i = 0; i < RECTANGLE_ROWS; i++)
      UNROLL
      for (int j = 0; j < SUM_COLUMNS; j++) {
        const int column = RECTANGLE_COLUMN(lane, lanes, SUM_COLUMNS, j);
        if (row + i < rows && column < depth)
          out[(row + i) * stride + column] =
              sums[(slot * RECTANGLE_ROWS + i) * SUM_COLUMNS + j] *
              (factor != 0 ? factor[row + i] : 1.0f);
      }
  }
}

/* ---- Rows of scores ---- */

/* Returns the key of the largest of the first `count`. */
FUNCTION int chunk_largest(LOCAL_POINTER const float *x, int count)
{
  int largest = float_key(NEGATIVE_INFINITY);
  VECTOR_LOOP
  for (int j = 0; j < CHUNK; j++) {
    const int key = j < count ? float_key(x[j]) : float_key(NEGATIVE_INFINITY);
    largest = key > largest ? key : largest;
  }
  return largest;
}

/* A head's bias; 0 without one. */
FUNCTION GLOBAL const float *head_bias(GLOBAL const float *bias, attention_parameters p, int head)
{
  return bias != 0 ? bias + p.bias + head * p.bias_stride : 0;
}

/* Adds the bias to CHUNK scores of a row, the first of them `distance` keys behind its query. */
FUNCTION void add_bias(LOCAL_POINTER float *x, GLOBAL const float *bias, int radius, int distance)
{
  if (bias == 0)
    return;
  VECTOR_LOOP
  for (int j = 0; j < CHUNK; j++) {
    const int near = distance + j < radius ? distance + j : radius;
    x[j] += bias[radius + (near > -radius ? near : -radius)];
  }
}

/* Replaces scores by exp(score − shift), with 0 from `count` on, and returns their sum. */
FUNCTION float chunk_exp(LOCAL_POINTER float *x, float shift, int count)
{
  float sum = 0.0f;
  VECTOR_LOOP
  for (int j = 0; j < CHUNK; j++) {
    const float y = exp_nonpositive(x[j] - shift);
    x[j] = j < count ? y : 0.0f;
    sum += j < count ? y : 0.0f;
  }
  return sum;
}

/* Without dropout the mask keeps everything. */
FUNCTION mask_state attention_mask(GLOBAL const u32 *step, attention_parameters p)
{
  if (p.drops)
    return mask_read(step, p.mask);
  mask_state none = {0, 0, 0, 0, 0, 1.0f};
  return none;
}

/* Zero if dropped, whatever x is. */
FUNCTION float drop(float x, float factor)
{
  return factor == 0.0f ? 0.0f : factor * x;
}

/* Gives the mask's factors of CHUNK elements of an example; `first` is factors[first mod 4]. */
FUNCTION void mask_chunk(mask_state mask, u32 example, i64 first, float *factors)
{
  if (mask.threshold == 0) { /* drops nothing */
    for (int j = 0; j < CHUNK + 4; j++)
      factors[j] = mask.scale;
    return;
  }
  const u32 block = (u32)(first >> 2);
  VECTOR_LOOP
  for (int b = 0; b <= CHUNK / 4; b++) {
    const mask_factors four = mask_block(mask, example, block + (u32)b);
    UNROLL
    for (int k = 0; k < 4; k++)
      factors[4 * b + k] = four.factor[k];
  }
}

/* ---- attention ---- */

/* The state of each row of a tile, and of each chunk of a row. */
typedef struct {
  LOCAL_POINTER float *largest, *total, *factor, *chunk_largest, *chunk_sum;
} softmax_state;

/* Replaces the scores by exp(score − largest so far), dropped by the mask. */
FUNCTION void softmax_rows(LOCAL_POINTER float *scores, softmax_state s, mask_state mask,
                           attention_parameters p, tile_shape t, attention_part part, int first_key,
                           int columns)
{
  const int chunks = t.keys / CHUNK;
  for (int e = ITEM_ID; e < t.queries * chunks; e += GROUP_SIZE) {
    const int row = e / chunks, chunk = e % chunks;
    if (row >= part.rows)
      continue;
    float largest = s.largest[row];
    for (int c = 0; c < chunks; c++) {
      const float other = s.chunk_largest[row * chunks + c];
      largest = other > largest ? other : largest;
    }
    if (chunk == 0)
      s.factor[row] = exp_nonpositive(s.largest[row] - largest);
    LOCAL_POINTER float *x = scores + row * ROW_STRIDE(t.keys) + chunk * CHUNK;
    s.chunk_sum[e] = chunk_exp(x, largest, columns - chunk * CHUNK);
    if (p.drops) {
      const i64 element =
          ((i64)part.head * part.length + part.row + row) * part.length + first_key + chunk * CHUNK;
      float factors[CHUNK + 4];
      const int shift = (int)(element & 3);
      mask_chunk(mask, part.example, element, factors);
      VECTOR_LOOP
      for (int j = 0; j < CHUNK; j++)
        x[j] = drop(x[j], factors[shift + j]);
    }
  }
}

/* Adds the tile's part to the rows' state. */
FUNCTION void softmax_advance(softmax_state s, tile_shape t, int rows)
{
  const int chunks = t.keys / CHUNK;
  for (int row = ITEM_ID; row < rows; row += GROUP_SIZE) {
    float largest = s.largest[row], total = s.total[row] * s.factor[row];
    for (int c = 0; c < chunks; c++) {
      const float other = s.chunk_largest[row * chunks + c];
      largest = other > largest ? other : largest;
      total += s.chunk_sum[row * chunks + c];
    }
    s.largest[row] = largest;
    s.total[row] = total;
  }
}

/* Adds the bias, and finds the largest score of each chunk. `distance` is that of the tile's first
 * key from its first query. */
FUNCTION void largest_rows(LOCAL_POINTER float *scores, GLOBAL const float *bias, int radius,
                           int distance, softmax_state s, tile_shape t, int rows, int columns)
{
  const int chunks = t.keys / CHUNK;
  for (int e = ITEM_ID; e < t.queries * chunks; e += GROUP_SIZE) {
    const int row = e / chunks, chunk = e % chunks;
    if (row >= rows)
      continue;
    LOCAL_POINTER float *x = scores + row * ROW_STRIDE(t.keys) + chunk * CHUNK;
    add_bias(x, bias, radius, distance + chunk * CHUNK - row);
    s.chunk_largest[e] = float_of_key(chunk_largest(x, columns - chunk * CHUNK));
  }
}

FUNCTION void attend(GLOBAL float *out, GLOBAL const float *qkv, GLOBAL float *log_sum,
                     GLOBAL const int *offsets, GLOBAL const int *examples, GLOBAL const u32 *step,
                     GLOBAL const float *bias, attention_parameters p, tile_shape t, i64 job, LOCAL_POINTER float *query,
                     LOCAL_POINTER float *stream, LOCAL_POINTER float *scores, softmax_state s,
                     float *sums)
{
  const attention_part part = attention_find(offsets, examples, p, t.queries, job);
  const int hidden = p.heads * p.depth, column = part.head * p.depth;
  const mask_state mask = attention_mask(step, p);
  attention_clear(out, p.out + column, p.out_stride, offsets, p, t.queries, job);
  GLOBAL const float *q = qkv + p.qkv + part.first * p.qkv_stride + column;
  for (int row = ITEM_ID; row < t.queries; row += GROUP_SIZE) {
    s.largest[row] = NEGATIVE_INFINITY;
    s.total[row] = 0.0f;
  }
  for (int i = 0; i < KEPT_ELEMENTS(t.queries, t.width); i++)
    sums[i] = 0.0f;
  if (part.rows > 0)
    load_tile(query, ROW_STRIDE(t.width), 1, q + part.row * p.qkv_stride, p.qkv_stride, part.rows,
              t.queries, p.depth, t.width);
  const int length = part.rows > 0 ? part.length : 0;
  for (int key = 0; key < length; key += t.keys) {
    const int columns = least(t.keys, length - key);
    GLOBAL const float *k = q + key * p.qkv_stride + hidden;
    load_tile(stream, 1, ROW_STRIDE(t.keys), k, p.qkv_stride, columns, t.keys, p.depth, t.width);
    BARRIER();
    multiply_tiles(scores, query, stream, p.scale, t, part.rows, columns, p.depth);
    BARRIER();
    load_tile(stream, ROW_STRIDE(t.width), 1, k + hidden, p.qkv_stride, columns, t.keys, p.depth,
              t.width);
    largest_rows(scores, head_bias(bias, p, part.head), p.radius, key - part.row, s, t, part.rows,
                 columns);
    BARRIER();
    softmax_rows(scores, s, mask, p, t, part, key, columns);
    BARRIER();
    const left_factor left = {scores, ROW_STRIDE(t.keys), 1};
    accumulate_tiles(sums, s.factor, left, stream, columns, part.rows, t.queries, p.depth, t.width);
    softmax_advance(s, t, part.rows);
    BARRIER();
  }
  for (int row = ITEM_ID; row < part.rows; row += GROUP_SIZE) {
    s.factor[row] = 1.0f / s.total[row];
    if (log_sum != 0)
      log_sum[p.log_sum + part.head * p.log_sum_stride + part.first + part.row + row] =
          s.largest[row] + MATH(log)(s.total[row]);
  }
  BARRIER();
  store_sums(out + p.out + (part.first + part.row) * p.out_stride + column, p.out_stride, sums,
             s.factor, part.rows, t.queries, p.depth, t.width);
  BARRIER();
}

/* A program for a single head width defines ATTENTION_WIDTH. */
#define ATTENTION_EXPAND(kernels, width, tiles) ATTENTION_APPLY(kernels, (width, tiles))
#define ATTENTION_APPLY(kernels, arguments) kernels arguments

#define ATTENTION_KERNEL(width, queries, keys)                                                    \
  KERNEL(attention_##width)                                                                       \
  (GLOBAL float *out, GLOBAL const float *qkv, GLOBAL float *log_sum, GLOBAL const int *offsets,  \
   GLOBAL const int *examples, GLOBAL const u32 *step, GLOBAL const float *bias,                  \
   attention_parameters p)                                                                        \
  {                                                                                               \
    LOCAL float query[(queries) * ROW_STRIDE(width)];                                             \
    LOCAL float stream[STREAM_ELEMENTS(keys, width)];                                             \
    LOCAL float scores[(queries) * ROW_STRIDE(keys)];                                             \
    LOCAL float rows[3 * (queries)];                                                              \
    LOCAL float chunks[2 * (queries) * ((keys) / CHUNK)];                                         \
    float sums[KEPT_ELEMENTS(queries, width)];                                                    \
    const tile_shape t = {width, queries, keys};                                                  \
    const softmax_state s = {rows, rows + (queries), rows + 2 * (queries), chunks,                \
                             chunks + (queries) * ((keys) / CHUNK)};                              \
    for (i64 job = GROUP_ID(0); job < attention_jobs(p, queries); job += GROUP_COUNT(0))          \
      attend(out, qkv, log_sum, offsets, examples, step, bias, p, t, job, query, stream, scores,  \
             s, sums);                                                                            \
  }

#if GROUP_SIZE == 1
#define TILES_32 64, 64
#define TILES_64 64, 64
#define TILES_128 64, 64
#elif defined(DIALECT_OPENCL) /* within 32 KiB of local memory */
#define TILES_32 64, 32
#define TILES_64 32, 32
#define TILES_128 32, 16
#else /* within 48 KiB */
#define TILES_32 64, 32
#define TILES_64 64, 32
#define TILES_128 32, 32
#endif

#if !defined(ATTENTION_WIDTH) || ATTENTION_WIDTH == 32
ATTENTION_EXPAND(ATTENTION_KERNEL, 32, TILES_32)
#endif
#if !defined(ATTENTION_WIDTH) || ATTENTION_WIDTH == 64
ATTENTION_EXPAND(ATTENTION_KERNEL, 64, TILES_64)
#endif
#if !defined(ATTENTION_WIDTH) || ATTENTION_WIDTH == 128
ATTENTION_EXPAND(ATTENTION_KERNEL, 128, TILES_128)
#endif
