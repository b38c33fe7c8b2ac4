/* In builds with AddressSanitizer: how leaks are looked for in a process that holds PoCL.
 *
 * LeakSanitizer's check at the exit stops all threads by ptrace, while PoCL's are about to end, and
 * its tracer now and then crashes on them (signal 11), which fails a test that leaked nothing. Such
 * a process is therefore looked through by a child that it forks before it ends: memory is the same
 * there, and of PoCL's threads there is none. All other processes keep the check that they have. */
#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int __lsan_is_turned_off(void);
int __lsan_do_recoverable_leak_check(void);

enum { LEAKS_FOUND = 23, PATIENCE_SECONDS = 120 }; /* 23: LeakSanitizer's own exit status */

static bool in_child;

static int is_driver(struct dl_phdr_info *library, size_t size, void *user)
{
  (void)size;
  (void)user;
  return library->dlpi_name != NULL && strstr(library->dlpi_name, "libpocl") != NULL;
}

static bool holds_driver(void)
{
  return dl_iterate_phdr(is_driver, NULL) != 0;
}

/* Asked by LeakSanitizer before it looks. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void)
{
  return !in_child && holds_driver();
}

/* A child that hangs, as one of a process with threads may, has found nothing. */
static int wait_for(pid_t child)
{
  const struct timespec moment = {.tv_nsec = 10000000};
  for (int i = 0; i < PATIENCE_SECONDS * 100; i++) {
    int how;
    if (waitpid(child, &how, WNOHANG) == child)
      return WIFEXITED(how) ? WEXITSTATUS(how) : 0;
    nanosleep(&moment, NULL);
  }
  kill(child, SIGKILL);
  (void)waitpid(child, NULL, 0);
  return 0;
}

static void check_in_child(void)
{
  if (!holds_driver())
    return;
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) {
    in_child = true;
    _exit(__lsan_do_recoverable_leak_check() != 0 ? LEAKS_FOUND : 0);
  }
  if (child > 0 && wait_for(child) == LEAKS_FOUND)
    _exit(LEAKS_FOUND);
}

/* The first to be registered, the last to be called. */
__attribute__((constructor)) static void begin(void)
{
  (void)atexit(check_in_child);
}
