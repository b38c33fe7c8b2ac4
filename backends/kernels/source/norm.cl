/* layer_norm, add_layer_norm and the gradient of both. */

/* With a residual, `sum` keeps x + residual, which is normalized. `out` and `sum` may be the same:
 * in every pass each work-item reads the columns that it wrote itself. */
KERNEL(layer_norm)
(GLOBAL float *out, GLOBAL float *sum, GLOBAL const float *x, GLOBAL const float *residual,
 GLOBAL const float *gain, GLOBAL const float *bias, GLOBAL float *mean_out, GLOBAL float *rstd_out,
 layer_norm_parameters p)
{
  LOCAL float sums[GROUP_SIZE];
  const float columns = (float)p.tiling.size[3];
  GLOBAL const float *a = gain + p.gain, *b = bias + p.bias;
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL float *to = out + p.out + s.row * p.out_stride;
    GLOBAL const float *from = x + p.x + s.row * p.x_stride;
    float total = 0.0f;
    if (residual != 0) {
      GLOBAL const float *second = residual + p.residual + s.row * p.residual_stride;
      GLOBAL float *kept = sum + p.sum + s.row * p.sum_stride;
      EACH_COLUMN(s, p.tiling)
      {
        const float v = from[j] + second[j];
        kept[j] = v;
        total += v;
      }
      from = kept;
    } else {
      EACH_COLUMN(s, p.tiling) total += from[j];
    }
    const float mean = lanes_sum(total, p.tiling.lanes_log2, sums) / columns;
    float squares = 0.0f;
    EACH_COLUMN(s, p.tiling) squares += (from[j] - mean) * (from[j] - mean);
    const float variance = lanes_sum(squares, p.tiling.lanes_log2, sums) / columns;
    const float rstd = reciprocal_root(variance + p.epsilon);
    EACH_COLUMN(s, p.tiling) to[j] = (from[j] - mean) * rstd * a[j] + b[j];
    if (s.lane == 0 && !s.beyond) {
      if (mean_out != 0)
        mean_out[p.mean + s.row] = mean;
      if (rstd_out != 0)
        rstd_out[p.rstd + s.row] = rstd;
    }
  }
}

/* With x̂ = (x − mean) rstd and g = d_out ∘ gain: d_x = rstd (g − mean(g) − x̂ mean(g ∘ x̂)). */
KERNEL(layer_norm_grad)
(GLOBAL float *d_x, GLOBAL const float *d_out, GLOBAL const float *x, GLOBAL const float *gain,
 GLOBAL const float *means, GLOBAL const float *rstds, layer_norm_grad_parameters p)
{
  LOCAL float sums[GROUP_SIZE];
  const float columns = (float)p.tiling.size[3];
  GLOBAL const float *a = gain + p.gain;
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL float *to = d_x + p.d_x + s.row * p.d_x_stride;
    GLOBAL const float *d = d_out + p.d_out + s.row * p.d_out_stride;
    GLOBAL const float *from = x + p.x + s.row * p.x_stride;
    const float mean = means[p.mean + s.row], rstd = rstds[p.rstd + s.row];
    float sum = 0.0f, inner = 0.0f;
    EACH_COLUMN(s, p.tiling)
    {
      const float g = d[j] * a[j];
      sum += g;
      inner += g * ((from[j] - mean) * rstd);
    }
    const float mean_g = lanes_sum(sum, p.tiling.lanes_log2, sums) / columns;
    const float mean_inner = lanes_sum(inner, p.tiling.lanes_log2, sums) / columns;
    EACH_COLUMN(s, p.tiling)
    to[j] = rstd * (d[j] * a[j] - mean_g - (from[j] - mean) * rstd * mean_inner);
  }
}

/* parts [2, pieces, columns]: sums over a piece's rows, of the gradient of the gain, then of the
 * bias. */
KERNEL(layer_norm_grad_parts)
(GLOBAL float *parts, GLOBAL const float *d_out, GLOBAL const float *x, GLOBAL const float *means,
 GLOBAL const float *rstds, layer_norm_grad_parameters p)
{
  const i64 columns = p.tiling.size[3], pieces = p.tiling.size[2];
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    const i64 begin = s.row * p.piece_rows;
    const i64 end = begin + p.piece_rows < p.rows ? begin + p.piece_rows : p.rows;
    GLOBAL float *of_gain = parts + s.row * columns, *of_bias = of_gain + pieces * columns;
#if GROUP_SIZE == 1
    EACH_COLUMN(s, p.tiling)
    {
      of_gain[j] = 0.0f;
      of_bias[j] = 0.0f;
    }
    for (i64 i = begin; i < end; i++) {
      GLOBAL const float *d = d_out + p.d_out + i * p.d_out_stride;
      GLOBAL const float *from = x + p.x + i * p.x_stride;
      const float mean = means[p.mean + i], rstd = rstds[p.rstd + i];
      EACH_COLUMN(s, p.tiling)
      {
        of_gain[j] += d[j] * ((from[j] - mean) * rstd);
        of_bias[j] += d[j];
      }
    }
#else
    EACH_COLUMN(s, p.tiling)
    {
      float gain = 0.0f, bias = 0.0f;
      for (i64 i = begin; i < end; i++) {
        const float d = d_out[p.d_out + i * p.d_out_stride + j];
        gain += d * ((x[p.x + i * p.x_stride + j] - means[p.mean + i]) * rstds[p.rstd + i]);
        bias += d;
      }
      of_gain[j] = gain;
      of_bias[j] = bias;
    }
#endif
  }
}
