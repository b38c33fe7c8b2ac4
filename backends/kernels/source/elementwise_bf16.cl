/* The elementwise ops and linear's last pass on BF16. */

KERNEL(fill_bf16)(GLOBAL u16 *out, fill_parameters p)
{
  quad value;
  value.x = value.y = value.z = value.w = p.value[0];
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL u16 *to = out + row_start(p.out, p.tiling, s.row);
    EACH_EIGHT(s, p.tiling) store_quad(to + j, value, eight_count(j, s.end));
  }
}

#define MAP(value)                           \
  EACH_EIGHT(s, p.tiling)                    \
  {                                          \
    const int count = eight_count(j, s.end); \
    eight e = load_u16(from + j, count);     \
    EACH_OF_EIGHT                            \
    {                                        \
      const float v = e.v[k];                \
      e.v[k] = value;                        \
    }                                        \
    store_u16(to + j, e, count);             \
  }                                          \
  break

KERNEL(unary_bf16)(GLOBAL u16 *out, GLOBAL const u16 *x, unary_parameters p)
{
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL u16 *to = out + row_start(p.out, p.tiling, s.row);
    GLOBAL const u16 *from = x + row_start(p.x, p.tiling, s.row);
    switch (p.function) {
#define CASE(NAME, name) \
  case FUNCTION_##NAME:  \
    MAP(name##_value(v));
      FAST_ACTIVATIONS(CASE)
#undef CASE
    case FUNCTION_ABSOLUTE:
      MAP(absolute(v));
    case FUNCTION_SQUARE:
      MAP(v * v);
    case FUNCTION_SQUARE_ROOT:
      MAP(MATH(sqrt)(v));
    case FUNCTION_EXP:
      MAP(exp_float(v));
    case FUNCTION_LOG:
      MAP(MATH(log)(v));
    case FUNCTION_RECIPROCAL:
      MAP(1.0f / v);
    }
  }
}
#undef MAP

KERNEL(unary_grad_bf16)
(GLOBAL u16 *d_x, GLOBAL const u16 *d_out, GLOBAL const u16 *x, unary_grad_parameters p)
{
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL u16 *to = d_x + row_start(p.d_x, p.tiling, s.row);
    GLOBAL const u16 *factor = d_out + row_start(p.d_out, p.tiling, s.row);
    GLOBAL const u16 *from = x + row_start(p.x, p.tiling, s.row);
    switch (p.function) {
#define CASE(NAME, name)                                    \
  case FUNCTION_##NAME:                                     \
    EACH_EIGHT(s, p.tiling)                                 \
    {                                                       \
      const int count = eight_count(j, s.end);              \
      const eight e = load_u16(from + j, count);            \
      eight d = load_u16(factor + j, count);                \
      EACH_OF_EIGHT d.v[k] = d.v[k] * name##_slope(e.v[k]); \
      store_u16(to + j, d, count);                          \
    }                                                       \
    break;
      FAST_ACTIVATIONS(CASE)
#undef CASE
    }
  }
}

KERNEL(axpby_bf16)(GLOBAL u16 *out, GLOBAL const u16 *x, axpby_parameters p)
{
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL u16 *to = out + row_start(p.out, p.tiling, s.row);
    GLOBAL const u16 *from = x + row_start(p.x, p.tiling, s.row);
    EACH_EIGHT(s, p.tiling)
    {
      const int count = eight_count(j, s.end);
      eight e = load_u16(from + j, count);
      if (p.beta == 0.0f) {
        EACH_OF_EIGHT e.v[k] = p.alpha * e.v[k];
      } else {
        const eight before = load_u16(to + j, count);
        EACH_OF_EIGHT e.v[k] = p.alpha * e.v[k] + p.beta * before.v[k];
      }
      store_u16(to + j, e, count);
    }
  }
}

/* out = f(v), v = product + bias. The product is in `pre`, which v replaces, or in `out`. */
KERNEL(linear_finish_bf16)
(GLOBAL u16 *out, GLOBAL u16 *pre, GLOBAL const float *bias, linear_parameters p)
{
  GLOBAL const float *b = bias + p.bias;
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL u16 *to = out + p.out + s.row * p.out_stride;
    GLOBAL u16 *from = pre != 0 ? pre + p.pre + s.row * p.pre_stride : to;
    switch (p.function) {
#define CASE(NAME, name)                            \
  case FUNCTION_##NAME:                             \
    EACH_EIGHT(s, p.tiling)                         \
    {                                               \
      const int count = eight_count(j, s.end);      \
      eight e = load_u16(from + j, count);          \
      const eight added = load_float(b + j, count); \
      EACH_OF_EIGHT e.v[k] += added.v[k];           \
      if (pre != 0)                                 \
        store_u16(from + j, e, count);              \
      EACH_OF_EIGHT e.v[k] = name##_value(e.v[k]);  \
      store_u16(to + j, e, count);                  \
    }                                               \
    break;
      FAST_ACTIVATIONS(CASE)
#undef CASE
    }
  }
}

/* ---- Rows of a table, of which one side or both are BF16 ---- */

#define GATHER_KERNEL(name, to_type, from_type)                                  \
  KERNEL(name)                                                                   \
  (GLOBAL to_type * out, GLOBAL const from_type *table, GLOBAL const int *index, \
   gather_rows_parameters p)                                                     \
  {                                                                              \
    EACH_TILE(p.tiling)                                                          \
    {                                                                            \
      const row_part s = part_of(p.tiling, tile);                                \
      GLOBAL to_type *to = out + row_start(p.out, p.tiling, s.row);              \
      GLOBAL const from_type *from =                                             \
          table + p.table + (i64)index[p.index + s.row] * p.table_stride;        \
      EACH_EIGHT(s, p.tiling)                                                    \
      {                                                                          \
        const int count = eight_count(j, s.end);                                 \
        eight e = load_##from_type(from + j, count);                             \
        if (p.accumulate) {                                                      \
          const eight before = load_##to_type(to + j, count);                    \
          EACH_OF_EIGHT e.v[k] += before.v[k];                                   \
        }                                                                        \
        store_##to_type(to + j, e, count);                                       \
      }                                                                          \
    }                                                                            \
  }

GATHER_KERNEL(gather_rows_to_bf16, u16, float)
GATHER_KERNEL(gather_rows_from_bf16, float, u16)
GATHER_KERNEL(gather_rows_bf16, u16, u16)

/* A work-item sums its columns of a segment in the segment's order. */
#define SCATTER_KERNEL(name, to_type, from_type)                                             \
  KERNEL(name)                                                                               \
  (GLOBAL to_type * table, GLOBAL const from_type *x, GLOBAL const int *order,               \
   GLOBAL const int *segment, GLOBAL const int *target, scatter_add_rows_parameters p)       \
  {                                                                                          \
    EACH_TILE(p.tiling)                                                                      \
    {                                                                                        \
      const row_part s = part_of(p.tiling, tile);                                            \
      const int begin = segment[p.segment + s.row], end = segment[p.segment + s.row + 1];    \
      GLOBAL to_type *to = table + p.table + (i64)target[p.target + s.row] * p.table_stride; \
      EACH_EIGHT(s, p.tiling)                                                                \
      {                                                                                      \
        const int count = eight_count(j, s.end);                                             \
        eight sum = load_##to_type(to + j, count);                                           \
        for (int i = begin; i < end; i++) {                                                  \
          const eight e =                                                                    \
              load_##from_type(x + p.x + (i64)order[p.order + i] * p.x_stride + j, count);   \
          EACH_OF_EIGHT sum.v[k] += e.v[k];                                                  \
        }                                                                                    \
        store_##to_type(to + j, sum, count);                                                 \
      }                                                                                      \
    }                                                                                        \
  }

SCATTER_KERNEL(scatter_add_rows_to_bf16, u16, float)
SCATTER_KERNEL(scatter_add_rows_from_bf16, float, u16)
SCATTER_KERNEL(scatter_add_rows_bf16, u16, u16)
