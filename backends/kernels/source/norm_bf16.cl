/* layer_norm, add_layer_norm and their gradient on BF16. A work-item keeps its part of the row in
 * registers, as it was read, up to ROW_EIGHTS times eight columns:
 *
 *   lanes of a row         8    16    32    64    128    256
 *   columns in registers   256  512   1,024 2,048 4,096  8,192
 *
 * so that every element is read once. Columns beyond are read again in each pass. Bytes of a row of
 * c columns: layer_norm 4 c, add_layer_norm 8 c, the gradient 6 c; gain and bias stay in caches. */

#define EACH_ROW_EIGHT UNROLL for (int i = 0; i < ROW_EIGHTS; i++)
#define EACH_EIGHT_BEYOND(s, w) \
  for (i64 j = FIRST_EIGHT(s) + ROW_EIGHTS * EIGHTS_STEP(w); j < (s).end; j += EIGHTS_STEP(w))

FUNCTION float total_of(quad q)
{
  const eight e = eight_of_quad(q);
  float total = 0.0f;
  EACH_OF_EIGHT total += e.v[k];
  return total;
}

FUNCTION float squares_of(quad q, float mean, int count)
{
  const eight e = eight_of_quad(q);
  float squares = 0.0f;
  EACH_OF_EIGHT
  {
    const float d = k < count ? e.v[k] - mean : 0.0f;
    squares += d * d;
  }
  return squares;
}

/* Where the mask of a row's elements begins; `drops` is false without a mask. */
typedef struct {
  mask_state mask;
  i64 element;
  u32 example;
  int drops;
} norm_mask;

FUNCTION norm_mask norm_mask_of(GLOBAL const u32 *step, GLOBAL const int *offsets,
                                GLOBAL const int *examples, row_mask p, i64 row, i64 columns)
{
  norm_mask m;
  m.drops = p.drops;
  m.element = 0;
  if (p.drops) {
    i64 sequence = row;
    m.mask = mask_read(step, p.mask);
    if (!p.per_sequence) {
      sequence = sequence_of(offsets + p.offsets, p.sequences, row);
      m.element = (row - offsets[p.offsets + sequence]) * columns;
    }
    m.example = (u32)examples[p.examples + sequence];
  }
  return m;
}

/* Of eight columns from j on. */
FUNCTION quad sum_of(quad x, quad y, norm_mask m, i64 j)
{
  eight e = eight_of_quad(x);
  const eight other = eight_of_quad(y);
  if (m.drops)
    e = dropped_eight(e, m.mask, m.example, m.element + j);
  EACH_OF_EIGHT e.v[k] += other.v[k];
  return quad_of_eight(e);
}

/* The statistics of a row, and what its elements are scaled by. */
typedef struct {
  GLOBAL const float *gain, *bias;
  float mean, rstd;
} norm_row;

FUNCTION void norm_store(GLOBAL u16 *to, quad q, norm_row n, i64 j, int count)
{
  eight e = eight_of_quad(q);
  const eight a = load_float(n.gain + j, count), b = load_float(n.bias + j, count);
  EACH_OF_EIGHT e.v[k] = (e.v[k] - n.mean) * n.rstd * a.v[k] + b.v[k];
  store_u16(to + j, e, count);
}

/* With a residual, `sum` keeps dropout(x) + residual in BF16, and that is normalized. `out` and
 * `sum` may be the same: in every pass each work-item reads the columns that it wrote itself. */
KERNEL(layer_norm_bf16)
(GLOBAL u16 *out, GLOBAL u16 *sum, GLOBAL const u16 *x, GLOBAL const u16 *residual,
 GLOBAL const float *gain, GLOBAL const float *bias, GLOBAL float *mean_out, GLOBAL float *rstd_out,
 GLOBAL const u32 *record, GLOBAL const int *offsets, GLOBAL const int *examples,
 layer_norm_parameters p)
{
  LOCAL float sums[GROUP_SIZE];
  const float columns = (float)p.tiling.size[3];
  const i64 step = EIGHTS_STEP(p.tiling);
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    const i64 first = FIRST_EIGHT(s);
    GLOBAL u16 *to = out + p.out + s.row * p.out_stride;
    GLOBAL const u16 *from = x + p.x + s.row * p.x_stride;
    quad row[ROW_EIGHTS];
    float total = 0.0f;
    EACH_ROW_EIGHT row[i] =
        load_quad(from + first + i * step, eight_count(first + i * step, s.end));
    if (residual != 0) {
      GLOBAL const u16 *second = residual + p.residual + s.row * p.residual_stride;
      GLOBAL u16 *kept = sum + p.sum + s.row * p.sum_stride;
      const norm_mask m = norm_mask_of(record, offsets, examples, p.mask, s.row, p.tiling.size[3]);
      quad more[ROW_EIGHTS];
      EACH_ROW_EIGHT more[i] =
          load_quad(second + first + i * step, eight_count(first + i * step, s.end));
      EACH_ROW_EIGHT
      {
        row[i] = sum_of(row[i], more[i], m, first + i * step);
        store_quad(kept + first + i * step, row[i], eight_count(first + i * step, s.end));
      }
      EACH_EIGHT_BEYOND(s, p.tiling)
      {
        const int count = eight_count(j, s.end);
        store_quad(kept + j,
                   sum_of(load_quad(from + j, count), load_quad(second + j, count), m, j), count);
      }
      from = kept;
    }
    EACH_ROW_EIGHT total += total_of(row[i]);
    EACH_EIGHT_BEYOND(s, p.tiling) total += total_of(load_quad(from + j, eight_count(j, s.end)));
    norm_row n;
    n.gain = gain + p.gain;
    n.bias = bias + p.bias;
    n.mean = lanes_sum(total, p.tiling.lanes_log2, sums) / columns;
    float squares = 0.0f;
    EACH_ROW_EIGHT squares += squares_of(row[i], n.mean, eight_count(first + i * step, s.end));
    EACH_EIGHT_BEYOND(s, p.tiling)
    {
      const int count = eight_count(j, s.end);
      squares += squares_of(load_quad(from + j, count), n.mean, count);
    }
    const float variance = lanes_sum(squares, p.tiling.lanes_log2, sums) / columns;
    n.rstd = reciprocal_root(variance + p.epsilon);
    EACH_ROW_EIGHT norm_store(to, row[i], n, first + i * step,
                              eight_count(first + i * step, s.end));
    EACH_EIGHT_BEYOND(s, p.tiling)
    {
      const int count = eight_count(j, s.end);
      norm_store(to, load_quad(from + j, count), n, j, count);
    }
    if (s.lane == 0 && !s.beyond) {
      if (mean_out != 0)
        mean_out[p.mean + s.row] = n.mean;
      if (rstd_out != 0)
        rstd_out[p.rstd + s.row] = n.rstd;
    }
  }
}

/* ---- Gradient: see norm.cl ---- */

/* Σ g and Σ g ∘ x̂, then their means. */
typedef struct {
  float g, inner;
} norm_sums;

FUNCTION norm_sums norm_sums_add(norm_sums sums, quad d, quad x, norm_row n, i64 j, int count)
{
  const eight d_out = eight_of_quad(d), e = eight_of_quad(x), a = load_float(n.gain + j, count);
  EACH_OF_EIGHT
  {
    const float g = d_out.v[k] * a.v[k];
    sums.g += g;
    sums.inner += g * ((e.v[k] - n.mean) * n.rstd);
  }
  return sums;
}

/* `dropped` has the gradient after the mask, if there is one. */
FUNCTION void norm_grad_store(GLOBAL u16 *to, GLOBAL u16 *dropped, quad d, quad x, norm_row n,
                              norm_sums means, norm_mask m, i64 j, int count)
{
  const eight d_out = eight_of_quad(d), a = load_float(n.gain + j, count);
  eight e = eight_of_quad(x);
  EACH_OF_EIGHT e.v[k] =
      n.rstd * (d_out.v[k] * a.v[k] - means.g - (e.v[k] - n.mean) * n.rstd * means.inner);
  store_u16(to + j, e, count);
  if (m.drops)
    store_u16(dropped + j, dropped_eight(e, m.mask, m.example, m.element + j), count);
}

KERNEL(layer_norm_grad_bf16)
(GLOBAL u16 *d_x, GLOBAL const u16 *d_out, GLOBAL const u16 *x, GLOBAL const float *gain,
 GLOBAL const float *means, GLOBAL const float *rstds, GLOBAL u16 *dropped,
 GLOBAL const u32 *record, GLOBAL const int *offsets, GLOBAL const int *examples,
 layer_norm_grad_parameters p)
{
  LOCAL float shared[GROUP_SIZE];
  const float columns = (float)p.tiling.size[3];
  const i64 step = EIGHTS_STEP(p.tiling);
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    const i64 first = FIRST_EIGHT(s);
    GLOBAL u16 *to = d_x + p.d_x + s.row * p.d_x_stride;
    GLOBAL const u16 *d = d_out + p.d_out + s.row * p.d_out_stride;
    GLOBAL const u16 *from = x + p.x + s.row * p.x_stride;
    norm_row n;
    n.gain = gain + p.gain;
    n.bias = 0;
    n.mean = means[p.mean + s.row];
    n.rstd = rstds[p.rstd + s.row];
    quad row[ROW_EIGHTS], d_row[ROW_EIGHTS];
    EACH_ROW_EIGHT
    {
      const int count = eight_count(first + i * step, s.end);
      row[i] = load_quad(from + first + i * step, count);
      d_row[i] = load_quad(d + first + i * step, count);
    }
    norm_sums sums;
    sums.g = sums.inner = 0.0f;
    EACH_ROW_EIGHT sums = norm_sums_add(sums, d_row[i], row[i], n, first + i * step,
                                        eight_count(first + i * step, s.end));
    EACH_EIGHT_BEYOND(s, p.tiling)
    {
      const int count = eight_count(j, s.end);
      sums = norm_sums_add(sums, load_quad(d + j, count), load_quad(from + j, count), n, j, count);
    }
    sums.g = lanes_sum(sums.g, p.tiling.lanes_log2, shared) / columns;
    sums.inner = lanes_sum(sums.inner, p.tiling.lanes_log2, shared) / columns;
    GLOBAL u16 *second = dropped + p.dropped + s.row * p.dropped_stride;
    const norm_mask m =
        norm_mask_of(record, offsets, examples, p.mask, s.row, p.tiling.size[3]);
    EACH_ROW_EIGHT norm_grad_store(to, second, d_row[i], row[i], n, sums, m, first + i * step,
                                   eight_count(first + i * step, s.end));
    EACH_EIGHT_BEYOND(s, p.tiling)
    {
      const int count = eight_count(j, s.end);
      norm_grad_store(to, second, load_quad(d + j, count), load_quad(from + j, count), n, sums, m, j,
                      count);
    }
  }
}

/* parts [2, pieces, columns]: sums over a piece's rows, of the gradient of the gain, then of the
 * bias. */
KERNEL(layer_norm_grad_parts_bf16)
(GLOBAL float *parts, GLOBAL const u16 *d_out, GLOBAL const u16 *x, GLOBAL const float *means,
 GLOBAL const float *rstds, layer_norm_grad_parameters p)
{
  const i64 columns = p.tiling.size[3], pieces = p.tiling.size[2];
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    const i64 begin = s.row * p.piece_rows;
    const i64 end = begin + p.piece_rows < p.rows ? begin + p.piece_rows : p.rows;
    GLOBAL float *of_gain = parts + s.row * columns, *of_bias = of_gain + pieces * columns;
    EACH_EIGHT(s, p.tiling)
    {
      const int count = eight_count(j, s.end);
      eight gain, bias;
      EACH_OF_EIGHT gain.v[k] = bias.v[k] = 0.0f;
      for (i64 i = begin; i < end; i++) {
        const eight d = load_u16(d_out + p.d_out + i * p.d_out_stride + j, count);
        const eight e = load_u16(x + p.x + i * p.x_stride + j, count);
        const float mean = means[p.mean + i], rstd = rstds[p.rstd + i];
        EACH_OF_EIGHT
        {
          gain.v[k] += d.v[k] * ((e.v[k] - mean) * rstd);
          bias.v[k] += d.v[k];
        }
      }
      store_float(of_gain + j, gain, count);
      store_float(of_bias + j, bias, count);
    }
  }
}
