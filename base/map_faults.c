#include "base/map_faults.h"

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/visible.h"
#include "condlora/mapped.h"

/* A handler has no argument for a caller's state. */
static const char *program_name;
static void (*before_line)(void);
static atomic_flag said = ATOMIC_FLAG_INIT;

static void append(char *line, size_t room, const char *text)
{
  const size_t used = strlen(line), bytes = strlen(text);
  memcpy(line + used, text, bytes < room - used ? bytes + 1 : 0);
}

/* Writes in one call, so that no other output comes between. */
static void say_lost(const char *path)
{
  static char name[PATH_MAX], line[PATH_MAX + 256];
  base_make_visible(path, strlen(path), name, sizeof name);
  append(line, sizeof line, program_name);
  append(line, sizeof line, ": ");
  append(line, sizeof line, name);
  append(line, sizeof line,
         ": cannot be read on: the file was cut short while it was in use, or its disk fails\n");
  (void)!write(STDERR_FILENO, line, strlen(line));
}

/* Runs in the thread that touched the page. */
static void lose_page(int number, siginfo_t *about, void *context)
{
  (void)context;
  const char *path = about->si_code > 0 ? cdl_mapped_file(about->si_addr) : NULL;
  if (path == NULL) { /* not a file that we have mapped */
    signal(number, SIG_DFL);
    raise(number);
    return;
  }
  while (atomic_flag_test_and_set(&said)) /* another thread reports it and ends the process */
    pause();
  if (before_line != NULL)
    before_line();
  say_lost(path);
  _exit(EXIT_FAILURE);
}

void base_map_faults_begin(const char *program, void (*before)(void))
{
  struct sigaction action = {.sa_sigaction = lose_page, .sa_flags = SA_SIGINFO};
  program_name = program;
  before_line = before;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, NULL);
}
