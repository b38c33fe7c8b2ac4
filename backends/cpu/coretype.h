/* OpenBLAS's kernel sets, by the names that OPENBLAS_CORETYPE takes, and what they need. */
#ifndef CONDLORA_BACKENDS_CPU_CORETYPE_H
#define CONDLORA_BACKENDS_CPU_CORETYPE_H

#include <stdbool.h>

/* The set to ask for where the user asks for none; NULL: OpenBLAS's own choice. Debian's 0.3.21 knows
 * no CPU after its own time and falls to older kernels there: on a Zen 5, Haswell's run at half the
 * speed of SkylakeX's. */
const char *cpu_coretype(void);

/* Whether this processor runs the set's instructions. Else *lacking is the first that it does not
 * have: OpenBLAS takes the name at its word, and its first product ends the process. True of a name
 * that is not known. */
bool cpu_coretype_runs(const char *name, const char **lacking);

#endif
