/* Properties of the terminal behind a stream. */
#ifndef CONDLORA_TOOLS_CONSOLE_TERMINAL_H
#define CONDLORA_TOOLS_CONSOLE_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Returns the terminal's columns, or COLUMNS if the terminal does not say; 0 if the stream is no
 * terminal. */
size_t console_terminal_columns(FILE *stream);
/* Returns whether the stream is a terminal on which a line can be redrawn. */
bool console_terminal_is_live(FILE *stream);
/* Returns whether to use colours; not if NO_COLOR is set (https://no-color.org). */
bool console_terminal_has_colours(FILE *stream);

#endif
