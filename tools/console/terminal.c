#include "tools/console/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

size_t console_terminal_columns(FILE *stream)
{
  enum { USUAL = 80, MOST = 10000 };
  const int file = fileno(stream);
  if (!isatty(file))
    return 0;
  struct winsize size;
  if (ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    return size.ws_col;
  const char *columns = getenv("COLUMNS");
  const long number = columns != NULL ? strtol(columns, NULL, 10) : 0;
  return number > 0 && number < MOST ? (size_t)number : USUAL;
}

bool console_terminal_is_live(FILE *stream)
{
  const char *kind = getenv("TERM");
  return isatty(fileno(stream)) && kind != NULL && strcmp(kind, "dumb") != 0;
}

bool console_terminal_has_colours(FILE *stream)
{
  const char *no_colour = getenv("NO_COLOR");
  return console_terminal_is_live(stream) && (no_colour == NULL || no_colour[0] == '\0');
}
