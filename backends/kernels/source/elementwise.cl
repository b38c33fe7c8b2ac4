/* unary, unary_grad, binary, axpby: a loop for each function, chosen once per tile. */

#define MAP(value)           \
  EACH_COLUMN(s, p.tiling)   \
  {                          \
    const float v = from[j]; \
    to[j] = value;           \
  }                          \
  break

KERNEL(unary)(GLOBAL float *out, GLOBAL const float *x, unary_parameters p)
{
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL float *to = out + row_start(p.out, p.tiling, s.row);
    GLOBAL const float *from = x + row_start(p.x, p.tiling, s.row);
    switch (p.function) {
#define CASE(NAME, name) \
  case FUNCTION_##NAME:  \
    MAP(name##_value(v));
      ACTIVATIONS(CASE)
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

KERNEL(unary_grad)
(GLOBAL float *d_x, GLOBAL const float *d_out, GLOBAL const float *x, unary_grad_parameters p)
{
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL float *to = d_x + row_start(p.d_x, p.tiling, s.row);
    GLOBAL const float *factor = d_out + row_start(p.d_out, p.tiling, s.row);
    GLOBAL const float *from = x + row_start(p.x, p.tiling, s.row);
    switch (p.function) {
#define CASE(NAME, name)                                                \
  case FUNCTION_##NAME:                                                 \
    EACH_COLUMN(s, p.tiling) to[j] = factor[j] * name##_slope(from[j]); \
    break;
      ACTIVATIONS(CASE)
#undef CASE
    }
  }
}

#define BINARY_SWITCH(Y)                                    \
  switch (p.function) {                                     \
  case BINARY_ADD:                                          \
    EACH_COLUMN(s, p.tiling) to[j] = from[j] + (Y);         \
    break;                                                  \
  case BINARY_SUBTRACT:                                     \
    EACH_COLUMN(s, p.tiling) to[j] = from[j] - (Y);         \
    break;                                                  \
  case BINARY_MULTIPLY:                                     \
    EACH_COLUMN(s, p.tiling) to[j] = from[j] * (Y);         \
    break;                                                  \
  case BINARY_DIVIDE:                                       \
    EACH_COLUMN(s, p.tiling) to[j] = from[j] / (Y);         \
    break;                                                  \
  case BINARY_MAXIMUM:                                      \
    EACH_COLUMN(s, p.tiling) to[j] = larger(from[j], (Y));  \
    break;                                                  \
  case BINARY_MINIMUM:                                      \
    EACH_COLUMN(s, p.tiling) to[j] = smaller(from[j], (Y)); \
    break;                                                  \
  }

KERNEL(binary)(GLOBAL float *out, GLOBAL const float *x, GLOBAL const float *y, binary_parameters p)
{
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL float *to = out + row_start(p.out, p.tiling, s.row);
    GLOBAL const float *from = x + row_start(p.x, p.tiling, s.row);
    GLOBAL const float *second = y + row_start(p.y, p.tiling, s.row);
    if (p.y.stride[3] == 0) {
      const float one = second[0];
      BINARY_SWITCH(one)
    } else {
      BINARY_SWITCH(second[j])
    }
  }
}
#undef BINARY_SWITCH

KERNEL(axpby)(GLOBAL float *out, GLOBAL const float *x, axpby_parameters p)
{
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL float *to = out + row_start(p.out, p.tiling, s.row);
    GLOBAL const float *from = x + row_start(p.x, p.tiling, s.row);
    if (p.beta == 0.0f) {
      EACH_COLUMN(s, p.tiling) to[j] = p.alpha * from[j];
    } else {
      EACH_COLUMN(s, p.tiling) to[j] = p.alpha * from[j] + p.beta * to[j];
    }
  }
}
