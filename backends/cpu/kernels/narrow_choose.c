#include "backends/cpu/kernels/narrow_sets.h"

#include <stddef.h>

#if defined(HAVE_NARROW_X86)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Whether the processor has AMX with bf16 and int8, and Linux lets this process use it: a process
 * asks once, for all its threads, and is ended by SIGILL where it did not. Linux refuses without
 * the state in its tables, and where a thread's alternate signal stack is too small for it. */
static bool has_amx(void)
{
  enum { REQUEST_STATE = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
  enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, AMX_INT8 = 1 << 25 };
  const unsigned needed = AMX_BF16 | AMX_TILE | AMX_INT8;
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & needed) == needed &&
         syscall(SYS_arch_prctl, REQUEST_STATE, TILE_DATA) == 0;
}

/* Compilers do not know the name "avxvnni" before GCC 13. */
static bool has_avx_vnni(void)
{
  enum { AVX_VNNI = 1 << 4 };
  unsigned a, b, c, d;
  return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) &&
         (a & AVX_VNNI) != 0;
}
#endif

const cpu_narrow *cpu_narrow_bf16(int index)
{
  enum { MOST = 3 };
  const cpu_narrow *here[MOST] = {NULL};
  int count = 0;
#if defined(HAVE_NARROW_X86)
  if (has_amx())
    here[count++] = &cpu_narrow_bf16_amx;
  if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vl"))
    here[count++] = &cpu_narrow_bf16_avx512;
#endif
  here[count++] = &cpu_narrow_bf16_emulated;
  return index >= 0 && index < count ? here[index] : NULL;
}

const cpu_narrow *cpu_narrow_int8(int index)
{
  enum { MOST = 5 };
  const cpu_narrow *here[MOST] = {NULL};
  int count = 0;
#if defined(HAVE_NARROW_X86)
  if (has_amx())
    here[count++] = &cpu_narrow_int8_amx;
  if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw"))
    here[count++] = &cpu_narrow_int8_avx512;
  if (has_avx_vnni())
    here[count++] = &cpu_narrow_int8_avxvnni;
  if (__builtin_cpu_supports("avx2"))
    here[count++] = &cpu_narrow_int8_avx2;
#endif
  here[count++] = &cpu_narrow_int8_plain;
  return index >= 0 && index < count ? here[index] : NULL;
}
