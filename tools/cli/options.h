/* Options of a command on the program's command line. */
#ifndef CONDLORA_TOOLS_CLI_OPTIONS_H
#define CONDLORA_TOOLS_CLI_OPTIONS_H

#include "base/command_line.h"
#include "train/settings.h"

enum { CLI_THREADS_MOST = 4096 };

/* Reads the arguments after the command's name. `*done` is true where they asked for the help, or with
 * --describe-options for what manuals and completion are made from: it is on stdout, and there is
 * nothing else to do. Errors: USAGE. */
CDL_MUST_USE cdl_status cli_options_read(const base_command_line *line, int count, char **arguments,
                                         bool *done);

#endif
