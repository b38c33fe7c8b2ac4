/* Prints the library's log on stderr. Lines are held until all inputs have been checked, so that a
 * refused input leaves one line only. A line that repeats an earlier one is left out. */
#ifndef CONDLORA_TOOLS_CONSOLE_NOTICES_H
#define CONDLORA_TOOLS_CONSOLE_NOTICES_H

#include <stdbool.h>
#include <stddef.h>

#include "condlora/log.h"

typedef struct {
  char **held; /* [count] every line so far */
  size_t count, capacity;
  bool released;
  void (*before_line)(void *user); /* makes room on the terminal; may be NULL */
  void *user;
  void (*debug)(void *user, const char *line); /* takes debug lines; NULL: nobody does */
  void *debug_user;
} console_notices;

/* Receives the library's log from now on. `notices` must not move until console_notices_end. */
void console_notices_begin(console_notices *notices);
/* Prints the held lines; later lines are printed at once. */
void console_notices_release(console_notices *notices);
/* Stops receiving the log and drops lines that are still held. */
void console_notices_end(console_notices *notices);

#endif
