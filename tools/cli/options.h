/* Reading of a command's options. */
#ifndef CONDLORA_TOOLS_CLI_OPTIONS_H
#define CONDLORA_TOOLS_CLI_OPTIONS_H

#include "base/command_line.h"
#include "train/settings.h"

enum { CLI_THREADS_MOST = 4096 };

/* Reads the arguments after the command's name. With --help it prints the help, and with
 * --describe-options the option table as JSON, from which manuals and completions are made; `*done`
 * is then true and the command has nothing else to do. Errors: USAGE. */
CDL_MUST_USE cdl_status cli_options_read(const base_command_line *line, int count, char **arguments,
                                         bool *done);

#endif
