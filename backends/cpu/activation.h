/* Activations in float32 or BF16. Kernels compute in float32, so a block of a BF16 matrix is
 * widened into the caller's memory before, and rounded once after; a block of a float32 matrix is
 * used where it lies, and takes no memory. */
#ifndef CONDLORA_BACKENDS_CPU_ACTIVATION_H
#define CONDLORA_BACKENDS_CPU_ACTIVATION_H

#include "backends/cpu/device.h"

typedef struct {
  int64_t row, column, rows, columns;
} cpu_block;

static inline bool cpu_is_narrow(cdl_tensor t)
{
  return t.dtype == CDL_DTYPE_BF16;
}

/* Returns the bytes of memory that a block of t needs. */
static inline size_t cpu_block_bytes(cdl_tensor t, int64_t rows, int64_t columns)
{
  return cpu_is_narrow(t) ? cpu_float_bytes(rows * columns) : 0;
}

/* Takes the memory of a block of t from *memory, and moves it past the block. */
static inline float *cpu_next_block(float **memory, cdl_tensor t, int64_t rows, int64_t columns)
{
  float *block = *memory;
  *memory += cpu_block_bytes(t, rows, columns) / sizeof *block;
  return block;
}

/* Returns how many of `rows` rows to compute at a time, so that blocks of BF16 stay in cache. */
static inline int64_t cpu_block_rows(cdl_tensor t, int64_t rows)
{
  enum { ELEMENTS = 4096 };
  return cpu_is_narrow(t) ? cpu_min(rows, cpu_max(1, ELEMENTS / cpu_max(1, t.size[3]))) : rows;
}

/* Returns where to compute a block of t: in `memory` ([rows, columns], undefined) if t is BF16.
 * Data is NULL for an absent tensor, also of cpu_widen. */
cpu_rows cpu_place(cdl_tensor t, cpu_block block, float *memory);

/* Returns the values of a block of t, those of BF16 in `memory`. */
cpu_rows cpu_widen(const cpu_kernels *kernels, cdl_tensor t, cpu_block block, float *memory);

/* Writes a block of t, rounded if t is BF16; does nothing if the values lie there, or t is
 * absent. */
void cpu_store(const cpu_kernels *kernels, cdl_tensor t, cpu_block block, cpu_rows values);

#endif
