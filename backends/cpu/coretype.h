/* OpenBLAS's kernel sets, by their names in OPENBLAS_CORETYPE, and the instructions they need. */
#ifndef CONDLORA_BACKENDS_CPU_CORETYPE_H
#define CONDLORA_BACKENDS_CPU_CORETYPE_H

#include <stdbool.h>

/* Returns the kernel set to use if the user names none; NULL: OpenBLAS's own choice. Debian's
 * 0.3.21 does not know newer CPUs and uses older kernels there: on a Zen 5, Haswell's run at half
 * the speed of SkylakeX's. */
const char *cpu_coretype(void);

/* Returns whether this processor has the set's instructions; otherwise *lacking is the first
 * missing one. OpenBLAS does not check, and its first product would end the process. Returns true
 * for an unknown name. */
bool cpu_coretype_runs(const char *name, const char **lacking);

#endif
