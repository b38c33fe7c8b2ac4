/* Arithmetic and comparisons. Float32 and float64 are IEEE's; the .approx forms, which the document
 * gives an error bound for, are rounded correctly here. */
#include <math.h>
#include <string.h>

#include "tests/cuda_emulator/ptx/code.h"

#define UNARY PTX_UNARY
#define BINARY(name, out, type, expression) PTX_BINARY(name, out, type, type, expression)
/* The third may be wider, as in mad.wide. */
#define TERNARY(name, out, type, last, expression) \
  PTX_TERNARY(name, out, type, type, last, expression)

/* ---- Integers ---- */

BINARY(add_16, u32, u32, (a + b) & 0xffff)
BINARY(sub_16, u32, u32, (a - b) & 0xffff)
BINARY(mul_lo_16, u32, u32, (a * b) & 0xffff)
BINARY(mul_wide_u16, u32, u32, a *b)
BINARY(mul_wide_s16, u32, u32, (int32_t)(int16_t)a *(int16_t)b)
TERNARY(mad_lo_16, u32, u32, u32, (a * b + c) & 0xffff)
UNARY(neg_16, u32, u32, (0 - a) & 0xffff)
BINARY(min_s16, u32, u32, (int16_t)a < (int16_t)b ? a : b)
BINARY(max_s16, u32, u32, (int16_t)a > (int16_t)b ? a : b)
BINARY(add_32, u32, u32, a + b)
BINARY(sub_32, u32, u32, a - b)
BINARY(mul_lo_32, u32, u32, a *b)
BINARY(mul_hi_u32, u32, u32, (uint64_t)a *b >> 32)
BINARY(mul_hi_s32, u32, s32, (int64_t)a *b >> 32)
BINARY(mul_wide_u32, u64, u32, (uint64_t)a *b)
BINARY(mul_wide_s32, s64, s32, (int64_t)a *b)
TERNARY(mad_lo_32, u32, u32, u32, a *b + c)
TERNARY(mad_hi_u32, u32, u32, u32, ((uint64_t)a * b >> 32) + c)
TERNARY(mad_wide_u32, u64, u32, u64, (uint64_t)a *b + c)
TERNARY(mad_wide_s32, u64, s32, u64, (uint64_t)((int64_t)a *b) + c)
UNARY(neg_32, u32, u32, 0 - a)
UNARY(abs_32, u32, s32, a < 0 ? 0 - (uint32_t)a : (uint32_t)a)
BINARY(min_s32, s32, s32, a < b ? a : b)
BINARY(max_s32, s32, s32, a > b ? a : b)
BINARY(min_u32, u32, u32, a < b ? a : b)
BINARY(max_u32, u32, u32, a > b ? a : b)
__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 s128;
BINARY(add_64, u64, u64, a + b)
BINARY(sub_64, u64, u64, a - b)
BINARY(mul_lo_64, u64, u64, a *b)
BINARY(mul_hi_u64, u64, u64, (uint64_t)((u128)a *b >> 64))
BINARY(mul_hi_s64, s64, s64, (int64_t)((s128)a *b >> 64))
TERNARY(mad_lo_64, u64, u64, u64, a *b + c)
UNARY(neg_64, u64, u64, 0 - a)
UNARY(abs_64, u64, s64, a < 0 ? 0 - (uint64_t)a : (uint64_t)a)
BINARY(min_s64, s64, s64, a < b ? a : b)
BINARY(max_s64, s64, s64, a > b ? a : b)
BINARY(min_u64, u64, u64, a < b ? a : b)
BINARY(max_u64, u64, u64, a > b ? a : b)

/* A division by zero is undefined on the device; so is what C says of the least integer by -1. */
#define DIVISION(name, type, operation, by_minus_one)                                  \
  static ptx_step run_##name(ptx_warp *warp, const ptx_instruction *in)                \
  {                                                                                    \
    lane_##type *d = ptx_lanes(warp, in->operands[0]);                                 \
    const lane_##type *x = ptx_lanes(warp, in->operands[1]);                           \
    const lane_##type *y = ptx_lanes(warp, in->operands[2]);                           \
    for (uint32_t rest = warp->mask; rest != 0; rest &= rest - 1) {                    \
      const int i = __builtin_ctz(rest);                                               \
      const lane_##type a = x[i], b = y[i];                                            \
      if (b == 0)                                                                      \
        ptx_complain(warp, in, i, "division by zero");                                 \
      d[i] = b == 0 ? (lane_##type) - 1 : b + 1 == 0 ? (by_minus_one) : a operation b; \
    }                                                                                  \
    return PTX_NEXT;                                                                   \
  }
DIVISION(div_s32, s32, /, (int32_t)(0 - (uint32_t)a))
DIVISION(rem_s32, s32, %, 0)
DIVISION(div_u32, u32, /, a / b)
DIVISION(rem_u32, u32, %, a % b)
DIVISION(div_s64, s64, /, (int64_t)(0 - (uint64_t)a))
DIVISION(rem_s64, s64, %, 0)
DIVISION(div_u64, u64, /, a / b)
DIVISION(rem_u64, u64, %, a % b)

/* ---- Floating point ---- */

static float flush(float x)
{
  return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x;
}

/* One NaN gives the other operand, and -0 is less than +0. */
static float least_f32(float a, float b)
{
  return isnan(a) ? b : isnan(b) ? a : a < b || (a == b && signbit(a)) ? a : b;
}

static float greatest_f32(float a, float b)
{
  return isnan(a) ? b : isnan(b) ? a : a > b || (a == b && !signbit(a)) ? a : b;
}

static double least_f64(double a, double b)
{
  return isnan(a) ? b : isnan(b) ? a : a < b || (a == b && signbit(a)) ? a : b;
}

static double greatest_f64(double a, double b)
{
  return isnan(a) ? b : isnan(b) ? a : a > b || (a == b && !signbit(a)) ? a : b;
}

static float saturate(float x)
{
  return x > 1 ? 1 : x > 0 ? x : 0;
}

BINARY(add_f32, f32, f32, a + b)
BINARY(sub_f32, f32, f32, a - b)
BINARY(mul_f32, f32, f32, a *b)
BINARY(add_ftz_f32, f32, f32, flush(flush(a) + flush(b)))
BINARY(sub_ftz_f32, f32, f32, flush(flush(a) - flush(b)))
BINARY(mul_ftz_f32, f32, f32, flush(flush(a) * flush(b)))
BINARY(add_sat_f32, f32, f32, saturate(a + b))
BINARY(min_f32, f32, f32, least_f32(a, b))
BINARY(max_f32, f32, f32, greatest_f32(a, b))
BINARY(min_nan_f32, f32, f32, isnan(a) || isnan(b) ? NAN : least_f32(a, b))
BINARY(max_nan_f32, f32, f32, isnan(a) || isnan(b) ? NAN : greatest_f32(a, b))
BINARY(div_f32, f32, f32, a / b)
UNARY(neg_f32, u32, u32, a ^ 0x80000000u)
UNARY(abs_f32, u32, u32, a & 0x7fffffffu)
UNARY(sqrt_f32, f32, f32, sqrtf(a))
UNARY(rcp_f32, f32, f32, 1 / a)
UNARY(rsqrt_f32, f32, f32, (float)(1 / sqrt((double)a)))
UNARY(ex2_f32, f32, f32, exp2f(a))
UNARY(lg2_f32, f32, f32, log2f(a))
UNARY(sin_f32, f32, f32, sinf(a))
UNARY(cos_f32, f32, f32, cosf(a))
UNARY(tanh_f32, f32, f32, tanhf(a))
UNARY(sqrt_ftz_f32, f32, f32, flush(sqrtf(flush(a))))
UNARY(rcp_ftz_f32, f32, f32, flush(1 / flush(a)))
UNARY(rsqrt_ftz_f32, f32, f32, flush((float)(1 / sqrt((double)flush(a)))))
UNARY(ex2_ftz_f32, f32, f32, flush(exp2f(flush(a))))
UNARY(lg2_ftz_f32, f32, f32, flush(log2f(flush(a))))
BINARY(div_ftz_f32, f32, f32, flush(flush(a) / flush(b)))
TERNARY(fma_ftz_f32, f32, f32, f32, flush(fmaf(flush(a), flush(b), flush(c))))
BINARY(copysign_f32, u32, u32, (a & 0x80000000u) | (b & 0x7fffffffu))
BINARY(add_f64, f64, f64, a + b)
BINARY(sub_f64, f64, f64, a - b)
BINARY(mul_f64, f64, f64, a *b)
BINARY(div_f64, f64, f64, a / b)
BINARY(min_f64, f64, f64, least_f64(a, b))
BINARY(max_f64, f64, f64, greatest_f64(a, b))
TERNARY(fma_f64, f64, f64, f64, fma(a, b, c))
UNARY(neg_f64, u64, u64, a ^ (uint64_t)1 << 63)
UNARY(abs_f64, u64, u64, a & ~((uint64_t)1 << 63))
UNARY(sqrt_f64, f64, f64, sqrt(a))
UNARY(rcp_f64, f64, f64, 1 / a)

/* The library's fmaf is a call for each lane, and most of the time of a product. */
typedef void (*fma_function)(const ptx_warp *warp, lane_f32 *d, const lane_f32 *x,
                             const lane_f32 *y, const lane_f32 *z);

static void fma_portable(const ptx_warp *warp, lane_f32 *d, const lane_f32 *x, const lane_f32 *y,
                         const lane_f32 *z)
{
  PTX_EACH_LANE(warp, d[i] = fmaf(x[i], y[i], z[i]));
}

#ifdef __x86_64__
__attribute__((target("avx2,fma"))) static void fma_of_machine(const ptx_warp *warp, lane_f32 *d,
                                                               const lane_f32 *x, const lane_f32 *y,
                                                               const lane_f32 *z)
{
  PTX_EACH_LANE(warp, d[i] = __builtin_fmaf(x[i], y[i], z[i]));
}
#endif

static fma_function choose_fma(void)
{
#ifdef __x86_64__
  if (__builtin_cpu_supports("fma") && __builtin_cpu_supports("avx2"))
    return fma_of_machine;
#endif
  return fma_portable;
}

static ptx_step run_fma_f32(ptx_warp *warp, const ptx_instruction *in)
{
  static fma_function chosen;
  if (chosen == NULL)
    chosen = choose_fma();
  chosen(warp, ptx_lanes(warp, in->operands[0]), ptx_lanes(warp, in->operands[1]),
         ptx_lanes(warp, in->operands[2]), ptx_lanes(warp, in->operands[3]));
  return PTX_NEXT;
}

/* ---- Two bf16 in a register: each result is rounded once ---- */

static float bf16_value(uint32_t half)
{
  const uint32_t bits = half << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* To nearest, ties to even. `x` is a sum of products of two bf16, so exact enough in double. */
static uint32_t bf16_of(double x)
{
  float nearest = (float)x;
  uint32_t bits;
  memcpy(&bits, &nearest, sizeof bits);
  if (isnan(x))
    return 0x7fff;
  /* Rounding twice errs where the float is just a tie that the double was not. */
  if ((bits & 0xffff) == 0x8000 && (double)nearest != x)
    bits += fabs(x) > fabs((double)nearest) ? 1 : 0xffffffffu;
  return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) & 0xffff;
}

#define LOW(x) ((double)bf16_value((x)&0xffff))
#define HIGH(x) ((double)bf16_value((x) >> 16))
TERNARY(fma_bf16x2, u32, u32, u32,
        bf16_of(LOW(a) * LOW(b) + LOW(c)) | bf16_of(HIGH(a) * HIGH(b) + HIGH(c)) << 16)
BINARY(mul_bf16x2, u32, u32, bf16_of(LOW(a) * LOW(b)) | bf16_of(HIGH(a) * HIGH(b)) << 16)
BINARY(add_bf16x2, u32, u32, bf16_of(LOW(a) + LOW(b)) | bf16_of(HIGH(a) + HIGH(b)) << 16)
BINARY(sub_bf16x2, u32, u32, bf16_of(LOW(a) - LOW(b)) | bf16_of(HIGH(a) - HIGH(b)) << 16)
BINARY(max_bf16x2, u32, u32,
       bf16_of((double)greatest_f32(bf16_value(a & 0xffff), bf16_value(b & 0xffff))) |
           bf16_of((double)greatest_f32(bf16_value(a >> 16), bf16_value(b >> 16))) << 16)

/* ---- Comparisons ---- */

#define COMPARISON(name, type, read, expression)               \
  static uint32_t compare_##name(const void *x, const void *y) \
  {                                                            \
    const lane_##type *p = x, *q = y;                          \
    uint32_t mask = 0;                                         \
    for (int i = 0; i < PTX_LANES; i++) {                      \
      const read a = (read)p[i];                               \
      const read b = (read)q[i];                               \
      mask |= (uint32_t)(expression) << i;                     \
    }                                                          \
    return mask;                                               \
  }
#define COMPARISONS(type, lane, read)       \
  COMPARISON(eq_##type, lane, read, a == b) \
  COMPARISON(ne_##type, lane, read, a != b) \
  COMPARISON(lt_##type, lane, read, a < b)  \
  COMPARISON(le_##type, lane, read, a <= b) \
  COMPARISON(gt_##type, lane, read, a > b)  \
  COMPARISON(ge_##type, lane, read, a >= b)
/* The letter u: true of NaN too. */
#define FLOAT_COMPARISONS(type)                                              \
  COMPARISON(eq_##type, type, lane_##type, a == b)                           \
  COMPARISON(ne_##type, type, lane_##type, a != b && !isnan(a) && !isnan(b)) \
  COMPARISON(lt_##type, type, lane_##type, a < b)                            \
  COMPARISON(le_##type, type, lane_##type, a <= b)                           \
  COMPARISON(gt_##type, type, lane_##type, a > b)                            \
  COMPARISON(ge_##type, type, lane_##type, a >= b)                           \
  COMPARISON(equ_##type, type, lane_##type, a == b || isnan(a) || isnan(b))  \
  COMPARISON(neu_##type, type, lane_##type, a != b)                          \
  COMPARISON(ltu_##type, type, lane_##type, !(a >= b))                       \
  COMPARISON(leu_##type, type, lane_##type, !(a > b))                        \
  COMPARISON(gtu_##type, type, lane_##type, !(a <= b))                       \
  COMPARISON(geu_##type, type, lane_##type, !(a < b))                        \
  COMPARISON(num_##type, type, lane_##type, !isnan(a) && !isnan(b))          \
  COMPARISON(nan_##type, type, lane_##type, isnan(a) || isnan(b))
COMPARISONS(u16, u32, uint16_t)
COMPARISONS(s16, u32, int16_t)
COMPARISONS(u32, u32, uint32_t)
COMPARISONS(s32, s32, int32_t)
COMPARISONS(u64, u64, uint64_t)
COMPARISONS(s64, s64, int64_t)
FLOAT_COMPARISONS(f32)
FLOAT_COMPARISONS(f64)

#define SIX(type)                                                         \
  {"eq", #type, compare_eq_##type}, {"ne", #type, compare_ne_##type},     \
      {"lt", #type, compare_lt_##type}, {"le", #type, compare_le_##type}, \
      {"gt", #type, compare_gt_##type},                                   \
  {                                                                       \
    "ge", #type, compare_ge_##type                                        \
  }
#define MORE(type)                                                            \
  {"equ", #type, compare_equ_##type}, {"neu", #type, compare_neu_##type},     \
      {"ltu", #type, compare_ltu_##type}, {"leu", #type, compare_leu_##type}, \
      {"gtu", #type, compare_gtu_##type}, {"geu", #type, compare_geu_##type}, \
      {"num", #type, compare_num_##type},                                     \
  {                                                                           \
    "nan", #type, compare_nan_##type                                          \
  }
#define UNSIGNED(type)                                                \
  {"lo", #type, compare_lt_##type}, {"ls", #type, compare_le_##type}, \
      {"hi", #type, compare_gt_##type},                               \
  {                                                                   \
    "hs", #type, compare_ge_##type                                    \
  }
static const struct {
  const char *name, *type;
  ptx_comparison compare;
} comparisons[] = {
    SIX(u16),
    SIX(s16),
    SIX(u32),
    SIX(s32),
    SIX(u64),
    SIX(s64),
    SIX(f32),
    SIX(f64),
    MORE(f32),
    MORE(f64),
    UNSIGNED(u16),
    UNSIGNED(u32),
    UNSIGNED(u64),
    {"eq", "b16", compare_eq_u16},
    {"ne", "b16", compare_ne_u16},
    {"eq", "b32", compare_eq_u32},
    {"ne", "b32", compare_ne_u32},
    {"eq", "b64", compare_eq_u64},
    {"ne", "b64", compare_ne_u64},
};

ptx_comparison ptx_find_comparison(const char *name, const char *type)
{
  for (size_t i = 0; i < sizeof comparisons / sizeof comparisons[0]; i++)
    if (strcmp(comparisons[i].name, name) == 0 && strcmp(comparisons[i].type, type) == 0)
      return comparisons[i].compare;
  return NULL;
}

/* Operands: two destinations, of what holds and of what does not, a and b, the third that they are
 * combined with. */
ptx_step ptx_run_setp(ptx_warp *warp, const ptx_instruction *in)
{
  const uint32_t is =
      in->compare(ptx_lanes(warp, in->operands[2]), ptx_lanes(warp, in->operands[3]));
  const uint32_t with = ptx_predicate(warp, in->operands[4]);
  for (int i = 0; i < in->count; i++) {
    const uint32_t holds = i == 0 ? is : ~is;
    ptx_set_predicate(warp, in->operands[i],
                      in->combine == PTX_COMBINE_AND   ? holds & with
                      : in->combine == PTX_COMBINE_OR  ? holds | with
                      : in->combine == PTX_COMBINE_XOR ? holds ^ with
                                                       : holds);
  }
  return PTX_NEXT;
}

/* ---- Names ---- */

enum {
  INTEGER = EMULATOR_INTEGER,
  FLOAT = EMULATOR_FLOAT,
  DOUBLE = EMULATOR_DOUBLE,
  SPECIAL = EMULATOR_SPECIAL
};

const ptx_opcode ptx_arithmetic_opcodes[] = {
    {"add.s16", "hhh", run_add_16, INTEGER},
    {"add.u16", "hhh", run_add_16, INTEGER},
    {"sub.s16", "hhh", run_sub_16, INTEGER},
    {"sub.u16", "hhh", run_sub_16, INTEGER},
    {"mul.lo.s16", "hhh", run_mul_lo_16, INTEGER},
    {"mul.lo.u16", "hhh", run_mul_lo_16, INTEGER},
    {"mul.wide.u16", "whh", run_mul_wide_u16, INTEGER},
    {"mul.wide.s16", "whh", run_mul_wide_s16, INTEGER},
    {"mad.lo.s16", "hhhh", run_mad_lo_16, INTEGER},
    {"mad.lo.u16", "hhhh", run_mad_lo_16, INTEGER},
    {"neg.s16", "hh", run_neg_16, INTEGER},
    {"min.s16", "hhh", run_min_s16, INTEGER},
    {"max.s16", "hhh", run_max_s16, INTEGER},
    {"min.u16", "hhh", run_min_u32, INTEGER},
    {"max.u16", "hhh", run_max_u32, INTEGER},
    {"add.s32", "www", run_add_32, INTEGER},
    {"add.u32", "www", run_add_32, INTEGER},
    {"sub.s32", "www", run_sub_32, INTEGER},
    {"sub.u32", "www", run_sub_32, INTEGER},
    {"mul.lo.s32", "www", run_mul_lo_32, INTEGER},
    {"mul.lo.u32", "www", run_mul_lo_32, INTEGER},
    {"mul24.lo.u32", "www", run_mul_lo_32, INTEGER},
    {"mul.hi.u32", "www", run_mul_hi_u32, INTEGER},
    {"mul.hi.s32", "www", run_mul_hi_s32, INTEGER},
    {"mul.wide.u32", "lww", run_mul_wide_u32, INTEGER},
    {"mul.wide.s32", "lww", run_mul_wide_s32, INTEGER},
    {"mad.lo.s32", "wwww", run_mad_lo_32, INTEGER},
    {"mad.lo.u32", "wwww", run_mad_lo_32, INTEGER},
    {"mad.hi.u32", "wwww", run_mad_hi_u32, INTEGER},
    {"mad.wide.u32", "lwwl", run_mad_wide_u32, INTEGER},
    {"mad.wide.s32", "lwwl", run_mad_wide_s32, INTEGER},
    {"neg.s32", "ww", run_neg_32, INTEGER},
    {"abs.s32", "ww", run_abs_32, INTEGER},
    {"min.s32", "www", run_min_s32, INTEGER},
    {"max.s32", "www", run_max_s32, INTEGER},
    {"min.u32", "www", run_min_u32, INTEGER},
    {"max.u32", "www", run_max_u32, INTEGER},
    {"add.s64", "lll", run_add_64, INTEGER},
    {"add.u64", "lll", run_add_64, INTEGER},
    {"sub.s64", "lll", run_sub_64, INTEGER},
    {"sub.u64", "lll", run_sub_64, INTEGER},
    {"mul.lo.s64", "lll", run_mul_lo_64, INTEGER},
    {"mul.lo.u64", "lll", run_mul_lo_64, INTEGER},
    {"mul.hi.u64", "lll", run_mul_hi_u64, INTEGER},
    {"mul.hi.s64", "lll", run_mul_hi_s64, INTEGER},
    {"mad.lo.s64", "llll", run_mad_lo_64, INTEGER},
    {"mad.lo.u64", "llll", run_mad_lo_64, INTEGER},
    {"neg.s64", "ll", run_neg_64, INTEGER},
    {"abs.s64", "ll", run_abs_64, INTEGER},
    {"min.s64", "lll", run_min_s64, INTEGER},
    {"max.s64", "lll", run_max_s64, INTEGER},
    {"min.u64", "lll", run_min_u64, INTEGER},
    {"max.u64", "lll", run_max_u64, INTEGER},
    {"div.s32", "www", run_div_s32, INTEGER},
    {"div.u32", "www", run_div_u32, INTEGER},
    {"rem.s32", "www", run_rem_s32, INTEGER},
    {"rem.u32", "www", run_rem_u32, INTEGER},
    {"div.s64", "lll", run_div_s64, INTEGER},
    {"div.u64", "lll", run_div_u64, INTEGER},
    {"rem.s64", "lll", run_rem_s64, INTEGER},
    {"rem.u64", "lll", run_rem_u64, INTEGER},
    {"add.f32", "www", run_add_f32, FLOAT},
    {"add.rn.f32", "www", run_add_f32, FLOAT},
    {"add.ftz.f32", "www", run_add_ftz_f32, FLOAT},
    {"add.rn.ftz.f32", "www", run_add_ftz_f32, FLOAT},
    {"add.sat.f32", "www", run_add_sat_f32, FLOAT},
    {"sub.f32", "www", run_sub_f32, FLOAT},
    {"sub.rn.f32", "www", run_sub_f32, FLOAT},
    {"sub.ftz.f32", "www", run_sub_ftz_f32, FLOAT},
    {"sub.rn.ftz.f32", "www", run_sub_ftz_f32, FLOAT},
    {"mul.f32", "www", run_mul_f32, FLOAT},
    {"mul.rn.f32", "www", run_mul_f32, FLOAT},
    {"mul.ftz.f32", "www", run_mul_ftz_f32, FLOAT},
    {"mul.rn.ftz.f32", "www", run_mul_ftz_f32, FLOAT},
    {"fma.rn.f32", "wwww", run_fma_f32, FLOAT},
    {"fma.rn.ftz.f32", "wwww", run_fma_ftz_f32, FLOAT},
    {"min.f32", "www", run_min_f32, FLOAT},
    {"max.f32", "www", run_max_f32, FLOAT},
    {"min.ftz.f32", "www", run_min_f32, FLOAT},
    {"max.ftz.f32", "www", run_max_f32, FLOAT},
    {"min.NaN.f32", "www", run_min_nan_f32, FLOAT},
    {"max.NaN.f32", "www", run_max_nan_f32, FLOAT},
    {"neg.f32", "ww", run_neg_f32, FLOAT},
    {"abs.f32", "ww", run_abs_f32, FLOAT},
    {"neg.ftz.f32", "ww", run_neg_f32, FLOAT},
    {"abs.ftz.f32", "ww", run_abs_f32, FLOAT},
    {"copysign.f32", "www", run_copysign_f32, FLOAT},
    {"div.rn.f32", "www", run_div_f32, SPECIAL},
    {"div.full.f32", "www", run_div_f32, SPECIAL},
    {"div.approx.f32", "www", run_div_f32, SPECIAL},
    {"div.full.ftz.f32", "www", run_div_ftz_f32, SPECIAL},
    {"div.approx.ftz.f32", "www", run_div_ftz_f32, SPECIAL},
    {"sqrt.rn.f32", "ww", run_sqrt_f32, SPECIAL},
    {"sqrt.approx.f32", "ww", run_sqrt_f32, SPECIAL},
    {"sqrt.approx.ftz.f32", "ww", run_sqrt_ftz_f32, SPECIAL},
    {"rcp.rn.f32", "ww", run_rcp_f32, SPECIAL},
    {"rcp.approx.f32", "ww", run_rcp_f32, SPECIAL},
    {"rcp.approx.ftz.f32", "ww", run_rcp_ftz_f32, SPECIAL},
    {"rsqrt.approx.f32", "ww", run_rsqrt_f32, SPECIAL},
    {"rsqrt.approx.ftz.f32", "ww", run_rsqrt_ftz_f32, SPECIAL},
    {"ex2.approx.f32", "ww", run_ex2_f32, SPECIAL},
    {"ex2.approx.ftz.f32", "ww", run_ex2_ftz_f32, SPECIAL},
    {"lg2.approx.f32", "ww", run_lg2_f32, SPECIAL},
    {"lg2.approx.ftz.f32", "ww", run_lg2_ftz_f32, SPECIAL},
    {"sin.approx.f32", "ww", run_sin_f32, SPECIAL},
    {"cos.approx.f32", "ww", run_cos_f32, SPECIAL},
    {"tanh.approx.f32", "ww", run_tanh_f32, SPECIAL},
    {"add.f64", "lll", run_add_f64, DOUBLE},
    {"add.rn.f64", "lll", run_add_f64, DOUBLE},
    {"sub.f64", "lll", run_sub_f64, DOUBLE},
    {"sub.rn.f64", "lll", run_sub_f64, DOUBLE},
    {"mul.f64", "lll", run_mul_f64, DOUBLE},
    {"mul.rn.f64", "lll", run_mul_f64, DOUBLE},
    {"fma.rn.f64", "llll", run_fma_f64, DOUBLE},
    {"div.rn.f64", "lll", run_div_f64, DOUBLE},
    {"min.f64", "lll", run_min_f64, DOUBLE},
    {"max.f64", "lll", run_max_f64, DOUBLE},
    {"neg.f64", "ll", run_neg_f64, DOUBLE},
    {"abs.f64", "ll", run_abs_f64, DOUBLE},
    {"sqrt.rn.f64", "ll", run_sqrt_f64, DOUBLE},
    {"rcp.rn.f64", "ll", run_rcp_f64, DOUBLE},
    {"fma.rn.bf16x2", "wwww", run_fma_bf16x2, FLOAT},
    {"mul.rn.bf16x2", "www", run_mul_bf16x2, FLOAT},
    {"mul.bf16x2", "www", run_mul_bf16x2, FLOAT},
    {"add.rn.bf16x2", "www", run_add_bf16x2, FLOAT},
    {"add.bf16x2", "www", run_add_bf16x2, FLOAT},
    {"sub.rn.bf16x2", "www", run_sub_bf16x2, FLOAT},
    {"sub.bf16x2", "www", run_sub_bf16x2, FLOAT},
    {"max.bf16x2", "www", run_max_bf16x2, FLOAT},
    {NULL, NULL, NULL, 0},
};
