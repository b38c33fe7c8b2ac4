#include "tools/console/signals.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/map_faults.h"

/* A signal handler has no argument through which it could get this state. */
static volatile int caught, own_flags[CONSOLE_SIGNALS_FLAGS];
static volatile sig_atomic_t deferred, line_open;

static void clear_line(void)
{
  static const char clear[] = "\r\033[K";
  if (line_open)
    (void)!write(STDERR_FILENO, clear, sizeof clear - 1);
}

static void handle(int number)
{
  /* Two threads can handle signals at the same time; exactly one of them is the first. */
  int none = 0;
  if (deferred && __atomic_compare_exchange_n(&caught, &none, number, false, __ATOMIC_SEQ_CST,
                                              __ATOMIC_SEQ_CST)) {
    for (size_t i = 0; i < CONSOLE_SIGNALS_FLAGS; i++)
      own_flags[i] = number;
    return;
  }
  /* An ending session sends SIGHUP several times, often beside a SIGTERM, and no user is
   * waiting. */
  if (deferred && number == SIGHUP)
    return;
  clear_line();
  _exit(CONSOLE_EXIT_SIGNALLED + number);
}

/* ---- Beginning ---- */

void console_signals_begin(void)
{
  static const int numbers[] = {SIGHUP, SIGINT, SIGUSR1, SIGTERM};
  enum { COUNT = sizeof numbers / sizeof numbers[0] };
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART}, before;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < COUNT; i++)
    sigaddset(&action.sa_mask, numbers[i]);
  for (size_t i = 0; i < COUNT; i++)
    if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
      sigaction(numbers[i], &action, NULL);
  base_map_faults_begin("condlora", clear_line);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
}

void console_signals_defer(void)
{
  deferred = 1;
}

const volatile int *console_signals_flag(void)
{
  return &caught;
}

volatile int *console_signals_own_flags(void)
{
  return own_flags;
}

int console_signals_caught(void)
{
  return caught;
}

void console_signals_line_is_open(bool open)
{
  line_open = open;
}
