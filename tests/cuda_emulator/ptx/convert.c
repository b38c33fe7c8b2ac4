/* Conversions, and addresses between their spaces. */
#include <math.h>
#include <string.h>

#include "tests/cuda_emulator/ptx/code.h"

#define CONVERSION PTX_UNARY

/* ---- Between integers: cut to the source's width, extended by its sign, cut again ---- */

typedef uint8_t u8;
typedef int8_t s8;
typedef uint16_t u16;
typedef int16_t s16;
typedef uint32_t u32;
typedef int32_t s32;
typedef uint64_t u64;
typedef int64_t s64;
/* The lanes that hold a value of each type, and what they keep of it. */
#define CUT_u8(x) ((uint32_t)(u8)(x))
#define CUT_s8(x) ((uint32_t)(u16)(s8)(x))
#define CUT_u16(x) ((uint32_t)(u16)(x))
#define CUT_s16(x) ((uint32_t)(u16)(s16)(x))
#define CUT_u32(x) ((uint32_t)(x))
#define CUT_s32(x) ((uint32_t)(x))
#define CUT_u64(x) ((uint64_t)(x))
#define CUT_s64(x) ((uint64_t)(int64_t)(x))

#define TO(d, lanes, s, from) CONVERSION(cvt_##d##_##s, lanes, from, CUT_##d((s)a))
#define TO_ALL(s, from) \
  TO(u8, u32, s, from)  \
  TO(s8, u32, s, from)  \
  TO(u16, u32, s, from) \
  TO(s16, u32, s, from) \
  TO(u32, u32, s, from) TO(s32, u32, s, from) TO(u64, u64, s, from) TO(s64, u64, s, from)
TO_ALL(u8, u32)
TO_ALL(s8, u32)
TO_ALL(u16, u32)
TO_ALL(s16, u32)
TO_ALL(u32, u32)
TO_ALL(s32, u32)
TO_ALL(u64, u64)
TO_ALL(s64, u64)
/* A source of 32 bits may lie in a register of 64. */
#define FROM_WIDE(d, lanes, s) CONVERSION(cvt_##d##_wide_##s, lanes, u64, CUT_##d((s)a))
#define FROM_WIDE_ALL(s) \
  FROM_WIDE(u8, u32, s)  \
  FROM_WIDE(s8, u32, s)  \
  FROM_WIDE(u16, u32, s) \
  FROM_WIDE(s16, u32, s) \
  FROM_WIDE(u32, u32, s) FROM_WIDE(s32, u32, s) FROM_WIDE(u64, u64, s) FROM_WIDE(s64, u64, s)
FROM_WIDE_ALL(u8)
FROM_WIDE_ALL(s8)
FROM_WIDE_ALL(u16)
FROM_WIDE_ALL(s16)
FROM_WIDE_ALL(u32)
FROM_WIDE_ALL(s32)

/* ---- Floating point and integers ---- */

/* Into the range of the type; NaN gives 0, in 64 bits the sign alone. */
static int32_t to_s32(double x)
{
  return isnan(x) ? 0 : x <= -0x1p31 ? INT32_MIN : x >= 0x1p31 ? INT32_MAX : (int32_t)x;
}

static uint32_t to_u32(double x)
{
  return !(x > 0) ? 0 : x >= 0x1p32 ? UINT32_MAX : (uint32_t)x;
}

static int64_t to_s64(double x)
{
  return isnan(x) || x <= -0x1p63 ? INT64_MIN : x >= 0x1p63 ? INT64_MAX : (int64_t)x;
}

static uint64_t to_u64(double x)
{
  return isnan(x) ? (uint64_t)1 << 63 : x <= 0 ? 0 : x >= 0x1p64 ? UINT64_MAX : (uint64_t)x;
}

/* To an integer of type d, from a float of type s: to zero, to nearest, down, up. */
#define ROUNDED(d, lanes, s, round, function) \
  CONVERSION(cvt_##round##_##d##_##s, lanes, s, to_##d(function((double)a)))
#define ROUNDED_ALL(d, lanes, s)   \
  ROUNDED(d, lanes, s, rzi, trunc) \
  ROUNDED(d, lanes, s, rni, rint)  \
  ROUNDED(d, lanes, s, rmi, floor) ROUNDED(d, lanes, s, rpi, ceil)
ROUNDED_ALL(s32, s32, f32)
ROUNDED_ALL(u32, u32, f32)
ROUNDED_ALL(s64, s64, f32)
ROUNDED_ALL(u64, u64, f32)
ROUNDED_ALL(s32, s32, f64)
ROUNDED_ALL(u32, u32, f64)
ROUNDED_ALL(s64, s64, f64)
ROUNDED_ALL(u64, u64, f64)

CONVERSION(cvt_f32_s16, f32, u32, (s16)a)
CONVERSION(cvt_f32_u16, f32, u32, (u16)a)
CONVERSION(cvt_f32_s32, f32, s32, a)
CONVERSION(cvt_f32_u32, f32, u32, a)
CONVERSION(cvt_f32_s64, f32, s64, a)
CONVERSION(cvt_f32_u64, f32, u64, a)
CONVERSION(cvt_f64_s32, f64, s32, a)
CONVERSION(cvt_f64_u32, f64, u32, a)
CONVERSION(cvt_f64_s64, f64, s64, a)
CONVERSION(cvt_f64_u64, f64, u64, a)
CONVERSION(cvt_f64_f32, f64, f32, a)
CONVERSION(cvt_f32_f64, f32, f64, a)
CONVERSION(rni_f32, f32, f32, rintf(a))
CONVERSION(rzi_f32, f32, f32, truncf(a))
CONVERSION(rmi_f32, f32, f32, floorf(a))
CONVERSION(rpi_f32, f32, f32, ceilf(a))
CONVERSION(rni_f64, f64, f64, rint(a))
CONVERSION(rzi_f64, f64, f64, trunc(a))
CONVERSION(rmi_f64, f64, f64, floor(a))
CONVERSION(rpi_f64, f64, f64, ceil(a))

/* ---- bf16 and tf32 ---- */

/* To nearest, ties to even; every NaN is the canonical one. */
static uint32_t bf16_bits(uint32_t bits)
{
  if ((bits & 0x7fffffff) > 0x7f800000)
    return 0x7fff;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

CONVERSION(cvt_bf16_f32, u32, u32, bf16_bits(a))
CONVERSION(cvt_f32_bf16, u32, u32, a << 16)
/* To nearest, ties away from zero, in 10 bits; the others are zero. */
CONVERSION(cvt_tf32_f32, u32, u32,
           (a & 0x7fffffff) > 0x7f800000 ? 0x7fffffff : (a + 0x1000) & ~0x1fffu)

/* d = a in the upper half, b in the lower. */
static ptx_step run_cvt_bf16x2(ptx_warp *warp, const ptx_instruction *in)
{
  lane_u32 *d = ptx_lanes(warp, in->operands[0]);
  const lane_u32 *x = ptx_lanes(warp, in->operands[1]), *y = ptx_lanes(warp, in->operands[2]);
  PTX_EACH_LANE(warp, const uint32_t a = x[i]; const uint32_t b = y[i];
                d[i] = bf16_bits(a) << 16 | bf16_bits(b));
  return PTX_NEXT;
}

/* ---- Generic addresses ---- */

#define WINDOW_OPCODES(name, space)                                            \
  CONVERSION(from_##name, u64, u64, (a & 0xffffffffu) | PTX_WINDOW(space))     \
  static ptx_step run_to_##name(ptx_warp *warp, const ptx_instruction *in)     \
  {                                                                            \
    lane_u64 *d = ptx_lanes(warp, in->operands[0]);                            \
    const lane_u64 *x = ptx_lanes(warp, in->operands[1]);                      \
    for (uint32_t rest = warp->mask; rest != 0; rest &= rest - 1) {            \
      const int i = __builtin_ctz(rest);                                       \
      if (x[i] >> 56 != (space))                                               \
        ptx_complain(warp, in, i, "%#llx is no generic address of this space", \
                     (unsigned long long)x[i]);                                \
      d[i] = x[i] & 0xffffffffu;                                               \
    }                                                                          \
    return PTX_NEXT;                                                           \
  }
WINDOW_OPCODES(shared, PTX_SPACE_SHARED)
WINDOW_OPCODES(local, PTX_SPACE_LOCAL)
WINDOW_OPCODES(param, PTX_SPACE_PARAM)
/* Global addresses are generic ones; variables of the module have their window in both. */
CONVERSION(same_64, u64, u64, a)

enum { INTEGER = EMULATOR_INTEGER };

#define LETTER_u8 "h"
#define LETTER_s8 "h"
#define LETTER_u16 "h"
#define LETTER_s16 "h"
#define LETTER_u32 "w"
#define LETTER_s32 "w"
#define LETTER_u64 "l"
#define LETTER_s64 "l"
#define NAME(d, s)                                                      \
  {                                                                     \
    "cvt." #d "." #s, LETTER_##d LETTER_##s, run_cvt_##d##_##s, INTEGER \
  }
#define NAMES(s)                                                                                  \
  NAME(u8, s), NAME(s8, s), NAME(u16, s), NAME(s16, s), NAME(u32, s), NAME(s32, s), NAME(u64, s), \
      NAME(s64, s)
/* The decoder asks for these where it finds such a register. */
#define WIDE_NAME(d, s)                                                     \
  {                                                                         \
    "cvt." #d "." #s "/64", LETTER_##d "l", run_cvt_##d##_wide_##s, INTEGER \
  }
#define WIDE_NAMES(s)                                                                          \
  WIDE_NAME(u8, s), WIDE_NAME(s8, s), WIDE_NAME(u16, s), WIDE_NAME(s16, s), WIDE_NAME(u32, s), \
      WIDE_NAME(s32, s), WIDE_NAME(u64, s), WIDE_NAME(s64, s)
#define LETTER_f32 "w"
#define LETTER_f64 "l"
#define ROUND(round, d, s)                                                                   \
  {                                                                                          \
    "cvt." #round "." #d "." #s, LETTER_##d LETTER_##s, run_cvt_##round##_##d##_##s, INTEGER \
  }
#define ROUNDS(d, s) ROUND(rzi, d, s), ROUND(rni, d, s), ROUND(rmi, d, s), ROUND(rpi, d, s)

const ptx_opcode ptx_convert_opcodes[] = {
    NAMES(u8),
    NAMES(s8),
    NAMES(u16),
    NAMES(s16),
    NAMES(u32),
    NAMES(s32),
    NAMES(u64),
    NAMES(s64),
    WIDE_NAMES(u8),
    WIDE_NAMES(s8),
    WIDE_NAMES(u16),
    WIDE_NAMES(s16),
    WIDE_NAMES(u32),
    WIDE_NAMES(s32),
    ROUNDS(s32, f32),
    ROUNDS(u32, f32),
    ROUNDS(s64, f32),
    ROUNDS(u64, f32),
    ROUNDS(s32, f64),
    ROUNDS(u32, f64),
    ROUNDS(s64, f64),
    ROUNDS(u64, f64),
    {"cvt.rn.f32.s16", "wh", run_cvt_f32_s16, INTEGER},
    {"cvt.rn.f32.u16", "wh", run_cvt_f32_u16, INTEGER},
    {"cvt.rn.f32.s32", "ww", run_cvt_f32_s32, INTEGER},
    {"cvt.rn.f32.u32", "ww", run_cvt_f32_u32, INTEGER},
    {"cvt.rn.f32.s64", "wl", run_cvt_f32_s64, INTEGER},
    {"cvt.rn.f32.u64", "wl", run_cvt_f32_u64, INTEGER},
    {"cvt.rn.f64.s32", "lw", run_cvt_f64_s32, INTEGER},
    {"cvt.rn.f64.u32", "lw", run_cvt_f64_u32, INTEGER},
    {"cvt.rn.f64.s64", "ll", run_cvt_f64_s64, INTEGER},
    {"cvt.rn.f64.u64", "ll", run_cvt_f64_u64, INTEGER},
    {"cvt.f64.f32", "lw", run_cvt_f64_f32, INTEGER},
    {"cvt.rn.f32.f64", "wl", run_cvt_f32_f64, INTEGER},
    {"cvt.rni.f32.f32", "ww", run_rni_f32, INTEGER},
    {"cvt.rzi.f32.f32", "ww", run_rzi_f32, INTEGER},
    {"cvt.rmi.f32.f32", "ww", run_rmi_f32, INTEGER},
    {"cvt.rpi.f32.f32", "ww", run_rpi_f32, INTEGER},
    {"cvt.rni.f64.f64", "ll", run_rni_f64, INTEGER},
    {"cvt.rzi.f64.f64", "ll", run_rzi_f64, INTEGER},
    {"cvt.rmi.f64.f64", "ll", run_rmi_f64, INTEGER},
    {"cvt.rpi.f64.f64", "ll", run_rpi_f64, INTEGER},
    {"cvt.rn.bf16.f32", "hw", run_cvt_bf16_f32, INTEGER},
    {"cvt.f32.bf16", "wh", run_cvt_f32_bf16, INTEGER},
    {"cvt.rn.bf16x2.f32", "www", run_cvt_bf16x2, INTEGER},
    {"cvt.rna.tf32.f32", "ww", run_cvt_tf32_f32, INTEGER},
    {"cvta.global.u64", "ll", run_same_64, INTEGER},
    {"cvta.to.global.u64", "ll", run_same_64, INTEGER},
    {"cvta.const.u64", "ll", run_same_64, INTEGER},
    {"cvta.to.const.u64", "ll", run_same_64, INTEGER},
    {"cvta.shared.u64", "ll", run_from_shared, INTEGER},
    {"cvta.to.shared.u64", "ll", run_to_shared, INTEGER},
    {"cvta.local.u64", "ll", run_from_local, INTEGER},
    {"cvta.to.local.u64", "ll", run_to_local, INTEGER},
    {"cvta.param.u64", "ll", run_from_param, INTEGER},
    {"cvta.to.param.u64", "ll", run_to_param, INTEGER},
    {NULL, NULL, NULL, 0},
};
