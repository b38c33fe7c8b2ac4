/* The parts of gemm and linear besides the product. */

/* out = f(v), v = product + bias. The product is in `pre`, which v replaces, or in `out`. */
KERNEL(linear_finish)(GLOBAL float *out, GLOBAL float *pre, GLOBAL const float *bias,
                      linear_parameters p)
{
  GLOBAL const float *b = bias + p.bias;
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL float *to = out + p.out + s.row * p.out_stride;
    if (pre != 0) {
      GLOBAL float *from = pre + p.pre + s.row * p.pre_stride;
      switch (p.function) {
#define CASE(NAME, name)              \
  case FUNCTION_##NAME:               \
    EACH_COLUMN(s, p.tiling)          \
    {                                 \
      const float v = from[j] + b[j]; \
      from[j] = v;                    \
      to[j] = name##_value(v);        \
    }                                 \
    break;
        ACTIVATIONS(CASE)
#undef CASE
      }
    } else {
      switch (p.function) {
#define CASE(NAME, name)                                         \
  case FUNCTION_##NAME:                                          \
    EACH_COLUMN(s, p.tiling) to[j] = name##_value(to[j] + b[j]); \
    break;
        ACTIVATIONS(CASE)
#undef CASE
      }
    }
  }
}

KERNEL(scale_f64)(GLOBAL u64 *out, scale_parameters p)
{
#ifdef HAS_F64
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL u64 *to = out + row_start(p.out, p.tiling, s.row);
    EACH_COLUMN(s, p.tiling) to[j] = AS_U64((double)p.factor * AS_DOUBLE(to[j]));
  }
#else
  (void)out, (void)p;
#endif
}
