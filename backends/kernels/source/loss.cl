/* Terms that are summed before they are added to the total: a language model's vocabulary is a long
 * row. */
#define SUM_BLOCK 256

/* With targets t_c = (1 − ε) [c = y] w_y + ε/C w_c: loss = Σ_c t_c (−log p_c), gradient = p_c Σ t −
 * t_c. add_loss sums `losses` [rows]. */
KERNEL(cross_entropy)
(GLOBAL float *losses, GLOBAL float *d_logits, GLOBAL const float *logits, GLOBAL const int *labels,
 GLOBAL const float *class_weight, GLOBAL const float *step, cross_entropy_parameters p)
{
  LOCAL float sums[GROUP_SIZE];
  LOCAL int keys[GROUP_SIZE];
  const int lanes_log2 = p.tiling.lanes_log2;
  const float scale = step[p.step + STEP_LOSS_SCALE];
  const float spread = p.label_smoothing / (float)p.tiling.size[3];
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL const float *from = logits + p.logits + s.row * p.logits_stride;
    const i64 label = labels[p.labels + s.row];
    int key = float_key(NEGATIVE_INFINITY);
    EACH_COLUMN(s, p.tiling)
    {
      const int other = float_key(from[j]);
      key = other > key ? other : key;
    }
    const float largest = float_of_key(lanes_largest(key, lanes_log2, keys));
    const float most = absolute(largest) == POSITIVE_INFINITY ? 0.0f : largest;
    float sum = 0.0f;
    EACH_COLUMN(s, p.tiling) sum += exp_float(from[j] - most);
    sum = lanes_sum(sum, lanes_log2, sums);
    const float log_sum = MATH(log)(sum);
    float loss = 0.0f, total = 0.0f;
    for (i64 first = s.first; first < s.end; first += (i64)SUM_BLOCK * LANES(p.tiling)) {
      const i64 next = first + (i64)SUM_BLOCK * LANES(p.tiling), end = next < s.end ? next : s.end;
      float block_loss = 0.0f, block_total = 0.0f;
      VECTOR_LOOP for (i64 j = first; j < end; j += LANES(p.tiling))
      {
        const float weight = class_weight != 0 ? class_weight[p.class_weight + j] : 1.0f;
        const float target = weight * ((j == label ? 1.0f - p.label_smoothing : 0.0f) + spread);
        block_loss += target != 0.0f ? target * (log_sum + (most - from[j])) : 0.0f;
        block_total += target;
      }
      loss += block_loss;
      total += block_total;
    }
    loss = lanes_sum(loss, lanes_log2, sums);
    total = lanes_sum(total, lanes_log2, sums);
    if (s.lane == 0 && !s.beyond && losses != 0)
      losses[s.row] = loss;
    if (d_logits != 0) {
      EACH_COLUMN(s, p.tiling)
      {
        const float weight = class_weight != 0 ? class_weight[p.class_weight + j] : 1.0f;
        const float target = weight * ((j == label ? 1.0f - p.label_smoothing : 0.0f) + spread);
        const float probability = exp_float(from[j] - most) / sum;
        d_logits[p.d_logits + s.row * p.d_logits_stride + j] =
            scale * (probability * total - target);
      }
    }
  }
}

/* ln(1 + e^−|x|), without the loss of digits of a logarithm near 1. */
FUNCTION float softplus_tail(float x)
{
  const float e = exp_float(-absolute(x));
  return e < 0.000244140625f ? e - 0.5f * e * e : MATH(log)(1.0f + e);
}

/* parts [groups]: each group's sum of w y softplus(−x) + (1 − y) softplus(x). */
KERNEL(binary_cross_entropy)
(GLOBAL float *parts, GLOBAL float *d_logits, GLOBAL const float *logits,
 GLOBAL const float *targets, GLOBAL const float *pos_weight, GLOBAL const float *step,
 binary_cross_entropy_parameters p)
{
  LOCAL float sums[GROUP_SIZE];
  const float scale = step[p.step + STEP_LOSS_SCALE];
  float sum = 0.0f;
  for (i64 i = GRID_ID; i < p.count; i += GRID_SIZE) {
    const i64 row = quotient(i, p.labels), label = i - row * p.labels;
    const float x = logits[p.logits + row * p.logits_stride + label];
    const float hit = targets[p.targets + row * p.targets_stride + label];
    const float weighted = pos_weight != 0 ? pos_weight[p.pos_weight + label] * hit : hit;
    const float rest = 1.0f - hit, tail = softplus_tail(x);
    const float above = x > 0.0f ? x : 0.0f, below = x > 0.0f ? 0.0f : -x;
    sum += weighted * (below + tail) + rest * (above + tail);
    if (d_logits != 0) {
      const float e = exp_float(-absolute(x)), small = e / (1.0f + e), large = 1.0f / (1.0f + e);
      const float yes = x > 0.0f ? large : small, no = x > 0.0f ? small : large;
      d_logits[p.d_logits + row * p.d_logits_stride + label] =
          scale * (rest * yes - weighted * no);
    }
  }
  sum = lanes_sum(sum, whole_group(), sums);
  if (ITEM_ID == 0 && parts != 0)
    parts[GROUP_ID(0)] = sum;
}

KERNEL(add_loss)
(GLOBAL float *loss, GLOBAL const float *losses, GLOBAL const float *step, add_loss_parameters p)
{
  LOCAL float sums[GROUP_SIZE];
  float sum = 0.0f;
  VECTOR_LOOP for (i64 i = ITEM_ID; i < p.count; i += GROUP_SIZE) sum += losses[i];
  sum = lanes_sum(sum, whole_group(), sums);
  if (ITEM_ID == 0)
    loss[p.loss] += step[p.step + STEP_LOSS_SCALE] * sum;
}

/* Returns the offset of element `i` of a tensor, counted in its own shape. */
FUNCTION i64 element_at(view v, const i64 *size, i64 i)
{
  i64 at = v.offset;
  for (int d = 3; d >= 0; d--) {
    const i64 outer = quotient(i, size[d]);
    at += (i - outer * size[d]) * v.stride[d];
    i = outer;
  }
  return at;
}

/* parts [groups]: each group's sum of squares. */
KERNEL(squared_error)
(GLOBAL float *parts, GLOBAL float *d_out, GLOBAL const float *out, GLOBAL const float *target,
 GLOBAL const float *step, squared_error_parameters p)
{
  LOCAL float sums[GROUP_SIZE];
  const float scale = 2.0f * step[p.step + STEP_LOSS_SCALE];
  float sum = 0.0f;
  for (i64 i = GRID_ID; i < p.count; i += GRID_SIZE) {
    const float difference =
        out[element_at(p.out, p.out_size, i)] - target[element_at(p.target, p.target_size, i)];
    sum += difference * difference;
    if (d_out != 0)
      d_out[element_at(p.d_out, p.d_out_size, i)] = scale * difference;
  }
  sum = lanes_sum(sum, whole_group(), sums);
  if (ITEM_ID == 0 && parts != 0)
    parts[GROUP_ID(0)] = sum;
}
