#include "cli/map_faults.h"

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/core/visible.h"
#include "condlora/mapped.h"

/* A handler has no argument for state of one's own. */
static const char *program_name;
static void (*before_line)(void);
static atomic_flag said = ATOMIC_FLAG_INIT;

static void append(char *line, size_t room, const char *text, size_t bytes)
{
  const size_t used = strlen(line);
  if (bytes >= room - used)
    return;
  memcpy(line + used, text, bytes);
  line[used + bytes] = '\0';
}

/* A path may hold anything; only what a terminal shows goes there. Not by cdl_make_visible, which
 * prints into memory: a handler may not. */
static void append_path(char *line, size_t room, const char *path)
{
  size_t left = strlen(path);
  while (left > 0) {
    uint32_t c = 0;
    const size_t length = cdl_code_point(path, left, &c), taken = length > 0 ? length : 1;
    if (length == 0 || cdl_is_hidden(c))
      append(line, room, "?", 1);
    else
      append(line, room, path, length);
    path += taken;
    left -= taken;
  }
}

/* At once, so that nothing comes between. */
static void say_lost(const char *path)
{
  static const char lost[] =
      ": cannot be read on: the file was cut short while it was in use, or its disk fails\n";
  static char line[PATH_MAX + 256];
  append(line, sizeof line, program_name, strlen(program_name));
  append(line, sizeof line, ": ", 2);
  append_path(line, sizeof line - sizeof lost, path);
  append(line, sizeof line, lost, sizeof lost - 1);
  (void)!write(STDERR_FILENO, line, strlen(line));
}

/* In whatever thread it was that touched the page. */
static void lose_page(int number, siginfo_t *about, void *context)
{
  (void)context;
  const char *path = about->si_code > 0 ? cdl_mapped_file(about->si_addr) : NULL;
  if (path == NULL) { /* not ours to explain */
    signal(number, SIG_DFL);
    raise(number);
    return;
  }
  while (atomic_flag_test_and_set(&said)) /* another thread says it, and ends the process */
    pause();
  if (before_line != NULL)
    before_line();
  say_lost(path);
  _exit(EXIT_FAILURE);
}

void cli_map_faults_begin(const char *program, void (*before)(void))
{
  struct sigaction action = {.sa_sigaction = lose_page, .sa_flags = SA_SIGINFO};
  program_name = program;
  before_line = before;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, NULL);
}
