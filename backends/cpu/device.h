/* What the CPU backend's ops share. Every op finishes inside its call, and one parallel region runs
 * at a time. */
#ifndef CONDLORA_BACKENDS_CPU_DEVICE_H
#define CONDLORA_BACKENDS_CPU_DEVICE_H

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/kernels/narrow.h"
#include "backends/cpu/memory.h"
#include "backends/cpu/openblas.h"
#include "backends/cpu/pool.h"
#include "condlora/plugin.h"

typedef struct {
  cpu_pool *pool;
  cpu_lapack lapack;
  const cpu_kernels *kernels;
  cdl_precision precision;
  const cpu_narrow *narrow; /* products with frozen weights; NULL in fp32 */
  cpu_foreign foreign;
  char identity[64]; /* what decides the bits of results, but for decompositions */
  char description[320];
} cpu_device;

/* A queue has no state: it is its device. */
static inline cpu_device *cpu_device_of(void *queue)
{
  return queue;
}

static inline char *cpu_bytes(cdl_tensor t)
{
  return (char *)t.buffer->handle + (size_t)t.offset * cdl_dtype_bytes(t.dtype);
}

static inline float *cpu_floats(cdl_tensor t)
{
  return (float *)(void *)cpu_bytes(t);
}

/* Returns NULL for an absent tensor. */
static inline float *cpu_floats_or_null(cdl_tensor t)
{
  return cdl_tensor_present(t) ? cpu_floats(t) : NULL;
}

static inline int32_t *cpu_ints(cdl_tensor t)
{
  return (int32_t *)(void *)cpu_bytes(t);
}

static inline const cdl_step_record *cpu_step(cdl_tensor t)
{
  return (const cdl_step_record *)(const void *)cpu_bytes(t);
}

static inline int64_t cpu_min(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static inline int64_t cpu_max(int64_t a, int64_t b)
{
  return a > b ? a : b;
}

static inline int64_t cpu_divide_up(int64_t a, int64_t b)
{
  return (a + b - 1) / b;
}

/* Part `index` of `count` almost equal parts of [0, total), cut at multiples of `unit`. */
typedef struct {
  int64_t first, count;
} cpu_range;

static inline cpu_range cpu_part(int64_t total, int64_t count, int64_t index, int64_t unit)
{
  const int64_t units = cpu_divide_up(total, unit);
  const int64_t first = cpu_min(total, units * index / count * unit);
  const int64_t end = cpu_min(total, units * (index + 1) / count * unit);
  return (cpu_range){first, end - first};
}

/* Returns the number of parts of a sum over `total`. It depends only on `total`. */
static inline int64_t cpu_parts(int64_t total, int64_t each)
{
  return cpu_max(1, (total + each / 2) / each);
}

/* Returns the bytes of `count` floats as whole cache lines, so that memory after them is
 * aligned. */
static inline size_t cpu_float_bytes(int64_t count)
{
  return ((size_t)count * sizeof(float) + 63) / 64 * 64;
}

/* Returns the row stride of a matrix for BLAS, which must not be 0; a single row may have any. */
static inline int64_t cpu_row_stride(cdl_tensor t)
{
  return cpu_max(1, t.size[2] == 1 ? t.size[3] : t.stride[2]);
}

/* Returns the part of a matrix that begins at (row, column); NULL data for an absent tensor. */
static inline cpu_rows cpu_rows_at(cdl_tensor t, int64_t row, int64_t column)
{
  if (!cdl_tensor_present(t))
    return (cpu_rows){NULL, 0};
  return (cpu_rows){cpu_floats(t) + row * cpu_row_stride(t) + column, cpu_row_stride(t)};
}

/* The ops; the table in cpu.c names those that are written. */
#define CDL_OP(name, tier) cdl_status cpu_##name(void *queue, const cdl_##name##_args *args);
#include "condlora/ops.def"
#undef CDL_OP

#endif
