#include "base/dispositions.h"

#include <stddef.h>

void base_dispositions_keep(base_dispositions *kept)
{
  sigset_t swallowed;
  sigemptyset(&swallowed);
  sigaddset(&swallowed, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &swallowed, &kept->blocked);
  for (int number = 1; number < NSIG; number++)
    kept->known[number] = sigaction(number, NULL, &kept->action[number]) == 0;
}

/* A disposition that nobody changed is left alone. */
void base_dispositions_restore(const base_dispositions *kept)
{
  struct sigaction now;
  for (int number = 1; number < NSIG; number++)
    if (kept->known[number] && sigaction(number, NULL, &now) == 0 &&
        (now.sa_flags != kept->action[number].sa_flags ||
         now.sa_sigaction != kept->action[number].sa_sigaction))
      (void)sigaction(number, &kept->action[number], NULL);
  pthread_sigmask(SIG_SETMASK, &kept->blocked, NULL);
}
