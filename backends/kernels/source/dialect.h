/* The common subset of OpenCL C and CUDA C, and of plain C for tests that run kernels on the CPU.
 * DIALECT.md has the rules. A build defines DIALECT_OPENCL, DIALECT_CUDA or DIALECT_HOST;
 * GROUP_SIZE, a power of two; and HAS_F64 if the device computes in double. GROUP_SIZE 1 is right
 * for OpenCL devices that are CPUs: a work-item is then its whole group, and the compiler
 * vectorizes its loops. */
#ifndef CONDLORA_BACKENDS_KERNELS_SOURCE_DIALECT_H
#define CONDLORA_BACKENDS_KERNELS_SOURCE_DIALECT_H

#if defined(DIALECT_OPENCL)

#ifdef HAS_F64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif
#pragma OPENCL FP_CONTRACT OFF
typedef long i64;
typedef uint u32;
typedef ulong u64;
typedef ushort u16;
typedef uchar u8;
#define KERNEL(name) __kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void name
#define FUNCTION __attribute__((always_inline, unused)) static inline
#define GLOBAL __global
#define LOCAL __local
#define LOCAL_POINTER __local
#define CONSTANT_TABLE __constant
#define GROUP_ID(dimension) ((i64)get_group_id(dimension))
#define GROUP_COUNT(dimension) ((i64)get_num_groups(dimension))
#define ITEM_ID ((int)get_local_id(0))
#define BARRIER() barrier(CLK_LOCAL_MEM_FENCE)
#if GROUP_SIZE == 1
#define MUL_HI(a, b) ((u32)((u64)(u32)(a) * (u32)(b) >> 32)) /* can be vectorized */
#else
#define MUL_HI(a, b) mul_hi((u32)(a), (u32)(b))
#endif
#define AS_U32(x) as_uint(x)
#define AS_FLOAT(x) as_float(x)
#ifdef HAS_F64
#define AS_U64(x) as_ulong(x)
#define AS_DOUBLE(x) as_double(x)
#endif
#define MATH(function) function
#if GROUP_SIZE == 1 && defined(__clang__)
#define VECTOR_LOOP _Pragma("clang loop vectorize(assume_safety)")
#pragma clang diagnostic ignored "-Wpass-failed" /* not every loop is vectorized */
#endif

#elif defined(DIALECT_CUDA)

typedef long long i64;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned short u16;
typedef unsigned char u8;
#define KERNEL(name) extern "C" __global__ void __launch_bounds__(GROUP_SIZE) name
#define FUNCTION __attribute__((unused)) static __device__ __forceinline__
#define GLOBAL
#define LOCAL __shared__
#define LOCAL_POINTER
#define CONSTANT_TABLE static __device__ const
#define GROUP_ID(dimension) \
  ((i64)((dimension) == 0 ? blockIdx.x : (dimension) == 1 ? blockIdx.y : blockIdx.z))
#define GROUP_COUNT(dimension) \
  ((i64)((dimension) == 0 ? gridDim.x : (dimension) == 1 ? gridDim.y : gridDim.z))
#define ITEM_ID ((int)threadIdx.x)
#define BARRIER() __syncthreads()
#define MUL_HI(a, b) __umulhi((u32)(a), (u32)(b))
#define AS_U32(x) __float_as_uint(x)
#define AS_FLOAT(x) __uint_as_float(x)
#define AS_U64(x) ((u64)__double_as_longlong(x))
#define AS_DOUBLE(x) __longlong_as_double((long long)(x))
#define MATH(function) function##f
#define SHUFFLE_WIDTH 32 /* work-items that exchange values without local memory */
#define SHUFFLE_XOR(x, mask) __shfl_xor_sync(0xffffffffu, x, mask)
typedef uint4 quad;
#define LOAD_QUAD(from) (*(const quad *)(from))
/* In PTX, because nvcc cuts some assignments of a uint4 into four stores. */
FUNCTION void STORE_QUAD(void *to, quad x)
{
  asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};"
               :
               : "l"(__cvta_generic_to_global(to)), "r"(x.x), "r"(x.y), "r"(x.z), "r"(x.w)
               : "memory");
}
FUNCTION u32 pack_bf16(float low, float high)
{
  u32 both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
}
#define PACK_BF16(low, high) pack_bf16(low, high)
FUNCTION float FAST_EXP2(float x)
{
  float y;
  asm("ex2.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
FUNCTION float FAST_RECIPROCAL(float x)
{
  float y;
  asm("rcp.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

#else /* DIALECT_HOST: work-items are fibers of one thread, so a local array is a static one */

#include <math.h>
#include <stdint.h>
#include <string.h>
typedef int64_t i64;
typedef uint32_t u32;
typedef uint64_t u64;
typedef uint16_t u16;
typedef uint8_t u8;
i64 dialect_group_id(int dimension);
i64 dialect_group_count(int dimension);
int dialect_item_id(void);
void dialect_barrier(void);
#define KERNEL(name) static void name
#define FUNCTION __attribute__((unused)) static inline
#define GLOBAL
#define LOCAL static _Thread_local
#define LOCAL_POINTER
#define CONSTANT_TABLE static const
#define GROUP_ID(dimension) dialect_group_id(dimension)
#define GROUP_COUNT(dimension) dialect_group_count(dimension)
#define ITEM_ID dialect_item_id()
#define BARRIER() dialect_barrier()
#define MUL_HI(a, b) ((u32)((u64)(u32)(a) * (u32)(b) >> 32))
FUNCTION u32 AS_U32(float x)
{
  u32 bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
FUNCTION float AS_FLOAT(u32 bits)
{
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
FUNCTION u64 AS_U64(double x)
{
  u64 bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
FUNCTION double AS_DOUBLE(u64 bits)
{
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
#define MATH(function) function##f
typedef struct {
  u32 x, y, z, w;
} quad;
FUNCTION quad LOAD_QUAD(const void *from)
{
  quad x;
  memcpy(&x, from, sizeof x);
  return x;
}
FUNCTION void STORE_QUAD(void *to, quad x)
{
  memcpy(to, &x, sizeof x);
}
#define FAST_EXP2(x) exp2f(x)
#define FAST_RECIPROCAL(x) (1.0f / (x))

#endif

/* Before a loop whose iterations do not depend on each other, except for sums and integer maxima,
 * which then run in the vectors' lanes. */
#ifndef VECTOR_LOOP
#define VECTOR_LOOP
#endif

/* Before a loop of constant length whose arrays should become registers, or that prevents
 * vectorizing the loop around it. */
#ifdef DIALECT_HOST
#define UNROLL
#else
#define UNROLL _Pragma("unroll")
#endif

/* An index within the whole grid's first dimension, and its size. */
#define GRID_ID (GROUP_ID(0) * GROUP_SIZE + ITEM_ID)
#define GRID_SIZE (GROUP_COUNT(0) * GROUP_SIZE)

#define POSITIVE_INFINITY AS_FLOAT(0x7f800000u)
#define NEGATIVE_INFINITY AS_FLOAT(0xff800000u)

#endif
