/* Moves, selection, bits and bytes. */
#include "tests/cuda_emulator/ptx/code.h"

#define UNARY(name, type, expression) PTX_UNARY(name, type, type, expression)
#define BINARY(name, type, second, expression) PTX_BINARY(name, type, type, second, expression)
#define TERNARY(name, type, expression) PTX_TERNARY(name, type, type, u32, u32, expression)

UNARY(mov_32, u32, a)
UNARY(mov_64, u64, a)
UNARY(not_16, u32, ~a & 0xffff)
UNARY(not_32, u32, ~a)
UNARY(not_64, u64, ~a)
UNARY(cnot_32, u32, a == 0)
BINARY(and_32, u32, u32, a &b)
BINARY(or_32, u32, u32, a | b)
BINARY(xor_32, u32, u32, a ^ b)
BINARY(and_64, u64, u64, a &b)
BINARY(or_64, u64, u64, a | b)
BINARY(xor_64, u64, u64, a ^ b)

/* A shift by the width and more gives nothing, or the sign. */
BINARY(shl_16, u32, u32, b > 15 ? 0 : (a << b) & 0xffff)
BINARY(shr_u16, u32, u32, b > 15 ? 0 : a >> b)
BINARY(shr_s16, u32, u32, (uint32_t)((int16_t)a >> (b > 15 ? 15 : b)) & 0xffff)
BINARY(shl_32, u32, u32, b > 31 ? 0 : a << b)
BINARY(shr_u32, u32, u32, b > 31 ? 0 : a >> b)
BINARY(shr_s32, s32, u32, a >> (b > 31 ? 31 : b))
BINARY(shl_64, u64, u32, b > 63 ? 0 : a << b)
BINARY(shr_u64, u64, u32, b > 63 ? 0 : a >> b)
BINARY(shr_s64, s64, u32, a >> (b > 63 ? 63 : b))
/* Funnel shifts: of b:a, the low word first. */
TERNARY(shf_l_wrap, u32, (uint32_t)((((uint64_t)b << 32 | a) << (c & 31)) >> 32))
TERNARY(shf_r_wrap, u32, (uint32_t)(((uint64_t)b << 32 | a) >> (c & 31)))
TERNARY(shf_l_clamp, u32, (uint32_t)((((uint64_t)b << 32 | a) << (c > 32 ? 32 : c)) >> 32))
TERNARY(shf_r_clamp, u32, (uint32_t)(((uint64_t)b << 32 | a) >> (c > 32 ? 32 : c)))

static uint32_t reverse_32(uint32_t x)
{
  x = (x >> 1 & 0x55555555) | (x & 0x55555555) << 1;
  x = (x >> 2 & 0x33333333) | (x & 0x33333333) << 2;
  x = (x >> 4 & 0x0f0f0f0f) | (x & 0x0f0f0f0f) << 4;
  return __builtin_bswap32(x);
}

UNARY(popc_32, u32, (uint32_t)__builtin_popcount(a))
UNARY(clz_32, u32, a == 0 ? 32 : (uint32_t)__builtin_clz(a))
UNARY(brev_32, u32, reverse_32(a))
UNARY(bfind_u32, u32, a == 0 ? 0xffffffffu : 31 - (uint32_t)__builtin_clz(a))

#define WIDE_UNARY(name, expression)                                             \
  static ptx_step run_##name(ptx_warp *warp, const ptx_instruction *in)          \
  {                                                                              \
    lane_u32 *d = ptx_lanes(warp, in->operands[0]);                              \
    const lane_u64 *x = ptx_lanes(warp, in->operands[1]);                        \
    PTX_EACH_LANE(warp, const uint64_t a = x[i]; d[i] = (uint32_t)(expression)); \
    return PTX_NEXT;                                                             \
  }
WIDE_UNARY(popc_64, __builtin_popcountll(a))
WIDE_UNARY(clz_64, a == 0 ? 64 : __builtin_clzll(a))

/* `length` bits of x from `first` on; a field that reaches past the end has the sign there. */
static uint64_t field(uint64_t x, uint32_t first, uint32_t length, uint32_t width, bool is_signed)
{
  first &= 0xff, length &= 0xff;
  const uint32_t last = first + length - 1 < width - 1 ? first + length - 1 : width - 1;
  const bool sign = is_signed && length > 0 && (x >> last & 1) != 0;
  uint64_t bits = first >= width ? 0 : (x & (width == 64 ? ~0ull : 0xffffffffu)) >> first;
  if (length < 64)
    bits &= ((uint64_t)1 << length) - 1;
  const uint32_t present = first >= width ? 0 : width - first < length ? width - first : length;
  return sign && present < 64 ? bits | ~(uint64_t)0 << present : bits;
}
TERNARY(bfe_u32, u32, (uint32_t)field(a, b, c, 32, false))
TERNARY(bfe_s32, u32, (uint32_t)field(a, b, c, 32, true))
TERNARY(bfe_u64, u64, field(a, b, c, 64, false))
TERNARY(bfe_s64, u64, field(a, b, c, 64, true))

/* `length` bits of `from` in the place of those of `into` that begin at `first`. */
static uint64_t insert(uint64_t from, uint64_t into, uint32_t first, uint32_t length)
{
  first &= 0xff, length &= 0xff;
  if (first > 63)
    return into;
  const uint64_t mask = (length > 63 ? ~(uint64_t)0 : ((uint64_t)1 << length) - 1) << first;
  return (into & ~mask) | (from << first & mask);
}

#define INSERTION(name, type)                                                                 \
  static ptx_step run_##name(ptx_warp *warp, const ptx_instruction *in)                       \
  {                                                                                           \
    lane_##type *d = ptx_lanes(warp, in->operands[0]);                                        \
    const lane_##type *from = ptx_lanes(warp, in->operands[1]);                               \
    const lane_##type *into = ptx_lanes(warp, in->operands[2]);                               \
    const lane_u32 *firsts = ptx_lanes(warp, in->operands[3]);                                \
    const lane_u32 *lengths = ptx_lanes(warp, in->operands[4]);                               \
    PTX_EACH_LANE(warp, d[i] = (lane_##type)insert(from[i], into[i], firsts[i], lengths[i])); \
    return PTX_NEXT;                                                                          \
  }
INSERTION(bfi_32, u32)
INSERTION(bfi_64, u64)

/* Byte k of the result: number selector >> 4 k of b:a; bit 3 of the selector repeats its sign. */
static uint32_t permute(uint32_t a, uint32_t b, uint32_t selector)
{
  const uint64_t bytes = (uint64_t)b << 32 | a;
  uint32_t result = 0;
  for (int k = 0; k < 4; k++) {
    const uint32_t choice = selector >> (4 * k) & 15;
    uint32_t byte = (uint32_t)(bytes >> (8 * (choice & 7))) & 0xff;
    if (choice & 8)
      byte = byte & 0x80 ? 0xff : 0;
    result |= byte << (8 * k);
  }
  return result;
}
TERNARY(prmt, u32, permute(a, b, c))

/* The last operand is the truth table: bit 4 a + 2 b + c. */
static ptx_step run_lop3(ptx_warp *warp, const ptx_instruction *in)
{
  lane_u32 *d = ptx_lanes(warp, in->operands[0]);
  const lane_u32 *x = ptx_lanes(warp, in->operands[1]), *y = ptx_lanes(warp, in->operands[2]);
  const lane_u32 *z = ptx_lanes(warp, in->operands[3]);
  const uint32_t table = in->operands[4];
  PTX_EACH_LANE(warp, const uint32_t a = x[i]; const uint32_t b = y[i]; const uint32_t c = z[i];
                uint32_t r = 0; for (int k = 0; k < 8; k++) if (table >> k & 1) r |=
                                (k & 4 ? a : ~a) & (k & 2 ? b : ~b) & (k & 1 ? c : ~c);
                d[i] = r);
  return PTX_NEXT;
}

#define SELECT(name, type)                                                      \
  static ptx_step run_##name(ptx_warp *warp, const ptx_instruction *in)         \
  {                                                                             \
    lane_##type *d = ptx_lanes(warp, in->operands[0]);                          \
    const lane_##type *x = ptx_lanes(warp, in->operands[1]);                    \
    const lane_##type *y = ptx_lanes(warp, in->operands[2]);                    \
    const uint32_t first = ptx_predicate(warp, in->operands[3]);                \
    PTX_EACH_LANE(warp, const lane_##type a = x[i]; const lane_##type b = y[i]; \
                  d[i] = first >> i & 1 ? a : b);                               \
    return PTX_NEXT;                                                            \
  }
SELECT(selp_32, u32)
SELECT(selp_64, u64)

#define PREDICATES(name, expression)                                    \
  static ptx_step run_##name(ptx_warp *warp, const ptx_instruction *in) \
  {                                                                     \
    const uint32_t a = ptx_predicate(warp, in->operands[1]);            \
    const uint32_t b = ptx_predicate(warp, in->operands[2]);            \
    (void)b;                                                            \
    ptx_set_predicate(warp, in->operands[0], expression);               \
    return PTX_NEXT;                                                    \
  }
PREDICATES(and_pred, a &b)
PREDICATES(or_pred, a | b)
PREDICATES(xor_pred, a ^ b)
PREDICATES(not_pred, ~a)
PREDICATES(mov_pred, a)

/* Parts of a register, the lowest first: `bytes` of each. */
ptx_step ptx_run_pack(ptx_warp *warp, const ptx_instruction *in)
{
  for (uint32_t rest = warp->mask; rest != 0; rest &= rest - 1) {
    const int i = __builtin_ctz(rest);
    uint64_t whole = 0;
    for (int k = 0; k < in->count; k++) {
      const lane_u32 *part = ptx_lanes(warp, in->operands[k + 1]);
      whole |= (uint64_t)part[i] << (8 * in->bytes * k);
    }
    if (in->wide)
      ((lane_u64 *)ptx_lanes(warp, in->operands[0]))[i] = whole;
    else
      ((lane_u32 *)ptx_lanes(warp, in->operands[0]))[i] = (uint32_t)whole;
  }
  return PTX_NEXT;
}

ptx_step ptx_run_unpack(ptx_warp *warp, const ptx_instruction *in)
{
  for (uint32_t rest = warp->mask; rest != 0; rest &= rest - 1) {
    const int i = __builtin_ctz(rest);
    const void *source = ptx_lanes(warp, in->operands[in->count]);
    const uint64_t whole = in->wide ? ((const lane_u64 *)source)[i] : ((const lane_u32 *)source)[i];
    for (int k = 0; k < in->count; k++) {
      lane_u32 *part = ptx_lanes(warp, in->operands[k]);
      part[i] = (uint32_t)(whole >> (8 * in->bytes * k)) & (in->bytes == 2 ? 0xffffu : ~0u);
    }
  }
  return PTX_NEXT;
}

enum { INTEGER = EMULATOR_INTEGER };
const ptx_opcode ptx_bit_opcodes[] = {
    {"mov.b16", "hh", run_mov_32, INTEGER},
    {"mov.u16", "hh", run_mov_32, INTEGER},
    {"mov.s16", "hh", run_mov_32, INTEGER},
    {"mov.b32", "ww", run_mov_32, INTEGER},
    {"mov.u32", "ww", run_mov_32, INTEGER},
    {"mov.s32", "ww", run_mov_32, INTEGER},
    {"mov.f32", "ww", run_mov_32, INTEGER},
    {"mov.b64", "ll", run_mov_64, INTEGER},
    {"mov.u64", "ll", run_mov_64, INTEGER},
    {"mov.s64", "ll", run_mov_64, INTEGER},
    {"mov.f64", "ll", run_mov_64, INTEGER},
    {"mov.pred", "pP", run_mov_pred, INTEGER},
    {"not.b16", "hh", run_not_16, INTEGER},
    {"not.b32", "ww", run_not_32, INTEGER},
    {"not.b64", "ll", run_not_64, INTEGER},
    {"not.pred", "pP", run_not_pred, INTEGER},
    {"cnot.b32", "ww", run_cnot_32, INTEGER},
    {"and.b16", "hhh", run_and_32, INTEGER},
    {"and.b32", "www", run_and_32, INTEGER},
    {"and.b64", "lll", run_and_64, INTEGER},
    {"and.pred", "pPP", run_and_pred, INTEGER},
    {"or.b16", "hhh", run_or_32, INTEGER},
    {"or.b32", "www", run_or_32, INTEGER},
    {"or.b64", "lll", run_or_64, INTEGER},
    {"or.pred", "pPP", run_or_pred, INTEGER},
    {"xor.b16", "hhh", run_xor_32, INTEGER},
    {"xor.b32", "www", run_xor_32, INTEGER},
    {"xor.b64", "lll", run_xor_64, INTEGER},
    {"xor.pred", "pPP", run_xor_pred, INTEGER},
    {"shl.b16", "hhw", run_shl_16, INTEGER},
    {"shr.u16", "hhw", run_shr_u16, INTEGER},
    {"shr.b16", "hhw", run_shr_u16, INTEGER},
    {"shr.s16", "hhw", run_shr_s16, INTEGER},
    {"shl.b32", "www", run_shl_32, INTEGER},
    {"shr.u32", "www", run_shr_u32, INTEGER},
    {"shr.b32", "www", run_shr_u32, INTEGER},
    {"shr.s32", "www", run_shr_s32, INTEGER},
    {"shl.b64", "llw", run_shl_64, INTEGER},
    {"shr.u64", "llw", run_shr_u64, INTEGER},
    {"shr.b64", "llw", run_shr_u64, INTEGER},
    {"shr.s64", "llw", run_shr_s64, INTEGER},
    {"shf.l.wrap.b32", "wwww", run_shf_l_wrap, INTEGER},
    {"shf.r.wrap.b32", "wwww", run_shf_r_wrap, INTEGER},
    {"shf.l.clamp.b32", "wwww", run_shf_l_clamp, INTEGER},
    {"shf.r.clamp.b32", "wwww", run_shf_r_clamp, INTEGER},
    {"popc.b32", "ww", run_popc_32, INTEGER},
    {"popc.b64", "wl", run_popc_64, INTEGER},
    {"clz.b32", "ww", run_clz_32, INTEGER},
    {"clz.b64", "wl", run_clz_64, INTEGER},
    {"brev.b32", "ww", run_brev_32, INTEGER},
    {"bfind.u32", "ww", run_bfind_u32, INTEGER},
    {"bfe.u32", "wwww", run_bfe_u32, INTEGER},
    {"bfe.s32", "wwww", run_bfe_s32, INTEGER},
    {"bfe.u64", "llww", run_bfe_u64, INTEGER},
    {"bfe.s64", "llww", run_bfe_s64, INTEGER},
    {"bfi.b32", "wwwww", run_bfi_32, INTEGER},
    {"bfi.b64", "lllww", run_bfi_64, INTEGER},
    {"prmt.b32", "wwww", run_prmt, INTEGER},
    {"lop3.b32", "wwwwn", run_lop3, INTEGER},
    {"selp.b16", "hhhP", run_selp_32, INTEGER},
    {"selp.u16", "hhhP", run_selp_32, INTEGER},
    {"selp.s16", "hhhP", run_selp_32, INTEGER},
    {"selp.b32", "wwwP", run_selp_32, INTEGER},
    {"selp.u32", "wwwP", run_selp_32, INTEGER},
    {"selp.s32", "wwwP", run_selp_32, INTEGER},
    {"selp.f32", "wwwP", run_selp_32, INTEGER},
    {"selp.b64", "lllP", run_selp_64, INTEGER},
    {"selp.u64", "lllP", run_selp_64, INTEGER},
    {"selp.s64", "lllP", run_selp_64, INTEGER},
    {"selp.f64", "lllP", run_selp_64, INTEGER},
    {NULL, NULL, NULL, 0},
};
