#include "tools/console/notices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/console/log.h"

/* The beginnings of lines by their level. */
static const char note[] = "note: ", warning[] = "warning: ";

static void print_line(console_notices *n, const char *line)
{
  const bool warns = strncmp(line, warning, sizeof warning - 1) == 0;
  if (console_log_is_quiet())
    return;
  if (n->before_line != NULL)
    n->before_line(n->user);
  if (console_log_is_json())
    console_log_message(warns ? CONSOLE_LOG_WARNING : CONSOLE_LOG_INFO,
                        line + (warns ? sizeof warning : sizeof note) - 1);
  else
    fprintf(stderr, "%s\n", line);
}

static void hold(console_notices *n, char *line)
{
  enum { MOST = 1000 }; /* later ones are not remembered */
  if (n->released && n->count >= MOST) {
    free(line);
    return;
  }
  if (n->count == n->capacity) {
    const size_t capacity = 2 * n->capacity + 8;
    char **held = realloc(n->held, capacity * sizeof *held);
    if (held == NULL) {
      free(line);
      return;
    }
    n->held = held;
    n->capacity = capacity;
  }
  n->held[n->count++] = line;
}

/* Whether the same line was taken before: many runs say the same of their data. */
static bool is_known(const console_notices *n, const char *line)
{
  for (size_t i = 0; i < n->count; i++)
    if (strcmp(n->held[i], line) == 0)
      return true;
  return false;
}

static void take(void *user, cdl_log_level level, const char *text)
{
  console_notices *n = user;
  if (level == CDL_LOG_DEBUG) {
    if (n->debug != NULL)
      n->debug(n->debug_user, text);
    return;
  }
  char *line = NULL;
  if (asprintf(&line, "%s%s", level == CDL_LOG_WARNING ? warning : note, text) < 0)
    return;
  if (is_known(n, line)) {
    free(line);
    return;
  }
  if (n->released)
    print_line(n, line);
  hold(n, line);
}

void console_notices_begin(console_notices *n)
{
  *n = (console_notices){0};
  cdl_log_to(take, n);
}

static void forget(console_notices *n)
{
  for (size_t i = 0; i < n->count; i++)
    free(n->held[i]);
  free(n->held);
  n->held = NULL;
  n->count = n->capacity = 0;
}

void console_notices_release(console_notices *n)
{
  for (size_t i = 0; i < n->count; i++)
    print_line(n, n->held[i]);
  n->released = true;
}

void console_notices_end(console_notices *n)
{
  cdl_log_to(NULL, NULL);
  forget(n);
}
