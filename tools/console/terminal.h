/* What the terminal behind a stream is like. */
#ifndef CONDLORA_TOOLS_CONSOLE_TERMINAL_H
#define CONDLORA_TOOLS_CONSOLE_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Columns of the terminal, COLUMNS where it does not say; 0 where the stream is none. */
size_t console_terminal_columns(FILE *stream);
/* A terminal on which a line can be drawn over. */
bool console_terminal_is_live(FILE *stream);
/* Whether to use colours on it: not where NO_COLOR is set (https://no-color.org). */
bool console_terminal_has_colours(FILE *stream);

#endif
