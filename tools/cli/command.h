/* The commands of condlora, one file each. */
#ifndef CONDLORA_TOOLS_CLI_COMMAND_H
#define CONDLORA_TOOLS_CLI_COMMAND_H

#include "ranks/ranks.h"
#include "tools/cli/options.h"
#include "tools/console/notices.h"

/* Each takes the arguments after the command's name. On failure, cdl_error_message() has one
 * line. */
cdl_status cli_train(int count, char **arguments);
cdl_status cli_eval(int count, char **arguments);
cdl_status cli_predict(int count, char **arguments);
cdl_status cli_tokenize(int count, char **arguments);
cdl_status cli_inspect(int count, char **arguments);
cdl_status cli_export(int count, char **arguments);
cdl_status cli_merge(int count, char **arguments);
cdl_status cli_reproduce(int count, char **arguments);
cdl_status cli_runs(int count, char **arguments);
cdl_status cli_search(int count, char **arguments);
cdl_status cli_analyze(int count, char **arguments);
cdl_status cli_backends(int count, char **arguments);

/* A command, or a subcommand such as `conversion` in `condlora analyze conversion`. */
typedef struct {
  const char *name;
  cdl_status (*run)(int count, char **arguments);
  const char *help;
} cli_subcommand;

/* Prints what --describe-options gives before a command is named: {"commands": [{"name",
 * "help"}]}. */
CDL_MUST_USE cdl_status cli_commands_describe(const cli_subcommand *commands, size_t count);

/* Opens the job of the launcher that started this process; of its ranks the first speaks. Errors:
 * USAGE if the launcher started several processes for a command that is not train, eval, predict,
 * search or reproduce; those of ranks_open. */
CDL_MUST_USE cdl_status cli_job_open(const char *command);
/* NULL: one rank. */
ranks_job *cli_job(void);
/* Fails with USAGE if several ranks cannot read `input` (NULL: none): standard input, a pipe. */
CDL_MUST_USE cdl_status cli_job_check_input(const char *input);
/* Sets the number of threads to this rank's share of the host, unless it is set or the launcher
 * has bound the rank to processors. */
void cli_job_share_threads(int64_t *threads);

/* Runs a command: reads the arguments into the variables that the line's options point to, then
 * calls `run` with `command` unless the arguments ask for help. Meanwhile `notices` receives the
 * library's log. */
CDL_MUST_USE cdl_status cli_run(const base_command_line *line, int count, char **arguments,
                                cdl_status (*run)(void *command, console_notices *notices),
                                void *command);

#endif
