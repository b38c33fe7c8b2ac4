/* Lines on stderr: prose or, with --log-format json, one JSON object each: {"time", "level", …}.
 * The format belongs to the whole program. */
#ifndef CONDLORA_TOOLS_CONSOLE_LOG_H
#define CONDLORA_TOOLS_CONSOLE_LOG_H

#include <jansson.h>
#include <stdbool.h>

#include "base/option.h"
#include "condlora/status.h"

typedef enum { CONSOLE_LOG_INFO, CONSOLE_LOG_WARNING, CONSOLE_LOG_ERROR } console_log_level;

/* The option --log-format, for the tables of options. */
extern const base_option console_log_option;
enum { CONSOLE_LOG_OPTIONS = 1 };

/* Looks for --log-format json among the arguments, so that an error in the others has that form
 * too. Call it before anything is printed. */
void console_log_begin(int count, char **arguments);
bool console_log_is_json(void);
/* Keeps this process silent from now on, except for errors: another rank speaks for the job. What
 * it prints on stdout is lost. */
void console_log_quiet(void);
bool console_log_is_quiet(void);

/* Print one line of JSON. `fields` is an object, which this function releases; NULL, where memory
 * was out, prints nothing. */
void console_log_object(console_log_level level, json_t *fields);
void console_log_message(console_log_level level, const char *message);
/* Prints a notice or a warning in either form: "warning: …". */
void console_log_say(console_log_level level, const char *format, ...) CDL_PRINTF(2, 3);
/* Prints the thread's error message in either form: "program: message". */
void console_log_error(const char *program);

#endif
