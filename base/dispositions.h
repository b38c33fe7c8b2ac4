/* What the process does on signals is the program's to say. Drivers and the compilers in them take
 * signals over, LLVM a dozen, when they are loaded or first used; around such calls the dispositions
 * are kept and put back. SIGUSR1, which LLVM's handler swallows where others are raised again, waits
 * in the calling thread until then. */
#ifndef CONDLORA_BASE_DISPOSITIONS_H
#define CONDLORA_BASE_DISPOSITIONS_H

#include <signal.h>
#include <stdbool.h>

typedef struct {
  struct sigaction action[NSIG];
  bool known[NSIG];
  sigset_t blocked;
} base_dispositions;

void base_dispositions_keep(base_dispositions *kept);
void base_dispositions_restore(const base_dispositions *kept);

#endif
