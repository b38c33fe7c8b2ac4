/* Attention on tensor cores, in BF16 with sums in float32, over packed sequences: an online softmax
 * (Milakov and Gimelshein 2018) by tiles that never leave the multiprocessor (Dao 2023).
 *
 * A group is one head's 64 queries of one sequence, 16 to each of its 4 warps; keys come in tiles.
 *
 *           keys ->  tile 0   tile 1   ...       width   queries × keys   registers of a thread
 *   queries  warp 0 [ 16 × ]                        32        64 × 64     S 32, out 16, Q  8
 *            warp 1 [ 16 × ]                        64        64 × 64     S 32, out 32, Q 16
 *            warp 2 [ 16 × ]                        96        64 × 32     S 16, out 48, Q 24
 *            warp 3 [ 16 × ]                       128        64 × 32     S 16, out 64, Q 32
 *
 * A warp keeps its queries, its scores and its part of the output in registers: a score fragment,
 * rounded to BF16, is the left factor of P V as it stands, and a row's maximum is an exchange of
 * four lanes. Local memory holds two stages of a tile of keys and one of values: while one is
 * computed with, the next is on its way (cp.async). Queries pass through the second stage before
 * its first use.
 *
 * For L tokens in a sequence a head does 4 L² width operations in products, and some 8 L² others.
 * It reads Q once and K, V once for each 64 queries, from the second-level cache but for the first
 * time; it writes out once. Device memory sees 8 L width bytes and 4 L for log_sum.
 *
 * Rows past a sequence's end are zeros in local memory, so that their NaN reach nobody; keys there
 * get probability 0. Dropout's zeros are set in P, its factor 1 / (1 − p) comes with 1 / Σ. */

/* Keys of a tile, by width: two stages of keys and values must leave room for more groups. */
#define KEYS_OF(width) ((width) <= 64 ? 64 : 32)
#define TENSOR_QUERIES 64
#define MOST_KEYS 64
#define STAGE_BYTES(width) (2 * TILE_BYTES(KEYS_OF(width), width))

/* What a lane knows of its two rows, WARP_LANE / 4 and 8 below, of the warp's 16. */
typedef struct {
  float largest[2], total[2];
} running_rows;

/* The scores' scale in powers of two; with a bias they are brought to that scale one by one, and
 * the factor that is left to do is 1. */
FUNCTION float score_factor(const float *bias, float scale)
{
  return bias == 0 && scale > 0.0f ? scale * LOG2_E : 1.0f;
}

/* Brings scores to powers of two where score_factor left them as they are. Element (i, j) of the
 * warp's rows, `distance` keys from its query at (0, 0), has the bias of distance + j − i. */
FUNCTION void add_tensor_bias(float (*s)[4], const float *bias, float scale, int radius,
                              int distance, int columns)
{
  const int near = distance + (WARP_LANE & 3) * 2 - (WARP_LANE >> 2);
  UNROLL
  for (int n = 0; n < columns / 8; n++)
    UNROLL
    for (int e = 0; e < 4; e++) {
      const int d = near + 8 * n + (e & 1) - (e >> 1) * 8;
      const int place = d < -radius ? -radius : d > radius ? radius : d;
      const float added = bias != 0 ? bias[radius + place] : 0.0f;
      s[n][e] = MULTIPLY_ADD(s[n][e], scale * LOG2_E, added * LOG2_E);
    }
}

/* The four lanes that share a row. */
FUNCTION float row_largest(float x)
{
  float other = warp_xor_float(x, 1);
  x = other > x ? other : x;
  other = warp_xor_float(x, 2);
  return other > x ? other : x;
}

FUNCTION float row_sum(float x)
{
  x += warp_xor_float(x, 1);
  return x + warp_xor_float(x, 2);
}

/* Turns scores into exp(score − largest so far) and brings `out` and the totals to that scale. */
FUNCTION void advance_softmax(float (*s)[4], float (*out)[4], running_rows *rows, float factor,
                              int columns, int width)
{
  UNROLL
  for (int half = 0; half < 2; half++) {
    float largest = rows->largest[half];
    UNROLL
    for (int n = 0; n < columns / 8; n++)
      UNROLL
      for (int e = 2 * half; e < 2 * half + 2; e++)
        largest = s[n][e] > largest ? s[n][e] : largest;
    largest = row_largest(largest);
    /* a row of −∞ so far must not become NaN */
    const float shift = largest == NEGATIVE_INFINITY ? 0.0f : largest * factor;
    const float shrink = exp2_approx(MULTIPLY_ADD(rows->largest[half], factor, -shift));
    float total = rows->total[half] * shrink;
    UNROLL
    for (int n = 0; n < columns / 8; n++)
      UNROLL
      for (int e = 2 * half; e < 2 * half + 2; e++) {
        s[n][e] = exp2_approx(MULTIPLY_ADD(s[n][e], factor, -shift));
        total += s[n][e];
      }
    UNROLL
    for (int n = 0; n < width / 8; n++)
      UNROLL
      for (int e = 2 * half; e < 2 * half + 2; e++)
        out[n][e] *= shrink;
    rows->largest[half] = largest;
    rows->total[half] = total;
  }
}

/* Scores of keys past the sequence's end. */
FUNCTION void hide_columns(float (*s)[4], int there, int columns)
{
  UNROLL
  for (int n = 0; n < columns / 8; n++)
    UNROLL
    for (int e = 0; e < 4; e++)
      if (8 * n + (WARP_LANE & 3) * 2 + (e & 1) >= there)
        s[n][e] = NEGATIVE_INFINITY;
}

/* Bits of a warp's 16 rows and `columns` keys: a lane computes half a row, columns / 2 bits. */
FUNCTION u32 keep_half_row(mask_state mask, u32 example, i64 first, int columns)
{
  u32 bits = keep_16(mask, example, first);
  if (columns == 64)
    bits |= keep_16(mask, example, first + 16) << 16;
  return bits;
}

/* Whether element e of fragment n is kept; `kept` are the bits of the lane's two rows, by half. */
FUNCTION int is_kept(u32 (*kept)[2], int n, int e, int columns)
{
  const int half = 8 * n / (columns / 2), first = 8 * n % (columns / 2);
  return (int)(kept[e >> 1][half] >> (first + (WARP_LANE & 3) * 2 + (e & 1)) & 1u);
}

/* Gets the bits of the lane's rows from the lanes that computed them. */
FUNCTION void share_rows(u32 (*kept)[2], u32 bits)
{
  UNROLL
  for (int row = 0; row < 2; row++)
    UNROLL
    for (int half = 0; half < 2; half++)
      kept[row][half] = warp_from(bits, 2 * ((WARP_LANE >> 2) + 8 * row) + half);
}

/* The element of dropout's mask where half a row of the warp's 16 begins. */
FUNCTION i64 half_row_element(attention_part part, int row, int key, int columns)
{
  return ((i64)part.head * part.length + row + (WARP_LANE >> 1)) * part.length + key +
         (WARP_LANE & 1) * (columns / 2);
}

/* Scores of a tile of keys, the softmax's progress, and P without dropped elements as `left`. */
FUNCTION void attend_keys(u32 (*left)[4], float (*sums)[4], running_rows *rows, u32 (*query)[4],
                          const u16 *tile, attention_part part, attention_parameters p,
                          mask_state mask, const float *bias, float factor, int key, int keys,
                          int width)
{
  const int row = part.row + 16 * WARP_INDEX;
  float s[MOST_KEYS / 8][4];
  clear_fragments(s, keys / 8);
  multiply_by_rows(s, query, tile, keys, width);
  if (factor == 1.0f)
    add_tensor_bias(s, bias, p.scale, p.radius, key - row, keys);
  if (part.length - key < keys)
    hide_columns(s, part.length - key, keys);
  advance_softmax(s, sums, rows, factor, keys, width);
  if (p.drops) {
    u32 kept[2][2];
    share_rows(kept,
               keep_half_row(mask, part.example, half_row_element(part, row, key, keys), keys));
    UNROLL
    for (int n = 0; n < keys / 8; n++)
      UNROLL
      for (int e = 0; e < 4; e++)
        s[n][e] = is_kept(kept, n, e, keys) ? s[n][e] : 0.0f;
  }
  pack_fragments(left, s, keys);
}

/* log_sum, and the warp's rows of the output in a tile. */
FUNCTION void finish_rows(u16 *tile, float *log_sum, float (*sums)[4], running_rows rows,
                          attention_part part, attention_parameters p, float scale, float factor,
                          int width)
{
  const int row = 16 * WARP_INDEX;
  float inverse[2];
  UNROLL
  for (int half = 0; half < 2; half++) {
    const float total = row_sum(rows.total[half]);
    const int r = row + (WARP_LANE >> 2) + 8 * half;
    inverse[half] = scale / total;
    if (log_sum != 0 && (WARP_LANE & 3) == 0 && r < part.rows)
      log_sum[p.log_sum + part.head * p.log_sum_stride + part.first + part.row + r] =
          MULTIPLY_ADD(rows.largest[half] * factor, LN_2, MATH(log)(total));
  }
  put_fragments(tile + row * TILE_PITCH(width), TILE_PITCH(width), sums, width / 8, inverse[0],
                inverse[1]);
}

FUNCTION void attend_tensor(u16 *out, const u16 *qkv, float *log_sum, const int *offsets,
                            const int *examples, const u32 *step, const float *bias,
                            attention_parameters p, u8 *memory, int width)
{
  const int keys = KEYS_OF(width), hidden = p.heads * p.depth;
  const tensor_job job = this_job(offsets, examples, p, TENSOR_QUERIES);
  const attention_part part = job.part;
  const int column = part.head * p.depth;
  clear_rest(out + p.out + column, p.out_stride, offsets, p, job);
  if (part.rows <= 0)
    return;
  const row_layout in = {p.qkv_stride, p.depth, p.wide}, to = {p.out_stride, p.depth, p.wide};
  const u16 *q = qkv + p.qkv + part.first * p.qkv_stride + column, *k = q + hidden;
  u16 *here = (u16 *)memory, *next = (u16 *)(memory + STAGE_BYTES(width));
  tile_load(next, q + part.row * p.qkv_stride, in, part.rows, TENSOR_QUERIES, width);
  tile_load(here, k, in, part.length, keys, width);
  copy_commit();
  tile_load(here + TILE_ELEMENTS(keys, width), k + hidden, in, part.length, keys, width);
  copy_commit();
  COPY_WAIT(1);
  BARRIER();
  const int row = 16 * WARP_INDEX, works = row < part.rows;
  u32 query[TILE_MOST_A][4];
  if (works)
    left_fragments(query, next, row, width);
  BARRIER();
  const mask_state mask = attention_mask(step, p);
  bias = head_bias(bias, p, part.head);
  const float factor = score_factor(bias, p.scale);
  running_rows rows = {{NEGATIVE_INFINITY, NEGATIVE_INFINITY}, {0.0f, 0.0f}};
  float sums[TILE_MOST_D][4];
  clear_fragments(sums, width / 8);
  for (int key = 0; key < part.length; key += keys) {
    const int rest = part.length - key - keys;
    if (rest > 0) {
      const u16 *x = k + (key + keys) * p.qkv_stride;
      tile_load(next, x, in, rest, keys, width);
      tile_load(next + TILE_ELEMENTS(keys, width), x + hidden, in, rest, keys, width);
    }
    copy_commit();
    u32 left[MOST_KEYS / 16][4];
    if (works)
      attend_keys(left, sums, &rows, query, here, part, p, mask, bias, factor, key, keys, width);
    if (key == 0) { /* the first values */
      COPY_WAIT(1);
      BARRIER();
    }
    if (works)
      multiply_by_columns(sums, left, here + TILE_ELEMENTS(keys, width), keys, 0, width, width);
    COPY_WAIT(0);
    BARRIER();
    u16 *const other = here;
    here = next;
    next = other;
  }
  if (works)
    finish_rows(here, log_sum, sums, rows, part, p, mask.scale, factor, width);
  BARRIER();
  tile_store(out + p.out + (part.first + part.row) * p.out_stride + column, to, here, part.rows,
             TENSOR_QUERIES, width);
}

#define ATTENTION_BF16(width, resident)                                                \
  WARP_KERNEL(attention_bf16_##width, resident)                                        \
  (u16 * out, const u16 *qkv, float *log_sum, const int *offsets, const int *examples, \
   const u32 *step, const float *bias, attention_parameters p)                         \
  {                                                                                    \
    WARP_MEMORY(memory, 2 * STAGE_BYTES(width));                                       \
    attend_tensor(out, qkv, log_sum, offsets, examples, step, bias, p, memory, width); \
  }

ATTENTION_BF16(32, 4)
ATTENTION_BF16(64, 3)
ATTENTION_BF16(96, 3)
ATTENTION_BF16(128, 2)
