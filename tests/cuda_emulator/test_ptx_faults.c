/* That the executor of PTX finds each fault that README.md lists. The same kernel runs without the
 * fault, and nothing is found. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/cuda_emulator/ptx_trial.h"
#include "tests/run_suite.h"

/* ---- Each fault, as a change of a program that has none ---- */

typedef struct {
  const char *body, *taken, *given; /* what is taken out of it, and what is put there */
  const char *part;                 /* of the violation */
  int threads;
  const char *declarations;
  unsigned shared_bytes;
} mutation;

#define REVERSES TILE WRITE_TILE "bar.sync 0;\n" READ_REVERSED
#define SUMS "shfl.sync.bfly.b32 %r4, %t, 1, 31, -1;\n" STORE_R4
#define PAIRS                                                                            \
  TILE WRITE_TILE "bar.warp.sync -1;\nxor.b32 %r7, %t, 1; mad.lo.s32 %r5, %r7, 4, %r1; " \
                  "ld.shared.u32 %r4, [%r5];\n" STORE_R4
#define DYNAMIC                                                                                 \
  "mov.u32 %r1, room; mad.lo.s32 %r2, %t, 4, %r1; st.shared.u32 [%r2], %t; ld.shared.u32 %r4, " \
  "[%r2];\n" STORE_R4
#define ROOM ".extern .shared .align 16 .b8 room[];"

static const mutation mutations[] = {
    {REVERSES, "bar.sync 0;", "", "race", 256, NULL, 0},
    {REVERSES, "bar.sync 0;", "bar.warp.sync -1;", "race", 256, NULL, 0},
    {REVERSES, "+1020]", "+1024]", "at offset 1024 of tile", 256, NULL, 0},
    {REVERSES, "+1020]", "+1021]", "misaligned", 256, NULL, 0},
    {REVERSES, "-4, %r1", "-8, %r1", "is in no array of shared memory", 256, NULL, 0},
    {REVERSES, "bar.sync 0;", "setp.eq.u32 %p1, %t, 70;\n@%p1 ret;\nbar.sync 0;", "have ended", 256,
     NULL, 0},
    {REVERSES, "bar.sync 0;",
     "setp.lt.u32 %p1, %t, 64;\n@%p1 bra X;\nbar.sync 0;\nbra Y;\nX: bar.sync 0;\nY:",
     "wait at the barrier of line", 256, NULL, 0},
    {REVERSES, "mad.lo.s32 %r2, %t, 4", "mad.lo.s32 %r2, 3, 4", "race: writes what thread", 256,
     NULL, 0},
    {REVERSES, "[%rd11]", "[%rd11+4096]", "of an allocation of 1024", 256, NULL, 0},
    {REVERSES, "[%rd11]", "[%rd11+2]", "misaligned", 256, NULL, 0},
    {REVERSES, "[%rd11]", "[64]", "is no device memory", 256, NULL, 0},
    {PAIRS, "bar.warp.sync -1;", "", "race: reads what thread", 64, NULL, 0},
    {PAIRS, "bar.warp.sync -1;", "shfl.sync.bfly.b32 %r9, %t, 1, 31, -1;",
     "race: reads what thread", 64, NULL, 0},
    {SUMS, "31, -1", "31, 0x0000ffff", "leaves out the lane itself", 32, NULL, 0},
    {SUMS, "shfl.sync.bfly.b32 %r4, %t, 1, 31, -1",
     "mov.u32 %r9, %lanemask_eq; shfl.sync.bfly.b32 %r4, %t, 1, 31, %r9", "reads lane", 32, NULL,
     0},
    {SUMS, "shfl", "setp.eq.u32 %p1, %t, 9;\n@%p1 bra X;\nshfl", "only the lanes 0xfffffdff arrive",
     32, NULL, 0},
    {SUMS, STORE_R4, "sub.s32 %r5, %t, 3; div.u32 %r4, %t, %r5;\n" STORE_R4, "division by zero", 32,
     NULL, 0},
    {SUMS, STORE_R4, "trap;\n" STORE_R4, "trap", 32, NULL, 0},
    {DYNAMIC, "4, %r1", "8, %r1", "of room, which has 256", 64, ROOM, 256},
    {PRODUCT, "cp.async.wait_group 0;", "", "of a cp.async that thread", 32, NULL, 0},
    {PRODUCT, "cp.async.wait_group 0;", "cp.async.wait_group 1;", "of a cp.async that thread", 32,
     NULL, 0},
    {PRODUCT, "cp.async.commit_group;", "", "of a cp.async that thread", 32, NULL, 0},
    {PRODUCT, "bar.warp.sync -1;", "", "race: reads what thread", 32, NULL, 0},
    {PRODUCT, ", [%r6];", ", [%r6+4];", "misaligned", 32, NULL, 0},
    {PRODUCT, "[%r7+512]", "[%r7+640]", "of tile, which has 768", 32, NULL, 0},
    {PRODUCT, "cp.async.commit_group;", "st.shared.u32 [%r3], %t; cp.async.commit_group;",
     "writes bytes of a cp.async", 32, NULL, 0},
    {PRODUCT, "[%rd2+512], 16", "[%rd2+516], 16", "copies 16 bytes of 16 from", 32, NULL, 0},
    {PRODUCT, "[%rd2+512], 16", "[%rd2+528], 16", "of an allocation of 768", 32, NULL, 0},
    {PRODUCT, "mma.sync", "@%p1 mma.sync", "only the lanes 0xffff arrive", 32, NULL, 0},
    {PRODUCT, "ldmatrix", "setp.ge.u32 %p2, %t, 30;\n@%p2 bra X;\nldmatrix",
     "only the lanes 0x3fffffff arrive", 32, NULL, 0},
};

static void substitute(char *text, size_t bytes, const mutation *m)
{
  const char *place = strstr(m->body, m->taken);
  ck_assert_ptr_nonnull(place);
  snprintf(text, bytes, "%.*s%s%s\n%s", (int)(place - m->body), m->body, m->given,
           place + strlen(m->taken),
           strstr(m->given, "bra X") != NULL && strstr(m->given, "X:") == NULL ? "X:" : "");
}

START_TEST(faults)
{
  const mutation *m = &mutations[_i];
  static char text[TEXT_BYTES];
  factors f;
  trial_factors(&f);
  trial t = {.declarations = m->declarations,
             .body = m->body,
             .threads = m->threads,
             .shared_bytes = m->shared_bytes,
             .in = &f,
             .in_bytes = sizeof f,
             .out_bytes = 1024};
  emulator_seed((uint64_t)_i + 1);
  ck_assert_int_eq(trial_run(&t), CUDA_SUCCESS);
  ck_assert_msg(emulator_violations() == 0, "%s", emulator_last_violation());
  substitute(text, sizeof text, m);
  t.body = text;
  trial_run(&t);
  ck_assert_msg(emulator_violations() > 0, "'%s' for '%s' is not found", m->given, m->taken);
  ck_assert_msg(strstr(emulator_last_violation(), m->part) != NULL, "'%s' is not in '%s'", m->part,
                emulator_last_violation());
}
END_TEST

START_TEST(unwritten_memory_is_nan)
{
  uint32_t out[LANES];
  const trial t = {.body = TILE "mov.u32 %r1, tile; mad.lo.s32 %r2, %t, 4, %r1;\n"
                                "ld.shared.u32 %r4, [%r2];\n" STORE_R4,
                   .threads = LANES,
                   .out = out,
                   .out_bytes = sizeof out};
  ck_assert_int_eq(trial_run(&t), CUDA_SUCCESS);
  for (int i = 0; i < LANES; i++)
    ck_assert_uint_eq(out[i], 0xffffffff);
}
END_TEST

/* ---- What is refused before it runs ---- */

static void expect_violation(const char *part)
{
  ck_assert_msg(strstr(emulator_last_violation(), part) != NULL, "'%s' is not in '%s'", part,
                emulator_last_violation());
  emulator_forget();
}

static CUresult find(const char *text, const char *name, CUfunction *function)
{
  CUmodule module;
  const CUresult status = cuModuleLoadData(&module, text);
  return status == CUDA_SUCCESS ? cuModuleGetFunction(function, module, name) : status;
}

START_TEST(what_is_not_understood)
{
  CUfunction function;
  char text[512];
  snprintf(text, sizeof text,
           "%s.entry k()\n{\n.reg .b32 %%r<3>;\nfrobnicate.u32 %%r1, %%r2;\nret;\n}\n", trial_head);
  ck_assert_int_eq(find(text, "k", &function), CUDA_ERROR_INVALID_PTX);
  expect_violation("line 7 of the PTX: unknown opcode: `frobnicate.u32 %r1, %r2'");
  snprintf(text, sizeof text, "%s.entry k()\n{\n.reg .b32 %%r<3>;\nadd.s32 %%r1, %%r3, 1;\n}\n",
           trial_head);
  ck_assert_int_eq(find(text, "k", &function), CUDA_ERROR_INVALID_PTX);
  expect_violation("operand not understood");
  snprintf(text, sizeof text, "%s.entry k()\n{\nbra NOWHERE;\n}\n", trial_head);
  ck_assert_int_eq(find(text, "k", &function), CUDA_ERROR_INVALID_PTX);
  expect_violation("unknown label");
  ck_assert_int_eq(find("\177ELF", "k", &function), CUDA_ERROR_NO_BINARY_FOR_GPU);
  snprintf(text, sizeof text, "%s.entry k()\n{\nret;\n}\n", trial_head);
  ck_assert_int_eq(find(text, "other", &function), CUDA_ERROR_NOT_FOUND);
}
END_TEST

START_TEST(parameters_as_on_the_host)
{
  CUfunction function;
  char text[512];
  snprintf(
      text, sizeof text,
      "%s.entry copy_u32(.param .u64 a, .param .u64 b, .param .align 8 .b8 c[24])\n{\nret;\n}\n",
      trial_head);
  ck_assert_int_eq(find(text, "copy_u32", &function), CUDA_SUCCESS);
  expect_violation("the last parameter has 24 bytes in PTX");
  snprintf(text, sizeof text, "%s.entry copy_u32(.param .u64 a)\n{\nret;\n}\n", trial_head);
  ck_assert_int_eq(find(text, "copy_u32", &function), CUDA_SUCCESS);
  expect_violation("1 parameters in PTX");
}
END_TEST

START_TEST(extents_of_a_launch)
{
  CUfunction function;
  char text[512];
  void *none[] = {NULL};
  snprintf(text, sizeof text, "%s.entry k()\n.maxntid 64, 1, 1\n{\nret;\n}\n", trial_head);
  ck_assert_int_eq(find(text, "k", &function), CUDA_SUCCESS);
  int threads;
  ck_assert_int_eq(cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, function),
                   CUDA_SUCCESS);
  ck_assert_int_eq(threads, 64);
  ck_assert_int_eq(cuLaunchKernel(function, 1, 1, 1, 65, 1, 1, 0, trial_queue, none, NULL),
                   CUDA_ERROR_INVALID_VALUE);
  expect_violation("65 x 1 x 1 work-items");
  ck_assert_int_eq(cuLaunchKernel(function, 1, 1, 1, 64, 1, 1, 16, trial_queue, none, NULL),
                   CUDA_SUCCESS);
  cuStreamSynchronize(trial_queue);
  expect_violation("dynamic shared memory, which it does not use");
}
END_TEST

int main(void)
{
  Suite *suite = suite_create("ptx-faults");
  TCase *finds = tcase_create("finds");
  tcase_add_checked_fixture(finds, trial_open, trial_close);
  tcase_add_loop_test(finds, faults, 0, sizeof mutations / sizeof mutations[0]);
  tcase_add_test(finds, unwritten_memory_is_nan);
  tcase_add_test(finds, what_is_not_understood);
  tcase_add_test(finds, parameters_as_on_the_host);
  tcase_add_test(finds, extents_of_a_launch);
  suite_add_tcase(suite, finds);
  return run_suite(suite);
}
