/* Handles SIGHUP, SIGINT, SIGUSR1 and SIGTERM. They end the program at once, except while they are
 * deferred: then the first signal only asks it to stop. SIGBUS, which a mapped file raises when it
 * cannot be read, ends the program with status 1 and a line that names the file. */
#ifndef CONDLORA_TOOLS_CONSOLE_SIGNALS_H
#define CONDLORA_TOOLS_CONSOLE_SIGNALS_H

#include <stdbool.h>
#include <stddef.h>

enum { CONSOLE_EXIT_SIGNALLED = 128 }; /* + the signal's number: 129, 130, 138, 143 */

/* Installs the handlers. A signal that the parent had ignored stays ignored, as nohup does with
 * SIGHUP. SIGPIPE and SIGXFSZ are ignored, so that a closed pipe and a file over its size limit are
 * errors of writing. */
void console_signals_begin(void);

/* Defers signals: from now on the first only sets the flag. A second one ends the program at once,
 * unless it is SIGHUP. */
void console_signals_defer(void);

/* The flag is 0 until a signal comes. */
const volatile int *console_signals_flag(void);
enum { CONSOLE_SIGNALS_FLAGS = 32 };
/* Returns [CONSOLE_SIGNALS_FLAGS] more flags. A signal sets them after the flag above; their user
 * may also set and clear them. */
volatile int *console_signals_own_flags(void);
/* Returns the signal that came; 0 if none came. */
int console_signals_caught(void);

/* Says whether the terminal shows a line of progress, which must be cleared if a signal ends the
 * program. */
void console_signals_line_is_open(bool open);

#endif
