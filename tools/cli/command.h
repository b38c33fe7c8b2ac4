/* The commands: one file each. */
#ifndef CONDLORA_TOOLS_CLI_COMMAND_H
#define CONDLORA_TOOLS_CLI_COMMAND_H

#include "tools/cli/options.h"
#include "tools/console/notices.h"

/* Each takes the arguments after its name. A failure has left its line in cdl_error_message(). */
cdl_status cli_train(int count, char **arguments);
cdl_status cli_eval(int count, char **arguments);
cdl_status cli_predict(int count, char **arguments);
cdl_status cli_tokenize(int count, char **arguments);
cdl_status cli_inspect(int count, char **arguments);
cdl_status cli_export(int count, char **arguments);
cdl_status cli_merge(int count, char **arguments);
cdl_status cli_reproduce(int count, char **arguments);
cdl_status cli_search(int count, char **arguments);
cdl_status cli_analyze(int count, char **arguments);
cdl_status cli_backends(int count, char **arguments);

/* A command, or a word after one that is a command of its own. */
typedef struct {
  const char *name;
  cdl_status (*run)(int count, char **arguments);
  const char *help;
} cli_subcommand;

/* What --describe-options says where a command is still to come: {"commands": [{"name", "help"}]}. */
CDL_MUST_USE cdl_status cli_commands_describe(const cli_subcommand *commands, size_t count);

/* What all of them end in: reads the arguments into what the line's options point to, and unless
 * they ask for help calls `run` with `command`. The library's log goes to `notices` meanwhile. */
CDL_MUST_USE cdl_status cli_run(const base_command_line *line, int count, char **arguments,
                                cdl_status (*run)(void *command, console_notices *notices),
                                void *command);

#endif
