/* copy, cast, permute, fill, gather_rows, scatter_add_rows. */

/* out = value(from[…]), where the columns of x are `step` apart. */
#define MOVE_KERNEL(name, to_type, from_type, step, value)                         \
  KERNEL(name)(GLOBAL to_type * out, GLOBAL const from_type *x, copy_parameters p) \
  {                                                                                \
    EACH_TILE(p.tiling)                                                            \
    {                                                                              \
      const row_part s = part_of(p.tiling, tile);                                  \
      GLOBAL to_type *to = out + row_start(p.out, p.tiling, s.row);                \
      GLOBAL const from_type *from = x + row_start(p.x, p.tiling, s.row);          \
      EACH_COLUMN(s, p.tiling) to[j] = value(from[j * (step)]);                    \
    }                                                                              \
  }
#define AS_IT_IS(x) x

MOVE_KERNEL(copy_u8, u8, u8, 1, AS_IT_IS)
MOVE_KERNEL(copy_u16, u16, u16, 1, AS_IT_IS)
MOVE_KERNEL(copy_u32, u32, u32, 1, AS_IT_IS)
MOVE_KERNEL(copy_u64, u64, u64, 1, AS_IT_IS)
MOVE_KERNEL(copy_strided_u8, u8, u8, p.x.stride[3], AS_IT_IS)
MOVE_KERNEL(copy_strided_u16, u16, u16, p.x.stride[3], AS_IT_IS)
MOVE_KERNEL(copy_strided_u32, u32, u32, p.x.stride[3], AS_IT_IS)
MOVE_KERNEL(copy_strided_u64, u64, u64, p.x.stride[3], AS_IT_IS)
MOVE_KERNEL(cast_f32_bf16, u16, float, 1, bf16_of_float)
MOVE_KERNEL(cast_bf16_f32, float, u16, 1, float_of_bf16)

/* F64 as bits, so that the kernels exist on devices without double. */
#ifdef HAS_F64
FUNCTION u64 f64_of_float(float x)
{
  return AS_U64((double)x);
}

FUNCTION float float_of_f64(u64 bits)
{
  return (float)AS_DOUBLE(bits);
}

FUNCTION u64 f64_of_bf16(u16 bits)
{
  return f64_of_float(float_of_bf16(bits));
}

/* Goes through a float rounded to odd, so that a second rounding gives the same as rounding the
 * double directly (Boldo and Melquiond 2008). */
FUNCTION u16 bf16_of_f64(u64 bits)
{
  const double x = AS_DOUBLE(bits);
  const float f = (float)x;
  u32 odd = AS_U32(f);
  const u32 size = odd & 0x7fffffffu;
  if (size < 0x7f800000u && (double)f != x) {
    if ((double)absolute(f) > (x < 0 ? -x : x))
      odd--;
    odd |= 1u;
  }
  return bf16_of_float(AS_FLOAT(odd));
}
#define CAST_KERNEL(name, to_type, from_type, value) MOVE_KERNEL(name, to_type, from_type, 1, value)
#else
#define CAST_KERNEL(name, to_type, from_type, value)                               \
  KERNEL(name)(GLOBAL to_type * out, GLOBAL const from_type *x, copy_parameters p) \
  {                                                                                \
    (void)out, (void)x, (void)p;                                                   \
  }
#endif

CAST_KERNEL(cast_f32_f64, u64, float, f64_of_float)
CAST_KERNEL(cast_f64_f32, float, u64, float_of_f64)
CAST_KERNEL(cast_bf16_f64, u64, u16, f64_of_bf16)
CAST_KERNEL(cast_f64_bf16, u16, u64, bf16_of_f64)

KERNEL(fill_u32)(GLOBAL u32 *out, fill_parameters p)
{
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL u32 *to = out + row_start(p.out, p.tiling, s.row);
    EACH_COLUMN(s, p.tiling) to[j] = p.value[0];
  }
}

KERNEL(fill_u64)(GLOBAL u64 *out, fill_parameters p)
{
  const u64 value = (u64)p.value[1] << 32 | p.value[0];
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL u64 *to = out + row_start(p.out, p.tiling, s.row);
    EACH_COLUMN(s, p.tiling) to[j] = value;
  }
}

KERNEL(gather_rows)
(GLOBAL float *out, GLOBAL const float *table, GLOBAL const int *index, gather_rows_parameters p)
{
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL float *to = out + row_start(p.out, p.tiling, s.row);
    GLOBAL const float *from = table + p.table + (i64)index[p.index + s.row] * p.table_stride;
    if (p.accumulate) {
      EACH_COLUMN(s, p.tiling) to[j] += from[j];
    } else {
      EACH_COLUMN(s, p.tiling) to[j] = from[j];
    }
  }
}

/* A work-item sums its columns of a segment in the segment's order. */
KERNEL(scatter_add_rows)
(GLOBAL float *table, GLOBAL const float *x, GLOBAL const int *order, GLOBAL const int *segment,
 GLOBAL const int *target, scatter_add_rows_parameters p)
{
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    const int begin = segment[p.segment + s.row], end = segment[p.segment + s.row + 1];
    GLOBAL float *to = table + p.table + (i64)target[p.target + s.row] * p.table_stride;
#if GROUP_SIZE == 1
    for (int k = begin; k < end; k++) {
      GLOBAL const float *from = x + p.x + (i64)order[p.order + k] * p.x_stride;
      EACH_COLUMN(s, p.tiling) to[j] += from[j];
    }
#else
    EACH_COLUMN(s, p.tiling)
    {
      float sum = to[j];
      for (int k = begin; k < end; k++)
        sum += x[p.x + (i64)order[p.order + k] * p.x_stride + j];
      to[j] = sum;
    }
#endif
  }
}
