/* What the library has to say, on stderr: held back until all inputs are checked, so that a
 * refused input leaves its one line alone. */
#ifndef CONDLORA_TOOLS_CONSOLE_NOTICES_H
#define CONDLORA_TOOLS_CONSOLE_NOTICES_H

#include <stdbool.h>
#include <stddef.h>

#include "condlora/log.h"

typedef struct {
  char **held;
  size_t count, capacity;
  bool released;
  void (*before_line)(void *user); /* makes room on the terminal; may be NULL */
  void *user;
} console_notices;

/* Takes the library's log. `notices` must stay where it is until console_notices_end. */
void console_notices_begin(console_notices *notices);
/* Prints what was held, and from now on at once. */
void console_notices_release(console_notices *notices);
/* Forgets what is still held. */
void console_notices_end(console_notices *notices);

#endif
