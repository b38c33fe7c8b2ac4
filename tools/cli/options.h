/* Reading of a command's options. */
#ifndef CONDLORA_TOOLS_CLI_OPTIONS_H
#define CONDLORA_TOOLS_CLI_OPTIONS_H

#include "base/command_line.h"
#include "train/settings.h"

enum { CLI_THREADS_MOST = 4096 };

/* Rows of option tables that several commands have; `settings` has the members named in them. */
#define CLI_BACKEND_OPTION(settings)                          \
  BASE_OPTION(STRING, "backend", &(settings).backend, "NAME", \
              "auto, cpu, or a plug-in with a device: opencl:0 [auto]")
#define CLI_THREADS_OPTIONS(settings)                                                 \
  BASE_OPTION(INT, "threads", &(settings).threads, "N",                               \
              "number of CPU threads [every core]; the result does not depend on it", \
              .high = CLI_THREADS_MOST),                                              \
      BASE_OPTION(FLAG, "no_fallback", &(settings).no_fallback, NULL,                 \
                  "fail if an op would fall back to the host")
#define CLI_RANK_OPTION(settings)                 \
  BASE_OPTION(INT, "rank", &(settings).rank, "B", \
              "rank at which to use an adapter that DyLoRA trained [the adapter's rank]")
#define CLI_MAX_LENGTH_OPTION(settings)                       \
  BASE_OPTION(INT, "max_length", &(settings).max_length, "N", \
              "most tokens of an example; longer ones are cut [512, or the model's limit]")

/* Reads the arguments after the command's name. With --help it prints the help, and with
 * --describe-options the option table as JSON, from which manuals and completions are made; `*done`
 * is then true and the command has nothing else to do. Errors: USAGE. */
CDL_MUST_USE cdl_status cli_options_read(const base_command_line *line, int count, char **arguments,
                                         bool *done);

#endif
