#include "backends/cpu/kernels/kernels.h"

#include <stddef.h>

extern const cpu_kernels cpu_kernels_generic;
#if defined(__x86_64__)
extern const cpu_kernels cpu_kernels_avx2, cpu_kernels_avx512;
#endif

const cpu_kernels *cpu_kernels_set(int index)
{
  const cpu_kernels *here[3] = {&cpu_kernels_generic};
#if defined(__x86_64__)
  int count = 1;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    here[count++] = &cpu_kernels_avx2;
  if (count == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    here[count] = &cpu_kernels_avx512;
#endif
  return index >= 0 && index < 3 ? here[index] : NULL;
}

const cpu_kernels *cpu_kernels_choose(void)
{
  int best = 0;
  while (cpu_kernels_set(best + 1) != NULL)
    best++;
  return cpu_kernels_set(best);
}
