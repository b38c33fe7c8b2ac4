#include "cli/map_faults.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "condlora/mapped.h"

/* A handler has no argument for state of one's own. */
static const char *program_name;
static void (*before_line)(void);

static void say(const char *text)
{
  (void)!write(STDERR_FILENO, text, strlen(text));
}

/* A path may hold anything; only plain text goes to a terminal. */
static void say_path(const char *path)
{
  char part[64];
  while (*path != '\0') {
    size_t length = 0;
    for (; length < sizeof part && path[length] != '\0'; length++) {
      const unsigned char c = (unsigned char)path[length];
      part[length] = (char)(c < ' ' || c == 127 ? '?' : c);
    }
    (void)!write(STDERR_FILENO, part, length);
    path += length;
  }
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
  if (before_line != NULL)
    before_line();
  say(program_name);
  say(": ");
  say_path(path);
  say(": cannot be read on: the file was cut short while it was in use, or its disk fails\n");
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
