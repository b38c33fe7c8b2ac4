/* condlora: runs the command that the first argument names. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "condlora/backend.h"
#include "model/files/family.h"
#include "tools/cli/command.h"
#include "tools/cli/options.h"
#include "tools/console/download.h"
#include "tools/console/log.h"
#include "tools/console/output.h"
#include "tools/console/signals.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const cli_subcommand commands[] = {
    {"train", cli_train, "fine-tune an encoder with an adapter"},
    {"eval", cli_eval, "evaluate an adapter or a fine-tuned model; metrics as JSON"},
    {"predict", cli_predict, "classify texts; one line of JSON each, or a GLUE submission"},
    {"tokenize", cli_tokenize, "print the token ids that a model would see"},
    {"inspect", cli_inspect, "list modules, shapes and parameters of a model or an adapter"},
    {"export", cli_export,
     "write an adapter as plain LoRA for PEFT, or merged into its model as ONNX"},
    {"merge", cli_merge, "write an adapter and its base as one model"},
    {"runs", cli_runs, "list runs side by side, and draw their curves"},
    {"search", cli_search, "search the best settings of a run with Optuna"},
    {"reproduce", cli_reproduce, "train and report a table or figure of the paper"},
    {"analyze", cli_analyze, "compare adapters, weights and layers (the paper's analyses)"},
    {"backends", cli_backends, "list the backends that this machine can use"},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *to)
{
  fputs("usage: condlora COMMAND [OPTION …]\n\n"
        "Fine-tunes Transformer encoders with CondLoRA and other low-rank adapters.\nModel "
        "families: ",
        to);
  for (int i = 0; i < MODEL_FAMILY_COUNT; i++)
    fprintf(to, "%s%s", i > 0 ? ", " : "", model_family_name((model_family)i));
  fputs(".\n\n", to);
  for (size_t i = 0; i < COMMAND_COUNT; i++)
    fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
  fputs("\ncondlora COMMAND --help or condlora help COMMAND lists the options of a "
        "command.\ncondlora version prints the version.\n",
        to);
}

static cdl_status unknown_command(const char *name)
{
  const char *names[COMMAND_COUNT];
  for (size_t i = 0; i < COMMAND_COUNT; i++)
    names[i] = commands[i].name;
  return cdl_fail(CDL_STATUS_USAGE,
                  "there is no command %s; the nearest is %s (condlora --help lists all)", name,
                  base_nearest(name, names, COMMAND_COUNT));
}

/* `help COMMAND` equals `COMMAND --help`; arguments after it are ignored. */
static cdl_status help(const char *name)
{
  static char option[] = "--help";
  char *arguments[] = {option, NULL};
  for (size_t i = 0; i < COMMAND_COUNT; i++)
    if (strcmp(commands[i].name, name) == 0)
      return commands[i].run(1, arguments);
  return unknown_command(name);
}

static cdl_status run(int count, char **arguments)
{
  const char *name = arguments[0];
  for (size_t i = 0; i < COMMAND_COUNT; i++)
    if (strcmp(commands[i].name, name) == 0) {
      CDL_TRY(cli_job_open(name));
      return commands[i].run(count - 1, arguments + 1);
    }
  if (strcmp(name, "help") == 0 && count > 1 && strcmp(arguments[1], "help") != 0)
    return help(arguments[1]);
  if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0)
    printf("condlora %s\n", cdl_version());
  else if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
    print_usage(stdout);
  else if (strcmp(name, "--describe-options") == 0)
    return cli_commands_describe(commands, COMMAND_COUNT);
  else
    return unknown_command(name);
  return CDL_STATUS_OK;
}

/* If a standard stream is closed, the next file that is opened gets its number, and messages would
 * be written into a run's log. This opens /dev/null in its place, in the mode in which reading
 * input or writing results fails as on a closed stream. */
static void occupy_closed_streams(void)
{
  static const int modes[] = {O_WRONLY, O_RDONLY, O_WRONLY};
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
    if (fcntl(stream, F_GETFD) < 0)
      (void)open("/dev/null",
                 modes[stream]); /* open takes the lowest free number, which is this stream's */
}

/* Of the processes of a job that meet the same failure, one prints it. */
static bool may_speak(void)
{
  const char *launcher;
  bool first;
  return ranks_launched(&launcher, &first) == 1 ||
         (cli_job() != NULL ? ranks_speaks(cli_job()) : first);
}

int main(int count, char **arguments)
{
  occupy_closed_streams();
  console_signals_begin();
  console_log_begin(count, arguments);
  console_downloads_show();
  if (count < 2) {
    print_usage(stderr);
    return EXIT_USAGE;
  }
  cdl_status status = run(count - 1, arguments + 1);
  if (status == CDL_STATUS_OK)
    status = console_stdout_flush();
  if (ranks_name_failure(cli_job(), status) != CDL_STATUS_OK && may_speak())
    console_log_error("condlora");
  ranks_close(cli_job(), status);
  if (status == CDL_STATUS_OK)
    return EXIT_SUCCESS;
  if (status == CDL_STATUS_CANCELLED && console_signals_caught() != 0)
    return CONSOLE_EXIT_SIGNALLED + console_signals_caught();
  return status == CDL_STATUS_USAGE ? EXIT_USAGE : EXIT_FAILED;
}
