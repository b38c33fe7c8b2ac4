/* SIGHUP, SIGINT, SIGUSR1 and SIGTERM: they end the program at once, but for a stretch in which the
 * first one only asks it to stop. A mapped file that cannot be read on, SIGBUS, ends it with 1 and a
 * line that names the file. */
#ifndef CONDLORA_TOOLS_CONSOLE_SIGNALS_H
#define CONDLORA_TOOLS_CONSOLE_SIGNALS_H

#include <stdbool.h>
#include <stddef.h>

enum { CONSOLE_EXIT_SIGNALLED = 128 }; /* + the signal's number: 129, 130, 138, 143 */

/* Takes these signals over (one of the four that the parent had ignored, as nohup does with SIGHUP,
 * stays ignored), and ignores SIGPIPE and SIGXFSZ: a reader that goes away and a file that may not
 * grow are errors of writing. */
void console_signals_begin(void);

/* From here on the first signal only sets the flag; the second one ends the program at once, unless
 * it is SIGHUP. */
void console_signals_defer(void);

/* Not 0 once a signal came. */
const volatile int *console_signals_flag(void);
enum { CONSOLE_SIGNALS_FLAGS = 32 };
/* [CONSOLE_SIGNALS_FLAGS] more flags, which the signal sets after that one, and which their user may
 * set and clear. */
volatile int *console_signals_own_flags(void);
/* The signal that came; 0: none. */
int console_signals_caught(void);

/* Whether a line of progress stands on the terminal, to be cleared when a signal ends the
 * program. */
void console_signals_line_is_open(bool open);

#endif
