#include "tools/cli/command.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/commit.h"
#include "base/json.h"
#include "base/nearest.h"
#include "base/process.h"
#include "base/quota.h"
#include "tools/console/log.h"
#include "tools/console/output.h"

static ranks_job *job; /* of the process; NULL: one rank */

cdl_status cli_commands_describe(const cli_subcommand *commands, size_t count)
{
  json_t *rows = json_array(), *object = json_object();
  for (size_t i = 0; i < count; i++)
    base_json_append(&rows,
                     json_pack("{ss ss}", "name", commands[i].name, "help", commands[i].help));
  base_json_set(&object, "commands", rows);
  return console_stdout_json(object);
}

cdl_status cli_run(const base_command_line *line, int count, char **arguments,
                   cdl_status (*run)(void *command, console_notices *notices), void *command)
{
  bool helped;
  console_notices notices;
  console_notices_begin(&notices);
  cdl_status status =
      ranks_agree(job, cli_options_read(line, count, arguments, &helped), "the options");
  if (status == CDL_STATUS_OK && !helped)
    status = run(command, &notices);
  console_notices_end(&notices);
  return status;
}

/* ---- Jobs ---- */

ranks_job *cli_job(void)
{
  return job;
}

cdl_status cli_job_open(const char *command)
{
  static const char *const of_a_job[] = {"train", "eval", "predict", "search", "reproduce"};
  const char *launcher;
  bool first;
  const int launched = ranks_launched(&launcher, &first);
  if (launched == 1)
    return CDL_STATUS_OK;
  if (!base_is_one_of(command, of_a_job, sizeof of_a_job / sizeof of_a_job[0]))
    return cdl_fail(CDL_STATUS_USAGE,
                    "%s started %d processes, but condlora %s is for one; start it without a "
                    "launcher",
                    launcher, launched, command);
  char program[160];
  snprintf(program, sizeof program, "condlora %s of version %s (%s)", command, cdl_version(),
           base_commit());
  CDL_TRY(ranks_open(&job, program));
  if (ranks_rank(job) > 0)
    console_log_quiet();
  return CDL_STATUS_OK;
}

cdl_status cli_job_check_input(const char *input)
{
  struct stat facts;
  if (job == NULL || input == NULL)
    return CDL_STATUS_OK;
  const bool is_stream =
      strcmp(input, "-") == 0 || (stat(input, &facts) == 0 && !S_ISREG(facts.st_mode));
  return is_stream ? cdl_fail(CDL_STATUS_USAGE,
                              "%s can be read by one process only; several need a file", input)
                   : CDL_STATUS_OK;
}

void cli_job_share_threads(int64_t *threads)
{
  const int usable = base_usable_processors(), local = ranks_local_size(job);
  if (*threads > 0 || local == 1 || usable < (int)base_process_processors())
    return;
  *threads = usable > local ? usable / local : 1;
}
