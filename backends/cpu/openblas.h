/* OpenBLAS and LAPACKE, opened at run time after the choice of OpenBLAS's kernels. */
#ifndef CONDLORA_BACKENDS_CPU_OPENBLAS_H
#define CONDLORA_BACKENDS_CPU_OPENBLAS_H

#include "condlora/status.h"

#include <stdint.h>

enum { CPU_ROW_MAJOR = 101, CPU_COLUMN_MAJOR = 102 };

typedef struct {
  void *openblas, *lapacke; /* handles of dlopen */
#define FUNCTION(library, result, name, parameters) result(*name) parameters;
#include "backends/cpu/api.def"
#undef FUNCTION
} cpu_libraries;

/* Opens both libraries: the system's, or the one file that CDL_OPENBLAS names. While OpenBLAS
 * loads, it sets OPENBLAS_CORETYPE (by CPUID) and OPENBLAS_NUM_THREADS, unless the user has set
 * them. No other thread may change the environment meanwhile. Errors: ABSENT, naming the package or
 * the variable. */
cdl_status cpu_libraries_open(cpu_libraries *libraries);
void cpu_libraries_close(cpu_libraries *libraries);

#endif
