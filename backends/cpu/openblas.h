/* OpenBLAS and LAPACKE for the decompositions, opened by the first one. No other op needs them. */
#ifndef CONDLORA_BACKENDS_CPU_OPENBLAS_H
#define CONDLORA_BACKENDS_CPU_OPENBLAS_H

#include "condlora/status.h"

#include <pthread.h>
#include <stdatomic.h>

enum { CPU_COLUMN_MAJOR = 102 };

typedef struct {
  void *openblas, *lapacke; /* handles of dlopen */
#define FUNCTION(library, result, name, parameters) result(*name) parameters;
#include "backends/cpu/api.def"
#undef FUNCTION
} cpu_libraries;

/* The libraries of one device. Any thread may use them. */
typedef struct {
  pthread_mutex_t lock;
  _Atomic(const char *) name; /* "OpenBLAS 0.3.21 SkylakeX"; NULL until they are open */
  cpu_libraries libraries;
  char text[128]; /* of the name */
} cpu_lapack;

cpu_lapack cpu_lapack_closed(void);
/* Gives the libraries, and opens them if they are not open: the system's, or the one file that
 * CDL_OPENBLAS names. While OpenBLAS loads, this sets OPENBLAS_CORETYPE (by CPUID) and
 * OPENBLAS_NUM_THREADS, unless the user has set them, and no other thread may change the
 * environment. Errors: ABSENT, naming the package or the variable; UNSUPPORTED for an
 * OPENBLAS_CORETYPE of another processor. The next call tries again. */
cdl_status cpu_lapack_use(cpu_lapack *lapack, const cpu_libraries **libraries);
void cpu_lapack_close(cpu_lapack *lapack);

/* Returns the file that would be opened: "libopenblas.so.0", or what CDL_OPENBLAS names. */
const char *cpu_lapack_file(void);

#endif
