KERNEL(softmax)(GLOBAL float *out, GLOBAL const float *x, softmax_parameters p)
{
  LOCAL float sums[GROUP_SIZE];
  LOCAL int keys[GROUP_SIZE];
  const float scale = p.scale;
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL const float *from = x + row_start(p.x, p.tiling, s.row);
    GLOBAL float *to = out + row_start(p.out, p.tiling, s.row);
    int key = float_key(NEGATIVE_INFINITY);
    EACH_COLUMN(s, p.tiling)
    {
      const int other = float_key(scale * from[j]);
      key = other > key ? other : key;
    }
    const float most = float_of_key(lanes_largest(key, p.tiling.lanes_log2, keys));
    const float shift = most == NEGATIVE_INFINITY ? 0.0f : most;
    float sum = 0.0f;
    EACH_COLUMN(s, p.tiling)
    {
      const float e = exp_nonpositive(scale * from[j] - shift);
      to[j] = e;
      sum += e;
    }
    sum = lanes_sum(sum, p.tiling.lanes_log2, sums);
    const float factor = most == NEGATIVE_INFINITY ? 0.0f : 1.0f / sum;
    EACH_COLUMN(s, p.tiling) to[j] *= factor;
  }
}

KERNEL(softmax_grad)
(GLOBAL float *d_x, GLOBAL const float *d_out, GLOBAL const float *out, softmax_grad_parameters p)
{
  LOCAL float sums[GROUP_SIZE];
  const float scale = p.scale;
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL const float *g = d_out + row_start(p.d_out, p.tiling, s.row);
    GLOBAL const float *y = out + row_start(p.out, p.tiling, s.row);
    GLOBAL float *to = d_x + row_start(p.d_x, p.tiling, s.row);
    float inner = 0.0f;
    EACH_COLUMN(s, p.tiling) inner += g[j] * y[j];
    inner = lanes_sum(inner, p.tiling.lanes_log2, sums);
    EACH_COLUMN(s, p.tiling) to[j] = scale * y[j] * (g[j] - inner);
  }
}
