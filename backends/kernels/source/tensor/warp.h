/* What a warp of 32 work-items does together, on CUDA alone: products of tensor cores, the loads
 * that feed them, copies to local memory that run beside computation, exchanges of numbers. In CUDA
 * each is one instruction of PTX, of compute capability 8.0. In the tests' emulator the 32 fibers
 * of a warp meet in a function, and the last to arrive computes the results of all; it is an error
 * if some do not come.
 *
 * A kernel with these functions is a WARP_KERNEL: WARP_GROUP work-items a group, of which at least
 * `resident` groups fit on a multiprocessor; WARPS in kernels.def. Its local memory is one
 * WARP_MEMORY.
 *
 * Fragments, as PTX defines them for m16n8k16. With g = lane / 4 and t = lane mod 4, and pairs of
 * BF16 with the lower index in the lower half:
 *
 *   A [16, 16]  a[0]: (g, 2t…2t+1)  a[1]: (g + 8, 2t…)  a[2]: (g, 2t + 8…)  a[3]: (g + 8, 2t + 8…)
 *   B [16, 8]   b[0]: (2t…2t+1, g)  b[1]: (2t + 8…, g)
 *   D [16, 8]   d[0], d[1]: (g, 2t…2t+1)  d[2], d[3]: (g + 8, 2t…2t+1)
 *
 * So two D side by side, rounded to BF16, are an A: a product's result becomes the left factor of
 * the next one without leaving the registers. */
#ifndef CONDLORA_BACKENDS_KERNELS_SOURCE_TENSOR_WARP_H
#define CONDLORA_BACKENDS_KERNELS_SOURCE_TENSOR_WARP_H

#define WARP_WIDTH 32
#define WARP_GROUP 128
#define WARP_LANE (ITEM_ID & (WARP_WIDTH - 1))
#define WARP_INDEX (ITEM_ID / WARP_WIDTH)

#if defined(DIALECT_CUDA)

/* Before a loop that must not be unrolled, for the sake of registers. */
#define ROLLED _Pragma("unroll 1")

/* Hides from the compiler that a 64-bit variable keeps its value, so that it computes again what
 * depends on it, instead of keeping it in registers. */
#define RECOMPUTED(x) asm volatile("" : "+l"(x))

#define WARP_KERNEL(name, resident) \
  extern "C" __global__ void __launch_bounds__(WARP_GROUP, resident) name
#define WARP_MEMORY(name, bytes) __shared__ __align__(16) u8 name[bytes]

/* d += a b, with sums in float32 and both factors in registers. Where b is in local memory, kernels
 * call mma_m16n16k16_bf16. */
FUNCTION void mma_m16n8k16_bf16(float *d, const u32 *a, const u32 *b)
{
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

FUNCTION u32 local_address(const void *x)
{
  return (u32)__cvta_generic_to_shared(x);
}

/* Four matrices of 8 × 8 BF16 from local memory: lane 8 m + i points to the 16 bytes of row i of
 * matrix m. r[m] is the pair (g, 2t…2t+1) of matrix m; in the transposed form of its transpose. */
FUNCTION void ldmatrix_x4(u32 *r, const void *row)
{
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(local_address(row))
               : "memory");
}

FUNCTION void ldmatrix_x4_trans(u32 *r, const void *row)
{
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(local_address(row))
               : "memory");
}

/* Two products side by side, d[0] and d[1] += a [b0 b1], with b from local memory as ldmatrix reads
 * it. In the emulator it is one meeting instead of three. */
FUNCTION void mma_m16n16k16_bf16(float (*d)[4], const u32 *a, const void *row)
{
  u32 b[4];
  ldmatrix_x4(b, row);
  mma_m16n8k16_bf16(d[0], a, b);
  mma_m16n8k16_bf16(d[1], a, b + 2);
}

FUNCTION void mma_m16n16k16_bf16_trans(float (*d)[4], const u32 *a, const void *row)
{
  u32 b[4];
  ldmatrix_x4_trans(b, row);
  mma_m16n8k16_bf16(d[0], a, b);
  mma_m16n8k16_bf16(d[1], a, b + 2);
}

/* The same for two left factors, so that b is read once. */
FUNCTION void mma_m32n16k16_bf16(float (*upper)[4], float (*lower)[4], const u32 *a,
                                 const u32 *a_lower, const void *row)
{
  u32 b[4];
  ldmatrix_x4(b, row);
  mma_m16n8k16_bf16(upper[0], a, b);
  mma_m16n8k16_bf16(lower[0], a_lower, b);
  mma_m16n8k16_bf16(upper[1], a, b + 2);
  mma_m16n8k16_bf16(lower[1], a_lower, b + 2);
}

FUNCTION void mma_m32n16k16_bf16_trans(float (*upper)[4], float (*lower)[4], const u32 *a,
                                       const u32 *a_lower, const void *row)
{
  u32 b[4];
  ldmatrix_x4_trans(b, row);
  mma_m16n8k16_bf16(upper[0], a, b);
  mma_m16n8k16_bf16(lower[0], a_lower, b);
  mma_m16n8k16_bf16(upper[1], a, b + 2);
  mma_m16n8k16_bf16(lower[1], a_lower, b + 2);
}

/* Copies 16 bytes, both sides aligned to as many, to local memory; where `bytes` is 0 it writes
 * zeros and reads nothing. Until the copy's group has been waited for, the bytes are undefined. */
FUNCTION void copy_async_16(void *local, const void *global, int bytes)
{
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(local_address(local)), "l"(global), "r"(bytes)
               : "memory");
}

/* Ends a group of copies: those of the work-item since the last one. */
FUNCTION void copy_commit(void)
{
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Waits for all of the work-item's groups but the newest `groups`, a constant. A barrier then shows
 * them to the others. */
#define COPY_WAIT(groups) asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory")

/* 2ˣ with a relative error of 2⁻²²; a subnormal result is 0. */
FUNCTION float exp2_approx(float x)
{
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

FUNCTION float warp_xor_float(float x, int mask)
{
  return __shfl_xor_sync(0xffffffffu, x, mask);
}

FUNCTION u32 warp_from(u32 x, int lane)
{
  return __shfl_sync(0xffffffffu, x, lane);
}

#else /* DIALECT_HOST */

void *dialect_warp_memory(int bytes);
void dialect_mma(float (*d)[4], const u32 *a, const void *row, int transposed);
void dialect_mma_registers(float *d, const u32 *a, const u32 *b);
void dialect_ldmatrix(u32 *r, const void *row, int transposed);
void dialect_copy_async(void *local, const void *global, int bytes);
void dialect_copy_commit(void);
void dialect_copy_wait(int groups);
u32 dialect_warp_from(u32 x, int lane);

#define ROLLED
#define RECOMPUTED(x) (void)(x)
#define WARP_KERNEL(name, resident) static void name
#define WARP_MEMORY(name, bytes) u8 *const name = dialect_warp_memory(bytes)
#define mma_m16n8k16_bf16 dialect_mma_registers
#define mma_m16n16k16_bf16(d, a, row) dialect_mma(d, a, row, 0)
#define mma_m16n16k16_bf16_trans(d, a, row) dialect_mma(d, a, row, 1)
#define mma_m32n16k16_bf16(upper, lower, a, a_lower, row) \
  (dialect_mma(upper, a, row, 0), dialect_mma(lower, a_lower, row, 0))
#define mma_m32n16k16_bf16_trans(upper, lower, a, a_lower, row) \
  (dialect_mma(upper, a, row, 1), dialect_mma(lower, a_lower, row, 1))
#define ldmatrix_x4(r, row) dialect_ldmatrix(r, row, 0)
#define ldmatrix_x4_trans(r, row) dialect_ldmatrix(r, row, 1)
#define copy_async_16 dialect_copy_async
#define copy_commit dialect_copy_commit
#define COPY_WAIT(groups) dialect_copy_wait(groups)
#define warp_from dialect_warp_from

FUNCTION float exp2_approx(float x)
{
  const float y = exp2f(x);
  return y < 1.17549435e-38f ? 0.0f : y;
}

FUNCTION float warp_xor_float(float x, int mask)
{
  return AS_FLOAT(dialect_warp_from(AS_U32(x), WARP_LANE ^ mask));
}

#endif

#endif
