/* reduce, clip_norm, any_non_finite. */

/* Lanes share the elements of a row. */
KERNEL(reduce_rows)(GLOBAL float *out, GLOBAL const float *x, reduce_parameters p)
{
  LOCAL float sums[GROUP_SIZE];
  LOCAL int keys[GROUP_SIZE];
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    const i64 outer = quotient(s.row, p.pieces), piece = s.row - outer * p.pieces;
    const i64 begin = piece * p.piece_length, left = p.length - begin;
    const i64 count = s.beyond ? 0 : left < p.piece_length ? left : p.piece_length;
    GLOBAL const float *from = x + row_start(p.x, p.tiling, outer) + begin * p.x_step;
    const i64 step = p.x_step;
    float value = 0.0f;
    if (p.function == REDUCE_MAXIMUM) {
      int key = float_key(NEGATIVE_INFINITY);
      VECTOR_LOOP for (i64 j = s.lane; j < count; j += LANES(p.tiling))
      {
        const int other = float_key(from[j * step]);
        key = other > key ? other : key;
      }
      value = float_of_key(lanes_largest(key, p.tiling.lanes_log2, keys));
    } else {
      if (p.function == REDUCE_SUM_SQUARES) {
        VECTOR_LOOP for (i64 j = s.lane; j < count; j += LANES(p.tiling)) value +=
            from[j * step] * from[j * step];
      } else if (step == 1) {
        VECTOR_LOOP for (i64 j = s.lane; j < count; j += LANES(p.tiling)) value += from[j];
      } else {
        for (i64 j = s.lane; j < count; j += LANES(p.tiling))
          value += from[j * step];
      }
      value = lanes_sum(value, p.tiling.lanes_log2, sums);
    }
    if (s.lane == 0 && !s.beyond) {
      GLOBAL float *to = out + row_start(p.out, p.tiling, outer) + piece * p.out_piece;
      *to = p.accumulate ? *to + value : value;
    }
  }
}

FUNCTION float reduce_step(int function, float sum, float x)
{
  return function == REDUCE_MAXIMUM       ? larger(sum, x)
         : function == REDUCE_SUM_SQUARES ? sum + x * x
                                          : sum + x;
}

/* Over elements x_step apart, for neighbouring columns. */
KERNEL(reduce_columns)(GLOBAL float *out, GLOBAL const float *x, reduce_parameters p)
{
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    const i64 outer = quotient(s.row, p.pieces), piece = s.row - outer * p.pieces;
    const i64 begin = piece * p.piece_length;
    const i64 end = begin + p.piece_length < p.length ? begin + p.piece_length : p.length;
    const float nothing = p.function == REDUCE_MAXIMUM ? NEGATIVE_INFINITY : 0.0f;
    const int function = p.function;
    GLOBAL const float *from = x + row_start(p.x, p.tiling, outer);
    GLOBAL float *to = out + row_start(p.out, p.tiling, outer) + piece * p.out_piece;
#if GROUP_SIZE == 1
    if (!p.accumulate) {
      EACH_COLUMN(s, p.tiling) to[j] = nothing;
    }
    for (i64 i = begin; i < end; i++) {
      GLOBAL const float *one = from + i * p.x_step;
      EACH_COLUMN(s, p.tiling) to[j] = reduce_step(function, to[j], one[j]);
    }
#else
    EACH_COLUMN(s, p.tiling)
    {
      float value = nothing;
      for (i64 i = begin; i < end; i++)
        value = reduce_step(function, value, from[i * p.x_step + j]);
      to[j] = p.accumulate ? to[j] + value : value;
    }
#endif
  }
}

/* ---- One number of a whole tensor: a part a group, then the sum of the parts ---- */

KERNEL(sum_squares_parts)(GLOBAL float *parts, GLOBAL const float *x, whole_parameters p)
{
  LOCAL float sums[GROUP_SIZE];
  float sum = 0.0f;
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL const float *from = x + row_start(p.x, p.tiling, s.row);
    float tile_sum = 0.0f;
    EACH_COLUMN(s, p.tiling) tile_sum += from[j] * from[j];
    sum += tile_sum;
  }
  sum = lanes_sum(sum, whole_group(), sums);
  if (ITEM_ID == 0)
    parts[GROUP_ID(0)] = sum;
}

KERNEL(clip_norm)
(GLOBAL float *norm, GLOBAL float *factor, GLOBAL const float *parts, clip_norm_parameters p)
{
  LOCAL float sums[GROUP_SIZE];
  float sum = 0.0f;
  for (i64 i = ITEM_ID; i < p.parts; i += GROUP_SIZE)
    sum += parts[i];
  sum = lanes_sum(sum, whole_group(), sums);
  if (ITEM_ID == 0) {
    const float root = MATH(sqrt)(sum), share = p.max_norm / (root + 1e-6f);
    norm[p.norm] = root;
    factor[p.factor] = p.max_norm == 0.0f || share > 1.0f ? 1.0f : share;
  }
}

#define NON_FINITE_KERNEL(name, type, exponent)                                     \
  KERNEL(name)(GLOBAL int *parts, GLOBAL const type *x, whole_parameters p)         \
  {                                                                                 \
    LOCAL int found[GROUP_SIZE];                                                    \
    int any = 0;                                                                    \
    EACH_TILE(p.tiling)                                                             \
    {                                                                               \
      const row_part s = part_of(p.tiling, tile);                                   \
      GLOBAL const type *from = x + row_start(p.x, p.tiling, s.row);                \
      EACH_COLUMN(s, p.tiling) any |= (from[j] & (exponent)) == (exponent) ? 1 : 0; \
    }                                                                               \
    any = lanes_largest(any, whole_group(), found);                                 \
    if (ITEM_ID == 0)                                                               \
      parts[GROUP_ID(0)] = any;                                                     \
  }

NON_FINITE_KERNEL(non_finite_parts_u32, u32, 0x7f800000u)
NON_FINITE_KERNEL(non_finite_parts_u64, u64, (u64)0x7ff00000u << 32)

KERNEL(set_flag)(GLOBAL int *flag, GLOBAL const int *parts, flag_parameters p)
{
  LOCAL int found[GROUP_SIZE];
  int any = 0;
  for (i64 i = ITEM_ID; i < p.parts; i += GROUP_SIZE)
    any |= parts[i];
  any = lanes_largest(any, whole_group(), found);
  if (ITEM_ID == 0)
    flag[p.flag] |= any;
}
