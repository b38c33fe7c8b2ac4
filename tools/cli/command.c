#include "tools/cli/command.h"

cdl_status cli_run(const cli_grammar *grammar, int count, char **arguments,
                   cdl_status (*run)(const void *command, cli_notices *notices),
                   const void *command)
{
  bool helped;
  cli_notices notices;
  CDL_TRY(cli_options_read(grammar, count, arguments, &helped));
  if (helped)
    return CDL_STATUS_OK;
  cli_notices_begin(&notices);
  const cdl_status status = run(command, &notices);
  cli_notices_end(&notices);
  return status;
}
