/* Signal dispositions belong to the program.
 * Drivers and their compilers change them when they are loaded or first used; LLVM takes a dozen.
 * Around such calls the dispositions are saved and restored. SIGUSR1 is blocked in the calling
 * thread meanwhile: LLVM's handler swallows it, while it raises other signals again. */
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
