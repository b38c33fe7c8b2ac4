#include "tools/cli/options.h"

#include "tools/console/log.h"
#include "tools/console/output.h"
#include "tools/console/terminal.h"

enum { HELP_WIDTH_MAX = 100, HELP_WIDTH_MIN = 60 };

static size_t help_width(void)
{
  const size_t columns = console_terminal_columns(stdout);
  return columns == 0 || columns > HELP_WIDTH_MAX ? HELP_WIDTH_MAX
         : columns < HELP_WIDTH_MIN               ? HELP_WIDTH_MIN
                                                  : columns;
}

cdl_status cli_options_read(const base_command_line *own, int count, char **arguments, bool *done)
{
  base_command_line whole = *own;
  const base_command_line *line = &whole;
  whole.common = (base_options){.item = &console_log_option, .count = CONSOLE_LOG_OPTIONS};
  *done = true;
  if (base_command_line_has(count, arguments, "--help") ||
      base_command_line_has(count, arguments, "-h")) {
    base_command_line_help(line, stdout, help_width());
    return CDL_STATUS_OK;
  }
  if (base_command_line_has(count, arguments, "--describe-options"))
    return console_stdout_json(base_command_line_describe(line));
  *done = false;
  return base_command_line_read(line, count, arguments);
}
