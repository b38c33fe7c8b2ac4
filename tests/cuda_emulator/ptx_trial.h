/* Kernels written by hand for the tests of the executor of PTX, and how one is launched. */
#ifndef CONDLORA_TESTS_CUDA_EMULATOR_PTX_TRIAL_H
#define CONDLORA_TESTS_CUDA_EMULATOR_PTX_TRIAL_H

#include "tests/cuda_emulator/control.h"
#include "tests/cuda_emulator/emulator.h"

enum { LANES = 32, TEXT_BYTES = 8192 };
extern const char trial_head[]; /* of every module */
extern CUstream trial_queue;

/* Fixtures: a device whose kernels are PTX. */
void trial_open(void);
void trial_close(void);

typedef struct {
  const char *declarations, *body; /* of the entry k(out, in) */
  int blocks, threads;
  unsigned shared_bytes;
  const void *in;
  size_t in_bytes;
  void *out; /* NULL: nobody looks */
  size_t out_bytes;
} trial;

/* In the body %out and %in are the parameters, %t is the thread; %r, %rd, %f, %p and %h<64> are
 * free. */
CUresult trial_run(const trial *t);

/* ---- Programs ---- */

/* Each thread stores %r4. */
#define STORE_R4 "mad.wide.u32 %rd11, %t, 4, %out; st.global.u32 [%rd11], %r4;"

/* Each thread reads what another wrote: bytes 1023 - 4 t to 1020 - 4 t of a tile. */
#define TILE ".shared .align 4 .b8 tile[1024];"
#define WRITE_TILE                                                                              \
  "mov.u32 %r1, tile; mad.lo.s32 %r2, %t, 4, %r1; mul.lo.s32 %r3, %t, 7; st.shared.u32 [%r2], " \
  "%r3;\n"
#define READ_REVERSED "mad.lo.s32 %r5, %t, -4, %r1; ld.shared.u32 %r4, [%r5+1020];\n" STORE_R4

/* A [16, 16] and B [16, 8] of bf16 lie one after the other in `in`; D = A B [16, 8] of float32. */
#define PRODUCT                                                                                 \
  ".shared .align 16 .b8 tile[768]; mov.u32 %r1, tile; shl.b32 %r2, %t, 4; add.s32 %r3, %r1, "  \
  "%r2;\n"                                                                                      \
  "cvt.u64.u32 %rd1, %r2; add.s64 %rd2, %in, %rd1; setp.lt.u32 %p1, %t, 16;\n"                  \
  "cp.async.cg.shared.global [%r3], [%rd2], 16;\n"                                              \
  "@%p1 cp.async.cg.shared.global [%r3+512], [%rd2+512], 16;\n"                                 \
  "cp.async.commit_group; cp.async.wait_group 0; bar.warp.sync -1;\n"                           \
  "and.b32 %r5, %t, 15; shl.b32 %r6, %r5, 5; shl.b32 %r7, %r5, 4; shr.u32 %r8, %t, 4;\n"        \
  "shl.b32 %r8, %r8, 4; add.s32 %r6, %r6, %r8; add.s32 %r6, %r6, %r1; add.s32 %r7, %r7, %r1;\n" \
  "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r10, %r11, %r12, %r13}, [%r6];\n"                 \
  "ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%r14, %r15}, [%r7+512];\n"                   \
  "mov.f32 %f1, 0f00000000; mov.f32 %f2, %f1; mov.f32 %f3, %f1; mov.f32 %f4, %f1;\n"            \
  "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1, %f2, %f3, %f4}, "                  \
  "{%r10, %r11, %r12, %r13}, {%r14, %r15}, {%f1, %f2, %f3, %f4};\n"                             \
  "mad.wide.u32 %rd3, %t, 8, %out; st.global.v2.f32 [%rd3], {%f1, %f2};\n"                      \
  "st.global.v2.f32 [%rd3+256], {%f3, %f4};\n"

typedef struct {
  uint16_t a[16][16], b[16][8];
} factors;

/* Small integers, whose sums are exact in any order. */
void trial_factors(factors *f);

#endif
