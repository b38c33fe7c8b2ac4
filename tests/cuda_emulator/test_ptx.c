/* That the executor of PTX computes what the document says, against C. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/cuda_emulator/ptx_trial.h"
#include "tests/run_suite.h"

/* ---- Instructions of a lane, against C ---- */

static uint64_t random_state = 1;

static uint64_t next_random(void)
{
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return random_state ^ random_state >> 29;
}

/* Small and large integers, floats of all kinds, values at the ends of ranges. */
static uint64_t draw(void)
{
  static const uint64_t ends[] = {0,
                                  1,
                                  2,
                                  31,
                                  32,
                                  33,
                                  0x7fffffff,
                                  0x80000000,
                                  0xffffffff,
                                  0x3f800000,
                                  0xbf800000,
                                  0x7f800000,
                                  0xff800000,
                                  0x7fc00000,
                                  0x00000001,
                                  0x80000001,
                                  0x4b800001,
                                  0x3f808000,
                                  0x3f818000,
                                  0x3ff0000000000000,
                                  0x8000000000000000,
                                  0x7fffffffffffffff};
  const uint64_t value = next_random();
  switch (value % 5) {
  case 0:
    return ends[value / 5 % (sizeof ends / sizeof ends[0])];
  case 1:
    return value / 5 % 100;
  case 2: { /* a float of moderate size, in the lower word */
    const float x = (float)(int64_t)(value >> 40) / 1024.0f - 4096.0f;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
  }
  default:
    return next_random();
  }
}

typedef struct {
  const char *body; /* of %rd1 … %rd3 and their lower words %r1 … %r3 makes %rd4, or %r4 */
  uint64_t (*expect)(uint64_t a, uint64_t b, uint64_t c);
  bool is_wide; /* its result is %rd4 */
} lane_case;

static float f32(uint64_t x)
{
  const uint32_t bits = (uint32_t)x;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint64_t bits32(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static double f64(uint64_t x)
{
  double value;
  memcpy(&value, &x, sizeof value);
  return value;
}

static uint64_t bits64(double x)
{
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* To nearest, ties to even, by the definition: the nearer of the two neighbours. */
static uint32_t bf16(float x)
{
  const uint32_t bits = (uint32_t)bits32(x), down = bits & 0xffff0000u;
  if (isnan(x))
    return 0x7fff;
  const uint32_t rest = bits & 0xffff;
  const bool up = rest > 0x8000 || (rest == 0x8000 && (down >> 16 & 1));
  return (up ? down + 0x10000 : down) >> 16;
}

#define EXPECT(name, expression)                           \
  static uint64_t name(uint64_t a, uint64_t b, uint64_t c) \
  {                                                        \
    (void)a, (void)b, (void)c;                             \
    return (uint64_t)(expression);                         \
  }
typedef uint32_t u32;
typedef int32_t s32;
EXPECT(add32, (u32)((u32)a + (u32)b))
EXPECT(hi32, (u32)((uint64_t)(u32)a *(u32)b >> 32))
EXPECT(hi_s32, (u32)((int64_t)(s32)a *(s32)b >> 32))
EXPECT(mad32, (u32)((u32)a *(u32)b + (u32)c))
EXPECT(mad_wide, (int64_t)(s32)a *(s32)b + (int64_t)c)
EXPECT(divide_s32, (u32)((s32)a / (s32)((u32)b % 100 + 2)))
EXPECT(remainder_u64, a % (b % 1000 + 1))
EXPECT(least_s32, (u32)((s32)a < (s32)b ? (s32)a : (s32)b))
EXPECT(shift_left, (u32)b > 31 ? 0 : (u32)((u32)a << (u32)b))
EXPECT(shift_right_s32, (u32)((s32)a >> ((u32)b > 31 ? 31 : (u32)b)))
EXPECT(shift_right_u64, (u32)b > 63 ? 0 : a >> (u32)b)
EXPECT(funnel, (u32)((((b & 0xffffffff) << 32 | (a & 0xffffffff)) >> (c & 31))))
EXPECT(logic, (u32)((a & b) ^ c))
EXPECT(bytes,
       (u32)((a >> 8 & 0xff) | (b & 0xff) << 8 | (a >> 24 & 0xff) << 16 | (b >> 24 & 0xff) << 24))
EXPECT(extract, (u32)(a >> 5 & 0x7ff))
EXPECT(extract_s32, (u32)(s32)((u32)a << 16) >> 21 | ((u32)a >> 15 & 1 ? 0xfffff800u : 0))
EXPECT(insert, (u32)(((u32)b & ~0xff00u) | ((u32)a & 0xff) << 8))
EXPECT(population, __builtin_popcount((u32)a))
EXPECT(add_float, bits32(f32(a) + f32(b)))
EXPECT(fused, bits32(fmaf(f32(a), f32(b), f32(c))))
EXPECT(divide_float, bits32(f32(a) / f32(b)))
EXPECT(greatest, bits32(fmaxf(f32(a), f32(b))))
EXPECT(root, bits32(sqrtf(fabsf(f32(a)))))
EXPECT(add_double, bits64(f64(a) + f64(b)))
EXPECT(fused_double, bits64(fma(f64(a), f64(b), f64(c))))
EXPECT(to_half, bf16(f32(a)))
EXPECT(to_pair, (u32)(bf16(f32(a)) << 16 | bf16(f32(b))))
EXPECT(to_integer, isnan(f32(a))             ? 0
                   : f32(a) >= 2147483648.0f ? 0x7fffffff
                   : f32(a) < -2147483648.0f ? 0x80000000u
                                             : (u32)(s32)f32(a))
EXPECT(to_nearest, isnan(f32(a))             ? 0
                   : f32(a) >= 2147483648.0f ? 0x7fffffff
                   : f32(a) < -2147483648.0f ? 0x80000000u
                                             : (u32)(s32)rintf(f32(a)))
EXPECT(from_integer, bits32((float)(s32)a))
EXPECT(sign_byte, (u32)(s32)(int8_t)a)
EXPECT(widen, (int64_t)(s32)a)
EXPECT(less, (s32)a < (s32)b)
EXPECT(less_or_nan, !(f32(a) >= f32(b)))
EXPECT(equal_ordered, f32(a) == f32(b))
EXPECT(both, (u32)a<(u32)b && (s32)c> 0)
EXPECT(neither, !((u32)a < (u32)b) || (s32)c > 0)
EXPECT(choose, (s32)a > (s32)b ? a : c)
EXPECT(swap_halves, (u32)((u32)a << 16 | (u32)a >> 16))
EXPECT(swap_words, a << 32 | a >> 32)

#define SET "selp.u32 %r4, 1, 0, %p1;"
static const lane_case lane_cases[] = {
    {"add.s32 %r4, %r1, %r2;", add32, false},
    {"mul.hi.u32 %r4, %r1, %r2;", hi32, false},
    {"mul.hi.s32 %r4, %r1, %r2;", hi_s32, false},
    {"mad.lo.s32 %r4, %r1, %r2, %r3;", mad32, false},
    {"mad.wide.s32 %rd4, %r1, %r2, %rd3;", mad_wide, true},
    {"rem.u32 %r5, %r2, 100; add.s32 %r5, %r5, 2; div.s32 %r4, %r1, %r5;", divide_s32, false},
    {"rem.u64 %rd5, %rd2, 1000; add.s64 %rd5, %rd5, 1; rem.u64 %rd4, %rd1, %rd5;", remainder_u64,
     true},
    {"min.s32 %r4, %r1, %r2;", least_s32, false},
    {"shl.b32 %r4, %r1, %r2;", shift_left, false},
    {"shr.s32 %r4, %r1, %r2;", shift_right_s32, false},
    {"shr.u64 %rd4, %rd1, %r2;", shift_right_u64, true},
    {"shf.r.wrap.b32 %r4, %r1, %r2, %r3;", funnel, false},
    {"lop3.b32 %r4, %r1, %r2, %r3, 0x6a;", logic, false},
    {"prmt.b32 %r4, %r1, %r2, 0x7341;", bytes, false},
    {"bfe.u32 %r4, %r1, 5, 11;", extract, false},
    {"bfe.s32 %r4, %r1, 5, 11;", extract_s32, false},
    {"bfi.b32 %r4, %r1, %r2, 8, 8;", insert, false},
    {"popc.b32 %r4, %r1;", population, false},
    {"add.rn.f32 %r4, %r1, %r2;", add_float, false},
    {"fma.rn.f32 %r4, %r1, %r2, %r3;", fused, false},
    {"div.rn.f32 %r4, %r1, %r2;", divide_float, false},
    {"max.f32 %r4, %r1, %r2;", greatest, false},
    {"abs.f32 %r5, %r1; sqrt.rn.f32 %r4, %r5;", root, false},
    {"add.rn.f64 %rd4, %rd1, %rd2;", add_double, true},
    {"fma.rn.f64 %rd4, %rd1, %rd2, %rd3;", fused_double, true},
    {"cvt.rn.bf16.f32 %h1, %r1; cvt.u32.u16 %r4, %h1;", to_half, false},
    {"cvt.rn.bf16x2.f32 %r4, %r1, %r2;", to_pair, false},
    {"cvt.rzi.s32.f32 %r4, %r1;", to_integer, false},
    {"cvt.rni.s32.f32 %r4, %r1;", to_nearest, false},
    {"cvt.rn.f32.s32 %r4, %r1;", from_integer, false},
    {"cvt.u16.u32 %h1, %r1; cvt.s32.s8 %r4, %h1;", sign_byte, false},
    {"cvt.s64.s32 %rd4, %rd1;", widen, true},
    {"setp.lt.s32 %p1, %r1, %r2; " SET, less, false},
    {"setp.ltu.f32 %p1, %r1, %r2; " SET, less_or_nan, false},
    {"setp.eq.f32 %p1, %r1, %r2; " SET, equal_ordered, false},
    {"setp.gt.s32 %p2, %r3, 0; setp.lt.and.u32 %p1, %r1, %r2, %p2; " SET, both, false},
    {"setp.le.s32 %p2, %r3, 0; setp.lt.or.u32 %p3|%p1, %r1, %r2, !%p2; " SET, neither, false},
    {"setp.gt.s32 %p1, %r1, %r2; mov.b64 %rd4, %rd3; @%p1 mov.b64 %rd4, %rd1;", choose, true},
    {"{ .reg .b16 low, high; mov.b32 {low, high}, %r1; mov.b32 %r4, {high, low}; }", swap_halves,
     false},
    {"mov.b64 {%r5, %r6}, %rd1; mov.b64 %rd4, {%r6, %r5};", swap_words, true},
};

/* A NaN has many forms, and the device makes one of them. */
static bool same_value(const lane_case *c, uint64_t a, uint64_t b)
{
  if (a == b)
    return true;
  if (strstr(c->body, "f64") != NULL)
    return isnan(f64(a)) && isnan(f64(b));
  return strstr(c->body, ".f32") != NULL && isnan(f32(a)) && isnan(f32(b));
}

START_TEST(lanes)
{
  const lane_case *c = &lane_cases[_i];
  char body[1024];
  uint64_t in[LANES][3], out[LANES];
  for (int i = 0; i < LANES; i++)
    for (int k = 0; k < 3; k++)
      in[i][k] = draw();
  snprintf(body, sizeof body,
           "mad.wide.u32 %%rd10, %%t, 24, %%in;\nmad.wide.u32 %%rd11, %%t, 8, %%out;\n"
           "ld.global.u64 %%rd1, [%%rd10]; ld.global.u64 %%rd2, [%%rd10+8];\n"
           "ld.global.u64 %%rd3, [%%rd10+16];\n"
           "cvt.u32.u64 %%r1, %%rd1; cvt.u32.u64 %%r2, %%rd2; cvt.u32.u64 %%r3, %%rd3;\n%s\n%s\n"
           "st.global.u64 [%%rd11], %%rd4;",
           c->body, c->is_wide ? "" : "cvt.u64.u32 %rd4, %r4;");
  const trial t = {.body = body,
                   .threads = LANES,
                   .in = in,
                   .in_bytes = sizeof in,
                   .out = out,
                   .out_bytes = sizeof out};
  ck_assert_int_eq(trial_run(&t), CUDA_SUCCESS);
  ck_assert_msg(emulator_violations() == 0, "%s", emulator_last_violation());
  for (int i = 0; i < LANES; i++) {
    const uint64_t expected = c->expect(in[i][0], in[i][1], in[i][2]);
    ck_assert_msg(
        same_value(c, out[i], expected), "%s of %#llx, %#llx, %#llx: %#llx, expected %#llx",
        c->body, (unsigned long long)in[i][0], (unsigned long long)in[i][1],
        (unsigned long long)in[i][2], (unsigned long long)out[i], (unsigned long long)expected);
  }
}
END_TEST

/* ---- Programs ---- */

static void expect_words(const char *declarations, const char *body, int threads,
                         uint32_t (*expect)(int thread))
{
  uint32_t out[256];
  const trial t = {.declarations = declarations,
                   .body = body,
                   .threads = threads,
                   .out = out,
                   .out_bytes = 4 * (size_t)threads};
  for (uint64_t seed = 1; seed <= 8; seed++) {
    emulator_seed(seed);
    ck_assert_int_eq(trial_run(&t), CUDA_SUCCESS);
    ck_assert_msg(emulator_violations() == 0, "%s", emulator_last_violation());
    for (int i = 0; i < threads; i++)
      ck_assert_msg(out[i] == expect(i), "thread %d: %u, expected %u", i, out[i], expect(i));
  }
}

/* Steps of Collatz's sequence from the thread's number on. */
static uint32_t steps(int thread)
{
  uint32_t count = 0;
  for (unsigned x = (unsigned)thread + 1; x != 1; count++)
    x = x % 2 == 0 ? x / 2 : 3 * x + 1;
  return count;
}

START_TEST(branches)
{
  expect_words(
      NULL,
      "add.s32 %r1, %t, 1; mov.u32 %r4, 0;\nAGAIN: setp.eq.u32 %p1, %r1, 1;\n@%p1 bra END;\n"
      "and.b32 %r2, %r1, 1; setp.eq.u32 %p2, %r2, 0;\n@%p2 bra EVEN;\n"
      "mad.lo.s32 %r1, %r1, 3, 1;\nbra.uni NEXT;\nEVEN: shr.u32 %r1, %r1, 1;\n"
      "NEXT: add.s32 %r4, %r4, 1;\nbra AGAIN;\nEND: " STORE_R4,
      200, steps);
}
END_TEST

static uint32_t reversed(int thread)
{
  return 7 * (uint32_t)(255 - thread);
}

START_TEST(barriers)
{
  expect_words(NULL, TILE WRITE_TILE "bar.sync 0;\n" READ_REVERSED, 256, reversed);
}
END_TEST

static uint32_t warp_sum(int thread)
{
  const int first = thread / LANES * LANES;
  return (uint32_t)(LANES * first + LANES * (LANES - 1) / 2);
}

static uint32_t next_lane(int thread)
{
  return (uint32_t)(thread % LANES == LANES - 1 ? 1000 + thread : thread + 1);
}

static uint32_t of_half(int thread)
{
  return (uint32_t)(thread / 16 * 16 + 3);
}

START_TEST(shuffles)
{
  expect_words(
      NULL,
      "mov.u32 %r4, %t; mov.u32 %r6, 16;\nAGAIN: shfl.sync.bfly.b32 %r5, %r4, %r6, 31, -1;\n"
      "add.s32 %r4, %r4, %r5; shr.u32 %r6, %r6, 1; setp.ne.u32 %p1, %r6, 0;\n@%p1 bra "
      "AGAIN;\n" STORE_R4,
      96, warp_sum);
  expect_words(
      NULL, "shfl.sync.down.b32 %r4|%p1, %t, 1, 31, -1;\n@!%p1 add.s32 %r4, %t, 1000;\n" STORE_R4,
      64, next_lane);
  expect_words(NULL, "shfl.sync.idx.b32 %r4, %t, 3, 0x100f, -1;\n" STORE_R4, 64, of_half);
}
END_TEST

static uint32_t votes(int thread)
{
  (void)thread;
  return 0x11111111 + 0x1000;
}

START_TEST(ballots)
{
  expect_words(NULL,
               "and.b32 %r1, %t, 3; setp.eq.u32 %p1, %r1, 0; vote.sync.ballot.b32 %r4, %p1, -1;\n"
               "vote.sync.any.pred %p2, %p1, -1; vote.sync.all.pred %p3, %p1, -1;\n"
               "@%p2 add.s32 %r4, %r4, 0x1000;\n@%p3 add.s32 %r4, %r4, 0x2000;\n" STORE_R4,
               64, votes);
}
END_TEST

static uint32_t from_table(int thread)
{
  static const uint32_t table[] = {5, 6, 0xffffffff, 0x3f800000};
  return table[thread % 4];
}

START_TEST(tables)
{
  expect_words(".const .align 4 .u32 table[4] = {5, 6, -1, 0f3f800000};",
               "and.b32 %r1, %t, 3; mov.u64 %rd1, table; mad.wide.u32 %rd2, %r1, 4, %rd1;\n"
               "ld.const.u32 %r4, [%rd2];\n" STORE_R4,
               64, from_table);
  expect_words(".global .align 4 .b8 table[16] = {5, 0, 0, 0, 6, 0, 0, 0, 255, 255, 255, 255, 0, "
               "0, 128, 63};",
               "and.b32 %r1, %t, 3; mov.u64 %rd1, table; cvta.global.u64 %rd1, %rd1;\n"
               "mad.wide.u32 %rd2, %r1, 4, %rd1; ld.u32 %r4, [%rd2];\n" STORE_R4,
               64, from_table);
}
END_TEST

static uint32_t times_three(int thread)
{
  return 3 * (uint32_t)thread;
}

/* Local memory, through generic addresses and in vectors; each thread has its own. */
START_TEST(local_memory)
{
  expect_words(
      NULL,
      ".local .align 16 .b8 depot[32]; mov.u64 %rd1, depot; cvta.local.u64 %rd2, %rd1;\n"
      "add.s32 %r1, %t, %t; st.local.v2.u32 [%rd1+8], {%t, %r1};\n"
      "ld.u32 %r2, [%rd2+8]; ld.local.u32 %r3, [%rd1+12]; add.s32 %r4, %r2, %r3;\n" STORE_R4,
      64, times_three);
}
END_TEST

/* ---- Tensor cores: copies, matrix loads and products as kernels use them ---- */

START_TEST(products)
{
  factors f;
  float out[16][8];
  trial_factors(&f);
  const trial t = {.body = PRODUCT,
                   .threads = LANES,
                   .in = &f,
                   .in_bytes = sizeof f,
                   .out = out,
                   .out_bytes = sizeof out};
  ck_assert_int_eq(trial_run(&t), CUDA_SUCCESS);
  ck_assert_msg(emulator_violations() == 0, "%s", emulator_last_violation());
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 8; j++) {
      float expected = 0; /* of small integers: exact in any order */
      for (int k = 0; k < 16; k++)
        expected += f32((uint64_t)f.a[i][k] << 16) * f32((uint64_t)f.b[k][j] << 16);
      ck_assert_msg(out[i][j] == expected, "%d, %d: %g, expected %g", i, j, (double)out[i][j],
                    (double)expected);
    }
}
END_TEST

static uint32_t filled(int thread)
{
  return thread % 4 == 0 ? 0x01020304 : thread % 4 == 1 ? 0x0506 : 0;
}

/* Bytes past the source's size are zero, and nothing is read where it is zero. */
START_TEST(copies_filled_with_zeros)
{
  const uint8_t in[8] = {4, 3, 2, 1, 6, 5, 99, 99};
  uint32_t out[16];
  const trial t = {
      .body = ".shared .align 16 .b8 tile[64]; mov.u32 %r1, tile; mad.lo.s32 %r2, %t, 16, %r1;\n"
              "setp.eq.u32 %p1, %t, 0; selp.u32 %r3, 6, 0, %p1;\n"
              "cp.async.ca.shared.global [%r2], [%in], 16, %r3; cp.async.wait_all;\n"
              "ld.shared.v4.u32 {%r4, %r5, %r6, %r7}, [%r2]; mad.wide.u32 %rd1, %t, 16, %out;\n"
              "st.global.v4.u32 [%rd1], {%r4, %r5, %r6, %r7};\n",
      .threads = 4,
      .in = in,
      .in_bytes = 6,
      .out = out,
      .out_bytes = sizeof out};
  ck_assert_int_eq(trial_run(&t), CUDA_SUCCESS);
  ck_assert_msg(emulator_violations() == 0, "%s", emulator_last_violation());
  for (int i = 0; i < 16; i++)
    ck_assert_uint_eq(out[i], i < 4 ? filled(i) : 0);
}
END_TEST

/* ---- Counting ---- */

START_TEST(counts)
{
  factors f;
  trial_factors(&f);
  const trial t = {
      .body = PRODUCT, .threads = LANES, .in = &f, .in_bytes = sizeof f, .out_bytes = 512};
  emulator_launch_counts c;
  emulator_count_launches(true);
  ck_assert_int_eq(trial_run(&t), CUDA_SUCCESS);
  ck_assert(emulator_launch_count(0, &c));
  ck_assert(!emulator_launch_count(1, &c));
  emulator_count_launches(false);
  ck_assert_str_eq(c.kernel, "k");
  ck_assert_uint_eq(c.blocks, 1);
  ck_assert_uint_eq(c.threads, LANES);
  ck_assert_uint_eq(c.shared_bytes, 768);
  ck_assert_uint_eq(c.instructions[EMULATOR_MMA], 1);
  ck_assert_uint_eq(c.instructions[EMULATOR_COPY_ASYNC], 2);
  ck_assert_uint_eq(c.instructions[EMULATOR_LOAD_SHARED], 2);
  ck_assert_uint_eq(c.instructions[EMULATOR_STORE_GLOBAL], 2);
  ck_assert_uint_eq(c.instructions[EMULATOR_BARRIER], 1);
  ck_assert_uint_eq(c.read_bytes, 768);
  ck_assert_uint_eq(c.read_sectors, 24);
  ck_assert_uint_eq(c.written_bytes, 512);
  ck_assert_uint_eq(c.written_sectors, 16);
  /* Rows of A are 32 bytes apart: eight of them are on 16 of the 32 banks, twice. B has no
   * conflict. */
  ck_assert_uint_eq(c.shared_reads, 2);
  ck_assert_uint_eq(c.shared_read_passes, 4 * 2 + 2);
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("ptx");
  TCase *computes = tcase_create("computes");
  tcase_add_checked_fixture(computes, trial_open, trial_close);
  tcase_add_loop_test(computes, lanes, 0, sizeof lane_cases / sizeof lane_cases[0]);
  tcase_add_test(computes, branches);
  tcase_add_test(computes, barriers);
  tcase_add_test(computes, shuffles);
  tcase_add_test(computes, ballots);
  tcase_add_test(computes, tables);
  tcase_add_test(computes, local_memory);
  tcase_add_test(computes, products);
  tcase_add_test(computes, copies_filled_with_zeros);
  tcase_add_test(computes, counts);
  suite_add_tcase(suite, computes);
  return run_suite(suite);
}
