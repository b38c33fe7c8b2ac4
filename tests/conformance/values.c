/* Values for operands: drawn, of many scales, special ones. */
#include <float.h>
#include <math.h>

#include "tests/conformance/suite.h"

/* splitmix64 (Steele, Lea and Flood 2014). */
uint64_t random_bits(random_source *r)
{
  r->state += 0x9e3779b97f4a7c15u;
  uint64_t z = r->state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double random_uniform(random_source *r)
{
  return (double)(random_bits(r) >> 11) * 0x1p-53;
}

double random_normal(random_source *r)
{
  if (r->has_spare) {
    r->has_spare = false;
    return r->spare;
  }
  const double radius = sqrt(-2 * log(1 - random_uniform(r)));
  const double angle = 6.283185307179586477 * random_uniform(r);
  r->spare = radius * sin(angle);
  r->has_spare = true;
  return radius * cos(angle);
}

int64_t random_integer(random_source *r, int64_t low, int64_t high)
{
  return low + (int64_t)(random_bits(r) % (uint64_t)(high - low + 1));
}

bool random_chance(random_source *r, double probability)
{
  return random_uniform(r) < probability;
}

int64_t random_size(random_source *r, int64_t most)
{
  const int64_t limit = most < 1024 ? most : 1024;
  if (random_chance(r, 0.04))
    return 0;
  if (random_chance(r, 0.1) || limit < 2)
    return 1;
  const double drawn = exp2(log2((double)limit) * random_uniform(r));
  int64_t size = (int64_t)drawn;
  if (random_chance(r, 0.4)) /* 2^k − 1, 2^k, 2^k + 1 */
    size = (int64_t)exp2(floor(log2(drawn) + 0.5)) + random_integer(r, -1, 1);
  return size < 1 ? 1 : size > limit ? limit : size;
}

shape random_shape(random_source *r, int64_t most)
{
  shape n = {{1, 1, 1, 1}};
  int64_t left = most;
  const int dimensions = (int)random_integer(r, 1, 4);
  for (int d = 3; d > 3 - dimensions; d--) {
    n.n[d] = random_size(r, left);
    left = n.n[d] > 1 ? left / n.n[d] : left;
  }
  return n;
}

layout random_layout(random_source *r)
{
  return (layout)(random_bits(r) % LAYOUT_COUNT);
}

/* To `digits` significant bits where exponents begin at `lowest` (of the leading bit), ties to
 * even. */
static double round_binary(double value, int digits, int lowest, double largest)
{
  if (!isfinite(value) || value == 0)
    return value;
  int exponent = 0;
  frexp(value, &exponent); /* value = m · 2^exponent, m in [1/2, 1) */
  const int leading = exponent - 1 < lowest ? lowest : exponent - 1;
  const int unit = leading - digits + 1;
  const double rounded = ldexp(nearbyint(ldexp(value, -unit)), unit);
  return fabs(rounded) > largest ? copysign(INFINITY, value) : rounded;
}

double round_to(cdl_dtype dtype, double value)
{
  switch (dtype) {
  case CDL_DTYPE_F32:
    return (double)(float)value;
  case CDL_DTYPE_F64:
    return value;
  case CDL_DTYPE_BF16:
    return round_binary(value, 8, -126, 0x1.fep127);
  case CDL_DTYPE_I32:
  case CDL_DTYPE_U8:
    return trunc(value);
  case CDL_DTYPE_COUNT:
    break;
  }
  return value;
}

static void fill_by(trial *t, operand *o, double (*draw)(random_source *, double, double), double a,
                    double b)
{
  for (int64_t i = 0; i < o->count; i++)
    o->value[i] = draw(&t->random, a, b);
  operand_settle(o);
}

static double draw_normal(random_source *r, double scale, double unused)
{
  (void)unused;
  return scale * random_normal(r);
}

static double draw_scales(random_source *r, double low, double high)
{
  const double magnitude = pow(10, low + (high - low) * random_uniform(r));
  return random_bits(r) & 1 ? magnitude : -magnitude;
}

static double draw_uniform(random_source *r, double low, double high)
{
  return low + (high - low) * random_uniform(r);
}

static double draw_integer(random_source *r, double low, double high)
{
  return (double)random_integer(r, (int64_t)low, (int64_t)high);
}

void fill_normal(trial *t, operand *o, double scale)
{
  fill_by(t, o, draw_normal, scale, 0);
}

void fill_scales(trial *t, operand *o)
{
  fill_by(t, o, draw_scales, -3, 3);
}

void fill_uniform(trial *t, operand *o, double low, double high)
{
  fill_by(t, o, draw_uniform, low, high);
}

void fill_integers(trial *t, operand *o, int64_t low, int64_t high)
{
  fill_by(t, o, draw_integer, (double)low, (double)high);
}

void fill_values(operand *o, const double *values)
{
  for (int64_t i = 0; i < o->count; i++)
    o->value[i] = values[i];
  operand_settle(o);
}
