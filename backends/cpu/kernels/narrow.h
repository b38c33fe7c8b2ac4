/* Products of narrow operands: bf16 with float32 sums, int8 with int32 sums. One call makes a block
 * of up to 32 x 32 elements over all of k, so that an element depends only on its row and its
 * column. */
#ifndef CONDLORA_BACKENDS_CPU_KERNELS_NARROW_H
#define CONDLORA_BACKENDS_CPU_KERNELS_NARROW_H

#include "condlora/ops.h"

/* The operands are counted in bytes, since both types have the same layout in them:
 * - a row of op(A) is `bytes` long, a multiple of 64, filled up with zeros;
 * - a panel of op(B) holds 32 columns as [bytes / 4][32][4]: each 4 bytes are 2 elements of bf16,
 *   or 4 of int8, that follow each other in k. Missing columns are zeros. */
enum {
  CPU_NARROW_ROWS = 32,
  CPU_NARROW_COLUMNS = 32,
  CPU_NARROW_STEP = 64,
  CPU_NARROW_UNIT = 4,
};

/* c [32, 32], of float or int32_t, = a b, for the first `rows` rows of a (1 to 32); the strides are
 * the distances of rows in bytes. The other rows of c are undefined, and those of a must exist. */
typedef void cpu_narrow_multiply(void *c, int64_t c_stride, const void *a, int64_t stride,
                                 const void *b, int64_t bytes, int64_t rows);

/* A way to multiply. */
typedef struct {
  const char *name;    /* "AMX" */
  void (*begin)(void); /* a thread calls this before its blocks and `end` after them; */
  void (*end)(void);   /* both may be NULL */
  cpu_narrow_multiply *multiply;
} cpu_narrow;

/* Return the ways of this processor, the best first; NULL past the end. The last one of bf16
 * emulates AMX in plain C, with its order of sums, and the last one of int8 is plain C: any
 * processor has these. All of int8 give the same sums; those of bf16 differ in the order of
 * additions. */
const cpu_narrow *cpu_narrow_bf16(int index);
const cpu_narrow *cpu_narrow_int8(int index);

#endif
