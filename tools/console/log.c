#include "tools/console/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/command_line.h"
#include "base/json.h"
#include "base/machine.h"
#include "condlora/status.h"

static bool json_wanted;
static const char *word; /* the option's value; json_wanted was set before it is read */

const base_option console_log_option =
    BASE_OPTION(WORD, "log_format", &word, "text|json",
                "lines on standard error: text, or one JSON object each, with time and level "
                "[text]");

void console_log_begin(int count, char **arguments)
{
  json_wanted = base_command_line_has(count, arguments, "--log-format=json");
  for (int i = 0; i + 1 < count && strcmp(arguments[i], "--") != 0; i++)
    if (strcmp(arguments[i], "--log-format") == 0 && strcmp(arguments[i + 1], "json") == 0)
      json_wanted = true;
}

bool console_log_is_json(void)
{
  return json_wanted;
}

static bool quiet;

void console_log_quiet(void)
{
  quiet = true;
  /* results go to stdout; they are the same on each rank */
  const int nowhere = open("/dev/null", O_WRONLY);
  if (nowhere >= 0 && dup2(nowhere, STDOUT_FILENO) >= 0)
    close(nowhere);
}

bool console_log_is_quiet(void)
{
  return quiet;
}

void console_log_object(console_log_level level, json_t *fields)
{
  static const char *const levels[] = {"info", "warning", "error"};
  json_t *object = json_pack("{ss ss}", "time", base_time_now().text, "level", levels[level]);
  base_json_update(&object, fields);
  char *text = base_json_line(object);
  json_decref(object);
  if (text != NULL)
    fprintf(stderr, "%s\n", text);
  free(text);
}

void console_log_message(console_log_level level, const char *message)
{
  json_t *fields = json_object();
  base_json_set_text(&fields, "message", message);
  console_log_object(level, fields);
}

void console_log_say(console_log_level level, const char *format, ...)
{
  char text[1024];
  va_list arguments;
  if (quiet)
    return;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (json_wanted)
    console_log_message(level, text);
  else
    fprintf(stderr, "%s: %s\n", level == CONSOLE_LOG_WARNING ? "warning" : "note", text);
}

void console_log_error(const char *program)
{
  if (json_wanted)
    console_log_message(CONSOLE_LOG_ERROR, cdl_error_message());
  else
    fprintf(stderr, "%s: %s\n", program, cdl_error_message());
}
