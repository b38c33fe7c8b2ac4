#include "tools/cli/command.h"

#include "base/json.h"
#include "tools/console/output.h"

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
  cdl_status status = cli_options_read(line, count, arguments, &helped);
  if (status == CDL_STATUS_OK && !helped)
    status = run(command, &notices);
  console_notices_end(&notices);
  return status;
}
